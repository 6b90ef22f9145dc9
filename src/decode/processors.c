/*
** processors.c: see processors.h. What works on the probabilities alone is in
** logits.c; here are the processors that look at the row's ids and at lists.
**
** Lengths count the whole row: the start token of a seq2seq decoder is one.
*/
#include "decode/processors.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "math/kernels.h"


static bool in_vocabulary (const dc_step *step, const int32_t *ids, size_t n,
                           dc_error *err) {
  for (size_t i = 0; i < n; i++)
    if ((size_t)ids[i] >= step->logits.n)
      return dc_fail(err, "id %d is not in the vocabulary (0 to %zu)",
                     (int)ids[i], step->logits.n - 1);
  return true;
}


/* An id outside of the vocabulary cannot come anyway. */
static bool ban (const dc_step *step, dc_id_list list) {
  for (size_t i = 0; i < list.n; i++)
    if ((size_t)list.at[i] < step->logits.n)
      step->logits.x[list.at[i]] = -INFINITY;
  return true;
}


/* Leaves only `list`, each with score 0. */
static bool force (const dc_step *step, dc_id_list list, dc_error *err) {
  if (!in_vocabulary(step, list.at, list.n, err)) return false;
  float *x = step->logits.x;
  for (size_t i = 0; i < step->logits.n; i++) x[i] = -INFINITY;
  for (size_t i = 0; i < list.n; i++) x[list.at[i]] = 0;
  return true;
}


/* ---- filters and scalings: one call to logits.c each ---- */

static bool temperature (const dc_processor *p, const dc_step *step,
                         dc_error *err) {
  (void)err;
  dc_logits_temperature(&step->logits, (float)p->value);
  return true;
}

static bool top_k (const dc_processor *p, const dc_step *step, dc_error *err) {
  size_t k = p->count > p->keep ? p->count : p->keep;
  return dc_logits_top_k(&step->logits, k, err);
}

static bool top_p (const dc_processor *p, const dc_step *step, dc_error *err) {
  return dc_logits_top_p(&step->logits, p->value, p->keep, err);
}

static bool top_h (const dc_processor *p, const dc_step *step, dc_error *err) {
  return dc_logits_top_h(&step->logits, p->value, err);
}

static bool min_p (const dc_processor *p, const dc_step *step, dc_error *err) {
  return dc_logits_min_p(&step->logits, (float)p->value, p->keep, err);
}

static bool typical_p (const dc_processor *p, const dc_step *step,
                       dc_error *err) {
  return dc_logits_typical(&step->logits, (float)p->value, p->keep, err);
}

static bool epsilon_cutoff (const dc_processor *p, const dc_step *step,
                            dc_error *err) {
  return dc_logits_epsilon(&step->logits, (float)p->value, p->keep, err);
}

static bool eta_cutoff (const dc_processor *p, const dc_step *step,
                        dc_error *err) {
  return dc_logits_eta(&step->logits, p->value, p->keep, err);
}

static bool renormalize (const dc_processor *p, const dc_step *step,
                         dc_error *err) {
  (void)p;
  if (!dc_logits_check(&step->logits, err)) return false;
  const dc_kernels *k = dc_kernels_get();
  bool any = k->max(step->logits.x, step->logits.n) > -INFINITY;
  return !any || dc_logits_log_softmax(&step->logits, err);
}

/* NaN to 0, infinities to the largest floats; this also lifts bans. */
static bool remove_invalid_values (const dc_processor *p, const dc_step *step,
                                   dc_error *err) {
  (void)p, (void)err;
  float *x = step->logits.x;
  for (size_t i = 0; i < step->logits.n; i++)
    if (isnan(x[i]))
      x[i] = 0;
    else if (isinf(x[i]))
      x[i] = x[i] > 0 ? FLT_MAX : -FLT_MAX;
  return true;
}


/* ---- repetition ---- */

static bool repetition_penalty (const dc_processor *p, const dc_step *step,
                                dc_error *err) {
  (void)err;
  size_t skip = p->start < step->n_ids ? p->start : step->n_ids;
  dc_logits_penalize(&step->logits, (float)p->value, step->ids + skip,
                     step->n_ids - skip);
  return true;
}

/* The reciprocal on the source's ids: above 1 it favours copying. */
static bool encoder_repetition_penalty (const dc_processor *p,
                                        const dc_step *step, dc_error *err) {
  (void)err;
  dc_logits_penalize(&step->logits, (float)(1 / p->value), p->ids.at,
                     p->ids.n);
  return true;
}

