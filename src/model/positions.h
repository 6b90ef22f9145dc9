/*
** positions.h: tables of sines and cosines by position, which are added to the
** embeddings (sinusoids) or turn queries and keys (RoPE, Su et al. 2021), and
** T5's biases by distance.
**
** A context that a file merely declares costs nothing: rows are computed when
** their positions are first reached.
*/
#ifndef DC_POSITIONS_H
#define DC_POSITIONS_H

#include "model/hparams.h"

#define DC_NO_ROW SIZE_MAX

/* Row `pos`: magnitude * sin(pos * rate[j]) in column j < n_rates, the cosine
   in column n_rates + j; a column that is left over is 0. */
typedef struct dc_table {
  double *rates;        /* [n_rates] */
  size_t n_rates, columns;
  double magnitude;
  size_t silent;        /* a row of zeros, or DC_NO_ROW */
  float *rows;          /* [n, columns] */
  size_t n;
} dc_table;

/* "Attention is all you need", with the columns in Marian's order; or m2m100's
   other rates, and zeros for its pad. */
bool dc_table_of_sinusoids (dc_table *t, const dc_hparams *hp);

/* RoPE with the base and scaling of the layers that see all, or those of the
   windowed ones. factors [dims / 2] divide the rates; NULL: they are 1. */
bool dc_table_of_rope (dc_table *t, const dc_hparams *hp, bool windowed,
                       const float *factors);

/* Makes rows 0..n-1 ready. False when memory is short. */
bool dc_table_reserve (dc_table *t, size_t n);
void dc_table_free (dc_table *t);

/* T5: which of the biases stands for a key `distance` positions behind the
   query (in front of it: negative). */
uint32_t dc_relative_bucket (const dc_hparams *hp, int64_t distance,
                             bool both_ways);

#endif
