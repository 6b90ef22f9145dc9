/*
** processors.h: the built-in logits processors, each a kind with a function
** and a description of its parameters. All that a binding must know to build
** one from a caller's table is in that description.
**
** Names and rules are those of transformers 5.23 (logits_process.py), of
** llama.cpp 0.5 (llama-sampler.cpp) and of CTranslate2 4.8; the formulas are
** in docs/processors.md.
**
** What a reader would get wrong: a processor is a function of the row alone
** wherever it can be. Only those that must know the probability of a token
** that was chosen before (mirostat, adaptive_p) keep a state, and each row
** has its own.
*/
#ifndef DC_PROCESSORS_H
#define DC_PROCESSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "decode/logits.h"
#include "math/rng.h"

#define DC_NO_PROMPT SIZE_MAX

/* One row at one step. */
typedef struct dc_step {
  dc_logits logits;    /* here its scratch `ids` has room for n_ids, too */
  const int32_t *ids;  /* [n_ids]: the row so far, prompt included */
  size_t n_ids;
  size_t prompt;       /* where the new tokens begin, or DC_NO_PROMPT */
  const dc_rng *rng;   /* seed and number of the row; NULL: not known */
} dc_step;

typedef struct dc_id_list {
  const int32_t *at;
  size_t n;
} dc_id_list;

/* n sequences of ids, one behind the other; sequence i ends before ends[i]. */
typedef struct dc_biases {
  const int32_t *ids;
  const size_t *ends;  /* [n] */
  const float *bias;   /* [n] */
  size_t n;
} dc_biases;

typedef struct dc_seed {
  uint64_t value;
  bool given;
} dc_seed;

typedef struct dc_kind dc_kind;

/* A processor: its kind and parameters; each kind uses some of them. The
   lists belong to whoever built it. */
typedef struct dc_processor {
  const dc_kind *kind;
  double value;      /* the main one: a threshold, penalty or factor */
  double second, third;
  size_t count;      /* k, the size of an n-gram, a length */
  size_t keep;       /* min_tokens_to_keep */
  size_t start;      /* a prompt's length, the position where it begins */
  size_t after;      /* a length behind that position */
  size_t window;     /* of the row's last tokens; 0: all of them */
  size_t size, key;  /* of a table, and what it is made from */
  size_t choice;     /* which of param->choices */
  bool flag;
  dc_seed seed;
  dc_id_list ids, eos;
  dc_biases biases;
  const int32_t *table;  /* what kind->memory->fill made */
  void *state;           /* [kind->memory->state_size] */
} dc_processor;

/* Edits step->logits in place. The message says what is wrong, not where. */
bool dc_processor_apply (const dc_processor *p, const dc_step *step,
                         dc_error *err);

typedef enum dc_param_type {
  DC_PARAM_NUMBER,  /* double */
  DC_PARAM_COUNT,   /* size_t */
  DC_PARAM_FLAG,    /* bool: false where it is not given */
  DC_PARAM_CHOICE,  /* size_t: which of the names; the first by default */
  DC_PARAM_SEED,    /* dc_seed: any integer, or none */
  DC_PARAM_IDS,     /* dc_id_list: a list of ids or one id */
  DC_PARAM_WORDS,   /* dc_biases: a list of lists of ids */
  DC_PARAM_BIASES,  /* dc_biases: a list of {ids, bias} */
  DC_PARAM_BIAS_MAP /* dc_biases: {[id] = bias} */
} dc_param_type;

typedef struct dc_range {
  double min, max;
  bool min_open, max_open;
  const char *rule;  /* "from 0 to 1" */
} dc_range;

/* One argument. The first of a kind is its main one.
   fallback: what a number or count is when it is not given; below zero:
   it is required. Lists that are not given are empty unless `required`. */
typedef struct dc_param {
  const char *name;        /* NULL behind the last */
  dc_param_type type;
  size_t offset;           /* in dc_processor */
  const dc_range *range;   /* of numbers and counts */
  double fallback;
  bool required;           /* for lists: and then not empty */
  const char *const *choices;  /* NULL behind the last */
} dc_param;

#define DC_MAX_PARAMS 8

/* What a kind keeps beside its parameters; any part may be missing. */
typedef struct dc_memory {
  size_t state_size;           /* what it learns from one row; zeroed first */
  void (*clear) (void *state); /* frees what the state owns */
  /* A table that is computed once, when the processor is built. */
  size_t (*table_size) (const dc_processor *p);  /* in int32_t */
  void (*fill) (const dc_processor *p, int32_t *table);
} dc_memory;

struct dc_kind {
  const char *name;  /* NULL behind the last */
  bool (*apply) (const dc_processor *p, const dc_step *step, dc_error *err);
  dc_param params[DC_MAX_PARAMS + 1];
  const dc_memory *memory;  /* NULL: it keeps nothing */
};

extern const dc_kind dc_kinds[];

/* The parameter of that name; NULL if the kind has none. */
const dc_param *dc_kind_param (const dc_kind *kind, const char *name);

/* Whether the watermark p makes `id` green behind the row ids[n_ids], in a
   vocabulary of `vocab` tokens. False for a row shorter than its context. */
bool dc_watermark_is_green (const dc_processor *p, size_t vocab,
                            const int32_t *ids, size_t n_ids, int32_t id);

#endif
