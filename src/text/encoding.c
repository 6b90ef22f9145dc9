/* encoding.c: see encoding.h. */
#include "text/encoding.h"

#include "base/memory.h"


bool dc_encoding_add (dc_encoding *e, dc_span span, dc_error *err) {
  if (e->n == e->capacity) {
    dc_span *room = dc_grow(e->spans, &e->capacity, e->n + 1, sizeof span);
    if (room == NULL) return dc_no_memory(err);
    e->spans = room;
  }
  e->spans[e->n++] = span;
  return true;
}


void dc_encoding_free (dc_encoding *e) {
  dc_buffer_free(&e->text);
  dc_free(e->spans);
  *e = (dc_encoding){0};
}
