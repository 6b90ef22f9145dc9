/* mersenne.c: see mersenne.h. */
#include "decode/mersenne.h"

#define N 624
#define M 397


void dc_mersenne_seed (dc_mersenne *m, uint32_t seed) {
  m->state[0] = seed;
  for (uint32_t i = 1; i < N; i++) {
    uint32_t before = m->state[i - 1];
    m->state[i] = 1812433253u * (before ^ before >> 30) + i;
  }
  m->at = N;
}


static void twist (uint32_t *s) {
  for (size_t i = 0; i < N; i++) {
    size_t next = i + 1 < N ? i + 1 : 0, far = i + M < N ? i + M : i + M - N;
    uint32_t y = (s[i] & 0x80000000u) | (s[next] & 0x7FFFFFFFu);
    s[i] = s[far] ^ y >> 1 ^ (y & 1 ? 0x9908B0DFu : 0);
  }
}


uint32_t dc_mersenne_next (dc_mersenne *m) {
  if (m->at == N) {
    twist(m->state);
    m->at = 0;
  }
  uint32_t y = m->state[m->at++];
  y ^= y >> 11;
  y ^= y << 7 & 0x9D2C5680u;
  y ^= y << 15 & 0xEFC60000u;
  return y ^ y >> 18;
}


void dc_mersenne_permute (dc_mersenne *m, int32_t *out, size_t n, size_t k) {
  for (size_t i = 0; i < n; i++) out[i] = (int32_t)i;
  for (size_t i = 0; i < k; i++) {
    size_t j = i + dc_mersenne_next(m) % (n - i);
    int32_t chosen = out[j];
    out[j] = out[i];
    out[i] = chosen;
  }
}
