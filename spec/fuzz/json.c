/*
** json.c: any bytes as JSON, taken apart value by value by somebody who knows
** what comes next from dc_json_peek alone. What the walk accepts dc_json_skip
** must accept too, and the other way round: the same grammar, two readers.
*/
#include <stdlib.h>

#include "format/json.h"

int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size);

static bool walk (dc_json *j, dc_error *err);


static bool walk_string (dc_json *j, dc_error *err) {
  dc_json_text text;
  if (!dc_json_string(j, &text, err)) return false;
  char *copy = malloc(text.size + 1);
  if (copy == NULL) return false;
  if (dc_json_copy(&text, copy) != copy + text.size) abort();
  free(copy);
  return true;
}


static bool walk_object (dc_json *j, dc_error *err) {
  bool more;
  dc_json_text key;
  if (!dc_json_object(j, err)) return false;
  for (;;) {
    if (!dc_json_key(j, &key, &more, err)) return false;
    if (!more) return true;
    if (!walk(j, err)) return false;
  }
}


static bool walk_array (dc_json *j, dc_error *err) {
  bool more;
  if (!dc_json_array(j, err)) return false;
  for (;;) {
    if (!dc_json_item(j, &more, err)) return false;
    if (!more) return true;
    if (!walk(j, err)) return false;
  }
}


/* Containers are at most DC_JSON_DEPTH deep, so this recursion is, too. */
static bool walk (dc_json *j, dc_error *err) {
  bool flag;
  switch (dc_json_peek(j)) {
    case '{': return walk_object(j, err);
    case '[': return walk_array(j, err);
    case '"': return walk_string(j, err);
    case 't': case 'f': return dc_json_bool(j, &flag, err);
    default: return dc_json_skip(j, err);
  }
}


int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t size) {
  dc_error err;
  dc_json walked, skipped;
  dc_json_init(&walked, (const char *)bytes, size);
  dc_json_init(&skipped, (const char *)bytes, size);
  bool a = walk(&walked, &err) && dc_json_end(&walked, &err);
  bool b = dc_json_skip(&skipped, &err) && dc_json_end(&skipped, &err);
  if (a != b) abort();
  return 0;
}
