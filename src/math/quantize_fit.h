/*
** quantize_fit.h: the search for the scales of blocks of 256.
**
** Round-to-nearest takes the scale from the outermost numbers. The squared
** error is smaller if these may miss a little, so some scales around that one
** are tried; for each the codes are rounded, and then the scale (and minimum)
** that suits these codes best follows from linear least squares. What comes
** out is rounded to the small integers that the format has for scales, and at
** last the codes are rounded again, to the scales as they will be read.
*/
#ifndef DC_QUANTIZE_FIT_H
#define DC_QUANTIZE_FIT_H

#include <stdint.h>

#define DC_K_BLOCK 256

/* The numbers that codes stand for: low, low + 1, ... or a table. */
typedef struct dc_levels {
  int count;
  int low;               /* without a table; the level that is farthest out */
  const int8_t *table;   /* [count], ascending; NULL: none */
} dc_levels;

/* A block of  x = d * scale * level(code)  with 256 / group scales. */
typedef struct dc_k_plain {
  float d;
  int8_t scale[16];
  uint8_t code[DC_K_BLOCK];
} dc_k_plain;

/* A block of  x = d * scale * code - d_min * min . */
typedef struct dc_k_min {
  float d, d_min;
  uint8_t scale[16], min[16];
  uint8_t code[DC_K_BLOCK];
} dc_k_min;

/* The scale and the codes (counted from 0) for n numbers. */
float dc_fit_scale (uint8_t *code, const float *x, int n, dc_levels levels);

/* Scales are low_scale .. -low_scale - 1. */
void dc_fit_plain (dc_k_plain *out, const float *x, int group,
                   dc_levels levels, int low_scale);

/* Codes are 0..high, scales and minima 0..high_scale. */
void dc_fit_min (dc_k_min *out, const float *x, int group, int high,
                 int high_scale);

#endif
