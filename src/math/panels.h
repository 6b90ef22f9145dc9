/*
** panels.h: Q8_0 weights in the order in which a product reads them.
**
** A panel is one block of 32 inputs of 16 rows: the rows are the lanes, and
** each step of a kernel takes the next four inputs of all 16. A matrix in
** panels takes no more bytes than in the file, if its rows are whole sixteens.
*/
#ifndef DC_PANELS_H
#define DC_PANELS_H

#include "math/types.h"

#define DC_LANES 16

typedef struct dc_q8_panel {
  int8_t q[DC_Q8_BLOCK / 4][DC_LANES][4];  /* [inputs / 4][row][4] */
  uint16_t scale[DC_LANES];                /* half precision */
} dc_q8_panel;

/* The panels of a matrix: for each 16 rows (the last may be fewer) n / 32.
   False when their number overflows. */
bool dc_q8_panels (size_t rows, size_t n, size_t *count);

/* Fills them from rows of Q8_0, row_bytes apart. Lanes without a row are 0. */
void dc_q8_pack (dc_q8_panel *to, const void *w, size_t row_bytes, size_t rows,
                 size_t n);

#endif
