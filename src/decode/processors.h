/*
** processors.h: the built-in logits processors, each a kind with a function
** and a description of its parameters. All that a binding must know to build
** one from a caller's table is in that description.
**
** Names and rules are those of transformers 5.23 (logits_process.py); the
** formulas are in docs/processors.md.
*/
#ifndef DC_PROCESSORS_H
#define DC_PROCESSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "decode/logits.h"

/* One row at one step. */
typedef struct dc_step {
  dc_logits logits;
  const int32_t *ids;  /* [n_ids]: the row so far, prompt included */
  size_t n_ids;
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

typedef struct dc_kind dc_kind;

/* A processor: its kind and parameters; each kind uses some of them. The
   lists belong to whoever built it. */
typedef struct dc_processor {
  const dc_kind *kind;
  double value;      /* the threshold, penalty or factor */
  size_t count;      /* k, the size of an n-gram, a length */
  size_t keep;       /* min_tokens_to_keep */
  size_t start;      /* a prompt's length, the position where it begins */
  size_t after;      /* exponential_decay: tokens behind that position */
  dc_id_list ids, eos;
  dc_biases biases;
} dc_processor;

/* Edits step->logits in place. The message says what is wrong, not where. */
bool dc_processor_apply (const dc_processor *p, const dc_step *step,
                         dc_error *err);

typedef enum dc_param_type {
  DC_PARAM_NUMBER,  /* double */
  DC_PARAM_COUNT,   /* size_t */
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

/* One argument. The first of a kind is its main one; it is always required.
   fallback: what a number or count is when it is not given; below zero:
   it is required. Lists that are not given are empty unless `required`. */
typedef struct dc_param {
  const char *name;        /* NULL behind the last */
  dc_param_type type;
  size_t offset;           /* in dc_processor */
  const dc_range *range;   /* of numbers and counts */
  double fallback;
  bool required;           /* for lists: and then not empty */
} dc_param;

#define DC_MAX_PARAMS 4

struct dc_kind {
  const char *name;  /* NULL behind the last */
  bool (*apply) (const dc_processor *p, const dc_step *step, dc_error *err);
  dc_param params[DC_MAX_PARAMS + 1];
};

extern const dc_kind dc_kinds[];

/* The parameter of that name; NULL if the kind has none. */
const dc_param *dc_kind_param (const dc_kind *kind, const char *name);

#endif
