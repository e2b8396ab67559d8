// How logits are read: joint and gated exits against their formulas, and the way back against
// finite differences.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "learn/explore.h"
#include "learn/logits.h"
#include "learn/score.h"
#include "learn/trainer_impl.h"
#include "train_setup.h"

enum { N = 6, EXIT = 3 }; // the exit need not be the last action

static const flv_env env = {.name = "made up", .n_actions = N, .exit_action = EXIT};

static flv_policy policy_of(bool gated) { return (flv_policy){.env = &env, .gated = gated}; }

static double uniform(uint32_t stream, uint32_t i) {
  return 2.0 * flv_rng_uniform((flv_rng){11, FLV_RNG_TEST, stream}, i, 0) - 1.0;
}

// Masks by number: bit a says whether action a is legal.
static void mask_of(unsigned bits, uint8_t *mask) {
  for (int a = 0; a < N; a++) mask[a] = (uint8_t)(bits >> a & 1u);
}

// P_F by its definition, in the units of probabilities.
static void naive(bool gated, const double *l, const uint8_t *mask, double *p) {
  double sum = 0.0;
  for (int a = 0; a < N; a++)
    if (mask[a] && !(gated && a == EXIT)) sum += exp(l[a]);
  const double stop = !gated || !mask[EXIT] ? 0.0 : sum > 0.0 ? 1.0 / (1.0 + exp(-l[EXIT])) : 1.0;
  for (int a = 0; a < N; a++) p[a] = mask[a] ? (1.0 - stop) * exp(l[a]) / sum : 0.0;
  if (gated && mask[EXIT]) p[EXIT] = stop;
}

static void probabilities(void **state) {
  (void)state;
  for (int gated = 0; gated < 2; gated++)
    for (unsigned bits = 1; bits < 1u << N; bits++) {
      const flv_policy policy = policy_of(gated);
      float logits[N];
      double l[N], p[N], log_pf[N], u[N], total = 0.0, sum = 0.0;
      uint8_t mask[N];
      mask_of(bits, mask);
      for (int a = 0; a < N; a++) {
        logits[a] = (float)(4.0 * uniform(bits, (uint32_t)a));
        l[a] = (double)logits[a];
      }
      naive(gated, l, mask, p);
      const double log_sum = flv_policy_log_pf(&policy, logits, mask, log_pf);
      flv_policy_logits(&policy, logits, mask, u);
      for (int a = 0; a < N; a++) {
        if (!(fabs(exp(log_pf[a]) - p[a]) <= 1e-14))
          fail_msg("gated %d, mask %u: P(%d) = %g, not %g", gated, bits, a, exp(log_pf[a]), p[a]);
        assert_true(mask[a] ? fabs(u[a] - log_sum - log_pf[a]) <= 1e-13 : log_pf[a] == -HUGE_VAL);
        assert_true(mask[a] || u[a] == -HUGE_VAL);
        total += exp(log_pf[a]);
        sum += exp(u[a]);
      }
      assert_true(fabs(total - 1.0) <= 1e-14);
      assert_true(fabs(log(sum) - log_sum) <= 1e-13);
    }
}

// Far from zero, where exponentials would overflow: the tail of the gate is -|l|.
static void extremes(void **state) {
  (void)state;
  const flv_policy policy = policy_of(true);
  const uint8_t mask[N] = {1, 1, 0, 1, 0, 0};
  double log_pf[N];
  for (int sign = -1; sign <= 1; sign += 2) {
    const float logits[N] = {900.0f, 899.0f, 5000.0f, 800.0f * (float)sign, 0.0f, 0.0f};
    flv_policy_log_pf(&policy, logits, mask, log_pf);
    const double open = sign > 0 ? 0.0 : -800.0, closed = sign > 0 ? -800.0 : 0.0;
    assert_true(fabs(log_pf[EXIT] - open) <= 1e-12);
    assert_true(fabs(log_pf[0] - (closed - log1p(exp(-1.0)))) <= 1e-12);
    assert_true(fabs(log_pf[1] - (closed - log1p(exp(1.0)))) <= 1e-12);
  }
}

