/*
** kernels_impl.h: every kernel, written once on the vector vocabulary and
** compiled for each instruction set (kernels_*.c). Contracts: kernels.h.
*/
#include <math.h>

#include "math/kernels.h"

#define INLINE static inline __attribute__((always_inline))

INLINE size_t at_most (size_t n, size_t most) {
  return n < most ? n : most;
}


/* Calls `f` with n, 1 to TILE_COLS columns or queries, as a constant, so that
   its sums stay in registers. */
#if TILE_COLS > 2
#define WITH_CONSTANT(n, f) \
  switch (n) { \
    case 1: f(1); break; case 2: f(2); break; \
    case 3: f(3); break; default: f(4); \
  }
#else
#define WITH_CONSTANT(n, f) if ((n) == 1) { f(1); } else { f(2); }
#endif


/* Rows that are read side by side are more streams than a processor foresees,
   or end too soon. But they lie behind each other, so each step over some rows
   asks for a part of those that come AHEAD times as many rows later (which may
   not be there: to ask does no harm), into the second cache: the first would
   lose what it holds. */
#define AHEAD 2

/* In panels the next step follows the last, and only the end of a page of 4 KB
   stops the processor from seeing that: what comes FAR bytes later will do. */
#define FAR 4096

INLINE void prefetch (const void *from, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64)
    __builtin_prefetch((const char *)from + i, 0, 2);
}


#include "math/kernels_functions.h"
#include "math/kernels_rows.h"
#include "math/kernels_float.h"
#include "math/kernels_tile.h"
#include "math/kernels_q8.h"
#include "math/kernels_blocks.h"
#include "math/kernels_packed.h"
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
  .matmul_blocks = matmul_blocks, .pack = pack,
  .matmul_packed = matmul_packed,
  .quantize_q8 = quantize_q8,
  .to_f16 = to_f16, .attention_f32 = attention_f32,
  .attention_f16 = attention_f16, .attention_join = attention_join,
};
