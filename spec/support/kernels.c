/*
** kernels.c: compares the kernels of every instruction set of this machine
** with the scalar ones, bit for bit, and the functions with libm. Built and
** run by spec/kernels_spec.lua; prints one line "name: ok" or "name: ..." a
** check.
*/
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "math/functions.h"
#include "math/kernels.h"
#include "math/rng.h"

#define MAX_N 672  /* more blocks than are looked at together */
#define MAX_ROWS 70
#define MAX_COLS 40

static float a[MAX_COLS * MAX_N], b[MAX_ROWS * MAX_N];
static float expected[MAX_COLS * MAX_ROWS + MAX_N];
static float got[MAX_COLS * MAX_ROWS + MAX_N];
static uint8_t weights[MAX_ROWS * MAX_N * 4];
static _Alignas(64) uint8_t panels[(MAX_ROWS + 15) / 16 * 16 * MAX_N * 4];
static dc_rng rng = {1, 0, 0};


static size_t below (size_t n) {
  return (size_t)(dc_rng_uniform(&rng) * (double)n);
}


static void randomise (float *x, size_t n, float size) {
  for (size_t i = 0; i < n; i++)
    x[i] = (float)(dc_rng_uniform(&rng) * 2 - 1) * size;
}


static void report (const char *name, const dc_kernels *k, bool ok) {
  printf("%s (%s): %s\n", name, dc_isa_name(k->isa), ok ? "ok" : "DIFFERS");
}


/* Operation `which` on a[0..n) and b[0..n) into out[0..n]; false: no more. */
static bool operation (const dc_kernels *k, int which, float *out, size_t n) {
  memset(out, 0, (n + 1) * sizeof *out);
  memcpy(out, a, n * sizeof *out);
  switch (which) {
    case 0: out[0] = k->dot(a, b, n); break;
    case 1: out[0] = k->sum(a, n); break;
    case 2: out[0] = k->max(a, n); break;
    case 3: out[0] = k->sum_exp(a, 1.0f, n); break;
    case 4: k->exp(out, a, n); break;
    case 5: k->log(out, a, n); break;
    case 6: k->tanh(out, a, n); break;
    case 7: k->silu(out, a, n); break;
    case 8: k->gelu(out, a, n); break;
    case 9: k->gelu_tanh(out, a, n); break;
    case 10: k->softmax(out, n); break;
    case 11: k->log_softmax(out, n); break;
    case 12: if (n > 0) k->layer_norm(out, a, b, a, 1e-5f, n); break;
    case 13: if (n > 0) k->rms_norm(out, a, b, 1e-5f, n); break;
    case 14: k->axpy(out, 0.3f, b, n); break;
    case 15: k->relu(out, a, n); break;
    case 16: k->div(out, a, b, n); break;
    case 17: k->shift(out, a, 0.7f, n); break;
    default: return false;
  }
  return true;
}


/* NaN (log of a negative number) is one value here, whatever its bits. */
static bool same (const float *x, const float *y, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (memcmp(&x[i], &y[i], sizeof *x) && !(isnan(x[i]) && isnan(y[i])))
      return false;
  return true;
}


static void compare_rows (const dc_kernels *scalar, const dc_kernels *k) {
  bool ok = true;
  for (int round = 0; round < 400; round++) {
    size_t n = below(MAX_N - 1);
    randomise(a, n, round % 3 == 0 ? 100.0f : 3.0f);
    randomise(b, n, 1.0f);
    for (int which = 0; operation(scalar, which, expected, n); which++) {
      operation(k, which, got, n);
      ok &= same(expected, got, n + 1);
    }
  }
  report("rows", k, ok);
}


/* The first columns of a, as k quantises them. */
static const dc_q8_inputs *quantised (const dc_kernels *k, size_t cols,
                                      size_t n) {
  static dc_q8_inputs x[MAX_COLS * MAX_N / DC_Q8_BLOCK];
  for (size_t c = 0; c < cols; c++)
    k->quantize_q8(x + c * (n / DC_Q8_BLOCK), a + c * n, n);
  return x;
}


