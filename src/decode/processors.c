/*
** processors.c: see processors.h. The table of kinds, and those that are one
** call to a function of logits.h; the others are in the files that kinds.h
** names.
*/
#include "decode/processors.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "decode/kinds.h"
#include "math/kernels.h"


/* ---- one call each ---- */

#define APPLY(name) \
  static bool name (const dc_processor *p, const dc_step *step, dc_error *err)

APPLY(temperature) {
  (void)err;
  dc_logits_temperature(&step->logits, (float)p->value);
  return true;
}

APPLY(dynamic_temperature) {
  double low = p->value > p->second ? p->value - p->second : 0;
  return dc_logits_dynamic_temperature(&step->logits, low,
                                       p->value + p->second, p->third, err);
}

APPLY(top_k) {
  size_t k = p->count > p->keep ? p->count : p->keep;
  return dc_logits_top_k(&step->logits, k, err);
}

APPLY(top_p) {
  return dc_logits_top_p(&step->logits, p->value, p->keep, err);
}

APPLY(top_h) {
  return dc_logits_top_h(&step->logits, p->value, err);
}

APPLY(min_p) {
  return dc_logits_min_p(&step->logits, (float)p->value, p->keep, err);
}

APPLY(typical_p) {
  return dc_logits_typical(&step->logits, (float)p->value, p->keep, err);
}

APPLY(epsilon_cutoff) {
  return dc_logits_epsilon(&step->logits, (float)p->value, p->keep, err);
}

APPLY(eta_cutoff) {
  return dc_logits_eta(&step->logits, p->value, p->keep, err);
}

APPLY(top_n_sigma) {
  return dc_logits_top_n_sigma(&step->logits, (float)p->value, err);
}


/* Positions of the row's stream from which no token is drawn: those are
   counted from 0. */
#define XTC_DRAWS ((uint64_t)1 << 32)

/* With the given probability; the draw belongs to this place of this row. */
APPLY(xtc) {
  uint64_t seed = step->rng != NULL ? step->rng->seed : 0;
  dc_rng rng = {p->seed.given ? p->seed.value : seed,
                step->rng != NULL ? step->rng->row : 0,
                XTC_DRAWS + step->n_ids};
  if (dc_rng_uniform(&rng) >= p->value)
    return dc_logits_check(&step->logits, err);
  return dc_logits_xtc(&step->logits, (float)p->second, p->keep, err);
}


APPLY(renormalize) {
  (void)p;
  if (!dc_logits_check(&step->logits, err)) return false;
  const dc_kernels *k = dc_kernels_get();
  bool any = k->max(step->logits.x, step->logits.n) > -INFINITY;
  return !any || dc_logits_log_softmax(&step->logits, err);
}


/* NaN to 0, infinities to the largest floats; this also lifts bans. */
APPLY(remove_invalid_values) {
  (void)p, (void)err;
  float *x = step->logits.x;
  for (size_t i = 0; i < step->logits.n; i++)
    if (isnan(x[i]))
      x[i] = 0;
    else if (isinf(x[i]))
      x[i] = x[i] > 0 ? FLT_MAX : -FLT_MAX;
  return true;
}

#undef APPLY


/* ---- the table of kinds ---- */

static const dc_range unit = {0, 1, false, false, "from 0 to 1"};
static const dc_range inside = {0, 1, true, true, "above 0 and below 1"};
static const dc_range share = {0, 1, true, false, "above 0 and at most 1"};
static const dc_range decay = {0, 0.99, false, false, "from 0 to 0.99"};
static const dc_range positive = {FLT_MIN, FLT_MAX, false, false,
                                  "above 0 (1.2e-38 to 3.4e38)"};
static const dc_range from_0 = {0, FLT_MAX, false, false, "from 0 to 3.4e38"};
static const dc_range from_1 = {1, FLT_MAX, false, false, "from 1 to 3.4e38"};
static const dc_range any_finite = {-FLT_MAX, FLT_MAX, false, false,
                                    "a number from -3.4e38 to 3.4e38"};
static const dc_range at_least_0 = {0, INT32_MAX, false, false,
                                    "an integer from 0 to 2147483647"};
