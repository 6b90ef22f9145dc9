/* kernels_neon.c: the kernels for one instruction set; see kernels_impl.h. */
#if defined(__aarch64__)
#include "math/vec_neon.h"

#include "math/kernels_impl.h"
#else
typedef int dc_no_neon;  /* a C file may not be empty */
#endif
