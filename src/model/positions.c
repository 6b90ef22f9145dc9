/* positions.c: see positions.h. */
#include "model/positions.h"

#include <string.h>

#include "base/memory.h"
#include "math/functions.h"

#define TWO_PI 6.283185307179586


static bool init (dc_table *t, size_t n_rates, size_t columns) {
  memset(t, 0, sizeof *t);
  t->rates = dc_alloc_array(n_rates, sizeof *t->rates);
  t->n_rates = n_rates;
  t->columns = columns;
  t->magnitude = 1.0;
  t->silent = DC_NO_ROW;
  return t->rates != NULL;
}


bool dc_table_of_sinusoids (dc_table *t, const dc_hparams *hp) {
  size_t d = hp->d_model;
  bool skip = hp->positions == DC_SINUSOIDAL_SKIP;
  size_t half = skip ? d / 2 : (d + 1) / 2;
  if (!init(t, half, d)) return false;
  double last = half > 1 ? (double)(half - 1) : 1.0;
  for (size_t j = 0; j < half; j++) {
    double part = skip ? (double)j / last : 2.0 * (double)j / (double)d;
    t->rates[j] = 1.0 / dc_pow(10000.0, part);
  }
  if (skip) t->silent = hp->pad;
  return true;
}


/* ---- RoPE -------------------------------------------------------------- */

/* YaRN (Peng et al. 2023): the pair of columns that turns `beta` times within
   the original context. */
static double yarn_pair (const dc_rope *rope, double beta) {
  double turns = rope->original_context / (beta * TWO_PI);
  return rope->dims * dc_log(turns) / (2.0 * dc_log(rope->base));
}


/* Fast columns stay as they are (1), slow ones are compressed (0). */
static double yarn_share (const dc_rope *rope, size_t pair) {
  double low = __builtin_floor(yarn_pair(rope, rope->beta_fast));
  double high = __builtin_ceil(yarn_pair(rope, rope->beta_slow));
  if (!(low > 0.0)) low = 0.0;
  if (!(high < rope->dims - 1.0)) high = rope->dims - 1.0;
  double width = high - low < 0.001 ? 0.001 : high - low;
  double at = ((double)pair - low) / width;
  return (1.0 - (at < 0.0 ? 0.0 : at > 1.0 ? 1.0 : at)) * rope->extrapolation;
}


static double scaled (const dc_rope *rope, size_t pair, double rate) {
  double slow = rate / rope->factor;
  if (rope->scaling != DC_ROPE_YARN) return slow;
  double share = yarn_share(rope, pair);
  return slow * (1.0 - share) + rate * share;
}


bool dc_table_of_rope (dc_table *t, const dc_hparams *hp, bool windowed,
                       const float *factors) {
  const dc_rope *rope = &hp->rope;
  bool own_base = windowed && rope->window_base > 0.0f;
  double base = own_base ? rope->window_base : rope->base;
  if (!init(t, rope->dims / 2, rope->dims)) return false;
  for (size_t i = 0; i < t->n_rates; i++) {
    double rate = dc_pow(base, -2.0 * (double)i / rope->dims);
    if (factors != NULL) rate /= factors[i];
    t->rates[i] = own_base ? rate : scaled(rope, i, rate);
  }
  if (own_base) return true;
  t->magnitude = rope->magnitude;
  if (rope->scaling == DC_ROPE_YARN && rope->extrapolation > 0.0f)
    t->magnitude *= 1.0 + 0.1 * dc_log(rope->factor);
  return true;
}


/* ---- rows -------------------------------------------------------------- */

static void fill (dc_table *t, size_t pos) {
  float *row = t->rows + pos * t->columns;
  if (pos == t->silent) return;  /* rows begin as zeros */
  for (size_t j = 0; j < t->n_rates; j++) {
    double angle = (double)pos * t->rates[j];
    row[j] = (float)(dc_sin(angle) * t->magnitude);
    if (t->n_rates + j < t->columns)
      row[t->n_rates + j] = (float)(dc_cos(angle) * t->magnitude);
  }
}


bool dc_table_reserve (dc_table *t, size_t n) {
  if (n <= t->n || t->columns == 0) return true;
  size_t room = n < 64 ? 64 : n > 2 * t->n ? n : 2 * t->n;
  if (room > SIZE_MAX / (t->columns * sizeof *t->rows)) return false;
  float *rows = dc_realloc(t->rows, room * t->columns * sizeof *rows);
  if (rows == NULL) return false;
  t->rows = rows;
  while (t->n < room) fill(t, t->n++);
  return true;
}


void dc_table_free (dc_table *t) {
  dc_free(t->rates);
  dc_free(t->rows);
  memset(t, 0, sizeof *t);
}


/* ---- relative ---------------------------------------------------------- */

/* Half of the buckets (of one direction) hold one distance each, the rest
   ever larger ranges of them, up to the largest distance and all behind it. */
uint32_t dc_relative_bucket (const dc_hparams *hp, int64_t distance,
                             bool both_ways) {
  uint32_t n = hp->n_buckets, first = 0;
  if (both_ways) {
    n /= 2;
    if (distance < 0) first = n;
  }
  uint64_t far = distance >= 0 ? (uint64_t)distance
                 : both_ways ? (uint64_t)-distance : 0;
  uint32_t exact = n / 2;
  if (far < exact) return first + (uint32_t)far;
  if (far >= hp->max_distance) return first + n - 1;
  double part = dc_log((double)far / exact) /
                dc_log((double)hp->max_distance / exact);
  uint32_t more = (uint32_t)(part * (n - exact));
  return first + (exact + more < n - 1 ? exact + more : n - 1);
}
