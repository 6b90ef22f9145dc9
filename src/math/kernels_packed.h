/*
** kernels_packed.h: quantised weights to panels (panels.h), and products with
** them: by tiles where the words are multiplied as they lie, or else by the
** kernel that also reads rows.
*/

/* One block of 16 rows. The last four words may be some of those before. */
static void turn_block (uint8_t *to, const dc_blocks *block,
                        const dc_format *f) {
  size_t n_words = (size_t)f->bytes / sizeof(uint32_t);
  size_t at = (size_t)f->words_at;
  dc_words *words = (void *)to;
  for (size_t k = 0; k + 4 <= n_words; k += 4)
    v_turn(words + k, block->row, at + 4 * k);
  if (n_words % 4 != 0)
    v_turn(words + n_words - 4, block->row, at + 4 * (n_words - 4));
  if (f->bytes % 4 != 0) {
    uint16_t *half = (void *)(words + n_words);
    at = f->words_at > 0 ? 0 : 4 * n_words;
    EACH_ROW memcpy(&half[r], block->row[r] + at, sizeof *half);
  }
}


static void pack (dc_type type, void *panels, const void *w, size_t row_bytes,
                  size_t rows, size_t n) {
  const dc_format *f = dc_format_of(type);
  size_t n_blocks = n / dc_type_of((uint32_t)type)->block;
  const size_t bytes = DC_LANES * (size_t)f->bytes;
  const uint8_t *from = w;
  uint8_t *to = panels;
  for (size_t r = 0; r < rows; r += DC_LANES, from += DC_LANES * row_bytes) {
    size_t count = at_most(rows - r, DC_LANES);
    dc_blocks block = blocks_in_rows(from, row_bytes, count);
    const uint8_t *next = from + AHEAD * DC_LANES * row_bytes;
    for (size_t i = 0; i < n_blocks; i++, to += bytes, next += bytes) {
      prefetch(next, bytes);
      turn_block(to, &block, f);
      next_blocks(f, &block);
    }
  }
}


static void matmul_packed (dc_type type, float *out, size_t ld_out,
                           const void *panels, size_t rows,
                           const dc_q8_inputs *x, size_t cols, size_t n) {
  if (type == DC_Q8_0)
    matmul_tiles(out, ld_out, panels, rows, x, cols, n, false);
  else if (type == DC_Q4_0)
    matmul_tiles(out, ld_out, panels, rows, x, cols, n, true);
  else
    packed_blocks(type, out, ld_out, panels, rows, x, cols, n);
}
