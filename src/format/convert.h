/*
** convert.h: a tensor's rows from one element type to another, a block of rows
** at a time, so that converting a model takes the memory of a few rows.
*/
#ifndef DC_CONVERT_H
#define DC_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

typedef struct dc_conversion {
  uint32_t to, from;  /* f32, f16 or q8_0; f32, f16 or bf16 */
  const void *data;   /* [n_rows, n] of type `from`, not aligned */
  size_t n, n_rows;
} dc_conversion;

/* Takes the converted rows, `size` bytes at a time, in order. */
typedef bool (*dc_convert_sink) (void *sink, const void *block, size_t size,
                                 dc_error *err);

/* A number that is not finite, or too large for the type, is an error: it
   would become an infinity that shows up far from here. */
bool dc_convert_rows (const dc_conversion *rows, dc_convert_sink write,
                      void *sink, dc_error *err);

#endif
