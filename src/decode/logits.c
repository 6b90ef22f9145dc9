/*
** logits.c: see logits.h. Probabilities are float32, sums of them double and
** rounded to float32 where they are compared: that is what the thresholds of
** transformers on PyTorch do, and 0.2 <= 1 - 0.8 depends on it.
*/
#include "decode/logits.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "decode/select.h"
#include "math/functions.h"
#include "math/kernels.h"

#define TOP_H_TOKENS 100


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


/* The same for a filter, which leaves a row alone that is nothing but -inf,
   or holds a +inf: then *any is false. */
static bool distribution (const dc_logits *row, bool *any, dc_error *err) {
  if (!dc_logits_check(row, err)) return false;
  *any = fabsf(dc_kernels_get()->max(row->x, row->n)) < INFINITY;
  return !*any || dc_logits_probabilities(row, err);
}


bool dc_logits_softmax (const dc_logits *row, dc_error *err) {
  if (!dc_logits_probabilities(row, err)) return false;
  memcpy(row->x, row->a, row->n * sizeof *row->x);
  return true;
}


bool dc_logits_log_softmax (const dc_logits *row, dc_error *err) {
  float max;
  if (!highest(row, &max, err)) return false;
  const dc_kernels *k = dc_kernels_get();
  if (max < INFINITY) {
    k->log_softmax(row->x, row->n);
    return true;
  }
  bool fine = dc_logits_softmax(row, err);
  k->log(row->x, row->x, row->n);
  return fine;
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


void dc_logits_temperature (const dc_logits *row, float t) {
  const dc_kernels *k = dc_kernels_get();
  float max = k->max(row->x, row->n);
  if (t < FLT_MIN) t = FLT_MIN;
  if (fabsf(max) < INFINITY && fabsf(max / t) == INFINITY)
    k->shift(row->x, row->x, -max, row->n);
  for (size_t i = 0; i < row->n; i++) row->x[i] /= t;
}


bool dc_logits_top_k (const dc_logits *row, size_t k, dc_error *err) {
  if (!dc_logits_check(row, err)) return false;
  if (k >= row->n) return true;
  dc_select_top(row->ids, k, row->x, row->n);
  float limit = row->x[row->ids[k - 1]];
  for (size_t i = 0; i < row->n; i++)
    if (row->x[i] < limit) row->x[i] = -INFINITY;
  return true;
}


void dc_logits_keep (const dc_logits *row, const int32_t *ids, size_t n_ids) {
  for (size_t i = 0; i < n_ids; i++) row->a[ids[i]] = row->x[ids[i]];
  for (size_t i = 0; i < row->n; i++) row->x[i] = -INFINITY;
  for (size_t i = 0; i < n_ids; i++) row->x[ids[i]] = row->a[ids[i]];
}


/* The best tokens that a filter must not ban: chosen by order[n] before it,
   written back after it. */
typedef struct spared {
  size_t count;  /* their ids are in row->ids */
  float *x;      /* their logits: scratch that the filter does not use */
} spared;

static spared spare (const dc_logits *row, const float *order, size_t keep,
                     float *saved) {
  spared best = {keep < row->n ? keep : row->n, saved};
  dc_select_top(row->ids, best.count, order, row->n);
  for (size_t i = 0; i < best.count; i++) saved[i] = row->x[row->ids[i]];
  return best;
}

static void write_back (const dc_logits *row, spared best) {
  for (size_t i = 0; i < best.count; i++) row->x[row->ids[i]] = best.x[i];
}


/* Bans x below `limit` and all but the first `ties` of those equal to it. */
static void cut (const dc_logits *row, float limit, size_t ties) {
  for (size_t i = 0; i < row->n; i++) {
    if (row->x[i] > limit) continue;
    if (row->x[i] == limit && ties > 0)
      ties--;
    else
      row->x[i] = -INFINITY;
  }
}


/* How many of the tokens that tie at `point` stay: they are banned one by
   one, highest id first, while the sum does not pass the limit. */
static size_t surviving_ties (const dc_logits *row, dc_mass_point point,
                              float limit) {
  size_t ties = 0;
  double sum = point.below;
  for (size_t i = 0; i < row->n; i++) ties += row->x[i] == point.key;
  float p = row->a[first_equal(row, point.key)];
  while (ties > 1 && (float)(sum += p) <= limit) ties--;
  return ties;
}


bool dc_logits_top_p (const dc_logits *row, double p, size_t keep,
                      dc_error *err) {
  bool any;
  if (!distribution(row, &any, err)) return false;
  if (!any || p >= 1) return true;
  dc_mass_point point;
  float limit = (float)(1 - p);
  spared best = spare(row, row->x, keep, row->b);
  if (dc_find_mass(&point, row->x, row->a, row->n, limit, DC_ABOVE))
    cut(row, point.key, surviving_ties(row, point, limit));
  else
    cut(row, INFINITY, 0);
  write_back(row, best);
  return true;
}


/* Bans probabilities (row->a) below `limit`. */
static void cut_probabilities (const dc_logits *row, float limit) {
  for (size_t i = 0; i < row->n; i++)
    if (row->a[i] < limit) row->x[i] = -INFINITY;
}


bool dc_logits_min_p (const dc_logits *row, float m, size_t keep,
                      dc_error *err) {
  bool any;
  if (!distribution(row, &any, err)) return false;
  if (!any) return true;
  spared best = spare(row, row->a, keep, row->b);
  cut_probabilities(row, m * row->a[row->ids[0]]);
  write_back(row, best);
  return true;
}


/* -sum of p log p over the row; p in row->a. */
static double entropy (const dc_logits *row) {
  double sum = 0;
  for (size_t i = 0; i < row->n; i++)
    if (row->a[i] > 0) sum -= row->a[i] * dc_log(row->a[i]);
  return sum;
}


bool dc_logits_typical (const dc_logits *row, float mass, size_t keep,
                        dc_error *err) {
  bool any;
  if (!distribution(row, &any, err)) return false;
  if (!any) return true;
  float h = (float)entropy(row), *distance = row->b;
  memcpy(distance, row->x, row->n * sizeof *distance);
  dc_kernels_get()->log_softmax(distance, row->n);
  for (size_t i = 0; i < row->n; i++) distance[i] = fabsf(-distance[i] - h);
  dc_mass_point point;
  if (!dc_find_mass(&point, distance, row->a, row->n, mass, DC_AT_LEAST))
    return true;
  for (size_t i = 0; i < row->n; i++) distance[i] = -distance[i];
  spared best = spare(row, distance, keep, row->a);
  for (size_t i = 0; i < row->n; i++)
    if (-distance[i] > point.key) row->x[i] = -INFINITY;
  write_back(row, best);
  return true;
}


/* Entropy terms of the `count` best, best first, in terms[count]; returns
   their sum. Probabilities are relative to these tokens alone. */
static double entropy_terms (const dc_logits *row, size_t count,
                             double *terms) {
  double total = 0, sum = 0;
  float max = row->x[row->ids[0]];
  for (size_t i = 0; i < count; i++)
    total += terms[i] = dc_exp((double)row->x[row->ids[i]] - max);
  for (size_t i = 0; i < count; i++) {
    double p = terms[i] / total;
    terms[i] = p > 0 ? -p * dc_log(p) : 0;
    sum += terms[i];
  }
  return sum;
}


bool dc_logits_top_h (const dc_logits *row, double h, dc_error *err) {
  bool any;
  if (!distribution(row, &any, err)) return false;
  if (!any) return true;
  double terms[TOP_H_TOKENS], sum = 0;
  size_t count = row->n < TOP_H_TOKENS ? row->n : TOP_H_TOKENS, kept = 0;
  dc_select_top(row->ids, count, row->x, row->n);
  float limit = (float)(h * (float)entropy_terms(row, count, terms));
  do
    sum += terms[kept++];
  while (kept < count && (float)(sum + terms[kept]) <= limit);
  dc_logits_keep(row, row->ids, kept);
  return true;
}


/* Bans p < limit unless x is at least the keep-th highest. */
static void cut_but_best (const dc_logits *row, float limit, size_t keep) {
  size_t count = keep < row->n ? keep : row->n;
  dc_select_top(row->ids, count, row->x, row->n);
  float worst_kept = row->x[row->ids[count - 1]];
  for (size_t i = 0; i < row->n; i++)
    if (row->a[i] < limit && row->x[i] < worst_kept) row->x[i] = -INFINITY;
}


bool dc_logits_epsilon (const dc_logits *row, float e, size_t keep,
                        dc_error *err) {
  bool any;
  if (!distribution(row, &any, err)) return false;
  if (any) cut_but_best(row, e, keep);
  return true;
}


bool dc_logits_eta (const dc_logits *row, double e, size_t keep,
                    dc_error *err) {
  bool any;
  if (!distribution(row, &any, err)) return false;
  if (!any) return true;
  double adaptive = dc_sqrt(e) * dc_exp(-entropy(row));
  cut_but_best(row, (float)(adaptive < e ? adaptive : e), keep);
  return true;
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
                      dc_error *err) {
  dc_logits unconditional = *row;
  unconditional.x = other;
  if (!dc_logits_log_softmax(row, err) ||
      !dc_logits_log_softmax(&unconditional, err))
    return false;
  for (size_t i = 0; i < row->n; i++)
    if (row->x[i] > -INFINITY && other[i] > -INFINITY)
      row->x[i] = scale * (row->x[i] - other[i]) + other[i];
  return true;
}
