/*
** attention.c: compares the attention kernel of every instruction set, bit for
** bit, with its order written down plainly, one query at a time: random sizes,
** random ranges of positions, floats and halves, tiles that queries share or do
** not, with and without biases and a cap. Built and run
** by spec/attention_spec.lua; prints one line a check.
*/
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "math/kernels.h"
#include "math/rng.h"

#define CASES 400
#define MAX_QUERIES 9
#define MAX_TILES 12
#define MAX_D 144
#define MAX_N (MAX_TILES * 16)

/* Tiles for any sizes: floats, and the same numbers, rounded, as halves. Two
   sets, so that queries share some tiles and not others. */
static float floats[2][MAX_TILES][2 * MAX_D * 16];
static uint16_t halves[2][MAX_TILES][2 * MAX_D * 16];
static const void *tiles[MAX_QUERIES][MAX_TILES];
static float q[MAX_QUERIES][MAX_D], bias[MAX_QUERIES][MAX_N];
static float scores[MAX_QUERIES][MAX_N], out[MAX_QUERIES][MAX_D];
static dc_rng rng;


static size_t below (size_t n) {
  return (size_t)(dc_rng_uniform(&rng) * (double)n);
}


static void randomise (float *x, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] = (float)(dc_rng_uniform(&rng) * 2 - 1);
}


static float element (const void *tile, size_t i, bool half) {
  return half ? dc_f16_to_f32(((const uint16_t *)tile)[i])
              : ((const float *)tile)[i];
}


/* The score of position j: one chain over d_key. */
static float score (const dc_kernels *k, const dc_attention_query *query,
                    size_t j, const dc_attention_sizes *s, bool half) {
  float sum = 0.0f;
  for (size_t i = 0; i < s->d_key; i++)
    sum = fmaf(query->q[i],
               element(query->tiles[j / 16], i * 16 + j % 16, half), sum);
  sum *= s->scale;
  if (s->cap > 0.0f) {
    sum *= 1.0f / s->cap;
    k->tanh(&sum, &sum, 1);
    sum *= s->cap;
  }
  return query->bias != NULL ? sum + query->bias[j] : sum;
}


/* What the query must get: lanes are counted from its first tile on. */
static bool right (const dc_kernels *k, const dc_attention_query *query,
                   const dc_attention_sizes *s, bool half,
                   const dc_attention_part *got) {
  float weight[MAX_N], highest = -INFINITY;
  size_t begin = query->first / 16 * 16;
  for (size_t j = begin; j < query->n; j++) {
    float x = j < query->first ? -INFINITY : score(k, query, j, s, half);
    weight[j] = x;
    highest = x > highest ? x : highest;
  }
  if (got->highest != highest) return false;
  if (highest == -INFINITY) return got->sum == 0.0f;
  for (size_t j = begin; j < query->n; j++) weight[j] -= highest;
  k->exp(weight + begin, weight + begin, query->n - begin);
  if (got->sum != k->sum(weight + begin, query->n - begin)) return false;
  for (size_t i = 0; i < s->d_value; i++) {
    float sum = 0.0f;
    for (size_t j = query->first; j < query->n; j++)
      sum = fmaf(weight[j], element(query->tiles[j / 16],
                                    16 * s->d_key + j % 16 * s->d_value + i,
                                    half), sum);
    if (got->values[i] != sum) return false;
  }
  return true;
}


/* A query over a random range: mostly to the end, as in a prompt, or with a
   window; one whose keys are all masked now and then. */
static dc_attention_query some_query (size_t i, size_t n, bool biased) {
  size_t last = below(3) == 0 ? 1 + below(n) : n > i ? n - i : n;
  size_t first = below(3) == 0 ? below(last) : 0;
  if (biased && below(8) == 0)
    for (size_t j = 0; j < MAX_N; j++) bias[i][j] = -INFINITY;
  size_t list = below(3) == 0 && i > 0 ? i - 1 : i;
  const void *const *next = below(2) == 0 ? tiles[0] : NULL;
  return (dc_attention_query){.q = q[i], .tiles = tiles[list], .next = next,
                              .first = first, .n = last,
                              .bias = biased ? bias[i] : NULL,
                              .scores = scores[i]};
}


