/*
** linear.h: weights times activations, y = W x + b.
**
** Weights stay where they lie in the file, in their type; quantised ones may
** have a copy in panels beside them, which gives the same bits. Quantised
** weights meet activations that are quantised to blocks of 32 too, once per
** product; f32, f16 and bf16 weights meet the floats. Every output element is
** one sum in the order of kernels.h, so neither the threads nor the number of
** rows shows.
*/
#ifndef DC_LINEAR_H
#define DC_LINEAR_H

#include <stdbool.h>
#include <stddef.h>

#include "math/kernels.h"

typedef struct dc_matrix {
  const void *data;  /* [rows] rows of row_bytes */
  dc_type type;
  size_t rows, cols, row_bytes;
  const uint8_t *packed;  /* a copy in panels, or NULL */
} dc_matrix;

typedef struct dc_linear {
  dc_matrix weight;   /* [outputs, inputs] */
  const float *bias;  /* [outputs] or NULL */
} dc_linear;

/* Room for the quantised form of some rows of activations. */
typedef struct dc_scratch {
  dc_q8_inputs *x;  /* [max] */
  size_t max;
} dc_scratch;

/* Makes room for n rows of d values; false when memory is short. */
bool dc_scratch_reserve (dc_scratch *scratch, size_t n, size_t d);
void dc_scratch_free (dc_scratch *scratch);

/* out[i] = W x[i] + b for n rows; x is [n, W.cols], out [n, W.rows]. */
void dc_linear_apply (const dc_linear *w, float *out, const float *x, size_t n,
                      dc_scratch *scratch, int threads);

/* Several of them over the same x in one pass (queries, keys and values). */
void dc_linear_apply_all (const dc_linear *const *w, float *const *out,
                          size_t count, const float *x, size_t n,
                          dc_scratch *scratch, int threads);

/* What follows the product, element by element, for the outputs begin..end of
   all n rows: whoever made them does it while they are in his cache. */
typedef void dc_then (void *context, size_t begin, size_t end);

/* The same with something to follow; all have the same number of outputs, and
   the same ones of all are made together. */
void dc_linear_apply_then (const dc_linear *const *w, float *const *out,
                           size_t count, const float *x, size_t n,
                           dc_scratch *scratch, int threads, dc_then *then,
                           void *context);

#endif
