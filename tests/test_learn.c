// The learner's parts: batches, sampling, interning, replay, and the gradient of a whole iteration.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "learn/trainer_impl.h"
#include "train_setup.h"

#define MAKE(...) make(1, SETTINGS(__VA_ARGS__))

// Every trajectory is a walk of the environment from s0 to an exit, through rows that hold its
// states.
static void check_walks(const flv_trainer *t) {
  const flv_batch *b = &t->batch;
  const flv_env *env = t->env;
  unsigned char state[64], before[64];
  for (int i = 0; i < b->n; i++) {
    env->ops->reset(env, 1, state);
    for (int p = b->offset[i]; p < b->offset[i + 1]; p++) {
      assert_memory_equal(state, flv_batch_state(b, b->row[p]), env->state_size);
      const int32_t action = b->action[p];
      assert_int_equal(b->mask[b->row[p] * env->n_actions + action], 1);
      if (p == b->offset[i])
        assert_int_equal(b->back[p], -1);
      else {
        memcpy(before, state, env->state_size);
        env->ops->unstep(env, 1, before, &b->back[p]);
        assert_memory_equal(before, flv_batch_state(b, b->row[p - 1]), env->state_size);
      }
      if (p + 1 < b->offset[i + 1])
        env->ops->step(env, 1, state, &action);
      else
        assert_int_equal(action, env->exit_action);
    }
  }
}

static void walks_are_walks(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.dim", "3"}, {"env.side", "4"}, {"batch", "37"},
                        {"exploration.epsilon", "0.3"}, {"exploration.exit_bias", "2"});
  for (int k = 0; k < 5; k++) {
    step(t, NULL);
    assert_int_equal(t->batch.n, 37);
    check_walks(t);
  }
  flv_trainer_free(t);
}

static void rows_are_distinct(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "6"}, {"batch", "100"});
  step(t, NULL);
  const flv_intern *rows = &t->batch.rows;
  assert_true(rows->n <= 36);
  for (int a = 0; a < rows->n; a++)
    for (int b = 0; b < a; b++)
      assert_memory_not_equal(flv_batch_state(&t->batch, a), flv_batch_state(&t->batch, b),
                              rows->state_size);
  flv_trainer_free(t);
}

// On-policy, log pi is log P_F to the last bit, so importance weights are exactly 1; with
// exploration it is the mixture's.
static void behaviour_is_recorded(void **unused) {
  (void)unused;
  flv_trainer *on = MAKE({"env.side", "7"}, {"batch", "50"});
  step(on, NULL);
  for (int i = 0; i < on->batch.n; i++) {
    double sum = 0.0;
    for (int p = on->batch.offset[i]; p < on->batch.offset[i + 1]; p++) sum += on->score.log_pf[p];
    assert_true(sum == on->batch.log_pi[i]);
  }
  flv_trainer_free(on);
  flv_trainer *off = MAKE({"env.side", "7"}, {"batch", "50"}, {"exploration.epsilon", "0.25"},
                          {"exploration.schedule", "constant"});
  step(off, NULL);
  const flv_batch *b = &off->batch;
  for (int i = 0; i < b->n; i++) {
    double sum = 0.0;
    for (int p = b->offset[i]; p < b->offset[i + 1]; p++) {
      const size_t at = (size_t)b->row[p] * 3;
      const int legal = b->mask[at] + b->mask[at + 1] + b->mask[at + 2];
      sum += log(0.75 * exp(off->score.log_pf[p]) + 0.25 / legal);
    }
    assert_true(fabs(sum - b->log_pi[i]) < 1e-9);
  }
  flv_trainer_free(off);
}

