/*
** attention.c: the steps of attention; see graph.h.
**
** The queries that read the same keys go through them together: those of the
** heads that share a key head, and the tokens of one timeline (a prompt, or
** the beams of one source) or of several that share blocks (beams, forks).
** Each still makes its own sums in its own order, so company cannot show in a
** result.
**
** That order is: the positions in chunks of 128, counted from the timeline's
** beginning; what each of them gives, by itself; these joined, first to last.
** So threads may share out the chunks of a long timeline.
**
** A tile is a page of memory, more or less, and the processor foresees nothing
** beyond a page. So the tiles that a thread reads next are named to the kernel,
** which asks for them while it works on these.
*/
#include "model/graph.h"

#include <math.h>
#include <string.h>

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
  const dc_pool *pool = b->pool;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    const dc_view *view = &b->views[i];
    dc_track_store(pool, &view->timeline->tracks[c->layer->reach],
                   view->n_keys - 1, c->layer->slot,
                   b->k + i * dc_keys_width(pool),
                   b->v + i * dc_values_width(pool));
  }
}


void dc_append (dc_batch *b, const dc_layer *layer) {
  appending c = {b, layer};
  double values = (double)(b->n * (dc_keys_width(b->pool) +
                                   dc_values_width(b->pool)));
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
                   c->layer->slot, c->k + i * dc_keys_width(c->pool),
                   c->v + i * dc_values_width(c->pool));
}


void dc_store (const dc_batch *b, const dc_pool *pool,
               const dc_timeline *timeline, const dc_layer *layer, size_t at,
               size_t row, size_t n) {
  size_t keys = dc_keys_width(pool), values = dc_values_width(pool);
  storing c = {pool, timeline, layer, at, b->k + row * keys,
               b->v + row * values};
  dc_parallel_for(n, STORE_WORK * (double)(n * (keys + values)), b->threads,
                  store_some, &c);
}


/* ---- queries and what they read ------------------------------------------ */

#define CHUNK_TILES (DC_CHUNK / DC_TILE)

/* With fewer jobs a thread than this, threads share out their chunks. */
#define FEW_JOBS 4

/* A layer's attention. Its jobs: for each run of tokens and each key head, and
   if more heads share that one than go together, each piece of these. */
typedef struct heads {
  const dc_batch *b;
  const dc_view *views;
  const dc_layer *layer;
  const dc_stack_sizes *sizes;
  const float *biases;
  size_t group;         /* heads that share a key head, */
  size_t pieces;        /* and in how many calls they go */
  size_t n_runs, n_jobs;
  size_t begin, end;    /* chunks of all views */
} heads;

typedef struct job {
  const dc_run *run;
  size_t shared;        /* the key head */
  size_t head, width;   /* the first of the heads, and how many */
  size_t n;             /* queries: token by token, in each head by head */
} job;

/* Runs from both ends in turn: a prompt's later tokens see more, and so any
   piece of the jobs is as much work as another. */
static job job_at (const heads *c, size_t i) {
  size_t piece = i % c->pieces, shared = i / c->pieces % c->sizes->n_kv_heads;
  size_t turn = i / c->pieces / c->sizes->n_kv_heads;
  const dc_run *run =
    &c->b->runs[turn % 2 == 0 ? turn / 2 : c->n_runs - 1 - turn / 2];
  size_t from = piece * DC_QUERIES, rest = c->group - from;
  size_t width = rest < DC_QUERIES ? rest : DC_QUERIES;
  return (job){run, shared, shared * c->group + from, width, run->n * width};
}


static size_t first_key (const heads *c, const dc_view *view) {
  return dc_first_key(c->b, view, c->layer->reach);
}


static const dc_track *track_of (const heads *c, const dc_view *view) {
  return &view->timeline->tracks[c->layer->reach];
}


/* Whether two views have a timeline in common, or the block where the later
   one begins. */
static bool go_together (const heads *c, const dc_view *a, const dc_view *b) {
  size_t first = first_key(c, a), other = first_key(c, b);
  size_t at = first > other ? first : other;
  if (a->timeline == b->timeline) return true;
  return at < a->n_keys && at < b->n_keys &&
         track_of(c, a)->blocks[at / DC_TILE] ==
         track_of(c, b)->blocks[at / DC_TILE];
}


/* Fills the batch's runs; returns how many. */
static size_t find_runs (const heads *c) {
  dc_run *runs = c->b->runs;
  size_t n = 0, most = c->group < DC_QUERIES ? DC_QUERIES / c->group : 1;
  for (size_t i = 0; i < c->b->n; i++) {
    if (n > 0 && runs[n - 1].n < most &&
        go_together(c, &c->views[i - 1], &c->views[i]))
      runs[n - 1].n++;
    else
      runs[n++] = (dc_run){i, 1};
  }
  return n;
}


/* biases[j - first] for the keys from `first` to end-1, by their distance to
   the query. */
