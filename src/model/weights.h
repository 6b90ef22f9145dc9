/*
** weights.h: the weights of a model, bound to where they lie in the file.
** Shapes are [outputs, inputs]; d = d_model.
*/
#ifndef DC_WEIGHTS_H
#define DC_WEIGHTS_H

#include "model/cache.h"
#include "model/positions.h"
#include "tensor/linear.h"

typedef struct dc_norm {
  const float *weight;  /* [d]; NULL: there is no such norm */
  const float *bias;    /* [d] or NULL */
} dc_norm;

typedef struct dc_attention {
  dc_linear q, k, v;       /* [heads * d_key, d], [kv heads * d_key, d], ... */
  dc_linear o;             /* [d, heads * d_value] */
  dc_norm norm, post_norm; /* in front; behind, before it is added */
  dc_norm q_norm, k_norm;  /* [d_key], of each head */
} dc_attention;

typedef struct dc_layer {
  dc_attention self, cross;   /* cross: decoders that have a source */
  dc_linear gate, up, down;   /* [d_ff, d] twice, [d, d_ff] */
  dc_norm ffn_norm, ffn_post_norm;
  dc_reach reach;             /* where the cache keeps it: the track, */
  uint32_t slot;              /* and the place in its blocks */
} dc_layer;

typedef struct dc_stack {
  dc_layer *layers;        /* [n_layers] */
  dc_stack_sizes sizes;
  const float *positions;  /* added to the embeddings [rows, d]; or NULL */
  dc_norm embedding_norm, output_norm;
  dc_matrix relative;      /* [buckets, heads] */
  float *biases;           /* [heads, 2 * max_distance + 1]: by distance, from
                              -max_distance on; owned; NULL: there are none */
} dc_stack;

typedef struct dc_weights {
  dc_matrix embedding;  /* [vocab, d] */
  dc_linear output;     /* [vocab, d], the embedding itself if tied */
  bool tied;
  dc_stack encoder, decoder;
  const float *rope_factors;  /* [dims / 2] or NULL */
  const float *rope_long, *rope_short;
  dc_table sinusoids;         /* without columns if there are none */
  dc_table rope, window_rope; /* the latter: if windowed layers differ */
  uint8_t *packed;            /* owned copies of matrices; NULL: none */
  size_t packed_bytes;        /* of them all, and of those that are made */
  size_t packed_so_far;
} dc_weights;

/* Binds every weight and checks its shape; a tensor that is missing, has the
   wrong shape or type, or is left over, is an error that names it. `context`
   is what the model will run with: it chooses between long and short rope
   factors. */
bool dc_weights_bind (dc_weights *w, const dc_hparams *hp, size_t context,
                      const dc_gguf *file, dc_error *err);
void dc_weights_free (dc_weights *w);

/* What packed copies of all quantised matrices that inputs are multiplied with
   take. False when it overflows. */
bool dc_weights_packed_bytes (dc_weights *w, size_t *bytes);

/* Takes room for these copies (pack.c), if they take no more than `most` bytes
   and memory is not short: they change speed only. */
void dc_weights_pack_room (dc_weights *w, size_t most);

/* Makes what so many tokens of a pass make of them, or all that is missing. No
   product may run. */
void dc_weights_pack_part (dc_weights *w, const dc_gguf *file, size_t tokens,
                           int threads);
void dc_weights_pack_rest (dc_weights *w, const dc_gguf *file, int threads);

/* The part of it that follows the binding (weights_positions.c). */
bool dc_weights_make_positions (dc_weights *w, const dc_hparams *hp,
                                size_t context, const dc_gguf *file,
                                dc_error *err);

/* Makes places 0..n-1 of both stacks ready. False when memory is short. */
bool dc_weights_positions (dc_weights *w, size_t n);

#endif
