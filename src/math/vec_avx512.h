/* vec_avx512.h: the vocabulary of vec_scalar.h in AVX-512 (F, BW, DQ, VL), and
   with VNNI where it is compiled for that. */
#include <immintrin.h>
#include <string.h>

#include "math/types.h"
#include "math/vec_x86.h"

#if defined(__AVX512VNNI__)
#define VEC_ISA DC_ISA_AVX512VNNI
#define VEC_TABLE dc_kernels_avx512vnni
#else
#define VEC_ISA DC_ISA_AVX512
#define VEC_TABLE dc_kernels_avx512
#endif
#define TILE_ROWS 4
#define TILE_COLS 4
#define Q8_STRIPS 2
#define Q8_COLS 6

typedef __m512 vf;

static inline __mmask16 first_lanes (size_t n) {
  return (__mmask16)((1u << n) - 1);
}

static inline vf v_set1 (float a) { return _mm512_set1_ps(a); }
static inline vf v_load (const float *p) { return _mm512_loadu_ps(p); }

static inline vf v_load_part (const float *p, size_t n) {
  return _mm512_maskz_loadu_ps(first_lanes(n), p);
}

static inline void v_store (float *p, vf a) { _mm512_storeu_ps(p, a); }

static inline void v_store_part (float *p, vf a, size_t n) {
  _mm512_mask_storeu_ps(p, first_lanes(n), a);
}

static inline vf v_load_f16 (const uint16_t *p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline void v_store_f16 (uint16_t *p, vf a) {
  _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, 0));
}

static inline vf v_load_bf16 (const uint16_t *p) {
  __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
  return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

static inline vf v_add (vf a, vf b) { return _mm512_add_ps(a, b); }
static inline vf v_sub (vf a, vf b) { return _mm512_sub_ps(a, b); }
static inline vf v_mul (vf a, vf b) { return _mm512_mul_ps(a, b); }
static inline vf v_div (vf a, vf b) { return _mm512_div_ps(a, b); }
static inline vf v_fma (vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf v_max (vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_min (vf a, vf b) { return _mm512_min_ps(a, b); }

static inline vf v_if_less (vf a, vf b, vf x, vf y) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}

static inline vf v_abs (vf a) { return _mm512_abs_ps(a); }

static inline vf v_copysign (vf a, vf b) {
  __m512 sign = _mm512_set1_ps(-0.0f);
  return _mm512_or_ps(_mm512_andnot_ps(sign, a), _mm512_and_ps(sign, b));
}

static inline bool v_any_nan (vf a) {
  return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q) != 0;
}

static inline vf v_ldexp (vf a, vf n) { return _mm512_scalef_ps(a, n); }

static inline vf v_frexp (vf a, vf *e) {
  __m512i bits = _mm512_castps_si512(a);
  __m512i exponent = _mm512_srai_epi32(
    _mm512_sub_epi32(bits, _mm512_set1_epi32(0x3f400000)), 23);
  *e = _mm512_cvtepi32_ps(exponent);
  return _mm512_castsi512_ps(
    _mm512_sub_epi32(bits, _mm512_slli_epi32(exponent, 23)));
}

static inline float v_sum (vf a) {
  __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a),
                           _mm512_extractf32x8_ps(a, 1));
  __m128 c = _mm_add_ps(_mm256_castps256_ps128(b),
                        _mm256_extractf128_ps(b, 1));
  c = _mm_add_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}

/* Lanes l + 8 of two vectors added: one in each half. */
static inline __m512 sum_to_8 (vf a, vf b) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44),
                       _mm512_shuffle_f32x4(a, b, 0xee));
}

