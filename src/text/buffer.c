/* buffer.c: see buffer.h. */
#include "text/buffer.h"

#include <string.h>

#include "base/memory.h"
#include "base/size.h"


bool dc_no_memory (dc_error *err) {
  return dc_fail(err, "not enough memory");
}


void *dc_grow (void *block, size_t *capacity, size_t needed, size_t item) {
  size_t wanted, bytes;
  if (block != NULL && needed <= *capacity) return block;
  if (!dc_size_mul(*capacity, 2, &wanted)) return NULL;
  if (wanted < 16) wanted = 16;
  if (wanted < needed) wanted = needed;
  if (!dc_size_mul(wanted, item, &bytes)) return NULL;
  void *bigger = dc_realloc(block, bytes);
  if (bigger != NULL) *capacity = wanted;
  return bigger;
}


bool dc_buffer_add (dc_buffer *b, const char *data, size_t size,
                    dc_error *err) {
  size_t needed;
  if (size == 0) return true;
  if (!dc_size_add(b->size, size, &needed)) return dc_no_memory(err);
  char *room = dc_grow(b->data, &b->capacity, needed, 1);
  if (room == NULL) return dc_no_memory(err);
  memcpy(room + b->size, data, size);
  b->data = room;
  b->size = needed;
  return true;
}


void dc_buffer_drop (dc_buffer *b, size_t n) {
  if (n == 0) return;
  memmove(b->data, b->data + n, b->size - n);
  b->size -= n;
}


void dc_buffer_free (dc_buffer *b) {
  dc_free(b->data);
  *b = (dc_buffer){0};
}
