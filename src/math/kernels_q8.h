/*
** kernels_q8.h: activations to 8 bits, and Q8_0 weights times them.
**
** One order (that of kernels_tile.h), two shapes of kernel. With one column the
** weights are read once, so they stream by where they lie and the lanes of 16
** rows are reduced together. With more, strips of 16 rows are unpacked once to
** panels that all columns use, and a lane is a row. Who has the matrix in
** panels already (panels.h) saves both.
*/

/* What has no place on the scale must not reach the conversion to integers,
   which each instruction set does its own way: a block with a NaN or an
   infinity gets the scale NaN, one below 1e-30 counts as 0. */
static void quantize_q8 (dc_q8_inputs *out, const float *x, size_t n) {
  vf zero = v_set1(0.0f);
  for (size_t b = 0; b < n / DC_Q8_BLOCK; b++, out++) {
    vf lo = v_load(x + b * DC_Q8_BLOCK), hi = v_load(x + b * DC_Q8_BLOCK + 16);
    float highest = v_highest(v_max(v_abs(lo), v_abs(hi)));
    if (v_any_nan(v_fma(hi, zero, v_mul(lo, zero)))) {
      lo = hi = zero;
      highest = NAN;
    }
    vf inverse = v_set1(highest > 1e-30f ? 127.0f / highest : 0.0f);
    lo = round_v(v_mul(lo, inverse));
    hi = round_v(v_mul(hi, inverse));
    v_store_i8(out->q, lo);
    v_store_i8(out->q + 16, hi);
    out->scale = highest / 127.0f;
    out->sum[0] = v_sum_i8(out->q);
    out->sum[1] = v_sum_i8(out->q + 16);
    out->start = -128 * (out->sum[0] + out->sum[1]);
  }
}


/* Blocks whose weights are looked at together. */
#define BLOCKS_AT_ONCE 32

/* 16 rows of Q8_0: row r begins at w + r * stride. */
typedef struct q8_rows {
  const uint8_t *w;
  size_t stride;
  size_t count;  /* lanes that count */
} q8_rows;


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
static void q8_stream (float *out, const q8_rows *rows, const dc_q8_inputs *x,
                       size_t n) {
  uint16_t scale[BLOCKS_AT_ONCE][DC_LANES];
  const size_t step = DC_LANES * sizeof(dc_block_q8_0);
  const uint8_t *next = rows->w + AHEAD * DC_LANES * rows->stride;
  vf acc = v_set1(0.0f);
  for (size_t from = 0; from < n / DC_Q8_BLOCK; from += BLOCKS_AT_ONCE) {
    size_t some = at_most(n / DC_Q8_BLOCK - from, BLOCKS_AT_ONCE);
    gather_scales(scale, rows, from, some);
    for (size_t i = 0, b = from; i < some; i++, b++, x++) {
      prefetch(next + b * step, step);
      vf scales = v_mul(v_load_f16(scale[i]), v_set1(x->scale));
      vi sums = v_dot_q8(rows->w + b * sizeof(dc_block_q8_0), rows->stride,
                         x->q, x->start);
      acc = v_fma(v_float(sums), scales, acc);
    }
  }
  store_lanes(out, acc, rows->count);
}


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


/* `strips` times 16 rows, which lie behind each other. */
static void q8_panels (float *out, size_t ld_out, const q8_rows *rows,
                       size_t strips, const dc_q8_inputs *x, size_t cols,
                       size_t n) {
  dc_q8_panel panels[Q8_STRIPS][BLOCKS_AT_ONCE];
  size_t n_blocks = n / DC_Q8_BLOCK;
  size_t parts = (n_blocks + BLOCKS_AT_ONCE - 1) / BLOCKS_AT_ONCE;
  q8_strips s = {(const uint8_t *)panels[0], sizeof panels[0], strips, 0, 0,
                 strips * rows->count,
                 rows->w + strips * DC_LANES * rows->stride, 0};
  for (size_t part = 0; part < parts; part++) {
    s.n_blocks = n_blocks * (part + 1) / parts - s.from;
    for (size_t r = 0; r < strips; r++) {
      q8_rows some = *rows;
      some.w += r * DC_LANES * rows->stride;
      unpack_strip(panels[r], &some, s.from, s.n_blocks);
    }
    q8_columns(out, ld_out, s, x + s.from, n_blocks, cols);
    s.from += s.n_blocks;
    s.next += strips * sizeof(dc_q8_panel) * s.n_blocks;
  }
}


/* The last 16 rows may overlap those before: to compute a sum twice gives it
   twice. Below 16 rows a stride of 0 repeats one row in all lanes. */
static void matmul_q8_0 (float *out, size_t ld_out, const void *weights,
                         size_t row_bytes, size_t rows, const dc_q8_inputs *x,
                         size_t cols, size_t n) {
  q8_rows some = {weights, row_bytes, DC_LANES};
  if (rows < DC_LANES) some.stride = 0, some.count = 1;
  for (size_t r = 0, strips; r < rows; r += strips * some.count) {
    strips = cols > 1 && rows - r >= Q8_STRIPS * DC_LANES ? Q8_STRIPS : 1;
    if (r + some.count > rows) r = rows - some.count;
    some.w = (const uint8_t *)weights + r * row_bytes;
    if (cols == 1)
      q8_stream(out + r, &some, x, n);
    else
      q8_panels(out + r, ld_out, &some, strips, x, cols, n);
  }
}
