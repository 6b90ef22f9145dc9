/*
** quantize_simple.c: Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 with the rounding of
** ggml's reference quantisers, so that files come out byte for byte the same:
**
**     Q4_0, Q5_0  d = m / -8 or / -16, where m is the number farthest from 0
**                 with its sign (so that it gets the code 0, the only one that
**                 far out); code = whole part of x / d + 8.5 or + 16.5
**     Q4_1, Q5_1  d = (max - min) / 15 or / 31; code = (x - min) / d + 0.5
**     Q8_0        d = max |x| / 127; code to nearest, halves away from zero
**
** Codes come from d before it is rounded to a half.
*/
#include "math/quantize.h"

#include <math.h>
#include <string.h>

#include "math/types.h"

#define BLOCK 32


uint8_t *dc_put_half (uint8_t *out, float x) {
  uint16_t half = dc_f32_to_f16(x);
  memcpy(out, &half, sizeof half);
  return out + sizeof half;
}


float dc_as_half (float x) {
  return dc_f16_to_f32(dc_f32_to_f16(x));
}


/* Of the codes of 5 bits the highest, in the order of the inputs. */
static uint8_t *put_fifth_bits (uint8_t *out, const uint8_t *code) {
  uint32_t bits = 0;
  for (int i = 0; i < BLOCK; i++) bits |= (uint32_t)(code[i] >> 4) << i;
  memcpy(out, &bits, sizeof bits);
  return out + sizeof bits;
}


uint8_t *dc_put_nibbles (uint8_t *out, const uint8_t *code) {
  for (int i = 0; i < 16; i++)
    out[i] = (uint8_t)((code[i] & 15) | code[i + 16] << 4);
  return out + 16;
}


static float farthest_from_zero (const float *x) {
  float farthest = 0.0f;
  for (int i = 0; i < BLOCK; i++)
    if (fabsf(x[i]) > fabsf(farthest)) farthest = x[i];
  return farthest;
}


/* A block around zero with codes 0..2 * zero - 1; returns its scale. */
static float around_zero (uint8_t *code, const float *x, int zero) {
  float d = farthest_from_zero(x) / (float)-zero, inverse = dc_inverse_scale(d);
  for (int i = 0; i < BLOCK; i++)
    code[i] = (uint8_t)dc_to_code(x[i] * inverse + ((float)zero + 0.5f), 0,
                                  2 * zero - 1);
  return d;
}


/* A block from its minimum, with codes 0..high; returns its scale. */
static float from_minimum (uint8_t *code, float *min, const float *x,
                           int high) {
  float low = x[0], top = x[0];
  for (int i = 1; i < BLOCK; i++) {
    if (x[i] < low) low = x[i];
    if (x[i] > top) top = x[i];
  }
  float d = (top - low) / (float)high, inverse = dc_inverse_scale(d);
  for (int i = 0; i < BLOCK; i++)
    code[i] = (uint8_t)dc_to_code((x[i] - low) * inverse + 0.5f, 0, high);
  *min = low;
  return d;
}


void dc_quantize_q4_0 (uint8_t *out, const float *x, size_t n) {
  uint8_t code[BLOCK];
  for (size_t i = 0; i < n; i += BLOCK) {
    out = dc_put_half(out, around_zero(code, x + i, 8));
    out = dc_put_nibbles(out, code);
  }
}


void dc_quantize_q5_0 (uint8_t *out, const float *x, size_t n) {
  uint8_t code[BLOCK];
  for (size_t i = 0; i < n; i += BLOCK) {
    out = dc_put_half(out, around_zero(code, x + i, 16));
    out = put_fifth_bits(out, code);
    out = dc_put_nibbles(out, code);
  }
}


void dc_quantize_q4_1 (uint8_t *out, const float *x, size_t n) {
  uint8_t code[BLOCK];
  float min;
  for (size_t i = 0; i < n; i += BLOCK) {
    out = dc_put_half(out, from_minimum(code, &min, x + i, 15));
    out = dc_put_half(out, min);
    out = dc_put_nibbles(out, code);
  }
}


void dc_quantize_q5_1 (uint8_t *out, const float *x, size_t n) {
  uint8_t code[BLOCK];
  float min;
  for (size_t i = 0; i < n; i += BLOCK) {
    out = dc_put_half(out, from_minimum(code, &min, x + i, 31));
    out = dc_put_half(out, min);
    out = put_fifth_bits(out, code);
    out = dc_put_nibbles(out, code);
  }
}


void dc_quantize_q8_0 (uint8_t *out, const float *x, size_t n) {
  for (size_t i = 0; i < n; i += BLOCK) {
    float d = fabsf(farthest_from_zero(x + i)) / 127.0f;
    float inverse = dc_inverse_scale(d);
    out = dc_put_half(out, d);
    for (int j = 0; j < BLOCK; j++)
      *out++ = (uint8_t)dc_to_code(roundf(x[i + (size_t)j] * inverse), -127,
                                   127);
  }
}
