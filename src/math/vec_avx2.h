/* vec_avx2.h: the vocabulary of vec_scalar.h in AVX2, FMA and F16C; a vf is a
   pair of registers, lanes 0-7 and 8-15. */
#include <immintrin.h>
#include <string.h>

#include "math/types.h"
#include "math/vec_x86.h"

#define VEC_ISA DC_ISA_AVX2
#define VEC_TABLE dc_kernels_avx2
#define TILE_ROWS 2
#define TILE_COLS 2
#define Q8_STRIPS 1
#define Q8_COLS 4

typedef struct vf { __m256 lo, hi; } vf;

#define PAIR(op, a, b) ((vf){op((a).lo, (b).lo), op((a).hi, (b).hi)})

static inline vf v_set1 (float a) {
  return (vf){_mm256_set1_ps(a), _mm256_set1_ps(a)};
}

static inline vf v_load (const float *p) {
  return (vf){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}

static inline vf v_load_part (const float *p, size_t n) {
  float all[16] = {0};
  memcpy(all, p, n * sizeof *p);
  return v_load(all);
}

static inline void v_store (float *p, vf a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}

static inline void v_store_part (float *p, vf a, size_t n) {
  float all[16];
  v_store(all, a);
  memcpy(p, all, n * sizeof *p);
}

static inline vf v_load_f16 (const uint16_t *p) {
  return (vf){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)),
              _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + 8)))};
}

static inline void v_store_f16 (uint16_t *p, vf a) {
  _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a.lo, 0));
  _mm_storeu_si128((__m128i *)(p + 8), _mm256_cvtps_ph(a.hi, 0));
}

