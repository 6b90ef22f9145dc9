/* contrast.c: see contrast.h. */
#include "decode/contrast.h"

#include <math.h>

#include "math/kernels.h"


/* With m = (p + q) / 2 both halves are m * (log m - log of the one). */
double dc_divergence (const float *a, const float *b, size_t n, float *room) {
  const dc_kernels *k = dc_kernels_get();
  float *m = room, *log_m = room + n;
  double sum = 0;
  k->exp(m, a, n);
  k->exp(log_m, b, n);
  k->add(m, m, log_m, n);
  k->scale(m, m, 0.5f, n);
  k->log(log_m, m, n);
  for (size_t i = 0; i < n; i++)
    if (m[i] > 0)
      sum += m[i] * (log_m[i] - 0.5 * ((double)a[i] + b[i]));
  return sum / (double)n;
}


/* Far below what any model says, and near enough that the order stays. */
#define OUT 1e5f

void dc_contrast (float *x, const float *base, size_t n, float share) {
  const dc_kernels *k = dc_kernels_get();
  float one[] = {share};
  k->log(one, one, 1);
  float least = k->max(x, n) + one[0];
  for (size_t i = 0; i < n; i++)
    x[i] -= x[i] < least ? OUT : base[i];
}
