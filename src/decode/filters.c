/*
** filters.c: see logits.h. What bans tokens by their rank or probability.
** Probabilities are float32, sums of them double and rounded to float32 where
** they are compared: that is what the thresholds of transformers on PyTorch
** do, and 0.2 <= 1 - 0.8 depends on it.
**
** No filter sorts the vocabulary. Each finds the value at which it cuts (with
** a heap of the best few, or a histogram over the bits of the floats; see
** select.c) and bans what lies beyond in one pass.
*/
#include <float.h>
#include <math.h>
#include <string.h>

#include "decode/logits.h"
#include "decode/select.h"
#include "math/functions.h"
#include "math/kernels.h"

#define TOP_H_TOKENS 100
#define BLOCK 256  /* entries that one look at their maximum may skip */


/* The softmax in row->a. A row that is nothing but -inf, or holds a +inf, has
   nothing to filter: then *any is false. */
static bool distribution (const dc_logits *row, bool *any, dc_error *err) {
  if (!dc_logits_check(row, err)) return false;
  const dc_kernels *k = dc_kernels_get();
  *any = fabsf(k->max(row->x, row->n)) < INFINITY;
  if (!*any) return true;
  memcpy(row->a, row->x, row->n * sizeof *row->a);
  k->softmax(row->a, row->n);
  return true;
}


/* ---- cuts ---- */

/* x, or -INFINITY where `ban`. By bits, for a branch on what is as good as
   random would be mispredicted half of the time. */
static inline float unless (bool ban, float x) {
  uint32_t bits, mask = -(uint32_t)ban;
  memcpy(&bits, &x, sizeof bits);
  bits = (bits & ~mask) | (0xFF800000u & mask);
  memcpy(&x, &bits, sizeof x);
  return x;
}


/* Bans what is below `limit` in key[n], which may be the row itself. */
static void cut (const dc_logits *row, const float *key, float limit) {
  float *x = row->x;
  for (size_t i = 0; i < row->n; i++) x[i] = unless(key[i] < limit, x[i]);
}


