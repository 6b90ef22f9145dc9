/*
** attention.c: the steps of attention; see graph.h.
**
** The queries that read the same keys go through them together: those of the
** heads that share a key head, and the tokens of one timeline (a prompt, or
** the beams of one source). Each still makes its own sums in its own order, so
** company cannot show in a result.
*/
#include "model/graph.h"

#include "base/threads.h"

#define STORE_WORK 16.0  /* of a value, in multiply-adds */


void dc_project (dc_batch *b, const dc_attention *a, bool keys_and_values) {
  const dc_linear *const w[] = {&a->q, &a->k, &a->v};
  float *const out[] = {b->q, b->k, b->v};
  dc_linear_apply_all(w, out, keys_and_values ? 3 : 1, b->in, b->n,
                      &b->scratch, b->threads);
}


void dc_norm_heads (dc_batch *b, const dc_attention *a,
                    const dc_stack_sizes *sizes) {
  size_t d = sizes->d_key;
  if (a->q_norm.weight != NULL)
    dc_norm_each(b, b->q, b->q, b->n * sizes->n_heads, d, &a->q_norm);
  if (a->k_norm.weight != NULL)
    dc_norm_each(b, b->k, b->k, b->n * sizes->n_kv_heads, d, &a->k_norm);
}


typedef struct rotation {
  const dc_batch *b;
  const dc_table *rope;
  const dc_stack_sizes *sizes;
} rotation;


/* Turns one head: each pair of columns by its angle. */
static void rotate_head (float *x, const float *sines, size_t pairs,
                         bool neighbours) {
  const float *cosines = sines + pairs;
  size_t step = neighbours ? 2 : 1, apart = neighbours ? 1 : pairs;
  for (size_t i = 0; i < pairs; i++) {
    float a = x[i * step], b = x[i * step + apart];
    x[i * step] = a * cosines[i] - b * sines[i];
    x[i * step + apart] = a * sines[i] + b * cosines[i];
  }
}


static void rotate_some (void *context, size_t begin, size_t end,
                         int thread) {
  const rotation *c = context;
  const dc_batch *b = c->b;
  bool neighbours = b->hp->positions == DC_ROPE_PAIRS;
  size_t d = c->sizes->d_key, pairs = c->rope->n_rates;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    const float *sines = c->rope->rows + b->views[i].place * c->rope->columns;
    float *q = b->q + i * c->sizes->n_heads * d;
    float *k = b->k + i * c->sizes->n_kv_heads * d;
    for (size_t h = 0; h < c->sizes->n_heads; h++)
      rotate_head(q + h * d, sines, pairs, neighbours);
    for (size_t h = 0; h < c->sizes->n_kv_heads; h++)
      rotate_head(k + h * d, sines, pairs, neighbours);
  }
}


void dc_rotate (dc_batch *b, const dc_table *rope,
                const dc_stack_sizes *sizes) {
  rotation c = {b, rope, sizes};
  double heads = (double)sizes->n_heads + sizes->n_kv_heads;
  if (rope->columns == 0) return;
  dc_parallel_for(b->n, 4 * heads * (double)(b->n * rope->columns), b->threads,
                  rotate_some, &c);
}


typedef struct appending {
  const dc_batch *b;
  const dc_layer *layer;
} appending;


static void append_some (void *context, size_t begin, size_t end,
                         int thread) {
  const appending *c = context;
  const dc_batch *b = c->b;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    const dc_view *view = &b->views[i];
    dc_track_store(b->pool, &view->timeline->tracks[c->layer->reach],
                   view->n_keys - 1, c->layer->slot,
                   b->k + i * b->pool->d_keys, b->v + i * b->pool->d_values);
  }
}


void dc_append (dc_batch *b, const dc_layer *layer) {
  appending c = {b, layer};
  double values = (double)(b->n * (b->pool->d_keys + b->pool->d_values));
  dc_parallel_for(b->n, STORE_WORK * values, b->threads, append_some, &c);
}


typedef struct storing {
  const dc_pool *pool;
  const dc_timeline *timeline;
  const dc_layer *layer;
  size_t at;
  const float *k, *v;
} storing;


static void store_some (void *context, size_t begin, size_t end, int thread) {
  const storing *c = context;
  (void)thread;
  for (size_t i = begin; i < end; i++)
    dc_track_store(c->pool, &c->timeline->tracks[c->layer->reach], c->at + i,
                   c->layer->slot, c->k + i * c->pool->d_keys,
                   c->v + i * c->pool->d_values);
}


void dc_store (const dc_batch *b, const dc_pool *pool,
               const dc_timeline *timeline, const dc_layer *layer, size_t at,
               size_t row, size_t n) {
  storing c = {pool, timeline, layer, at, b->k + row * pool->d_keys,
               b->v + row * pool->d_values};
  double values = (double)(n * (pool->d_keys + pool->d_values));
  dc_parallel_for(n, STORE_WORK * values, b->threads, store_some, &c);
}


/* Query i of all: key head by key head, in each token by token, in each the
   heads of the group. So neighbours mostly read the same keys. */
