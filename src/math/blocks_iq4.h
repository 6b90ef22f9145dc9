/*
** blocks_iq4.h: codes of 4 bits that stand for 16 numbers of a table, denser
** around zero: IQ4_NL in blocks of 32 and IQ4_XS in blocks of 256. Layouts and
** the table: ggml-common.h.
*/
#ifndef DC_BLOCKS_IQ4_H
#define DC_BLOCKS_IQ4_H

#include "math/blocks_simple.h"


/* 16 bytes at `at`: low halves are inputs 0-15, high halves 16-31. */
static inline void gather_iq4 (dc_panel *p, const dc_blocks *block,
                               size_t at) {
  gather_nibbles(p->q, block, at);
  for (int g = 0; g < 8; g++) v_lookup(p->q[g], dc_iq4_values);
}


/* {half d; u8 qs[16]} */
static void unpack_iq4_nl (dc_panel *p, const dc_blocks *block) {
  gather_halves(p->scale[0], block, 0);
  gather_iq4(p, block, 2);
}


/* {half d; u16 scales_h; u8 scales_l[4]; u8 qs[128]}: 8 scales of 6 bits, 32
   too large: four bits in scales_l, two in scales_h. */
static void unpack_iq4_xs (dc_panel *p, const dc_blocks *block) {
  float d[DC_LANES];
  dc_words room[4];
  const dc_words *s = gather(room, block, 0, 4);  /* d, scales_h; scales_l */
  half_of_words(d, s[0], 0);
  for (int k = 0; k < 8; k++) {
    EACH_ROW {
      uint32_t high = s[0][r] >> (16 + 2 * k) & 3;
      int six = (int)((s[1][r] >> 4 * k & 15) | high << 4);
      p[k].scale[0][r] = d[r] * (float)(six - 32);
    }
    gather_iq4(&p[k], block, 8 + 16 * (size_t)k);
  }
}

#endif
