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


/* What codes rounded with a scale are good for: the best scale for them, and
   by how much it makes the sum of squares smaller. */
typedef struct fit {
  float scale, gain;
} fit;


static fit fit_with (const float *x, int n, dc_levels levels, float inverse) {
  float product = 0.0f, square = 0.0f;
  for (int i = 0; i < n; i++) {
    float level = (float)level_at(levels, nearest(levels, x[i] * inverse));
    product += x[i] * level;
    square += level * level;
  }
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


static void codes_of (uint8_t *code, const float *x, int n, int high,
                      range r) {
  float inverse = dc_inverse_scale(r.scale);
  for (int i = 0; i < n; i++)
    code[i] = (uint8_t)dc_to_code((x[i] + r.min) * inverse + 0.5f, 0, high);
}


/* Scale and minimum that suit the codes best; the minimum is not negative. */
static range range_for (const uint8_t *code, const float *x, int n) {
  float sum_x = 0, sum_c = 0, product = 0, square = 0;
  range r = {0};
  for (int i = 0; i < n; i++) {
    float c = (float)code[i];
    sum_x += x[i];
    sum_c += c;
    product += x[i] * c;
    square += c * c;
  }
  float spread = (float)n * square - sum_c * sum_c;
  if (spread > 0.0f) {
    r.scale = ((float)n * product - sum_x * sum_c) / spread;
    r.min = (r.scale * sum_c - sum_x) / (float)n;
  }
  if (!(spread > 0.0f) || r.min < 0.0f || r.scale < 0.0f) {
    r.scale = square > 0.0f && product > 0.0f ? product / square : 0.0f;
    r.min = 0.0f;
  }
  for (int i = 0; i < n; i++) {
    float off = r.scale * (float)code[i] - r.min - x[i];
    r.error += off * off;
  }
  return r;
}


static range search_range (const float *x, int n, int high) {
  uint8_t code[MAX_GROUP];
  float low = 0.0f, top = 0.0f;
  for (int i = 0; i < n; i++) {
    if (x[i] < low) low = x[i];
    if (!(x[i] <= top)) top = x[i];
  }
  range outermost = {(top - low) / (float)high, -low, 0.0f};
  codes_of(code, x, n, high, outermost);
  range best = range_for(code, x, n);
  for (int i = -TRIES; i <= TRIES; i++) {
    range r = {(top - low) / ((float)high + 0.1f * (float)i), -low, 0.0f};
    for (int round = 0; round < 2; round++) {
      codes_of(code, x, n, high, r);
      r = range_for(code, x, n);
      if (r.error < best.error) best = r;
    }
  }
  return best;
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
