/*
** vec_scalar.h: the vector vocabulary in plain C, and its contract.
**
** A `vf` is 16 float lanes, whatever the width of the registers. An algorithm
** written on these words does the same operations in the same order on every
** instruction set, so it gives the same bits. What each word does is said
** here; the other vec_*.h files only spell it in intrinsics.
*/
#include <math.h>
#include <string.h>

#include "math/types.h"

#define VEC_ISA DC_ISA_SCALAR
#define VEC_TABLE dc_kernels_scalar

/* Outputs at once in a matrix product: rows by columns of accumulators. */
#define TILE_ROWS 2
#define TILE_COLS 2
#define Q8_STRIPS 1  /* of 16 quantised rows at once, */
#define Q8_COLS 2    /* against so many columns, at most 6 */

typedef struct vf { float lane[16]; } vf;

#define EACH_LANE for (int l = 0; l < 16; l++)

static inline vf v_set1 (float a) {
  vf r;
  EACH_LANE r.lane[l] = a;
  return r;
}

static inline vf v_load (const float *p) {
  vf r;
  memcpy(r.lane, p, sizeof r.lane);
  return r;
}

/* The first n < 16 lanes, zeros behind them. */
static inline vf v_load_part (const float *p, size_t n) {
  vf r = {{0}};
  memcpy(r.lane, p, n * sizeof *p);
  return r;
}

static inline void v_store (float *p, vf a) {
  memcpy(p, a.lane, sizeof a.lane);
}

static inline void v_store_part (float *p, vf a, size_t n) {
  memcpy(p, a.lane, n * sizeof *p);
}

/* 16 halves. */
static inline vf v_load_f16 (const uint16_t *p) {
  vf r;
  EACH_LANE r.lane[l] = dc_f16_to_f32(p[l]);
  return r;
}

/* To the nearest halves, ties to even. */
static inline void v_store_f16 (uint16_t *p, vf a) {
  EACH_LANE p[l] = dc_f32_to_f16(a.lane[l]);
}

/* 16 upper halves of floats. */
static inline vf v_load_bf16 (const uint16_t *p) {
  vf r;
  EACH_LANE {
    uint32_t bits = (uint32_t)p[l] << 16;
    memcpy(&r.lane[l], &bits, sizeof bits);
  }
  return r;
}

static inline vf v_add (vf a, vf b) {
  EACH_LANE a.lane[l] += b.lane[l];
  return a;
}

static inline vf v_sub (vf a, vf b) {
  EACH_LANE a.lane[l] -= b.lane[l];
  return a;
}

static inline vf v_mul (vf a, vf b) {
  EACH_LANE a.lane[l] *= b.lane[l];
  return a;
}

static inline vf v_div (vf a, vf b) {
  EACH_LANE a.lane[l] /= b.lane[l];
  return a;
}

/* a * b + c, rounded once. */
static inline vf v_fma (vf a, vf b, vf c) {
  EACH_LANE c.lane[l] = fmaf(a.lane[l], b.lane[l], c.lane[l]);
  return c;
}

/* a > b ? a : b */
static inline vf v_max (vf a, vf b) {
  EACH_LANE a.lane[l] = a.lane[l] > b.lane[l] ? a.lane[l] : b.lane[l];
  return a;
}

/* a < b ? a : b */
static inline vf v_min (vf a, vf b) {
  EACH_LANE a.lane[l] = a.lane[l] < b.lane[l] ? a.lane[l] : b.lane[l];
  return a;
}

/* a < b ? x : y */
static inline vf v_if_less (vf a, vf b, vf x, vf y) {
  EACH_LANE x.lane[l] = a.lane[l] < b.lane[l] ? x.lane[l] : y.lane[l];
  return x;
}

static inline vf v_abs (vf a) {
  EACH_LANE a.lane[l] = fabsf(a.lane[l]);
  return a;
}

/* |a| with the sign of b. */
static inline vf v_copysign (vf a, vf b) {
  EACH_LANE a.lane[l] = copysignf(a.lane[l], b.lane[l]);
  return a;
}

static inline bool v_any_nan (vf a) {
  bool any = false;
  EACH_LANE any |= a.lane[l] != a.lane[l];
  return any;
}

