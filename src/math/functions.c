/*
** functions.c: see functions.h. Plain additions and multiplications only, in
** an order that no compiler may change (-ffp-contract=off, no fast-math).
** Argument reduction: Cody and Waite; series: Taylor.
*/
#include "math/functions.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LN2_HIGH 6.93147180369123816490e-01  /* 32 bits of ln 2 */
#define LN2_LOW 1.90821492927058770002e-10


static double from_bits (uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}


static double pow2 (int n) {  /* -1022..1023 */
  return from_bits((uint64_t)(n + 1023) << 52);
}


double dc_exp (double x) {
  if (x != x) return x;
  if (x > 710.0) return INFINITY;
  if (x < -746.0) return 0.0;
  double n = floor(x * 1.4426950408889634 + 0.5);
  double r = (x - n * LN2_HIGH) - n * LN2_LOW, y = 1.0;
  for (int i = 14; i > 0; i--) y = 1.0 + y * r / i;
  int half = (int)n / 2;
  return y * pow2(half) * pow2((int)n - half);
}


/* x = m * 2^e with m around 1; log m = 2 atanh((m - 1) / (m + 1)). */
double dc_log (double x) {
  if (x != x || x < 0.0) return NAN;
  if (x == 0.0) return -INFINITY;
  if (x == INFINITY) return x;
  int e;
  double m = frexp(x, &e);
  if (m < 0.70710678118654752) {
    m *= 2.0;
    e--;
  }
  double s = (m - 1.0) / (m + 1.0), s2 = s * s, y = 0.0;
  for (int i = 23; i >= 3; i -= 2) y = (y + 1.0 / i) * s2;
  return e * LN2_HIGH + (2.0 * s + (2.0 * s * y + e * LN2_LOW));
}


static double sin_series (double r) {
  double r2 = r * r, y = 1.0;
  for (int i = 20; i > 0; i -= 2) y = 1.0 - y * r2 / (i * (i + 1));
  return r * y;
}


static double cos_series (double r) {
  double r2 = r * r, y = 1.0;
  for (int i = 20; i > 0; i -= 2) y = 1.0 - y * r2 / (i * (i - 1));
  return y;
}


/* sin(x + quarter * pi / 2) */
static double sin_from (double x, int quarter) {
  double n = floor(x * 0.63661977236758134 + 0.5);
  double r = ((x - n * 1.57079632673412561417e+00)
              - n * 6.07710050630396597660e-11)
             - n * 2.02226624879595063154e-21;
  int which = ((int)fmod(n, 4.0) + quarter + 4) % 4;
  double y = which % 2 == 0 ? sin_series(r) : cos_series(r);
  return which < 2 ? y : -y;
}


double dc_sin (double x) {
  return sin_from(x, 0);
}


double dc_cos (double x) {
  return sin_from(x, 1);
}


double dc_pow (double x, double y) {
  return y == 0.0 ? 1.0 : y == 1.0 ? x : dc_exp(y * dc_log(x));
}


double dc_sqrt (double x) {
  return sqrt(x);  /* correctly rounded everywhere */
}
