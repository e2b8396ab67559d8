// How P_B learns: maximum-entropy counts, likelihoods of trajectories, and the target network.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "learn/max_entropy.h"
#include "learn/trainer_impl.h"
#include "train_setup.h"

#define MAKE(...) make(1, SETTINGS(__VA_ARGS__))

// On a grid the ways to s are (sum of s)! / prod s_d!, so that P_B of a step back along d is s_d
// over the sum.
static void ways_on_a_grid(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.sides", "[4, 3, 5]"}, {"policy.p_b", "max_entropy"}, {"batch", "9"});
  const flv_env *env = t->env;
  const double *log_pb = t->policy.fixed_log_pb;
  assert_non_null(log_pb);
  for (int64_t s = 0; s < env->n_states; s++) {
    uint64_t state;
    int32_t hot[3];
    env->ops->at(env, 1, &s, &state);
    env->ops->observe(env, 1, &state, hot, NULL);
    const int x[3] = {hot[0], hot[1] - 4, hot[2] - 7};
    for (int d = 0; d < 3; d++) {
      const double p = x[d] == 0 ? 0.0 : (double)x[d] / (x[0] + x[1] + x[2]);
      assert_true(fabs(exp(log_pb[s * 3 + d]) - p) < 1e-12);
    }
  }
  step(t, NULL); // and it is what the objective reads
  const flv_batch *b = &t->batch;
  for (int r = 0; r < b->rows.n; r++) {
    int64_t s;
    env->ops->index(env, 1, flv_batch_state(b, r), &s);
    assert_memory_equal(b->log_pb + r * 3, log_pb + s * 3, 3 * sizeof(double));
  }
  flv_trainer_free(t);
}

static void what_has_nothing_to_learn(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = configure(SETTINGS({"policy.p_b", "uniform"}, {"backward", "tlm"}));
  assert_null(flv_trainer_new(cfg, NULL, NULL, 1, &err));
  assert_string_equal(err.text,
                      "backward: tlm needs a P_B that learns (policy.p_b: learned or tied)");
  flv_config_free(cfg);
  cfg = configure(SETTINGS({"env.dim", "16"}, {"policy.p_b", "max_entropy"}));
  assert_null(flv_trainer_new(cfg, NULL, NULL, 1, &err));
  assert_non_null(strstr(err.text, "policy.p_b: max_entropy counts the ways"));
  flv_config_free(cfg);
}

// Log P_B of a table of logits is raised along the trajectories at hand; P_F's part of the loss
// sees the target's P_B.
static void likelihood_of_trajectories(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "4"}, {"batch", "16"}, {"backward", "tlm"},
                        {"policy", "tabular"}, {"optimiser", "sgd"}, {"optimiser.momentum", "0"},
                        {"optimiser.lr", "0.1"}, {"target_network.tau", "0.5"});
  for (int k = 0; k < 3; k++) step(t, NULL);
  const size_t n = t->policy.n_params;
  float *before = calloc(n, sizeof *before), *slow = calloc(n, sizeof *slow);
  memcpy(before, t->policy.params, n * sizeof *before);
  memcpy(slow, t->target.policy.params, n * sizeof *slow);
  assert_memory_not_equal(before, slow, n * sizeof *slow);
  step(t, NULL);
  for (size_t i = 0; i < n; i++) // tau = 1/2
    assert_true(fabs((double)t->target.policy.params[i] -
                     0.5 * ((double)slow[i] + (double)t->policy.params[i])) < 1e-6);
  const flv_batch *b = &t->batch;
  double *count = calloc(16 * 2, sizeof *count), *visits = calloc(16, sizeof *visits);
  for (int p = 0; p < b->offset[b->n]; p++) {
    const size_t r = (size_t)b->row[p];
    if (b->back[p] < 0) continue;
    count[r * 2 + (size_t)b->back[p]] += 1.0 / 16;
    visits[r] += 1.0 / 16;
    assert_true(t->score.log_pb[p] == t->target.batch.log_pb[r * 2 + (size_t)b->back[p]]);
  }
  int table = 0;
  while (strcmp(t->policy.net->weight[table].name, "p_b.weight") != 0) table++;
  const float *old = before + t->policy.net->weight[table].offset;
  const float *new = t->policy.params + t->policy.net->weight[table].offset;
  for (int r = 0; r < b->rows.n; r++) {
    int64_t s;
    t->env->ops->index(t->env, 1, flv_batch_state(b, r), &s);
    for (size_t k = 0; k < 2; k++) { // d/d logit of sum log P_B: count - P_B visits
      if (!b->mask_back[(size_t)r * 2 + k]) continue;
      const double rise =
          0.1 * (count[(size_t)r * 2 + k] - exp(b->log_pb[(size_t)r * 2 + k]) * visits[r]);
      assert_true(fabs((double)new[s * 2 + (int64_t)k] - (double)old[s * 2 + (int64_t)k] - rise) <
                  1e-5);
    }
  }
  free(count), free(visits), free(before), free(slow);
  flv_trainer_free(t);
}

// The objective sees the first half of the batch and P_B the second, drawn from the past.
static void likelihood_of_the_past(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "5"}, {"batch", "8"}, {"backward", "pessimistic"},
                        {"backward.batches", "3"});
  for (int k = 0; k < 5; k++) {
    step(t, NULL);
    const flv_batch *b = &t->batch;
    assert_int_equal(b->n, 16);
    assert_int_equal(t->score.in.n, 8);
    for (int p = 0; p < b->offset[16]; p++) {
      const bool past = p >= b->offset[8];
      assert_true(t->score.out.log_pb[p] == (past && b->back[p] >= 0 ? -1.0 / 8 : 0.0));
      assert_true(!past || t->score.out.log_pf[p] == 0.0);
    }
  }
  assert_int_equal(*t->backward.past.pushed, 40);
  assert_int_equal(t->backward.past.capacity, 24);
  flv_trainer_free(t);
}

