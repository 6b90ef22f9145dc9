/*
** buffer.h: bytes that grow. Zeroed is empty; adding is amortised O(1).
*/
#ifndef DC_BUFFER_H
#define DC_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fail.h"
#include "base/string.h"

typedef struct dc_buffer {
  char *data;       /* [capacity], the first `size` are in use */
  size_t size, capacity;
} dc_buffer;

bool dc_buffer_add (dc_buffer *b, const char *data, size_t size,
                    dc_error *err);

/* What is in it, until it changes. */
static inline dc_string dc_buffer_string (const dc_buffer *b) {
  return (dc_string){b->size > 0 ? b->data : "", b->size};
}

/* Drops the first n bytes. */
void dc_buffer_drop (dc_buffer *b, size_t n);

void dc_buffer_free (dc_buffer *b);

/* Room for `needed` items of `item` bytes: the block itself or a larger one
   with the same content; NULL when memory is short (the old one is whole). */
void *dc_grow (void *block, size_t *capacity, size_t needed, size_t item);

/* Fails with the one sentence for it. */
bool dc_no_memory (dc_error *err);

#endif
