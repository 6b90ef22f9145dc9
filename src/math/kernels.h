/*
** kernels.h: the arithmetic of decant, one table of functions per instruction
** set. All tables give the same bits.
**
** Contract of all of them. Plain pointers in and out, no alignment needed; no
** allocation, no threads, no errors. n may be 0. `out` may be one of the
** inputs where the same index is read and written; else nothing overlaps.
**
** The order of every sum over n floats is fixed: 16 lanes, lane l takes the
** elements l, l + 16, l + 32, ... in ascending order, each with one fused
** multiply-add; then lane l adds lane l + 8, then l + 4, l + 2, l + 1.
** exp, tanh and their like are polynomials (functions of the element alone).
*/
#ifndef DC_KERNELS_H
#define DC_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "math/panels.h"
#include "math/types.h"

/* Activations in blocks of 32: x = scale * q. A row of n are n / 32 of them,
   and where there are several rows, they lie behind each other. */
typedef struct dc_q8_inputs {
  int8_t q[DC_Q8_BLOCK];
  float scale;
  int32_t sum[2];  /* of 16 numbers q each */
  int32_t start;   /* -128 times the sum of all: see v_dot_start */
} dc_q8_inputs;

#define DC_QUERIES 12  /* at most, in one call for attention */

/* What some positions give to a query: the highest of their scores, the sum of
   their weights, exp(score - highest), and the sum of their values, each times
   its weight. No positions, or all scores -INFINITY: -INFINITY, 0 and
   anything. */
typedef struct dc_attention_part {
  float *values;               /* [d_value] */
  float highest, sum;
} dc_attention_part;

/* A query, and the keys and values of one head that it reads, in tiles of 16
   positions: the keys [d_key][16], so that the positions are lanes, then the
   values [16][d_value]. Queries may share tiles; who does, and goes side by
   side, is served together. */
typedef struct dc_attention_query {
  const float *q;              /* [d_key] */
  const void *const *tiles;    /* from first / 16 to (n - 1) / 16 */
  const void *const *next;     /* as many, read after these: asked for ahead
                                  (those of the first query), or NULL */
  size_t first, n;             /* positions first..n-1, first < n, are read */
  const float *bias;           /* to be added to the scores, or NULL; like */
  float *scores;               /* this scratch it has n rounded up to 16 */
} dc_attention_query;

typedef struct dc_attention_sizes {
  size_t d_key, d_value;
  float scale;                 /* a score is q k * scale, */
  float cap;                   /* then cap * tanh(score / cap) unless 0 */
} dc_attention_sizes;

