// From logits to a drawn action and back: exp of vectors against libm, log-softmax and softmax
// against naive sums in long double, draws against cumulative sums, cotangents against the formula.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/exp_double.h"
#include "base/logmath.h"
#include "base/rng.h"
#include "learn/sampler.h"
#include "learn/score.h"

enum { MOST = 700 };
static const int sizes[] = {1, 2, 5, 7, 8, 9, 15, 16, 26, 63, 64, 65, 201, 256, 257, 700};
enum { SIZES = sizeof sizes / sizeof *sizes };

static double uniform(uint32_t stream, uint32_t i) {
  return flv_rng_uniform((flv_rng){17, FLV_RNG_TEST, stream}, i, 0);
}

// Units in the last place between got and e^x.
static double ulps(double got, double x) {
  const long double want = expl((long double)x);
  const double near = (double)want;
  if (isinf(near) || isinf(got)) return got == near ? 0.0 : HUGE_VAL;
  const double unit = fmax(nextafter(near, HUGE_VAL) - near, 0x1p-1074);
  return (double)(fabsl((long double)got - want) / (long double)unit);
}

static void check_exp(double x) {
  double y;
  assert_true(flv_exp_row(1, &x, &y) == y);
  if (!(ulps(y, x) <= 2.0)) fail_msg("exp(%.17g) = %a, not %a", x, y, exp(x));
  assert_true(flv_exp_double(x) == y); // whichever instructions it is compiled to
}

// Over all results, subnormal ones too, and close to the ends and to the places where n changes.
static void exponentials(void **state) {
  (void)state;
  enum { N = 200000 };
  for (int i = 0; i <= N; i++) {
    check_exp(-746.0 + 1456.0 * i / N);
    check_exp(-3.0 + 6.0 * i / N);
  }
  for (int n = -1075; n <= 1024; n++)
    for (int side = -1; side <= 1; side++) {
      const double edge = (n + 0.5) * 0.69314718055994530942;
      check_exp(edge + side * 1e-13);
    }
  for (int k = 0; k <= 1074; k += 3) check_exp(ldexp(1.0, -k)), check_exp(-ldexp(1.0, -k));
  const double top = log(DBL_MAX);
  check_exp(nextafter(top, 0.0));
  check_exp(-745.13321910194110842); // the last that is not 0
  double y;
  const double ends[] = {-HUGE_VAL, -DBL_MAX, -746.0, 0.0, 710.0, DBL_MAX, HUGE_VAL};
  const double want[] = {0.0, 0.0, 0.0, 1.0, HUGE_VAL, HUGE_VAL, HUGE_VAL};
  for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
    flv_exp_row(1, &ends[k], &y);
    assert_true(y == want[k]);
  }
  y = (double)NAN;
  assert_true(isnan(flv_exp_double(y)));
}

// Vectors and what is left over give the same bits; the sum is that of the terms.
static void rows_of_exponentials(void **state) {
  (void)state;
  double x[MOST], y[MOST + 1];
  for (int i = 0; i < MOST; i++) x[i] = 40.0 * uniform(1, (uint32_t)i) - 30.0;
  for (int k = 0; k < SIZES; k++) {
    long double sum = 0.0L;
    y[sizes[k]] = -1.0;
    const double got = flv_exp_row(sizes[k], x, y);
    for (int i = 0; i < sizes[k]; i++) {
      assert_true(y[i] == flv_exp_double(x[i]));
      sum += (long double)y[i];
    }
    assert_true(fabsl((long double)got - sum) <= 1e-14L * sum);
    assert_true(y[sizes[k]] == -1.0);
  }
}

static void fill(uint32_t stream, int n, float scale, float *x, uint8_t *mask) {
  for (int i = 0; i < n; i++) {
    x[i] = scale * (float)(2.0 * uniform(stream, (uint32_t)i) - 1.0);
    mask[i] = uniform(stream + 1, (uint32_t)i) < 0.6;
  }
  mask[(int)(uniform(stream + 2, 0) * n)] = 1;
  for (int i = 0; i < n; i++)
    if (!mask[i]) x[i] = 3e38f; // not looked at
}

