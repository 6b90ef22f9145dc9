/*
** logits.c: see logits.h. How a token is chosen, and what changes scores
** without banning any by their rank; that is in filters.c.
*/
#include "decode/logits.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "decode/select.h"
#include "math/functions.h"
#include "math/kernels.h"

static bool nothing_allowed (dc_error *err) {
  return dc_fail(err, "no token is allowed: every logit is -inf");
}


bool dc_logits_check (const dc_logits *row, dc_error *err) {
  if (!dc_kernels_get()->has_nan(row->x, row->n)) return true;
  size_t id = 0;
  while (!isnan(row->x[id])) id++;
  return dc_fail(err, "the logit of id %zu is NaN", id);
}


/* Highest logit; false when there is a NaN or no token is allowed. */
static bool highest (const dc_logits *row, float *max, dc_error *err) {
  if (!dc_logits_check(row, err)) return false;
  *max = dc_kernels_get()->max(row->x, row->n);
  return *max > -INFINITY || nothing_allowed(err);
}


static size_t first_equal (const dc_logits *row, float value) {
  size_t id = 0;
  while (row->x[id] != value) id++;
  return id;
}


bool dc_logits_argmax (const dc_logits *row, size_t *id, dc_error *err) {
  float max;
  if (!highest(row, &max, err)) return false;
  *id = first_equal(row, max);
  return true;
}


bool dc_logits_probabilities (const dc_logits *row, dc_error *err) {
  float max;
  if (!highest(row, &max, err)) return false;
  if (max == INFINITY) {
    memset(row->a, 0, row->n * sizeof *row->a);
    row->a[first_equal(row, max)] = 1;
    return true;
  }
  memcpy(row->a, row->x, row->n * sizeof *row->a);
  dc_kernels_get()->softmax(row->a, row->n);
  return true;
}


bool dc_logits_softmax (const dc_logits *row, dc_error *err) {
  if (!dc_logits_probabilities(row, err)) return false;
  memcpy(row->x, row->a, row->n * sizeof *row->x);
  return true;
}


bool dc_logits_log_softmax (const dc_logits *row, dc_error *err) {
  float max;
  if (!highest(row, &max, err)) return false;
  if (max < INFINITY) {
    dc_kernels_get()->log_softmax(row->x, row->n);
    return true;
  }
  size_t id = first_equal(row, max);
  for (size_t i = 0; i < row->n; i++) row->x[i] = i == id ? 0 : -INFINITY;
  return true;
}


bool dc_logits_log_probability (const dc_logits *row, size_t id,
                                float *logprob, dc_error *err) {
  float max, log_sum;
  if (!highest(row, &max, err)) return false;
  if (max == INFINITY) {
    *logprob = id == first_equal(row, max) ? 0 : -INFINITY;
    return true;
  }
  const dc_kernels *k = dc_kernels_get();
  log_sum = k->sum_exp(row->x, max, row->n);
  k->log(&log_sum, &log_sum, 1);
  *logprob = row->x[id] - max - log_sum;
  return true;
}


bool dc_logits_draw (const dc_logits *row, double u, size_t *id,
                     float *probability, dc_error *err) {
  if (!dc_logits_probabilities(row, err)) return false;
  const float *p = row->a;
  double total = 0, sum = 0;
  for (size_t i = 0; i < row->n; i++) total += p[i];
  for (size_t i = 0; i < row->n; i++) {
    if (p[i] == 0) continue;
    *id = i;  /* rounding may leave the last one for u close to 1 */
    sum += p[i];
    if (u * total < sum) break;
  }
  *probability = p[*id];
  return true;
}


bool dc_logits_top (const dc_logits *row, size_t *count, dc_error *err) {
  if (!dc_logits_probabilities(row, err)) return false;
  if (*count > row->n) *count = row->n;
  dc_select_top(row->ids, *count, row->x, row->n);
  while (*count > 0 && row->x[row->ids[*count - 1]] == -INFINITY)
    (*count)--;
  return true;
}


#define BLOCK 256  /* divisors at hand for one call of the kernel */

void dc_logits_temperature (const dc_logits *row, float t) {
  const dc_kernels *k = dc_kernels_get();
  float max = k->max(row->x, row->n), divisors[BLOCK];
  if (t < FLT_MIN) t = FLT_MIN;
  if (fabsf(max) < INFINITY && fabsf(max / t) == INFINITY)
    k->shift(row->x, row->x, -max, row->n);
  for (size_t i = 0; i < BLOCK; i++) divisors[i] = t;
  for (size_t i = 0; i < row->n; i += BLOCK) {
    size_t n = row->n - i < BLOCK ? row->n - i : BLOCK;
    k->div(row->x + i, row->x + i, divisors, n);
  }
}


void dc_logits_keep (const dc_logits *row, const int32_t *ids, size_t n_ids) {
  for (size_t i = 0; i < n_ids; i++) row->a[ids[i]] = row->x[ids[i]];
  for (size_t i = 0; i < row->n; i++) row->x[i] = -INFINITY;
  for (size_t i = 0; i < n_ids; i++) row->x[ids[i]] = row->a[ids[i]];
}


void dc_logits_penalize (const dc_logits *row, float p, const int32_t *ids,
                         size_t n_ids) {
  for (size_t i = 0; i < n_ids; i++)
    if ((size_t)ids[i] < row->n) row->a[ids[i]] = row->x[ids[i]];
  for (size_t i = 0; i < n_ids; i++) {
    if ((size_t)ids[i] >= row->n) continue;
    float x = row->a[ids[i]];  /* as it was: an id may come many times */
    row->x[ids[i]] = x < 0 ? x * p : x / p;
  }
}


bool dc_logits_guide (const dc_logits *row, float *other, float scale,
                      dc_guidance how, dc_error *err) {
  dc_logits unconditional = *row;
  unconditional.x = other;
  if (!dc_logits_check(row, err) || !dc_logits_check(&unconditional, err))
    return false;
  if (how == DC_GUIDE_LOG_PROBABILITIES &&
      (!dc_logits_log_softmax(row, err) ||
       !dc_logits_log_softmax(&unconditional, err)))
    return false;
  for (size_t i = 0; i < row->n; i++) {
    float c = row->x[i], u = other[i];
    if (c == -INFINITY || u == -INFINITY) continue;
    row->x[i] = scale * (c - u) + (how == DC_GUIDE_BEYOND ? c : u);
    if (!(row->x[i] < INFINITY))
      return dc_fail(err, "the score of id %zu becomes %g with a "
                     "guidance_scale of %g", i, (double)row->x[i],
                     (double)scale);
  }
  return true;
}
