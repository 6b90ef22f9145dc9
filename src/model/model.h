/*
** model.h: a loaded model, and what it does: encode sources and keep what the
** decoder needs of them (if it has an encoder), and score what follows in any
** number of timelines at once.
**
** One thread at a time may use a model and what belongs to it.
*/
#ifndef DC_MODEL_H
#define DC_MODEL_H

#include "base/threads.h"
#include "format/gguf.h"
#include "model/graph.h"
#include "text/tokenizer.h"

/* Rows that wait for the output matrix (outputs.h). */
typedef struct dc_outputs {
  float *x;       /* [max, d_model] */
  float *scores;  /* [max, n_vocab] */
  float **to;     /* [max]: where the scores go */
  size_t n, max;
} dc_outputs;

/* Tokens that go through the decoder together: parts of a worker's feeds, some
   of none (decoder.c). */
typedef struct dc_slice {
  struct dc_feed *parts;  /* [count] */
  struct dc_taps *taps;   /* [count]: what the parts' taps point to */
  size_t *added;          /* [count]: positions that the timelines get */
  size_t count, max;
  const struct dc_feed *steps;  /* [count]: the feeds, */
  size_t step, from;      /* of which this feed's token comes next */
} dc_slice;

/* What it takes to bring some rows through a stack: by all threads together,
   or by one of them, which then shares nothing with the others (crew.h). */
typedef struct dc_worker {
  struct dc_model *model;
  dc_batch batch;
  dc_slice slice;
  dc_outputs outputs;
} dc_worker;

typedef struct dc_model {
  size_t refs;              /* the model, and sources and rows made of it */
  dc_gguf *file;
  dc_tokenizer *tokenizer;  /* NULL: works on ids. The binding may take it. */
  dc_hparams hp;
  dc_weights weights;
  dc_pool pool;
  dc_worker workers[DC_MAX_THREADS];  /* the first for all threads together */
  size_t context;           /* most positions of a sequence */
  size_t weight_bytes;      /* in the file */
  int threads;              /* 0: the module's budget */
  bool vocab_only;
} dc_model;

typedef struct dc_model_options {
  size_t context;  /* 0: what the file says */
  int threads;     /* 0: the module's budget, at each step */
  bool map, vocab_only;
  bool ids_only;   /* leave the tokenizer of the file alone */
  size_t pack_most;  /* bytes that a packed copy of weights may take */
  bool pack_now;     /* make it at once, not in the first passes */
  dc_type cache_type;  /* of keys and values: DC_F32 (0) or DC_F16 */
} dc_model_options;

/* What a copy may take by default. It is as large as the weights in the file,
   whose pages it frees. */
#define DC_PACK_MOST ((size_t)256 << 20)

/* A sequence to encode. Row i of the output goes to out + slot[i] * d_model
   (packed: masked tokens are left out, the others keep their slots and
   places). */
typedef struct dc_sequence {
  const int32_t *ids;
  const size_t *slots;   /* [n], ascending */
  const size_t *places;  /* [n], by dc_number_places */
  size_t n;
  float *out;
} dc_sequence;

/* What a strategy may want of a feed's n positions beside the scores; NULL or
   none where it does not. */
typedef struct dc_taps {
  float *hidden;     /* [n, d_model]: what the output matrix reads */
  float *attention;  /* [n, source length], zeros at first: cross-attention,
                        the mean over all heads of all layers */
  const uint32_t *layers;  /* [n_layers]: early exits, of the last position: */
  float **early;     /* [n_layers] of [n_vocab]: what the output matrix makes
                        of the state that goes into that layer, as it is */
  size_t n_layers;
} dc_taps;

/* One timeline to go on with: n ids are appended; the scores [n_vocab] of the
   position after the last go to out[0], or of each to out[0..n-1]. */
typedef struct dc_feed {
  dc_timeline *timeline;
  const dc_timeline *source;  /* NULL in a causal model */
  const int32_t *ids;
  size_t n;
  float **out;          /* [1] or, with `every`, [n] */
  const dc_taps *taps;  /* or NULL */
  bool every;
  bool more;            /* a part of a feed: its last position is not scored */
} dc_feed;


bool dc_model_open (dc_model **out, const char *path,
                    const dc_model_options *options, dc_error *err);

/* Drops one reference; the last one frees. Accepts NULL. */
void dc_model_release (dc_model *m);

/* The places of the tokens of a whole sequence, masked ones included: 0, 1,
   2, ..., or as the architecture numbers them. */
void dc_number_places (const dc_hparams *hp, const int32_t *ids, size_t n,
                       size_t *places);

/* Encodes the sequences, packed together; ids are in range, n >= 1 and slots
   below the context. False when memory is short. */
bool dc_encode (dc_model *m, const dc_sequence *sequences, size_t count,
                dc_error *err);

/* The keys and values that cross-attention reads of n encoder rows, computed
   once and kept as a timeline. */
typedef struct dc_source {
  dc_timeline *timeline;  /* empty */
  const float *rows;      /* [n, d_model] */
  size_t n;
} dc_source;

/* Makes some of them; where memory is short none. */
bool dc_sources_make (dc_model *m, const dc_source *sources, size_t count,
                      dc_error *err);

/* Appends to each timeline and scores. All steps go through together. A
   timeline that would outgrow the context, or memory that is short, is an
   error before anything has changed. */
bool dc_decode (dc_model *m, const dc_feed *steps, size_t count,
                dc_error *err);
void dc_slice_free (dc_slice *slice);

#endif