// A trajectory of k actions before the exit that was made to stop has log pi of these k alone;
// others that of all.
static void early_stops(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "9"}, {"batch", "4000"}, {"exploration.early_stop", "0.4"},
                        {"exploration.early_from", "3"});
  step(t, NULL);
  const flv_batch *b = &t->batch;
  int stopped[16] = {0}, all = 0;
  for (int i = 0; i < b->n; i++) {
    const int last = b->offset[i + 1] - 1, length = last - b->offset[i];
    double sum = 0.0;
    for (int p = b->offset[i]; p < last; p++) sum += t->score.log_pf[p];
    const bool forced = fabs(sum - b->log_pi[i]) < 1e-9 && t->score.log_pf[last] < -1e-6;
    if (!forced) assert_true(fabs(sum + t->score.log_pf[last] - b->log_pi[i]) < 1e-9);
    if (forced) assert_in_range(length, 3, 16);
    if (forced && length < 16) stopped[length]++;
    all += forced;
  }
  // Of 1600 that would be stopped after 3 to 16 actions, 2/3 a step go on until then.
  assert_in_range(all, 60, 160);
  assert_true(stopped[3] > 15 && stopped[4] > 10 && stopped[3] > stopped[6]);
  check_walks(t);
  flv_trainer_free(t);
}

// An exit that only a loss counts: P_F gives it probability, behaviour is the mixture of P_F given
// that it is not taken with the uniform one over the legal actions, and log pi is that.
static void unmasked_exits(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env", "ising"}, {"env.side", "2"}, {"reward", "ising"}, {"batch", "40"},
                        {"policy.exit", "unmasked"}, {"exploration.epsilon", "0.25"},
                        {"exploration.schedule", "constant"});
  step(t, NULL);
  const flv_batch *b = &t->batch;
  const int n = t->env->n_actions, exit = t->env->exit_action;
  for (int i = 0; i < b->n; i++) {
    double sum = 0.0;
    assert_int_equal(b->offset[i + 1] - b->offset[i], 5); // four sites, then the exit
    for (int p = b->offset[i]; p < b->offset[i + 1] - 1; p++) {
      const size_t at = (size_t)b->row[p] * (size_t)n;
      double all = 0.0;
      int legal = -1; // but for the exit
      for (int a = 0; a < n; a++) legal += b->mask[at + (size_t)a];
      for (int a = 0; a < n; a++) all += exp(b->log_pf[at + (size_t)a]);
      const double stop = exp(b->log_pf[at + (size_t)exit]);
      assert_true(fabs(all - 1.0) < 1e-12 && stop > 0.0);
      sum += log(0.75 * exp(t->score.log_pf[p]) / (1.0 - stop) + 0.25 / legal);
    }
    assert_true(t->score.log_pf[b->offset[i + 1] - 1] == 0.0);
    assert_true(fabs(sum - b->log_pi[i]) < 1e-9);
  }
  flv_error err = {0};
  uint64_t states[40]; // of the sampler that is evaluated, which never takes it
  assert_int_equal(t->env->state_size, sizeof *states);
  assert_int_equal(flv_trainer_sample(t, 3, 40, states, NULL, &err), FLV_OK);
  for (int r = 0; r < b->evaluated; r++)
    assert_true(b->mask[r * n + exit] == 0 || b->log_pf[r * n + exit] == 0.0);
  flv_trainer_free(t);
}

// Interning changes how often a state is evaluated and nothing else.
static void interned_equals_plain(void **unused) {
  (void)unused;
  flv_trainer *a = MAKE({"env.side", "8"}, {"batch", "32"}, {"objective", "db"});
  flv_trainer *b =
      MAKE({"env.side", "8"}, {"batch", "32"}, {"objective", "db"}, {"intern", "false"});
  for (int k = 0; k < 3; k++) {
    flv_stats sa, sb;
    step(a, &sa);
    step(b, &sb);
    assert_int_equal(sa.states, sb.states);
    assert_int_equal(sb.distinct, sb.states);
    assert_true(sa.distinct < sa.states);
    assert_true(fabs(sa.loss - sb.loss) <= 1e-4 * fabs(sa.loss));
    assert_true(fabs(sa.grad_norm - sb.grad_norm) <= 1e-3 * sa.grad_norm);
  }
  flv_trainer_free(a);
  flv_trainer_free(b);
}

// Loss of the batch in hand at other parameters.
static double loss_at(flv_trainer *t, const float *params) {
  memcpy(t->policy.params, params, t->policy.n_params * sizeof *params);
  t->batch.evaluated = 0;
  flv_batch_evaluate_pf(&t->batch, &t->policy, 1);
  flv_batch_evaluate_rest(&t->batch, &t->policy, 1);
  flv_score_gather(&t->score, &t->batch, &t->policy, t->train->batch, NULL, false);
  return t->objective->loss(t->objective_cfg, &t->score.in, &t->score.out);
}

