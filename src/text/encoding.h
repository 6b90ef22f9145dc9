/*
** encoding.h: what encoding a text fills: the text as the model sees it, and
** the tokens with the stretch of it that each one stands for.
*/
#ifndef DC_ENCODING_H
#define DC_ENCODING_H

#include <stdint.h>

#include "text/buffer.h"

typedef struct dc_span {
  size_t start, size;
  int32_t id;
  bool verbatim;     /* shown as these bytes, not as the piece of the id */
} dc_span;

typedef struct dc_encoding {
  dc_buffer text;    /* normalised, what the spans point into */
  dc_span *spans;    /* [n] */
  size_t n, capacity;
  void *work;        /* room that an algorithm needs while it runs */
  size_t room;
} dc_encoding;

bool dc_encoding_add (dc_encoding *e, dc_span span, dc_error *err);
/* Zeroed room for n items; until the next call. NULL: memory is short. */
void *dc_encoding_work (dc_encoding *e, size_t n, size_t item);

/* No tokens and no text, the memory stays for the next one. */
void dc_encoding_clear (dc_encoding *e);

/* Bytes that it holds. */
size_t dc_encoding_bytes (const dc_encoding *e);

void dc_encoding_free (dc_encoding *e);

#endif
