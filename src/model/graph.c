/* graph.c: see graph.h. */
#include "model/graph.h"

#include <string.h>

#include "base/memory.h"
#include "base/threads.h"


/* ---- room -------------------------------------------------------------- */

static size_t larger (size_t a, size_t b) {
  return a > b ? a : b;
}


/* The widest row of either stack, by heads times the width of one. */
typedef struct widths {
  size_t queries, keys, values, wide, gate;
} widths;

static void widen (widths *w, const dc_stack_sizes *s, size_t d) {
  size_t outputs = (size_t)s->n_heads * s->d_value;
  w->queries = larger(w->queries, (size_t)s->n_heads * s->d_key);
  w->keys = larger(w->keys, (size_t)s->n_kv_heads * s->d_key);
  w->values = larger(w->values, (size_t)s->n_kv_heads * s->d_value);
  w->gate = larger(w->gate, larger(s->d_ff, d));
  w->wide = larger(w->wide, larger(w->gate, outputs));
}


static widths widths_of (const dc_hparams *hp) {
  widths w = {0};
  widen(&w, &hp->encoder, hp->d_model);
  widen(&w, &hp->decoder, hp->d_model);
  return w;
}


static void free_rows (dc_batch *b) {
  float **rows[] = {&b->x, &b->h, &b->q, &b->k, &b->v, &b->wide, &b->gate};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    dc_free(*rows[i]);
    *rows[i] = NULL;
  }
  dc_free(b->views);
  dc_free(b->sources);
  b->views = b->sources = NULL;
  b->max_n = 0;
}


static bool reserve_rows (dc_batch *b, size_t n, size_t d, const widths *w) {
  struct {
    float **rows;
    size_t width;
  } wanted[] = {
    {&b->x, d}, {&b->h, d}, {&b->q, w->queries}, {&b->k, w->keys},
    {&b->v, w->values}, {&b->wide, w->wide},
    {&b->gate, b->hp->gated || b->hp->parallel ? w->gate : 0},
  };
  bool ok = true;
  free_rows(b);
  for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
    *wanted[i].rows = dc_alloc_array(n, wanted[i].width * sizeof(float));
    ok &= *wanted[i].rows != NULL;
  }
  ok &= (b->views = dc_alloc_array(n, sizeof *b->views)) != NULL;
  ok &= (b->sources = dc_alloc_array(n, sizeof *b->sources)) != NULL;
  if (ok)
    b->max_n = n;
  else
    free_rows(b);
  return ok;
}


static bool reserve_keys (dc_batch *b, size_t n_keys, int threads) {
  size_t tiles = (n_keys + DC_TILE - 1) / DC_TILE, team = (size_t)threads;
  dc_free(b->scores);
  dc_free(b->tiles);
  b->scores = dc_alloc_array(team * tiles * DC_TILE * 2, sizeof *b->scores);
  b->tiles = dc_alloc_array(team * tiles * 2, sizeof *b->tiles);
  bool ok = b->scores != NULL && b->tiles != NULL;
  b->max_keys = ok ? tiles * DC_TILE : 0;
  b->max_threads = ok ? threads : 0;
  return ok;
}


bool dc_batch_reserve (dc_batch *b, const dc_hparams *hp, size_t n,
                       size_t n_keys, int threads) {
  widths w = widths_of(hp);
  b->hp = hp;
  b->n = n;
  b->threads = threads;
  if (n > b->max_n && !reserve_rows(b, n, hp->d_model, &w)) return false;
  if ((n_keys > b->max_keys || threads > b->max_threads) &&
      !reserve_keys(b, n_keys > b->max_keys ? n_keys * 2 : b->max_keys,
                    threads > b->max_threads ? threads : b->max_threads))
    return false;
  return dc_scratch_reserve(&b->scratch, n, w.wide);
}


void dc_batch_free (dc_batch *b) {
  free_rows(b);
  dc_free(b->scores);
  dc_free(b->tiles);
  dc_scratch_free(&b->scratch);
  memset(b, 0, sizeof *b);
}


