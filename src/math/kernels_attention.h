/*
** kernels_attention.h: softmax(q K) V over a cache of tiles, for some queries
** that read the same keys.
**
** A score is one chain over d_key; the maximum is exact; the weights are
** summed in 16 lanes; each output is one chain over the positions, ascending.
** So a query's result depends on what it sees alone: not on the queries that
** go with it, nor on how the cache was filled. Positions of its first tile
** that lie in front of the window have the weight 0 and are skipped.
**
** Up to TILE_COLS queries share each load of a key or a value, and TILE_ROWS
** tiles of keys, or vectors of values, each load of a query or a weight: as
** many chains at once as there are registers.
*/

/* The tile of its own first position, counted in positions. */
INLINE size_t first_tile (const dc_attention_query *q) {
  return q->first / 16 * 16;
}


INLINE void finish_scores (const dc_attention_query *q, size_t at, vf sum,
                           const dc_attention_span *s) {
  if (at >= q->n) return;
  sum = v_mul(sum, v_set1(s->scale));
  if (s->cap > 0.0f)
    sum = v_mul(v_set1(s->cap), tanh_v(v_mul(sum, v_set1(1.0f / s->cap))));
  if (q->bias != NULL) sum = v_add(sum, v_load(q->bias + at));
  v_store(q->scores + at, sum);
}


/* Scores of `queries` queries against the tiles t..t+tiles-1. */
INLINE void score_tiles (const dc_attention_query *q, int queries, size_t t,
                         int tiles, const dc_attention_span *s) {
  vf sum[TILE_COLS][TILE_ROWS];
  for (int c = 0; c < queries; c++)
    for (int r = 0; r < tiles; r++) sum[c][r] = v_set1(0.0f);
  for (size_t i = 0; i < s->d_key; i++) {
    vf key[TILE_ROWS];
    for (int r = 0; r < tiles; r++)
      key[r] = v_load(s->keys[t + (size_t)r] + i * 16);
    for (int c = 0; c < queries; c++) {
      vf x = v_set1(q[c].q[i]);
      for (int r = 0; r < tiles; r++)
        sum[c][r] = v_fma(x, key[r], sum[c][r]);
    }
  }
  for (int c = 0; c < queries; c++)
    for (int r = 0; r < tiles; r++)
      finish_scores(&q[c], (t + (size_t)r) * 16, sum[c][r], s);
}


/* A part of the outputs: columns d..d+16*width of `queries` of them. */
typedef struct columns {
  const dc_attention_query *q;
  const float *factor;  /* 1 / sum of the weights, of each */
  const dc_attention_span *s;
  size_t from, to;      /* positions that all of them see */
} columns;


INLINE void add_values (vf *sum, int queries, int width, const columns *c,
                        const dc_attention_query *q, size_t d, size_t from,
                        size_t to) {
  for (size_t j = from; j < to; j++) {
    const float *v = c->s->values[j / 16] + (j % 16) * c->s->ld_values + d;
    vf value[4];
    for (int i = 0; i < width; i++) value[i] = v_load(v + i * 16);
    for (int k = 0; k < queries; k++) {
      vf weight = v_set1(q[k].scores[j]);
      for (int i = 0; i < width; i++)
        sum[k * 4 + i] = v_fma(weight, value[i], sum[k * 4 + i]);
    }
  }
}


INLINE void weigh (const columns *c, int queries, size_t d, int width) {
  vf sum[TILE_COLS * 4];
  const dc_attention_query *q = c->q;
  for (int k = 0; k < queries; k++) {
    for (int i = 0; i < width; i++) sum[k * 4 + i] = v_set1(0.0f);
    size_t to = q[k].n < c->from ? q[k].n : c->from;
    add_values(sum + k * 4, 1, width, c, q + k, d, q[k].first, to);
  }
  add_values(sum, queries, width, c, q, d, c->from, c->to);
  for (int k = 0; k < queries; k++) {
    add_values(sum + k * 4, 1, width, c, q + k, d, c->to, q[k].n);
    for (int i = 0; i < width; i++)
      v_store(q[k].out + d + (size_t)i * 16,
              v_mul(sum[k * 4 + i], v_set1(c->factor[k])));
  }
}


