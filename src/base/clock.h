// Seconds of a monotonic clock, from an arbitrary origin.
#ifndef FLUVIAL_BASE_CLOCK_H
#define FLUVIAL_BASE_CLOCK_H

#include <time.h>

static inline double flv_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
