/*
** convert.h: a tensor's rows from one element type to another, a block of rows
** at a time, so that converting a model takes the memory of a few rows. The
** rows of a block are shared out among threads.
**
** On the way the elements may be put into another order, and a constant may be
** added. Every reordering that checkpoints need is one and the same: the
** tensor is seen as [outer, a, b, inner], and the two middle axes change
** places. [in, out] becomes [out, in] with a = in, b = out, inner = 1; the two
** halves of each head interleave (for RoPE on neighbours) with a = 2,
** b = d_head / 2, inner = the row; [head, q|k|v, ...] becomes
** [q|k|v, head, ...] with a = heads, b = 3.
*/
#ifndef DC_CONVERT_H
#define DC_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

/* [outer, a, b, inner] -> [outer, b, a, inner]; a = 0: as it is. */
typedef struct dc_swap {
  size_t a, b, inner;
} dc_swap;

typedef struct dc_conversion {
  uint32_t to, from;  /* a type that is written; one that is read */
  const void *data;   /* [n_rows, n] of type `from`, not aligned */
  size_t n, n_rows;
  dc_swap swap;       /* only if `from` is f32, f16 or bf16 */
  float plus;         /* is added to every element */
} dc_conversion;

/* Whether tensors of the type can be converted, or made, here. */
bool dc_convert_reads (uint32_t type);
bool dc_convert_writes (uint32_t type);

/* Whether a * b * inner divides n_elements. */
bool dc_swap_fits (const dc_swap *swap, size_t n_elements);

/* Takes the converted rows, `size` bytes at a time, in order. */
typedef bool (*dc_convert_sink) (void *sink, const void *block, size_t size,
                                 dc_error *err);

/* A number that is not finite, or too large for the type, is an error: it
   would become an infinity that shows up far from here. */
bool dc_convert_rows (const dc_conversion *rows, dc_convert_sink write,
                      void *sink, dc_error *err);

#endif
