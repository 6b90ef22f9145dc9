/*
** rng.h: a counter-based random number generator, Philox4x32-10 (Salmon,
** Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011).
**
** A draw is a function of (seed, row, position) and of nothing else: not of
** the other rows of a batch, of threads, or of how many draws came before.
*/
#ifndef DC_RNG_H
#define DC_RNG_H

#include <stdint.h>

typedef struct dc_rng {
  uint64_t seed, row, position;
} dc_rng;

/* The 128 bits at (seed, row, position). */
void dc_rng_block (uint64_t seed, uint64_t row, uint64_t position,
                   uint32_t out[4]);

/* Uniform in [0, 1), 53 bits; moves on by one position. */
double dc_rng_uniform (dc_rng *rng);

#endif
