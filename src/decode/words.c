/*
** words.c: processors that are given tokens, or sequences of tokens, to ban
** or to favour.
*/
#include <math.h>
#include <string.h>

#include "decode/kinds.h"
#include "math/functions.h"
#include "math/kernels.h"


bool dc_in_vocabulary (const dc_step *step, const int32_t *ids, size_t n,
                       dc_error *err) {
  for (size_t i = 0; i < n; i++)
    if ((size_t)ids[i] >= step->logits.n)
      return dc_fail(err, "id %d is not in the vocabulary (0 to %zu)",
                     (int)ids[i], step->logits.n - 1);
  return true;
}


const int32_t *dc_sequence (dc_biases list, size_t i, size_t *length) {
  size_t start = i > 0 ? list.ends[i - 1] : 0;
  *length = list.ends[i] - start;
  return list.ids + start;
}


/* The row ends with all of the sequence but its last id. */
static bool continues (const dc_step *step, const int32_t *ids, size_t n) {
  if (n == 1) return true;
  if (step->n_ids < n - 1) return false;
  const int32_t *tail = step->ids + step->n_ids - (n - 1);
  return !memcmp(tail, ids, (n - 1) * sizeof *ids);
}


static bool check_biases (const dc_processor *p, const dc_step *step,
                          dc_error *err) {
  size_t n = p->biases.n;
  return n == 0 ||
         dc_in_vocabulary(step, p->biases.ids, p->biases.ends[n - 1], err);
}


static bool contains (dc_id_list list, int32_t id) {
  for (size_t i = 0; i < list.n; i++)
    if (list.at[i] == id) return true;
  return false;
}


/* A word that is exactly one end token is passed over: banning it would keep
   the sequence from ending. (suppress_sequences is the same without any end
   tokens.) */
bool dc_apply_bad_words (const dc_processor *p, const dc_step *step,
                         dc_error *err) {
  if (!check_biases(p, step, err)) return false;
  for (size_t i = 0; i < p->biases.n; i++) {
    size_t n;
    const int32_t *ids = dc_sequence(p->biases, i, &n);
    if (n == 1 && contains(p->eos, ids[0])) continue;
    if (continues(step, ids, n)) step->logits.x[ids[n - 1]] = -INFINITY;
  }
  return true;
}


/* The biases that apply are added up first. Of equal single ids the last one
   counts; longer sequences add to it. */
bool dc_apply_sequence_bias (const dc_processor *p, const dc_step *step,
                             dc_error *err) {
  if (!check_biases(p, step, err)) return false;
  float *sum = step->logits.a;
  memset(sum, 0, step->logits.n * sizeof *sum);
  for (int longer = 0; longer <= 1; longer++)
    for (size_t i = 0; i < p->biases.n; i++) {
      size_t n;
      const int32_t *ids = dc_sequence(p->biases, i, &n);
      if ((n > 1) != longer || !continues(step, ids, n)) continue;
      float *at = &sum[ids[n - 1]];
      *at = longer ? *at + p->biases.bias[i] : p->biases.bias[i];
    }
  dc_kernels_get()->add(step->logits.x, step->logits.x, sum, step->logits.n);
  return true;
}


/* An id outside of the vocabulary cannot come anyway. */
bool dc_apply_suppress_tokens (const dc_processor *p, const dc_step *step,
                               dc_error *err) {
  (void)err;
  for (size_t i = 0; i < p->ids.n; i++)
    if ((size_t)p->ids.at[i] < step->logits.n)
      step->logits.x[p->ids.at[i]] = -INFINITY;
  return true;
}


bool dc_apply_begin_suppress_tokens (const dc_processor *p,
                                     const dc_step *step, dc_error *err) {
  return step->n_ids != p->start || dc_apply_suppress_tokens(p, step, err);
}


/* While the new tokens are the prefix so far: p = (1 - beta) p, and beta more
   for the prefix's next token. A row that left the prefix is left alone. */
bool dc_apply_prefix_bias (const dc_processor *p, const dc_step *step,
                           dc_error *err) {
  if (!dc_in_vocabulary(step, p->ids.at, p->ids.n, err)) return false;
  size_t start = step->prompt == DC_NO_PROMPT ? 0 : step->prompt;
  if (step->n_ids < start || step->n_ids - start >= p->ids.n) return true;
  size_t n = step->n_ids - start;
  if (n > 0 && memcmp(step->ids + start, p->ids.at, n * sizeof *p->ids.at))
    return true;
  const dc_logits *row = &step->logits;
  if (!dc_logits_log_softmax(row, err)) return false;
  float *next = &row->x[p->ids.at[n]];
  double kept = dc_exp(*next) * (1 - p->value);
  dc_kernels_get()->shift(row->x, row->x, (float)dc_log(1 - p->value), row->n);
  *next = (float)dc_log(kept + p->value);
  return true;
}
