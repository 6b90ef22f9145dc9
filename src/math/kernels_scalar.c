/* kernels_scalar.c: the kernels for one instruction set; see kernels_impl.h. */
#include "math/vec_scalar.h"

#include "math/kernels_impl.h"
