/*
** kernels_impl.h: every kernel, written once on the vector vocabulary and
** compiled for each instruction set (kernels_*.c). Contracts: kernels.h.
**
** Coefficients are own fits (Chebyshev nodes, 40 digits): exp on
** [-ln 2 / 2, ln 2 / 2], log on [0.75, 1.5], log(erfc) on [0, 7].
*/
#include <math.h>

#include "math/kernels.h"

#define INLINE static inline __attribute__((always_inline))


/* ---- functions of one vector ------------------------------------------- */

/* To the nearest whole number, ties to even, for |x| < 2^22. */
INLINE vf round_v (vf x) {
  vf magic = v_set1(12582912.0f);
  return v_sub(v_add(x, magic), magic);
}


/* x * c + next, for a polynomial from its highest coefficient down. */
INLINE vf horner (vf x, const float *c, int n) {
  vf y = v_set1(c[0]);
  for (int i = 1; i < n; i++) y = v_fma(y, x, v_set1(c[i]));
  return y;
}


INLINE vf exp_v (vf x) {
  static const float c[] = {
    1.392617612e-3f, 8.363173075e-3f, 4.166655466e-2f, 0.1666657703f, 0.5f,
    1.0f, 1.0f,
  };
  x = v_max(v_set1(-104.0f), v_min(v_set1(89.0f), x));  /* NaN stays */
  vf n = round_v(v_mul(x, v_set1(1.44269504f)));
  vf r = v_fma(n, v_set1(-0.693359375f), x);
  r = v_fma(n, v_set1(2.12194440e-4f), r);
  vf half = round_v(v_mul(n, v_set1(0.5f)));
  vf y = v_mul(horner(r, c, 7), v_pow2(half));
  return v_mul(y, v_pow2(v_sub(n, half)));
}


INLINE vf log_v (vf x) {
  static const float c[] = {
    -0.05147591755f, 0.1089631439f, -0.1306141532f, 0.1438231738f,
    -0.1664944838f, 0.1999687406f, -0.2500014408f, 0.3333334632f,
  };
  vf smallest = v_set1(1.17549435e-38f), e, zero = v_set1(0.0f);
  vf lifted = v_if_less(x, smallest, v_mul(x, v_set1(16777216.0f)), x);
  vf offset = v_if_less(x, smallest, v_set1(-24.0f), zero);
  vf f = v_sub(v_frexp(lifted, &e), v_set1(1.0f));
  vf f2 = v_mul(f, f);
  e = v_add(e, offset);
  vf y = v_mul(v_mul(horner(f, c, 8), f), f2);
  y = v_fma(e, v_set1(-2.12194440e-4f), y);
  y = v_fma(f2, v_set1(-0.5f), y);
  y = v_fma(e, v_set1(0.693359375f), v_add(y, f));
  y = v_if_less(x, v_set1(INFINITY), y, v_add(x, x));  /* inf and NaN stay */
  y = v_if_less(x, v_set1(1e-45f), v_set1(-INFINITY), y);
  return v_if_less(x, zero, v_set1(NAN), y);
}


INLINE vf tanh_v (vf x) {
  static const float c[] = {2.0f / 15, -1.0f / 3, 1.0f};
  vf size = v_abs(x), one = v_set1(1.0f);
  vf t = exp_v(v_mul(size, v_set1(-2.0f)));
  vf large = v_div(v_sub(one, t), v_add(one, t));
  vf small = v_mul(size, horner(v_mul(size, size), c, 3));
  return v_copysign(v_if_less(size, v_set1(0.0625f), small, large), x);
}


/* erfc(z) for z >= 0: t * exp(P(t) - z^2) with t = 1 / (1 + z / 2). */
INLINE vf erfc_v (vf z) {
  static const float c[] = {
    0.1061241854f, -0.464432197f, 0.6335886229f, 0.02187567065f,
    -0.6957452518f, 0.3419926145f, -0.08695557267f, 0.4135301142f,
    0.9952925617f, -1.265270723f,
  };
  vf t = v_div(v_set1(1.0f), v_fma(z, v_set1(0.5f), v_set1(1.0f)));
  vf p = v_sub(horner(t, c, 10), v_mul(z, z));
  return v_mul(t, exp_v(p));
}


