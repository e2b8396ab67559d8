// Numbers that have to be near each other. cmocka is included before.
#ifndef FLUVIAL_TESTS_NEAR_H
#define FLUVIAL_TESTS_NEAR_H

#include <math.h>

// Absolute.
#define NEAR(a, b, tolerance)                                                                      \
  do {                                                                                             \
    const double a_ = (a), b_ = (b);                                                               \
    if (!(fabs(a_ - b_) <= (tolerance)))                                                           \
      fail_msg("line %d: %.17g is not %.17g", __LINE__, a_, b_);                                   \
  } while (0)

// Absolute for small b, relative for large.
static inline void assert_near(double a, double b, double tolerance) {
  if (!(fabs(a - b) <= tolerance * (1.0 + fabs(b)))) fail_msg("%.17g is not %.17g", a, b);
}

#endif
