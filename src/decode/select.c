/*
** select.c: see select.h. The best few are kept in a heap with the worst of
** them on top, so that one comparison turns nearly every entry away. The
** running sum is found by a histogram over the leading bits of the keys, then
** one over the next bits inside the bucket that passes, and so on: three
** passes over the row in place of a sort.
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
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}


static float from_order_bits (uint32_t bits) {
  float x;
  bits = bits >> 31 ? bits & 0x7FFFFFFFu : ~bits;
  memcpy(&x, &bits, sizeof x);
  return x;
}


static bool passes (double sum, float limit, dc_passing how) {
  float c = (float)sum;
  return how == DC_ABOVE ? c > limit : c >= limit;
}


#define LEVELS 3
#define BUCKETS 2048
static const int level_bits[LEVELS] = {11, 11, 10};


/* The first bucket at which the sum passes, with the sum before it in
   *below. Where rounding let a bucket pass as a whole but not in parts, its
   last part that weighs something. BUCKETS if there is none. */
static uint32_t find_bucket (const double *mass, uint32_t n_buckets,
                             double *below, float limit, dc_passing how,
                             bool must) {
  uint32_t last = BUCKETS;
  double sum = *below, before_last = *below;
  for (uint32_t b = 0; b < n_buckets; b++) {
    if (mass[b] < 0) continue;  /* holds no entry */
    if (passes(sum + mass[b], limit, how)) {
      *below = sum;
      return b;
    }
    last = b;
    before_last = sum;
    sum += mass[b];
  }
  *below = before_last;
  return must ? last : BUCKETS;
}


bool dc_find_mass (dc_mass_point *point, const float *keys,
                   const float *weights, size_t n, float limit,
                   dc_passing how) {
  double mass[BUCKETS], below = 0;
  uint32_t prefix = 0;
  int shift = 32;
  for (int level = 0; level < LEVELS; level++) {
    uint32_t n_buckets = 1u << level_bits[level];
    int parent = shift;
    shift -= level_bits[level];
    for (uint32_t b = 0; b < n_buckets; b++) mass[b] = -1;
    for (size_t i = 0; i < n; i++) {
      uint32_t bits = order_bits(keys[i]);
      if (level > 0 && bits >> parent != prefix) continue;
      double *m = &mass[bits >> shift & (n_buckets - 1)];
      *m = *m < 0 ? weights[i] : *m + weights[i];
    }
    uint32_t b = find_bucket(mass, n_buckets, &below, limit, how, level > 0);
    if (b == BUCKETS) return false;
    prefix = prefix << level_bits[level] | b;
  }
  point->key = from_order_bits(prefix);
  point->below = below;
  return true;
}