static const dc_range at_least_1 = {1, INT32_MAX, false, false,
                                    "an integer from 1 to 2147483647"};
static const dc_range two_or_more = {2, INT32_MAX, false, false,
                                     "an integer from 2 to 2147483647"};
static const dc_range context = {1, 1024, false, false,
                                 "an integer from 1 to 1024"};
static const dc_range up_to_2_24 = {1, 1 << 24, false, false,
                                    "an integer from 1 to 16777216"};
static const dc_range word = {0, UINT32_MAX, false, false,
                              "an integer from 0 to 4294967295"};

static const char *const schemes[] = {"lefthash", "selfhash", NULL};

#define REQUIRED (-1)
#define AT(field) offsetof(dc_processor, field)
#define NUMBER(name, field, range, fallback) \
  {name, DC_PARAM_NUMBER, AT(field), &range, fallback, 0, NULL}
#define COUNT(name, field, range, fallback) \
  {name, DC_PARAM_COUNT, AT(field), &range, fallback, 0, NULL}
#define LIST(name, type, field, required) \
  {name, DC_PARAM_##type, AT(field), NULL, 0, required, NULL}
#define FLAG(name) {name, DC_PARAM_FLAG, AT(flag), NULL, 0, 0, NULL}
#define SEED {"seed", DC_PARAM_SEED, AT(seed), NULL, 0, 0, NULL}

#define MAIN(name, range) NUMBER(name, value, range, REQUIRED)
#define KEEP COUNT("min_tokens_to_keep", keep, at_least_1, 1)
#define EOS LIST("eos_token_id", IDS, eos, true)
#define IGNORE COUNT("prompt_ignore_length", start, at_least_0, 0)
#define LAST_N COUNT("last_n", window, at_least_0, 0)
#define SOURCE LIST("encoder_input_ids", IDS, ids, false)
#define NONE {NULL, 0, 0, NULL, 0, 0, NULL}

const dc_kind dc_kinds[] = {
  /* scalings */
  {"temperature", temperature, {MAIN("temperature", positive)}, NULL},
  {"dynamic_temperature", dynamic_temperature,
   {MAIN("temperature", from_0), NUMBER("range", second, from_0, REQUIRED),
    NUMBER("exponent", third, from_0, 1)}, NULL},
  {"renormalize", renormalize, {NONE}, NULL},
  {"remove_invalid_values", remove_invalid_values, {NONE}, NULL},

  /* filters */
  {"top_k", top_k, {COUNT("top_k", count, at_least_1, REQUIRED), KEEP}, NULL},
  {"top_p", top_p, {MAIN("top_p", unit), KEEP}, NULL},
  {"top_h", top_h, {MAIN("top_h", share)}, NULL},
  {"min_p", min_p, {MAIN("min_p", unit), KEEP}, NULL},
  {"typical_p", typical_p, {MAIN("typical_p", inside), KEEP}, NULL},
  {"epsilon_cutoff", epsilon_cutoff, {MAIN("epsilon_cutoff", inside), KEEP},
   NULL},
  {"eta_cutoff", eta_cutoff, {MAIN("eta_cutoff", inside), KEEP}, NULL},
  {"top_n_sigma", top_n_sigma, {MAIN("top_n_sigma", positive)}, NULL},
  {"xtc", xtc,
   {MAIN("probability", unit), NUMBER("threshold", second, unit, 0.1), KEEP,
    SEED}, NULL},
  {"mirostat", dc_apply_mirostat,
   {NUMBER("tau", value, positive, 5), NUMBER("eta", second, from_0, 0.1),
    COUNT("m", count, two_or_more, 100)}, &dc_surprise_memory},
  {"mirostat_v2", dc_apply_mirostat_v2,
   {NUMBER("tau", value, positive, 5), NUMBER("eta", second, from_0, 0.1)},
   &dc_surprise_memory},
  {"adaptive_p", dc_apply_adaptive_p,
   {MAIN("target", unit), NUMBER("decay", second, decay, 0.9)},
   &dc_surprise_memory},

  /* repetition */
  {"repetition_penalty", dc_apply_repetition_penalty,
   {MAIN("penalty", positive), IGNORE, LAST_N}, NULL},
  {"encoder_repetition_penalty", dc_apply_encoder_repetition_penalty,
   {MAIN("penalty", positive), SOURCE}, NULL},
  {"frequency_penalty", dc_apply_frequency_penalty,
   {MAIN("penalty", any_finite), IGNORE, LAST_N}, NULL},
  {"presence_penalty", dc_apply_presence_penalty,
   {MAIN("penalty", any_finite), IGNORE, LAST_N}, NULL},
  {"no_repeat_ngram", dc_apply_no_repeat_ngram,
   {COUNT("ngram_size", count, at_least_1, REQUIRED)}, NULL},
  {"encoder_no_repeat_ngram", dc_apply_encoder_no_repeat_ngram,
   {COUNT("ngram_size", count, at_least_1, REQUIRED), SOURCE}, NULL},
  {"dry", dc_apply_dry,
   {MAIN("multiplier", from_0), NUMBER("base", second, from_1, 1.75),
    COUNT("allowed_length", count, at_least_1, 2), LAST_N, IGNORE,
    LIST("sequence_breakers", WORDS, biases, false)}, NULL},

  /* words */
  {"bad_words", dc_apply_bad_words,
   {LIST("bad_words_ids", WORDS, biases, true),
    LIST("eos_token_id", IDS, eos, false)}, NULL},
  {"suppress_sequences", dc_apply_bad_words,
   {LIST("suppress_sequences", WORDS, biases, true)}, NULL},
  {"sequence_bias", dc_apply_sequence_bias,
   {LIST("sequence_bias", BIASES, biases, true)}, NULL},
  {"bias", dc_apply_sequence_bias, {LIST("bias", BIAS_MAP, biases, true)},
   NULL},
  {"suppress_tokens", dc_apply_suppress_tokens,
   {LIST("tokens", IDS, ids, true)}, NULL},
  {"begin_suppress_tokens", dc_apply_begin_suppress_tokens,
   {LIST("tokens", IDS, ids, true),
    COUNT("begin_index", start, at_least_0, REQUIRED)}, NULL},
  {"prefix_bias", dc_apply_prefix_bias,
   {MAIN("prefix_bias_beta", inside), LIST("prefix", IDS, ids, true)}, NULL},

  /* length, beginning and end */
  {"min_length", dc_apply_min_length,
   {COUNT("min_length", count, at_least_0, REQUIRED), EOS}, NULL},
  {"min_new_tokens", dc_apply_min_new_tokens,
   {COUNT("min_new_tokens", count, at_least_0, REQUIRED),
    COUNT("prompt_length", start, at_least_0, REQUIRED), EOS}, NULL},
  {"forced_bos", dc_apply_forced_bos,
   {LIST("bos_token_id", IDS, ids, true)}, NULL},
  {"forced_eos", dc_apply_forced_eos,
   {COUNT("max_length", count, at_least_1, REQUIRED), EOS}, NULL},
  {"exponential_decay", dc_apply_exponential_decay,
   {MAIN("factor", positive), COUNT("start", after, at_least_0, REQUIRED),
    COUNT("input_length", start, at_least_0, REQUIRED), EOS}, NULL},
  {"bark_eos", dc_apply_bark_eos, {MAIN("min_eos_p", share), EOS}, NULL},

  /* watermarks */
  {"watermark", dc_apply_watermark,
   {NUMBER("greenlist_ratio", value, inside, 0.25),
    NUMBER("bias", second, any_finite, 2),
    COUNT("hashing_key", key, word, 15485863),
    {"seeding_scheme", DC_PARAM_CHOICE, AT(choice), NULL, 0, 0, schemes},
    COUNT("context_width", count, at_least_1, 1),
    COUNT("vocab_size", size, up_to_2_24, 0)}, &dc_watermark_memory},
  {"synthid", dc_apply_synthid,
   {LIST("keys", IDS, ids, true),
    COUNT("ngram_len", count, context, REQUIRED),
    COUNT("sampling_table_size", size, up_to_2_24, 65536),
    COUNT("sampling_table_seed", key, word, 0),
    COUNT("context_history_size", window, at_least_1, 1024),
    FLAG("skip_first_ngram_calls")}, &dc_synthid_memory},

  {NULL, NULL, {NONE}, NULL}
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
