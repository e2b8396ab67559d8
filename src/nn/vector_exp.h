// exp for kernels: plain arithmetic that compilers vectorise, where a call of expf stops them.
#ifndef FLUVIAL_NN_VECTOR_EXP_H
#define FLUVIAL_NN_VECTOR_EXP_H

#include <stdint.h>
#include <string.h>

// Replaces *x, -87 <= x <= 88, of type T, float or a vector of them, by e^x to 2e-7 relative. I:
// uint32_t or a vector of as many. x = n ln 2 + r, |r| <= ln 2 / 2, with n rounded by adding 1.5
// 2^23 and ln 2 in two parts; e^r by its Taylor series.
#define FLV_EXP(T, I, x)                                                                           \
  do {                                                                                             \
    const T shifted_ = *(x)*1.44269504f + 12582912.0f, n_ = shifted_ - 12582912.0f;                \
    const T r_ = (*(x)-n_ * 0.693359375f) + n_ * 2.12194440e-4f;                                   \
    T p_ = r_ * (1.0f / 5040.0f) + 1.0f / 720.0f;                                                  \
    I bits_;                                                                                       \
    p_ = p_ * r_ + 1.0f / 120.0f;                                                                  \
    p_ = p_ * r_ + 1.0f / 24.0f;                                                                   \
    p_ = p_ * r_ + 1.0f / 6.0f;                                                                    \
    p_ = p_ * r_ + 0.5f;                                                                           \
    p_ = p_ * r_ + 1.0f;                                                                           \
    p_ = p_ * r_ + 1.0f;                                                                           \
    memcpy(&bits_, &shifted_, sizeof bits_); /* n stands in the low bits of 1.5 2^23 + n */        \
    bits_ = (bits_ - 0x4B400000u + 127u) * (1u << 23);                                             \
    memcpy(x, &bits_, sizeof bits_);                                                               \
    *(x) *= p_;                                                                                    \
  } while (0)

// Of any x: below -87 e^-87, above 88 e^88; NaN for NaN.
static inline float flv_exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  FLV_EXP(float, uint32_t, &x);
  return x;
}

static inline float flv_sigmoid(float x) { return 1.0f / (1.0f + flv_exp(-x)); }

#endif
