/*
** quantize_k.c: blocks of 256: fitted by quantize_fit.c and packed here. What
** goes where: blocks_k.h, which takes it apart.
*/
#include <string.h>

#include "math/quantize.h"
#include "math/quantize_fit.h"

#define BLOCK DC_K_BLOCK


/* The 12 bytes with 8 scales and 8 minima of 6 bits. */
static uint8_t *put_scales_6 (uint8_t *out, const dc_k_min *b) {
  for (int k = 0; k < 4; k++) {
    out[k] = (uint8_t)(b->scale[k] | b->scale[k + 4] >> 4 << 6);
    out[k + 4] = (uint8_t)(b->min[k] | b->min[k + 4] >> 4 << 6);
    out[k + 8] = (uint8_t)((b->scale[k + 4] & 15) | (b->min[k + 4] & 15) << 4);
  }
  return out + 12;
}


/* The lowest four bits of the codes: 32 bytes for every two panels. */
static uint8_t *put_low_bits (uint8_t *out, const uint8_t *code) {
  for (int at = 0; at < BLOCK; at += 64)
    for (int i = 0; i < 32; i++)
      *out++ = (uint8_t)((code[at + i] & 15) | (code[at + 32 + i] & 15) << 4);
  return out;
}


/* Bit `which` of the codes: 32 bytes, where bit k is panel k. */
static uint8_t *put_high_bit (uint8_t *out, const uint8_t *code, int which) {
  memset(out, 0, 32);
  for (int i = 0; i < BLOCK; i++)
    out[i % 32] |= (uint8_t)((code[i] >> which & 1) << i / 32);
  return out + 32;
}


/* Two bits of the codes, from `shift` on: 32 bytes for every four panels. */
static uint8_t *put_pairs (uint8_t *out, const uint8_t *code, int shift) {
  memset(out, 0, 64);
  for (int i = 0; i < BLOCK; i++)
    out[i / 128 * 32 + i % 32] |=
      (uint8_t)((code[i] >> shift & 3) << 2 * (i % 128 / 32));
  return out + 64;
}


void dc_quantize_q4_k (uint8_t *out, const float *x, size_t n) {
  for (size_t i = 0; i < n; i += BLOCK) {
    dc_k_min b;
    dc_fit_min(&b, x + i, 32, 15, 63);
    out = dc_put_half(out, b.d);
    out = dc_put_half(out, b.d_min);
    out = put_scales_6(out, &b);
    out = put_low_bits(out, b.code);
  }
}


void dc_quantize_q5_k (uint8_t *out, const float *x, size_t n) {
  for (size_t i = 0; i < n; i += BLOCK) {
    dc_k_min b;
    dc_fit_min(&b, x + i, 32, 31, 63);
    out = dc_put_half(out, b.d);
    out = dc_put_half(out, b.d_min);
    out = put_scales_6(out, &b);
    out = put_high_bit(out, b.code, 4);
    out = put_low_bits(out, b.code);
  }
}


void dc_quantize_q2_k (uint8_t *out, const float *x, size_t n) {
  for (size_t i = 0; i < n; i += BLOCK) {
    dc_k_min b;
    dc_fit_min(&b, x + i, 16, 3, 15);
    for (int k = 0; k < 16; k++)
      *out++ = (uint8_t)(b.scale[k] | b.min[k] << 4);
    out = put_pairs(out, b.code, 0);
    out = dc_put_half(out, b.d);
    out = dc_put_half(out, b.d_min);
  }
}


/* Panels 0 and 1 of a half block are the low halves of 64 bytes, panels 2 and
   3 the high halves. */
static uint8_t *put_low_bits_6 (uint8_t *out, const uint8_t *code) {
  for (int at = 0; at < BLOCK; at += 128)
    for (int i = 0; i < 64; i++)
      *out++ = (uint8_t)((code[at + i] & 15) | (code[at + 64 + i] & 15) << 4);
  return out;
}


void dc_quantize_q6_k (uint8_t *out, const float *x, size_t n) {
  static const dc_levels levels = {64, -32, NULL};
  for (size_t i = 0; i < n; i += BLOCK) {
    dc_k_plain b;
    dc_fit_plain(&b, x + i, 16, levels, -128);
    out = put_low_bits_6(out, b.code);
    out = put_pairs(out, b.code, 4);
    memcpy(out, b.scale, 16);
    out = dc_put_half(out + 16, b.d);
  }
}


/* The 12 bytes with 16 scales of 6 bits. */
static uint8_t *put_scales_3 (uint8_t *out, const int8_t *scale) {
  memset(out, 0, 12);
  for (int k = 0; k < 16; k++) {
    int six = scale[k] + 32;
    out[k % 8] |= (uint8_t)((six & 15) << 4 * (k / 8));
    out[8 + k % 4] |= (uint8_t)(six >> 4 << 2 * (k / 4));
  }
  return out + 12;
}


void dc_quantize_q3_k (uint8_t *out, const float *x, size_t n) {
  static const dc_levels levels = {8, -4, NULL};
  for (size_t i = 0; i < n; i += BLOCK) {
    dc_k_plain b;
    dc_fit_plain(&b, x + i, 16, levels, -32);
    out = put_high_bit(out, b.code, 2);
    out = put_pairs(out, b.code, 0);
    out = put_scales_3(out, b.scale);
    out = dc_put_half(out, b.d);
  }
}
