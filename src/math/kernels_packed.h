/*
** kernels_packed.h: quantised weights to panels (panels.h), and products with
** them, by the kernels that also read rows.
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


/* 16 rows of Q4_0 against one column, the codes straight from their words
   (unpack_q4_0 says which is where; the order is that of kernels_blocks.h). */
static void q4_stream (float *out, const uint8_t *panel, size_t count,
                       const dc_q8_inputs *x, size_t n) {
  const dc_format *f = &dc_formats[DC_Q4_0];
  const size_t bytes = DC_LANES * (size_t)f->bytes;
  vf acc = v_set1(0.0f);
  for (size_t b = 0; b < n / DC_Q8_BLOCK; b++, x++, panel += bytes) {
    dc_blocks block = blocks_in_panel(f, panel);
    vi sum = v_all(-f->zero * (x->sum[0] + x->sum[1]));
    prefetch(panel + FAR, bytes);
    for (size_t k = 0; k < 4; k++)
      sum = v_dot8_halves(sum, block.words[k], x->q + 4 * k);
    vf scale = v_mul(v_load_f16(block.halves), v_set1(x->scale));
    acc = v_fma(v_float(sum), scale, acc);
  }
  store_lanes(out, acc, count);
}


static void matmul_q4_column (float *out, const uint8_t *panels, size_t rows,
                              const dc_q8_inputs *x, size_t n) {
  size_t strip_bytes = dc_strip_bytes(DC_Q4_0, n);
  for (size_t r = 0; r < rows; r += DC_LANES, panels += strip_bytes)
    q4_stream(out + r, panels, at_most(rows - r, DC_LANES), x, n);
}


static void matmul_packed (dc_type type, float *out, size_t ld_out,
                           const void *panels, size_t rows,
                           const dc_q8_inputs *x, size_t cols, size_t n) {
  if (type == DC_Q8_0)
    matmul_q8_packed(out, ld_out, panels, rows, x, cols, n);
  else if (type == DC_Q4_0 && cols == 1)
    matmul_q4_column(out, panels, rows, x, n);
  else
    packed_blocks(type, out, ld_out, panels, rows, x, cols, n);
}