static inline __m256 load_bf16_8 (const uint16_t *p) {
  __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

static inline vf v_load_bf16 (const uint16_t *p) {
  return (vf){load_bf16_8(p), load_bf16_8(p + 8)};
}

static inline vf v_add (vf a, vf b) { return PAIR(_mm256_add_ps, a, b); }
static inline vf v_sub (vf a, vf b) { return PAIR(_mm256_sub_ps, a, b); }
static inline vf v_mul (vf a, vf b) { return PAIR(_mm256_mul_ps, a, b); }
static inline vf v_div (vf a, vf b) { return PAIR(_mm256_div_ps, a, b); }
static inline vf v_max (vf a, vf b) { return PAIR(_mm256_max_ps, a, b); }
static inline vf v_min (vf a, vf b) { return PAIR(_mm256_min_ps, a, b); }

static inline vf v_fma (vf a, vf b, vf c) {
  return (vf){_mm256_fmadd_ps(a.lo, b.lo, c.lo),
              _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

static inline vf v_if_less (vf a, vf b, vf x, vf y) {
  return (vf){
    _mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
    _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}

static inline vf v_abs (vf a) {
  vf sign = v_set1(-0.0f);
  return PAIR(_mm256_andnot_ps, sign, a);
}

static inline vf v_copysign (vf a, vf b) {
  vf sign = v_set1(-0.0f), size = v_abs(a), from = PAIR(_mm256_and_ps, sign, b);
  return PAIR(_mm256_or_ps, size, from);
}

static inline bool v_any_nan (vf a) {
  return (_mm256_movemask_ps(_mm256_cmp_ps(a.lo, a.lo, _CMP_UNORD_Q)) |
          _mm256_movemask_ps(_mm256_cmp_ps(a.hi, a.hi, _CMP_UNORD_Q))) != 0;
}

static inline __m256 pow2_8 (__m256i n) {
  return _mm256_castsi256_ps(
    _mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

static inline __m256 ldexp_8 (__m256 a, __m256 n) {
  __m256i e = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(e, 1);
  a = _mm256_mul_ps(a, pow2_8(half));
  return _mm256_mul_ps(a, pow2_8(_mm256_sub_epi32(e, half)));
}

static inline vf v_ldexp (vf a, vf n) {
  return (vf){ldexp_8(a.lo, n.lo), ldexp_8(a.hi, n.hi)};
}

static inline __m256 frexp_8 (__m256 a, __m256 *e) {
  __m256i bits = _mm256_castps_si256(a);
  __m256i exponent = _mm256_srai_epi32(
    _mm256_sub_epi32(bits, _mm256_set1_epi32(0x3f400000)), 23);
  *e = _mm256_cvtepi32_ps(exponent);
  return _mm256_castsi256_ps(
    _mm256_sub_epi32(bits, _mm256_slli_epi32(exponent, 23)));
}

static inline vf v_frexp (vf a, vf *e) {
  return (vf){frexp_8(a.lo, &e->lo), frexp_8(a.hi, &e->hi)};
}

static inline float v_sum (vf a) {
  __m256 b = _mm256_add_ps(a.lo, a.hi);
  __m128 c = _mm_add_ps(_mm256_castps256_ps128(b),
                        _mm256_extractf128_ps(b, 1));
  c = _mm_add_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

/* Lanes l + 8 and l + 4 added, of two vectors: one in each half. */
static inline __m256 sum_to_4 (vf a, vf b) {
  __m256 x = _mm256_add_ps(a.lo, a.hi), y = _mm256_add_ps(b.lo, b.hi);
  return _mm256_add_ps(_mm256_permute2f128_ps(x, y, 0x20),
                       _mm256_permute2f128_ps(x, y, 0x31));
}

static inline void v_sum4 (float *out, const vf *a) {
  __m256 even = sum_to_4(a[0], a[2]), odd = sum_to_4(a[1], a[3]);
  __m256 two = _mm256_add_ps(_mm256_shuffle_ps(even, odd, 0x44),
                             _mm256_shuffle_ps(even, odd, 0xee));
  __m256 one = _mm256_add_ps(_mm256_shuffle_ps(two, two, 0x08),
                             _mm256_shuffle_ps(two, two, 0x0d));
  _mm_storel_pi((__m64 *)(void *)out, _mm256_castps256_ps128(one));
  _mm_storel_pi((__m64 *)(void *)(out + 2), _mm256_extractf128_ps(one, 1));
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
  __m256i words = _mm256_permute4x64_epi64(
    _mm256_packs_epi32(_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)),
    0xd8);
  _mm_storeu_si128((__m128i *)p,
                   _mm_packs_epi16(_mm256_castsi256_si128(words),
                                   _mm256_extracti128_si256(words, 1)));
}

/* Rows r and r + 4 in the two halves. */
static inline __m256i two_rows (const uint8_t *const *row, size_t at, int r) {
  return _mm256_inserti128_si256(
    _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(row[r] + at))),
    _mm_loadu_si128((const __m128i *)(row[r + 4] + at)), 1);
}

static inline void v_turn (uint32_t (*out)[16], const uint8_t *const *row,
                           size_t at) {
  for (int r = 0; r < 16; r += 8) {
    __m256i a = two_rows(row, at, r), b = two_rows(row, at, r + 1);
    __m256i c = two_rows(row, at, r + 2), d = two_rows(row, at, r + 3);
    __m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d);
    _mm256_storeu_si256((__m256i *)&out[0][r], _mm256_unpacklo_epi64(ab, cd));
    _mm256_storeu_si256((__m256i *)&out[1][r], _mm256_unpackhi_epi64(ab, cd));
    ab = _mm256_unpackhi_epi32(a, b), cd = _mm256_unpackhi_epi32(c, d);
    _mm256_storeu_si256((__m256i *)&out[2][r], _mm256_unpacklo_epi64(ab, cd));
    _mm256_storeu_si256((__m256i *)&out[3][r], _mm256_unpackhi_epi64(ab, cd));
  }
}

/* Put together in a register: a wide load of what small stores have just
   written would wait for them. */
static inline int64_t four_halves (const uint8_t *const *row, size_t at) {
  uint16_t h[4];
  for (int r = 0; r < 4; r++) memcpy(&h[r], row[r] + at, sizeof h[r]);
  return (int64_t)(h[0] | (uint64_t)h[1] << 16 | (uint64_t)h[2] << 32 |
                   (uint64_t)h[3] << 48);
}

static inline __m128i eight_halves (const uint8_t *const *row, size_t at) {
  return _mm_set_epi64x(four_halves(row + 4, at), four_halves(row, at));
}

static inline vf v_turn_f16 (const uint8_t *const *row, size_t at) {
  return (vf){_mm256_cvtph_ps(eight_halves(row, at)),
              _mm256_cvtph_ps(eight_halves(row + 8, at))};
}

static inline void v_lookup (uint32_t words[16], const int8_t table[16]) {
  __m256i *v = (__m256i *)words, all =
    _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)table));
  for (int i = 0; i < 2; i++)
    _mm256_storeu_si256(
      v + i, _mm256_shuffle_epi8(all, _mm256_loadu_si256(v + i)));
}

