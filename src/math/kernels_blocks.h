/*
** kernels_blocks.h: quantised weights times quantised activations, one kernel
** for every format of blocks.h; included by kernels_impl.h.
**
** Rows are taken 16 at a time (they are the lanes) and inputs 256 at a time.
** Such a strip of weights is unpacked once, to panels on the stack, and then
** meets all columns. Between strips the unfinished sums wait in `out`: to
** store a float does not change it.
**
** The order of an output: panels ascending, and of a panel its one or two
** groups. For each group of inputs that share a scale, first
**     acc = fma(sum of (code - zero) * q_x, scale_w * scale_x, acc)
** then, in a format with minima,
**     acc = fma(min_w, scale_x * sum of q_x, acc)
** where both sums are exact (below 2^24 in a float).
*/
#include "math/blocks_table.h"

/* The traits of a format that the inner loop is compiled for. */
typedef struct traits {
  int group;
  bool is_signed, has_min;
} traits;


/* The sum of q_x over group h. */
INLINE int32_t sum_of_group (const dc_q8_inputs *x, int h, traits t) {
  return t.group == 16 ? x->sum[h] : x->sum[0] + x->sum[1];
}


/* The sums of (code - zero) * q_x over group h, for `cols` columns. */
INLINE void sum_products (vi *sum, const dc_panel *p, const dc_q8_inputs *x,
                          size_t ld_x, int cols, int h, int zero, traits t) {
  for (int c = 0; c < cols; c++) {
    const dc_q8_inputs *column = x + (size_t)c * ld_x;
    sum[c] = t.is_signed ? v_dot_start(column->start)
                         : v_all(-zero * sum_of_group(column, h, t));
  }
  for (int g = 4 * h; g < 4 * h + t.group / 4; g += 2)
    for (int c = 0; c < cols; c++) {
      const int8_t *q = x[(size_t)c * ld_x].q + 4 * g;
      if (t.is_signed) {
        sum[c] = v_dot4(sum[c], v_weights((const int8_t *)p->q[g]), q);
        sum[c] = v_dot4(sum[c], v_weights((const int8_t *)p->q[g + 1]), q + 4);
      } else
        sum[c] = v_dot8_codes(sum[c], p->q + g, q);
    }
}


INLINE void one_panel (vf *acc, const dc_panel *p, const dc_q8_inputs *x,
                       size_t ld_x, int cols, int zero, traits t) {
  for (int h = 0; h < 32 / t.group; h++) {
    vi sum[4];
    sum_products(sum, p, x, ld_x, cols, h, zero, t);
    vf scale = v_load(p->scale[h]);
    vf min = t.has_min ? v_load(p->min[h]) : v_set1(0.0f);
    for (int c = 0; c < cols; c++) {
      const dc_q8_inputs *column = x + (size_t)c * ld_x;
      vf both = v_mul(scale, v_set1(column->scale));
      acc[c] = v_fma(v_float(sum[c]), both, acc[c]);
      if (t.has_min) {
        float of_x = (float)sum_of_group(column, h, t);
        acc[c] = v_fma(min, v_set1(column->scale * of_x), acc[c]);
      }
    }
  }
}


/* A strip: `n` panels that begin at block `b` of the activations. */
typedef struct strip {
  const dc_panel *panels;
  size_t n, b;
  size_t rows;  /* lanes that count */
  int zero;
} strip;


INLINE void strip_columns (float *out, size_t ld_out, const strip *s,
                           const dc_q8_inputs *x, size_t ld_x, int cols,
                           traits t) {
  vf acc[4];
  for (int c = 0; c < cols; c++)
    acc[c] = unfinished(out + (size_t)c * ld_out, s->b, s->rows);
  for (size_t i = 0; i < s->n; i++)
    one_panel(acc, &s->panels[i], x + s->b + i, ld_x, cols, s->zero, t);
  for (int c = 0; c < cols; c++)
    store_lanes(out + (size_t)c * ld_out, acc[c], s->rows);
}


typedef void strip_kernel (float *out, size_t ld_out, const strip *s,
                           const dc_q8_inputs *x, size_t ld_x, size_t cols);

