// Thompson sampling: who samples, with which probabilities, and what each head learns from.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "learn/objective.h"
#include "learn/trainer_impl.h"
#include "train_setup.h"

#define MAKE(...) make(1, SETTINGS(__VA_ARGS__))

// log P_F of head k at row r, by what the network says.
static double head_log_p(const flv_trainer *t, int k, int r, int action) {
  const flv_batch *b = &t->batch;
  const int a = t->env->n_actions;
  const float *logit = b->acts.value[t->policy.heads] + (r * t->policy.n_heads + k) * a;
  double sum = 0.0;
  for (int j = 0; j < a; j++)
    if (b->mask[r * a + j]) sum += exp((double)logit[j]);
  return (double)logit[action] - log(sum);
}

static void heads_sample(void **unused) {
  (void)unused;
  enum { K = 5, BATCH = 100, STEPS = 40 };
  flv_trainer *t = MAKE({"env.side", "5"}, {"batch", "100"}, {"exploration.heads", "5"},
                        {"policy.hidden", "[16]"}, {"exploration.epsilon", "0.2"},
                        {"exploration.epsilon_end", "0.2"}, {"optimiser.lr", "1e-4"});
  int count[K] = {0};
  for (int n = 0; n < STEPS; n++) {
    step(t, NULL);
    const flv_batch *b = &t->batch;
    for (int i = 0; i < BATCH; i++) {
      const int k = t->sampler.head[i];
      assert_in_range(k, 0, K - 1);
      count[k]++;
      double log_pi = 0.0;
      for (int p = b->offset[i]; p < b->offset[i + 1]; p++) {
        const int r = b->row[p];
        const int legal = b->mask[r * 3] + b->mask[r * 3 + 1] + b->mask[r * 3 + 2];
        log_pi += log(0.8 * exp(head_log_p(t, k, r, b->action[p])) + 0.2 / legal);
      }
      assert_true(fabs(log_pi - b->log_pi[i]) < 1e-9);
    }
  }
  double chi = 0.0;
  for (int k = 0; k < K; k++) chi += pow(count[k] - 800.0, 2.0) / 800.0;
  assert_true(chi < K - 1 + 4.5 * sqrt(2.0 * (K - 1)));
  flv_trainer_free(t);
}

// The cotangents of the logits are those of the mean of the heads' losses, each over its own
// trajectories: by finite differences of losses that call the objective on copies.
static double loss_of_heads(const flv_trainer *t, const float *logits, double *used) {
  const flv_trajectories *in = &t->score.in;
  const flv_batch *b = &t->batch;
  enum { MOST = 4096 };
  static double log_pf[MOST], exit[MOST], pb[MOST], log_f[MOST], r_state[MOST], out[4][MOST];
  static double scratch[3 * MOST];
  const int a = t->env->n_actions, heads = t->policy.n_heads;
  double mean = 0.0;
  *used = 0.0;
  for (int k = 0; k < heads; k++) {
    int32_t offset[64] = {0};
    double log_r[64], log_pi[64];
    int m = 0, at = 0;
    for (int i = 0; i < in->n; i++) {
      const flv_rng rng = {1, FLV_RNG_HEAD_DATA, (uint64_t)t->iteration - 1};
      if (flv_rng_uniform(rng, (uint32_t)i, (uint32_t)k) >= 0.6) continue;
      for (int p = in->offset[i]; p < in->offset[i + 1]; p++, at++) {
        const int r = b->row[p];
        const float *logit = logits + (r * heads + k) * a;
        double sum = 0.0;
        for (int j = 0; j < a; j++)
          if (b->mask[r * a + j]) sum += exp((double)logit[j]);
        log_pf[at] = (double)logit[b->action[p]] - log(sum);
        exit[at] = (double)logit[t->env->exit_action] - log(sum);
        pb[at] = in->log_pb[p];
        if (in->log_f) log_f[at] = in->log_f[p];
        if (in->log_r_state) r_state[at] = in->log_r_state[p];
      }
      log_r[m] = in->log_r[i], log_pi[m] = in->log_pi[i];
      offset[++m] = at;
    }
    assert_true(at < MOST && m < 63);
    *used += m;
    memset(out, 0, sizeof out);
    const flv_trajectories own = {.n = m,
                                  .offset = offset,
                                  .log_pf = log_pf,
                                  .log_pb = pb,
                                  .log_f = in->log_f ? log_f : NULL,
                                  .log_pf_exit = in->log_pf_exit ? exit : NULL,
                                  .log_r_state = in->log_r_state ? r_state : NULL,
                                  .log_r = log_r,
                                  .log_pi = log_pi,
                                  .log_z = in->log_z,
                                  .exits = true,
                                  .scratch = scratch};
    flv_cotangents d = {.log_pf = out[0],
                        .log_pb = out[1],
                        .log_f = in->log_f ? out[2] : NULL,
                        .log_pf_exit = in->log_pf_exit ? out[3] : NULL};
    mean += t->objective->loss(t->objective_cfg, &own, &d) / heads;
  }
  return mean;
}

