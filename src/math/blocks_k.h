/*
** blocks_k.h: the K formats: 256 weights in 8 panels, whose scales are
** themselves small integers times one half. Layouts: ggml-common.h.
**
** Codes are cut out of bytes 32 inputs at a time: one shift of the same 32
** bytes gives one panel, another shift another.
*/
#ifndef DC_BLOCKS_K_H
#define DC_BLOCKS_K_H

#include "math/blocks.h"


/* The 12 bytes of Q4_K and Q5_K: 8 scales and 8 minima of 6 bits. Of 0-3 the
   six bits are together; of 4-7 the low four share a byte, and the high two
   are on top of numbers 0-3. */
static inline void unpack_scales_6 (dc_panel *p, const dc_blocks *block) {
  float d[DC_LANES], d_min[DC_LANES];
  dc_words room[4], scale[2], min[2];
  const dc_words *head = gather(room, block, 0, 4), *s = head + 1;
  half_of_words(d, head[0], 0);
  half_of_words(d_min, head[0], 16);
  take_bits(scale[0], s[0], 0, EACH_BYTE(63));
  take_bits(min[0], s[1], 0, EACH_BYTE(63));
  take_both(scale[1], s[2], 0, EACH_BYTE(15), s[0], 6, EACH_BYTE(3), 4);
  take_both(min[1], s[2], 4, EACH_BYTE(15), s[1], 6, EACH_BYTE(3), 4);
  for (int k = 0; k < 8; k++) {
    scale_from_byte(p[k].scale[0], d, scale, k, 0);
    min_from_byte(p[k].min[0], d_min, min, k);
  }
}


/* 128 bytes at `at`; every 32 of them are two panels: low and high halves. */
static inline void unpack_nibbles (dc_panel *p, const dc_blocks *block,
                                   size_t at) {
  for (int k = 0; k < 8; k += 2) {
    dc_words room[8];
    const dc_words *w = gather(room, block, at + 16 * (size_t)k, 8);
    for (int g = 0; g < 8; g++) {
      take_bits(p[k].q[g], w[g], 0, EACH_BYTE(15));
      take_bits(p[k + 1].q[g], w[g], 4, EACH_BYTE(15));
    }
  }
}


/* {half d, dmin; u8 scales[12]; u8 qs[128]} */
static void unpack_q4_k (dc_panel *p, const dc_blocks *block) {
  unpack_scales_6(p, block);
  unpack_nibbles(p, block, 16);
}


/* {half d, dmin; u8 scales[12]; u8 qh[32]; u8 qs[128]}: bit k of qh is the
   fifth of panel k. */
static void unpack_q5_k (dc_panel *p, const dc_blocks *block) {
  dc_words room[8], room_of_high[8];
  const dc_words *high = gather(room_of_high, block, 16, 8);
  unpack_scales_6(p, block);
  for (int k = 0; k < 8; k++) {
    const dc_words *w = gather(room, block, 48 + 32 * (size_t)(k / 2), 8);
    for (int g = 0; g < 8; g++)
      take_both(p[k].q[g], w[g], k % 2 * 4, EACH_BYTE(15), high[g], k,
                EACH_BYTE(1), 4);
  }
}


/* {u8 ql[128]; u8 qh[64]; i8 scales[16]; half d}. A half of the block has 64
   bytes of ql (low halves: panels 0 and 1, high halves: 2 and 3) and 32 of qh
   (two bits for each of the four). */
static void unpack_q6_k (dc_panel *p, const dc_blocks *block) {
  float d[DC_LANES];
  dc_words room[16], room_of_high[8], s[4];
  for (int k = 0; k < 8; k += 4) {
    const dc_words *low = gather(room, block, 16 * (size_t)k, 16);
    const dc_words *high = gather(room_of_high, block, 128 + 8 * (size_t)k, 8);
    for (int j = 0; j < 4; j++)
      for (int g = 0; g < 8; g++)
        take_both(p[k + j].q[g], low[j % 2 * 8 + g], j / 2 * 4, EACH_BYTE(15),
                  high[g], 2 * j, EACH_BYTE(3), 4);
  }
  const dc_words *w = gather(room, block, 192, 4);
  gather_halves(d, block, 208);
  for (int i = 0; i < 4; i++)
    EACH_ROW s[i][r] = w[i][r] ^ EACH_BYTE(128);  /* from 0 on */
  for (int k = 0; k < 16; k++)
    scale_from_byte(p[k / 2].scale[k % 2], d, s, k, 128);
}


/* {u8 scales[16]; u8 qs[64]; half d, dmin}: a scale in the low half of each
   byte, a minimum in the high half; two bits a code: panels 0-3 are the first
   32 bytes of qs shifted by 0, 2, 4 and 6, panels 4-7 the others. */
static void unpack_q2_k (dc_panel *p, const dc_blocks *block) {
  float d[DC_LANES], d_min[DC_LANES];
  dc_words room[16], room_of_tail[4], scale[4], min[4];
  const dc_words *s = gather(room, block, 0, 4);
  const dc_words *tail = gather(room_of_tail, block, 68, 4);
  half_of_words(d, tail[3], 0);
  half_of_words(d_min, tail[3], 16);
  for (int i = 0; i < 4; i++) {
    take_bits(scale[i], s[i], 0, EACH_BYTE(15));
    take_bits(min[i], s[i], 4, EACH_BYTE(15));
  }
  for (int k = 0; k < 16; k++) {
    scale_from_byte(p[k / 2].scale[k % 2], d, scale, k, 0);
    min_from_byte(p[k / 2].min[k % 2], d_min, min, k);
  }
  const dc_words *w = gather(room, block, 16, 16);
  for (int k = 0; k < 8; k++)
    for (int g = 0; g < 8; g++)
      take_bits(p[k].q[g], w[k / 4 * 8 + g], 2 * (k % 4), EACH_BYTE(3));
}


/* The 12 bytes of Q3_K: 16 scales of 6 bits, 32 too large. The low four bits
   of 0-7 and 8-15 share 8 bytes, the high two bits of all are behind them. */
static inline void unpack_scales_3 (dc_panel *p, const dc_blocks *block) {
  float d[DC_LANES];
  dc_words room[4], scale[4];
  const dc_words *s = gather(room, block, 92, 4);  /* they begin at s[1] */
  gather_halves(d, block, 108);
  for (int i = 0; i < 4; i++)
    take_both(scale[i], s[1 + i % 2], i < 2 ? 0 : 4, EACH_BYTE(15), s[3],
              2 * i, EACH_BYTE(3), 4);
  for (int k = 0; k < 16; k++)
    scale_from_byte(p[k / 2].scale[k % 2], d, scale, k, 32);
}


/* {u8 hmask[32]; u8 qs[64]; u8 scales[12]; half d}: bit k of hmask is the
   third of panel k; qs as in Q2_K. */
static void unpack_q3_k (dc_panel *p, const dc_blocks *block) {
  dc_words room[16], room_of_high[8];
  const dc_words *w = gather(room, block, 32, 16);
  const dc_words *high = gather(room_of_high, block, 0, 8);
  unpack_scales_3(p, block);
  for (int k = 0; k < 8; k++)
    for (int g = 0; g < 8; g++)
      take_both(p[k].q[g], w[k / 4 * 8 + g], 2 * (k % 4), EACH_BYTE(3),
                high[g], k, EACH_BYTE(1), 2);
}

#endif