INLINE vf relu_v (vf x) {
  return v_max(x, v_set1(0.0f));
}


INLINE vf silu_v (vf x) {
  vf one = v_set1(1.0f);
  return v_div(x, v_add(one, exp_v(v_sub(v_set1(0.0f), x))));
}


/* x * Phi(x); the tail is computed where it is small: no cancellation. */
INLINE vf gelu_v (vf x) {
  vf tail = v_mul(v_set1(0.5f), erfc_v(v_mul(v_abs(x), v_set1(0.70710678f))));
  vf zero = v_set1(0.0f);
  return v_mul(x, v_if_less(x, zero, tail, v_sub(v_set1(1.0f), tail)));
}


/* Hendrycks and Gimpel 2016, the tanh form. */
INLINE vf gelu_tanh_v (vf x) {
  vf cubic = v_fma(v_mul(v_mul(x, x), x), v_set1(0.044715f), x);
  vf t = tanh_v(v_mul(cubic, v_set1(0.79788456f)));
  return v_mul(v_mul(x, v_set1(0.5f)), v_add(t, v_set1(1.0f)));
}


/* ---- element by element ------------------------------------------------- */

#define ELEMENTWISE_1(name, expression)                                       \
  static void name (float *out, const float *in, size_t n) {                  \
    size_t i = 0;                                                             \
    for (; i + 16 <= n; i += 16) {                                            \
      vf x = v_load(in + i);                                                  \
      v_store(out + i, expression);                                           \
    }                                                                         \
    if (i < n) {                                                              \
      vf x = v_load_part(in + i, n - i);                                      \
      v_store_part(out + i, expression, n - i);                               \
    }                                                                         \
  }

#define ELEMENTWISE_2(name, expression)                                       \
  static void name (float *out, const float *in, const float *in2, size_t n) {\
    size_t i = 0;                                                             \
    for (; i + 16 <= n; i += 16) {                                            \
      vf x = v_load(in + i), y = v_load(in2 + i);                             \
      v_store(out + i, expression);                                           \
    }                                                                         \
    if (i < n) {                                                              \
      vf x = v_load_part(in + i, n - i), y = v_load_part(in2 + i, n - i);     \
      v_store_part(out + i, expression, n - i);                               \
    }                                                                         \
  }

#define ELEMENTWISE_SCALAR(name, expression)                                  \
  static void name (float *out, const float *in, float scalar, size_t n) {    \
    vf a = v_set1(scalar);                                                    \
    size_t i = 0;                                                             \
    for (; i + 16 <= n; i += 16) {                                            \
      vf x = v_load(in + i);                                                  \
      v_store(out + i, expression);                                           \
    }                                                                         \
    if (i < n) {                                                              \
      vf x = v_load_part(in + i, n - i);                                      \
      v_store_part(out + i, expression, n - i);                               \
    }                                                                         \
  }

ELEMENTWISE_1(exp_row, exp_v(x))
ELEMENTWISE_1(log_row, log_v(x))
ELEMENTWISE_1(tanh_row, tanh_v(x))
ELEMENTWISE_1(relu_row, relu_v(x))
ELEMENTWISE_1(silu_row, silu_v(x))
ELEMENTWISE_1(gelu_row, gelu_v(x))
ELEMENTWISE_1(gelu_tanh_row, gelu_tanh_v(x))
ELEMENTWISE_2(add_rows, v_add(x, y))
ELEMENTWISE_2(sub_rows, v_sub(x, y))
ELEMENTWISE_2(mul_rows, v_mul(x, y))
ELEMENTWISE_2(div_rows, v_div(x, y))
ELEMENTWISE_SCALAR(scale_row, v_mul(a, x))
ELEMENTWISE_SCALAR(shift_row, v_add(x, a))


static void axpy_row (float *y, float scalar, const float *x, size_t n) {
  vf a = v_set1(scalar);
  size_t i = 0;
  for (; i + 16 <= n; i += 16)
    v_store(y + i, v_fma(a, v_load(x + i), v_load(y + i)));
  if (i < n) {
    vf part = v_fma(a, v_load_part(x + i, n - i), v_load_part(y + i, n - i));
    v_store_part(y + i, part, n - i);
  }
}


