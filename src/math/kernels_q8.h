/*
** kernels_q8.h: activations to 8 bits, and Q8_0 weights times them.
**
** One order, two shapes of kernel. The order of an output: blocks of 32
** ascending, for each the exact integer sum s, then
**     acc = fma(s, scale_w * scale_x, acc)
** With one column the weights are read once, so they stream by where they lie
** and the lanes of 16 rows are reduced together. With more, 16 rows are
** unpacked once to panels that all columns use, and a lane is a row. Who has
** the matrix in panels already (panels.h) saves both.
*/

/* What has no place on the scale must not reach the conversion to integers,
   which each instruction set does its own way: a block with a NaN or an
   infinity gets the scale NaN, one below 1e-30 counts as 0. */
static void quantize_q8 (dc_q8_row out, const float *x, size_t n) {
  vf zero = v_set1(0.0f);
  for (size_t b = 0; b < n / DC_Q8_BLOCK; b++) {
    vf lo = v_load(x + b * DC_Q8_BLOCK), hi = v_load(x + b * DC_Q8_BLOCK + 16);
    float highest = v_highest(v_max(v_abs(lo), v_abs(hi)));
    if (v_any_nan(v_fma(hi, zero, v_mul(lo, zero)))) {
      lo = hi = zero;
      highest = NAN;
    }
    vf inverse = v_set1(highest > 1e-30f ? 127.0f / highest : 0.0f);
    lo = round_v(v_mul(lo, inverse));
    hi = round_v(v_mul(hi, inverse));
    out.scale[b] = highest / 127.0f;
    out.sum[2 * b] = (int32_t)v_sum(lo);  /* exact: whole numbers */
    out.sum[2 * b + 1] = (int32_t)v_sum(hi);
    v_store_i8(out.q + b * DC_Q8_BLOCK, lo);
    v_store_i8(out.q + b * DC_Q8_BLOCK + 16, hi);
  }
}


/* Blocks whose weights are looked at together. */
#define BLOCKS_AT_ONCE 16

/* 16 rows of Q8_0: row r begins at w + r * stride. */
typedef struct q8_rows {
  const uint8_t *w;
  size_t stride;
  size_t count;  /* lanes that count */
} q8_rows;


INLINE int32_t sum_of_block (const dc_q8_row *x, size_t b) {
  return x->sum[2 * b] + x->sum[2 * b + 1];
}


/* The first `count` of 16 neighbouring outputs. */
INLINE void store_lanes (float *out, vf sums, size_t count) {
  if (count == DC_LANES)
    v_store(out, sums);
  else
    v_store_part(out, sums, count);
}


/* Sums that go on from what waits in `out` (storing a float does not change
   it), or from 0 at the first block. */
INLINE vf unfinished (const float *out, size_t block, size_t count) {
  if (block == 0) return v_set1(0.0f);
  return count == DC_LANES ? v_load(out) : v_load_part(out, count);
}


/* The scales of some blocks, apart from the loop that multiplies: 16 small
   loads and one store each would hold it up. */
INLINE void gather_scales (uint16_t (*scale)[DC_LANES], const q8_rows *rows,
                           size_t b, size_t n_blocks) {
  const uint8_t *w = rows->w + b * sizeof(dc_block_q8_0);
  for (size_t i = 0; i < n_blocks; i++, w += sizeof(dc_block_q8_0))
    for (size_t r = 0; r < DC_LANES; r++)
      memcpy(&scale[i][r], w + r * rows->stride, sizeof scale[i][r]);
}


/* One column. */
static void q8_stream (float *out, const q8_rows *rows, const dc_q8_row *x,
                       size_t n) {
  uint16_t scale[BLOCKS_AT_ONCE][DC_LANES];
  const size_t step = DC_LANES * sizeof(dc_block_q8_0);
  const uint8_t *next = rows->w + AHEAD * DC_LANES * rows->stride;
  vf acc = v_set1(0.0f);
  for (size_t from = 0; from < n / DC_Q8_BLOCK; from += BLOCKS_AT_ONCE) {
    size_t some = at_most(n / DC_Q8_BLOCK - from, BLOCKS_AT_ONCE);
    gather_scales(scale, rows, from, some);
    for (size_t i = 0, b = from; i < some; i++, b++) {
      prefetch(next + b * step, step);
      vf scales = v_mul(v_load_f16(scale[i]), v_set1(x->scale[b]));
      vi sums = v_dot_q8(rows->w + b * sizeof(dc_block_q8_0), rows->stride,
                         x->q + b * DC_Q8_BLOCK, sum_of_block(x, b));
      acc = v_fma(v_float(sums), scales, acc);
    }
  }
  store_lanes(out, acc, rows->count);
}


/* Some blocks of 16 rows in panels; the first is block `from`. */
typedef struct q8_strip {
  const dc_q8_panel *panels;  /* [n_blocks] */
  size_t from, n_blocks;
  size_t count;               /* lanes that count */
} q8_strip;


