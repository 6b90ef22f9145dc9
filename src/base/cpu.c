/* cpu.c: see cpu.h. */
#include "base/cpu.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const char *const names[DC_N_ISAS] = {
  [DC_ISA_SCALAR] = "scalar", [DC_ISA_AVX2] = "avx2",
  [DC_ISA_AVX512] = "avx512", [DC_ISA_AVX512VNNI] = "avx512vnni",
  [DC_ISA_NEON] = "neon",
};


const char *dc_isa_name (dc_isa isa) {
  return names[isa];
}


#if defined(__x86_64__)
/* Conversions of half floats: a name that clang's builtin does not know. */
static bool has_f16c (void) {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif


bool dc_isa_available (dc_isa isa) {
  switch (isa) {
    case DC_ISA_SCALAR: return true;
#if defined(__x86_64__)
    case DC_ISA_AVX2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             has_f16c();
    case DC_ISA_AVX512:
      return dc_isa_available(DC_ISA_AVX2) &&
             __builtin_cpu_supports("avx512f") &&
             __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vl");
    case DC_ISA_AVX512VNNI:
      return dc_isa_available(DC_ISA_AVX512) &&
             __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
    case DC_ISA_NEON: return true;
#endif
    default: return false;
  }
}


static void list_available (char *to, size_t size) {
  to[0] = '\0';
  for (dc_isa i = 0; i < DC_N_ISAS; i++)
    if (dc_isa_available(i)) {
      if (to[0] != '\0') strncat(to, ", ", size - strlen(to) - 1);
      strncat(to, names[i], size - strlen(to) - 1);
    }
}


bool dc_isa_choose (dc_isa *out, dc_error *err) {
  const char *wanted = getenv("DECANT_ISA");
  bool any = wanted == NULL || wanted[0] == '\0';
  for (int i = DC_N_ISAS - 1; i >= 0; i--)
    if (dc_isa_available((dc_isa)i) && (any || !strcmp(wanted, names[i]))) {
      *out = (dc_isa)i;
      return true;
    }
  char known[64];
  list_available(known, sizeof known);
  return dc_fail(err, "DECANT_ISA: no instruction set '%.40s' here (there are: "
                 "%s)", wanted, known);
}
