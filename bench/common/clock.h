// The benchmarks' clock: seconds of a monotonic clock, from an arbitrary origin.
#ifndef FLUVIAL_BENCH_CLOCK_H
#define FLUVIAL_BENCH_CLOCK_H

#include <time.h>

static inline double bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
