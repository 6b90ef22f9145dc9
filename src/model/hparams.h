/*
** hparams.h: sizes and choices of one model, as its file gives them; what the
** file leaves out is the architecture's (arch.h) or follows from the rest.
*/
#ifndef DC_HPARAMS_H
#define DC_HPARAMS_H

#include "base/fail.h"
#include "format/gguf.h"
#include "model/arch.h"

#define DC_MAX_LAYERS 1024
#define DC_MAX_POSITIONS (1 << 30)

/* One stack of layers: the encoder or the decoder. A group of
   n_heads / n_kv_heads query heads reads the same keys and values. */
typedef struct dc_stack_sizes {
  uint32_t n_layers, n_heads, n_kv_heads, d_ff;
  uint32_t d_key, d_value;  /* of one head */
  float score_scale;        /* q k times this */
} dc_stack_sizes;

typedef enum dc_rope_scaling {
  DC_ROPE_LINEAR, DC_ROPE_YARN, DC_ROPE_LONG
} dc_rope_scaling;

typedef struct dc_rope {
  uint32_t dims;       /* columns of a head that are turned; even */
  float base, window_base;  /* in layers that see all, in windowed ones */
  dc_rope_scaling scaling;
  float factor;        /* by which positions are compressed; 1: they are not */
  uint32_t original_context;
  float magnitude;     /* of the turned columns */
  float extrapolation, beta_fast, beta_slow;  /* yarn */
} dc_rope;

typedef struct dc_hparams {
  const dc_arch *arch;
  uint32_t n_vocab, d_model;
  uint32_t context;        /* most positions of a sequence */
  dc_stack_sizes encoder, decoder;  /* causal: the encoder has no layers */
  uint32_t decoder_start;  /* not causal: what the decoder begins with */
  dc_activation activation;
  dc_positions positions;
  dc_norm_place norm_place;
  bool gated, parallel;
  float norm_eps;
  float embedding_scale;   /* x = embedding * this + position */
  float score_cap, output_cap;
  float tied_scale;        /* of the outputs, if they are the embeddings */
  dc_rope rope;
  uint32_t n_buckets, max_distance;  /* relative positions */
  uint32_t pad;            /* m2m100: the id that has no position */
  uint32_t window;         /* windowed layers see so many positions, the
                              token's own among them; 0: there are none */
  uint64_t windowed[DC_MAX_LAYERS / 64];  /* one bit a layer */
} dc_hparams;

/* Reads and checks all of them; the message names file, key and rule. */
bool dc_hparams_read (dc_hparams *hp, const dc_gguf *file, dc_error *err);

static inline bool dc_is_windowed (const dc_hparams *hp, size_t layer) {
  return (hp->windowed[layer / 64] >> (layer % 64)) & 1;
}

static inline bool dc_has_rope (const dc_hparams *hp) {
  return hp->positions == DC_ROPE_PAIRS || hp->positions == DC_ROPE_HALVES;
}

/* The place of a sequence's first token: m2m100 begins behind its pad. */
static inline size_t dc_first_place (const dc_hparams *hp) {
  return hp->positions == DC_SINUSOIDAL_SKIP ? (size_t)hp->pad + 1 : 0;
}

/* Whether the token has no place of its own. Its row of the table is zero. */
static inline bool dc_is_placeless (const dc_hparams *hp, int32_t id) {
  return hp->positions == DC_SINUSOIDAL_SKIP && (uint32_t)id == hp->pad;
}

#endif