static inline void v_sum4 (float *out, const vf *a) {
  __m512 ab = sum_to_8(a[0], a[1]), cd = sum_to_8(a[2], a[3]);
  __m512 four = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88),
                              _mm512_shuffle_f32x4(ab, cd, 0xdd));
  __m512 two = _mm512_add_ps(four, _mm512_permute_ps(four, 0x4e));
  __m512 one = _mm512_add_ps(two, _mm512_permute_ps(two, 0xb1));
  _mm_storeu_ps(out, _mm512_castps512_ps128(
    _mm512_maskz_compress_ps(0x1111, one)));
}

/* The same as [a0, a1, b0, b1] of parts of 4 lanes. */
static inline __m512 sum_to_8_crossed (vf a, vf b) {
  return _mm512_add_ps(_mm512_mask_blend_ps(0xff00, a, b),
                       _mm512_shuffle_f32x4(a, b, 0x4e));
}

/* Lanes l + 8 and l + 4 of every fourth vector added: one in each part. */
static inline __m512 sum_to_4 (const vf *a) {
  __m512 ab = sum_to_8_crossed(a[0], a[4]);
  __m512 cd = sum_to_8_crossed(a[8], a[12]);
  return _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88),
                       _mm512_shuffle_f32x4(ab, cd, 0xdd));
}

/* In each part: [a0 + a2, a1 + a3, b0 + b2, b1 + b3]. */
static inline __m512 sum_to_2 (__m512 a, __m512 b) {
  return _mm512_add_ps(_mm512_mask_blend_ps(0xcccc, a, b),
                       _mm512_shuffle_ps(a, b, 0x4e));
}

static inline void v_sum16 (float *out, const vf *a) {
  __m512 even = sum_to_2(sum_to_4(a), sum_to_4(a + 1));
  __m512 odd = sum_to_2(sum_to_4(a + 2), sum_to_4(a + 3));
  v_store(out, _mm512_add_ps(_mm512_shuffle_ps(even, odd, 0x88),
                             _mm512_shuffle_ps(even, odd, 0xdd)));
}

static inline float v_highest (vf a) { return _mm512_reduce_max_ps(a); }

static inline void v_store_i8 (int8_t *p, vf a) {
  _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)));
}

/* Rows r, r + 4, r + 8 and r + 12 in the four parts. */
static inline __m512i four_rows (const uint8_t *const *row, size_t at, int r) {
  __m512i all = _mm512_castsi128_si512(
    _mm_loadu_si128((const __m128i *)(row[r] + at)));
  all = _mm512_inserti32x4(
    all, _mm_loadu_si128((const __m128i *)(row[r + 4] + at)), 1);
  all = _mm512_inserti32x4(
    all, _mm_loadu_si128((const __m128i *)(row[r + 8] + at)), 2);
  return _mm512_inserti32x4(
    all, _mm_loadu_si128((const __m128i *)(row[r + 12] + at)), 3);
}

static inline void v_turn (uint32_t (*out)[16], const uint8_t *const *row,
                           size_t at) {
  __m512i a = four_rows(row, at, 0), b = four_rows(row, at, 1);
  __m512i c = four_rows(row, at, 2), d = four_rows(row, at, 3);
  __m512i ab = _mm512_unpacklo_epi32(a, b), cd = _mm512_unpacklo_epi32(c, d);
  _mm512_storeu_si512(out[0], _mm512_unpacklo_epi64(ab, cd));
  _mm512_storeu_si512(out[1], _mm512_unpackhi_epi64(ab, cd));
  ab = _mm512_unpackhi_epi32(a, b), cd = _mm512_unpackhi_epi32(c, d);
  _mm512_storeu_si512(out[2], _mm512_unpacklo_epi64(ab, cd));
  _mm512_storeu_si512(out[3], _mm512_unpackhi_epi64(ab, cd));
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
  return _mm512_cvtph_ps(_mm256_set_m128i(eight_halves(row + 8, at),
                                          eight_halves(row, at)));
}

static inline void v_lookup (uint32_t words[16], const int8_t table[16]) {
  __m512i all = _mm512_broadcast_i32x4(
    _mm_loadu_si128((const __m128i *)table));
  _mm512_storeu_si512(
    words, _mm512_shuffle_epi8(all, _mm512_loadu_si512(words)));
}

