// Numbers that look random, the same on every machine: splitmix64. [Steele, Lea & Flood 2014]
#ifndef FLUVIAL_TESTS_SPLITMIX_H
#define FLUVIAL_TESTS_SPLITMIX_H

#include "base/mix.h"

static inline uint64_t splitmix(uint64_t *state) {
  const uint64_t before = *state;
  *state += UINT64_C(0x9E3779B97F4A7C15);
  return flv_mix(before);
}

#endif
