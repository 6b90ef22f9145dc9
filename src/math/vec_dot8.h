/* vec_dot8.h: products with codes by v_dot4, for instruction sets that have
   nothing better; included where v_dot4 and v_weights are known. */

/* The exact sum of eight products more, whose weights are two words of codes
   0..63 a lane. */
static inline vi v_dot8_codes (vi sum, const uint32_t (*q)[16],
                               const int8_t *x) {
  sum = v_dot4(sum, v_weights((const int8_t *)q[0]), x);
  return v_dot4(sum, v_weights((const int8_t *)q[1]), x + 4);
}

/* The same of one word a lane: four codes in the low halves of its bytes, and
   four in the high halves, whose activations are 16 further on. */
static inline vi v_dot8_halves (vi sum, const uint32_t w[16],
                                const int8_t *x) {
  uint32_t low[16], high[16];
  for (int r = 0; r < 16; r++) {
    low[r] = w[r] & 0x0f0f0f0f;
    high[r] = w[r] >> 4 & 0x0f0f0f0f;
  }
  sum = v_dot4(sum, v_weights((const int8_t *)low), x);
  return v_dot4(sum, v_weights((const int8_t *)high), x + 16);
}
