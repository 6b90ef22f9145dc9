/* graph.c: see graph.h. */
#include "model/graph.h"

#include <string.h>

#include "base/memory.h"
#include "base/threads.h"


/* ---- room ---------------------------------------------------------------- */

static size_t wider (const dc_hparams *hp) {
  size_t a = hp->encoder.d_ff, b = hp->decoder.d_ff;
  size_t ff = a > b ? a : b;
  return ff > hp->d_model ? ff : hp->d_model;
}


static void free_rows (dc_batch *b) {
  dc_free(b->x);
  dc_free(b->h);
  dc_free(b->q);
  dc_free(b->k);
  dc_free(b->v);
  dc_free(b->wide);
  dc_free(b->views);
  dc_free(b->sources);
  b->x = b->h = b->q = b->k = b->v = b->wide = NULL;
  b->views = b->sources = NULL;
  b->max_n = 0;
}


static bool reserve_rows (dc_batch *b, size_t n, size_t d, size_t wide) {
  free_rows(b);
  float **rows[] = {&b->x, &b->h, &b->q, &b->k, &b->v};
  bool ok = true;
  for (size_t i = 0; i < 5; i++)
    ok &= (*rows[i] = dc_alloc_array(n, d * sizeof(float))) != NULL;
  ok &= (b->wide = dc_alloc_array(n, wide * sizeof(float))) != NULL;
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
  b->scores = dc_alloc_array(team * tiles * DC_TILE, sizeof *b->scores);
  b->tiles = dc_alloc_array(team * tiles * 2, sizeof *b->tiles);
  bool ok = b->scores != NULL && b->tiles != NULL;
  b->max_keys = ok ? tiles * DC_TILE : 0;
  b->max_threads = ok ? threads : 0;
  return ok;
}


bool dc_batch_reserve (dc_batch *b, const dc_hparams *hp, size_t n,
                       size_t n_keys, int threads) {
  b->hp = hp;
  b->n = n;
  b->threads = threads;
  if (n > b->max_n && !reserve_rows(b, n, hp->d_model, wider(hp)))
    return false;
  if ((n_keys > b->max_keys || threads > b->max_threads) &&
      !reserve_keys(b, n_keys > b->max_keys ? n_keys * 2 : b->max_keys,
                    threads > b->max_threads ? threads : b->max_threads))
    return false;
  return dc_scratch_reserve(&b->scratch, n, wider(hp));
}


void dc_batch_free (dc_batch *b) {
  free_rows(b);
  dc_free(b->scores);
  dc_free(b->tiles);
  dc_scratch_free(&b->scratch);
  memset(b, 0, sizeof *b);
}


/* ---- steps ---------------------------------------------------------------- */

void dc_embed (dc_batch *b, size_t i, const dc_matrix *embedding,
               const float *positions, int32_t id, size_t position) {
  const dc_kernels *k = dc_kernels_get();
  size_t d = b->hp->d_model;
  float *x = b->x + i * d;
  const char *row = (const char *)embedding->data;
  dc_dequantize_row(embedding->type, x, row + (size_t)id * embedding->row_bytes,
                    d);
  k->scale(x, x, b->hp->embedding_scale, d);
  k->add(x, x, positions + position * d, d);
}


void dc_norm_rows (dc_batch *b, float *rows, const dc_norm *norm) {
  const dc_kernels *k = dc_kernels_get();
  size_t d = b->hp->d_model;
  if (norm->weight == NULL) return;
  for (size_t i = 0; i < b->n; i++)
    k->layer_norm(rows + i * d, rows + i * d, norm->weight, norm->bias,
                  b->hp->norm_eps, d);
}


void dc_enter (dc_batch *b, const dc_norm *norm) {
  memcpy(b->h, b->x, b->n * b->hp->d_model * sizeof *b->h);
  if (b->hp->norm_place == DC_PRE_NORM) dc_norm_rows(b, b->h, norm);
}


