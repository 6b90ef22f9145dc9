/*
** kernels_rows.h: what is done to a row of floats: element by element, to one
** number, and to the row as a whole.
*/

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
