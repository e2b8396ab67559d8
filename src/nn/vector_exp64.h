// exp in double for kernels, as vector_exp.h has it in float.
#ifndef FLUVIAL_NN_VECTOR_EXP64_H
#define FLUVIAL_NN_VECTOR_EXP64_H

#include <stdint.h>
#include <string.h>

// e^x to 4e-16 relative: below -708 e^-708, above 709 e^709; NaN for NaN. x = n ln 2 + r, |r| <=
// ln 2 / 2, with n rounded by adding 1.5 2^52 and ln 2 in two parts, the first of 32 bits, so that
// n times it is exact; e^r by its Taylor series to r^12 (r^13/13! is below 1.7e-16).
static inline double flv_exp64(double x) {
  x = x < -708.0 ? -708.0 : x;
  x = x > 709.0 ? 709.0 : x;
  const double shifted = x * 1.4426950408889634 + 6755399441055744.0,
               n = shifted - 6755399441055744.0;
  const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  double p = r * (1.0 / 479001600.0) + 1.0 / 39916800.0;
  p = p * r + 1.0 / 3628800.0;
  p = p * r + 1.0 / 362880.0;
  p = p * r + 1.0 / 40320.0;
  p = p * r + 1.0 / 5040.0;
  p = p * r + 1.0 / 720.0;
  p = p * r + 1.0 / 120.0;
  p = p * r + 1.0 / 24.0;
  p = p * r + 1.0 / 6.0;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  uint64_t bits; // n stands in the low bits of 1.5 2^52 + n
  memcpy(&bits, &shifted, sizeof bits);
  bits = (bits - 0x4338000000000000u + 1023u) << 52;
  double scale;
  memcpy(&scale, &bits, sizeof scale);
  return p * scale;
}

#endif
