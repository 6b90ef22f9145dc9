/* graph.c: see graph.h. */
#include "model/graph.h"

#include <string.h>

#include "base/memory.h"
#include "base/threads.h"

#define NORM_WORK 8.0  /* of a value, in multiply-adds */


/* ---- room -------------------------------------------------------------- */

static size_t larger (size_t a, size_t b) {
  return a > b ? a : b;
}


/* The widest row of either stack, by heads times the width of one. */
typedef struct widths {
  size_t queries, keys, values, value, wide, gate;
} widths;

static void widen (widths *w, const dc_stack_sizes *s, size_t d) {
  size_t outputs = (size_t)s->n_heads * s->d_value;
  w->queries = larger(w->queries, (size_t)s->n_heads * s->d_key);
  w->keys = larger(w->keys, (size_t)s->n_kv_heads * s->d_key);
  w->values = larger(w->values, (size_t)s->n_kv_heads * s->d_value);
  w->value = larger(w->value, s->d_value);
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
  dc_free(b->runs);
  b->views = b->sources = NULL;
  b->runs = NULL;
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
  ok &= (b->runs = dc_alloc_array(n, sizeof *b->runs)) != NULL;
  if (ok)
    b->max_n = n;
  else
    free_rows(b);
  return ok;
}


static void free_keys (dc_batch *b) {
  dc_free(b->parts);
  dc_free(b->part_values);
  dc_free(b->weights);
  b->parts = NULL;
  b->part_values = b->weights = NULL;
  b->max_parts = b->max_keys = 0;
  b->max_threads = 0;
}


static bool reserve_keys (dc_batch *b, size_t n_keys, int threads,
                          size_t d_value) {
  size_t n = dc_attention_parts(n_keys, threads);
  free_keys(b);
  b->parts = dc_alloc_array(n, sizeof *b->parts);
  b->part_values = dc_alloc_array(n, d_value * sizeof *b->part_values);
  b->weights = dc_alloc_array(n_keys, sizeof *b->weights);
  if (b->parts == NULL || b->part_values == NULL || b->weights == NULL) {
    free_keys(b);
    return false;
  }
  for (size_t i = 0; i < n; i++)
    b->parts[i].values = b->part_values + i * d_value;
  b->max_parts = n;
  b->max_keys = n_keys;
  b->max_threads = threads;
  return true;
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
                    threads > b->max_threads ? threads : b->max_threads,
                    w.value))
    return false;
  return dc_scratch_reserve(&b->scratch, n, w.wide);
}


void dc_batch_free (dc_batch *b) {
  free_rows(b);
  free_keys(b);
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


/* Rows of `width`, `stride` apart, on their way through a norm. */
typedef struct norm_pass {
  const dc_hparams *hp;
  const dc_norm *norm;
  const float *from;
  float *to;  /* may be `from` */
  size_t width;
} norm_pass;


static void norm_some (void *context, size_t begin, size_t end, int thread) {
  const norm_pass *c = context;
  const dc_kernels *k = dc_kernels_get();
  const dc_norm *norm = c->norm;
  float eps = c->hp->norm_eps;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    const float *x = c->from + i * c->width;
    float *to = c->to + i * c->width;
    if (c->hp->arch->norm == DC_RMS_NORM)
      k->rms_norm(to, x, norm->weight, eps, c->width);
    else
      k->layer_norm(to, x, norm->weight, norm->bias, eps, c->width);
  }
}


void dc_norm_each (const dc_batch *b, float *to, const float *from, size_t n,
                   size_t width, const dc_norm *norm) {
  norm_pass c = {b->hp, norm, from, to, width};
  dc_parallel_for(n, NORM_WORK * (double)(n * width), b->threads, norm_some,
                  &c);
}


void dc_norm_rows (dc_batch *b, float *rows, const dc_norm *norm) {
  if (norm->weight != NULL)
    dc_norm_each(b, rows, rows, b->n, b->hp->d_model, norm);
}