typedef struct dc_kernels {
  dc_isa isa;

  /* Reductions. */
  float (*dot) (const float *a, const float *b, size_t n);
  float (*sum) (const float *x, size_t n);
  float (*max) (const float *x, size_t n);    /* -INFINITY for n = 0; no NaN */
  bool (*has_nan) (const float *x, size_t n);
  float (*sum_exp) (const float *x, float shift, size_t n);
                                              /* sum of exp(x - shift) */

  /* Element by element. */
  void (*add) (float *out, const float *a, const float *b, size_t n);
  void (*sub) (float *out, const float *a, const float *b, size_t n);
  void (*mul) (float *out, const float *a, const float *b, size_t n);
  void (*div) (float *out, const float *a, const float *b, size_t n);
  void (*scale) (float *out, const float *x, float a, size_t n);  /* a * x */
  void (*shift) (float *out, const float *x, float a, size_t n);  /* x + a */
  void (*axpy) (float *y, float a, const float *x, size_t n); /* fma(a, x, y) */
  void (*exp) (float *out, const float *x, size_t n);
  void (*log) (float *out, const float *x, size_t n); /* 0: -INFINITY; < 0: NaN */
  void (*tanh) (float *out, const float *x, size_t n);
  void (*relu) (float *out, const float *x, size_t n);
  void (*silu) (float *out, const float *x, size_t n);  /* x / (1 + exp(-x)) */
  void (*gelu) (float *out, const float *x, size_t n);  /* exact: with erf */
  void (*gelu_tanh) (float *out, const float *x, size_t n);

  /* Whole rows. A row that is all -INFINITY softmaxes to zeros and
     log-softmaxes to itself. softmax: exp(x - max) / sum. log_softmax:
     (x - max) - log(sum of exp(x - max)). */
  void (*softmax) (float *x, size_t n);
  void (*log_softmax) (float *x, size_t n);

  /* y = (x - mean) / sqrt(variance + eps) * weight + bias; bias may be NULL */
  void (*layer_norm) (float *out, const float *x, const float *weight,
                      const float *bias, float eps, size_t n);
  /* y = x / sqrt(mean of squares + eps) * weight */
  void (*rms_norm) (float *out, const float *x, const float *weight,
                    float eps, size_t n);

  /* Rows of weights times rows of activations:
        out[c * ld_out + r] = dot(weight row r, x row c)
     for r < rows and c < cols. Weight row r starts at w + r * row_bytes. */
  void (*matmul_f32) (float *out, size_t ld_out, const void *w,
                      size_t row_bytes, size_t rows, const float *x,
                      size_t ld_x, size_t cols, size_t n);
  void (*matmul_f16) (float *out, size_t ld_out, const void *w,
                      size_t row_bytes, size_t rows, const float *x,
                      size_t ld_x, size_t cols, size_t n);
  void (*matmul_bf16) (float *out, size_t ld_out, const void *w,
                       size_t row_bytes, size_t rows, const float *x,
                       size_t ld_x, size_t cols, size_t n);
  /* Quantised: per block of 32 the exact integer sum s, then
     acc = fma(s, scale_w * scale_x, acc), blocks ascending, one chain. */
  void (*matmul_q8_0) (float *out, size_t ld_out, const void *w,
                       size_t row_bytes, size_t rows, const dc_q8_inputs *x,
                       size_t cols, size_t n);

  /* The same for weights of any quantised type; the order of a sum, which for
     Q8_0 is the one above: kernels_blocks.h. */
  void (*matmul_blocks) (dc_type type, float *out, size_t ld_out,
                         const void *w, size_t row_bytes, size_t rows,
                         const dc_q8_inputs *x, size_t cols, size_t n);

  /* Rows of quantised weights to panels (panels.h), and the bits of the
     products above from there. */
  void (*pack) (dc_type type, void *panels, const void *w, size_t row_bytes,
                size_t rows, size_t n);
  void (*matmul_packed) (dc_type type, float *out, size_t ld_out,
                         const void *panels, size_t rows,
                         const dc_q8_inputs *x, size_t cols, size_t n);

  /* Activations to blocks of 32: scale = max |x| / 127, q = x / scale to the
     nearest, ties to even. n is a multiple of 32. Blocks below 1e-30 become
     zeros, blocks with a NaN or an infinity give NaN in every product. */
  void (*quantize_q8) (dc_q8_inputs *out, const float *x, size_t n);

  /* To halves: nearest, ties to even. */
  void (*to_f16) (uint16_t *out, const float *x, size_t n);

  /* parts[i] is what its positions give to query i, as if it were alone; from
     tiles of floats or of halves. See kernels_attention.h. */
  void (*attention_f32) (const dc_attention_query *queries, size_t count,
                         const dc_attention_sizes *sizes,
                         dc_attention_part *parts);
  void (*attention_f16) (const dc_attention_query *queries, size_t count,
                         const dc_attention_sizes *sizes,
                         dc_attention_part *parts);
  /* What `to` and then `more` give together becomes `to`. */
  void (*attention_join) (dc_attention_part *to, const dc_attention_part *more,
                          size_t d_value);
} dc_kernels;

/* The table in use: chosen at the first call (see dc_isa_choose). */
const dc_kernels *dc_kernels_get (void);

/* Chooses now; false if DECANT_ISA names what is not there. */
bool dc_kernels_init (dc_error *err);

/* The table of one instruction set; NULL if it is not available. For specs
   and benchmarks that compare them. */
const dc_kernels *dc_kernels_of (dc_isa isa);

#endif