static void fill_biases (const heads *c, const dc_view *view, size_t head,
                         size_t first, size_t end, float *biases) {
  int64_t far = c->b->hp->max_distance;
  const float *row = c->biases + head * (2 * (size_t)far + 1) + far;
  for (size_t j = first; j < end; j++) {
    size_t place = view->places != NULL ? view->places[j] : j;
    int64_t distance = (int64_t)view->place - (int64_t)place;
    biases[j - first] =
      row[distance > far ? far : distance < -far ? -far : distance];
  }
}


/* ---- one chunk ------------------------------------------------------------- */

/* The queries of a job that see something of a chunk, and all they need. */
typedef struct chunk {
  size_t at;            /* its first position */
  size_t n;             /* queries */
  dc_attention_query queries[DC_QUERIES];
  dc_attention_part *to[DC_QUERIES];
  const void *tiles[DC_QUERIES][CHUNK_TILES];
  float scores[DC_QUERIES][DC_CHUNK];
  float biases[DC_QUERIES][DC_CHUNK];
} chunk;


/* Where the tiles lie of which a token sees the positions begin..end-1,
   counted from `at`. */
static void find_tiles (const heads *c, const dc_view *view, size_t shared,
                        size_t at, size_t begin, size_t end,
                        const void **tiles) {
  for (size_t t = begin / DC_TILE; t * DC_TILE < end; t++)
    tiles[t] = dc_tile(c->b->pool, track_of(c, view), at + t * DC_TILE,
                       c->layer->slot, shared);
}


/* The tiles of chunk number `number` for a job's first token, put into `tiles`;
   in place of what it does not see, the nearest that it sees. NULL: nothing. */
static const void *const *look_ahead (const heads *c, const job *j,
                                      size_t number,
                                      const void *tiles[CHUNK_TILES]) {
  const dc_view *view = &c->views[j->run->first];
  size_t first = first_key(c, view), last = view->n_keys - 1;
  if (view->n_keys == 0) return NULL;
  for (size_t t = 0; t < CHUNK_TILES; t++) {
    size_t at = number * DC_CHUNK + t * DC_TILE;
    at = at < first ? first : at > last ? last : at;
    tiles[t] = dc_tile(c->b->pool, track_of(c, view), at, c->layer->slot,
                       j->shared);
  }
  return tiles;
}


/* The queries of one token of a job. */
static void add_token (const heads *c, const job *j, size_t token, chunk *k,
                       dc_attention_part *parts) {
  const dc_view *view = &c->views[token];
  const dc_stack_sizes *s = c->sizes;
  size_t first = first_key(c, view), end = view->n_keys;
  first = first > k->at ? first - k->at : 0;
  end = end > k->at ? end - k->at : 0;
  if (end > DC_CHUNK) end = DC_CHUNK;
  if (first >= end) return;
  const void **tiles = k->tiles[k->n];
  find_tiles(c, view, j->shared, k->at, first, end, tiles);
  for (size_t i = 0; i < j->width; i++, k->n++) {
    float *biases = c->biases != NULL ? k->biases[k->n] : NULL;
    if (biases != NULL)
      fill_biases(c, view, j->head + i, k->at, k->at + end, biases);
    k->queries[k->n] = (dc_attention_query){
      .q = c->b->q + (token * s->n_heads + j->head + i) * s->d_key,
      .tiles = tiles, .first = first, .n = end, .bias = biases,
      .scores = k->scores[k->n],
    };
    k->to[k->n] = &parts[i];
  }
}


/* parts[i]: what chunk number `number` gives to query i of a job. next: the
   tiles of the chunk that comes after it, or NULL. */
static void attend_chunk (const heads *c, const job *j, size_t number,
                          const void *const *next, dc_attention_part *parts) {
  const dc_kernels *kernels = dc_kernels_get();
  dc_attention_part found[DC_QUERIES];
  dc_attention_sizes sizes = {c->sizes->d_key, c->sizes->d_value,
                              c->sizes->score_scale, c->b->hp->score_cap};
  chunk k;
  k.at = number * DC_CHUNK;
  k.n = 0;
  for (size_t i = 0; i < j->n; i++) {
    parts[i].highest = -INFINITY;
    parts[i].sum = 0.0f;
  }
  for (size_t i = 0; i < j->run->n; i++)
    add_token(c, j, j->run->first + i, &k, parts + i * j->width);
  for (size_t i = 0; i < k.n; i++) found[i] = *k.to[i];
  k.queries[0].next = next;
  (c->b->pool->type == DC_F16 ? kernels->attention_f16
                              : kernels->attention_f32)(k.queries, k.n, &sizes,
                                                        found);
  for (size_t i = 0; i < k.n; i++) *k.to[i] = found[i];
}


/* ---- chunks put together ---------------------------------------------------- */

/* What n chunks give to query i of a job: parts[number * stride + i]. */
static void join_parts (const heads *c, const job *j,
                        const dc_attention_part *parts, size_t stride,
                        size_t n, dc_attention_part *totals) {
  for (size_t i = 0; i < j->n; i++)
    for (size_t number = 0; number < n; number++)
      dc_kernels_get()->attention_join(&totals[i],
                                       &parts[number * stride + i],
                                       c->sizes->d_value);
}


