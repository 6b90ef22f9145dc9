/*
** select.c: see select.h. The best few are kept in a heap with the worst of
** them on top, so that one comparison turns nearly every entry away.
**
** A rank or a running sum is found by a histogram over the leading bits of
** the keys. The entries of the bucket where it passes are listed, and the
** next bits of those few are looked at in the same way: one pass over the row
** and one over its bits in place of a sort.
*/
#include "decode/select.h"

#include <string.h>

#include "math/kernels.h"

#define BLOCK 256  /* entries that one look at their maximum may skip */


/* Entry a comes after entry b: lower value, or equal and higher id. */
static bool worse (const float *x, int32_t a, int32_t b) {
  return x[a] < x[b] || (x[a] == x[b] && a > b);
}


/* Lets the entry at `at` sink until no child is worse than it. */
static void sink (int32_t *heap, size_t count, size_t at, const float *x) {
  int32_t id = heap[at];
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= count) break;
    if (child + 1 < count && worse(x, heap[child + 1], heap[child])) child++;
    if (!worse(x, heap[child], id)) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = id;
}


static void sort_heap (int32_t *heap, size_t count, const float *x) {
  for (size_t rest = count; rest > 1; rest--) {
    int32_t last = heap[0];
    heap[0] = heap[rest - 1];
    heap[rest - 1] = last;
    sink(heap, rest - 1, 0, x);
  }
}


void dc_select_top (int32_t *ids, size_t count, const float *x, size_t n) {
  if (count == 0) return;
  for (size_t i = 0; i < count; i++) ids[i] = (int32_t)i;
  for (size_t i = count / 2; i-- > 0; ) sink(ids, count, i, x);
  const dc_kernels *k = dc_kernels_get();
  for (size_t start = count; start < n; start += BLOCK) {
    size_t end = n - start < BLOCK ? n : start + BLOCK;
    if (k->max(x + start, end - start) <= x[ids[0]]) continue;
    for (size_t i = start; i < end; i++)
      if (x[i] > x[ids[0]]) {  /* an equal one has the higher id */
        ids[0] = (int32_t)i;
        sink(ids, count, 0, x);
      }
  }
  sort_heap(ids, count, x);
}


/* Bits that order as the floats do; both zeros are one. */
static uint32_t order_bits (float x) {
  uint32_t bits;
  x += 0.0f;
  memcpy(&bits, &x, sizeof bits);
  return bits ^ ((uint32_t)((int32_t)bits >> 31) | 0x80000000u);
}


static float from_order_bits (uint32_t bits) {
  float x;
  bits = bits >> 31 ? bits & 0x7FFFFFFFu : ~bits;
  memcpy(&x, &bits, sizeof x);
  return x;
}


#define LEVELS 4
#define BUCKETS 1024
static const int level_bits[LEVELS] = {10, 8, 7, 7};

/* The entries that are still in question: all of the row, or those listed. */
typedef struct candidates {
  const float *keys;
  size_t n;
  int32_t *list;  /* [n]; room for all. Ascending. */
  bool listed;
} candidates;

static size_t entry (const candidates *c, size_t i) {
  return c->listed ? (size_t)c->list[i] : i;
}


/* Leaves only the entries whose leading bits are `prefix`. */
static void narrow (candidates *c, uint32_t prefix, int shift) {
  size_t kept = 0;
  for (size_t i = 0; i < c->n; i++) {
    size_t at = entry(c, i);
    c->list[kept] = (int32_t)at;
    kept += order_bits(c->keys[at]) >> shift == prefix;
  }
  c->n = kept;
  c->listed = true;
}


/* ---- the n-th best value ---- */

float dc_select_nth (const float *x, size_t n, size_t k, int32_t *scratch) {
  if (k <= 256) {
    dc_select_top(scratch, k, x, n);
    return x[scratch[k - 1]];
  }
  candidates c = {x, n, scratch, false};
  uint32_t prefix = 0;
  int shift = 32;
  for (int level = 0; level < LEVELS; level++) {
    uint32_t count[BUCKETS] = {0}, mask = (1u << level_bits[level]) - 1;
    shift -= level_bits[level];
    for (size_t i = 0; i < c.n; i++)
      count[order_bits(x[entry(&c, i)]) >> shift & mask]++;
    uint32_t b = mask;
    for (; k > count[b]; b--) k -= count[b];
    prefix = prefix << level_bits[level] | b;
    narrow(&c, prefix, shift);
  }
  return from_order_bits(prefix);
}


/* ---- where a sum passes ---- */

static bool passes (double sum, float limit, dc_passing how) {
  float c = (float)sum;
  return how == DC_ABOVE ? c > limit : c >= limit;
}


/* Weights by bucket. Entries go to four sums in turn, for neighbours often
   meet in one bucket and would wait for each other there. */
#define SUMS 4

typedef struct masses {
  double sum[SUMS][BUCKETS];
  bool used[BUCKETS];  /* holds an entry, be its weight 0 */
} masses;


static void add_up (masses *m, candidates c, const float *weights, int shift,
                    uint32_t mask) {
  memset(m, 0, sizeof *m);
  for (size_t i = 0; i < c.n; i++) {
    size_t at = entry(&c, i);
    uint32_t b = order_bits(c.keys[at]) >> shift & mask;
    m->sum[i % SUMS][b] += weights[at];
    m->used[b] = true;
  }
}


static double mass_of (const masses *m, uint32_t b) {
  return (m->sum[0][b] + m->sum[1][b]) + (m->sum[2][b] + m->sum[3][b]);
}


/* The first bucket at which the sum passes, with the sum before it in
   *below. Where rounding let a bucket pass as a whole but not in parts, its
   last part that weighs something. BUCKETS if there is none. */
static uint32_t find_bucket (const masses *m, uint32_t n_buckets,
                             double *below, float limit, dc_passing how,
                             bool must) {
  uint32_t last = BUCKETS;
  double sum = *below, before_last = *below;
  for (uint32_t b = 0; b < n_buckets; b++) {
    if (!m->used[b]) continue;
    double mass = mass_of(m, b);
    if (passes(sum + mass, limit, how)) {
      *below = sum;
      return b;
    }
    last = b;
    before_last = sum;
    sum += mass;
  }
  *below = before_last;
  return must ? last : BUCKETS;
}


bool dc_find_mass (dc_mass_point *point, const float *keys,
                   const float *weights, size_t n, float limit,
                   dc_passing how, int32_t *scratch) {
  candidates c = {keys, n, scratch, false};
  masses mass;
  double below = 0;
  uint32_t prefix = 0;
  int shift = 32;
  for (int level = 0; level < LEVELS; level++) {
    uint32_t n_buckets = 1u << level_bits[level];
    shift -= level_bits[level];
    add_up(&mass, c, weights, shift, n_buckets - 1);
    uint32_t b = find_bucket(&mass, n_buckets, &below, limit, how, level > 0);
    if (b == BUCKETS) return false;
    prefix = prefix << level_bits[level] | b;
    narrow(&c, prefix, shift);
  }
  *point = (dc_mass_point){from_order_bits(prefix), c.n, (size_t)c.list[0],
                           below};
  return true;
}
