/*
** graph.h: the steps of which encoder and decoder are made. They work on a
** batch of n tokens of any sequences, one row of floats each; what a token may
** attend to is said by its dc_view alone. So neither the batch nor the way a
** prompt was cut into chunks can show in a result.
*/
#ifndef DC_GRAPH_H
#define DC_GRAPH_H

#include "model/cache.h"
#include "model/weights.h"

/* What one token sees: the first n_keys positions of some blocks. */
typedef struct dc_view {
  dc_block *const *blocks;
  size_t n_keys;
} dc_view;

/* The rows of a batch in flight; everything is [n, d_model] but wide. */
typedef struct dc_batch {
  const dc_hparams *hp;
  size_t n, max_n;
  float *x;            /* the residual stream */
  float *h;            /* what goes into and comes out of a sublayer */
  float *q, *k, *v;
  float *wide;         /* [n, largest d_ff] */
  dc_view *views;      /* [n]: self-attention */
  dc_view *sources;    /* [n]: cross-attention */
  float *scores;       /* [max_threads, max_keys] and tile pointers */
  const float **tiles; /* [max_threads, 2 * max_tiles] */
  size_t max_keys;
  int max_threads;
  dc_scratch scratch;
  int threads;         /* budget of this pass, at most max_threads */
} dc_batch;

/* Room for n tokens that see at most n_keys positions, to be worked on by at
   most `threads` threads. */
bool dc_batch_reserve (dc_batch *b, const dc_hparams *hp, size_t n,
                       size_t n_keys, int threads);
void dc_batch_free (dc_batch *b);

/* Row i of x = embedding of id * scale + position. */
void dc_embed (dc_batch *b, size_t i, const dc_matrix *embedding,
               const float *positions, int32_t id, size_t position);

/* Before and after each sublayer: h = x or norm(x); x = x + h, normed after
   it in a post-norm model. */
void dc_enter (dc_batch *b, const dc_norm *norm);
void dc_leave (dc_batch *b, const dc_norm *norm);

/* Rows of `rows` normed in place, if there is such a norm. */
void dc_norm_rows (dc_batch *b, float *rows, const dc_norm *norm);

/* q, k, v = h's projections; k and v may be left out (cross-attention). */
void dc_project (dc_batch *b, const dc_attention *a, bool keys_and_values);

/* What a query times a key is multiplied by. */
static inline float dc_attention_scale (size_t d_head) {
  return (float)(1.0 / __builtin_sqrt((double)d_head));
}

/* h = heads(q against the views' tiles of this layer), then a->o. */
void dc_attend (dc_batch *b, const dc_attention *a, const dc_view *views,
                size_t layer, size_t n_heads);

/* h = down(activation(up(h))). */
void dc_feed_forward (dc_batch *b, const dc_layer *layer);

#endif