// mean of (log P_F + log pi + log R)^2: means nothing, but reads what divergences read, and the
// loss is what its cotangents are of.
static double own_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  (void)cfg;
  double loss = 0.0;
  for (int i = 0; i < t->n; i++) {
    const double x = flv_trajectory_log_pf(t, i) + t->log_pi[i] + t->log_r[i];
    loss += x * x / t->n;
    flv_trajectory_spread_pf(t, i, 2.0 * x / t->n, d->log_pf);
  }
  return loss;
}

static void heads_learn(void **unused) {
  (void)unused;
  static const char *const objective[] = {"tb", "modified_db", "subtb", "log_variance", "own"};
  static const flv_objective own = {.loss = own_loss};
  static const flv_component component = {.name = "own", .help = "own", .size = 1, .impl = &own};
  for (int o = 0; o < 5; o++) {
    flv_error err = {0};
    flv_config *cfg = configure(SETTINGS(
        {"env.side", "4"}, {"batch", "12"}, {"exploration.heads", "3"}, {"replay.capacity", "50"},
        {"exploration.head_share", "0.6"}, {"policy.hidden", "[8]"}));
    if (o < 4) assert_int_equal(flv_config_set(cfg, "objective", objective[o], &err), FLV_OK);
    if (o == 4) assert_int_equal(flv_config_use(cfg, "objective", &component, &err), FLV_OK);
    flv_trainer *t = flv_trainer_new(cfg, NULL, NULL, 1, &err);
    assert_non_null(t);
    flv_config_free(cfg);
    for (int i = 0; i < 4; i++) step(t, NULL);
    // step() leaves its batch behind; gradients are used up, so they are written once more
    flv_batch *b = &t->batch;
    const flv_rng rng = {1, FLV_RNG_HEAD_DATA, (uint64_t)t->iteration - 1};
    flv_heads_learn(&t->heads, &t->score, b, &t->policy, t->objective, t->objective_cfg, rng);
    const int n = b->rows.n * 3 * 3;
    float *logits = b->acts.value[t->policy.heads];
    double used, size = 0.0;
    for (int j = 0; j < n; j++) {
      if (!b->mask[j / 9 * 3 + j % 3]) {
        assert_true(b->acts.grad[t->policy.heads][j] == 0.0f);
        continue;
      }
      const float x = logits[j], h = 0x1p-8f;
      logits[j] = x + h;
      const double up = loss_of_heads(t, logits, &used);
      logits[j] = x - h;
      const double down = loss_of_heads(t, logits, &used);
      logits[j] = x;
      const double slope = (up - down) / (2.0 * (double)h);
      const double given = (double)b->acts.grad[t->policy.heads][j];
      size += fabs(slope);
      if (!(fabs(slope - given) < 1e-3 * (1.0 + fabs(slope))))
        fail_msg("%s, logit %d: %g, by differences %g", objective[o], j, given, slope);
    }
    assert_true(used > 10 && used < 34 && size > 0.1);
    flv_trainer_free(t);
  }
}

