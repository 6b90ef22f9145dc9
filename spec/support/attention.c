/*
** attention.c: compares the attention kernel of every instruction set, bit for
** bit, with its order written down plainly, one query at a time: random sizes,
** random ranges of positions, with and without biases and a cap. Built and run
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

static float keys[MAX_TILES][MAX_D * 16], values[MAX_TILES][16 * MAX_D];
static const float *key_tiles[MAX_TILES], *value_tiles[MAX_TILES];
static float q[MAX_QUERIES][MAX_D], bias[MAX_QUERIES][MAX_N];
static float scores[MAX_QUERIES][MAX_N], out[MAX_QUERIES][MAX_D];
static dc_rng rng;


static size_t below (size_t n) {
  return (size_t)(dc_rng_uniform(&rng) * (double)n);
}


static void randomise (float *x, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] = (float)(dc_rng_uniform(&rng) * 2 - 1);
}


/* The score of position j: one chain over d_key. */
static float score (const dc_kernels *k, const dc_attention_query *query,
                    size_t j, const dc_attention_span *s) {
  float sum = 0.0f;
  for (size_t i = 0; i < s->d_key; i++)
    sum = fmaf(query->q[i], s->keys[j / 16][i * 16 + j % 16], sum);
  sum *= s->scale;
  if (s->cap > 0.0f) {
    sum *= 1.0f / s->cap;
    k->tanh(&sum, &sum, 1);
    sum *= s->cap;
  }
  return query->bias != NULL ? sum + query->bias[j] : sum;
}


/* What the query must give: lanes are counted from its first tile on. */
static void plain (const dc_kernels *k, const dc_attention_query *query,
                   const dc_attention_span *s, float *wanted) {
  float weight[MAX_N], highest = -INFINITY;
  size_t begin = query->first / 16 * 16;
  for (size_t j = begin; j < query->n; j++) {
    float x = j < query->first ? -INFINITY : score(k, query, j, s);
    weight[j] = x;
    highest = x > highest ? x : highest;
  }
  memset(wanted, 0, s->d_value * sizeof *wanted);
  if (highest == -INFINITY) return;
  for (size_t j = begin; j < query->n; j++) weight[j] -= highest;
  k->exp(weight + begin, weight + begin, query->n - begin);
  float factor = 1.0f / k->sum(weight + begin, query->n - begin);
  for (size_t i = 0; i < s->d_value; i++) {
    float sum = 0.0f;
    for (size_t j = query->first; j < query->n; j++)
      sum = fmaf(weight[j],
                 s->values[j / 16][j % 16 * s->ld_values + i], sum);
    wanted[i] = sum * factor;
  }
}


/* A query over a random range: mostly to the end, as in a prompt, or with a
   window; one whose keys are all masked now and then. */
static dc_attention_query some_query (size_t i, size_t n, bool biased) {
  size_t last = below(3) == 0 ? 1 + below(n) : n > i ? n - i : n;
  size_t first = below(3) == 0 ? below(last) : 0;
  if (biased && below(8) == 0)
    for (size_t j = 0; j < MAX_N; j++) bias[i][j] = -INFINITY;
  return (dc_attention_query){.q = q[i], .out = out[i], .first = first,
                              .n = last, .bias = biased ? bias[i] : NULL,
                              .scores = scores[i]};
}


static bool one_case (const dc_kernels *scalar, const dc_kernels *k) {
  static const size_t sizes[] = {8, 16, 24, 40, 64, 72, 128, 144};
  dc_attention_query queries[MAX_QUERIES];
  size_t count = 1 + below(MAX_QUERIES), n = 1 + below(MAX_N);
  bool biased = below(3) == 0;
  dc_attention_span s = {
    .keys = key_tiles, .values = value_tiles, .ld_values = MAX_D,
    .d_key = sizes[below(8)], .d_value = sizes[below(8)], .scale = 1.7f,
    .cap = below(4) == 0 ? 2.0f : 0.0f,
  };
  randomise(q[0], sizeof q / sizeof(float));
  randomise(bias[0], sizeof bias / sizeof(float));
  for (size_t i = 0; i < count; i++) queries[i] = some_query(i, n, biased);
  k->attention(queries, count, &s);
  for (size_t i = 0; i < count; i++) {
    float wanted[MAX_D];
    plain(scalar, &queries[i], &s, wanted);
    if (memcmp(wanted, out[i], s.d_value * sizeof *wanted) != 0) return false;
  }
  return true;
}


int main (void) {
  randomise(keys[0], sizeof keys / sizeof(float));
  randomise(values[0], sizeof values / sizeof(float));
  for (size_t t = 0; t < MAX_TILES; t++) {
    key_tiles[t] = keys[t];
    value_tiles[t] = values[t];
  }
  for (dc_isa isa = 0; isa < DC_N_ISAS; isa++) {
    const dc_kernels *k = dc_kernels_of(isa);
    size_t right = 0;
    if (k == NULL) continue;
    rng = (dc_rng){1, 0, 0};
    for (int i = 0; i < CASES; i++)
      right += one_case(dc_kernels_of(DC_ISA_SCALAR), k);
    printf("%s: %zu of %d\n", dc_isa_name(isa), right, CASES);
  }
  return 0;
}
