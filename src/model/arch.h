/*
** arch.h: what decant knows about an architecture before it has seen a file:
** one row of the table in architectures.c. The graph (encoder.c, decoder.c)
** is written once and reads this description and the hyperparameters that
** the file gives (hparams.h).
**
** A new architecture of the same building blocks is a new row there. A new
** building block is a field here, a step in graph.c, and, if it has weights,
** a line in the tables of weights.c.
*/
#ifndef DC_ARCH_H
#define DC_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/string.h"

typedef enum dc_activation {
  DC_RELU, DC_SILU, DC_GELU, DC_GELU_TANH,
  DC_GELU_QUICK    /* x sigmoid(1.702 x) */
} dc_activation;

typedef enum dc_positions {
  DC_SINUSOIDAL,   /* sin(pos / 10000^(2j/d)) in column j, cos in d/2 + j */
  DC_SINUSOIDAL_SKIP,  /* m2m100: other rates, and pads are not counted */
  DC_LEARNED,      /* a table in the file */
  DC_ROPE_PAIRS,   /* queries and keys are turned: columns 2i and 2i + 1 */
  DC_ROPE_HALVES,  /* the same: columns i and i + n/2 (GPT-NeoX) */
  DC_RELATIVE      /* T5: a bias to the scores, by distance */
} dc_positions;

typedef enum dc_norm_kind {
  DC_LAYER_NORM,   /* with weight and bias */
  DC_RMS_NORM      /* with weight */
} dc_norm_kind;

typedef enum dc_norm_place {
  DC_PRE_NORM,     /* x + f(norm(x)) */
  DC_POST_NORM     /* norm(x + f(x)), the original Transformer */
} dc_norm_place;

typedef enum dc_gating {
  DC_PLAIN,        /* down(act(up(x))) */
  DC_GATED,        /* down(act(gate(x)) * up(x)) */
  DC_GATED_IF      /* gated if the file has the weights for it */
} dc_gating;

/* Whether files have a weight. */
typedef enum dc_presence { DC_ABSENT, DC_OPTIONAL, DC_REQUIRED } dc_presence;

typedef struct dc_arch {
  const char *name;       /* general.architecture, and the keys' prefix */
  bool causal;            /* a decoder alone; else encoder and decoder */
  dc_norm_kind norm;
  dc_norm_place norm_place;
  dc_positions positions;
  dc_activation activation, gated_activation;
  dc_gating gating;
  dc_presence qkv_bias, o_bias, ffn_bias;
  dc_presence embedding_norm, output_norm;
  bool head_norms;        /* queries and keys normed, head by head */
  bool sandwich;          /* a norm behind each sublayer too: x + norm(f(x)) */
  bool parallel;          /* attention and feed-forward read the same x */
  bool wide_embeddings;   /* times sqrt(d_model) */
  bool tied_scaling;      /* tied outputs times d_model^-0.5 */
  bool plain_scores;      /* q k as it is; else q k / sqrt(d_head) */
  uint32_t wide_scores;   /* with so many layers: q k / sqrt(d_model / heads) */
  float score_cap, output_cap;  /* cap * tanh(x / cap); 0: none */
  uint32_t window;        /* positions in sight in windowed layers; 0: all */
  uint32_t pattern;       /* n: every n-th layer sees all; 0: none does */
  float window_rope_base; /* of windowed layers, unscaled; 0: as the others */
} dc_arch;

/* NULL if decant does not know it. */
const dc_arch *dc_arch_find (dc_string name);

/* Row i of the table; NULL behind the last. */
const dc_arch *dc_arch_at (size_t i);

#endif
