/*
** kernels_attention.h: what some positions of a cache give to some queries:
** softmax(q K) V, up to the division by the sum of the weights.
**
** A score is one chain over d_key; the maximum is exact; the weights are
** summed in 16 lanes; each output is one chain over the positions, ascending.
** So a query's result depends on what it sees alone: not on the queries that
** go with it, nor on how the cache was filled. Positions of its first tile
** that lie in front of the window have the weight 0 and are skipped.
**
** Up to TILE_COLS queries share each load of a key or a value from tiles that
** they have in common, and TILE_ROWS tiles of keys, or vectors of values, each
** load of a query or a weight: as many chains at once as there are registers.
**
** Tiles lie far apart, so the memory is asked one step ahead: for the values of
** a tile while its keys are read, for the next tile's keys while the values
** are.
*/

/* Queries that go side by side, and the tiles begin..end-1 that all of them
   read. */
typedef struct company {
  const dc_attention_query *q;
  size_t n, begin, end;
} company;


INLINE size_t tiles_of (const dc_attention_query *q) {
  return (q->n + 15) / 16;
}


static company company_of (const dc_attention_query *q, size_t n) {
  company c = {q, n, 0, SIZE_MAX};
  for (size_t k = 0; k < n; k++) {
    size_t first = q[k].first / 16, last = tiles_of(&q[k]);
    c.begin = first > c.begin ? first : c.begin;
    c.end = last < c.end ? last : c.end;
  }
  for (size_t k = 1; k < n; k++)
    for (size_t t = c.begin; t < c.end && q[k].tiles != q->tiles; t++)
      if (q[k].tiles[t] != q->tiles[t]) c.end = t;
  if (c.end < c.begin) c.end = c.begin;
  return c;
}


/* Asks for what a loader would load (see prefetch). */
typedef void asker (const void *tile, size_t i);

INLINE void ask_f32 (const void *tile, size_t i) {
  __builtin_prefetch((const float *)tile + i, 0, 2);
}

INLINE void ask_f16 (const void *tile, size_t i) {
  __builtin_prefetch((const uint16_t *)tile + i, 0, 2);
}


/* ---- scores -------------------------------------------------------------- */

INLINE void finish_scores (const dc_attention_query *q, size_t at, vf sum,
                           const dc_attention_sizes *s) {
  sum = v_mul(sum, v_set1(s->scale));
  if (s->cap > 0.0f)
    sum = v_mul(v_set1(s->cap), tanh_v(v_mul(sum, v_set1(1.0f / s->cap))));
  if (q->bias != NULL) sum = v_add(sum, v_load(q->bias + at));
  v_store(q->scores + at, sum);
}


/* Scores of `queries` queries against the tiles t..t+tiles-1 of the first. With
   each part of the keys that is read one of the values is asked for. */
