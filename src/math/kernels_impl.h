/*
** kernels_impl.h: every kernel, written once on the vector vocabulary and
** compiled for each instruction set (kernels_*.c). Contracts: kernels.h.
*/
#include <math.h>

#include "math/kernels.h"

#define INLINE static inline __attribute__((always_inline))

#include "math/kernels_functions.h"
#include "math/kernels_rows.h"
#include "math/kernels_float.h"
#include "math/kernels_q8.h"
#include "math/kernels_blocks.h"
#include "math/kernels_attention.h"


extern const dc_kernels VEC_TABLE;

const dc_kernels VEC_TABLE = {
  .isa = VEC_ISA,
  .dot = dot_rows, .sum = sum_row, .max = max_row, .has_nan = has_nan,
  .sum_exp = sum_exp,
  .add = add_rows, .sub = sub_rows, .mul = mul_rows, .div = div_rows,
  .scale = scale_row, .shift = shift_row, .axpy = axpy_row,
  .exp = exp_row, .log = log_row, .tanh = tanh_row, .relu = relu_row,
  .silu = silu_row, .gelu = gelu_row, .gelu_tanh = gelu_tanh_row,
  .softmax = softmax_row, .log_softmax = log_softmax_row,
  .layer_norm = layer_norm, .rms_norm = rms_norm,
  .matmul_f32 = matmul_f32, .matmul_f16 = matmul_f16,
  .matmul_bf16 = matmul_bf16, .matmul_q8_0 = matmul_q8_0,
  .matmul_blocks = matmul_blocks, .quantize_q8 = quantize_q8,
  .attention = attention,
};