static void softmaxes(void **state) {
  (void)state;
  float x[MOST];
  uint8_t mask[MOST];
  double log_p[MOST + 1], y[MOST], p[MOST];
  for (int k = 0; k < SIZES; k++)
    for (uint32_t j = 0; j < 6; j++) {
      const int n = sizes[k];
      const float scale = (const float[]){0.1f, 3.0f, 30.0f, 300.0f, 2000.0f, 1e6f}[j];
      fill(100 * (uint32_t)k + 10 * j + 1000, n, scale, x, mask);
      long double top = -HUGE_VALL, sum = 0.0L;
      for (int i = 0; i < n; i++)
        if (mask[i] && (long double)x[i] > top) top = (long double)x[i];
      for (int i = 0; i < n; i++)
        if (mask[i]) sum += expl((long double)x[i] - top);
      const long double norm = top + logl(sum);
      const long double unit = 1e-14L * fmaxl(1.0L, fabsl(norm));
      log_p[n] = 5.0;
      const double got = flv_log_softmax(n, x, mask, log_p);
      assert_true(log_p[n] == 5.0);
      assert_true(fabsl((long double)got - norm) <= unit);
      flv_mask_logits(n, x, mask, y);
      assert_true(fabs(flv_logsumexp(n, y) - got) <= (double)unit);
      flv_softmax(n, y, p);
      for (int i = 0; i < n; i++) {
        assert_true(y[i] == (mask[i] ? (double)x[i] : -HUGE_VAL));
        if (!mask[i]) {
          assert_true(log_p[i] == -HUGE_VAL && p[i] == 0.0);
          continue;
        }
        const long double want = (long double)x[i] - norm;
        assert_true(fabsl((long double)log_p[i] - want) <= unit);
        assert_true(fabsl((long double)p[i] - expl(want)) <= 1e-14L * expl(want) + 1e-320L);
      }
      flv_softmax(n, y, y);
      assert_memory_equal(y, p, (size_t)n * sizeof *p);
    }
}

// Nothing legal, log 0 among the logits, and numbers that are none.
static void edges(void **state) {
  (void)state;
  const float x[] = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 8.0f, 9.0f, 10.0f};
  enum { N = sizeof x / sizeof *x };
  uint8_t mask[N] = {0};
  double log_p[N], y[N];
  assert_true(flv_log_softmax(N, x, mask, log_p) == -HUGE_VAL);
  for (int i = 0; i < N; i++) assert_true(log_p[i] == -HUGE_VAL);
  assert_true(flv_logsumexp(N, log_p) == -HUGE_VAL && flv_logsumexp(0, log_p) == -HUGE_VAL);
  flv_softmax(N, log_p, y);
  for (int i = 0; i < N; i++) assert_true(y[i] == 0.0);
  for (int at = 0; at < N; at++) {
    memset(mask, 1, sizeof mask);
    mask[(at + 1) % N] = 0;
    flv_mask_logits(N, x, mask, y);
    y[at] = (double)NAN;
    assert_true(isnan(flv_logsumexp(N, y)));
    y[at] = HUGE_VAL;
    assert_true(flv_logsumexp(N, y) == HUGE_VAL);
    float broken[N];
    memcpy(broken, x, sizeof x);
    broken[at] = NAN;
    assert_true(isnan(flv_log_softmax(N, broken, mask, log_p)));
    for (int i = 0; i < N; i++) assert_true(mask[i] ? isnan(log_p[i]) : log_p[i] == -HUGE_VAL);
    mask[at] = 0; // what is illegal may be anything
    assert_true(isfinite(flv_log_softmax(N, broken, mask, log_p)) && log_p[at] == -HUGE_VAL);
  }
}

