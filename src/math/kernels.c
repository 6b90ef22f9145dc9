/* kernels.c: the choice of the table; see kernels.h. */
#include "math/kernels.h"

#include <stdatomic.h>

extern const dc_kernels dc_kernels_scalar;
extern const dc_kernels dc_kernels_avx2;
extern const dc_kernels dc_kernels_avx512;
extern const dc_kernels dc_kernels_avx512vnni;
extern const dc_kernels dc_kernels_neon;

static _Atomic(const dc_kernels *) in_use;


const dc_kernels *dc_kernels_of (dc_isa isa) {
  if (isa >= DC_N_ISAS || !dc_isa_available(isa)) return NULL;
  switch (isa) {
#if defined(__x86_64__)
    case DC_ISA_AVX2: return &dc_kernels_avx2;
    case DC_ISA_AVX512: return &dc_kernels_avx512;
    case DC_ISA_AVX512VNNI: return &dc_kernels_avx512vnni;
#elif defined(__aarch64__)
    case DC_ISA_NEON: return &dc_kernels_neon;
#endif
    default: return &dc_kernels_scalar;
  }
}


bool dc_kernels_init (dc_error *err) {
  dc_isa isa;
  if (atomic_load(&in_use) != NULL) return true;
  if (!dc_isa_choose(&isa, err)) return false;
  atomic_store(&in_use, dc_kernels_of(isa));
  return true;
}


const dc_kernels *dc_kernels_get (void) {
  const dc_kernels *k = atomic_load(&in_use);
  return k != NULL ? k : &dc_kernels_scalar;
}