INLINE void score_tiles (const dc_attention_query *q, int queries, size_t t,
                         int tiles, const dc_attention_sizes *s,
                         loader *load, asker *ask) {
  vf sum[TILE_COLS][TILE_ROWS];
  const void *const *tile = q->tiles + t;
  const bool asks = q->next != NULL;
  for (int c = 0; c < queries; c++)
    for (int r = 0; r < tiles; r++) sum[c][r] = v_set1(0.0f);
  for (size_t i = 0; i < s->d_key; i++) {
    vf key[TILE_ROWS];
    for (int r = 0; r < tiles; r++) key[r] = load(tile[r], i * 16);
    for (int r = 0; r < tiles && asks; r++)
      ask(tile[r], (s->d_key + i) * 16);
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


/* The same for tiles t..end-1 and any number of queries up to TILE_COLS. */
INLINE void score_some (const dc_attention_query *q, size_t n, size_t t,
                        size_t end, const dc_attention_sizes *s,
                        loader *load, asker *ask) {
#define SCORE(n) \
  for (; t + TILE_ROWS <= end; t += TILE_ROWS) \
    score_tiles(q, n, t, TILE_ROWS, s, load, ask); \
  for (; t + 2 <= end; t += 2) score_tiles(q, n, t, 2, s, load, ask); \
  for (; t < end; t++) score_tiles(q, n, t, 1, s, load, ask)
  WITH_CONSTANT(n, SCORE)
#undef SCORE
}


typedef void scorer (const dc_attention_query *q, size_t n, size_t t,
                     size_t end, const dc_attention_sizes *s);

static void score_f32 (const dc_attention_query *q, size_t n, size_t t,
                       size_t end, const dc_attention_sizes *s) {
  score_some(q, n, t, end, s, load_f32, ask_f32);
}

static void score_f16 (const dc_attention_query *q, size_t n, size_t t,
                       size_t end, const dc_attention_sizes *s) {
  score_some(q, n, t, end, s, load_f16, ask_f16);
}


/* Of the tiles t..end-1: those in common together, the others query by
   query. */
INLINE void score_company (const company *c, size_t t, size_t end,
                           const dc_attention_sizes *s, scorer *score) {
  size_t begin = t > c->begin ? t : c->begin;
  size_t shared = end < c->end ? end : c->end;
  if (begin < shared) score(c->q, c->n, begin, shared, s);
  if (c->n == 1) return;
  for (size_t k = 0; k < c->n; k++) {
    const dc_attention_query *q = &c->q[k];
    size_t first = q->first / 16, last = tiles_of(q);
    score(q, 1, t > first ? t : first, at_most(c->begin, at_most(last, end)),
          s);
    score(q, 1, t > c->end ? t : c->end, at_most(last, end), s);
  }
}


/* Scores to weights. */
static void soften (const dc_attention_query *q, dc_attention_part *p) {
  size_t begin = q->first / 16 * 16, padded = tiles_of(q) * 16 - begin;
  float *scores = q->scores + begin;
  for (size_t j = begin; j < q->first; j++) q->scores[j] = -INFINITY;
  for (size_t j = q->n; j % 16 != 0; j++) q->scores[j] = -INFINITY;
  p->highest = max_row(scores, padded);
  p->sum = p->highest == -INFINITY ? 0.0f
                                   : exp_and_sum(scores, p->highest, padded);
}


/* ---- values -------------------------------------------------------------- */

/* A company on its way through the values, of which it reads the positions
   from..to-1 together. */
typedef struct weighing {
  const company *company;
  const dc_attention_sizes *s;
  dc_attention_part *parts;
  size_t from, to;
} weighing;


/* With each part of the values that is read one of the next keys is asked
   for. */
INLINE void add_values (vf *sum, int queries, int width, const weighing *w,
                        const dc_attention_query *q, size_t d, size_t from,
                        size_t to, loader *load, asker *ask) {
  size_t row = w->s->d_value, start = w->s->d_key * 16;
  const bool asks = q->next != NULL;
  for (size_t j = from; j < to; j++) {
    const void *tile = q->tiles[j / 16];
    size_t at = j % 16 * row + d;
    vf value[4];
    for (int i = 0; i < width; i++)
      value[i] = load(tile, start + at + (size_t)i * 16);
    for (int i = 0; i < width && asks; i++)
      ask(q->next[j / 16], at + (size_t)i * 16);
    for (int k = 0; k < queries; k++) {
      vf weight = v_set1(q[k].scores[j]);
      for (int i = 0; i < width; i++)
        sum[k * 4 + i] = v_fma(weight, value[i], sum[k * 4 + i]);
    }
  }
}


/* Columns d..d+16*width-1 of `queries` parts. */
INLINE void weigh (const weighing *w, int queries, size_t d, int width,
                   loader *load, asker *ask) {
  vf sum[TILE_COLS * 4];
  const dc_attention_query *q = w->company->q;
  for (int k = 0; k < queries; k++) {
    for (int i = 0; i < width; i++) sum[k * 4 + i] = v_set1(0.0f);
    if (queries > 1)
      add_values(sum + k * 4, 1, width, w, q + k, d, q[k].first,
                 at_most(q[k].n, w->from), load, ask);
  }
  add_values(sum, queries, width, w, q, d, w->from, w->to, load, ask);
  for (int k = 0; k < queries; k++) {
    if (queries > 1)
      add_values(sum + k * 4, 1, width, w, q + k, d, w->to, q[k].n, load, ask);
    for (int i = 0; i < width; i++)
      v_store(w->parts[k].values + d + (size_t)i * 16, sum[k * 4 + i]);
  }
}


/* The last n columns, where d_value is no multiple of 16. */
INLINE void weigh_rest (const weighing *w, size_t k, size_t d, size_t n,
                        part_loader *load_part) {
  const dc_attention_query *q = &w->company->q[k];
  size_t row = w->s->d_value, start = w->s->d_key * 16 + d;
  vf sum = v_set1(0.0f);
  for (size_t j = q->first; j < q->n; j++) {
    vf value = load_part(q->tiles[j / 16], start + j % 16 * row, n);
    sum = v_fma(v_set1(q->scores[j]), value, sum);
  }
  v_store_part(w->parts[k].values + d, sum, n);
}


INLINE void weigh_all (const weighing *w, int queries, int width, loader *load,
                       part_loader *load_part, asker *ask) {
  size_t d = 0, n = w->s->d_value, step = 16 * (size_t)width;
  for (; d + step <= n; d += step) weigh(w, queries, d, width, load, ask);
  for (; d + 16 <= n; d += 16) weigh(w, queries, d, 1, load, ask);
  if (d < n)
    for (int k = 0; k < queries; k++)
      weigh_rest(w, (size_t)k, d, n - d, load_part);
}


INLINE void weigh_company (const company *c, const dc_attention_sizes *s,
                           dc_attention_part *parts, loader *load,
                           part_loader *load_part, asker *ask) {
  weighing w = {c, s, parts, 0, c->end * 16};
  for (size_t k = 0; k < c->n; k++) {
    w.from = c->q[k].first > w.from ? c->q[k].first : w.from;
    w.to = at_most(w.to, c->q[k].n);
  }
  if (w.to < w.from) w.to = w.from;
#define WEIGH(n) \
  weigh_all(&w, n, n == 1 ? 4 : TILE_ROWS, load, load_part, ask)
  WITH_CONSTANT(c->n, WEIGH)
#undef WEIGH
}


typedef void weigher (const company *c, const dc_attention_sizes *s,
                      dc_attention_part *parts);

static void weigh_f32 (const company *c, const dc_attention_sizes *s,
                       dc_attention_part *parts) {
  weigh_company(c, s, parts, load_f32, part_f32, ask_f32);
}

static void weigh_f16 (const company *c, const dc_attention_sizes *s,
                       dc_attention_part *parts) {
  weigh_company(c, s, parts, load_f16, part_f16, ask_f16);
}


/* ---- both ---------------------------------------------------------------- */

/* So many tiles are scored for all queries before the next ones are read. */
#define TILES_AT_ONCE 4

INLINE void attention (const dc_attention_query *q, size_t count,
                       const dc_attention_sizes *s, dc_attention_part *parts,
                       scorer *score, weigher *weigh_values) {
  company all[(DC_QUERIES + TILE_COLS - 1) / TILE_COLS];
  size_t n = 0, begin = SIZE_MAX, end = 0;
  for (size_t k = 0; k < count; k++) {
    begin = at_most(begin, q[k].first / 16);
    end = tiles_of(&q[k]) > end ? tiles_of(&q[k]) : end;
  }
  for (size_t k = 0; k < count; k += TILE_COLS)
    all[n++] = company_of(q + k, at_most(count - k, TILE_COLS));
  for (size_t t = begin; t < end; t += TILES_AT_ONCE)
    for (size_t i = 0; i < n; i++)
      score_company(&all[i], t, at_most(end, t + TILES_AT_ONCE), s, score);
  for (size_t k = 0; k < count; k++) soften(&q[k], &parts[k]);
  for (size_t i = 0; i < n; i++)
    weigh_values(&all[i], s, parts + i * TILE_COLS);
}


static void attention_f32 (const dc_attention_query *q, size_t count,
                           const dc_attention_sizes *s,
                           dc_attention_part *parts) {
  attention(q, count, s, parts, score_f32, weigh_f32);
}


static void attention_f16 (const dc_attention_query *q, size_t count,
                           const dc_attention_sizes *s,
                           dc_attention_part *parts) {
  attention(q, count, s, parts, score_f16, weigh_f16);
}


/* to * a + more * b, a or b being 1. */
INLINE void blend (float *to, const float *more, vf a, vf b, size_t n) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16)
    v_store(to + i, v_fma(b, v_load(more + i), v_mul(v_load(to + i), a)));
  if (i < n) {
    vf x = v_load_part(to + i, n - i), y = v_load_part(more + i, n - i);
    v_store_part(to + i, v_fma(b, y, v_mul(x, a)), n - i);
  }
}


/* As in online softmax (Milakov and Gimelshein 2018): both sums are brought to
   the higher of the two maxima. */
static void attention_join (dc_attention_part *to,
                            const dc_attention_part *more, size_t d_value) {
  if (more->highest == -INFINITY) return;
  if (to->highest == -INFINITY) {
    to->highest = more->highest;
    to->sum = more->sum;
    memcpy(to->values, more->values, d_value * sizeof *to->values);
    return;
  }
  bool higher = more->highest > to->highest;
  float apart = more->highest - to->highest;
  vf one = v_set1(1.0f), less = exp_v(v_set1(higher ? -apart : apart));
  vf a = higher ? less : one, b = higher ? one : less;
  if (higher) to->highest = more->highest;
  blend(&to->sum, &more->sum, a, b, 1);
  blend(to->values, more->values, a, b, d_value);
}
