/* kernels_avx512vnni.c: the kernels for one instruction set; see
   kernels_impl.h. */
#if defined(__x86_64__)
#include "math/vec_avx512.h"

#include "math/kernels_impl.h"
#else
typedef int dc_no_avx512vnni;  /* a C file may not be empty */
#endif