/* ---- reductions --------------------------------------------------------- */

static float dot_rows (const float *a, const float *b, size_t n) {
  vf sum = v_set1(0.0f);
  size_t i = 0;
  for (; i + 16 <= n; i += 16)
    sum = v_fma(v_load(a + i), v_load(b + i), sum);
  if (i < n)
    sum = v_fma(v_load_part(a + i, n - i), v_load_part(b + i, n - i), sum);
  return v_sum(sum);
}


static float sum_row (const float *x, size_t n) {
  vf sum = v_set1(0.0f);
  size_t i = 0;
  for (; i + 16 <= n; i += 16) sum = v_add(sum, v_load(x + i));
  if (i < n) sum = v_add(sum, v_load_part(x + i, n - i));
  return v_sum(sum);
}


static float max_row (const float *x, size_t n) {
  vf m = v_set1(-INFINITY);
  size_t i = 0;
  for (; i + 16 <= n; i += 16) m = v_max(m, v_load(x + i));
  float highest = v_highest(m);
  for (; i < n; i++) highest = x[i] > highest ? x[i] : highest;
  return highest;
}


static bool has_nan (const float *x, size_t n) {
  bool any = false;
  size_t i = 0;
  for (; i + 16 <= n; i += 16) any |= v_any_nan(v_load(x + i));
  for (; i < n; i++) any |= x[i] != x[i];
  return any;
}


/* The lanes behind the end must add exp(-inf) = 0, not exp(0). */
INLINE vf exp_part (const float *x, vf shift, size_t n) {
  float e[16] = {0};
  v_store_part(e, exp_v(v_sub(v_load_part(x, n), shift)), n);
  return v_load(e);
}


static float sum_exp (const float *x, float shift, size_t n) {
  vf sum = v_set1(0.0f), by = v_set1(shift);
  size_t i = 0;
  for (; i + 16 <= n; i += 16)
    sum = v_add(sum, exp_v(v_sub(v_load(x + i), by)));
  if (i < n) sum = v_add(sum, exp_part(x + i, by, n - i));
  return v_sum(sum);
}


/* ---- whole rows --------------------------------------------------------- */

/* x = exp(x - shift); returns the sum. */
static float exp_and_sum (float *x, float shift, size_t n) {
  vf sum = v_set1(0.0f), by = v_set1(shift);
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    vf e = exp_v(v_sub(v_load(x + i), by));
    v_store(x + i, e);
    sum = v_add(sum, e);
  }
  if (i < n) {
    vf e = exp_part(x + i, by, n - i);
    v_store_part(x + i, e, n - i);
    sum = v_add(sum, e);
  }
  return v_sum(sum);
}


static void softmax_row (float *x, size_t n) {
  float m = max_row(x, n);
  if (m == -INFINITY)
    memset(x, 0, n * sizeof *x);
  else
    scale_row(x, x, 1.0f / exp_and_sum(x, m, n), n);
}


static void log_softmax_row (float *x, size_t n) {
  float m = max_row(x, n);
  if (m == -INFINITY) return;
  float log_sum[16] = {sum_exp(x, m, n)};
  log_row(log_sum, log_sum, 1);
  shift_row(x, x, -m, n);  /* apart: m would swallow a small log_sum */
  shift_row(x, x, -log_sum[0], n);
}


static void layer_norm (float *out, const float *x, const float *weight,
                        const float *bias, float eps, size_t n) {
  float mean = sum_row(x, n) / (float)n;
  shift_row(out, x, -mean, n);
  float variance = dot_rows(out, out, n) / (float)n;
  scale_row(out, out, 1.0f / sqrtf(variance + eps), n);
  mul_rows(out, out, weight, n);
  if (bias != NULL) add_rows(out, out, bias, n);
}


static void rms_norm (float *out, const float *x, const float *weight,
                      float eps, size_t n) {
  float mean_square = dot_rows(x, x, n) / (float)n;
  scale_row(out, x, 1.0f / sqrtf(mean_square + eps), n);
  mul_rows(out, out, weight, n);
}


/* The sums of 16 numbers each that formats with minima, or with codes
   around another number than 0, multiply with. */