/* Bans x == value but for the first `stay` of them. */
static void thin_out (const dc_logits *row, float value, size_t stay) {
  for (size_t i = 0; i < row->n; i++) {
    if (row->x[i] != value) continue;
    if (stay > 0) stay--; else row->x[i] = -INFINITY;
  }
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


/* ---- by rank ---- */

bool dc_logits_top_k (const dc_logits *row, size_t k, dc_error *err) {
  if (!dc_logits_check(row, err)) return false;
  if (k >= row->n) return true;
  cut(row, row->x, dc_select_nth(row->x, row->n, k, row->ids));
  return true;
}


/* How many of the tokens that tie at `point` stay: they are banned one by
   one, highest id first, while the sum does not pass the limit. */
static size_t surviving_ties (dc_mass_point point, float p, float limit) {
  size_t ties = point.ties;
  double sum = point.below;
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
  bool passes = dc_find_mass(&point, row->x, row->a, row->n, limit, DC_ABOVE,
                             row->ids);
  spared best = spare(row, row->x, keep, row->b);
  if (!passes) {
    cut(row, row->x, INFINITY);
  } else {
    size_t stay = surviving_ties(point, row->a[point.first], limit);
    cut(row, row->x, point.key);
    if (stay < point.ties) thin_out(row, point.key, stay);
  }
  write_back(row, best);
  return true;
}


/* ---- by probability ---- */

bool dc_logits_min_p (const dc_logits *row, float m, size_t keep,
                      dc_error *err) {
  bool any;
  if (!distribution(row, &any, err)) return false;
  if (!any) return true;
  spared best = spare(row, row->a, keep, row->b);
  cut(row, row->a, m * row->a[row->ids[0]]);
  write_back(row, best);
  return true;
}


/* Bans p < limit unless x is at least the keep-th highest. */
static void cut_but_best (const dc_logits *row, float limit, size_t keep) {
  size_t count = keep < row->n ? keep : row->n;
  float *x = row->x, *p = row->a;
  float kept = dc_select_nth(x, row->n, count, row->ids);
  for (size_t i = 0; i < row->n; i++)
    x[i] = unless((p[i] < limit) & (x[i] < kept), x[i]);
}


bool dc_logits_epsilon (const dc_logits *row, float e, size_t keep,
                        dc_error *err) {
  bool any;
  if (!distribution(row, &any, err)) return false;
  if (any) cut_but_best(row, e, keep);
  return true;
}


/* Of the tokens of probability t or more (1 / t at most, so whole blocks are
   skipped): bans all but the last in the order of probability, then id. */
bool dc_logits_xtc (const dc_logits *row, float t, size_t keep,
                    dc_error *err) {
  bool any;
  if (!distribution(row, &any, err)) return false;
  if (!any) return true;
  const dc_kernels *k = dc_kernels_get();
  const float *p = row->a;
  size_t n = 0, last = 0, allowed = 0;
  for (size_t start = 0; start < row->n; start += BLOCK) {
    size_t end = row->n - start < BLOCK ? row->n : start + BLOCK;
    if (k->max(p + start, end - start) < t) continue;
    for (size_t i = start; i < end; i++) {
      if (p[i] < t) continue;
      if (n == 0 || p[i] <= p[last]) last = i;
      row->ids[n++] = (int32_t)i;
    }
  }
  for (size_t i = 0; i < row->n; i++) allowed += row->x[i] > -INFINITY;
  if (n < 2 || allowed - (n - 1) < keep) return true;
  for (size_t i = 0; i < n; i++)
    if ((size_t)row->ids[i] != last) row->x[row->ids[i]] = -INFINITY;
  return true;
}


/* ---- by entropy ---- */

#define SUMS 8  /* independent sums: the order is fixed, and none waits */

/* -sum of p log p; p in row->a. row->b: afterwards log p, or log of the
   smallest float where p is 0. */
static double entropy (const dc_logits *row) {
  double sum[SUMS] = {0};
  for (size_t i = 0; i < row->n; i++)
    row->b[i] = row->a[i] > FLT_MIN ? row->a[i] : FLT_MIN;
  dc_kernels_get()->log(row->b, row->b, row->n);
  size_t whole = row->n / SUMS * SUMS;
  for (size_t i = 0; i < whole; i += SUMS)
    for (size_t s = 0; s < SUMS; s++)
      sum[s] -= (double)row->a[i + s] * row->b[i + s];
  for (size_t i = whole; i < row->n; i++)
    sum[0] -= (double)row->a[i] * row->b[i];
  for (size_t s = 1; s < SUMS; s++) sum[0] += sum[s];
  return sum[0];
}


/* The mean of the logits under the probabilities in row->a. */
static double mean_logit (const dc_logits *row) {
  double sum[SUMS] = {0}, mass[SUMS] = {0};
  for (size_t i = 0; i < row->n; i++) {
    if (row->a[i] == 0) continue;  /* a logit of -inf has no share */
    sum[i % SUMS] += (double)row->a[i] * row->x[i];
    mass[i % SUMS] += row->a[i];
  }
  for (size_t s = 1; s < SUMS; s++) {
    sum[0] += sum[s];
    mass[0] += mass[s];
  }
  return sum[0] / mass[0];
}


/* How much more surprising than the average a token is, -log p - H, is what
   its logit x lies below the mean: -log p = l - x and H = l - sum p x for the
   same l, the log of the sum of exp(x). So no error of l can change the order
   of a rare and a frequent token that are equally far from H. */
bool dc_logits_typical (const dc_logits *row, float mass, size_t keep,
                        dc_error *err) {
  bool any;
  if (!distribution(row, &any, err)) return false;
  if (!any) return true;
  float *distance = row->b;
  double mean = mean_logit(row);
  for (size_t i = 0; i < row->n; i++)
    distance[i] = (float)fabs(row->x[i] - mean);
  dc_mass_point point;
  if (!dc_find_mass(&point, distance, row->a, row->n, mass, DC_AT_LEAST,
                    row->ids))
    return true;
  for (size_t i = 0; i < row->n; i++) distance[i] = -distance[i];
  spared best = spare(row, distance, keep, row->a);
  cut(row, distance, -point.key);
  write_back(row, best);
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
  if (!dc_logits_check(row, err)) return false;
  if (fabsf(dc_kernels_get()->max(row->x, row->n)) == INFINITY) return true;
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


bool dc_logits_dynamic_temperature (const dc_logits *row, double low,
                                    double high, double exponent,
                                    dc_error *err) {
  bool any;
  size_t allowed = 0, id;
  if (!distribution(row, &any, err)) return false;
  for (size_t i = 0; i < row->n; i++) allowed += row->x[i] > -INFINITY;
  if (!any || allowed < 2) return true;
  double share = entropy(row) / dc_log((double)allowed);
  double grown = share > 0 ? dc_pow(share, exponent) : exponent == 0;
  double t = low + (high - low) * grown;
  if (t >= FLT_MIN) {
    dc_logits_temperature(row, (float)t);
    return true;
  }
  if (!dc_logits_argmax(row, &id, err)) return false;
  dc_logits_keep(row, &(int32_t){(int32_t)id}, 1);
  return true;
}


/* ---- by the spread of the logits ---- */

bool dc_logits_top_n_sigma (const dc_logits *row, float n, dc_error *err) {
  if (!dc_logits_check(row, err)) return false;
  float max = dc_kernels_get()->max(row->x, row->n);
  if (fabsf(max) == INFINITY) return true;
  double sum = 0, squares = 0, allowed = 0;
  for (size_t i = 0; i < row->n; i++)
    if (row->x[i] > -INFINITY) {
      sum += row->x[i];
      allowed++;
    }
  double mean = sum / allowed;
  for (size_t i = 0; i < row->n; i++)
    if (row->x[i] > -INFINITY) {
      double d = row->x[i] - mean;
      squares += d * d;
    }
  cut(row, row->x, max - n * (float)dc_sqrt(squares / allowed));
  return true;
}