static inline float pow2 (int32_t n) {
  uint32_t bits = (uint32_t)(n + 127) << 23;
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* a * 2^n, rounded once, for a from 1/2 to 2 and whole n in -252..254: half
   the way no number is too small for a float. NaN for a NaN. */
static inline vf v_ldexp (vf a, vf n) {
  EACH_LANE {
    int32_t e = n.lane[l] == n.lane[l] ? (int32_t)n.lane[l] : 0;
    a.lane[l] = a.lane[l] * pow2(e / 2) * pow2(e - e / 2);
  }
  return a;
}

/* A normal a > 0 as mantissa in [0.75, 1.5) times 2^e. */
static inline vf v_frexp (vf a, vf *e) {
  EACH_LANE {
    int32_t bits, exponent;
    memcpy(&bits, &a.lane[l], sizeof bits);
    exponent = (int32_t)((uint32_t)bits - 0x3f400000u) >> 23;
    bits = (int32_t)((uint32_t)bits - ((uint32_t)exponent << 23));
    memcpy(&a.lane[l], &bits, sizeof bits);
    e->lane[l] = (float)exponent;
  }
  return a;
}

/* The lanes in the order of kernels.h: l + 8, l + 4, l + 2, l + 1. */
static inline float v_sum (vf a) {
  for (int half = 8; half > 0; half /= 2)
    for (int l = 0; l < half; l++) a.lane[l] += a.lane[l + half];
  return a.lane[0];
}

/* out[i] = v_sum(a[i]) for i < 4: cheaper together. */
static inline void v_sum4 (float *out, const vf *a) {
  for (int i = 0; i < 4; i++) out[i] = v_sum(a[i]);
}

/* out[i] = v_sum(a[i]) for i < 16. */
static inline void v_sum16 (float *out, const vf *a) {
  for (int i = 0; i < 16; i += 4) v_sum4(out + i, a + i);
}

static inline float v_highest (vf a) {
  float m = a.lane[0];
  EACH_LANE m = a.lane[l] > m ? a.lane[l] : m;
  return m;
}

/* Whole numbers in -128..127 as bytes. */
static inline void v_store_i8 (int8_t *p, vf a) {
  EACH_LANE p[l] = (int8_t)a.lane[l];
}

static inline int32_t v_sum_i8 (const int8_t *p) {
  int32_t sum = 0;
  EACH_LANE sum += p[l];
  return sum;
}

/* The 16 bytes at row[r] + at as words: out[k][r] is the k-th of row r. */
static inline void v_turn (uint32_t (*out)[16], const uint8_t *const *row,
                           size_t at) {
  EACH_LANE for (size_t k = 0; k < 4; k++)
    memcpy(&out[k][l], row[l] + at + 4 * k, 4);
}

/* The half at row[r] + at in lane r. */
static inline vf v_turn_f16 (const uint8_t *const *row, size_t at) {
  uint16_t half[16];
  for (int r = 0; r < 16; r++) memcpy(&half[r], row[r] + at, sizeof half[r]);
  return v_load_f16(half);
}

/* Each byte c of the words, 0..15, becomes table[c]. */
static inline void v_lookup (uint32_t words[16], const int8_t table[16]) {
  uint8_t *byte = (uint8_t *)words;
  for (int i = 0; i < 64; i++) byte[i] = (uint8_t)table[byte[i]];
}

/* Integers: a vi is 16 sums of 32 bits, a vw the weights that meet four
   inputs: four bytes a lane. */
typedef struct vi { int32_t lane[16]; } vi;
typedef struct vw { int8_t byte[16][4]; } vw;

static inline vw v_weights (const int8_t *q) {
  vw r;
  memcpy(r.byte, q, sizeof r.byte);
  return r;
}

/* The lanes to which v_dot4 adds products; then they hold the sum of products.
   (Where the instruction wants weights without a sign, w + 128, they start with
   what is to be taken off: `start`, -128 times the sum of all inputs.) */
static inline vi v_dot_start (int32_t start) {
  (void)start;
  return (vi){{0}};
}

/* The exact sum of four products more. x is -127..127, w -128..127. */
static inline vi v_dot4 (vi sum, vw w, const int8_t *x) {
  EACH_LANE for (int i = 0; i < 4; i++) sum.lane[l] += w.byte[l][i] * x[i];
  return sum;
}

static inline vi v_all (int32_t a) {
  vi r;
  EACH_LANE r.lane[l] = a;
  return r;
}

#include "math/vec_dot8.h"

static inline vf v_float (vi a) {
  vf r;
  EACH_LANE r.lane[l] = (float)a.lane[l];
  return r;
}

/* The blocks of Q8_0 at w + r * stride as panels: q[g][r] are the weights
   4g..4g+3 of row r. */
static inline void v_unpack_q8 (int8_t (*q)[16][4], const uint8_t *w,
                                size_t stride) {
  EACH_LANE for (int g = 0; g < 8; g++)
    memcpy(q[g][l], w + (size_t)l * stride + 2 + 4 * g, 4);
}

/* Lane r: the exact sum of the 32 products of x, whose `start` is given, and of
   the block of Q8_0 at w + r * stride. */
static inline vi v_dot_q8 (const uint8_t *w, size_t stride, const int8_t *x,
                           int32_t start) {
  vi r = {{0}};
  (void)start;
  EACH_LANE {
    const int8_t *q = (const int8_t *)(w + (size_t)l * stride + 2);
    for (int i = 0; i < DC_Q8_BLOCK; i++) r.lane[l] += q[i] * x[i];
  }
  return r;
}
