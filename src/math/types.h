/*
** types.h: the element types of weights, with the ids of GGUF, and the layout
** of the quantised blocks. Facts: ggml's block formats (ggml-common.h).
*/
#ifndef DC_TYPES_H
#define DC_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum dc_type {
  DC_F32 = 0, DC_F16 = 1, DC_Q8_0 = 8, DC_BF16 = 30
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

/* Conversions of one number; to half: nearest, ties to even. */
float dc_f16_to_f32 (uint16_t h);
uint16_t dc_f32_to_f16 (float x);

/* A row of n elements to float32, exactly what the format defines. */
void dc_dequantize_row (dc_type type, float *out, const void *row, size_t n);

/* A row of n floats to F32, F16 or Q8_0 (the rounding of ggml's reference
   quantiser: d = amax / 127, halves away from zero). False for a type that
   decant does not write. */
bool dc_quantize_row (dc_type type, void *out, const float *x, size_t n);

#endif
