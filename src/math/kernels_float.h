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


#define LARGEST_TILE 16

/* A tile of outputs, `high` rows by `wide` columns (constants after inlining):
   as many independent sums, each in the order of dot_rows. The first columns
   that meet some rows ask for those to come (see prefetch). */
INLINE void tile (float *out, size_t ld_out, const char *w, size_t row_bytes,
                  const float *x, size_t ld_x, size_t n, int high, int wide,
                  bool first, loader *load, part_loader *load_part) {
  vf sum[LARGEST_TILE];
  float total[LARGEST_TILE];
  const char *next = w + AHEAD * (size_t)high * row_bytes;
  size_t step = (size_t)high * row_bytes / (n / 16 + 1), i = 0;
  for (int s = 0; s < high * wide; s++) sum[s] = v_set1(0.0f);
  for (; i + 16 <= n; i += 16) {
    if (first) prefetch(next, step), next += step;
    for (int r = 0; r < high; r++) {
      vf a = load(w + (size_t)r * row_bytes, i);
      for (int c = 0; c < wide; c++)
        sum[c * high + r] = v_fma(a, v_load(x + (size_t)c * ld_x + i),
                                  sum[c * high + r]);
    }
  }
  if (i < n)
    for (int r = 0; r < high; r++) {
      vf a = load_part(w + (size_t)r * row_bytes, i, n - i);
      for (int c = 0; c < wide; c++) {
        vf b = v_load_part(x + (size_t)c * ld_x + i, n - i);
        sum[c * high + r] = v_fma(a, b, sum[c * high + r]);
      }
    }
  if (high * wide % 4 == 0)
    for (int s = 0; s < high * wide; s += 4) v_sum4(total + s, sum + s);
  else
    for (int s = 0; s < high * wide; s++) total[s] = v_sum(sum[s]);
  for (int c = 0; c < wide; c++)
    memcpy(out + (size_t)c * ld_out, total + c * high,
           (size_t)high * sizeof *out);
}


/* A block: some rows against some columns, in tiles. */
INLINE void tiles (float *out, size_t ld_out, const char *w, size_t row_bytes,
                   size_t rows, const float *x, size_t ld_x, size_t n,
                   int high, int wide, bool first, loader *load,
                   part_loader *load_part) {
  size_t r = 0;
  for (; r + (size_t)high <= rows; r += (size_t)high)
    tile(out + r, ld_out, w + r * row_bytes, row_bytes, x, ld_x, n, high, wide,
         first, load, load_part);
  for (; r < rows; r++)
    tile(out + r, ld_out, w + r * row_bytes, row_bytes, x, ld_x, n, 1, wide,
         first, load, load_part);
}


/* Rows that stay in the first cache while all columns of a block meet them,
   and columns that stay in the second while all rows do. */
#define BLOCK_ROWS 16
#define BLOCK_COLS 64

#define MATMUL(name, load, load_part)                                         \
  static void name##_block (float *out, size_t ld_out, const char *w,         \
                            size_t row_bytes, size_t rows, const float *x,    \
                            size_t ld_x, size_t cols, size_t n) {             \
    size_t c = 0;                                                             \
    for (; c + TILE_COLS <= cols; c += TILE_COLS)                             \
      tiles(out + c * ld_out, ld_out, w, row_bytes, rows, x + c * ld_x,       \
            ld_x, n, TILE_ROWS, TILE_COLS, c == 0, load, load_part);          \
    for (; c < cols; c++)                                                     \
      tiles(out + c * ld_out, ld_out, w, row_bytes, rows, x + c * ld_x,       \
            ld_x, n, WIDE_ROWS, 1, c == 0, load, load_part);                  \
  }                                                                           \
                                                                              \
  static void name (float *out, size_t ld_out, const void *weights,           \
                    size_t row_bytes, size_t rows, const float *x,            \
                    size_t ld_x, size_t cols, size_t n) {                     \
    const char *w = weights;                                                  \
    for (size_t c = 0; c < cols; c += BLOCK_COLS)                             \
      for (size_t r = 0; r < rows; r += BLOCK_ROWS)                           \
        name##_block(out + c * ld_out + r, ld_out, w + r * row_bytes,         \
                     row_bytes, at_most(rows - r, BLOCK_ROWS), x + c * ld_x,  \
                     ld_x, at_most(cols - c, BLOCK_COLS), n);                 \
  }

MATMUL(matmul_f32, load_f32, part_f32)
MATMUL(matmul_f16, load_f16, part_f16)
MATMUL(matmul_bf16, load_bf16, part_bf16)
