/* quantize_fit.c: see quantize_fit.h. */
#include "math/quantize_fit.h"

#include <math.h>

#include "math/quantize.h"

#define TRIES 9        /* to either side of the outermost number */
#define MAX_GROUP 32


/* ---- x = scale * level -------------------------------------------------- */

static int level_at (dc_levels levels, int code) {
  return levels.table != NULL ? levels.table[code] : levels.low + code;
}


/* The code whose level is nearest to y. */
static int nearest (dc_levels levels, float y) {
  if (levels.table == NULL)
    return dc_to_code(y - (float)levels.low + 0.5f, 0, levels.count - 1);
  int code = 0;
  for (int step = levels.count / 2; step > 0; step /= 2) {
    int next = code + step;  /* above the middle of it and the one below? */
    if (2.0f * y > (float)(levels.table[next] + levels.table[next - 1]))
      code = next;
  }
  return code;
}


/* Sums over a group run in lanes, in fixed order, so that the compiler may use
   vectors without changing them. */
#define LANES 8
#define EACH_LANE for (int l = 0; l < LANES; l++)


static float add_lanes (const float *sum) {
  return ((sum[0] + sum[4]) + (sum[2] + sum[6])) +
         ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}


/* y kept in low..high and rounded to a whole number, ties to even, without a
   detour over the integers. */
static inline void round_lanes (float *y, float low, float high) {
  EACH_LANE y[l] = y[l] > low ? y[l] : low;
  EACH_LANE y[l] = y[l] < high ? y[l] : high;
  EACH_LANE y[l] = (y[l] + 12582912.0f) - 12582912.0f;
}


/* y becomes the nearest number of the table: the lowest, and for every middle
   that it is above the step across. */
static inline void look_up_lanes (float *y, dc_levels levels) {
  float level[LANES];
  EACH_LANE level[l] = levels.table[0];
  for (int j = 1; j < levels.count; j++) {
    float middle = 0.5f * (float)(levels.table[j - 1] + levels.table[j]);
    float step = (float)(levels.table[j] - levels.table[j - 1]);
    EACH_LANE level[l] += y[l] > middle ? step : 0.0f;
  }
  EACH_LANE y[l] = level[l];
}


/* What codes rounded with a scale are good for: the best scale for them, and
   by how much it makes the sum of squares smaller. */
typedef struct fit {
  float scale, gain;
} fit;


static fit fit_with (const float *x, int n, dc_levels levels, float inverse) {
  float products[LANES] = {0}, squares[LANES] = {0};
  for (int i = 0; i < n; i += LANES) {
    float level[LANES];
    EACH_LANE level[l] = x[i + l] * inverse;
    if (levels.table != NULL)
      look_up_lanes(level, levels);
    else
      round_lanes(level, (float)levels.low,
                  (float)(levels.low + levels.count - 1));
    EACH_LANE products[l] += x[i + l] * level[l];
    EACH_LANE squares[l] += level[l] * level[l];
  }
  float product = add_lanes(products), square = add_lanes(squares);
  if (!(square > 0.0f)) return (fit){0.0f, 0.0f};
  return (fit){product / square, product * product / square};
}


static float farthest_from_zero (const float *x, int n) {
  float farthest = 0.0f;
  for (int i = 0; i < n; i++)
    if (!(fabsf(x[i]) <= fabsf(farthest))) farthest = x[i];
  return farthest;
}


/* The outermost number is tried at places around `end`, an outermost level. */
static fit try_around (const float *x, int n, dc_levels levels, int end,
                       float step, fit best) {
  float inverse = dc_inverse_scale(farthest_from_zero(x, n));
  for (int i = -TRIES; i <= TRIES; i++) {
    fit f = fit_with(x, n, levels, ((float)end + step * (float)i) * inverse);
    if (f.gain > best.gain) best = f;
  }
  return best;
}


static float search_scale (const float *x, int n, dc_levels levels) {
  int low = level_at(levels, 0), high = level_at(levels, levels.count - 1);
  float step = 0.1f;
  if (levels.table != NULL) step *= (float)(levels.table[1] - low);
  fit best = {farthest_from_zero(x, n) / (float)low, 0.0f};
  best = try_around(x, n, levels, low, step, best);
  best = try_around(x, n, levels, high, step, best);
  fit again = fit_with(x, n, levels, dc_inverse_scale(best.scale));
  return again.gain > best.gain ? again.scale : best.scale;
}


static void round_codes (uint8_t *code, const float *x, int n,
                         dc_levels levels, float scale) {
  float inverse = dc_inverse_scale(scale);
  for (int i = 0; i < n; i++)
    code[i] = (uint8_t)nearest(levels, x[i] * inverse);
}


float dc_fit_scale (uint8_t *code, const float *x, int n, dc_levels levels) {
  float scale = dc_as_half(search_scale(x, n, levels));
  round_codes(code, x, n, levels, scale);
  return scale;
}


