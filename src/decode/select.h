/*
** select.h: the best few of a row, its n-th best value, and the point where a
** running sum passes a limit, without sorting the vocabulary. No value may be
** a NaN.
*/
#ifndef DC_SELECT_H
#define DC_SELECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The `count` highest of x[n], highest first, equal values by lower id, into
   ids[count]; count <= n. Time: n for small counts, n log n at worst. */
void dc_select_top (int32_t *ids, size_t count, const float *x, size_t n);

/* The k-th highest value of x[n], 1 <= k <= n; scratch: [n]. Time: n. */
float dc_select_nth (const float *x, size_t n, size_t k, int32_t *scratch);

/* Where a sum along the ascending keys passes a limit. */
typedef struct dc_mass_point {
  float key;     /* of the entries at which it does */
  size_t ties;   /* how many those are, */
  size_t first;  /* and the first of them */
  double below;  /* the sum over all entries with smaller keys */
} dc_mass_point;

typedef enum dc_passing { DC_ABOVE, DC_AT_LEAST } dc_passing;

/* Walks the entries by ascending key and adds up their weights (>= 0) in
   double. The sum passes when, rounded to float, it is above (or at least)
   the limit. False when it never does. scratch: [n]. Time: n, whatever the
   keys. */
bool dc_find_mass (dc_mass_point *point, const float *keys,
                   const float *weights, size_t n, float limit,
                   dc_passing how, int32_t *scratch);

#endif