static void sum_q8 (int32_t *sum, const int8_t *q, size_t n) {
  for (size_t i = 0; i < n / 16; i++) {
    sum[i] = 0;
    for (size_t j = 0; j < 16; j++) sum[i] += q[16 * i + j];
  }
}


/* What has no place on the scale must not reach the conversion to integers,
   which each instruction set does its own way: a block with a NaN or an
   infinity gets the scale NaN, one below 1e-30 counts as 0. */
static void quantize_q8 (dc_q8_row out, const float *x, size_t n) {
  vf zero = v_set1(0.0f);
  for (size_t b = 0; b < n / DC_Q8_BLOCK; b++) {
    vf lo = v_load(x + b * DC_Q8_BLOCK), hi = v_load(x + b * DC_Q8_BLOCK + 16);
    float highest = v_highest(v_max(v_abs(lo), v_abs(hi)));
    if (v_any_nan(v_fma(hi, zero, v_mul(lo, zero)))) {
      lo = hi = zero;
      highest = NAN;
    }
    vf inverse = v_set1(highest > 1e-30f ? 127.0f / highest : 0.0f);
    out.scale[b] = highest / 127.0f;
    v_store_i8(out.q + b * DC_Q8_BLOCK, round_v(v_mul(lo, inverse)));
    v_store_i8(out.q + b * DC_Q8_BLOCK + 16, round_v(v_mul(hi, inverse)));
  }
  sum_q8(out.sum, out.q, n);
}


/* ---- matrix products ---------------------------------------------------- */

typedef vf loader (const void *row, size_t i);
typedef vf part_loader (const void *row, size_t i, size_t n);

INLINE vf load_f32 (const void *row, size_t i) {
  return v_load((const float *)row + i);
}

INLINE vf part_f32 (const void *row, size_t i, size_t n) {
  return v_load_part((const float *)row + i, n);
}

INLINE vf load_f16 (const void *row, size_t i) {
  return v_load_f16((const uint16_t *)row + i);
}

INLINE vf part_f16 (const void *row, size_t i, size_t n) {
  uint16_t halves[16] = {0};
  memcpy(halves, (const uint16_t *)row + i, n * sizeof *halves);
  return v_load_f16(halves);
}


INLINE vf load_bf16 (const void *row, size_t i) {
  return v_load_bf16((const uint16_t *)row + i);
}

INLINE vf part_bf16 (const void *row, size_t i, size_t n) {
  uint16_t halves[16] = {0};
  memcpy(halves, (const uint16_t *)row + i, n * sizeof *halves);
  return v_load_bf16(halves);
}


/* A tile of outputs, `rows` by `cols` (constants after inlining): as many
   independent sums, each in the order of dot_rows. */
INLINE void tile (float *out, size_t ld_out, const char *w, size_t row_bytes,
                  const float *x, size_t ld_x, size_t n, int rows, int cols,
                  loader *load, part_loader *load_part) {
  vf sum[8][4];
  size_t i = 0;
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < cols; c++) sum[r][c] = v_set1(0.0f);
  for (; i + 16 <= n; i += 16)
    for (int r = 0; r < rows; r++) {
      vf a = load(w + (size_t)r * row_bytes, i);
      for (int c = 0; c < cols; c++)
        sum[r][c] = v_fma(a, v_load(x + (size_t)c * ld_x + i), sum[r][c]);
    }
  if (i < n)
    for (int r = 0; r < rows; r++) {
      vf a = load_part(w + (size_t)r * row_bytes, i, n - i);
      for (int c = 0; c < cols; c++) {
        vf b = v_load_part(x + (size_t)c * ld_x + i, n - i);
        sum[r][c] = v_fma(a, b, sum[r][c]);
      }
    }
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < cols; c++)
      out[(size_t)c * ld_out + (size_t)r] = v_sum(sum[r][c]);
}


/* All rows against `cols` columns, in tiles of `high` rows. */
INLINE void stripe (float *out, size_t ld_out, const char *w, size_t row_bytes,
                    size_t rows, const float *x, size_t ld_x, size_t n,
                    int high, int cols, loader *load, part_loader *load_part) {
  size_t r = 0;
  for (; r + (size_t)high <= rows; r += (size_t)high)
    tile(out + r, ld_out, w + r * row_bytes, row_bytes, x, ld_x, n, high, cols,
         load, load_part);
  for (; r < rows; r++)
    tile(out + r, ld_out, w + r * row_bytes, row_bytes, x, ld_x, n, 1, cols,
         load, load_part);
}


