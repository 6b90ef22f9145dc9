/* encoding.c: see encoding.h. */
#include "text/encoding.h"

#include "base/memory.h"
#include "base/size.h"


bool dc_encoding_add (dc_encoding *e, dc_span span, dc_error *err) {
  if (e->n == e->capacity) {
    dc_span *room = dc_grow(e->spans, &e->capacity, e->n + 1, sizeof span);
    if (room == NULL) return dc_no_memory(err);
    e->spans = room;
  }
  e->spans[e->n++] = span;
  return true;
}


void *dc_encoding_work (dc_encoding *e, size_t n, size_t item) {
  size_t bytes;
  if (!dc_size_mul(n, item, &bytes)) return NULL;
  void *work = dc_grow(e->work, &e->room, bytes, 1);
  if (work == NULL) return NULL;
  e->work = work;
  memset(work, 0, bytes);
  return work;
}


void dc_encoding_clear (dc_encoding *e) {
  e->n = e->text.size = 0;
}


size_t dc_encoding_bytes (const dc_encoding *e) {
  return e->text.capacity + e->capacity * sizeof *e->spans + e->room;
}


void dc_encoding_free (dc_encoding *e) {
  dc_buffer_free(&e->text);
  dc_free(e->spans);
  dc_free(e->work);
  *e = (dc_encoding){0};
}
