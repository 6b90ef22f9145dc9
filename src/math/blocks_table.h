/*
** blocks_table.h: the formats of quantised weights; see blocks.h. A format
** that is here can be dequantised and multiplied with.
*/
#ifndef DC_BLOCKS_TABLE_H
#define DC_BLOCKS_TABLE_H

#include "math/blocks_iq4.h"
#include "math/blocks_k.h"
#include "math/blocks_simple.h"

/* unpack, bytes, words_at, panels, group, zero, is_signed, has_min */
static const dc_format dc_formats[] = {
  [DC_Q4_0] = {unpack_q4_0, 18, 2, 1, 32, 8, false, false},
  [DC_Q4_1] = {unpack_q4_1, 20, 0, 1, 32, 0, false, true},
  [DC_Q5_0] = {unpack_q5_0, 22, 2, 1, 32, 16, false, false},
  [DC_Q5_1] = {unpack_q5_1, 24, 0, 1, 32, 0, false, true},
  [DC_Q8_0] = {unpack_q8_0, 34, 2, 1, 32, 0, true, false},
  [DC_Q2_K] = {unpack_q2_k, 84, 0, 8, 16, 0, false, true},
  [DC_Q3_K] = {unpack_q3_k, 110, 0, 8, 16, 4, false, false},
  [DC_Q4_K] = {unpack_q4_k, 144, 0, 8, 32, 0, false, true},
  [DC_Q5_K] = {unpack_q5_k, 176, 0, 8, 32, 0, false, true},
  [DC_Q6_K] = {unpack_q6_k, 210, 0, 8, 16, 32, false, false},
  [DC_IQ4_NL] = {unpack_iq4_nl, 18, 2, 1, 32, 0, true, false},
  [DC_IQ4_XS] = {unpack_iq4_xs, 136, 0, 8, 32, 0, true, false},
};


/* NULL for a type that is not quantised (or not known here). */
static inline const dc_format *dc_format_of (dc_type type) {
  bool here = (size_t)type < sizeof dc_formats / sizeof dc_formats[0] &&
              dc_formats[type].unpack != NULL;
  return here ? &dc_formats[type] : NULL;
}

#endif
