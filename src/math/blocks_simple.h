/*
** blocks_simple.h: blocks of 32 with one scale, and with or without a minimum:
** Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. Layouts: ggml-common.h.
**
** Of the 16 bytes with two codes each, the low halves are inputs 0-15 and the
** high halves inputs 16-31: they are not interleaved.
*/
#ifndef DC_BLOCKS_SIMPLE_H
#define DC_BLOCKS_SIMPLE_H

#include "math/blocks.h"


/* 16 bytes at `at`, as said above. */
static inline void gather_nibbles (dc_words *q, const dc_blocks *block,
                                   size_t at) {
  dc_words room[4];
  const dc_words *w = gather(room, block, at, 4);
  for (int k = 0; k < 4; k++) {
    take_bits(q[k], w[k], 0, EACH_BYTE(15));
    take_bits(q[k + 4], w[k], 4, EACH_BYTE(15));
  }
}


/* The same with one more bit for each of the 32 codes, which the word at
   `high` has in their order. Bits 0-3 of a group go to its four bytes: the
   product puts copies of them 7 bits apart, none on top of another, and bit i
   of copy i is bit 8 i. */
static inline void gather_fives (dc_words *q, const dc_blocks *block,
                                 size_t at, size_t high) {
  dc_words room[4], room_of_bits[4];
  const dc_words *w = gather(room, block, at, 4);
  const dc_words *bits = gather(room_of_bits, block, high, 4);
  for (int g = 0; g < 8; g++)
    EACH_ROW {
      uint32_t four = bits[0][r] >> 4 * g & 15;
      q[g][r] = (w[g % 4][r] >> g / 4 * 4 & EACH_BYTE(15)) |
                (four * 0x204081 & EACH_BYTE(1)) << 4;
    }
}


/* {half d; u8 qs[16]} */
static void unpack_q4_0 (dc_panel *p, const dc_blocks *block) {
  gather_halves(p->scale[0], block, 0);
  gather_nibbles(p->q, block, 2);
}


/* {half d, m; u8 qs[16]} */
static void unpack_q4_1 (dc_panel *p, const dc_blocks *block) {
  gather_halves(p->scale[0], block, 0);
  gather_halves(p->min[0], block, 2);
  gather_nibbles(p->q, block, 4);
}


/* {half d; u32 qh; u8 qs[16]} */
static void unpack_q5_0 (dc_panel *p, const dc_blocks *block) {
  gather_halves(p->scale[0], block, 0);
  gather_fives(p->q, block, 6, 2);
}


/* {half d, m; u32 qh; u8 qs[16]} */
static void unpack_q5_1 (dc_panel *p, const dc_blocks *block) {
  gather_halves(p->scale[0], block, 0);
  gather_halves(p->min[0], block, 2);
  gather_fives(p->q, block, 8, 4);
}


/* {half d; i8 q[32]} */
static void unpack_q8_0 (dc_panel *p, const dc_blocks *block) {
  gather_halves(p->scale[0], block, 0);
  const dc_words *w = gather(p->q, block, 2, 8);
  if (w != p->q) memcpy(p->q, w, sizeof p->q);
}

#endif