#define MATMUL(name, load, load_part)                                         \
  static void name (float *out, size_t ld_out, const void *w,                 \
                    size_t row_bytes, size_t rows, const float *x,            \
                    size_t ld_x, size_t cols, size_t n) {                     \
    size_t c = 0;                                                             \
    for (; c + TILE_COLS <= cols; c += TILE_COLS)                             \
      stripe(out + c * ld_out, ld_out, w, row_bytes, rows, x + c * ld_x,      \
             ld_x, n, TILE_ROWS, TILE_COLS, load, load_part);                 \
    for (; c < cols; c++)                                                     \
      stripe(out + c * ld_out, ld_out, w, row_bytes, rows, x + c * ld_x,      \
             ld_x, n, WIDE_ROWS, 1, load, load_part);                         \
  }

MATMUL(matmul_f32, load_f32, part_f32)
MATMUL(matmul_f16, load_f16, part_f16)
MATMUL(matmul_bf16, load_bf16, part_bf16)


/* 16 rows of Q8_0 against `cols` columns; the rows are the lanes. */
INLINE void tile_q8 (float *out, size_t ld_out, const uint8_t *w,
                     size_t row_bytes, size_t rows, const dc_q8_row *x,
                     size_t n, int cols) {
  vf sum[4];
  for (int c = 0; c < cols; c++) sum[c] = v_set1(0.0f);
  for (size_t b = 0; b < n / DC_Q8_BLOCK; b++) {
    const uint8_t *block = w + b * sizeof(dc_block_q8_0);
    vf scales = v_scales_q8(block, row_bytes);
#pragma GCC unroll 4
    for (int c = 0; c < cols; c++) {
      vf scale = v_mul(scales, v_set1(x[c].scale[b]));
      vf products = v_dot_q8(block, row_bytes, x[c].q + b * DC_Q8_BLOCK);
      sum[c] = v_fma(products, scale, sum[c]);
    }
  }
  for (int c = 0; c < cols; c++) {
    if (rows == 16)
      v_store(out + (size_t)c * ld_out, sum[c]);
    else
      v_store_part(out + (size_t)c * ld_out, sum[c], rows);
  }
}


static void stripe_q8 (float *out, size_t ld_out, const uint8_t *w,
                       size_t row_bytes, size_t rows, const dc_q8_row *x,
                       size_t cols, size_t n) {
  while (cols > 0) {
    size_t some = cols < 4 ? cols : 4;
    switch (some) {
      case 1: tile_q8(out, ld_out, w, row_bytes, rows, x, n, 1); break;
      case 2: tile_q8(out, ld_out, w, row_bytes, rows, x, n, 2); break;
      case 3: tile_q8(out, ld_out, w, row_bytes, rows, x, n, 3); break;
      default: tile_q8(out, ld_out, w, row_bytes, rows, x, n, 4);
    }
    out += some * ld_out;
    x += some;
    cols -= some;
  }
}


/* The last rows of a matrix whose height is no multiple of 16: a row stride
   of zero would repeat one row, so one row at a time fills all lanes. */
static void matmul_q8_0 (float *out, size_t ld_out, const void *weights,
                         size_t row_bytes, size_t rows, const dc_q8_row *x,
                         size_t cols, size_t n) {
  const uint8_t *w = weights;
  size_t r = 0;
  for (; r + 16 <= rows; r += 16)
    stripe_q8(out + r, ld_out, w + r * row_bytes, row_bytes, 16, x, cols, n);
  for (; r < rows; r++)
    stripe_q8(out + r, ld_out, w + r * row_bytes, 0, 1, x, cols, n);
}


#include "math/kernels_blocks.h"


/* ---- attention ---------------------------------------------------------- */