static void unpack_strip (dc_q8_panel *panels, const q8_rows *rows,
                          size_t from, size_t n_blocks) {
  uint16_t scale[BLOCKS_AT_ONCE][DC_LANES];
  const uint8_t *w = rows->w + from * sizeof(dc_block_q8_0);
  gather_scales(scale, rows, from, n_blocks);
  for (size_t i = 0; i < n_blocks; i++, w += sizeof(dc_block_q8_0)) {
    v_unpack_q8(panels[i].q, w, rows->stride);
    memcpy(panels[i].scale, scale[i], sizeof scale[i]);
  }
}


/* A strip against `cols` columns (a constant after inlining). */
INLINE void q8_tile (float *out, size_t ld_out, const q8_strip *strip,
                     const dc_q8_row *x, int cols) {
  vf acc[Q8_COLS];
  for (int c = 0; c < cols; c++)
    acc[c] = unfinished(out + (size_t)c * ld_out, strip->from, strip->count);
  const dc_q8_panel *panel = strip->panels;
  for (size_t b = strip->from; b < strip->from + strip->n_blocks; b++) {
    vi sum[Q8_COLS];
    for (int c = 0; c < cols; c++)
      sum[c] = v_dot_start(sum_of_block(&x[c], b));
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
      vw w = v_weights(panel->q[g][0]);
#pragma GCC unroll 8
      for (int c = 0; c < cols; c++)
        sum[c] = v_dot4(sum[c], w, x[c].q + b * DC_Q8_BLOCK + 4 * g);
    }
    vf scale = v_load_f16(panel->scale);
    for (int c = 0; c < cols; c++)
      acc[c] = v_fma(v_float(sum[c]), v_mul(scale, v_set1(x[c].scale[b])),
                     acc[c]);
    panel++;
  }
  for (int c = 0; c < cols; c++)
    store_lanes(out + (size_t)c * ld_out, acc[c], strip->count);
}


static void q8_columns (float *out, size_t ld_out, const q8_strip *strip,
                        const dc_q8_row *x, size_t cols) {
  for (; cols >= Q8_COLS; cols -= Q8_COLS) {
    q8_tile(out, ld_out, strip, x, Q8_COLS);
    out += Q8_COLS * ld_out;
    x += Q8_COLS;
  }
  switch (cols) {
#define SOME(n)                                                               \
    case n:                                                                   \
      if (n < Q8_COLS)                                                        \
        q8_tile(out, ld_out, strip, x, n < Q8_COLS ? n : 1);                  \
      break;
    SOME(1) SOME(2) SOME(3) SOME(4) SOME(5) SOME(6) SOME(7)
#undef SOME
  }
}


static void q8_panels (float *out, size_t ld_out, const q8_rows *rows,
                       const dc_q8_row *x, size_t cols, size_t n) {
  dc_q8_panel panels[BLOCKS_AT_ONCE];
  size_t n_blocks = n / DC_Q8_BLOCK;
  for (size_t from = 0; from < n_blocks; from += BLOCKS_AT_ONCE) {
    size_t some = at_most(n_blocks - from, BLOCKS_AT_ONCE);
    q8_strip strip = {panels, from, some, rows->count};
    unpack_strip(panels, rows, from, some);
    q8_columns(out, ld_out, &strip, x, cols);
  }
}


static void q8_16_rows (float *out, size_t ld_out, const q8_rows *rows,
                        const dc_q8_row *x, size_t cols, size_t n) {
  if (cols == 1)
    q8_stream(out, rows, x, n);
  else
    q8_panels(out, ld_out, rows, x, cols, n);
}


/* The last 16 rows may overlap those before: to compute a sum twice gives it
   twice. Below 16 rows a stride of 0 repeats one row in all lanes. */
static void matmul_q8_0 (float *out, size_t ld_out, const void *weights,
                         size_t row_bytes, size_t rows, const dc_q8_row *x,
                         size_t cols, size_t n) {
  q8_rows some = {weights, row_bytes, DC_LANES};
  if (rows < DC_LANES) some.stride = 0, some.count = 1;
  for (size_t r = 0; r < rows; r += some.count) {
    if (r + some.count > rows) r = rows - some.count;
    some.w = (const uint8_t *)weights + r * row_bytes;
    q8_16_rows(out + r, ld_out, &some, x, cols, n);
  }
}


/* Few columns take the blocks in one go; many of them find what is in the
   nearest cache. */
static void matmul_q8_packed (float *out, size_t ld_out, const dc_q8_panel *w,
                              size_t rows, const dc_q8_row *x, size_t cols,
                              size_t n) {
  size_t n_blocks = n / DC_Q8_BLOCK;
  size_t step = cols <= Q8_COLS ? n_blocks : BLOCKS_AT_ONCE;
  for (size_t r = 0; r < rows; r += DC_LANES, w += n_blocks)
    for (size_t from = 0; from < n_blocks; from += step) {
      q8_strip strip = {w + from, from, at_most(n_blocks - from, step),
                        at_most(rows - r, DC_LANES)};
      q8_columns(out + r, ld_out, &strip, x, cols);
    }
}