static void multiply (const dc_kernels *k, dc_type type, float *out,
                      size_t row_bytes, size_t rows, size_t cols, size_t n) {
  if (type == DC_F32)
    k->matmul_f32(out, MAX_ROWS, weights, row_bytes, rows, a, n, cols, n);
  else if (type == DC_F16)
    k->matmul_f16(out, MAX_ROWS, weights, row_bytes, rows, a, n, cols, n);
  else if (type == DC_BF16)
    k->matmul_bf16(out, MAX_ROWS, weights, row_bytes, rows, a, n, cols, n);
  else if (type == DC_Q8_0)
    k->matmul_q8_0(out, MAX_ROWS, weights, row_bytes, rows,
                   quantised(k, cols, n), cols, n);
  else
    k->matmul_blocks(type, out, MAX_ROWS, weights, row_bytes, rows,
                     quantised(k, cols, n), cols, n);
}


/* Also: each column alone gives the bits of the whole product. */
static void compare_products (const dc_kernels *scalar, const dc_kernels *k,
                              dc_type type) {
  bool ok = true, alone = true;
  for (int round = 0; round < 60; round++) {
    size_t rows = 1 + below(MAX_ROWS), cols = 1 + below(9), row_bytes;
    size_t n = type == DC_Q8_0 ? 32 * (1 + below(10)) : 1 + below(320);
    dc_row_bytes(type, n, &row_bytes);
    for (size_t r = 0; r < rows; r++) {
      randomise(b, n, 1.0f);
      dc_quantize_row(type, weights + r * row_bytes, b, n);
    }
    randomise(a, cols * n, 2.0f);
    multiply(scalar, type, expected, row_bytes, rows, cols, n);
    multiply(k, type, got, row_bytes, rows, cols, n);
    for (size_t c = 0; c < cols; c++)
      ok &= same(expected + c * MAX_ROWS, got + c * MAX_ROWS, rows);
    for (size_t c = 0; c < cols; c++) {
      multiply(k, type, got, row_bytes, rows, 1, n);  /* the first column */
      alone &= same(expected + c * MAX_ROWS, got, rows);
      memmove(a, a + n, (cols - 1) * n * sizeof *a);
    }
  }
  report(dc_type_of((uint32_t)type)->name, k, ok);
  report("one column alone", k, alone);
}


/* Weights in panels against those of the file: every number of columns up to
   9, and 40; behind the last row nothing is written. */
static void compare_packed (const dc_kernels *scalar, const dc_kernels *k,
                            dc_type type) {
  bool ok = true, inside = true;
  for (size_t cols = 1; cols <= 10; cols++)
    for (size_t round = 0; round < 6; round++) {
      size_t rows = 1 + below(MAX_ROWS - 1), row_bytes, bytes;
      size_t some = cols < 10 ? cols : 40;
      size_t n = DC_Q8_BLOCK * (1 + below(MAX_N / DC_Q8_BLOCK));
      dc_row_bytes(type, n, &row_bytes);
      randomise(b, n * rows, 1.0f);
      for (size_t r = 0; r < rows; r++)
        dc_quantize_row(type, weights + r * row_bytes, b + r * n, n);
      randomise(a, some * n, 2.0f);
      memset(panels, 0x55, sizeof panels);
      k->pack(type, panels, weights, row_bytes, rows, n);
      inside &= dc_packed_bytes(type, rows, n, &bytes) &&
                panels[bytes] == 0x55;
      multiply(scalar, type, expected, row_bytes, rows, some, n);
      memset(got, 0x55, sizeof got);
      k->matmul_packed(type, got, MAX_ROWS, panels, rows,
                       quantised(k, some, n), some, n);
      for (size_t c = 0; c < some; c++) {
        const float *end = got + c * MAX_ROWS + rows;
        ok &= same(expected + c * MAX_ROWS, got + c * MAX_ROWS, rows);
        for (size_t i = 0; i < sizeof *end; i++)
          inside &= ((const uint8_t *)end)[i] == 0x55;
      }
    }
  printf("%s, packed, ", dc_type_of((uint32_t)type)->name);
  report("the same bits", k, ok);
  report("nothing behind the last row", k, inside);
}


