/*
** kernels_tile.h: weights in panels (panels.h) times tiles of columns, for the
** types whose words can be multiplied as they lie: Q8_0, bytes with a sign, and
** Q4_0, two codes a byte, 8 too large.
**
** A lane is a row. All lanes of a column have one input, so strips of 16 rows
** share the reading of inputs, and columns that of weights; the more of both in
** a tile, the less there is to read. The order of an output: blocks of 32
** ascending, for each the exact integer sum s, then
**     acc = fma(s, scale_w * scale_x, acc)
**
** A processor with 512-bit VNNI does 80 % of the multiply-adds that it can do
** at most: of ten instructions for its multipliers eight are vpdpbusd, and the
** two that scale a block cannot be had for less. To part the codes of Q4_0
** costs hardly more than to read the bytes of Q8_0, so that it is done again
** for each tile.
*/

/* Some blocks of 16 rows in panels, or of Q8_STRIPS times as many; the first
   is block `from`. */
typedef struct q8_strips {
  const uint8_t *panels;  /* [n] times n_blocks */
  size_t apart;           /* bytes from a strip's panels to the next one's */
  size_t n;               /* 1 or Q8_STRIPS */
  size_t from, n_blocks;
  size_t rows;            /* that count */
  const uint8_t *next;    /* what is read after these: each step over a */
  size_t each;            /* block asks for some bytes of it */
} q8_strips;

#define WORDS (DC_LANES * sizeof(uint32_t))  /* bytes of one word a row */


/* `halves` is true for Q4_0 and false for Q8_0, and always a constant. */
INLINE size_t panel_bytes (bool halves) {
  return halves ? sizeof(dc_q4_panel) : sizeof(dc_q8_panel);
}


/* 16 neighbouring outputs, or the first `count` if these are fewer. */
INLINE void store_lanes (float *out, vf sums, size_t count) {
  if (count >= DC_LANES)
    v_store(out, sums);
  else
    v_store_part(out, sums, count);
}


/* Sums that go on from what waits in `out` (storing a float does not change
   it), or from 0 at the first block. */
INLINE vf unfinished (const float *out, size_t block, size_t count) {
  if (block == 0) return v_set1(0.0f);
  return count >= DC_LANES ? v_load(out) : v_load_part(out, count);
}


/* The sums of a block's products, of strips `apart` with columns ld_x apart. */
INLINE void dot_bytes (vi sum[][Q8_COLS], const uint8_t *panel, size_t apart,
                       const dc_q8_inputs *x, size_t ld_x, int strips,
                       int cols) {
#pragma GCC unroll 8
  for (int c = 0; c < cols; c++)
    for (int r = 0; r < strips; r++)
      sum[r][c] = v_dot_start(x[(size_t)c * ld_x].start);
#pragma GCC unroll 8
  for (size_t g = 0; g < 8; g++) {
    vw w[Q8_STRIPS];
    for (int r = 0; r < strips; r++)
      w[r] = v_weights((const int8_t *)panel + (size_t)r * apart + g * WORDS);
#pragma GCC unroll 8
    for (int c = 0; c < cols; c++)
      for (int r = 0; r < strips; r++)
        sum[r][c] = v_dot4(sum[r][c], w[r], x[(size_t)c * ld_x].q + 4 * g);
  }
}


/* The same of Q4_0: unpack_q4_0 says which code is where. */
INLINE void dot_halves (vi sum[][Q8_COLS], const uint8_t *panel, size_t apart,
                        const dc_q8_inputs *x, size_t ld_x, int strips,
                        int cols) {
#pragma GCC unroll 8
  for (int c = 0; c < cols; c++) {
    const int32_t *of_x = x[(size_t)c * ld_x].sum;
    for (int r = 0; r < strips; r++)
      sum[r][c] = v_all(-8 * (of_x[0] + of_x[1]));
  }
#pragma GCC unroll 4
  for (size_t k = 0; k < 4; k++)
#pragma GCC unroll 8
    for (int c = 0; c < cols; c++)
      for (int r = 0; r < strips; r++) {
        const void *w = panel + (size_t)r * apart + k * WORDS;
        sum[r][c] = v_dot8_halves(sum[r][c], w,
                                  x[(size_t)c * ld_x].q + 4 * k);
      }
}


/* Strips against `cols` columns, ld_x apart (both numbers are constants after
   inlining). */
