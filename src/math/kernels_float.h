/*
** kernels_float.h: rows of f32 or f16 weights times rows of floats.
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


/* A tile of outputs, `rows` by `cols` (constants after inlining): as many
   independent sums, each in the order of dot_rows. */
INLINE void tile (float *out, size_t ld_out, const char *w, size_t row_bytes,
                  const float *x, size_t ld_x, size_t n, int rows, int cols,
                  loader *load, part_loader *load_part) {
  vf sum[8][4];
  size_t i = 0;
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < cols; c++) sum[r][c] = v_set1(0.0f);
  for (; i + 16 <= n; i += 16)
    for (int r = 0; r < rows; r++) {
      vf a = load(w + (size_t)r * row_bytes, i);
      for (int c = 0; c < cols; c++)
        sum[r][c] = v_fma(a, v_load(x + (size_t)c * ld_x + i), sum[r][c]);
    }
  if (i < n)
    for (int r = 0; r < rows; r++) {
      vf a = load_part(w + (size_t)r * row_bytes, i, n - i);
      for (int c = 0; c < cols; c++) {
        vf b = v_load_part(x + (size_t)c * ld_x + i, n - i);
        sum[r][c] = v_fma(a, b, sum[r][c]);
      }
    }
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < cols; c++)
      out[(size_t)c * ld_out + (size_t)r] = v_sum(sum[r][c]);
}


/* All rows against `cols` columns, in tiles of `high` rows. */
INLINE void stripe (float *out, size_t ld_out, const char *w, size_t row_bytes,
                    size_t rows, const float *x, size_t ld_x, size_t n,
                    int high, int cols, loader *load, part_loader *load_part) {
  size_t r = 0;
  for (; r + (size_t)high <= rows; r += (size_t)high)
    tile(out + r, ld_out, w + r * row_bytes, row_bytes, x, ld_x, n, high, cols,
         load, load_part);
  for (; r < rows; r++)
    tile(out + r, ld_out, w + r * row_bytes, row_bytes, x, ld_x, n, 1, cols,
         load, load_part);
}


#define MATMUL(name, load, load_part)                                         \
  static void name (float *out, size_t ld_out, const void *w,                 \
                    size_t row_bytes, size_t rows, const float *x,            \
                    size_t ld_x, size_t cols, size_t n) {                     \
    size_t c = 0;                                                             \
    for (; c + TILE_COLS <= cols; c += TILE_COLS)                             \
      stripe(out + c * ld_out, ld_out, w, row_bytes, rows, x + c * ld_x,      \
             ld_x, n, TILE_ROWS, TILE_COLS, load, load_part);                 \
    for (; c < cols; c++)                                                     \
      stripe(out + c * ld_out, ld_out, w, row_bytes, rows, x + c * ld_x,      \
             ld_x, n, WIDE_ROWS, 1, load, load_part);                         \
  }

MATMUL(matmul_f32, load_f32, part_f32)
MATMUL(matmul_f16, load_f16, part_f16)
MATMUL(matmul_bf16, load_bf16, part_bf16)
