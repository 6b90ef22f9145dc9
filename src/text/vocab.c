/* vocab.c: see vocab.h. */
#include "text/vocab.h"

#include "base/memory.h"
#include "text/buffer.h"


bool dc_vocab_init (dc_vocab *v, size_t n, dc_error *err) {
  if (n > INT32_MAX)
    return dc_fail(err, "%zu pieces, ids end at %d", n, INT32_MAX);
  v->pieces = dc_alloc_array(n, sizeof *v->pieces);
  v->n = n;
  return v->pieces != NULL || dc_no_memory(err);
}


void dc_vocab_free (dc_vocab *v) {
  dc_free(v->pieces);
  dc_names_free(&v->index);
  *v = (dc_vocab){0};
}


static bool check_size (const dc_vocab *v, size_t id, dc_error *err) {
  size_t size = v->pieces[id].text.size;
  if (size == 0) return dc_fail(err, "piece %zu is empty", id);
  if (size > DC_MAX_PIECE)
    return dc_fail(err, "piece %zu has %zu bytes, the limit is %d", id, size,
                   DC_MAX_PIECE);
  return true;
}


/* Why the piece could not be added: it is there already, or the index says
   what else is wrong with it. */
static bool refuse (const dc_vocab *v, size_t id, dc_error *err) {
  dc_string text = v->pieces[id].text;
  size_t other = dc_names_find(&v->index, text);
  if (other == DC_NO_NAME)
    return dc_fail(err, "piece %zu (\"%.*s\") is one of many that were made "
                   "to collide", id, DC_SHOWN(text));
  return dc_fail(err, "pieces %zu and %zu are both \"%.*s\"", other, id,
                 DC_SHOWN(text));
}


bool dc_vocab_index (dc_vocab *v, dc_error *err) {
  if (!dc_names_reserve(&v->index, v->n, err)) return false;
  for (size_t id = 0; id < v->n; id++) {
    if (!check_size(v, id, err)) return false;
    if (!dc_names_add(&v->index, v->pieces[id].text, id, NULL))
      return refuse(v, id, err);
  }
  return true;
}


int32_t dc_vocab_find (const dc_vocab *v, dc_string text) {
  size_t id = dc_names_find(&v->index, text);
  return id == DC_NO_NAME ? -1 : (int32_t)id;
}


size_t dc_vocab_bytes (const dc_vocab *v) {
  size_t slots = v->index.slots != NULL ? v->index.mask + 1 : 0;
  return v->n * sizeof(dc_piece) + slots * 3 * sizeof(size_t);
}