void dc_leave (dc_batch *b, const dc_norm *norm) {
  dc_kernels_get()->add(b->x, b->x, b->h, b->n * b->hp->d_model);
  if (b->hp->norm_place == DC_POST_NORM) dc_norm_rows(b, b->x, norm);
}


void dc_project (dc_batch *b, const dc_attention *a, bool keys_and_values) {
  const dc_linear *const w[] = {&a->q, &a->k, &a->v};
  float *const out[] = {b->q, b->k, b->v};
  dc_linear_apply_all(w, out, keys_and_values ? 3 : 1, b->h, b->n, &b->scratch,
                      b->threads);
}


typedef struct heads {
  const dc_batch *b;
  const dc_view *views;
  size_t layer, n_heads, d_head;
} heads;


/* One head of one token, written over its query. */
static void one_head (const heads *c, size_t token, size_t head, int thread) {
  const dc_batch *b = c->b;
  const dc_view *view = &c->views[token];
  size_t d = b->hp->d_model, n_tiles = (view->n_keys + DC_TILE - 1) / DC_TILE;
  size_t max_tiles = b->max_keys / DC_TILE;
  const float **keys = b->tiles + (size_t)thread * 2 * max_tiles;
  const float **values = keys + max_tiles;
  size_t at = dc_tile_offset(c->layer, d);
  for (size_t t = 0; t < n_tiles; t++) {
    const float *tile = view->blocks[t]->data + at;
    keys[t] = tile + head * c->d_head * DC_TILE;
    values[t] = tile + DC_TILE * d + head * c->d_head;
  }
  size_t row = token * d + head * c->d_head;
  dc_kernels_get()->attention(
    b->h + row, b->q + row, keys, values, d, view->n_keys, c->d_head,
    dc_attention_scale(c->d_head),
    b->scores + (size_t)thread * b->max_keys);
}


static void some_heads (void *context, size_t begin, size_t end, int thread) {
  const heads *c = context;
  for (size_t i = begin; i < end; i++)
    one_head(c, i / c->n_heads, i % c->n_heads, thread);
}


void dc_attend (dc_batch *b, const dc_attention *a, const dc_view *views,
                size_t layer, size_t n_heads) {
  heads c = {b, views, layer, n_heads, b->hp->d_model / n_heads};
  double keys = 0;
  for (size_t i = 0; i < b->n; i++) keys += (double)views[i].n_keys;
  dc_parallel_for(b->n * n_heads, 2 * keys * (double)b->hp->d_model,
                  b->threads, some_heads, &c);
  /* q is free again: the projection may not overwrite what it reads. */
  memcpy(b->q, b->h, b->n * b->hp->d_model * sizeof *b->q);
  dc_linear_apply(&a->o, b->h, b->q, b->n, &b->scratch, b->threads);
}


typedef struct activations {
  const dc_batch *b;
  size_t d_ff;
} activations;


static void some_activations (void *context, size_t begin, size_t end,
                              int thread) {
  const activations *c = context;
  const dc_kernels *k = dc_kernels_get();
  float *x = c->b->wide + begin * c->d_ff;
  size_t n = (end - begin) * c->d_ff;
  (void)thread;
  switch (c->b->hp->activation) {
    case DC_RELU: k->relu(x, x, n); break;
    case DC_SILU: k->silu(x, x, n); break;
    case DC_GELU: k->gelu(x, x, n); break;
    case DC_GELU_TANH: k->gelu_tanh(x, x, n); break;
  }
}


void dc_feed_forward (dc_batch *b, const dc_layer *layer) {
  activations c = {b, layer->up.weight.rows};
  dc_linear_apply(&layer->up, b->wide, b->h, b->n, &b->scratch, b->threads);
  dc_parallel_for(b->n, 20.0 * (double)(b->n * c.d_ff), b->threads,
                  some_activations, &c);
  dc_linear_apply(&layer->down, b->h, b->wide, b->n, &b->scratch, b->threads);
}