void dc_fit_plain (dc_k_plain *out, const float *x, int group,
                   dc_levels levels, int low_scale) {
  float scale[16];
  int n = DC_K_BLOCK / group;
  for (int k = 0; k < n; k++)
    scale[k] = search_scale(x + k * group, group, levels);
  out->d = dc_as_half(farthest_from_zero(scale, n) / (float)low_scale);
  float inverse = dc_inverse_scale(out->d);
  for (int k = 0; k < n; k++) {
    int whole = dc_nearest_code(scale[k] * inverse, low_scale, -low_scale - 1);
    out->scale[k] = (int8_t)whole;
    round_codes(out->code + k * group, x + k * group, group, levels,
                out->d * (float)whole);
  }
}


/* ---- x = scale * code - min --------------------------------------------- */

typedef struct range {
  float scale, min, error;  /* error: sum of squares */
} range;


/* The range that suits best the codes 0..high that r gives; its minimum is not
   negative. */
static range better_range (const float *x, int n, int high, range r) {
  float sum_x[LANES] = {0}, sum_c[LANES] = {0};
  float products[LANES] = {0}, squares[LANES] = {0}, errors[LANES] = {0};
  float code[MAX_GROUP], inverse = dc_inverse_scale(r.scale);
  for (int i = 0; i < n; i += LANES) {
    float *c = code + i;
    EACH_LANE c[l] = (x[i + l] + r.min) * inverse;
    round_lanes(c, 0.0f, (float)high);
    EACH_LANE sum_x[l] += x[i + l];
    EACH_LANE sum_c[l] += c[l];
    EACH_LANE products[l] += x[i + l] * c[l];
    EACH_LANE squares[l] += c[l] * c[l];
  }
  float of_x = add_lanes(sum_x), of_c = add_lanes(sum_c);
  float product = add_lanes(products), square = add_lanes(squares);
  float spread = (float)n * square - of_c * of_c;
  r = (range){0};
  if (spread > 0.0f) {
    r.scale = ((float)n * product - of_x * of_c) / spread;
    r.min = (r.scale * of_c - of_x) / (float)n;
  }
  if (!(spread > 0.0f) || r.min < 0.0f || r.scale < 0.0f) {
    r.scale = square > 0.0f && product > 0.0f ? product / square : 0.0f;
    r.min = 0.0f;
  }
  for (int i = 0; i < n; i += LANES)
    EACH_LANE {
      float off = r.scale * code[i + l] - r.min - x[i + l];
      errors[l] += off * off;
    }
  r.error = add_lanes(errors);
  return r;
}


static range search_range (const float *x, int n, int high) {
  float low = 0.0f, top = 0.0f;
  for (int i = 0; i < n; i++) {
    if (x[i] < low) low = x[i];
    if (!(x[i] <= top)) top = x[i];
  }
  range best = {(top - low) / (float)high, -low, INFINITY};
  for (int i = -TRIES; i <= TRIES; i++) {
    range r = {(top - low) / ((float)high + 0.1f * (float)i), -low, 0.0f};
    for (int round = 0; round < 2; round++) {
      r = better_range(x, n, high, r);
      if (r.error < best.error) best = r;
    }
  }
  return best;
}


static void codes_of (uint8_t *code, const float *x, int n, int high,
                      range r) {
  float inverse = dc_inverse_scale(r.scale);
  for (int i = 0; i < n; i++)
    code[i] = (uint8_t)dc_to_code((x[i] + r.min) * inverse + 0.5f, 0, high);
}


/* The largest in steps of d, so that it gets the number `high`. */
static float step_for (const float *x, int n, int high) {
  float largest = 0.0f;
  for (int i = 0; i < n; i++)
    if (!(x[i] <= largest)) largest = x[i];
  return dc_as_half(largest / (float)high);
}


void dc_fit_min (dc_k_min *out, const float *x, int group, int high,
                 int high_scale) {
  float scale[16], min[16];
  int n = DC_K_BLOCK / group;
  for (int k = 0; k < n; k++) {
    range r = search_range(x + k * group, group, high);
    scale[k] = r.scale;
    min[k] = r.min;
  }
  out->d = step_for(scale, n, high_scale);
  out->d_min = step_for(min, n, high_scale);
  for (int k = 0; k < n; k++) {
    int s = dc_nearest_code(scale[k] * dc_inverse_scale(out->d), 0, high_scale);
    int m = dc_nearest_code(min[k] * dc_inverse_scale(out->d_min), 0,
                            high_scale);
    range r = {out->d * (float)s, out->d_min * (float)m, 0.0f};
    codes_of(out->code + k * group, x + k * group, group, high, r);
    out->scale[k] = (uint8_t)s;
    out->min[k] = (uint8_t)m;
  }
}
