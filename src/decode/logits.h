/*
** logits.h: what can be done to one row of scores over the vocabulary, and
** how one token is taken from it. The rules are those of transformers'
** logits processors (5.23), with ties going to the lower id.
**
** A banned token has -INFINITY. Filters leave a row alone in which nothing is
** allowed; the choice of a token (argmax, draw) then fails. A NaN fails at
** once. +INFINITY, should a model ever give it, is certainty: filters leave
** the row alone, and all probability goes to the first such id.
*/
#ifndef DC_LOGITS_H
#define DC_LOGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

typedef struct dc_logits {
  float *x;      /* [n], by token id */
  size_t n;      /* tokens in the vocabulary */
  float *a, *b;  /* scratch, [n] each: undefined before and after a call */
  int32_t *ids;  /* scratch, [n] */
} dc_logits;

/* Fails when the row holds a NaN (naming the id). */
bool dc_logits_check (const dc_logits *row, dc_error *err);

/* The choice of a token. u in [0, 1) picks from the softmax. */
bool dc_logits_argmax (const dc_logits *row, size_t *id, dc_error *err);
bool dc_logits_draw (const dc_logits *row, double u, size_t *id,
                     float *probability, dc_error *err);

/* The softmax of the row into row->a; fails when nothing is allowed. */
bool dc_logits_probabilities (const dc_logits *row, dc_error *err);

/* The entry of `id` in the row's log_softmax, which is not written; -INFINITY
   for a token that is not allowed. */
bool dc_logits_log_probability (const dc_logits *row, size_t id,
                                float *logprob, dc_error *err);

/* The `count` best allowed tokens, best first, into row->ids, their
   probabilities into row->a, by token id; *count is cut to what is there. */
bool dc_logits_top (const dc_logits *row, size_t *count, dc_error *err);

/* In place; log_softmax needs no scratch. */
bool dc_logits_softmax (const dc_logits *row, dc_error *err);
bool dc_logits_log_softmax (const dc_logits *row, dc_error *err);

/* x / t. A tiny t that would overflow shifts the row by its maximum first. */
void dc_logits_temperature (const dc_logits *row, float t);

/* Bans what is below the k-th highest; ties with it stay. */
bool dc_logits_top_k (const dc_logits *row, size_t k, dc_error *err);

/* Bans the least probable tokens as long as their sum is at most 1 - p; the
   `keep` best stay. */
bool dc_logits_top_p (const dc_logits *row, double p, size_t keep,
                      dc_error *err);

/* Bans probabilities below m times the highest. */
bool dc_logits_min_p (const dc_logits *row, float m, size_t keep,
                      dc_error *err);

/* Keeps the tokens whose -log p is nearest to the entropy, up to `mass`. */
bool dc_logits_typical (const dc_logits *row, float mass, size_t keep,
                        dc_error *err);

/* Among the 100 best, adds up the entropy -p log p from the best down and
   keeps what stays within h times the total; the best always. */
bool dc_logits_top_h (const dc_logits *row, double h, dc_error *err);

/* Bans what is more than n standard deviations of the allowed logits below the
   highest. */
bool dc_logits_top_n_sigma (const dc_logits *row, float n, dc_error *err);

/* Exclude top choices: of the tokens of probability t or more only the least
   probable stays, unless fewer than `keep` would be left in all. */
bool dc_logits_xtc (const dc_logits *row, float t, size_t keep,
                    dc_error *err);

/* Temperature low + (high - low) * (entropy / log(allowed tokens))^exponent.
   At 0 the best token alone stays. */
bool dc_logits_dynamic_temperature (const dc_logits *row, double low,
                                    double high, double exponent,
                                    dc_error *err);

/* Bans probabilities below e; eta: below min(e, sqrt(e) exp(-entropy)). What
   scores at least as high as the keep-th best stays. */
bool dc_logits_epsilon (const dc_logits *row, float e, size_t keep,
                        dc_error *err);
bool dc_logits_eta (const dc_logits *row, double e, size_t keep,
                    dc_error *err);

/* For each distinct id of `ids`: x < 0 ? x * p : x / p. Ids outside of the
   vocabulary are passed over. */
void dc_logits_penalize (const dc_logits *row, float p, const int32_t *ids,
                         size_t n_ids);

/* Bans all but `ids` (all of them in the vocabulary). */
void dc_logits_keep (const dc_logits *row, const int32_t *ids, size_t n_ids);

/* Classifier-free guidance: x = u + scale * (x - u), u being `other` (which
   is changed). Where one of the two is banned x stays. */
typedef enum dc_guidance {
  DC_GUIDE_LOG_PROBABILITIES,  /* on the log-probabilities of both */
  DC_GUIDE_LOGITS,             /* on the logits as they are */
  DC_GUIDE_BEYOND              /* on them: x + scale * (x - u) */
} dc_guidance;

bool dc_logits_guide (const dc_logits *row, float *other, float scale,
                      dc_guidance how, dc_error *err);

#endif
