/*
** surprise.c: filters that steer by how surprising the chosen tokens were:
** mirostat 1 and 2 (Basu et al., "Mirostat: a neural text decoding algorithm
** that directly controls perplexity", 2021) and adaptive-p, by the rules of
** llama.cpp (llama-sampler.cpp).
**
** There they draw the token themselves. Here they are filters like all the
** others, and whoever follows them draws: a call finds in the row's ids which
** token was taken after the call before, and learns from the probability that
** this token had then. So the state is that of one row. A row that is not the
** last one with one token more begins anew.
*/
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "decode/kinds.h"
#include "decode/select.h"
#include "math/functions.h"
#include "math/kernels.h"

#define LN2 0.69314718055994530942

typedef struct surprise {
  bool begun;
  size_t n_ids;      /* of the row at the last call ... */
  uint64_t row;      /* ... and its hash */
  size_t n;          /* tokens in the vocabulary */
  float *x;          /* [n]: the logits that the choice was made from */
  double log_sum;    /* the logarithm of the sum of their exp */
  double mu;                   /* mirostat: the surprise allowed, in bits */
  double sum, weight;          /* adaptive_p: moving average = sum / weight */
} surprise;


static void clear (void *state) {
  surprise *s = state;
  dc_free(s->x);
}


const dc_memory dc_surprise_memory = {sizeof(surprise), clear, NULL, NULL};


/* FNV-1a on whole ids. */
static uint64_t hash_row (const int32_t *ids, size_t n) {
  uint64_t h = 14695981039346656037u;
  for (size_t i = 0; i < n; i++)
    h = (h ^ (uint64_t)(uint32_t)ids[i]) * 1099511628211u;
  return h;
}


typedef enum news { BEGINS, SAME, GOES_ON } news;

/* What the row of this call is to that of the last one. Where it goes on,
   *probability is that of the token taken; 0 if something behind the filter
   chose one that it had banned. */
static news follow (surprise *s, const dc_step *step, double *probability) {
  uint64_t row = hash_row(step->ids, step->n_ids);
  news is = BEGINS;
  if (s->begun && s->n == step->logits.n) {
    if (step->n_ids == s->n_ids && row == s->row) is = SAME;
    if (step->n_ids == s->n_ids + 1 &&
        hash_row(step->ids, s->n_ids) == s->row)
      is = GOES_ON;
  }
  if (is == GOES_ON) {
    size_t id = (size_t)step->ids[step->n_ids - 1];
    *probability = id < s->n ? dc_exp(s->x[id] - s->log_sum) : 0;
  }
  s->begun = true;
  s->n_ids = step->n_ids;
  s->row = row;
  return is;
}


/* Notes the logits from which the next token will be chosen. */
static bool remember (surprise *s, const dc_logits *row, dc_error *err) {
  if (s->n != row->n) {
    dc_free(s->x);
    s->n = 0;
    s->x = dc_alloc_array(row->n, sizeof *s->x);
    if (s->x == NULL) return dc_fail(err, "not enough memory");
    s->n = row->n;
  }
  memcpy(s->x, row->x, row->n * sizeof *s->x);
  const dc_kernels *k = dc_kernels_get();
  float max = k->max(row->x, row->n);
  s->log_sum = max + dc_log(k->sum_exp(row->x, max, row->n));
  return true;
}


/* Is there something to filter? (See logits.h.) */
static bool is_plain (const dc_logits *row) {
  return fabsf(dc_kernels_get()->max(row->x, row->n)) < INFINITY;
}


/* ---- mirostat ---- */

/* mu starts at 2 tau; every token moves it against its excess surprise. */
static void learn_mu (const dc_processor *p, const dc_step *step) {
  surprise *s = p->state;
  double probability = 0;
  news is = follow(s, step, &probability);
  if (is == BEGINS) s->mu = 2 * p->value;
  if (is == GOES_ON && probability > 0)
    s->mu -= p->second * (-dc_log(probability) / LN2 - p->value);
}


/* Version 1: Zipf's exponent s, estimated from the best m tokens, says how
   many tokens k have the mean surprise mu. */
static double zipf_k (const dc_logits *row, size_t m, double mu) {
  double up = 0, down = 0, n = (double)row->n;
  if (m > row->n) m = row->n;
  dc_select_top(row->ids, m, row->x, row->n);
  for (size_t i = 0; i + 1 < m; i++) {
    float next = row->x[row->ids[i + 1]];
    if (next == -INFINITY) break;
    double t = dc_log((double)(i + 2) / (double)(i + 1));
    up += t * ((double)row->x[row->ids[i]] - next);
    down += t * t;
  }
  if (up <= 0) return n;  /* all the same: no token is rare */
  double s = up / down, e = s - 1, rest = 1 - dc_pow(n, -e);
  double base = rest != 0 ? e * dc_exp(mu * LN2) / rest
                          : dc_exp(mu * LN2) / dc_log(n);
  double k = dc_pow(base, 1 / s);
  return k >= 1 ? fmin(k, n) : 1;
}


bool dc_apply_mirostat (const dc_processor *p, const dc_step *step,
                        dc_error *err) {
  surprise *s = p->state;
  const dc_logits *row = &step->logits;
  if (!dc_logits_check(row, err)) return false;
  learn_mu(p, step);
  if (!is_plain(row)) return true;
  size_t k = (size_t)zipf_k(row, p->count, s->mu);
  return dc_logits_top_k(row, k, err) && remember(s, row, err);
}


/* Version 2: bans what is more surprising than mu, but never the best. */
bool dc_apply_mirostat_v2 (const dc_processor *p, const dc_step *step,
                           dc_error *err) {
  surprise *s = p->state;
  const dc_logits *row = &step->logits;
  if (!dc_logits_check(row, err)) return false;
  learn_mu(p, step);
  if (!is_plain(row)) return true;
  if (!dc_logits_epsilon(row, (float)dc_exp(-s->mu * LN2), 1, err))
    return false;
  return remember(s, row, err);
}


/* ---- adaptive-p ---- */

/* Constants of llama.cpp: the highest logit, how fast it falls, and the
   distance in probability that counts as one. */
#define PEAK 5.0f
#define SHARPNESS 10.0f
#define WIDTH 0.3f

/* Where the average of the chosen probabilities is off the target, aims as
   far to the other side. */
static float learn_target (const dc_processor *p, const dc_step *step) {
  surprise *s = p->state;
  double probability = 0, target = p->value, decay = p->second;
  news is = follow(s, step, &probability);
  if (is == BEGINS) {
    s->weight = 1 / (1 - decay);
    s->sum = target * s->weight;
  }
  if (is == GOES_ON && probability > 0) {
    s->sum = probability + decay * s->sum;
    s->weight = 1 + decay * s->weight;
  }
  return (float)fmin(fmax(2 * target - s->sum / s->weight, 0), 1);
}


/* With d = |p - target| / width: x = peak - sharpness d^2 / (1 + d). */
bool dc_apply_adaptive_p (const dc_processor *p, const dc_step *step,
                          dc_error *err) {
  surprise *s = p->state;
  const dc_logits *row = &step->logits;
  if (!dc_logits_check(row, err)) return false;
  float target = learn_target(p, step);
  if (!is_plain(row)) return true;
  if (!remember(s, row, err) || !dc_logits_probabilities(row, err))
    return false;
  for (size_t i = 0; i < row->n; i++) {
    if (row->x[i] == -INFINITY) continue;
    float d = fabsf(row->a[i] - target) * (1 / WIDTH);
    row->x[i] = PEAK - SHARPNESS * d * d / (1 + d);
  }
  return true;
}