/* Nothing as yet, for the outputs of a job's queries. */
static void start_totals (const heads *c, const job *j,
                          dc_attention_part *totals) {
  const dc_stack_sizes *s = c->sizes;
  for (size_t i = 0; i < j->n; i++) {
    size_t token = j->run->first + i / j->width;
    size_t row = token * s->n_heads + j->head + i % j->width;
    totals[i] = (dc_attention_part){c->b->wide + row * s->d_value, -INFINITY,
                                    0.0f};
  }
}


static void divide_totals (const heads *c, const job *j,
                           const dc_attention_part *totals) {
  size_t d = c->sizes->d_value;
  for (size_t i = 0; i < j->n; i++) {
    float *x = totals[i].values;
    if (totals[i].highest == -INFINITY)
      memset(x, 0, d * sizeof *x);
    else
      dc_kernels_get()->scale(x, x, 1.0f / totals[i].sum, d);
  }
}


/* The chunks of which n views see something. */
static void find_chunks (const heads *c, const dc_view *views, size_t n,
                         size_t *begin, size_t *end) {
  *begin = SIZE_MAX;
  *end = 0;
  for (size_t i = 0; i < n; i++) {
    size_t first = first_key(c, &views[i]) / DC_CHUNK;
    size_t last = (views[i].n_keys + DC_CHUNK - 1) / DC_CHUNK;
    *begin = first < *begin ? first : *begin;
    *end = last > *end ? last : *end;
  }
}


/* Jobs begin..end-1, all chunks of each. */
static void some_jobs (void *context, size_t begin, size_t end, int thread) {
  const heads *c = context;
  dc_attention_part *parts = c->b->parts + (size_t)thread * DC_QUERIES;
  for (size_t i = begin; i < end; i++) {
    job j = job_at(c, i);
    dc_attention_part totals[DC_QUERIES];
    size_t number, last;
    find_chunks(c, c->views + j.run->first, j.run->n, &number, &last);
    start_totals(c, &j, totals);
    for (; number < last; number++) {
      const void *next[CHUNK_TILES];
      bool more = number + 1 < last;
      attend_chunk(c, &j, number,
                   more ? look_ahead(c, &j, number + 1, next) : NULL, parts);
      join_parts(c, &j, parts, 0, 1, totals);
    }
    divide_totals(c, &j, totals);
  }
}


/* Where the parts of a job lie, its chunks one behind the other. */
static dc_attention_part *parts_of (const heads *c, size_t i) {
  return c->b->parts + i * (c->end - c->begin) * DC_QUERIES;
}


/* Chunk by chunk, in each job by job: blocks of the cache in their order. */
static void some_chunks (void *context, size_t begin, size_t end,
                         int thread) {
  const heads *c = context;
  (void)thread;
  for (size_t i = begin; i < end; i++) {
    size_t number = i / c->n_jobs;
    job j = job_at(c, i % c->n_jobs), after = job_at(c, (i + 1) % c->n_jobs);
    size_t then = c->begin + (i + 1) / c->n_jobs;
    const void *next[CHUNK_TILES];
    attend_chunk(c, &j, c->begin + number,
                 i + 1 < end ? look_ahead(c, &after, then, next) : NULL,
                 parts_of(c, i % c->n_jobs) + number * DC_QUERIES);
  }
}


static void join_all (const heads *c) {
  for (size_t i = 0; i < c->n_jobs; i++) {
    job j = job_at(c, i);
    dc_attention_part totals[DC_QUERIES];
    start_totals(c, &j, totals);
    join_parts(c, &j, parts_of(c, i), DC_QUERIES, c->end - c->begin, totals);
    divide_totals(c, &j, totals);
  }
}


size_t dc_attention_parts (size_t n_keys, int threads) {
  size_t chunks = (n_keys + DC_CHUNK - 1) / DC_CHUNK;
  return (size_t)threads * DC_QUERIES * (chunks > 1 ? FEW_JOBS * chunks : 1);
}


void dc_attend (dc_batch *b, const dc_view *views, const dc_layer *layer,
                const dc_stack_sizes *sizes, const float *biases) {
  heads c = {.b = b, .views = views, .layer = layer, .sizes = sizes,
             .biases = biases, .group = sizes->n_heads / sizes->n_kv_heads};
  c.pieces = (c.group + DC_QUERIES - 1) / DC_QUERIES;
  c.n_runs = find_runs(&c);
  c.n_jobs = c.n_runs * sizes->n_kv_heads * c.pieces;
  find_chunks(&c, views, b->n, &c.begin, &c.end);
  double keys = 0;
  for (size_t i = 0; i < b->n; i++)
    keys += (double)(views[i].n_keys - first_key(&c, &views[i]));
  double work = keys * sizes->n_heads *
                ((double)sizes->d_key + sizes->d_value);
  if (c.n_jobs >= FEW_JOBS * (size_t)b->threads || c.end - c.begin < 2) {
    dc_parallel_for(c.n_jobs, work, b->threads, some_jobs, &c);
  } else {
    dc_parallel_for(c.n_jobs * (c.end - c.begin), work, b->threads,
                    some_chunks, &c);
    join_all(&c);
  }
}