/* Weights and their sizes: maddubs wants one side without a sign. */
typedef struct vi { __m256i lo, hi; } vi;
typedef struct vw { vi w, size; } vw;

static inline vw v_weights (const int8_t *q) {
  __m256i lo = _mm256_loadu_si256((const __m256i *)q);
  __m256i hi = _mm256_loadu_si256((const __m256i *)(q + 32));
  return (vw){{lo, hi}, {_mm256_abs_epi8(lo), _mm256_abs_epi8(hi)}};
}

static inline vi v_dot_start (int32_t start) {
  (void)start;
  return (vi){_mm256_setzero_si256(), _mm256_setzero_si256()};
}

/* Four products a lane. |w| * +-x: a pair is at most 2 * 128 * 127 and fits 16
   bits, which x times w + 128 would not. */
static inline __m256i dot4_8 (__m256i w, __m256i size, __m256i x) {
  return _mm256_madd_epi16(_mm256_maddubs_epi16(size, _mm256_sign_epi8(x, w)),
                           _mm256_set1_epi16(1));
}

static inline vi v_dot4 (vi sum, vw w, const int8_t *x) {
  int32_t four;
  memcpy(&four, x, sizeof four);
  __m256i all = _mm256_set1_epi32(four);
  return (vi){_mm256_add_epi32(sum.lo, dot4_8(w.w.lo, w.size.lo, all)),
              _mm256_add_epi32(sum.hi, dot4_8(w.w.hi, w.size.hi, all))};
}

static inline vi v_all (int32_t a) {
  return (vi){_mm256_set1_epi32(a), _mm256_set1_epi32(a)};
}

/* Two pairs of products, at most 4 * 63 * 127, fit 16 bits together. */
static inline __m256i dot8_codes_8 (const uint32_t (*q)[16], int first,
                                    __m256i x0, __m256i x1) {
  __m256i a = _mm256_maddubs_epi16(
    _mm256_loadu_si256((const __m256i *)&q[0][first]), x0);
  __m256i b = _mm256_maddubs_epi16(
    _mm256_loadu_si256((const __m256i *)&q[1][first]), x1);
  return _mm256_madd_epi16(_mm256_add_epi16(a, b), _mm256_set1_epi16(1));
}

static inline vi v_dot8_codes (vi sum, const uint32_t (*q)[16],
                               const int8_t *x) {
  int32_t first, second;
  memcpy(&first, x, sizeof first);
  memcpy(&second, x + 4, sizeof second);
  __m256i x0 = _mm256_set1_epi32(first), x1 = _mm256_set1_epi32(second);
  return (vi){_mm256_add_epi32(sum.lo, dot8_codes_8(q, 0, x0, x1)),
              _mm256_add_epi32(sum.hi, dot8_codes_8(q, 8, x0, x1))};
}