/* What a sublayer reads: x as it is, or normed into the rows `to`. */
static const float *entering (dc_batch *b, float *to, const dc_norm *norm) {
  if (b->hp->norm_place != DC_PRE_NORM || norm->weight == NULL) return b->x;
  dc_norm_each(b, to, b->x, b->n, b->hp->d_model, norm);
  return to;
}


void dc_enter (dc_batch *b, const dc_norm *norm) {
  b->in = entering(b, b->h, norm);
}


void dc_enter_later (dc_batch *b, const dc_norm *norm) {
  if (entering(b, b->gate, norm) == b->x)
    memcpy(b->gate, b->x, b->n * b->hp->d_model * sizeof *b->x);
}


void dc_enter_now (dc_batch *b) {
  memcpy(b->h, b->gate, b->n * b->hp->d_model * sizeof *b->h);
  b->in = b->h;
}


/* x = x + h: columns begin..end. */
static void add_columns (void *context, size_t begin, size_t end) {
  const dc_batch *b = context;
  size_t d = b->hp->d_model;
  for (size_t i = 0; i < b->n; i++) {
    float *x = b->x + i * d + begin;
    dc_kernels_get()->add(x, x, b->h + i * d + begin, end - begin);
  }
}


void dc_leave (dc_batch *b, const dc_linear *last, const dc_norm *norm,
               const dc_norm *post) {
  bool at_once = post->weight == NULL;  /* else a whole row must be there */
  dc_linear_apply_then(&last, &b->h, 1, b->wide, b->n, &b->scratch, b->threads,
                       at_once ? add_columns : NULL, b);
  if (!at_once) {
    dc_norm_rows(b, b->h, post);
    add_columns(b, 0, b->hp->d_model);
  }
  if (b->hp->norm_place == DC_POST_NORM) dc_norm_rows(b, b->x, norm);
}


void dc_batch_move (dc_batch *b, size_t to, size_t from) {
  size_t d = b->hp->d_model;
  size_t queries = (size_t)b->hp->decoder.n_heads * b->hp->decoder.d_key;
  if (to == from) return;
  memcpy(b->x + to * d, b->x + from * d, d * sizeof *b->x);
  memcpy(b->q + to * queries, b->q + from * queries, queries * sizeof *b->q);
  if (b->hp->parallel)
    memcpy(b->gate + to * d, b->gate + from * d, d * sizeof *b->gate);
  b->views[to] = b->views[from];
  b->sources[to] = b->sources[from];
}


/* ---- feed-forward ------------------------------------------------------ */

/* Hendrycks and Gimpel 2016: x sigmoid(1.702 x). silu(y) is y sigmoid(y). */
static void gelu_quick (const dc_kernels *k, float *x, size_t n) {
  k->scale(x, x, 1.702f, n);
  k->silu(x, x, n);
  k->scale(x, x, 1.0f / 1.702f, n);
}


/* wide = activation(wide), or activation(gate) * wide: columns begin..end. */
static void activate (void *context, size_t begin, size_t end) {
  const dc_batch *b = context;
  const dc_kernels *k = dc_kernels_get();
  size_t n = end - begin;
  for (size_t i = 0; i < b->n; i++) {
    float *up = b->wide + i * b->d_ff + begin;
    float *x = b->hp->gated ? b->gate + i * b->d_ff + begin : up;
    switch (b->hp->activation) {
      case DC_RELU: k->relu(x, x, n); break;
      case DC_SILU: k->silu(x, x, n); break;
      case DC_GELU: k->gelu(x, x, n); break;
      case DC_GELU_TANH: k->gelu_tanh(x, x, n); break;
      case DC_GELU_QUICK: gelu_quick(k, x, n); break;
    }
    if (b->hp->gated) k->mul(up, x, up, n);
  }
}


void dc_feed_forward (dc_batch *b, const dc_layer *layer) {
  const dc_linear *const w[] = {&layer->up, &layer->gate};
  float *const out[] = {b->wide, b->gate};
  b->d_ff = layer->up.weight.rows;
  dc_linear_apply_then(w, out, b->hp->gated ? 2 : 1, b->in, b->n, &b->scratch,
                       b->threads, activate, b);
}
