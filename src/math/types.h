/*
** types.h: the element types of weights, with the ids of GGUF, and the way of
** a row to floats and back. Facts: ggml's block formats (ggml-common.h).
**
** What a block of a quantised type looks like is known to blocks_*.h (reading)
** and quantize_*.c (writing) alone; everybody else has rows of bytes.
*/
#ifndef DC_TYPES_H
#define DC_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum dc_type {
  DC_F32 = 0, DC_F16 = 1, DC_Q4_0 = 2, DC_Q4_1 = 3, DC_Q5_0 = 6, DC_Q5_1 = 7,
  DC_Q8_0 = 8, DC_Q2_K = 10, DC_Q3_K = 11, DC_Q4_K = 12, DC_Q5_K = 13,
  DC_Q6_K = 14, DC_IQ4_NL = 20, DC_IQ4_XS = 23, DC_BF16 = 30
} dc_type;

/* A type as the file format knows it: `block` elements in `bytes` bytes. All
   types that GGUF defines are known here, so that a file can be listed; only
   those with `computes` can be multiplied with. */
typedef struct dc_type_info {
  const char *name;  /* "q8_0" */
  uint32_t block, bytes;
  bool computes;
} dc_type_info;

/* NULL for an id that GGUF does not define (or has removed). */
const dc_type_info *dc_type_of (uint32_t id);

/* The id of "f32", "f16", "q8_0", ...; false for an unknown name. */
bool dc_type_by_name (const char *name, dc_type *out);

/* Bytes of a row of n elements; false when n is no multiple of the block or
   the size overflows. */
bool dc_row_bytes (dc_type type, size_t n, size_t *out);

#define DC_Q8_BLOCK 32

/* Q8_0: y[i] = d * q[i]. Packed as in the file: 34 bytes, no alignment. */
typedef struct dc_block_q8_0 {
  uint16_t d;  /* half precision */
  int8_t q[DC_Q8_BLOCK];
} dc_block_q8_0;

/* What the 16 codes of IQ4_NL and IQ4_XS stand for. */
extern const int8_t dc_iq4_values[16];

/* Conversions of one number; from float: nearest, ties to even. */
float dc_f16_to_f32 (uint16_t h);
uint16_t dc_f32_to_f16 (float x);
uint16_t dc_f32_to_bf16 (float x);

/* A row of n elements of a type with `computes` to float32, exactly what the
   format defines. */
void dc_dequantize_row (dc_type type, float *out, const void *row, size_t n);

/* A row of n floats to a type; quantize_*.c say how each is rounded.
   Any floats will do, but only finite ones come back as what they were.
   False for a type that decant does not write. */
bool dc_quantize_row (dc_type type, void *out, const float *x, size_t n);

#endif
