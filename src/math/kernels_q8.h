/*
** kernels_q8.h: activations to 8 bits, and Q8_0 weights times them.
**
** One order, two shapes of kernel. The order of an output: blocks of 32
** ascending, for each the exact integer sum s, then
**     acc = fma(s, scale_w * scale_x, acc)
** With one column the weights are read once, so they stream by where they lie
** and the lanes of 16 rows are reduced together. With more, strips of 16 rows
** are unpacked once to panels that all columns use, and a lane is a row. Who
** has the matrix in panels already (panels.h) saves both.
**
** Against panels a processor with 512-bit VNNI does 80 % of the multiply-adds
** that it can do at most: of ten instructions for its multipliers eight are
** vpdpbusd, and the two that scale a block cannot be had for less.
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


/* Some blocks of 16 rows in panels, or of Q8_STRIPS times as many; the first
   is block `from`. */
typedef struct q8_strips {
  const dc_q8_panel *panels;  /* [n] times n_blocks */
  size_t apart;               /* from a strip's panels to the next one's */
  size_t n;                   /* 1 or Q8_STRIPS */
  size_t from, n_blocks;
  size_t rows;                /* that count */
  const uint8_t *next;        /* what is read after these: each step over a */
  size_t each;                /* block asks for some bytes of it */
} q8_strips;

#define Q8_STRIP_BYTES (DC_LANES * sizeof(dc_block_q8_0))  /* of one block */


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


/* Strips against `cols` columns, ld_x apart (both numbers are constants after
   inlining). All lanes of a column have one input, so strips share the reading
   of inputs, and columns that of weights. */
INLINE void q8_tile (float *out, size_t ld_out, const q8_strips *s,
                     const dc_q8_inputs *x, size_t ld_x, int strips, int cols) {
  vf acc[Q8_STRIPS][Q8_COLS];
  for (int c = 0; c < cols; c++)
    for (int r = 0; r < strips; r++)
      acc[r][c] = unfinished(out + (size_t)c * ld_out + r * DC_LANES, s->from,
                             s->rows - (size_t)r * DC_LANES);
  const dc_q8_panel *panel = s->panels;
  for (size_t b = 0; b < s->n_blocks; b++, panel++, x++) {
    vi sum[Q8_STRIPS][Q8_COLS];
    prefetch(s->next + b * s->each, s->each);
#pragma GCC unroll 8
    for (int c = 0; c < cols; c++)
      for (int r = 0; r < strips; r++)
        sum[r][c] = v_dot_start(x[(size_t)c * ld_x].start);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
      vw w[Q8_STRIPS];
      for (int r = 0; r < strips; r++)
        w[r] = v_weights(panel[(size_t)r * s->apart].q[g][0]);
#pragma GCC unroll 8
      for (int c = 0; c < cols; c++)
        for (int r = 0; r < strips; r++)
          sum[r][c] = v_dot4(sum[r][c], w[r], x[(size_t)c * ld_x].q + 4 * g);
    }
#pragma GCC unroll 2
    for (int r = 0; r < strips; r++) {
      vf scale = v_load_f16(panel[(size_t)r * s->apart].scale);
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


static void q8_some_columns (float *out, size_t ld_out, const q8_strips *s,
                             const dc_q8_inputs *x, size_t ld_x, size_t cols) {
  switch (cols) {
#define SOME(k)                                                               \
    case k:                                                                   \
      if (k > Q8_COLS) break;                                                 \
      if (s->n == 1)                                                          \
        q8_tile(out, ld_out, s, x, ld_x, 1, k <= Q8_COLS ? k : 1);            \
      else                                                                    \
        q8_tile(out, ld_out, s, x, ld_x, Q8_STRIPS, k <= Q8_COLS ? k : 1);    \
      break;
    SOME(1) SOME(2) SOME(3) SOME(4) SOME(5) SOME(6)
#undef SOME
  }
}


/* All columns, as evenly as it goes: a tile of one or two of them would leave
   the processor waiting for its sums. */
static void q8_columns (float *out, size_t ld_out, q8_strips s,
                        const dc_q8_inputs *x, size_t ld_x, size_t cols) {
  size_t tiles = (cols + Q8_COLS - 1) / Q8_COLS;
  size_t bytes = s.n * Q8_STRIP_BYTES;
  s.each = (bytes / tiles + 63) / 64 * 64;
  for (size_t t = 0, c = 0; t < tiles; t++) {
    size_t some = cols * (t + 1) / tiles - c;
    if (t * s.each >= bytes) s.each = 0;
    q8_some_columns(out + c * ld_out, ld_out, &s, x + c * ld_x, ld_x, some);
    s.next += s.n_blocks * s.each;
    c += some;
  }
}


/* `strips` times 16 rows, which lie behind each other. */
static void q8_panels (float *out, size_t ld_out, const q8_rows *rows,
                       size_t strips, const dc_q8_inputs *x, size_t cols,
                       size_t n) {
  dc_q8_panel panels[Q8_STRIPS][BLOCKS_AT_ONCE];
  size_t n_blocks = n / DC_Q8_BLOCK;
  size_t parts = (n_blocks + BLOCKS_AT_ONCE - 1) / BLOCKS_AT_ONCE;
  q8_strips s = {panels[0], BLOCKS_AT_ONCE, strips, 0, 0,
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
    s.next += strips * Q8_STRIP_BYTES * s.n_blocks;
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


/* One column is one stream of panels. */
static void matmul_q8_packed (float *out, size_t ld_out, const dc_q8_panel *w,
                              size_t rows, const dc_q8_inputs *x, size_t cols,
                              size_t n) {
  size_t n_blocks = n / DC_Q8_BLOCK;
  for (size_t r = 0, strips; r < rows; r += strips * DC_LANES) {
    strips = cols > 1 && rows - r > DC_LANES ? Q8_STRIPS : 1;
    size_t count = at_most(rows - r, strips * DC_LANES);
    const dc_q8_panel *next = w + strips * n_blocks;
    q8_strips s = {w, n_blocks, strips, 0, n_blocks, count,
                   cols > 1 ? (const uint8_t *)next
                            : (const uint8_t *)w + FAR, 0};
    q8_columns(out + r, ld_out, s, x, n_blocks, cols);
    w = next;
  }
}