/* The last n columns, where d_value is no multiple of 16. */
static void weigh_rest (const columns *c, int k, size_t d, size_t n) {
  const dc_attention_query *q = &c->q[k];
  vf sum = v_set1(0.0f);
  for (size_t j = q->first; j < q->n; j++) {
    const float *v = c->s->values[j / 16] + (j % 16) * c->s->ld_values + d;
    sum = v_fma(v_set1(q->scores[j]), v_load_part(v, n), sum);
  }
  v_store_part(q->out + d, v_mul(sum, v_set1(c->factor[k])), n);
}


INLINE void weigh_all (const columns *c, int queries, int width) {
  size_t d = 0, n = c->s->d_value, step = 16 * (size_t)width;
  for (; d + step <= n; d += step) weigh(c, queries, d, width);
  for (; d + 16 <= n; d += 16) weigh(c, queries, d, 1);
  if (d < n)
    for (int k = 0; k < queries; k++) weigh_rest(c, k, d, n - d);
}


/* Calls `f` with a constant number of queries, so that its sums stay in
   registers. */
#if TILE_COLS > 2
#define WITH_CONSTANT(n, f) \
  switch (n) { \
    case 1: f(1); break; case 2: f(2); break; \
    case 3: f(3); break; default: f(4); \
  }
#else
#define WITH_CONSTANT(n, f) if (n == 1) { f(1); } else { f(2); }
#endif


/* All scores of a few queries: at most TILE_COLS. */
static void score_some (const dc_attention_query *q, size_t count, size_t t,
                        size_t tiles, const dc_attention_span *s) {
#define SCORE(n) \
  for (; tiles >= TILE_ROWS; tiles -= TILE_ROWS, t += TILE_ROWS) \
    score_tiles(q, n, t, TILE_ROWS, s); \
  for (; tiles > 0; tiles--, t++) score_tiles(q, n, t, 1, s)
  WITH_CONSTANT(count, SCORE)
#undef SCORE
}


static void weigh_some (const dc_attention_query *q, const float *factor,
                        size_t count, const dc_attention_span *s) {
  columns c = {q, factor, s, 0, SIZE_MAX};
  for (size_t k = 0; k < count; k++) {
    c.from = q[k].first > c.from ? q[k].first : c.from;
    c.to = q[k].n < c.to ? q[k].n : c.to;
  }
  if (c.to < c.from) c.to = c.from;
#define WEIGH(n) weigh_all(&c, n, n == 1 ? 4 : TILE_ROWS)
  WITH_CONSTANT(count, WEIGH)
#undef WEIGH
}


/* Scores to weights; returns 1 / their sum, or 0 if there are none. */
static float soften (const dc_attention_query *q) {
  size_t begin = first_tile(q), padded = (q->n + 15) / 16 * 16 - begin;
  float *scores = q->scores + begin;
  for (size_t j = begin; j < q->first; j++) q->scores[j] = -INFINITY;
  for (size_t j = q->n; j % 16 != 0; j++) q->scores[j] = -INFINITY;
  float highest = max_row(scores, padded);
  if (highest == -INFINITY) {
    memset(scores, 0, padded * sizeof *scores);
    return 0.0f;
  }
  return 1.0f / exp_and_sum(scores, highest, padded);
}


/* So many tiles are scored for all queries before the next ones are read. */
#define TILES_AT_ONCE 4

static void attention (const dc_attention_query *q, size_t count,
                       const dc_attention_span *s) {
  size_t begin = SIZE_MAX, end = 0;
  for (size_t k = 0; k < count; k++) {
    begin = q[k].first / 16 < begin ? q[k].first / 16 : begin;
    end = (q[k].n + 15) / 16 > end ? (q[k].n + 15) / 16 : end;
  }
  for (size_t t = begin; t < end; t += TILES_AT_ONCE)
    for (size_t k = 0; k < count; k += TILE_COLS)
      score_some(q + k, count - k < TILE_COLS ? count - k : TILE_COLS, t,
                 end - t < TILES_AT_ONCE ? end - t : TILES_AT_ONCE, s);
  for (size_t k = 0; k < count; k += TILE_COLS) {
    float factor[TILE_COLS];
    size_t n = count - k < TILE_COLS ? count - k : TILE_COLS;
    for (size_t i = 0; i < n; i++) factor[i] = soften(&q[k + i]);
    weigh_some(q + k, factor, n, s);
    for (size_t i = 0; i < n; i++)
      if (factor[i] == 0.0f)
        memset(q[k + i].out, 0, s->d_value * sizeof *q->out);
  }
}
