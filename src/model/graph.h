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

/* What one token sees: the first n_keys positions of a timeline, or in
   windowed layers the last of these. */
typedef struct dc_view {
  const dc_timeline *timeline;
  size_t n_keys;
  size_t place;          /* the token's own position */
  const size_t *places;  /* [n_keys]: those of the keys; NULL: 0, 1, 2, ... */
} dc_view;

/* Positions that a query goes through at once. What they give it is put
   together in their order, whoever computed it. */
#define DC_CHUNK 128

/* Tokens, one behind the other, that go through the same keys together. */
typedef struct dc_run {
  size_t first, n;
} dc_run;

/* The rows of a batch in flight. */
typedef struct dc_batch {
  const dc_hparams *hp;
  const dc_pool *pool;   /* whose blocks the views lie in */
  size_t n, max_n;
  float *x;              /* [n, d_model]: the residual stream */
  float *h;              /* [n, d_model]: into and out of a sublayer */
  const float *in;       /* [n, d_model]: into it, h or x as it is */
  float *q, *k, *v;      /* [n, all heads] */
  float *wide;           /* [n, largest d_ff or all heads' values] */
  float *gate;           /* [n, d_ff or d_model] */
  dc_view *views;        /* [n]: self-attention */
  dc_view *sources;      /* [n]: cross-attention */
  dc_run *runs;          /* [n] at most, of the attention under way */
  dc_attention_part *parts;  /* [max_parts]: what chunks give to queries */
  float *part_values;    /* [max_parts, d_value] */
  size_t max_parts;
  float *weights;        /* [max_keys]: of one head, if somebody wants them */
  size_t max_keys;
  int max_threads;
  size_t d_ff;           /* of the layer that is under way */
  dc_scratch scratch;
  int threads;           /* budget of this pass, at most max_threads */
} dc_batch;

/* Room for n tokens that see at most n_keys positions, to be worked on by at
   most `threads` threads. */
bool dc_batch_reserve (dc_batch *b, const dc_hparams *hp, size_t n,
                       size_t n_keys, int threads);
void dc_batch_free (dc_batch *b);

/* Row i of x = embedding of id * scale, plus row `place` of the stack's
   positions if it has some. */
void dc_embed (dc_batch *b, size_t i, const dc_matrix *embedding,
               const float *positions, int32_t id, size_t place);

/* In front of a sublayer: in = x, normed in a pre-norm model. */
void dc_enter (dc_batch *b, const dc_norm *norm);

/* Behind it: x = x + h, where h is the product of the sublayer's last matrix
   and of what it left in `wide`. `post` norms h before, if there is such a
   norm; in a post-norm model `norm` norms x after. */
void dc_leave (dc_batch *b, const dc_linear *last, const dc_norm *norm,
               const dc_norm *post);

/* Where two sublayers read the same x: what dc_enter would make of it for the
   second is kept, and becomes its input. */
void dc_enter_later (dc_batch *b, const dc_norm *norm);
void dc_enter_now (dc_batch *b);

/* n rows of `width` normed, in place or to other rows. */
void dc_norm_each (const dc_batch *b, float *to, const float *from, size_t n,
                   size_t width, const dc_norm *norm);

/* Rows of d_model normed in place, if there is such a norm. */
void dc_norm_rows (dc_batch *b, float *rows, const dc_norm *norm);

/* Row `to` of the batch becomes row `from`, which is not above it: its place in
   the residual stream, its queries and what it sees. */
void dc_batch_move (dc_batch *b, size_t to, size_t from);

/* q, k, v = the input's projections; k and v may be left out (where they are
   the source's). */
void dc_project (dc_batch *b, const dc_attention *a, bool keys_and_values);

/* q and k are normed head by head, if the attention has such norms, and turned
   by their positions, if there is a table of them. */
void dc_norm_heads (dc_batch *b, const dc_attention *a,
                    const dc_stack_sizes *sizes);
void dc_rotate (dc_batch *b, const dc_table *rope,
                const dc_stack_sizes *sizes);

/* The keys and values go to where the views end. */
void dc_append (dc_batch *b, const dc_layer *layer);

/* The keys and values of n rows from `row` on become those of the timeline's
   positions from `at` on. */
void dc_store (const dc_batch *b, const dc_pool *pool,
               const dc_timeline *timeline, const dc_layer *layer, size_t at,
               size_t row, size_t n);

/* Parts that attention over n_keys positions takes at most. */
size_t dc_attention_parts (size_t n_keys, int threads);

/* wide = heads(q against the views' tiles of this layer). biases: those of
   the stack, or NULL. */
void dc_attend (dc_batch *b, const dc_view *views, const dc_layer *layer,
                const dc_stack_sizes *sizes, const float *biases);

/* The first position that a view sees in a layer of this reach. */
static inline size_t dc_first_key (const dc_batch *b, const dc_view *view,
                                   dc_reach reach) {
  size_t window = b->hp->window;
  return reach == DC_WINDOWED && view->n_keys > window
           ? view->n_keys - window : 0;
}

/* wide = activation(up(in)), or activation(gate(in)) * up(in). */
void dc_feed_forward (dc_batch *b, const dc_layer *layer);

#endif
