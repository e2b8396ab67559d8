// Distances: hand values, identities on random distributions, and the counting of modes.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "metrics/distance.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-13)

static void hand_values(void **state) {
  (void)state;
  const double p[] = {0.5, 0.5, 0.0}, q[] = {0.25, 0.25, 0.5}, r[] = {0.0, 0.0, 1.0};
  NEAR(flv_kl(3, p, q), log(2.0));
  assert_true(isinf(flv_kl(3, q, p)) && flv_kl(3, q, p) > 0.0);
  // m = (3/8, 3/8, 1/4): 1/2 log(4/3) + 1/2 (1/2 log(2/3) + 1/2 log 2)
  NEAR(flv_jsd(3, p, q), 0.5 * log(4.0 / 3.0) + 0.25 * log(4.0 / 3.0));
  NEAR(flv_tv(3, p, q), 0.5);
  NEAR(flv_l1_mean(3, p, q), 1.0 / 3.0);
  NEAR(flv_jsd(3, p, r), log(2.0));
  NEAR(flv_tv(3, p, r), 1.0);
  assert_true(flv_jsd(3, p, p) == 0.0 && flv_tv(3, p, p) == 0.0 && flv_kl(3, p, p) == 0.0);
}

static void extremes(void **state) {
  (void)state;
  const double tiny = 4.9406564584124654e-324; // the smallest double: (p+q)/2 rounds to 0
  const double p[] = {1.0, tiny}, q[] = {1.0, 0.0};
  assert_true(flv_jsd(2, p, q) >= 0.0 && flv_jsd(2, p, q) < 1e-300);
  const double bad[] = {(double)NAN, 0.5};
  assert_true(isnan(flv_jsd(2, bad, q)) && isnan(flv_tv(2, q, bad)) && isnan(flv_kl(2, bad, q)));
}

static void random_distribution(uint64_t seed, uint32_t item, int n, double *p) {
  const flv_rng rng = {.seed = seed, .purpose = FLV_RNG_TEST, .iteration = 0};
  double sum = 0.0;
  for (int i = 0; i < n; i++) {
    const double u = flv_rng_uniform(rng, item, (uint32_t)i);
    p[i] = u < 0.2 ? 0.0 : exp(8.0 * u);
    sum += p[i];
  }
  for (int i = 0; i < n; i++) p[i] /= sum;
}

static void identities(void **state) {
  (void)state;
  enum { N = 50 };
  double p[N], q[N], mix[N];
  for (uint64_t seed = 0; seed < 200; seed++) {
    random_distribution(seed, 0, N, p);
    random_distribution(seed, 1, N, q);
    const double jsd = flv_jsd(N, p, q), tv = flv_tv(N, p, q);
    assert_true(jsd > 0.0 && jsd <= log(2.0) + 1e-12);
    NEAR(jsd, flv_jsd(N, q, p));
    for (int i = 0; i < N; i++) mix[i] = 0.5 * (p[i] + q[i]);
    NEAR(jsd, 0.5 * flv_kl(N, p, mix) + 0.5 * flv_kl(N, q, mix));
    assert_true(flv_kl(N, p, mix) >= 2.0 * pow(flv_tv(N, p, mix), 2.0) - 1e-12); // Pinsker
    NEAR(flv_tv(N, p, mix), 0.5 * tv);
    NEAR(flv_l1_mean(N, p, q) * N, 2.0 * tv);
    assert_true(0.5 * tv * tv <= jsd && jsd <= tv * log(2.0) + 1e-12);
  }
}

static int descending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x < y) - (x > y);
}

static void kth_largest(void **state) {
  (void)state;
  enum { N = 300 };
  double x[N], sorted[N];
  random_distribution(7, 0, N, x);
  for (int i = 0; i < N; i += 3) x[i] = x[(i * 7) % N]; // ties
  x[5] = -0.0;
  x[6] = 4.9406564584124654e-324;
  x[9] = 1e300;
  for (int i = 0; i < N; i++) sorted[i] = x[i];
  qsort(sorted, N, sizeof *sorted, descending);
  for (int k = 1; k <= N; k++) assert_true(flv_kth_largest(N, x, k) == sorted[k - 1]);
}

static void modes(void **state) {
  (void)state;
  // two flat modes of two cells each, one of them split by rounding
  const double target[] = {0.2, 0.2, 0.05, 0.05, 0.1, 0.2 * (1.0 - 1e-15), 0.2};
  enum { N = 7 };
  assert_int_equal(flv_mode_cells(N, target), 4);
  NEAR(flv_modes_covered(N, target, target), 1.0);
  const double one[] = {0.4, 0.3, 0.2, 0.1, 0.0, 0.0, 0.0};
  assert_int_equal(flv_modes_found(N, one, target, 4), 2); // its top 4 are 0..3
  NEAR(flv_modes_covered(N, one, target), 0.5);
  const double uniform[] = {1.0 / 7, 1.0 / 7, 1.0 / 7, 1.0 / 7, 1.0 / 7, 1.0 / 7, 1.0 / 7};
  assert_int_equal(flv_modes_found(N, uniform, target, 4), 0);
  assert_int_equal(flv_modes_found(N, uniform, target, N), N);
  const double edge[] = {0.3, 0.3, 0.1, 0.1, 0.1, 0.1, 0.0}; // third place shared by four: all out
  assert_int_equal(flv_modes_found(N, edge, target, 4), 2);
  assert_int_equal(flv_modes_found(N, edge, target, 2), 2);
  assert_int_equal(flv_modes_found(N, edge, target, 0), 0);
  // the target's k-th place is shared by the four mode cells: every one of them counts
  const double last[] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0};
  assert_int_equal(flv_modes_found(N, last, target, 1), 1);
  assert_int_equal(flv_modes_found(N, last, target, 4), 1); // its zeros tie
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hand_values), cmocka_unit_test(extremes), cmocka_unit_test(identities),
      cmocka_unit_test(kth_largest), cmocka_unit_test(modes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