static inline __m256i dot8_halves_8 (const uint32_t *w, __m256i x0,
                                     __m256i x1) {
  __m256i q = _mm256_loadu_si256((const __m256i *)w);
  __m256i mask = _mm256_set1_epi8(15);
  __m256i a = _mm256_maddubs_epi16(_mm256_and_si256(q, mask), x0);
  __m256i b = _mm256_maddubs_epi16(
    _mm256_and_si256(_mm256_srli_epi32(q, 4), mask), x1);
  return _mm256_madd_epi16(_mm256_add_epi16(a, b), _mm256_set1_epi16(1));
}

static inline vi v_dot8_halves (vi sum, const uint32_t w[16],
                                const int8_t *x) {
  int32_t low, high;
  memcpy(&low, x, sizeof low);
  memcpy(&high, x + 16, sizeof high);
  __m256i x0 = _mm256_set1_epi32(low), x1 = _mm256_set1_epi32(high);
  return (vi){_mm256_add_epi32(sum.lo, dot8_halves_8(w, x0, x1)),
              _mm256_add_epi32(sum.hi, dot8_halves_8(w + 8, x0, x1))};
}

static inline vf v_float (vi a) {
  return (vf){_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)};
}

static inline __m256i load_q8 (const uint8_t *w) {
  return _mm256_loadu_si256((const __m256i *)(w + 2));
}

/* Turns four rows of 8 times 4 bytes: part p of t[i] holds the 4 rows' bytes
   of group 4p + i. */
static inline void turn_q8 (__m256i t[4], const uint8_t *w, size_t stride) {
  __m256i a = load_q8(w), b = load_q8(w + stride);
  __m256i c = load_q8(w + 2 * stride), d = load_q8(w + 3 * stride);
  __m256i ab = _mm256_unpacklo_epi32(a, b), cd = _mm256_unpacklo_epi32(c, d);
  t[0] = _mm256_unpacklo_epi64(ab, cd);
  t[1] = _mm256_unpackhi_epi64(ab, cd);
  ab = _mm256_unpackhi_epi32(a, b), cd = _mm256_unpackhi_epi32(c, d);
  t[2] = _mm256_unpacklo_epi64(ab, cd);
  t[3] = _mm256_unpackhi_epi64(ab, cd);
}

static inline void v_unpack_q8 (int8_t (*q)[16][4], const uint8_t *w,
                                size_t stride) {
  for (size_t r = 0; r < 16; r += 8) {
    __m256i a[4], b[4];
    turn_q8(a, w + r * stride, stride);
    turn_q8(b, w + (r + 4) * stride, stride);
    for (int i = 0; i < 4; i++) {
      _mm256_storeu_si256((__m256i *)q[i][r],
                          _mm256_permute2x128_si256(a[i], b[i], 0x20));
      _mm256_storeu_si256((__m256i *)q[4 + i][r],
                          _mm256_permute2x128_si256(a[i], b[i], 0x31));
    }
  }
}

/* 32 products of the block at w, in 8 partial sums. */
static inline __m256i products (const uint8_t *w, __m256i x) {
  __m256i q = load_q8(w);
  return dot4_8(q, _mm256_abs_epi8(q), x);
}

/* Four rows in the four lanes of each 128-bit half. */
static inline __m256i products4 (const uint8_t *w, size_t stride, __m256i x) {
  __m256i ab = _mm256_hadd_epi32(products(w, x), products(w + stride, x));
  __m256i cd = _mm256_hadd_epi32(products(w + 2 * stride, x),
                                 products(w + 3 * stride, x));
  return _mm256_hadd_epi32(ab, cd);
}

static inline __m256i dot_q8_8 (const uint8_t *w, size_t stride, __m256i x) {
  __m256i a = products4(w, stride, x);
  __m256i b = products4(w + 4 * stride, stride, x);
  return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                          _mm256_permute2x128_si256(a, b, 0x31));
}

static inline vi v_dot_q8 (const uint8_t *w, size_t stride, const int8_t *x,
                           int32_t start) {
  __m256i all = _mm256_loadu_si256((const __m256i *)x);
  (void)start;
  return (vi){dot_q8_8(w, stride, all),
              dot_q8_8(w + 8 * stride, stride, all)};
}