/* ---- integers ------------------------------------------------------------ */

typedef __m512i vi;

#if defined(__AVX512VNNI__)

/* vpdpbusd adds four products of bytes without a sign (w + 128) and bytes with
   one; the sums start with -128 * the sum of the inputs. */
typedef __m512i vw;

static inline vw weights_of (__m512i q) {
  return _mm512_xor_si512(q, _mm512_set1_epi8(-128));
}

static inline vi v_dot_start (int32_t start) {
  return _mm512_set1_epi32(start);
}

static inline vi dot4 (vi sum, vw w, __m512i x) {
  return _mm512_dpbusd_epi32(sum, w, x);
}

static inline vi dot8_codes (vi sum, __m512i q0, __m512i q1, __m512i x0,
                             __m512i x1) {
  return _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(sum, q0, x0), q1, x1);
}

#else

/* |w| * +-x: a pair of products is at most 2 * 128 * 127 and fits 16 bits,
   which x times w + 128 would not. */
typedef struct vw { __m512i size; __mmask64 negative; } vw;

static inline vw weights_of (__m512i q) {
  return (vw){_mm512_abs_epi8(q), _mm512_movepi8_mask(q)};
}

static inline vi v_dot_start (int32_t start) {
  (void)start;
  return _mm512_setzero_si512();
}

static inline vi dot4 (vi sum, vw w, __m512i x) {
  x = _mm512_mask_sub_epi8(x, w.negative, _mm512_setzero_si512(), x);
  return _mm512_add_epi32(sum, _mm512_madd_epi16(
    _mm512_maddubs_epi16(w.size, x), _mm512_set1_epi16(1)));
}

/* Two pairs of products, at most 4 * 63 * 127, fit 16 bits together. */
static inline vi dot8_codes (vi sum, __m512i q0, __m512i q1, __m512i x0,
                             __m512i x1) {
  __m512i pairs = _mm512_add_epi16(_mm512_maddubs_epi16(q0, x0),
                                   _mm512_maddubs_epi16(q1, x1));
  return _mm512_add_epi32(
    sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
}

#endif

static inline vw v_weights (const int8_t *q) {
  return weights_of(_mm512_loadu_si512(q));
}

static inline vi v_dot4 (vi sum, vw w, const int8_t *x) {
  int32_t four;
  memcpy(&four, x, sizeof four);
  return dot4(sum, w, _mm512_set1_epi32(four));
}

static inline vi v_all (int32_t a) { return _mm512_set1_epi32(a); }

static inline vi v_dot8_codes (vi sum, const uint32_t (*q)[16],
                               const int8_t *x) {
  int32_t first, second;  /* apart, so that each is spread from memory */
  memcpy(&first, x, sizeof first);
  memcpy(&second, x + 4, sizeof second);
  return dot8_codes(sum, _mm512_loadu_si512(q[0]), _mm512_loadu_si512(q[1]),
                    _mm512_set1_epi32(first), _mm512_set1_epi32(second));
}

static inline vi v_dot8_halves (vi sum, const uint32_t w[16],
                                const int8_t *x) {
  int32_t low, high;
  memcpy(&low, x, sizeof low);
  memcpy(&high, x + 16, sizeof high);
  __m512i q = _mm512_loadu_si512(w), mask = _mm512_set1_epi8(15);
  return dot8_codes(sum, _mm512_and_si512(q, mask),
                    _mm512_and_si512(_mm512_srli_epi32(q, 4), mask),
                    _mm512_set1_epi32(low), _mm512_set1_epi32(high));
}

static inline vf v_float (vi a) { return _mm512_cvtepi32_ps(a); }

/* The blocks of two rows, one behind the other. */
static inline __m512i load2_q8 (const uint8_t *w, const uint8_t *w2) {
  __m256i lo = _mm256_loadu_si256((const __m256i *)(w + 2));
  __m256i hi = _mm256_loadu_si256((const __m256i *)(w2 + 2));
  return _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);
}

