/*
** panels.h: quantised weights in the order in which a product reads them.
**
** A panel is one block of 16 rows. The panels of 16 rows lie one behind the
** other, then come those of the next 16: to multiply with one column is to read
** a matrix from its first byte to its last. It takes no more bytes than in the
** file, if its rows are whole sixteens.
**
** The blocks are cut into words of 4 bytes, and turned: first the first word of
** each row, then the second: [words][row]. So a row is a lane. Where 2 bytes
** are left over (a scale, in front of the words or behind them), they are at
** the end of the panel: [row].
**
** Numbers that are not quantised are read by whole rows, and gain nothing from
** such an order (bench/LOG.md).
*/
#ifndef DC_PANELS_H
#define DC_PANELS_H

#include "math/types.h"

#define DC_LANES 16

/* A panel of Q8_0. */
typedef struct dc_q8_panel {
  int8_t q[DC_Q8_BLOCK / 4][DC_LANES][4];  /* [inputs / 4][row][4] */
  uint16_t scale[DC_LANES];                /* half precision */
} dc_q8_panel;

/* A panel of Q4_0. Of each byte the low half is an input of 0-15, the high one
   the input that comes 16 later. */
typedef struct dc_q4_panel {
  uint8_t q[DC_Q8_BLOCK / 8][DC_LANES][4];  /* [inputs / 8][row][4] */
  uint16_t scale[DC_LANES];
} dc_q4_panel;

/* Bytes of the panels of 16 rows of n inputs, which are whole blocks; 0 for a
   type that has no panels. */
size_t dc_strip_bytes (dc_type type, size_t n);

/* Bytes of a matrix in panels. False when their number overflows. */
bool dc_packed_bytes (dc_type type, size_t rows, size_t n, size_t *bytes);

#endif
