// exp in double for kernels (base/simd.h): plain arithmetic that compilers vectorise, where a call
// of libm's stops them. Not SLEEF or glibc's libmvec: neither has one portable call that a function
// compiled per instruction set could inline, and both round differently from set to set.
#ifndef FLUVIAL_BASE_EXP_DOUBLE_H
#define FLUVIAL_BASE_EXP_DOUBLE_H

#include <stdint.h>
#include <string.h>

#include "base/simd.h"

// e^x to 2 units in the last place, of subnormal results too, and the same bits on every machine
// (where products are not fused with sums: everywhere but in src/nn); 0 for -INFINITY, NaN for NaN.
// x = n ln 2 + r, |r| <= ln 2 / 2, with n rounded by adding 1.5 2^52 and ln 2 in two parts, of
// which the first times n is exact; e^r by its Taylor series; 2^n as a product of two powers, since
// 2^n itself may be no normal number where e^x is one.
FLV_INLINE double flv_exp_double(double x) {
  x = x < -746.0 ? -746.0 : x;
  x = x > 710.0 ? 710.0 : x;
  const double shifted = x * 0x1.71547652b82fep+0 + 0x1.8p+52, n = shifted - 0x1.8p+52;
  const double r = (x - n * 0x1.62e42feep-1) - n * 0x1.a39ef35793c76p-33;
  const double r2 = r * r, r4 = r2 * r2;
  const double q0 = (1.0 / 2.0 + r * (1.0 / 6.0)) + r2 * (1.0 / 24.0 + r * (1.0 / 120.0));
  const double q4 =
      (1.0 / 720.0 + r * (1.0 / 5040.0)) + r2 * (1.0 / 40320.0 + r * (1.0 / 362880.0));
  const double q8 = (1.0 / 3628800.0 + r * (1.0 / 39916800.0)) +
                    r2 * (1.0 / 479001600.0 + r * (1.0 / 6227020800.0));
  const double p = 1.0 + (r + r2 * (q0 + r4 * (q4 + r4 * q8)));
  uint64_t bits; // n stands in the low bits of 1.5 2^52 + n
  memcpy(&bits, &shifted, sizeof bits);
  bits -= 0x4338000000000000u - 2 * 1023u; // n + 2046, the sum of two biased exponents
  const uint64_t bits0 = (bits >> 1) << 52, bits1 = (bits - (bits >> 1)) << 52;
  double scale0, scale1;
  memcpy(&scale0, &bits0, sizeof scale0);
  memcpy(&scale1, &bits1, sizeof scale1);
  return p * scale0 * scale1;
}

#endif