/* Parts of 16 bytes of four rows i, i + 4, i + 8, i + 12: the first of each in
   *lo, the second in *hi. */
static inline void parts_q8 (__m512i *lo, __m512i *hi, const uint8_t *w,
                             size_t stride) {
  __m512i a = load2_q8(w, w + 4 * stride);
  __m512i b = load2_q8(w + 8 * stride, w + 12 * stride);
  *lo = _mm512_shuffle_i64x2(a, b, 0x88);
  *hi = _mm512_shuffle_i64x2(a, b, 0xdd);
}

/* Turns 4 x 4 groups of 4 bytes within each part. */
static inline void turn_q8 (int8_t (*q)[16][4], const __m512i row[4]) {
  __m512i ab = _mm512_unpacklo_epi32(row[0], row[1]);
  __m512i cd = _mm512_unpacklo_epi32(row[2], row[3]);
  _mm512_storeu_si512(q[0], _mm512_unpacklo_epi64(ab, cd));
  _mm512_storeu_si512(q[1], _mm512_unpackhi_epi64(ab, cd));
  ab = _mm512_unpackhi_epi32(row[0], row[1]);
  cd = _mm512_unpackhi_epi32(row[2], row[3]);
  _mm512_storeu_si512(q[2], _mm512_unpacklo_epi64(ab, cd));
  _mm512_storeu_si512(q[3], _mm512_unpackhi_epi64(ab, cd));
}

static inline void v_unpack_q8 (int8_t (*q)[16][4], const uint8_t *w,
                                size_t stride) {
  __m512i lo[4], hi[4];
  for (int i = 0; i < 4; i++)
    parts_q8(&lo[i], &hi[i], w + (size_t)i * stride, stride);
  turn_q8(q, lo);
  turn_q8(q + 4, hi);
}

/* Partial sums of the rows r and r + 4: two parts each. */
static inline __m512i products2 (const uint8_t *w, size_t stride, __m512i x) {
  return dot4(_mm512_setzero_si512(), weights_of(load2_q8(w, w + 4 * stride)),
              x);
}

/* In each part: [a0 + a2, a1 + a3, b0 + b2, b1 + b3]. */
static inline __m512i add_halves (__m512i a, __m512i b) {
  return _mm512_add_epi32(_mm512_mask_blend_epi64(0xaa, a, b),
                          _mm512_alignr_epi8(b, a, 8));
}

/* In each part: [a0 + a1, a2 + a3, b0 + b1, b2 + b3]. */
static inline __m512i add_pairs (__m512i a, __m512i b) {
  __m512 x = _mm512_castsi512_ps(a), y = _mm512_castsi512_ps(b);
  return _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(x, y, 0x88)),
                          _mm512_castps_si512(_mm512_shuffle_ps(x, y, 0xdd)));
}

/* Eight rows; parts 0 and 1 add up to rows 0..3, parts 2 and 3 to 4..7. */
static inline __m512i products8 (const uint8_t *w, size_t stride, __m512i x) {
  __m512i ab = add_halves(products2(w, stride, x),
                          products2(w + stride, stride, x));
  __m512i cd = add_halves(products2(w + 2 * stride, stride, x),
                          products2(w + 3 * stride, stride, x));
  return add_pairs(ab, cd);
}

static inline vi v_dot_q8 (const uint8_t *w, size_t stride, const int8_t *x,
                           int32_t start) {
  __m512i twice = _mm512_broadcast_i64x4(
    _mm256_loadu_si256((const __m256i *)x));
  __m512i a = products8(w, stride, twice);
  __m512i b = products8(w + 8 * stride, stride, twice);
  __m512i r = _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x88),
                               _mm512_shuffle_i64x2(a, b, 0xdd));
  return _mm512_add_epi32(r, v_dot_start(start));
}
