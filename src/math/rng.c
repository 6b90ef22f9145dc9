/* rng.c: see rng.h. */
#include "math/rng.h"


void dc_rng_block (uint64_t seed, uint64_t row, uint64_t position,
                   uint32_t out[4]) {
  uint32_t key0 = (uint32_t)seed, key1 = (uint32_t)(seed >> 32);
  uint32_t c0 = (uint32_t)position, c1 = (uint32_t)(position >> 32);
  uint32_t c2 = (uint32_t)row, c3 = (uint32_t)(row >> 32);
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ key0;
    uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ key1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    c0 = n0;
    c2 = n2;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}


double dc_rng_uniform (dc_rng *rng) {
  uint32_t bits[4];
  dc_rng_block(rng->seed, rng->row, rng->position++, bits);
  uint64_t wide = (uint64_t)bits[1] << 32 | bits[0];
  return (double)(wide >> 11) * 0x1p-53;
}