/* ---- the residual stream ----------------------------------------------- */

void dc_embed (dc_batch *b, size_t i, const dc_matrix *embedding,
               const float *positions, int32_t id, size_t place) {
  const dc_kernels *k = dc_kernels_get();
  size_t d = b->hp->d_model;
  float *x = b->x + i * d;
  const char *row = (const char *)embedding->data;
  dc_dequantize_row(embedding->type, x, row + (size_t)id * embedding->row_bytes,
                    d);
  k->scale(x, x, b->hp->embedding_scale, d);
  if (positions != NULL) k->add(x, x, positions + place * d, d);
}


/* n rows of `width`, `stride` apart, in place. */
static void norm_some (const dc_hparams *hp, float *rows, size_t n,
                       size_t stride, const dc_norm *norm, size_t width) {
  const dc_kernels *k = dc_kernels_get();
  if (norm->weight == NULL) return;
  for (size_t i = 0; i < n; i++, rows += stride)
    if (hp->arch->norm == DC_RMS_NORM)
      k->rms_norm(rows, rows, norm->weight, hp->norm_eps, width);
    else
      k->layer_norm(rows, rows, norm->weight, norm->bias, hp->norm_eps, width);
}


void dc_norm_rows (dc_batch *b, float *rows, const dc_norm *norm) {
  norm_some(b->hp, rows, b->n, b->hp->d_model, norm, b->hp->d_model);
}


static void enter (dc_batch *b, float *to, const dc_norm *norm) {
  memcpy(to, b->x, b->n * b->hp->d_model * sizeof *to);
  if (b->hp->norm_place == DC_PRE_NORM) dc_norm_rows(b, to, norm);
}


void dc_enter (dc_batch *b, const dc_norm *norm) {
  enter(b, b->h, norm);
}


void dc_enter_later (dc_batch *b, const dc_norm *norm) {
  enter(b, b->gate, norm);
}


void dc_enter_now (dc_batch *b) {
  memcpy(b->h, b->gate, b->n * b->hp->d_model * sizeof *b->h);
}


void dc_leave (dc_batch *b, const dc_norm *norm, const dc_norm *post) {
  dc_norm_rows(b, b->h, post);
  dc_kernels_get()->add(b->x, b->x, b->h, b->n * b->hp->d_model);
  if (b->hp->norm_place == DC_POST_NORM) dc_norm_rows(b, b->x, norm);
}


/* ---- attention --------------------------------------------------------- */

void dc_project (dc_batch *b, const dc_attention *a, bool keys_and_values) {
  const dc_linear *const w[] = {&a->q, &a->k, &a->v};
  float *const out[] = {b->q, b->k, b->v};
  dc_linear_apply_all(w, out, keys_and_values ? 3 : 1, b->h, b->n, &b->scratch,
                      b->threads);
}


