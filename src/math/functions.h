/*
** functions.h: exp, log, sin, cos and pow in double precision, without libm,
** so that every machine and every C library gives the same bits. Accurate to
** about 1e-15 relative for arguments below 1e5. For tables and scores; rows
** of floats have kernels.
*/
#ifndef DC_FUNCTIONS_H
#define DC_FUNCTIONS_H

double dc_exp (double x);
double dc_log (double x);          /* 0: -INFINITY; negative: NaN */
double dc_sin (double x);
double dc_cos (double x);
double dc_pow (double x, double y);  /* x > 0 */
double dc_sqrt (double x);

#endif