// sum_a d_a log P_F(a) + d_sum log sum exp u, by the formulas, over legal actions.
static double functional(bool gated, const double *l, const uint8_t *mask, const double *d,
                         double d_sum) {
  double p[N], others = 0.0, value = 0.0;
  naive(gated, l, mask, p);
  for (int a = 0; a < N; a++) {
    if (mask[a]) value += d[a] * log(p[a]);
    if (mask[a] && a != EXIT) others += exp(l[a]);
  }
  double sum = others;
  if (mask[EXIT]) sum += exp(l[EXIT]) * (gated && others > 0.0 ? others : 1.0);
  return value + d_sum * log(sum);
}

static void gradients(void **state) {
  (void)state;
  for (int gated = 0; gated < 2; gated++)
    for (unsigned bits = 1; bits < 1u << N; bits++) {
      const flv_policy policy = policy_of(gated);
      float logits[N], got[N];
      double l[N], d[N], log_pf[N];
      uint8_t mask[N];
      mask_of(bits, mask);
      for (int a = 0; a < N; a++) {
        logits[a] = (float)(2.0 * uniform(100 + bits, (uint32_t)a));
        l[a] = (double)logits[a];
        d[a] = mask[a] ? uniform(200 + bits, (uint32_t)a) : 0.0;
      }
      const double d_sum = uniform(300 + bits, 0), h = 1e-5;
      flv_policy_log_pf(&policy, logits, mask, log_pf);
      flv_score_logits(N, d, d_sum, log_pf, mask, got);
      flv_policy_logits_back(&policy, log_pf, mask, got);
      for (int a = 0; a < N; a++) {
        const double keep = l[a];
        l[a] = keep + h;
        const double up = functional(gated, l, mask, d, d_sum);
        l[a] = keep - h;
        const double slope = (up - functional(gated, l, mask, d, d_sum)) / (2.0 * h);
        l[a] = keep;
        const double want = mask[a] ? slope : 0.0;
        if (!(fabs((double)got[a] - want) <= 1e-6))
          fail_msg("gated %d, mask %u: d l_%d = %g, finite difference %g", gated, bits, a,
                   (double)got[a], want);
      }
    }
}

// Without noise the behaviour policy is P_F; at temperature T it is P_F^(1/T); the bias is taken
// from the exit's logit.
static void behaviour(void **state) {
  (void)state;
  const uint8_t mask[N] = {1, 0, 1, 1, 1, 0};
  float logits[N], biased[N];
  for (int gated = 0; gated < 2; gated++) {
    const flv_policy policy = policy_of(gated);
    double log_pf[N], pi[N], want[N], sum = 0.0;
    for (int a = 0; a < N; a++) biased[a] = logits[a] = (float)(2.0 * uniform(400, (uint32_t)a));
    flv_policy_log_pf(&policy, logits, mask, log_pf);
    const flv_explore warm = {.temperature = 2.5, .active = true};
    flv_explore_pi(&warm, &env, log_pf, mask, pi);
    for (int a = 0; a < N; a++) sum += want[a] = exp(log_pf[a] / 2.5);
    for (int a = 0; a < N; a++) assert_true(fabs(pi[a] - want[a] / sum) <= 1e-13);
    const flv_explore bias = {.temperature = 1.0, .exit_bias = 1.25, .active = true};
    biased[EXIT] -= 1.25f;
    flv_policy_log_pf(&policy, biased, mask, want);
    flv_explore_pi(&bias, &env, log_pf, mask, pi);
    for (int a = 0; a < N; a++) assert_true(fabs(pi[a] - exp(want[a])) <= 1e-6);
  }
}

// Each policy of fluvial takes the key, and training with it reaches the target.
static void trains(void **state) {
  (void)state;
  flv_trainer *t =
      make(1, SETTINGS({"env.sides", "[4, 4]"}, {"reward.r0", "0.1"}, {"policy", "tabular"},
                       {"policy.exit", "gated"}, {"optimiser.lr", "0.05"},
                       {"optimiser.lr_log_z", "0.1"}, {"batch", "64"}, {"iterations", "1500"}));
  assert_true(t->policy.gated);
  flv_stats stats;
  flv_evaluation e = {0};
  flv_error err = {0};
  for (int i = 0; i < 1500; i++) step(t, &stats);
  assert_int_equal(flv_trainer_evaluate(t, 0, &e, &err), FLV_OK);
  if (!(e.jsd < 2e-3)) fail_msg("JSD %g", e.jsd);
  flv_trainer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(probabilities), cmocka_unit_test(extremes), cmocka_unit_test(gradients),
      cmocka_unit_test(behaviour),     cmocka_unit_test(trains),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