/* Blocks that have no place on a scale: tiny ones, NaN, infinities. */
static void compare_odd_blocks (const dc_kernels *scalar,
                                const dc_kernels *k) {
  static const float odd[] = {1e-44f, 3e-38f, NAN, INFINITY, -INFINITY};
  bool ok = true, spreads = true;
  size_t n = 64, rows = 17, row_bytes;
  dc_row_bytes(DC_Q8_0, n, &row_bytes);
  for (size_t r = 0; r < rows; r++) {
    randomise(b, n, 1.0f);
    dc_quantize_row(DC_Q8_0, weights + r * row_bytes, b, n);
  }
  for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
    for (size_t j = 0; j < n; j++) a[j] = j % 3 == 0 ? odd[i] : 0.0f;
    multiply(scalar, DC_Q8_0, expected, row_bytes, rows, 1, n);
    multiply(k, DC_Q8_0, got, row_bytes, rows, 1, n);
    ok &= same(expected, got, rows);
    for (size_t r = 0; r < rows; r++)
      spreads &= isfinite(odd[i]) ? isfinite(got[r]) : isnan(got[r]);
  }
  report("odd blocks", k, ok);
  report("NaN and infinity become NaN", k, spreads);
}


static void compare_with_libm (const dc_kernels *k) {
  double worst = 0, doubles = 0;
  for (int i = 0; i < 20000; i++) {
    float x = (float)(dc_rng_uniform(&rng) * 30 - 15), y;
    double wide = dc_rng_uniform(&rng) * 500;
    k->exp(&y, &x, 1);
    worst = fmax(worst, fabs(y / exp(x) - 1));
    k->tanh(&y, &x, 1);
    worst = fmax(worst, fabs(y / tanh(x) - 1));
    k->gelu(&y, &x, 1);
    worst = fmax(worst, fabs(y - 0.5 * x * erfc(-x / sqrt(2.0))));
    x = fabsf(x) + 1e-20f;
    k->log(&y, &x, 1);
    worst = fmax(worst, fabs(y - log(x)) / fmax(fabs(log(x)), 1e-2));
    doubles = fmax(doubles, fabs(dc_sin(wide) - sin(wide)));
    doubles = fmax(doubles, fabs(dc_cos(wide) - cos(wide)));
    doubles = fmax(doubles, fabs(dc_exp(-wide) / exp(-wide) - 1));
    doubles = fmax(doubles, fabs(dc_log(wide) - log(wide)));
  }
  report("functions within 2e-6", k, worst < 2e-6);
  report("double functions within 1e-14", k, doubles < 1e-14);
}


static void check_halves (const dc_kernels *k) {
  bool ok = true;
  for (uint32_t h = 0; h < 65536; h++) {
    float x = dc_f16_to_f32((uint16_t)h);
    if (x == x) ok &= dc_f32_to_f16(x) == h;
  }
  report("halves there and back", k, ok);
}


int main (void) {
  const dc_kernels *scalar = dc_kernels_of(DC_ISA_SCALAR);
  check_halves(scalar);
  for (dc_isa isa = 0; isa < DC_N_ISAS; isa++) {
    const dc_kernels *k = dc_kernels_of(isa);
    if (k == NULL) continue;
    compare_with_libm(k);
    compare_rows(scalar, k);
    compare_products(scalar, k, DC_F32);
    compare_products(scalar, k, DC_F16);
    compare_products(scalar, k, DC_BF16);
    compare_products(scalar, k, DC_Q8_0);
    compare_packed(scalar, k, DC_Q8_0);
    compare_packed(scalar, k, DC_Q4_0);
    compare_odd_blocks(scalar, k);
  }
  return 0;
}
