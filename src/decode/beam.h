/*
** beam.h: the step of beam search that looks at every token of every beam:
** the best continuations, or draws among them without replacement.
**
** The score of a continuation is the beam's score plus the row's value, added
** in double. A beam at -INFINITY and a token at -INFINITY are no candidates.
*/
#ifndef DC_BEAM_H
#define DC_BEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "math/rng.h"

typedef struct dc_candidate {
  double score;
  int32_t row, id;  /* both from 0 */
} dc_candidate;

/* The log-probabilities of all beams and their scores so far. */
typedef struct dc_beams {
  const float **x;       /* [rows] pointers to [vocab] floats */
  const double *scores;  /* [rows] */
  size_t rows, vocab;
} dc_beams;

/* The best *n candidates, best first, ties by lower row, then lower id; *n is
   cut to how many there are. Fails on a NaN and when there are none. */
bool dc_beam_top (const dc_beams *beams, dc_candidate *out, size_t *n,
                  dc_error *err);

/* *n draws from the softmax over all candidates, without replacement, in the
   order drawn (the order of an exponential race has the same distribution).
   Uses one uniform number each. `weights`: scratch, [rows * vocab]; `sums`:
   scratch, [rows]. */
bool dc_beam_draw (const dc_beams *beams, dc_candidate *out, size_t *n,
                   dc_rng *rng, float *weights, double *sums, dc_error *err);

#endif
