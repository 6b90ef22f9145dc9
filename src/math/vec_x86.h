/* vec_x86.h: the words of vec_scalar.h's vocabulary that AVX2 and AVX-512 say
   alike, in registers of 16 bytes. */
#include <immintrin.h>

/* psadbw sums bytes without a sign: 128 is added to each, and taken off. */
static inline int32_t v_sum_i8 (const int8_t *p) {
  __m128i x = _mm_xor_si128(_mm_loadu_si128((const __m128i *)p),
                            _mm_set1_epi8(-128));
  __m128i halves = _mm_sad_epu8(x, _mm_setzero_si128());
  return _mm_cvtsi128_si32(_mm_add_epi32(
    halves, _mm_unpackhi_epi64(halves, halves))) - 16 * 128;
}
