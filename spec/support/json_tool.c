/*
** json_tool.c: src/format/json.c on standard input, for json_spec.lua.
** Argument: skip (any value), object, array, string, uint, int, number or bool;
** the value and nothing else must be there. Prints what was read, or "error: "
** and the message.
*/
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/json.h"


static void print_text (const dc_json_text *text) {
  char *plain = malloc(text->size + 1);
  char *end = dc_json_copy(text, plain);
  fwrite(plain, 1, (size_t)(end - plain), stdout);
  printf("|%zu%s%s\n", text->size, text->plain ? " plain" : "",
         text->has_nul ? " nul" : "");
  free(plain);
}


/* An object of integers, as a vocabulary; an array of them. */
static bool run_container (dc_json *j, bool object, dc_error *err) {
  dc_json_text key;
  int64_t n;
  bool more, ok = object ? dc_json_object(j, err) : dc_json_array(j, err);
  while (ok && (ok = object ? dc_json_key(j, &key, &more, err)
                            : dc_json_item(j, &more, err)) && more) {
    ok = dc_json_int(j, &n, err);
    if (ok && object) print_text(&key);
    if (ok) printf("%" PRId64 "\n", n);
  }
  return ok;
}


static bool run (const char *what, dc_json *j, dc_error *err) {
  dc_json_text text;
  uint64_t u;
  int64_t i;
  double d;
  bool b;
  if (!strcmp(what, "object")) return run_container(j, true, err);
  if (!strcmp(what, "array")) return run_container(j, false, err);
  if (!strcmp(what, "string"))
    return dc_json_string(j, &text, err) && (print_text(&text), true);
  if (!strcmp(what, "uint"))
    return dc_json_uint(j, &u, err) && printf("%" PRIu64 "\n", u) > 0;
  if (!strcmp(what, "int"))
    return dc_json_int(j, &i, err) && printf("%" PRId64 "\n", i) > 0;
  if (!strcmp(what, "number"))
    return dc_json_number(j, &d, err) && printf("%a\n", d) > 0;
  if (!strcmp(what, "bool"))
    return dc_json_bool(j, &b, err) && printf("%d\n", b) > 0;
  return dc_json_skip(j, err) && printf("ok\n") > 0;
}


int main (int argc, char **argv) {
  size_t size = 0, room = 1 << 16, n;
  char *text = malloc(room);
  while ((n = fread(text + size, 1, room - size, stdin)) > 0) {
    size += n;
    if (size == room) text = realloc(text, room *= 2);
  }
  char *exact = malloc(size > 0 ? size : 1);  /* a sanitizer sees byte n + 1 */
  memcpy(exact, text, size);
  dc_json j;
  dc_error err;
  dc_json_init(&j, exact, size);
  if (argc == 3) j.longest = (size_t)atoi(argv[2]);
  if (!run(argv[argc > 1], &j, &err) || !dc_json_end(&j, &err))
    printf("error: %s\n", err.text);
  free(text);
  free(exact);
  return 0;
}