INLINE void panels_tile (float *out, size_t ld_out, const q8_strips *s,
                         const dc_q8_inputs *x, size_t ld_x, int strips,
                         int cols, bool halves) {
  vf acc[Q8_STRIPS][Q8_COLS];
  const size_t bytes = panel_bytes(halves), apart = s->apart;
  for (int c = 0; c < cols; c++)
    for (int r = 0; r < strips; r++)
      acc[r][c] = unfinished(out + (size_t)c * ld_out + r * DC_LANES, s->from,
                             s->rows - (size_t)r * DC_LANES);
  const uint8_t *panel = s->panels;
  for (size_t b = 0; b < s->n_blocks; b++, panel += bytes, x++) {
    vi sum[Q8_STRIPS][Q8_COLS];
    prefetch(s->next + b * s->each, s->each);
    if (halves)
      dot_halves(sum, panel, apart, x, ld_x, strips, cols);
    else
      dot_bytes(sum, panel, apart, x, ld_x, strips, cols);
    const uint8_t *scales = panel + bytes - DC_LANES * sizeof(uint16_t);
#pragma GCC unroll 2
    for (int r = 0; r < strips; r++) {
      vf scale = v_load_f16((const void *)(scales + (size_t)r * apart));
#pragma GCC unroll 8
      for (int c = 0; c < cols; c++) {
        vf both = v_mul(scale, v_set1(x[(size_t)c * ld_x].scale));
        acc[r][c] = v_fma(v_float(sum[r][c]), both, acc[r][c]);
      }
    }
  }
  for (int c = 0; c < cols; c++)
    for (int r = 0; r < strips; r++)
      store_lanes(out + (size_t)c * ld_out + r * DC_LANES, acc[r][c],
                  s->rows - (size_t)r * DC_LANES);
}


/* 1 to Q8_COLS columns. */
INLINE void some_columns (float *out, size_t ld_out, const q8_strips *s,
                          const dc_q8_inputs *x, size_t ld_x, size_t cols,
                          bool halves) {
  switch (cols) {
#define SOME(k)                                                               \
    case k:                                                                   \
      if (k > Q8_COLS) break;                                                 \
      if (s->n == 1)                                                          \
        panels_tile(out, ld_out, s, x, ld_x, 1, k <= Q8_COLS ? k : 1, halves);\
      else                                                                    \
        panels_tile(out, ld_out, s, x, ld_x, Q8_STRIPS,                       \
                    k <= Q8_COLS ? k : 1, halves);                            \
      break;
    SOME(1) SOME(2) SOME(3) SOME(4) SOME(5) SOME(6)
#undef SOME
  }
}


/* All columns, as evenly as it goes: a tile of one or two of them would leave
   the processor waiting for its sums. */
INLINE void all_columns (float *out, size_t ld_out, q8_strips s,
                         const dc_q8_inputs *x, size_t ld_x, size_t cols,
                         bool halves) {
  size_t tiles = (cols + Q8_COLS - 1) / Q8_COLS;
  size_t bytes = s.n * panel_bytes(halves);
  s.each = (bytes / tiles + 63) / 64 * 64;
  for (size_t t = 0, c = 0; t < tiles; t++) {
    size_t some = cols * (t + 1) / tiles - c;
    if (t * s.each >= bytes) s.each = 0;
    some_columns(out + c * ld_out, ld_out, &s, x + c * ld_x, ld_x, some,
                 halves);
    s.next += s.n_blocks * s.each;
    c += some;
  }
}


static void q8_columns (float *out, size_t ld_out, q8_strips s,
                        const dc_q8_inputs *x, size_t ld_x, size_t cols) {
  all_columns(out, ld_out, s, x, ld_x, cols, false);
}


static void q4_columns (float *out, size_t ld_out, q8_strips s,
                        const dc_q8_inputs *x, size_t ld_x, size_t cols) {
  all_columns(out, ld_out, s, x, ld_x, cols, true);
}


/* One column: a matrix is one stream of panels. */
INLINE void one_column (float *out, const uint8_t *w, size_t rows,
                        const dc_q8_inputs *x, size_t n_blocks, bool halves) {
  const size_t bytes = panel_bytes(halves);
  q8_strips s = {.n = 1, .n_blocks = n_blocks, .each = bytes};
  for (size_t r = 0; r < rows; r += DC_LANES, w += n_blocks * bytes) {
    s.panels = w;
    s.next = w + FAR;
    s.rows = at_most(rows - r, DC_LANES);
    panels_tile(out + r, 0, &s, x, n_blocks, 1, 1, halves);
  }
}


/* A matrix in panels. */
INLINE void matmul_tiles (float *out, size_t ld_out, const uint8_t *w,
                          size_t rows, const dc_q8_inputs *x, size_t cols,
                          size_t n, bool halves) {
  size_t n_blocks = n / DC_Q8_BLOCK;
  size_t bytes = n_blocks * panel_bytes(halves);
  if (cols == 1) {
    one_column(out, w, rows, x, n_blocks, halves);
    return;
  }
  for (size_t r = 0, strips; r < rows; r += strips * DC_LANES) {
    strips = rows - r > DC_LANES ? Q8_STRIPS : 1;
    q8_strips s = {w, bytes, strips, 0, n_blocks,
                   at_most(rows - r, strips * DC_LANES), w + strips * bytes, 0};
    (halves ? q4_columns : q8_columns)(out + r, ld_out, s, x, n_blocks, cols);
    w += strips * bytes;
  }
}
