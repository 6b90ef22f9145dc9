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
} dc_encoding;

bool dc_encoding_add (dc_encoding *e, dc_span span, dc_error *err);
void dc_encoding_free (dc_encoding *e);

#endif