/*
** A score is one chain over d_key; the maximum is exact; the weights are
** summed in 16 lanes; each output is one chain over the positions, ascending.
** So a query's result depends on what it sees alone: not on the other queries
** of its chunk, nor on how the cache was filled. Positions of the first tile
** that lie in front of the window have the weight 0 and are skipped.
*/
static void attention_scores (const float *q, const dc_attention_span *s) {
  vf scale = v_set1(s->scale), cap = v_set1(s->cap);
  vf inverse = v_set1(s->cap > 0.0f ? 1.0f / s->cap : 0.0f);
  for (size_t t = 0; t * 16 < s->n; t++) {
    vf sum = v_set1(0.0f);
    for (size_t i = 0; i < s->d_key; i++)
      sum = v_fma(v_set1(q[i]), v_load(s->keys[t] + i * 16), sum);
    sum = v_mul(sum, scale);
    if (s->cap > 0.0f) sum = v_mul(cap, tanh_v(v_mul(sum, inverse)));
    if (s->bias != NULL) sum = v_add(sum, v_load(s->bias + t * 16));
    v_store(s->scores + t * 16, sum);
  }
  for (size_t j = 0; j < s->first; j++) s->scores[j] = -INFINITY;
  for (size_t j = s->n; j % 16 != 0; j++) s->scores[j] = -INFINITY;
}


/* Columns d..d+16*width of the output: sums over the positions. */
INLINE void weighted_values (float *out, const dc_attention_span *s, size_t d,
                             int width, float factor) {
  vf sum[4];
  for (int i = 0; i < width; i++) sum[i] = v_set1(0.0f);
  for (size_t j = s->first; j < s->n; j++) {
    const float *v = s->values[j / 16] + (j % 16) * s->ld_values + d;
    vf weight = v_set1(s->scores[j]);
    for (int i = 0; i < width; i++)
      sum[i] = v_fma(weight, v_load(v + i * 16), sum[i]);
  }
  for (int i = 0; i < width; i++)
    v_store(out + d + (size_t)i * 16, v_mul(sum[i], v_set1(factor)));
}


/* The last n columns, where d_value is no multiple of 16. */
static void weighted_rest (float *out, const dc_attention_span *s, size_t d,
                           size_t n, float factor) {
  vf sum = v_set1(0.0f);
  for (size_t j = s->first; j < s->n; j++) {
    const float *v = s->values[j / 16] + (j % 16) * s->ld_values + d;
    sum = v_fma(v_set1(s->scores[j]), v_load_part(v, n), sum);
  }
  v_store_part(out + d, v_mul(sum, v_set1(factor)), n);
}


static void attention (float *out, const float *q,
                       const dc_attention_span *s) {
  attention_scores(q, s);
  size_t padded = (s->n + 15) / 16 * 16, d = 0;
  float highest = max_row(s->scores, padded);
  if (highest == -INFINITY) {
    memset(out, 0, s->d_value * sizeof *out);
    return;
  }
  float factor = 1.0f / exp_and_sum(s->scores, highest, padded);
  for (; d + 64 <= s->d_value; d += 64)
    weighted_values(out, s, d, 4, factor);
  for (; d + 16 <= s->d_value; d += 16)
    weighted_values(out, s, d, 1, factor);
  if (d < s->d_value) weighted_rest(out, s, d, s->d_value - d, factor);
}


extern const dc_kernels VEC_TABLE;

const dc_kernels VEC_TABLE = {
  .isa = VEC_ISA,
  .dot = dot_rows, .sum = sum_row, .max = max_row, .has_nan = has_nan,
  .sum_exp = sum_exp,
  .add = add_rows, .sub = sub_rows, .mul = mul_rows, .div = div_rows,
  .scale = scale_row, .shift = shift_row, .axpy = axpy_row,
  .exp = exp_row, .log = log_row, .tanh = tanh_row, .relu = relu_row,
  .silu = silu_row, .gelu = gelu_row, .gelu_tanh = gelu_tanh_row,
  .softmax = softmax_row, .log_softmax = log_softmax_row,
  .layer_norm = layer_norm, .rms_norm = rms_norm,
  .matmul_f32 = matmul_f32, .matmul_f16 = matmul_f16,
  .matmul_bf16 = matmul_bf16, .matmul_q8_0 = matmul_q8_0,
  .matmul_blocks = matmul_blocks, .quantize_q8 = quantize_q8,
  .attention = attention,
};
