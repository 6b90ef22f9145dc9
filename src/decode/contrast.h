/*
** contrast.h: two rows of log-probabilities against each other, for DoLa
** (Chuang et al. 2023): how far an early exit is from the last layer, and what
** the last layer adds to it.
*/
#ifndef DC_CONTRAST_H
#define DC_CONTRAST_H

#include <stddef.h>

/* The Jensen-Shannon divergence of the distributions exp(a) and exp(b), as the
   mean over their n entries (transformers' choice; the sum is n times that).
   room: scratch, [2 * n]. */
double dc_divergence (const float *a, const float *b, size_t n, float *room);

/* x = x - base where x is at least max(x) + log(share). What lies below is out:
   it keeps its order, but 1e5 below where it was, so that it is chosen only
   where processors ban all that is not. */
void dc_contrast (float *x, const float *base, size_t n, float share);

#endif
