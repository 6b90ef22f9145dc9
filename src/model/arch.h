/*
** arch.h: what decant knows about an architecture before it has seen a file:
** one row of a table. The graph (encoder.c, decoder.c) is written once and
** reads this description and the hyperparameters.
**
** A new architecture of the same building blocks is a new row here, and in
** lua/decant/convert/ the names that its files use.
*/
#ifndef DC_ARCH_H
#define DC_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "format/gguf.h"

typedef enum dc_activation {
  DC_RELU, DC_SILU, DC_GELU, DC_GELU_TANH
} dc_activation;

typedef enum dc_positions {
  DC_SINUSOIDAL,  /* sin(pos / 10000^(2j/d)) in column j, cos in d/2 + j */
  DC_LEARNED      /* a table in the file */
} dc_positions;

typedef enum dc_norm_place {
  DC_PRE_NORM,   /* x + f(norm(x)) */
  DC_POST_NORM   /* norm(x + f(x)), the original Transformer */
} dc_norm_place;

typedef struct dc_arch {
  const char *name;  /* general.architecture, and the prefix of the keys */
  dc_positions positions;
  dc_norm_place norm_place;
} dc_arch;

/* One stack of layers: the encoder or the decoder. */
typedef struct dc_stack_sizes {
  uint32_t n_layers, n_heads, d_ff;
} dc_stack_sizes;

typedef struct dc_hparams {
  const dc_arch *arch;
  uint32_t n_vocab, d_model, context, decoder_start;
  dc_stack_sizes encoder, decoder;
  dc_activation activation;
  dc_positions positions;
  dc_norm_place norm_place;
  float norm_eps, embedding_scale;
} dc_hparams;

/* Reads and checks all of them; the message names file, key and rule. */
bool dc_hparams_read (dc_hparams *hp, const dc_gguf *file, dc_error *err);

#endif