#define STRIP(name, ...)                                                      \
  static void name (float *out, size_t ld_out, const strip *s,                \
                    const dc_q8_inputs *x, size_t ld_x, size_t cols) {        \
    const traits t = {__VA_ARGS__};                                           \
    for (; cols >= 4; cols -= 4, x += 4 * ld_x, out += 4 * ld_out)            \
      strip_columns(out, ld_out, s, x, ld_x, 4, t);                           \
    for (; cols > 0; cols--, x += ld_x, out += ld_out)                        \
      strip_columns(out, ld_out, s, x, ld_x, 1, t);                           \
  }

STRIP(strip_plain, 32, false, false)
STRIP(strip_min, 32, false, true)
STRIP(strip_signed, 32, true, false)
STRIP(strip_halves, 16, false, false)
STRIP(strip_halves_min, 16, false, true)


static strip_kernel *strip_kernel_of (const dc_format *f) {
  if (f->is_signed) return strip_signed;
  if (f->group == 16) return f->has_min ? strip_halves_min : strip_halves;
  return f->has_min ? strip_min : strip_plain;
}


/* The first blocks of 16 rows; where there are fewer, the last is repeated. */
static dc_blocks blocks_in_rows (const uint8_t *w, size_t row_bytes,
                                 size_t rows) {
  dc_blocks b = {.words = NULL};
  EACH_ROW b.row[r] = w + ((size_t)r < rows ? (size_t)r : rows - 1) * row_bytes;
  return b;
}


static void set_panel (dc_blocks *b, const dc_format *f,
                       const uint8_t *panel) {
  size_t n_words = (size_t)f->bytes / sizeof(uint32_t);
  b->words = (const void *)panel;
  b->halves = f->bytes % 4 ? (const void *)(b->words + n_words) : NULL;
}


static dc_blocks blocks_in_panel (const dc_format *f, const uint8_t *panel) {
  dc_blocks b = {.words = NULL};
  set_panel(&b, f, panel);
  return b;
}


/* On to the next block of all rows. */
static void next_blocks (const dc_format *f, dc_blocks *b) {
  if (b->words == NULL)
    EACH_ROW b->row[r] += f->bytes;
  else
    set_panel(b, f, (const uint8_t *)b->words + DC_LANES * (size_t)f->bytes);
}


/* 16 rows, of which `rows` count; `next` is to be asked for first (see
   prefetch). */
static void sixteen_rows (const dc_format *f, float *out, size_t ld_out,
                          dc_blocks block, const uint8_t *next, size_t rows,
                          const dc_q8_inputs *x, size_t cols, size_t n) {
  strip_kernel *multiply = strip_kernel_of(f);
  dc_panel panels[DC_MAX_PANELS];
  strip s = {.panels = panels, .rows = rows, .zero = f->zero};
  const size_t step = DC_LANES * (size_t)f->bytes;
  for (s.b = 0; s.b < n / DC_Q8_BLOCK; s.b += s.n) {
    for (s.n = 0; s.n < DC_MAX_PANELS && s.b + s.n < n / DC_Q8_BLOCK;
         s.n += (size_t)f->panels) {
      prefetch(next, step);
      f->unpack(panels + s.n, &block);
      next_blocks(f, &block);
      next += step;
    }
    multiply(out, ld_out, &s, x, n / DC_Q8_BLOCK, cols);
  }
}


static void matmul_blocks (dc_type type, float *out, size_t ld_out,
                           const void *w, size_t row_bytes, size_t rows,
                           const dc_q8_inputs *x, size_t cols, size_t n) {
  const dc_format *f = dc_format_of(type);
  for (size_t r = 0; r < rows; r += DC_LANES) {
    const uint8_t *from = (const uint8_t *)w + r * row_bytes;
    size_t count = at_most(rows - r, DC_LANES);
    sixteen_rows(f, out + r, ld_out, blocks_in_rows(from, row_bytes, count),
                 from + AHEAD * DC_LANES * row_bytes, count, x, cols, n);
  }
}


static void packed_blocks (dc_type type, float *out, size_t ld_out,
                           const uint8_t *w, size_t rows,
                           const dc_q8_inputs *x, size_t cols, size_t n) {
  const dc_format *f = dc_format_of(type);
  size_t strip_bytes = dc_strip_bytes(type, n);
  for (size_t r = 0; r < rows; r += DC_LANES, w += strip_bytes)
    sixteen_rows(f, out + r, ld_out, blocks_in_panel(f, w), w + FAR,
                 at_most(rows - r, DC_LANES), x, cols, n);
}