// The directional derivative along the gradient, by central differences, is its squared norm.
static void check_gradient(const char *env, const char *exit, const char *objective,
                           const char *p_b) {
  flv_trainer *t = MAKE({"env", env}, {"reward", strcmp(env, "ising") == 0 ? env : "corners"},
                        {"env.side", strcmp(env, "ising") == 0 ? "2" : "5"}, {"batch", "16"},
                        {"objective", objective}, {"policy.p_b", p_b}, {"policy.exit", exit},
                        {"policy.hidden", "[32, 32]"}, {"policy.activation", "tanh"});
  const size_t n = t->policy.n_params;
  float *at = calloc(n, sizeof *at), *moved = calloc(n, sizeof *moved);
  memcpy(at, t->policy.params, n * sizeof *at);
  step(t, NULL); // fills the batch and t->grad at the parameters before the update
  if (strcmp(objective, "flow_matching") == 0) // log Z has a loss of its own, which is not reported
    t->grad[t->policy.net->n_params] = 0.0f;
  double square = 0.0;
  for (size_t i = 0; i < n; i++) square += (double)t->grad[i] * (double)t->grad[i];
  const double h = 0.01 / sqrt(square);
  double value[2];
  for (int side = 0; side < 2; side++) {
    for (size_t i = 0; i < n; i++) moved[i] = at[i] + (float)((side ? -h : h) * (double)t->grad[i]);
    value[side] = loss_at(t, moved);
  }
  const double slope = (value[0] - value[1]) / (2.0 * h);
  if (fabs(slope - square) > 2e-3 * square)
    fail_msg("%s, %s, P_B %s, %s: slope %g along the gradient, squared norm %g", env, objective,
             p_b, exit, slope, square);
  free(at);
  free(moved);
  flv_trainer_free(t);
}

static void gradient_of_an_iteration(void **unused) {
  (void)unused;
  static const char *const objectives[] = {"tb",    "db",       "modified_db",  "subtb",
                                           "fl_db", "fl_subtb", "flow_matching"};
  static const char *const backward[] = {"learned", "tied", "uniform"};
  for (int o = 0; o < 7; o++)
    for (int b = 0; b < 3; b++) check_gradient("hypergrid", "joint", objectives[o], backward[b]);
  check_gradient("ising", "joint", "tb", "uniform");
  check_gradient("ising", "unmasked", "tb", "uniform");
  check_gradient("ising", "unmasked", "subtb", "learned");
}

// What flows into a state is what its parents' logits say, whoever the parents are.
static void inflow_is_the_parents(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.sides", "[4, 3]"}, {"batch", "6"}, {"objective", "flow_matching"});
  step(t, NULL);
  const flv_batch *b = &t->batch;
  const flv_inflow *f = &t->score.inflow;
  assert_true(f->n > 3 && f->n <= b->rows.n);
  for (int r = 0; r < f->n; r++) {
    double sum = 0.0;
    for (int parent = 0; parent < b->rows.n; parent++)
      for (int32_t a = 0; a < 2; a++) {
        uint64_t state;
        memcpy(&state, flv_batch_state(b, parent), sizeof state);
        if (!b->mask[parent * 3 + a]) continue;
        t->env->ops->step(t->env, 1, &state, &a);
        if (memcmp(&state, flv_batch_state(b, r), sizeof state) == 0)
          sum += exp((double)b->acts.value[t->policy.pf][parent * 3 + a]);
      }
    assert_true(fabs(exp(f->log_inflow[r]) - sum) < 1e-6 * (1.0 + sum));
  }
  flv_trainer_free(t);
}