// Against the residuals as they are written down.
static void ways_are_regressed(void **unused) {
  (void)unused;
  static const char *const p_b[] = {"learned", "tied"};
  for (int k = 0; k < 2; k++) {
    flv_trainer *t = MAKE({"env.side", "5"}, {"batch", "8"}, {"backward", "max_entropy"},
                          {"policy.p_b", p_b[k]}, {"policy.hidden", "[16]"});
    for (int i = 0; i < 4; i++) step(t, NULL);
    // step() leaves the scores of the latest batch behind, and the networks' values
    const flv_batch *b = &t->batch;
    const flv_score *s = &t->score;
    const float *log_n = b->acts.value[t->policy.log_n];
    double d_log_n[25] = {0}, size = 0.0;
    for (int i = 0; i < 8; i++)
      for (int p = b->offset[i] + 1; p < b->offset[i + 1]; p++) {
        const int r = b->row[p], before = b->row[p - 1];
        double residual = (double)log_n[r] + b->log_pb[r * 2 + b->back[p]];
        if (before != b->row[b->offset[i]]) residual -= (double)log_n[before];
        const double d = 2.0 * residual / (b->offset[8] - 8);
        assert_true(fabs(s->out.log_pb[p] - d) < 1e-12);
        d_log_n[r] += d;
        if (before != b->row[b->offset[i]]) d_log_n[before] -= d;
        size += fabs(d);
      }
    assert_true(size > 0.1);
    for (int r = 0; r < b->rows.n; r++) assert_true(fabs(s->d_log_n[r] - d_log_n[r]) < 1e-12);
    flv_trainer_free(t);
  }
}

// The learned P_B becomes the one that is counted, and log n the log of the number of ways.
static void learned_ways(void **unused) {
  (void)unused;
  static const char *const policy[] = {"tabular", "mlp"}, *const env[] = {"hypergrid", "graph"};
  for (int k = 0; k < 4; k++) {
    flv_trainer *t = MAKE({"env", env[k / 2]}, {k / 2 ? "batch" : "env.side", k / 2 ? "64" : "5"},
                          {"reward", k / 2 ? "values" : "corners"},
                          {k / 2 ? "reward.r" : "reward.r0", k / 2 ? "[0.5, 3]" : "0.5"},
                          {"backward", "max_entropy"}, {"policy", policy[k % 2]},
                          {"optimiser.lr", k % 2 ? "0.003" : "0.03"}, {"schedule", "cosine"},
                          {"iterations", "2000"}, {"exploration.epsilon", "0.5"},
                          {"exploration.epsilon_end", "0.5"});
    flv_error err = {0};
    double *exact = flv_max_entropy(t->env, &err), worst = 0.0;
    for (int i = 0; i < 2000; i++) step(t, NULL);
    flv_batch *b = &t->batch;
    flv_batch_clear(b);
    for (int64_t s = 0; s < t->env->n_states; s++) {
      uint64_t state;
      t->env->ops->at(t->env, 1, &s, &state);
      flv_batch_row(b, &state, -1);
    }
    flv_batch_evaluate_rest(b, &t->policy, 1);
    for (int64_t i = 0; i < t->env->n_states * t->env->n_back; i++)
      worst = fmax(worst, fabs(exp(b->log_pb[i]) - exp(exact[i])));
    const double log_n = (double)b->acts.value[t->policy.log_n][t->env->n_states - 1];
    const double ways = k / 2 ? 2.0 : 70.0; // 8! / (4! 4!); 0-1-2-4 and 0-2-4
    printf("%s, %s: P_B off by %.4f, %.2f ways\n", env[k / 2], policy[k % 2], worst, exp(log_n));
    assert_true(worst < 0.01);
    assert_true(fabs(exp(log_n) / ways - 1.0) < 0.02);
    flv_free(exact);
    flv_trainer_free(t);
  }
}

// Each finds the target, P_B learning in its own way.
static void all_reach_the_target(void **unused) {
  (void)unused;
  static const char *const rule[] = {"objective", "tlm", "pessimistic", "max_entropy"};
  for (int k = 0; k < 4; k++) {
    flv_trainer *t = MAKE({"env.side", "6"}, {"reward.r0", "0.1"}, {"backward", rule[k]},
                          {"policy.hidden", "[32]"}, {"optimiser.lr", "0.005"});
    for (int i = 0; i < 800; i++) step(t, NULL);
    flv_error err = {0};
    flv_evaluation e;
    assert_int_equal(flv_trainer_evaluate(t, 0, &e, &err), FLV_OK);
    if (!(e.jsd < 1e-3)) fail_msg("%s: JSD %g", rule[k], e.jsd);
    flv_trainer_free(t);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ways_on_a_grid),
      cmocka_unit_test(what_has_nothing_to_learn),
      cmocka_unit_test(likelihood_of_trajectories),
      cmocka_unit_test(likelihood_of_the_past),
      cmocka_unit_test(ways_are_regressed),
      cmocka_unit_test(learned_ways),
      cmocka_unit_test(all_reach_the_target),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
