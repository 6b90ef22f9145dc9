/* types.c: see types.h. */
#include "math/types.h"

#include <math.h>
#include <string.h>

#include "base/size.h"

/* Ids, blocks and bytes: ggml.h and ggml-common.h. Ids that are not here were
   never given or have been removed. */
static const dc_type_info types[] = {
  [0] = {"f32", 1, 4, true}, [1] = {"f16", 1, 2, true},
  [2] = {"q4_0", 32, 18, false}, [3] = {"q4_1", 32, 20, false},
  [6] = {"q5_0", 32, 22, false}, [7] = {"q5_1", 32, 24, false},
  [8] = {"q8_0", 32, 34, true}, [9] = {"q8_1", 32, 36, false},
  [10] = {"q2_k", 256, 84, false}, [11] = {"q3_k", 256, 110, false},
  [12] = {"q4_k", 256, 144, false}, [13] = {"q5_k", 256, 176, false},
  [14] = {"q6_k", 256, 210, false}, [15] = {"q8_k", 256, 292, false},
  [16] = {"iq2_xxs", 256, 66, false}, [17] = {"iq2_xs", 256, 74, false},
  [18] = {"iq3_xxs", 256, 98, false}, [19] = {"iq1_s", 256, 50, false},
  [20] = {"iq4_nl", 32, 18, false}, [21] = {"iq3_s", 256, 110, false},
  [22] = {"iq2_s", 256, 82, false}, [23] = {"iq4_xs", 256, 136, false},
  [24] = {"i8", 1, 1, false}, [25] = {"i16", 1, 2, false},
  [26] = {"i32", 1, 4, false}, [27] = {"i64", 1, 8, false},
  [28] = {"f64", 1, 8, false}, [29] = {"iq1_m", 256, 56, false},
  [30] = {"bf16", 1, 2, false}, [34] = {"tq1_0", 256, 54, false},
  [35] = {"tq2_0", 256, 66, false}, [39] = {"mxfp4", 32, 17, false},
};


const dc_type_info *dc_type_of (uint32_t id) {
  bool known = id < sizeof types / sizeof types[0] && types[id].name != NULL;
  return known ? &types[id] : NULL;
}


bool dc_type_by_name (const char *name, dc_type *out) {
  for (uint32_t id = 0; id < sizeof types / sizeof types[0]; id++)
    if (types[id].name != NULL && !strcmp(types[id].name, name)) {
      *out = (dc_type)id;
      return true;
    }
  return false;
}


bool dc_row_bytes (dc_type type, size_t n, size_t *out) {
  const dc_type_info *info = dc_type_of((uint32_t)type);
  return info != NULL && n % info->block == 0 &&
         dc_size_mul(n / info->block, info->bytes, out);
}


float dc_f16_to_f32 (uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31;
  uint32_t mantissa = h & 1023, bits;
  float x;
  if (exponent == 0) {  /* zero or subnormal: mantissa * 2^-24 */
    x = (float)mantissa * 5.9604644775390625e-8f;
    return sign ? -x : x;
  }
  if (exponent == 31)
    bits = sign | 0x7f800000 | (mantissa << 13) | (mantissa ? 0x400000 : 0);
  else
    bits = sign | ((exponent + 112) << 23) | (mantissa << 13);
  memcpy(&x, &bits, sizeof x);
  return x;
}


uint16_t dc_f32_to_f16 (float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  uint16_t sign = (uint16_t)((bits >> 16) & 0x8000);
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) return sign | 0x7e00;    /* NaN */
  if (bits >= 0x47800000) return sign | 0x7c00;   /* 65536 and more */
  if (bits < 0x38800000) {                        /* subnormal in half */
    float magic = 0.5f;  /* adding it leaves x * 2^24 in the low bits */
    float shifted;
    memcpy(&shifted, &bits, sizeof shifted);
    shifted += magic;
    memcpy(&bits, &shifted, sizeof bits);
    return sign | (uint16_t)(bits - 0x3f000000);
  }
  uint32_t odd = (bits >> 13) & 1;
  bits += 0xfff + odd;  /* to nearest, ties to even; may carry up */
  return sign | (uint16_t)((bits - 0x38000000) >> 13);
}


static void dequantize_q8_0 (float *out, const uint8_t *row, size_t n) {
  for (size_t b = 0; b < n / DC_Q8_BLOCK; b++) {
    dc_block_q8_0 block;
    memcpy(&block, row + b * sizeof block, sizeof block);
    float d = dc_f16_to_f32(block.d);
    for (int i = 0; i < DC_Q8_BLOCK; i++)
      out[b * DC_Q8_BLOCK + (size_t)i] = d * (float)block.q[i];
  }
}


void dc_dequantize_row (dc_type type, float *out, const void *row, size_t n) {
  const uint8_t *bytes = row;
  uint16_t half;
  switch (type) {
    case DC_F32:
      memcpy(out, row, n * sizeof *out);
      break;
    case DC_F16:
      for (size_t i = 0; i < n; i++) {
        memcpy(&half, bytes + i * 2, sizeof half);
        out[i] = dc_f16_to_f32(half);
      }
      break;
    case DC_BF16:
      for (size_t i = 0; i < n; i++) {
        memcpy(&half, bytes + i * 2, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(&out[i], &bits, sizeof bits);
      }
      break;
    case DC_Q8_0:
      dequantize_q8_0(out, bytes, n);
      break;
  }
}


static void quantize_q8_0 (uint8_t *out, const float *x, size_t n) {
  for (size_t b = 0; b < n / DC_Q8_BLOCK; b++, x += DC_Q8_BLOCK) {
    dc_block_q8_0 block;
    float highest = 0.0f;
    for (int i = 0; i < DC_Q8_BLOCK; i++)
      if (fabsf(x[i]) > highest) highest = fabsf(x[i]);
    float d = highest / 127.0f;
    float inverse = d > 1e-30f ? 1.0f / d : 0.0f;  /* below, d is 0 as half */
    block.d = dc_f32_to_f16(d);
    for (int i = 0; i < DC_Q8_BLOCK; i++)
      block.q[i] = (int8_t)roundf(x[i] * inverse);
    memcpy(out + b * sizeof block, &block, sizeof block);
  }
}


bool dc_quantize_row (dc_type type, void *out, const float *x, size_t n) {
  uint8_t *bytes = out;
  switch (type) {
    case DC_F32:
      memcpy(out, x, n * sizeof *x);
      return true;
    case DC_F16:
      for (size_t i = 0; i < n; i++) {
        uint16_t half = dc_f32_to_f16(x[i]);
        memcpy(bytes + i * 2, &half, sizeof half);
      }
      return true;
    case DC_Q8_0:
      quantize_q8_0(bytes, x, n);
      return true;
    default:
      return false;
  }
}
