/*
** quantize.h: rows of floats to blocks; quantize_*.c. n is a multiple of the
** block. Whatever the floats are, the conversions to integers are defined: a
** code is kept in its range, and a NaN gives the lowest. A number too large
** for the type gives an infinite scale, so that it does not come back as
** something else.
*/
#ifndef DC_QUANTIZE_H
#define DC_QUANTIZE_H

#include <stddef.h>
#include <stdint.h>

typedef void dc_quantizer (uint8_t *out, const float *x, size_t n);

dc_quantizer dc_quantize_q4_0, dc_quantize_q4_1, dc_quantize_q5_0,
             dc_quantize_q5_1, dc_quantize_q8_0, dc_quantize_q2_k,
             dc_quantize_q3_k, dc_quantize_q4_k, dc_quantize_q5_k,
             dc_quantize_q6_k, dc_quantize_iq4_nl, dc_quantize_iq4_xs;


/* The whole part of x, kept in low..high. */
static inline int dc_to_code (float x, int low, int high) {
  if (x >= (float)high) return high;
  return x > (float)low ? (int)x : low;
}


/* x to the nearest whole number, kept in low..high. */
static inline int dc_nearest_code (float x, int low, int high) {
  return dc_to_code(x - (float)low + 0.5f, 0, high - low) + low;
}


/* 1 / d; 0 where d is so small that it is 0 as a half. */
static inline float dc_inverse_scale (float d) {
  return d > 1e-30f || d < -1e-30f ? 1.0f / d : 0.0f;
}


/* Writing blocks; each returns what is behind what it wrote. */
uint8_t *dc_put_half (uint8_t *out, float x);
/* 32 codes in 16 bytes: 0-15 in the low halves, 16-31 in the high ones. */
uint8_t *dc_put_nibbles (uint8_t *out, const uint8_t *code);

/* x as it will be read back from a half. */
float dc_as_half (float x);

#endif