static void samples_follow_the_policy(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "4"}, {"batch", "64"});
  for (int k = 0; k < 20; k++) step(t, NULL);
  enum { N = 40000 };
  double p[16] = {0}, count[16] = {0}, tv = 0.0;
  flv_error err = {0};
  assert_int_equal(flv_trainer_distribution(t, p, NULL, &err), FLV_OK);
  unsigned char *states = calloc(N, t->env->state_size);
  int64_t *index = calloc(N, sizeof *index);
  assert_int_equal(flv_trainer_sample(t, 3, N, states, NULL, &err), FLV_OK);
  t->env->ops->index(t->env, N, states, index);
  for (int i = 0; i < N; i++) count[index[i]] += 1.0 / N;
  for (int i = 0; i < 16; i++) tv += 0.5 * fabs(p[i] - count[i]);
  assert_true(tv < 0.015); // about 4 standard deviations for 16 cells and 40,000 draws
  free(states);
  free(index);
  flv_trainer_free(t);
}

static void replay_is_first_in_first_out(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "5"}, {"batch", "8"}, {"replay.capacity", "20"},
                        {"replay.fraction", "0.5"});
  int32_t first_length;
  step(t, NULL); // nothing to draw yet: all fresh
  assert_int_equal(*t->collector.replay.pushed, 8);
  first_length = t->collector.replay.length[0];
  assert_int_equal(first_length, t->batch.offset[1] - t->batch.offset[0]);
  for (int k = 0; k < 3; k++) {
    step(t, NULL); // 4 fresh, 4 drawn
    check_walks(t);
    assert_int_equal(t->batch.n, 8);
    for (int i = 4; i < 8; i++) { // drawn with the log-probability they were made with
      bool known = false;
      for (int j = 0; j < 20; j++) known |= t->collector.replay.log_pi[j] == t->batch.log_pi[i];
      assert_true(known);
    }
  }
  assert_int_equal(*t->collector.replay.pushed, 20);
  const double oldest = t->collector.replay.log_pi[4];
  step(t, NULL); // the four oldest give way
  assert_int_equal(*t->collector.replay.pushed, 24);
  assert_true(t->collector.replay.log_pi[0] == t->batch.log_pi[0]);
  assert_true(t->collector.replay.log_pi[4] == oldest);
  flv_trainer_free(t);
}

static void replay_alone(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "5"}, {"batch", "8"}, {"replay.capacity", "50"},
                        {"replay.fraction", "1"}, {"replay.prefill", "16"});
  step(t, NULL);
  step(t, NULL);
  assert_int_equal(*t->collector.replay.pushed, 16);
  step(t, NULL); // trained on 8 drawn ones, 8 fresh ones stored
  assert_int_equal(*t->collector.replay.pushed, 24);
  assert_int_equal(t->batch.n, 8);
  assert_int_equal(t->trajectories, 24);
  check_walks(t);
  flv_trainer_free(t);
}

static void schedules_of_exploration(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = flv_config_new(&err);
  flv_config_set(cfg, "exploration.exit_bias", "1", &err);
  flv_config_set(cfg, "exploration.until", "0.2", &err);
  const void *values = flv_config_values(cfg, "exploration");
  assert_true(flv_explore_at(values, 0, 1000).exit_bias == 1.0);
  assert_true(fabs(flv_explore_at(values, 100, 1000).exit_bias - 0.5) < 1e-12);
  assert_true(flv_explore_at(values, 200, 1000).exit_bias == 0.0);
  assert_false(flv_explore_at(values, 200, 1000).active);
  flv_config_set(cfg, "exploration.schedule", "linear", &err);
  assert_true(fabs(flv_explore_at(values, 50, 1000).exit_bias - 0.75) < 1e-12);
  flv_config_set(cfg, "exploration.schedule", "constant", &err);
  assert_true(flv_explore_at(values, 999, 1000).exit_bias == 1.0);
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(walks_are_walks),
      cmocka_unit_test(rows_are_distinct),
      cmocka_unit_test(behaviour_is_recorded),
      cmocka_unit_test(early_stops),
      cmocka_unit_test(unmasked_exits),
      cmocka_unit_test(interned_equals_plain),
      cmocka_unit_test(gradient_of_an_iteration),
      cmocka_unit_test(inflow_is_the_parents),
      cmocka_unit_test(samples_follow_the_policy),
      cmocka_unit_test(replay_is_first_in_first_out),
      cmocka_unit_test(replay_alone),
      cmocka_unit_test(schedules_of_exploration),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
