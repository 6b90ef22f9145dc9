/*
** cpu.h: which instruction sets this processor has, and which one is in use.
** The choice changes speed only: all of them give the same bits.
*/
#ifndef DC_CPU_H
#define DC_CPU_H

#include <stdbool.h>

#include "base/fail.h"

typedef enum dc_isa {
  DC_ISA_SCALAR, DC_ISA_AVX2, DC_ISA_AVX512, DC_ISA_AVX512VNNI, DC_ISA_NEON,
  DC_N_ISAS
} dc_isa;

/* "scalar", "avx2", "avx512", "avx512vnni", "neon": the words of DECANT_ISA. */
const char *dc_isa_name (dc_isa isa);

/* Compiled in and present in this processor. avx2 means AVX2, FMA and F16C;
   avx512 means F, BW, DQ and VL on top of that; avx512vnni has VNNI too. */
bool dc_isa_available (dc_isa isa);

/* The best one available or, when the environment says DECANT_ISA=name, that
   one; an unknown or absent one is an error that lists what there is. */
bool dc_isa_choose (dc_isa *out, dc_error *err);

#endif
