/* vec_neon.h: the vocabulary of vec_scalar.h in NEON (64-bit ARM); a vf is
   four registers of four lanes. */
#include <arm_neon.h>
#include <string.h>

#include "math/types.h"

#define VEC_ISA DC_ISA_NEON
#define VEC_TABLE dc_kernels_neon
#define TILE_ROWS 2
#define TILE_COLS 2
#define Q8_STRIPS 1
#define Q8_COLS 2

typedef struct vf { float32x4_t part[4]; } vf;

#define EACH_PART for (int i = 0; i < 4; i++)

static inline vf v_set1 (float a) {
  vf r;
  EACH_PART r.part[i] = vdupq_n_f32(a);
  return r;
}

static inline vf v_load (const float *p) {
  vf r;
  EACH_PART r.part[i] = vld1q_f32(p + 4 * i);
  return r;
}

static inline vf v_load_part (const float *p, size_t n) {
  float all[16] = {0};
  memcpy(all, p, n * sizeof *p);
  return v_load(all);
}

static inline void v_store (float *p, vf a) {
  EACH_PART vst1q_f32(p + 4 * i, a.part[i]);
}

static inline void v_store_part (float *p, vf a, size_t n) {
  float all[16];
  v_store(all, a);
  memcpy(p, all, n * sizeof *p);
}

static inline vf v_load_f16 (const uint16_t *p) {
  vf r;
  EACH_PART r.part[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i)));
  return r;
}

static inline void v_store_f16 (uint16_t *p, vf a) {
  EACH_PART vst1_u16(p + 4 * i,
                     vreinterpret_u16_f16(vcvt_f16_f32(a.part[i])));
}

static inline vf v_load_bf16 (const uint16_t *p) {
  vf r;
  EACH_PART r.part[i] = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i),
                                                          16));
  return r;
}

static inline vf v_add (vf a, vf b) {
  EACH_PART a.part[i] = vaddq_f32(a.part[i], b.part[i]);
  return a;
}

static inline vf v_sub (vf a, vf b) {
  EACH_PART a.part[i] = vsubq_f32(a.part[i], b.part[i]);
  return a;
}

static inline vf v_mul (vf a, vf b) {
  EACH_PART a.part[i] = vmulq_f32(a.part[i], b.part[i]);
  return a;
}

static inline vf v_div (vf a, vf b) {
  EACH_PART a.part[i] = vdivq_f32(a.part[i], b.part[i]);
  return a;
}

static inline vf v_fma (vf a, vf b, vf c) {
  EACH_PART c.part[i] = vfmaq_f32(c.part[i], a.part[i], b.part[i]);
  return c;
}

static inline vf v_if_less (vf a, vf b, vf x, vf y) {
  EACH_PART x.part[i] = vbslq_f32(vcltq_f32(a.part[i], b.part[i]), x.part[i],
                                  y.part[i]);
  return x;
}

static inline vf v_max (vf a, vf b) { return v_if_less(b, a, a, b); }
static inline vf v_min (vf a, vf b) { return v_if_less(a, b, a, b); }

static inline vf v_abs (vf a) {
  EACH_PART a.part[i] = vabsq_f32(a.part[i]);
  return a;
}

static inline vf v_copysign (vf a, vf b) {
  uint32x4_t sign = vdupq_n_u32(0x80000000u);
  EACH_PART a.part[i] = vbslq_f32(sign, b.part[i], a.part[i]);
  return a;
}

static inline bool v_any_nan (vf a) {
  uint32_t ordered = 0xffffffffu;
  EACH_PART ordered &= vminvq_u32(vceqq_f32(a.part[i], a.part[i]));
  return ordered == 0;
}

static inline float32x4_t pow2_4 (int32x4_t n) {
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)),
                                           23));
}

static inline vf v_ldexp (vf a, vf n) {
  EACH_PART {
    int32x4_t e = vcvtq_s32_f32(n.part[i]), half = vshrq_n_s32(e, 1);
    a.part[i] = vmulq_f32(vmulq_f32(a.part[i], pow2_4(half)),
                          pow2_4(vsubq_s32(e, half)));
  }
  return a;
}

static inline vf v_frexp (vf a, vf *e) {
  EACH_PART {
    int32x4_t bits = vreinterpretq_s32_f32(a.part[i]);
    int32x4_t exponent =
      vshrq_n_s32(vsubq_s32(bits, vdupq_n_s32(0x3f400000)), 23);
    e->part[i] = vcvtq_f32_s32(exponent);
    a.part[i] = vreinterpretq_f32_s32(
      vsubq_s32(bits, vshlq_n_s32(exponent, 23)));
  }
  return a;
}

