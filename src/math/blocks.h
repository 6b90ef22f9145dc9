/*
** blocks.h: the blocks of quantised weights, taken apart 16 at a time.
**
** A block holds 32 or 256 weights as small integers (codes) with a few
** scales. Whatever its layout, it comes apart into panels of 32 inputs:
**
**     weight = scale * (code - zero) + min
**
** One function a format (blocks_*.h) does that, and it is all that the core
** knows of the layout: dequantising and multiplying start from the panels.
** It takes 16 blocks at once and puts them into the 16 lanes. In a matrix
** product these are the blocks of 16 rows, so that the lanes become 16
** outputs; to dequantise a row they are 16 blocks of that row.
**
** That the product scale * (code - zero) is exact in float for every format
** (11 bits of a half, at most 7 of a scale, at most 7 of a code) makes the
** formula bit for bit what each format defines: only "+ min" rounds.
**
** To add a format: write its unpacker next to its like, over the words below
** (plain loops over the lanes, which the compiler turns into vectors; four
** codes of one row share a word, so most work is done on four at once), and
** give it a line in blocks_table.h and in types.c. A quantiser, if there is
** one, goes into quantize_*.c.
**
** These headers are compiled once for each instruction set, after the
** vocabulary (vec_*.h).
*/
#ifndef DC_BLOCKS_H
#define DC_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "math/kernels.h"

/* 32 inputs of 16 rows. Byte i of word q[g][r] is the code of input 4 g + i of
   row r. scale[0] and min[0] belong to inputs 0-15, the others to 16-31; in a
   format with one scale for 32 inputs only the first are filled. */
typedef struct dc_panel {
  uint32_t q[8][DC_LANES];
  float scale[2][DC_LANES];
  float min[2][DC_LANES];
} dc_panel;

/* The panels of one block, at most. */
#define DC_MAX_PANELS 8

/* Words of 16 rows: word[k][r] is the k-th of row r. */
typedef uint32_t dc_words[DC_LANES];

/* 16 blocks, one a lane, as they lie in 16 rows or, cut into words and turned
   already, in a matrix in panels (panels.h). */
typedef struct dc_blocks {
  const uint8_t *row[DC_LANES];
  const dc_words *words;   /* NULL: they lie in rows */
  const uint16_t *halves;  /* [DC_LANES]: the half that is not in a word */
} dc_blocks;

typedef struct dc_format {
  /* 16 blocks, one a lane, to as many panels as one block has. */
  void (*unpack) (dc_panel *panels, const dc_blocks *block);
  int bytes;       /* of a block */
  int words_at;    /* in a block; 2 if a half stands alone in front */
  int panels;      /* of a block */
  int group;       /* inputs that share a scale: 16 or 32 */
  int zero;        /* the code of 0 */
  bool is_signed;  /* codes are -128..127 and zero is 0; else 0..63 */
  bool has_min;    /* then zero is 0 */
} dc_format;

/* A loop over the lanes. It shall become vectors; gcc would unroll it first, as
   any short loop, and then not see them (measured: bench/LOG.md). */
#define EACH_ROW \
  _Pragma("GCC unroll 1") for (int r = 0; r < DC_LANES; r++)

/* The half in the low or the high part of a word that was gathered. */
static inline void half_of_words (float *out, const uint32_t *restrict w,
                                  int shift) {
  uint16_t half[DC_LANES];
  EACH_ROW half[r] = (uint16_t)(w[r] >> shift);
  v_store(out, v_load_f16(half));
}


/* out = (w >> shift) & mask */
static inline void take_bits (uint32_t *restrict out,
                              const uint32_t *restrict w, int shift,
                              uint32_t mask) {
  EACH_ROW out[r] = w[r] >> shift & mask;
}


/* The same with high bits on top, from where they lie apart:
   out = ((w >> shift) & mask) | ((high >> from) & bits) << up. */
static inline void take_both (uint32_t *restrict out,
                              const uint32_t *restrict w, int shift,
                              uint32_t mask, const uint32_t *restrict high,
                              int from, uint32_t bits, int up) {
  EACH_ROW
    out[r] = (w[r] >> shift & mask) | (high[r] >> from & bits) << up;
}


/* out = d * (byte k of the words s - less) */
static inline void scale_from_byte (float *restrict out,
                                    const float *restrict d,
                                    const dc_words *restrict s, int k,
                                    int less) {
  const uint32_t *w = s[k / 4];
  EACH_ROW out[r] = d[r] * (float)((int)(w[r] >> 8 * (k % 4) & 0xff) - less);
}


/* out = -d * byte k of the words s: what a format subtracts. */
static inline void min_from_byte (float *restrict out,
                                  const float *restrict d,
                                  const dc_words *restrict s, int k) {
  const uint32_t *w = s[k / 4];
  EACH_ROW out[r] = -(d[r] * (float)(int)(w[r] >> 8 * (k % 4) & 0xff));
}


/* n words (a multiple of 4) of every block, from its byte `at` on: where they
   lie, if they are turned already, or else in `room`. */
static inline const dc_words *gather (dc_words *room, const dc_blocks *block,
                                      size_t at, int n) {
  if (block->words != NULL) return block->words + at / 4;
  for (int k = 0; k < n; k += 4)
    v_turn(room + k, block->row, at + 4 * (size_t)k);
  return room;
}


/* The half at byte `at` of every block. */
static inline void gather_halves (float *out, const dc_blocks *block,
                                  size_t at) {
  if (block->words == NULL)
    v_store(out, v_turn_f16(block->row, at));
  else if (block->halves == NULL)
    half_of_words(out, block->words[at / 4], 8 * (int)(at % 4));
  else
    v_store(out, v_load_f16(block->halves));
}

#define EACH_BYTE(b) (0x01010101u * (b))

#endif
