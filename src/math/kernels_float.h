/*
** kernels_float.h: rows of f32, f16 or bf16 weights times rows of floats.
*/
typedef vf loader (const void *row, size_t i);
typedef vf part_loader (const void *row, size_t i, size_t n);

INLINE vf load_f32 (const void *row, size_t i) {
  return v_load((const float *)row + i);
}

INLINE vf part_f32 (const void *row, size_t i, size_t n) {
  return v_load_part((const float *)row + i, n);
}

INLINE vf load_f16 (const void *row, size_t i) {
  return v_load_f16((const uint16_t *)row + i);
}

INLINE vf part_f16 (const void *row, size_t i, size_t n) {
  uint16_t halves[16] = {0};
  memcpy(halves, (const uint16_t *)row + i, n * sizeof *halves);
  return v_load_f16(halves);
}


INLINE vf load_bf16 (const void *row, size_t i) {
  return v_load_bf16((const uint16_t *)row + i);
}

INLINE vf part_bf16 (const void *row, size_t i, size_t n) {
  uint16_t halves[16] = {0};
  memcpy(halves, (const uint16_t *)row + i, n * sizeof *halves);
  return v_load_bf16(halves);
}


static void to_f16 (uint16_t *out, const float *x, size_t n) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) v_store_f16(out + i, v_load(x + i));
  if (i < n) {
    uint16_t halves[16];
    v_store_f16(halves, v_load_part(x + i, n - i));
    memcpy(out + i, halves, (n - i) * sizeof *halves);
  }
}


/* Rows of weights, rows of activations (columns), and their products. */
typedef struct floats {
  float *out;        /* [columns][ld_out] */
  size_t ld_out;
  const char *w;     /* [rows][row_bytes] */
  size_t row_bytes;
  const float *x;    /* [columns][ld_x] */
  size_t ld_x, n;
  size_t step;       /* bytes of a row to each step over 16 inputs */
} floats;

#define LARGEST_TILE 16

/* What elements i.. (16, or `left` of them, if less) add to the sums of a tile,
   whose rows are `stride` bytes apart. */
INLINE void add_products (vf *sum, const char *w, size_t stride,
                          const float *x, size_t ld_x, size_t i, size_t left,
                          int high, int wide, loader *load,
                          part_loader *load_part) {
#pragma GCC unroll 4
  for (int r = 0; r < high; r++, w += stride) {
    vf a = left < 16 ? load_part(w, i, left) : load(w, i);
#pragma GCC unroll 4
    for (int c = 0; c < wide; c++) {
      const float *from = x + (size_t)c * ld_x;
      vf b = left < 16 ? part_f32(from, i, left) : load_f32(from, i);
      sum[c * high + r] = v_fma(a, b, sum[c * high + r]);
    }
  }
}


/* The totals of n vectors, a constant. */
INLINE void sum_up (float *total, const vf *sum, int n) {
  int s = 0;
  for (; s + 16 <= n; s += 16) v_sum16(total + s, sum + s);
  for (; s + 4 <= n; s += 4) v_sum4(total + s, sum + s);
  for (; s < n; s++) total[s] = v_sum(sum[s]);
}


/* A tile of outputs, `high` rows by `wide` columns (constants after inlining),
   from `row` and `col` on: as many independent sums, each in the order of
   dot_rows. Its rows lie `apart` rows from each other. The first columns that
   meet neighbours ask for those to come (see prefetch). */
INLINE void tile (const floats *p, size_t row, size_t col, size_t apart,
                  int high, int wide, bool first, loader *load,
                  part_loader *load_part) {
  vf sum[LARGEST_TILE];
  float total[LARGEST_TILE];
  const char *w = p->w + row * p->row_bytes;
  const float *x = p->x + col * p->ld_x;
  float *out = p->out + col * p->ld_out + row;
  const char *next = w + AHEAD * (size_t)high * p->row_bytes;
  size_t n = p->n, stride = apart * p->row_bytes, i = 0;
  size_t step = (size_t)high * p->step;
  for (int s = 0; s < high * wide; s++) sum[s] = v_set1(0.0f);
  for (; i + 16 <= n; i += 16) {
    if (first) prefetch(next, step), next += step;
    add_products(sum, w, stride, x, p->ld_x, i, 16, high, wide, load,
                 load_part);
  }
  if (i < n)
    add_products(sum, w, stride, x, p->ld_x, i, n - i, high, wide, load,
                 load_part);
  sum_up(total, sum, high * wide);
  for (int c = 0; c < wide; c++)
    for (int r = 0; r < high; r++)
      out[(size_t)c * p->ld_out + (size_t)r * apart] = total[c * high + r];
}


/* Neighbours row..end-1 against `wide` columns. */
INLINE void tiles (const floats *p, size_t row, size_t end, size_t col,
                   int wide, bool first, loader *load,
                   part_loader *load_part) {
  for (; row + TILE_ROWS <= end; row += TILE_ROWS)
    tile(p, row, col, 1, TILE_ROWS, wide, first, load, load_part);
  for (; row < end; row++)
    tile(p, row, col, 1, 1, wide, first, load, load_part);
}


/* Few columns wait for the weights, and these arrive the faster the longer they
   lie behind each other. So a tile has one row of each of STREAMS parts of the
   matrix: as many streams, each as long as a part, which a processor foresees.
   (Streams of neighbours would end with each row.) */
#define STREAMS 4

INLINE void streams (const floats *p, size_t rows, int wide, loader *load,
                     part_loader *load_part) {
  size_t part = rows / STREAMS;
  for (size_t r = 0; r < part; r++)
    tile(p, r, 0, part, STREAMS, wide, false, load, load_part);
  for (size_t r = STREAMS * part; r < rows; r++)
    tile(p, r, 0, 1, 1, wide, false, load, load_part);
}


/* Rows that stay in the first cache while all columns of a block meet them,
   and columns that stay in the second while all rows do. */
#define BLOCK_ROWS 16
#define BLOCK_COLS 64

INLINE void block (const floats *p, size_t row, size_t rows, size_t col,
                   size_t cols, loader *load, part_loader *load_part) {
#define TILES(n) tiles(p, row, row + rows, c, n, c == col, load, load_part)
  for (size_t c = col; c < col + cols; c += TILE_COLS)
    WITH_CONSTANT(at_most(col + cols - c, TILE_COLS), TILES)
#undef TILES
}


INLINE void matmul_floats (const floats *p, size_t rows, size_t cols,
                           loader *load, part_loader *load_part) {
#define STREAM(n) streams(p, rows, n, load, load_part)
  if (cols > 0 && cols < TILE_COLS) {
    WITH_CONSTANT(cols, STREAM)
    return;
  }
  for (size_t c = 0; c < cols; c += BLOCK_COLS)
    for (size_t r = 0; r < rows; r += BLOCK_ROWS)
      block(p, r, at_most(rows - r, BLOCK_ROWS), c,
            at_most(cols - c, BLOCK_COLS), load, load_part);
#undef STREAM
}


#define MATMUL(name, load, load_part)                                         \
  static void name (float *out, size_t ld_out, const void *w,                 \
                    size_t row_bytes, size_t rows, const float *x,            \
                    size_t ld_x, size_t cols, size_t n) {                     \
    size_t step = row_bytes / (n / 16 + 1);                                   \
    floats p = {out, ld_out, w, row_bytes, x, ld_x, n, step};                 \
    matmul_floats(&p, rows, cols, load, load_part);                           \
  }

MATMUL(matmul_f32, load_f32, part_f32)
MATMUL(matmul_f16, load_f16, part_f16)
MATMUL(matmul_bf16, load_bf16, part_bf16)