static inline float v_sum (vf a) {
  float32x4_t lo = vaddq_f32(a.part[0], a.part[2]);
  float32x4_t hi = vaddq_f32(a.part[1], a.part[3]);
  float32x4_t c = vaddq_f32(lo, hi);
  float32x2_t d = vadd_f32(vget_low_f32(c), vget_high_f32(c));
  return vget_lane_f32(d, 0) + vget_lane_f32(d, 1);
}

static inline void v_sum4 (float *out, const vf *a) {
  for (int i = 0; i < 4; i++) out[i] = v_sum(a[i]);
}

static inline void v_sum16 (float *out, const vf *a) {
  for (int i = 0; i < 16; i += 4) v_sum4(out + i, a + i);
}

static inline float v_highest (vf a) {
  float lane[16], m;
  v_store(lane, a);
  m = lane[0];
  for (int l = 1; l < 16; l++) m = lane[l] > m ? lane[l] : m;
  return m;
}

static inline void v_store_i8 (int8_t *p, vf a) {
  float lane[16];
  v_store(lane, a);
  for (int l = 0; l < 16; l++) p[l] = (int8_t)lane[l];
}

static inline int32_t v_sum_i8 (const int8_t *p) {
  return vaddlvq_s8(vld1q_s8(p));
}

static inline void v_turn (uint32_t (*out)[16], const uint8_t *const *row,
                           size_t at) {
  for (int r = 0; r < 16; r++)
    for (size_t k = 0; k < 4; k++)
      memcpy(&out[k][r], row[r] + at + 4 * k, 4);
}

static inline vf v_turn_f16 (const uint8_t *const *row, size_t at) {
  uint16_t half[16];
  for (int r = 0; r < 16; r++) memcpy(&half[r], row[r] + at, sizeof half[r]);
  return v_load_f16(half);
}

static inline void v_lookup (uint32_t words[16], const int8_t table[16]) {
  int8x16_t all = vld1q_s8(table);
  uint8_t *byte = (uint8_t *)words;
  EACH_PART vst1q_s8((int8_t *)byte + 16 * i,
                     vqtbl1q_s8(all, vld1q_u8(byte + 16 * i)));
}

typedef struct vi { int32x4_t part[4]; } vi;
typedef struct vw { int8x16_t part[4]; } vw;

static inline vw v_weights (const int8_t *q) {
  vw r;
  EACH_PART r.part[i] = vld1q_s8(q + 16 * i);
  return r;
}

static inline vi v_dot_start (int32_t start) {
  (void)start;
  vi r;
  EACH_PART r.part[i] = vdupq_n_s32(0);
  return r;
}

static inline vi v_dot4 (vi sum, vw w, const int8_t *x) {
  int32_t four;
  memcpy(&four, x, sizeof four);
  int8x8_t all = vreinterpret_s8_s32(vdup_n_s32(four));
  EACH_PART {
    int16x8_t lo = vmull_s8(vget_low_s8(w.part[i]), all);
    int16x8_t hi = vmull_s8(vget_high_s8(w.part[i]), all);
    int32x4_t pairs = vpaddq_s32(vpaddlq_s16(lo), vpaddlq_s16(hi));
    sum.part[i] = vaddq_s32(sum.part[i], pairs);
  }
  return sum;
}

static inline vi v_all (int32_t a) {
  vi r;
  EACH_PART r.part[i] = vdupq_n_s32(a);
  return r;
}

#include "math/vec_dot8.h"

static inline vf v_float (vi a) {
  vf r;
  EACH_PART r.part[i] = vcvtq_f32_s32(a.part[i]);
  return r;
}

static inline void v_unpack_q8 (int8_t (*q)[16][4], const uint8_t *w,
                                size_t stride) {
  for (size_t r = 0; r < 16; r++)
    for (int g = 0; g < 8; g++) memcpy(q[g][r], w + r * stride + 2 + 4 * g, 4);
}

static inline int32_t dot_q8_1 (const int8_t *q, const int8_t *x) {
  int32x4_t sum = vdupq_n_s32(0);
  for (int i = 0; i < DC_Q8_BLOCK; i += 16) {
    int8x16_t a = vld1q_s8(q + i), b = vld1q_s8(x + i);
    sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    sum = vpadalq_s16(sum, vmull_s8(vget_high_s8(a), vget_high_s8(b)));
  }
  return vaddvq_s32(sum);
}

static inline vi v_dot_q8 (const uint8_t *w, size_t stride, const int8_t *x,
                           int32_t start) {
  int32_t lane[16];
  vi r;
  (void)start;
  for (size_t l = 0; l < 16; l++)
    lane[l] = dot_q8_1((const int8_t *)(w + l * stride + 2), x);
  EACH_PART r.part[i] = vld1q_s32(lane + 4 * i);
  return r;
}
