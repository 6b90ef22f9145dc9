/* vocab.c: see vocab.h. */
#include "text/vocab.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "text/buffer.h"


bool dc_vocab_init (dc_vocab *v, size_t n, dc_error *err) {
  if (n > INT32_MAX)
    return dc_fail(err, "%zu pieces, ids end at %d", n, INT32_MAX);
  v->pieces = dc_alloc_array(n, sizeof *v->pieces);
  v->sorted = dc_alloc_array(n, sizeof *v->sorted);
  v->n = n;
  return (v->pieces != NULL && v->sorted != NULL) || dc_no_memory(err);
}


void dc_vocab_free (dc_vocab *v) {
  dc_free(v->pieces);
  dc_free(v->sorted);
  *v = (dc_vocab){0};
}


static int compare (dc_string a, dc_string b) {
  size_t shorter = a.size < b.size ? a.size : b.size;
  int order = shorter > 0 ? memcmp(a.data, b.data, shorter) : 0;
  return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}


/* Equal texts: by id, so that the message below is the same everywhere. */
static int compare_entries (const void *left, const void *right) {
  const dc_entry *a = left, *b = right;
  int order = compare(a->text, b->text);
  return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}


static bool check_sizes (const dc_vocab *v, dc_error *err) {
  for (size_t i = 0; i < v->n; i++) {
    size_t size = v->pieces[i].text.size;
    if (size == 0) return dc_fail(err, "piece %zu is empty", i);
    if (size > DC_MAX_PIECE)
      return dc_fail(err, "piece %zu has %zu bytes, the limit is %d", i, size,
                     DC_MAX_PIECE);
  }
  return true;
}


bool dc_vocab_index (dc_vocab *v, dc_error *err) {
  if (!check_sizes(v, err)) return false;
  for (size_t i = 0; i < v->n; i++)
    v->sorted[i] = (dc_entry){v->pieces[i].text, (int32_t)i};
  qsort(v->sorted, v->n, sizeof *v->sorted, compare_entries);
  for (size_t i = 1; i < v->n; i++) {
    const dc_entry *a = &v->sorted[i - 1], *b = &v->sorted[i];
    if (dc_string_equal(a->text, b->text))
      return dc_fail(err, "pieces %d and %d are both \"%.*s\"", (int)a->id,
                     (int)b->id, DC_SHOWN(a->text));
  }
  return true;
}


int32_t dc_vocab_find (const dc_vocab *v, dc_string text) {
  size_t low = 0, high = v->n;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = compare(v->sorted[middle].text, text);
    if (order == 0) return v->sorted[middle].id;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return -1;
}
