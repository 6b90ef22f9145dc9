/* clock.h: a clock that only runs forward. */
#ifndef DC_CLOCK_H
#define DC_CLOCK_H

#include <time.h>

/* Seconds since some moment of this machine's. */
static inline double dc_seconds (void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
