/*
** length.c: processors that decide when a row may begin, must end, or had
** better end.
**
** Lengths count the whole row: the start token of a seq2seq decoder is one.
*/
#include <float.h>
#include <math.h>

#include "decode/kinds.h"


/* An id outside of the vocabulary cannot come anyway. */
static bool ban (const dc_step *step, dc_id_list list) {
  for (size_t i = 0; i < list.n; i++)
    if ((size_t)list.at[i] < step->logits.n)
      step->logits.x[list.at[i]] = -INFINITY;
  return true;
}


/* Leaves only `list`, each with score 0. */
static bool force (const dc_step *step, dc_id_list list, dc_error *err) {
  if (!dc_in_vocabulary(step, list.at, list.n, err)) return false;
  float *x = step->logits.x;
  for (size_t i = 0; i < step->logits.n; i++) x[i] = -INFINITY;
  for (size_t i = 0; i < list.n; i++) x[list.at[i]] = 0;
  return true;
}


bool dc_apply_min_length (const dc_processor *p, const dc_step *step,
                          dc_error *err) {
  (void)err;
  return step->n_ids >= p->count || ban(step, p->eos);
}


bool dc_apply_min_new_tokens (const dc_processor *p, const dc_step *step,
                              dc_error *err) {
  (void)err;
  bool reached = step->n_ids >= p->start && step->n_ids - p->start >= p->count;
  return reached || ban(step, p->eos);
}


bool dc_apply_forced_bos (const dc_processor *p, const dc_step *step,
                          dc_error *err) {
  return step->n_ids != 1 || force(step, p->ids, err);
}


bool dc_apply_forced_eos (const dc_processor *p, const dc_step *step,
                          dc_error *err) {
  return step->n_ids + 1 != p->count || force(step, p->eos, err);
}


static double power (double x, size_t n) {
  double result = 1;
  for (; n > 0; n >>= 1, x *= x)
    if (n & 1) result *= x;
  return result;
}


/* eos += |eos| * (factor^(length - start) - 1), as far as floats go. */
bool dc_apply_exponential_decay (const dc_processor *p, const dc_step *step,
                                 dc_error *err) {
  size_t start = p->start + p->after;
  if (step->n_ids <= start) return true;
  if (!dc_in_vocabulary(step, p->eos.at, p->eos.n, err)) return false;
  double growth = power(p->value, step->n_ids - start) - 1;
  float factor = growth < FLT_MAX ? (float)growth : FLT_MAX;
  for (size_t i = 0; i < p->eos.n; i++) {
    float *x = &step->logits.x[p->eos.at[i]];
    if (!isfinite(*x)) continue;
    float y = *x + fabsf(*x) * factor;
    *x = y < FLT_MAX ? y : FLT_MAX;
  }
  return true;
}


/* The end alone, as soon as one end token has more than min_eos_p. */
bool dc_apply_bark_eos (const dc_processor *p, const dc_step *step,
                        dc_error *err) {
  const dc_logits *row = &step->logits;
  if (!dc_in_vocabulary(step, p->eos.at, p->eos.n, err) ||
      !dc_logits_probabilities(row, err))
    return false;
  float highest = 0;
  for (size_t i = 0; i < p->eos.n; i++)
    highest = fmaxf(highest, row->a[p->eos.at[i]]);
  if (highest > (float)p->value) dc_logits_keep(row, p->eos.at, p->eos.n);
  return true;
}
