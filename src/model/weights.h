/*
** weights.h: the weights of a model, bound to where they lie in the file.
** Shapes are [outputs, inputs]; d = d_model.
*/
#ifndef DC_WEIGHTS_H
#define DC_WEIGHTS_H

#include "model/arch.h"
#include "tensor/linear.h"

typedef struct dc_norm {
  const float *weight;  /* [d]; NULL: there is no such norm */
  const float *bias;    /* [d] */
} dc_norm;

typedef struct dc_attention {
  dc_linear q, k, v, o;  /* [d, d] */
  dc_norm norm;
} dc_attention;

typedef struct dc_layer {
  dc_attention self, cross;  /* cross: decoders only */
  dc_linear up, down;        /* [d_ff, d], [d, d_ff] */
  dc_norm ffn_norm;
} dc_layer;

typedef struct dc_stack {
  dc_layer *layers;        /* [n_layers] */
  dc_stack_sizes sizes;
  const float *positions;  /* [context, d] */
  dc_norm embedding_norm, output_norm;
} dc_stack;

typedef struct dc_weights {
  dc_matrix embedding;  /* [vocab, d] */
  dc_linear output;     /* [vocab, d], the embedding itself if tied */
  dc_stack encoder, decoder;
  float *sinusoids;     /* [n_sinusoids, d], owned; none if learned */
  size_t n_sinusoids;
} dc_weights;

/* Binds every weight and checks its shape; a tensor that is missing, has the
   wrong shape or type, or is left over, is an error that names it. */
bool dc_weights_bind (dc_weights *w, const dc_hparams *hp, const dc_gguf *file,
                      dc_error *err);
void dc_weights_free (dc_weights *w);

/* Makes both stacks' position rows 0..n-1 ready (n <= context): sinusoids are
   computed when they are first needed, for a context that a file merely
   declares costs nothing. False when memory is short. */
bool dc_weights_positions (dc_weights *w, const dc_hparams *hp, size_t n);

#endif