// One draw at a row of a made-up batch, from P_F itself, or mixed with nothing of the uniform
// policy: from probabilities instead of their logarithms.
static int draw(int n, double *log_p, uint8_t *mask, double u, bool active) {
  const flv_env env = {.n_actions = n, .exit_action = -1};
  double pi[MOST], log_pi;
  flv_sampler s = {.env = &env, .pi = pi};
  const flv_batch b = {.env = &env, .log_pf = log_p, .mask = mask, .evaluated = 1, .filling = 1};
  const flv_policy policy = {.env = &env};
  const flv_explore explore = {.temperature = 1.0, .active = active};
  const int a =
      flv_sampler_choose(&s, &b, &policy, &explore, 0, 0, (const double[]){u, 0}, &log_pi);
  assert_true(fabs(log_pi - log_p[a]) <= 1e-14 * fmax(1.0, fabs(log_p[a])));
  return a;
}

static void draws(void **state) {
  (void)state;
  float x[MOST];
  uint8_t mask[MOST];
  double log_p[MOST];
  for (int k = 0; k < SIZES; k++)
    for (int active = 0; active < 2; active++) {
      const int n = sizes[k];
      fill(5000 + 10 * (uint32_t)k, n, 4.0f, x, mask);
      if (n > 2) mask[0] = mask[n - 1] = 0, mask[1] = 1, x[1] = 0.0f;
      flv_log_softmax(n, x, mask, log_p);
      long double below = 0.0L;
      int first = -1, last = 0;
      for (int a = 0; a < n; a++) {
        if (!mask[a]) continue;
        const long double p = expl((long double)log_p[a]);
        const double just_in = (double)(below + 1e-9L * p), in = (double)(below + 0.5L * p),
                     just_out = (double)(below + (1.0L - 1e-9L) * p);
        if (p > 1e-5L) {
          assert_int_equal(draw(n, log_p, mask, just_in, active), a);
          assert_int_equal(draw(n, log_p, mask, just_out, active), a);
        }
        assert_int_equal(draw(n, log_p, mask, in, active), a);
        below += p;
        if (first < 0) first = a;
        last = a;
      }
      assert_int_equal(draw(n, log_p, mask, 0.0, active), first);
      // Half of the mass is missing: what is above it falls to the last action.
      for (int a = 0; a < n; a++) log_p[a] -= log(2.0);
      assert_int_equal(draw(n, log_p, mask, 0.75, active), last);
      assert_int_equal(draw(n, log_p, mask, 1.0 - DBL_EPSILON / 2, active), last);
    }
}

// d_a - p_a (sum d - d_sum), and nothing where it is illegal.
static void cotangents(void **state) {
  (void)state;
  float x[MOST], got[MOST + 1];
  uint8_t mask[MOST];
  double log_p[MOST], d[MOST];
  for (int k = 0; k < SIZES; k++) {
    const int n = sizes[k];
    const double d_sum = uniform(8000, (uint32_t)k);
    long double total = -(long double)d_sum;
    fill(9000 + 10 * (uint32_t)k, n, 5.0f, x, mask);
    flv_log_softmax(n, x, mask, log_p);
    for (int a = 0; a < n; a++) {
      d[a] = mask[a] ? uniform(8001 + (uint32_t)k, (uint32_t)a) - 0.5 : 0.0;
      total += (long double)d[a];
    }
    got[n] = 7.0f;
    flv_score_logits(n, d, d_sum, log_p, mask, got);
    for (int a = 0; a < n; a++) {
      const double want = (double)((long double)d[a] - total * expl((long double)log_p[a]));
      assert_true(mask[a] ? fabs((double)got[a] - want) <= 6.1e-8 * fabs(want) + 1e-13
                          : got[a] == 0.0f);
    }
    assert_true(got[n] == 7.0f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exponentials), cmocka_unit_test(rows_of_exponentials),
      cmocka_unit_test(softmaxes),    cmocka_unit_test(edges),
      cmocka_unit_test(draws),        cmocka_unit_test(cotangents),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