/* Bans what followed the row's last n - 1 ids anywhere in `text`. */
static void ban_ngrams (const dc_step *step, size_t n, dc_id_list text) {
  if (step->n_ids + 1 < n) return;
  const int32_t *prefix = step->ids + step->n_ids - (n - 1);
  for (size_t i = 0; i + n <= text.n; i++) {
    size_t id = (size_t)text.at[i + n - 1];
    if (id < step->logits.n &&
        (n == 1 || !memcmp(text.at + i, prefix, (n - 1) * sizeof *prefix)))
      step->logits.x[id] = -INFINITY;
  }
}

static bool no_repeat_ngram (const dc_processor *p, const dc_step *step,
                             dc_error *err) {
  (void)err;
  ban_ngrams(step, p->count, (dc_id_list){step->ids, step->n_ids});
  return true;
}

static bool encoder_no_repeat_ngram (const dc_processor *p,
                                     const dc_step *step, dc_error *err) {
  (void)err;
  ban_ngrams(step, p->count, p->ids);
  return true;
}


/* ---- words ---- */

static const int32_t *sequence (dc_biases biases, size_t i, size_t *length) {
  size_t start = i > 0 ? biases.ends[i - 1] : 0;
  *length = biases.ends[i] - start;
  return biases.ids + start;
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
         in_vocabulary(step, p->biases.ids, p->biases.ends[n - 1], err);
}

static bool contains (dc_id_list list, int32_t id) {
  for (size_t i = 0; i < list.n; i++)
    if (list.at[i] == id) return true;
  return false;
}

/* A word that is exactly one end token is passed over: banning it would keep
   the sequence from ending. */
static bool bad_words (const dc_processor *p, const dc_step *step,
                       dc_error *err) {
  if (!check_biases(p, step, err)) return false;
  for (size_t i = 0; i < p->biases.n; i++) {
    size_t n;
    const int32_t *ids = sequence(p->biases, i, &n);
    if (n == 1 && contains(p->eos, ids[0])) continue;
    if (continues(step, ids, n)) step->logits.x[ids[n - 1]] = -INFINITY;
  }
  return true;
}

/* The biases that apply are added up first. Of equal single ids the last one
   counts; longer sequences add to it. */
static bool sequence_bias (const dc_processor *p, const dc_step *step,
                           dc_error *err) {
  if (!check_biases(p, step, err)) return false;
  float *sum = step->logits.a;
  memset(sum, 0, step->logits.n * sizeof *sum);
  for (int longer = 0; longer <= 1; longer++)
    for (size_t i = 0; i < p->biases.n; i++) {
      size_t n;
      const int32_t *ids = sequence(p->biases, i, &n);
      if ((n > 1) != longer || !continues(step, ids, n)) continue;
      float *at = &sum[ids[n - 1]];
      *at = longer ? *at + p->biases.bias[i] : p->biases.bias[i];
    }
  dc_kernels_get()->add(step->logits.x, step->logits.x, sum, step->logits.n);
  return true;
}


/* ---- length, beginning and end ---- */

static bool min_length (const dc_processor *p, const dc_step *step,
                        dc_error *err) {
  (void)err;
  return step->n_ids >= p->count || ban(step, p->eos);
}

static bool min_new_tokens (const dc_processor *p, const dc_step *step,
                            dc_error *err) {
  (void)err;
  bool reached = step->n_ids >= p->start && step->n_ids - p->start >= p->count;
  return reached || ban(step, p->eos);
}

static bool forced_bos (const dc_processor *p, const dc_step *step,
                        dc_error *err) {
  return step->n_ids != 1 || force(step, p->ids, err);
}

static bool forced_eos (const dc_processor *p, const dc_step *step,
                        dc_error *err) {
  return step->n_ids + 1 != p->count || force(step, p->eos, err);
}

static bool suppress_tokens (const dc_processor *p, const dc_step *step,
                             dc_error *err) {
  (void)err;
  return ban(step, p->ids);
}

static bool begin_suppress_tokens (const dc_processor *p, const dc_step *step,
                                   dc_error *err) {
  (void)err;
  return step->n_ids != p->start || ban(step, p->ids);
}

static double power (double x, size_t n) {
  double result = 1;
  for (; n > 0; n >>= 1, x *= x)
    if (n & 1) result *= x;
  return result;
}

