/*
** quantize_iq4.c: IQ4_NL and IQ4_XS, whose codes stand for the numbers of a
** table; fitted by quantize_fit.c.
*/
#include <string.h>

#include "math/quantize.h"
#include "math/quantize_fit.h"
#include "math/types.h"

static const dc_levels levels = {16, 0, dc_iq4_values};


void dc_quantize_iq4_nl (uint8_t *out, const float *x, size_t n) {
  for (size_t i = 0; i < n; i += 32) {
    uint8_t code[32];
    out = dc_put_half(out, dc_fit_scale(code, x + i, 32, levels));
    out = dc_put_nibbles(out, code);
  }
}


/* Of the 8 scales of 6 bits the high two, then the low four. */
static uint8_t *put_scales (uint8_t *out, const int8_t *scale) {
  memset(out, 0, 6);
  for (int k = 0; k < 8; k++) {
    int six = scale[k] + 32;
    out[k / 4] |= (uint8_t)(six >> 4 << 2 * (k % 4));
    out[2 + k / 2] |= (uint8_t)((six & 15) << 4 * (k % 2));
  }
  return out + 6;
}


void dc_quantize_iq4_xs (uint8_t *out, const float *x, size_t n) {
  for (size_t i = 0; i < n; i += DC_K_BLOCK) {
    dc_k_plain b;
    dc_fit_plain(&b, x + i, 32, levels, -32);
    out = dc_put_half(out, b.d);
    out = put_scales(out, b.scale);
    for (int k = 0; k < 8; k++) out = dc_put_nibbles(out, b.code + 32 * k);
  }
}