typedef struct heads {
  const dc_batch *b;
  const dc_view *views;
  const dc_layer *layer;
  const dc_stack_sizes *sizes;
  const float *biases;
  size_t group;  /* heads that share a key head */
} heads;

typedef struct query_place {
  size_t token, head, shared;  /* the last: the key head */
} query_place;

static query_place place_of (const heads *c, size_t i) {
  size_t each = c->b->n * c->group;
  size_t shared = i / each, rest = i % each;
  return (query_place){.token = rest / c->group, .shared = shared,
                       .head = shared * c->group + rest % c->group};
}


/* biases[j] for the keys from `first` on, by their distance to the query. */
static void fill_biases (const heads *c, const dc_view *view, size_t head,
                         size_t first, float *biases) {
  int64_t far = c->b->hp->max_distance;
  const float *row = c->biases + head * (2 * (size_t)far + 1) + far;
  for (size_t j = first; j < view->n_keys; j++) {
    size_t place = view->places != NULL ? view->places[j] : j;
    int64_t distance = (int64_t)view->place - (int64_t)place;
    biases[j - first] =
      row[distance > far ? far : distance < -far ? -far : distance];
  }
}


/* How many of the queries i..end-1 go through the keys of the first one. */
static size_t together (const heads *c, size_t i, size_t end) {
  query_place first = place_of(c, i);
  const dc_timeline *timeline = c->views[first.token].timeline;
  size_t n = 1;
  for (; n < DC_QUERIES && i + n < end; n++) {
    query_place next = place_of(c, i + n);
    if (next.shared != first.shared ||
        c->views[next.token].timeline != timeline)
      break;
  }
  return n;
}


/* Where the tiles of positions begin..end-1 lie; begin is a tile's first. */
static void find_tiles (const heads *c, const dc_view *view, size_t shared,
                        size_t begin, size_t end, const float **keys,
                        const float **values) {
  const dc_pool *pool = c->b->pool;
  const dc_track *track = &view->timeline->tracks[c->layer->reach];
  for (size_t at = begin; at < end; at += DC_TILE) {
    *keys++ = dc_tile_keys(pool, track, at, c->layer->slot) +
              shared * c->sizes->d_key * DC_TILE;
    *values++ = dc_tile_values(pool, track, at, c->layer->slot) +
                shared * c->sizes->d_value;
  }
}


/* The queries i..i+n-1, which go together. */
static void some_queries (const heads *c, size_t i, size_t n, int thread) {
  const dc_batch *b = c->b;
  const dc_stack_sizes *s = c->sizes;
  const float **keys = b->tiles + (size_t)thread * 2 * (b->max_keys / DC_TILE);
  const float **values = keys + b->max_keys / DC_TILE;
  float *scores = b->scores + (size_t)thread * b->n_scores * b->max_keys;
  float *biases = scores + DC_QUERIES * b->max_keys;
  dc_attention_query queries[DC_QUERIES];
  size_t begin = SIZE_MAX, end = 0;
  for (size_t j = 0; j < n; j++) {
    const dc_view *view = &c->views[place_of(c, i + j).token];
    size_t first = dc_first_key(b, view, c->layer->reach) / DC_TILE * DC_TILE;
    begin = first < begin ? first : begin;
    end = view->n_keys > end ? view->n_keys : end;
  }
  for (size_t j = 0; j < n; j++) {
    query_place at = place_of(c, i + j);
    const dc_view *view = &c->views[at.token];
    size_t row = at.token * s->n_heads + at.head;
    float *bias = c->biases != NULL ? biases + j * b->max_keys : NULL;
    if (bias != NULL) fill_biases(c, view, at.head, begin, bias);
    queries[j] = (dc_attention_query){
      .q = b->q + row * s->d_key, .out = b->wide + row * s->d_value,
      .first = dc_first_key(b, view, c->layer->reach) - begin,
      .n = view->n_keys - begin, .bias = bias,
      .scores = scores + j * b->max_keys,
    };
  }
  query_place at = place_of(c, i);
  find_tiles(c, &c->views[at.token], at.shared, begin, end, keys, values);
  dc_attention_span span = {
    .keys = keys, .values = values, .ld_values = b->pool->d_values,
    .d_key = s->d_key, .d_value = s->d_value, .scale = s->score_scale,
    .cap = b->hp->score_cap,
  };
  dc_kernels_get()->attention(queries, n, &span);
}


static void some_heads (void *context, size_t begin, size_t end, int thread) {
  const heads *c = context;
  for (size_t i = begin, n; i < end; i += n) {
    n = together(c, i, end);
    some_queries(c, i, n, thread);
  }
}


void dc_attend (dc_batch *b, const dc_view *views, const dc_layer *layer,
                const dc_stack_sizes *sizes, const float *biases) {
  heads c = {b, views, layer, sizes, biases,
             sizes->n_heads / sizes->n_kv_heads};
  double keys = 0;
  for (size_t i = 0; i < b->n; i++)
    keys += (double)(views[i].n_keys -
                     dc_first_key(b, &views[i], layer->reach));
  dc_parallel_for(b->n * sizes->n_heads,
                  keys * sizes->n_heads *
                    ((double)sizes->d_key + sizes->d_value),
                  b->threads, some_heads, &c);
}