void dc_norm_heads (dc_batch *b, const dc_attention *a,
                    const dc_stack_sizes *sizes) {
  size_t d = sizes->d_key;
  norm_some(b->hp, b->q, b->n * sizes->n_heads, d, &a->q_norm, d);
  norm_some(b->hp, b->k, b->n * sizes->n_kv_heads, d, &a->k_norm, d);
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


/* Head by head: token i / n_heads, head i % n_heads. */
typedef struct heads {
  const dc_batch *b;
  const dc_view *views;
  const dc_layer *layer;
  const dc_stack_sizes *sizes;
  const float *biases;
} heads;


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


/* One query head against the tiles of the key head that its group shares. */
static void one_head (const heads *c, size_t token, size_t head, int thread) {
  const dc_batch *b = c->b;
  const dc_stack_sizes *s = c->sizes;
  const dc_view *view = &c->views[token];
  const dc_track *track = &view->timeline->tracks[c->layer->reach];
  size_t first = dc_first_key(b, view, c->layer->reach);
  size_t begin = first / DC_TILE * DC_TILE;
  size_t shared = head / (s->n_heads / s->n_kv_heads);
  const float **keys = b->tiles + (size_t)thread * 2 * (b->max_keys / DC_TILE);
  const float **values = keys + b->max_keys / DC_TILE;
  float *scores = b->scores + (size_t)thread * 2 * b->max_keys;
  float *biases = c->biases != NULL ? scores + b->max_keys : NULL;
  for (size_t at = begin, t = 0; at < view->n_keys; at += DC_TILE, t++) {
    keys[t] = dc_tile_keys(b->pool, track, at, c->layer->slot) +
              shared * s->d_key * DC_TILE;
    values[t] = dc_tile_values(b->pool, track, at, c->layer->slot) +
                shared * s->d_value;
  }
  if (biases != NULL) fill_biases(c, view, head, begin, biases);
  dc_attention_span span = {
    .keys = keys, .values = values, .ld_values = b->pool->d_values,
    .first = first - begin, .n = view->n_keys - begin, .d_key = s->d_key,
    .d_value = s->d_value, .scale = s->score_scale,
    .cap = b->hp->score_cap, .bias = biases, .scores = scores,
  };
  size_t at = token * s->n_heads + head;
  dc_kernels_get()->attention(b->wide + at * s->d_value,
                              b->q + at * s->d_key, &span);
}


static void some_heads (void *context, size_t begin, size_t end, int thread) {
  const heads *c = context;
  size_t n_heads = c->sizes->n_heads;
  for (size_t i = begin; i < end; i++)
    one_head(c, i / n_heads, i % n_heads, thread);
}


void dc_attend (dc_batch *b, const dc_attention *a, const dc_view *views,
                const dc_layer *layer, const dc_stack_sizes *sizes,
                const float *biases) {
  heads c = {b, views, layer, sizes, biases};
  double keys = 0;
  for (size_t i = 0; i < b->n; i++)
    keys += (double)(views[i].n_keys -
                     dc_first_key(b, &views[i], layer->reach));
  dc_parallel_for(b->n * sizes->n_heads,
                  keys * sizes->n_heads *
                    ((double)sizes->d_key + sizes->d_value),
                  b->threads, some_heads, &c);
  dc_linear_apply(&a->o, b->h, b->wide, b->n, &b->scratch, b->threads);
}


/* ---- feed-forward ------------------------------------------------------ */

typedef struct activations {
  const dc_batch *b;
  size_t d_ff;
} activations;


/* wide = activation(wide), or activation(gate) * wide. */
static void some_activations (void *context, size_t begin, size_t end,
                              int thread) {
  const activations *c = context;
  const dc_kernels *k = dc_kernels_get();
  bool gated = c->b->hp->gated;
  float *up = c->b->wide + begin * c->d_ff;
  float *x = gated ? c->b->gate + begin * c->d_ff : up;
  size_t n = (end - begin) * c->d_ff;
  (void)thread;
  switch (c->b->hp->activation) {
    case DC_RELU: k->relu(x, x, n); break;
    case DC_SILU: k->silu(x, x, n); break;
    case DC_GELU: k->gelu(x, x, n); break;
    case DC_GELU_TANH: k->gelu_tanh(x, x, n); break;
  }
  if (gated) k->mul(up, x, up, n);
}


void dc_feed_forward (dc_batch *b, const dc_layer *layer) {
  activations c = {b, layer->up.weight.rows};
  const dc_linear *const w[] = {&layer->up, &layer->gate};
  float *const out[] = {b->wide, b->gate};
  dc_linear_apply_all(w, out, b->hp->gated ? 2 : 1, b->h, b->n, &b->scratch,
                      b->threads);
  dc_parallel_for(b->n, 20.0 * (double)(b->n * c.d_ff), b->threads,
                  some_activations, &c);
  dc_linear_apply(&layer->down, b->h, b->wide, b->n, &b->scratch, b->threads);
}
