/*
** codec.c: rows of any type to floats and back.
**
** Plain types are converted number by number; a quantised row comes apart 16
** blocks at a time, by the one unpacker of its format (blocks.h).
*/
#include "math/types.h"

#include "math/vec_scalar.h"

#include "math/blocks_table.h"
#include "math/quantize.h"

static void f32_to_floats (float *out, const uint8_t *row, size_t n) {
  memcpy(out, row, n * sizeof *out);
}


static void f16_to_floats (float *out, const uint8_t *row, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint16_t half;
    memcpy(&half, row + i * sizeof half, sizeof half);
    out[i] = dc_f16_to_f32(half);
  }
}


static void bf16_to_floats (float *out, const uint8_t *row, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint16_t half;
    memcpy(&half, row + i * sizeof half, sizeof half);
    uint32_t bits = (uint32_t)half << 16;
    memcpy(&out[i], &bits, sizeof bits);
  }
}


static void floats_to_f32 (uint8_t *out, const float *x, size_t n) {
  memcpy(out, x, n * sizeof *x);
}


static void floats_to_f16 (uint8_t *out, const float *x, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint16_t half = dc_f32_to_f16(x[i]);
    memcpy(out + i * sizeof half, &half, sizeof half);
  }
}


static void floats_to_bf16 (uint8_t *out, const float *x, size_t n) {
  for (size_t i = 0; i < n; i++) {
    uint16_t half = dc_f32_to_bf16(x[i]);
    memcpy(out + i * sizeof half, &half, sizeof half);
  }
}


/* The 32 inputs of one lane of a panel. */
static void lane_to_floats (float *out, const dc_panel *p, int lane,
                            const dc_format *f) {
  for (int i = 0; i < 32; i++) {
    int h = i / f->group;
    int code = (int)(p->q[i / 4][lane] >> 8 * (i % 4) & 0xff);
    if (f->is_signed) code = (int8_t)code;
    float y = p->scale[h][lane] * (float)(code - f->zero);
    out[i] = f->has_min ? y + p->min[h][lane] : y;
  }
}


static void blocks_to_floats (const dc_format *f, float *out,
                              const uint8_t *row, size_t n) {
  size_t inputs = 32 * (size_t)f->panels, n_blocks = n / inputs;
  for (size_t first = 0; first < n_blocks; first += DC_LANES) {
    dc_panel panels[DC_MAX_PANELS];
    dc_blocks block = {.words = NULL};
    size_t rest = n_blocks - first, many = rest < DC_LANES ? rest : DC_LANES;
    for (size_t r = 0; r < DC_LANES; r++)  /* the last fills the lanes */
      block.row[r] = row + (first + (r < many ? r : many - 1)) * (size_t)f->bytes;
    f->unpack(panels, &block);
    for (size_t r = 0; r < many; r++)
      for (int k = 0; k < f->panels; k++, out += 32)
        lane_to_floats(out, &panels[k], (int)r, f);
  }
}


/* Quantised types have no to_floats here: dc_formats takes them apart. */
static const struct codec {
  void (*to_floats) (float *out, const uint8_t *row, size_t n);
  dc_quantizer *from_floats;
} codecs[] = {
  [DC_F32] = {f32_to_floats, floats_to_f32},
  [DC_F16] = {f16_to_floats, floats_to_f16},
  [DC_BF16] = {bf16_to_floats, floats_to_bf16},
  [DC_Q4_0] = {NULL, dc_quantize_q4_0}, [DC_Q4_1] = {NULL, dc_quantize_q4_1},
  [DC_Q5_0] = {NULL, dc_quantize_q5_0}, [DC_Q5_1] = {NULL, dc_quantize_q5_1},
  [DC_Q8_0] = {NULL, dc_quantize_q8_0}, [DC_Q2_K] = {NULL, dc_quantize_q2_k},
  [DC_Q3_K] = {NULL, dc_quantize_q3_k}, [DC_Q4_K] = {NULL, dc_quantize_q4_k},
  [DC_Q5_K] = {NULL, dc_quantize_q5_k}, [DC_Q6_K] = {NULL, dc_quantize_q6_k},
  [DC_IQ4_NL] = {NULL, dc_quantize_iq4_nl},
  [DC_IQ4_XS] = {NULL, dc_quantize_iq4_xs},
};

#define N_CODECS (sizeof codecs / sizeof codecs[0])


void dc_dequantize_row (dc_type type, float *out, const void *row, size_t n) {
  const dc_format *f = dc_format_of(type);
  if (f != NULL)
    blocks_to_floats(f, out, row, n);
  else if ((size_t)type < N_CODECS && codecs[type].to_floats != NULL)
    codecs[type].to_floats(out, row, n);
}


bool dc_quantize_row (dc_type type, void *out, const float *x, size_t n) {
  bool writes = (size_t)type < N_CODECS && codecs[type].from_floats != NULL;
  if (writes) codecs[type].from_floats(out, x, n);
  return writes;
}
