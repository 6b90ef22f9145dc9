/* panels.c: see panels.h. */
#include "math/panels.h"

#include <string.h>

#include "base/size.h"


bool dc_q8_panels (size_t rows, size_t n, size_t *count) {
  size_t sixteens = rows / DC_LANES + (rows % DC_LANES != 0);
  return dc_size_mul(sixteens, n / DC_Q8_BLOCK, count);
}


static void pack_row (dc_q8_panel *to, size_t lane, const uint8_t *w,
                      size_t n_blocks) {
  for (size_t b = 0; b < n_blocks; b++, w += sizeof(dc_block_q8_0)) {
    memcpy(&to[b].scale[lane], w, sizeof to[b].scale[lane]);
    for (size_t g = 0; g < DC_Q8_BLOCK / 4; g++)
      memcpy(to[b].q[g][lane],
             w + offsetof(dc_block_q8_0, q) + 4 * g, 4);
  }
}


void dc_q8_pack (dc_q8_panel *to, const void *w, size_t row_bytes, size_t rows,
                 size_t n) {
  size_t n_blocks = n / DC_Q8_BLOCK;
  for (size_t r = 0; r < rows; r++) {
    size_t lane = r % DC_LANES;
    if (lane == 0 && rows - r < DC_LANES) memset(to, 0, n_blocks * sizeof *to);
    pack_row(to, lane, (const uint8_t *)w + r * row_bytes, n_blocks);
    if (lane == DC_LANES - 1) to += n_blocks;
  }
}