/* eos += |eos| * (factor^(length - start) - 1), as far as floats go. */
static bool exponential_decay (const dc_processor *p, const dc_step *step,
                               dc_error *err) {
  size_t start = p->start + p->after;
  if (step->n_ids <= start) return true;
  if (!in_vocabulary(step, p->eos.at, p->eos.n, err)) return false;
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


/* ---- the table of kinds ---- */

static const dc_range unit = {0, 1, false, false, "from 0 to 1"};
static const dc_range inside = {0, 1, true, true, "above 0 and below 1"};
static const dc_range share = {0, 1, true, false, "above 0 and at most 1"};
static const dc_range positive = {FLT_MIN, FLT_MAX, false, false,
                                  "above 0 (at least 1.2e-38)"};
static const dc_range at_least_0 = {0, INT32_MAX, false, false,
                                    "an integer from 0"};
static const dc_range at_least_1 = {1, INT32_MAX, false, false,
                                    "an integer from 1"};

#define AT(field) offsetof(dc_processor, field)
#define NUMBER(name, range) {name, DC_PARAM_NUMBER, AT(value), &range, -1, 0}
#define COUNT(name, range) {name, DC_PARAM_COUNT, AT(count), &range, -1, 0}
#define START(name, fallback) \
  {name, DC_PARAM_COUNT, AT(start), &at_least_0, fallback, 0}
#define IDS(name, field) {name, DC_PARAM_IDS, AT(field), NULL, 0, true}
#define BIASES(name, type) {name, type, AT(biases), NULL, 0, true}
#define KEEP \
  {"min_tokens_to_keep", DC_PARAM_COUNT, AT(keep), &at_least_1, 1, 0}
#define EOS IDS("eos_token_id", eos)

const dc_kind dc_kinds[] = {
  {"temperature", temperature, {NUMBER("temperature", positive)}},
  {"top_k", top_k, {COUNT("top_k", at_least_1), KEEP}},
  {"top_p", top_p, {NUMBER("top_p", unit), KEEP}},
  {"top_h", top_h, {NUMBER("top_h", share)}},
  {"min_p", min_p, {NUMBER("min_p", unit), KEEP}},
  {"typical_p", typical_p, {NUMBER("typical_p", inside), KEEP}},
  {"epsilon_cutoff", epsilon_cutoff, {NUMBER("epsilon_cutoff", inside), KEEP}},
  {"eta_cutoff", eta_cutoff, {NUMBER("eta_cutoff", inside), KEEP}},
  {"renormalize", renormalize, {{NULL, 0, 0, NULL, 0, 0}}},
  {"remove_invalid_values", remove_invalid_values,
   {{NULL, 0, 0, NULL, 0, 0}}},
  {"repetition_penalty", repetition_penalty,
   {NUMBER("penalty", positive), START("prompt_ignore_length", 0)}},
  {"encoder_repetition_penalty", encoder_repetition_penalty,
   {NUMBER("penalty", positive),
    {"encoder_input_ids", DC_PARAM_IDS, AT(ids), NULL, 0, false}}},
  {"no_repeat_ngram", no_repeat_ngram, {COUNT("ngram_size", at_least_1)}},
  {"encoder_no_repeat_ngram", encoder_no_repeat_ngram,
   {COUNT("ngram_size", at_least_1),
    {"encoder_input_ids", DC_PARAM_IDS, AT(ids), NULL, 0, false}}},
  {"bad_words", bad_words,
   {BIASES("bad_words_ids", DC_PARAM_WORDS),
    {"eos_token_id", DC_PARAM_IDS, AT(eos), NULL, 0, false}}},
  {"sequence_bias", sequence_bias,
   {BIASES("sequence_bias", DC_PARAM_BIASES)}},
  {"bias", sequence_bias, {BIASES("bias", DC_PARAM_BIAS_MAP)}},
  {"min_length", min_length, {COUNT("min_length", at_least_0), EOS}},
  {"min_new_tokens", min_new_tokens,
   {COUNT("min_new_tokens", at_least_0), START("prompt_length", -1), EOS}},
  {"forced_bos", forced_bos, {IDS("bos_token_id", ids)}},
  {"forced_eos", forced_eos, {COUNT("max_length", at_least_1), EOS}},
  {"suppress_tokens", suppress_tokens, {IDS("tokens", ids)}},
  {"begin_suppress_tokens", begin_suppress_tokens,
   {IDS("tokens", ids), START("begin_index", -1)}},
  {"exponential_decay", exponential_decay,
   {NUMBER("factor", positive),
    {"start", DC_PARAM_COUNT, AT(after), &at_least_0, -1, 0},
    START("input_length", -1), EOS}},
  {NULL, NULL, {{NULL, 0, 0, NULL, 0, 0}}}
};


const dc_param *dc_kind_param (const dc_kind *kind, const char *name) {
  for (const dc_param *p = kind->params; p->name != NULL; p++)
    if (!strcmp(p->name, name)) return p;
  return NULL;
}


bool dc_processor_apply (const dc_processor *p, const dc_step *step,
                         dc_error *err) {
  return p->kind->apply(p, step, err);
}
