/* types.c: see types.h. */
#include "math/types.h"

#include <string.h>

#include "base/size.h"

/* Ids, blocks and bytes: ggml.h and ggml-common.h. Ids that are not here were
   never given or have been removed. */
static const dc_type_info types[] = {
  [0] = {"f32", 1, 4, true}, [1] = {"f16", 1, 2, true},
  [2] = {"q4_0", 32, 18, true}, [3] = {"q4_1", 32, 20, true},
  [6] = {"q5_0", 32, 22, true}, [7] = {"q5_1", 32, 24, true},
  [8] = {"q8_0", 32, 34, true}, [9] = {"q8_1", 32, 36, false},
  [10] = {"q2_k", 256, 84, true}, [11] = {"q3_k", 256, 110, true},
  [12] = {"q4_k", 256, 144, true}, [13] = {"q5_k", 256, 176, true},
  [14] = {"q6_k", 256, 210, true}, [15] = {"q8_k", 256, 292, false},
  [16] = {"iq2_xxs", 256, 66, false}, [17] = {"iq2_xs", 256, 74, false},
  [18] = {"iq3_xxs", 256, 98, false}, [19] = {"iq1_s", 256, 50, false},
  [20] = {"iq4_nl", 32, 18, true}, [21] = {"iq3_s", 256, 110, false},
  [22] = {"iq2_s", 256, 82, false}, [23] = {"iq4_xs", 256, 136, true},
  [24] = {"i8", 1, 1, false}, [25] = {"i16", 1, 2, false},
  [26] = {"i32", 1, 4, false}, [27] = {"i64", 1, 8, false},
  [28] = {"f64", 1, 8, false}, [29] = {"iq1_m", 256, 56, false},
  [30] = {"bf16", 1, 2, true}, [34] = {"tq1_0", 256, 54, false},
  [35] = {"tq2_0", 256, 66, false}, [39] = {"mxfp4", 32, 17, false},
};

const int8_t dc_iq4_values[16] = {
  -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113
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


uint16_t dc_f32_to_bf16 (float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7fffffff) > 0x7f800000)  /* NaN: rounding could end at 0 */
    return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