/* The tiles of query i: up to a random one those of all, then its own. */
static void choose_tiles (size_t i, bool half) {
  size_t shared = below(3) == 0 ? below(MAX_TILES) : MAX_TILES;
  for (size_t t = 0; t < MAX_TILES; t++) {
    size_t set = t < shared ? 0 : 1, from = t < shared ? t : (t + i) % MAX_TILES;
    tiles[i][t] = half ? (const void *)halves[set][from]
                       : (const void *)floats[set][from];
  }
}


/* Both parts joined are what the formula of online softmax says. */
static bool joins (const dc_kernels *scalar, const dc_kernels *k, size_t d) {
  float a[MAX_D], b[MAX_D], factor[2];
  dc_attention_part to = {a, -1.0f, 2.0f}, more = {b, 0.5f, 3.0f}, none = {b,
    -INFINITY, 0.0f};
  randomise(a, d);
  randomise(b, d);
  float x = a[0], y = b[0];
  k->attention_join(&to, &none, d);
  if (a[0] != x || to.sum != 2.0f) return false;
  k->attention_join(&to, &more, d);
  scalar->exp(factor, (float[]){-1.5f, 0.0f}, 2);
  bool fine = to.highest == 0.5f && to.sum == 2.0f * factor[0] + 3.0f &&
              a[0] == fmaf(y, 1.0f, x * factor[0]);
  k->attention_join(&none, &to, d);
  return fine && none.highest == 0.5f && none.values[0] == a[0];
}


static bool one_case (const dc_kernels *scalar, const dc_kernels *k) {
  static const size_t sizes[] = {8, 16, 24, 40, 64, 72, 128, 144};
  dc_attention_query queries[MAX_QUERIES];
  dc_attention_part parts[MAX_QUERIES];
  size_t count = 1 + below(MAX_QUERIES), n = 1 + below(MAX_N);
  bool biased = below(3) == 0, half = below(2) == 0;
  dc_attention_sizes s = {
    .d_key = sizes[below(8)], .d_value = sizes[below(8)], .scale = 1.7f,
    .cap = below(4) == 0 ? 2.0f : 0.0f,
  };
  randomise(q[0], sizeof q / sizeof(float));
  randomise(bias[0], sizeof bias / sizeof(float));
  for (size_t i = 0; i < count; i++) {
    choose_tiles(i, half);
    queries[i] = some_query(i, n, biased);
    parts[i].values = out[i];
  }
  (half ? k->attention_f16 : k->attention_f32)(queries, count, &s, parts);
  for (size_t i = 0; i < count; i++)
    if (!right(scalar, &queries[i], &s, half, &parts[i])) return false;
  return joins(scalar, k, s.d_value);
}


/* Halves from this instruction set's own rounding, which must be the codec's. */
static bool fill_halves (const dc_kernels *k) {
  size_t n = sizeof floats / sizeof(float);
  const float *x = floats[0][0];
  uint16_t *h = halves[0][0];
  k->to_f16(h, x, n);
  for (size_t i = 0; i < n; i++)
    if (h[i] != dc_f32_to_f16(x[i])) return false;
  static const float odd[] = {0.0f, -0.0f, 65504.0f, 65519.996f, 65520.0f,
                              1e30f, 5.9604645e-8f, 2.9802322e-8f, 3e-8f,
                              6.1e-5f, 1.00048828125f, 1.00146484375f,
                              -INFINITY};
  uint16_t got[sizeof odd / sizeof odd[0]];
  k->to_f16(got, odd, sizeof odd / sizeof odd[0]);
  for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
    if (got[i] != dc_f32_to_f16(odd[i])) return false;
  return true;
}


int main (void) {
  randomise(floats[0][0], sizeof floats / sizeof(float));
  for (dc_isa isa = 0; isa < DC_N_ISAS; isa++) {
    const dc_kernels *k = dc_kernels_of(isa);
    size_t correct = 0;
    if (k == NULL) continue;
    rng = (dc_rng){1, 0, 0};
    if (!fill_halves(k)) printf("%s: other halves\n", dc_isa_name(isa));
    for (int i = 0; i < CASES; i++)
      correct += one_case(dc_kernels_of(DC_ISA_SCALAR), k);
    printf("%s: %zu of %d\n", dc_isa_name(isa), correct, CASES);
  }
  return 0;
}
