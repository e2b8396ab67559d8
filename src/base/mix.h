// Mixing of 64 bits: splitmix64's step, a bijection in which every bit of x changes every bit of
// the result. [Steele, Lea & Flood 2014]
#ifndef FLUVIAL_BASE_MIX_H
#define FLUVIAL_BASE_MIX_H

#include <stdint.h>

static inline uint64_t flv_mix(uint64_t x) {
  x += UINT64_C(0x9E3779B97F4A7C15);
  x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
  return x ^ x >> 31;
}

#endif
