/*
** mersenne.h: MT19937 (Matsumoto, Nishimura: "Mersenne twister", 1998) with
** its first seeding function, init_genrand of 2002: the numbers that
** torch.Generator gives on a CPU. Watermarks are defined by them; decant's
** own draws come from math/rng.h.
*/
#ifndef DC_MERSENNE_H
#define DC_MERSENNE_H

#include <stddef.h>
#include <stdint.h>

typedef struct dc_mersenne {
  uint32_t state[624];
  size_t at;
} dc_mersenne;

void dc_mersenne_seed (dc_mersenne *m, uint32_t seed);
uint32_t dc_mersenne_next (dc_mersenne *m);

/* The first k places of torch.randperm(n), in out[n]; k < n. */
void dc_mersenne_permute (dc_mersenne *m, int32_t *out, size_t n, size_t k);

#endif