// P_F itself learns from everything, and is what is evaluated.
static void p_f_reaches_the_target(void **unused) {
  (void)unused;
  static const char *const objective[] = {"tb", "reverse_kl"};
  for (int o = 0; o < 2; o++) {
    flv_trainer *t = MAKE({"env.side", "8"}, {"reward.r0", "0.1"}, {"objective", objective[o]},
                          {"exploration.heads", "8"}, {"policy.hidden", "[64]"},
                          {"optimiser.lr", "0.003"}, {"local_search.steps", o ? "0" : "1"});
    for (int i = 0; i < 1200; i++) step(t, NULL);
    flv_error err = {0};
    flv_evaluation e;
    assert_int_equal(flv_trainer_evaluate(t, 0, &e, &err), FLV_OK);
    printf("%s: JSD %.1e\n", objective[o], e.jsd);
    assert_true(e.jsd < 5e-3);
    // and so have the heads
    double worst = 0.0;
    for (int r = 0; r < t->batch.rows.n; r++)
      for (int k = 0; k < 8; k++)
        for (int a = 0; a < 3; a++)
          if (t->batch.mask[r * 3 + a])
            worst =
                fmax(worst, fabs(exp(head_log_p(t, k, r, a)) - exp(t->batch.log_pf[r * 3 + a])));
    printf("heads differ from P_F by at most %.3f\n", worst);
    assert_true(worst < 0.5);
    flv_trainer_free(t);
  }
}

static void the_same_bits(void **unused) {
  (void)unused;
  flv_trainer *t[4];
  for (int k = 0; k < 4; k++)
    t[k] = make(k % 3 + 1, SETTINGS({"env.dim", "4"}, {"env.side", "8"}, {"batch", "128"},
                                    {"exploration.heads", "4"}, {"exploration.epsilon", "0.1"}));
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 3; k++) step(t[k], NULL);
  take_state(t[3], t[0]);
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 4; k++) step(t[k], NULL);
  for (int k = 1; k < 4; k++) assert_same_state(t[0], t[k]);
  for (int k = 0; k < 4; k++) flv_trainer_free(t[k]);
}

static void not_where_logits_are_flows(void **unused) {
  (void)unused;
  static const char *const objective[] = {"soft_dqn", "flow_matching"};
  for (int k = 0; k < 2; k++) {
    flv_error err = {0};
    flv_config *cfg = configure(SETTINGS({"objective", objective[k]}, {"exploration.heads", "3"}));
    assert_null(flv_trainer_new(cfg, NULL, NULL, 1, &err));
    assert_non_null(strstr(err.text, "exploration.heads: not with this objective"));
    flv_config_free(cfg);
  }
}

static void no_allocation_between_iterations(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  flv_config *cfg =
      configure(SETTINGS({"env.side", "8"}, {"exploration.heads", "3"}, {"policy.hidden", "[16]"}));
  for (long k = 0, failures = 0;; k++) { // and every allocation of making one may fail
    flv_error err = {0};
    alloc_fail(k);
    flv_trainer *t = flv_trainer_new(cfg, NULL, NULL, 1, &err);
    const bool done = alloc_none_failed();
    assert_true(done ? t != NULL : t == NULL && err.status == FLV_ENOMEM && err.text[0] != '\0');
    failures += !done;
    if (done) {
      assert_true(failures > 20);
      for (int i = 0; i < 5; i++) step(t, NULL);
      const long before = alloc_count;
      for (int i = 0; i < 10; i++) step(t, NULL);
      assert_int_equal(alloc_count - before, 0);
    }
    flv_trainer_free(t);
    if (done) break;
  }
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(heads_sample),
      cmocka_unit_test(heads_learn),
      cmocka_unit_test(p_f_reaches_the_target),
      cmocka_unit_test(the_same_bits),
      cmocka_unit_test(not_where_logits_are_flows),
      cmocka_unit_test(no_allocation_between_iterations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
