/*
** kernels_functions.h: exp, log, tanh, erfc and the activations of one vector.
**
** Coefficients are own fits (Chebyshev nodes, 40 digits): exp on
** [-ln 2 / 2, ln 2 / 2], log on [0.75, 1.5], log(erfc) on [0, 7].
*/
/* To the nearest whole number, ties to even, for |x| < 2^22. */
INLINE vf round_v (vf x) {
  vf magic = v_set1(12582912.0f);
  return v_sub(v_add(x, magic), magic);
}


/* x * c + next, for a polynomial from its highest coefficient down. */
INLINE vf horner (vf x, const float *c, int n) {
  vf y = v_set1(c[0]);
  for (int i = 1; i < n; i++) y = v_fma(y, x, v_set1(c[i]));
  return y;
}


INLINE vf exp_v (vf x) {
  static const float c[] = {
    1.392617612e-3f, 8.363173075e-3f, 4.166655466e-2f, 0.1666657703f, 0.5f,
    1.0f, 1.0f,
  };
  x = v_max(v_set1(-104.0f), v_min(v_set1(89.0f), x));  /* NaN stays */
  vf n = round_v(v_mul(x, v_set1(1.44269504f)));
  vf r = v_fma(n, v_set1(-0.693359375f), x);
  r = v_fma(n, v_set1(2.12194440e-4f), r);
  return v_ldexp(horner(r, c, 7), n);
}


INLINE vf log_v (vf x) {
  static const float c[] = {
    -0.05147591755f, 0.1089631439f, -0.1306141532f, 0.1438231738f,
    -0.1664944838f, 0.1999687406f, -0.2500014408f, 0.3333334632f,
  };
  vf smallest = v_set1(1.17549435e-38f), e, zero = v_set1(0.0f);
  vf lifted = v_if_less(x, smallest, v_mul(x, v_set1(16777216.0f)), x);
  vf offset = v_if_less(x, smallest, v_set1(-24.0f), zero);
  vf f = v_sub(v_frexp(lifted, &e), v_set1(1.0f));
  vf f2 = v_mul(f, f);
  e = v_add(e, offset);
  vf y = v_mul(v_mul(horner(f, c, 8), f), f2);
  y = v_fma(e, v_set1(-2.12194440e-4f), y);
  y = v_fma(f2, v_set1(-0.5f), y);
  y = v_fma(e, v_set1(0.693359375f), v_add(y, f));
  y = v_if_less(x, v_set1(INFINITY), y, v_add(x, x));  /* inf and NaN stay */
  y = v_if_less(x, v_set1(1e-45f), v_set1(-INFINITY), y);
  return v_if_less(x, zero, v_set1(NAN), y);
}


INLINE vf tanh_v (vf x) {
  static const float c[] = {2.0f / 15, -1.0f / 3, 1.0f};
  vf size = v_abs(x), one = v_set1(1.0f);
  vf t = exp_v(v_mul(size, v_set1(-2.0f)));
  vf large = v_div(v_sub(one, t), v_add(one, t));
  vf small = v_mul(size, horner(v_mul(size, size), c, 3));
  return v_copysign(v_if_less(size, v_set1(0.0625f), small, large), x);
}


/* erfc(z) for z >= 0: t * exp(P(t) - z^2) with t = 1 / (1 + z / 2). */
INLINE vf erfc_v (vf z) {
  static const float c[] = {
    0.1061241854f, -0.464432197f, 0.6335886229f, 0.02187567065f,
    -0.6957452518f, 0.3419926145f, -0.08695557267f, 0.4135301142f,
    0.9952925617f, -1.265270723f,
  };
  vf t = v_div(v_set1(1.0f), v_fma(z, v_set1(0.5f), v_set1(1.0f)));
  vf p = v_sub(horner(t, c, 10), v_mul(z, z));
  return v_mul(t, exp_v(p));
}


INLINE vf relu_v (vf x) {
  return v_max(x, v_set1(0.0f));
}


INLINE vf silu_v (vf x) {
  vf one = v_set1(1.0f);
  return v_div(x, v_add(one, exp_v(v_sub(v_set1(0.0f), x))));
}


/* x * Phi(x); the tail is computed where it is small: no cancellation. */
INLINE vf gelu_v (vf x) {
  vf tail = v_mul(v_set1(0.5f), erfc_v(v_mul(v_abs(x), v_set1(0.70710678f))));
  vf zero = v_set1(0.0f);
  return v_mul(x, v_if_less(x, zero, tail, v_sub(v_set1(1.0f), tail)));
}


/* Hendrycks and Gimpel 2016, the tanh form. */
INLINE vf gelu_tanh_v (vf x) {
  vf cubic = v_fma(v_mul(v_mul(x, x), x), v_set1(0.044715f), x);
  vf t = tanh_v(v_mul(cubic, v_set1(0.79788456f)));
  return v_mul(v_mul(x, v_set1(0.5f)), v_add(t, v_set1(1.0f)));
}
