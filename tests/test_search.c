// Local search: the kernel of its Markov chain, enumerated, leaves R(x) P_B(tau | x) / Z as it is;
// long chains visit objects by R; what is trained on is where the chains are.
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

// Parameters far from their near-uniform start, so that P_F is far from the target.
static void randomise(flv_trainer *t) {
  const flv_rng rng = {.seed = 9, .purpose = FLV_RNG_TEST, .iteration = 0};
  for (size_t i = 0; i < t->policy.net->n_params; i++) {
    double z[2];
    flv_rng_normal2(rng, (uint32_t)i, 0, z);
    t->policy.params[i] += (float)(0.5 * z[0]);
  }
}

// ---- the kernel ----

enum { MAX = 40 };

// Every trajectory of the environment into the batch. path: actions taken so far.
static void list_all(flv_trainer *t, const void *state, int32_t *path, int length) {
  const flv_env *env = t->env;
  uint8_t mask[8] = {0}, terminal = 0;
  unsigned char next[8];
  env->ops->mask(env, 1, state, mask);
  if (env->exit_action < 0) env->ops->terminal(env, 1, state, &terminal);
  if (terminal) flv_sampler_append(&t->sampler, &t->batch, length, path, 0.0);
  for (int32_t a = 0; a < env->n_actions && !terminal; a++) {
    if (!mask[a]) continue;
    path[length] = a;
    if (a == env->exit_action) {
      flv_sampler_append(&t->sampler, &t->batch, length + 1, path, 0.0);
      continue;
    }
    memcpy(next, state, env->state_size);
    env->ops->step(env, 1, next, &a);
    list_all(t, next, path, length + 1);
  }
}

static int actions_of(const flv_batch *b, int i) {
  int n = 0;
  for (int p = b->offset[i]; p < b->offset[i + 1]; p++) n += b->action[p] >= 0;
  return n;
}

// log P_F of the actions from number `cut` on.
static double log_pf_from(const flv_batch *b, int i, int cut) {
  double sum = 0.0;
  for (int k = cut; k < actions_of(b, i); k++) {
    const int p = b->offset[i] + k;
    sum += b->log_pf[b->row[p] * b->env->n_actions + b->action[p]];
  }
  return sum;
}

static double log_pb_of(const flv_batch *b, int i) {
  double sum = 0.0;
  for (int p = b->offset[i] + 1; p < b->offset[i + 1]; p++)
    sum += b->log_pb[b->row[p] * b->env->n_back + b->back[p]];
  return sum;
}

static bool share(const flv_batch *b, int i, int j, int cut) {
  for (int k = 0; k < cut; k++)
    if (b->action[b->offset[i] + k] != b->action[b->offset[j] + k]) return false;
  return true;
}

// Second half of a step: k[i][j], from trajectory i to j.
static void metropolis(const flv_batch *b, double k[MAX][MAX]) {
  for (int i = 0; i < b->n; i++) {
    double stay = 1.0;
    for (int j = 0; j < b->n; j++) k[i][j] = 0.0;
    for (int cut = 0; cut < actions_of(b, i); cut++) {
      double proposed = 0.0;
      for (int j = 0; j < b->n; j++) {
        if (actions_of(b, j) <= cut || !share(b, i, j, cut)) continue;
        const double q = exp(log_pf_from(b, j, cut));
        const double yes = fmin(1.0, exp(flv_search_log_ratio(b, i, j, cut)));
        proposed += q;
        k[i][j] += q * yes / actions_of(b, i);
        stay -= q * yes / actions_of(b, i);
      }
      assert_true(fabs(proposed - 1.0) < 1e-12); // everything that may be proposed is listed
    }
    assert_true(stay > -1e-12);
    k[i][i] += stay;
  }
}

static void check_kernel(flv_trainer *t, int trajectories) {
  static double k[MAX][MAX];
  flv_batch *b = &t->batch;
  unsigned char start[8];
  int32_t path[16];
  double target[MAX], z = 0.0, object[MAX], moved[MAX], largest = 0.0;
  flv_batch_clear(b);
  t->env->ops->reset(t->env, 1, start);
  list_all(t, start, path, 0);
  assert_int_equal(b->n, trajectories);
  assert_true(b->n <= MAX);
  flv_batch_evaluate_pf(b, &t->policy, 1);
  flv_batch_evaluate_rest(b, &t->policy, 1);
  assert_int_equal(flv_score_rewards(&t->score, b, t->reward, NULL), FLV_OK);
  for (int i = 0; i < b->n; i++) z += target[i] = exp(b->log_r[i] + log_pb_of(b, i));
  for (int i = 0; i < b->n; i++) target[i] /= z;
  metropolis(b, k);
  for (int j = 0; j < b->n; j++) { // of the half step, and in detailed balance
    double sum = 0.0;
    for (int i = 0; i < b->n; i++) {
      sum += target[i] * k[i][j];
      assert_true(fabs(target[i] * k[i][j] - target[j] * k[j][i]) < 1e-13);
      if (i != j) largest = fmax(largest, k[i][j]);
    }
    assert_true(fabs(sum - target[j]) < 1e-12);
  }
  assert_true(largest > 0.01);
  // Gibbs before it: from any trajectory to the same object, by P_B.
  for (int i = 0; i < b->n; i++) {
    object[i] = 0.0;
    for (int j = 0; j < b->n; j++)
      if (flv_batch_last(b, i) == flv_batch_last(b, j)) object[i] += target[j];
  }
  for (int j = 0; j < b->n; j++) {
    moved[j] = 0.0;
    for (int i = 0; i < b->n; i++) moved[j] += object[i] * exp(log_pb_of(b, i)) * k[i][j];
    assert_true(fabs(moved[j] - target[j]) < 1e-12);
  }
}

static void the_target_is_invariant(void **unused) {
  (void)unused;
  static const char *const p_b[] = {"learned", "uniform"};
  for (int k = 0; k < 2; k++) {
    flv_trainer *grid = MAKE({"env.side", "3"}, {"policy.p_b", p_b[k]}, {"policy.hidden", "[8]"}),
                *graph = MAKE({"env", "graph"}, {"reward", "values"}, {"policy.p_b", p_b[k]},
                              {"reward.r", "[0.5, 3]"}, {"policy.hidden", "[8]"});
    randomise(grid);
    randomise(graph);
    check_kernel(grid, 19);
    check_kernel(graph, 5); // not graded, without exits
    flv_trainer_free(grid);
    flv_trainer_free(graph);
  }
}

// ---- chains ----

// Objects where 64 chains are after each of many steps; chi-square with the error of batches of
// steps, since successive ones are not independent.
static void chains_visit_by_reward(void **unused) {
  (void)unused;
  enum { CHAINS = 64, STEPS = 40, RUNS = 300, OBJECTS = 9 };
  flv_trainer *t = MAKE({"env.side", "3"}, {"batch", "64"}, {"local_search.steps", "40"},
                        {"reward.r0", "0.5"}, {"policy", "tabular"});
  randomise(t);
  flv_search *s = &t->collector.search;
  double log_r[OBJECTS], p[OBJECTS], count[OBJECTS] = {0}, z = 0.0;
  uint64_t states[OBJECTS];
  int64_t index[OBJECTS], proposed = 0, accepted = 0;
  for (int64_t i = 0; i < OBJECTS; i++) index[i] = i;
  t->env->ops->at(t->env, OBJECTS, index, states);
  assert_int_equal(flv_reward_log(t->reward, t->env, OBJECTS, states, log_r, NULL), FLV_OK);
  for (int i = 0; i < OBJECTS; i++) z += exp(log_r[i]);
  for (int i = 0; i < OBJECTS; i++) p[i] = exp(log_r[i]) / z;
  const flv_explore on_policy = {.temperature = 1.0};
  for (int k = 0; k < RUNS; k++) { // the last state of each chain: independent, and converged
    assert_int_equal(flv_search_run(s, &t->policy, t->reward, &on_policy, 1, k, CHAINS, 1, NULL),
                     FLV_OK);
    for (int i = 0; i < CHAINS; i++) {
      t->env->ops->index(
          t->env, 1, flv_batch_state(&s->batch, flv_batch_last(&s->batch, s->chosen[i])), index);
      count[index[0]] += 1.0;
    }
    proposed += s->proposed, accepted += s->accepted;
  }
  assert_int_equal(proposed, RUNS * CHAINS * STEPS);
  printf("%.3f accepted\n", (double)accepted / (double)proposed);
  assert_true(accepted > proposed / 10 && accepted < proposed * 9 / 10);
  double chi = 0.0, most = 0.0, least = 1.0;
  for (int i = 0; i < OBJECTS; i++) {
    const double expected = p[i] * RUNS * CHAINS;
    chi += (count[i] - expected) * (count[i] - expected) / expected;
    most = fmax(most, p[i]), least = fmin(least, p[i]);
  }
  assert_true(most > 1.5 * least);
  if (chi > OBJECTS - 1 + 4.5 * sqrt(2.0 * (OBJECTS - 1))) fail_msg("chi-square %g", chi);
  flv_trainer_free(t);
}

// ---- what is trained on ----

static void batches_of_searched_trajectories(void **unused) {
  (void)unused;
  static const char *const rule[] = {"metropolis_hastings", "greedy"};
  for (int k = 0; k < 2; k++) {
    flv_trainer *t =
        MAKE({"env.side", "8"}, {"batch", "20"}, {"local_search.steps", "6"},
             {"local_search.rule", rule[k]}, {"exploration.epsilon", "0.3"}, {"optimiser.lr", "0"});
    flv_trainer *plain = MAKE({"env.side", "8"}, {"batch", "20"}, {"exploration.epsilon", "0.3"},
                              {"optimiser.lr", "0"});
    int higher = 0;
    for (int n = 0; n < 20; n++) {
      step(t, NULL), step(plain, NULL);
      const flv_batch *b = &t->batch;
      assert_int_equal(b->n, 20);
      for (int i = 0; i < 20; i++) {
        assert_true(fabs(b->log_pi[i] - flv_trajectory_log_pf(&t->score.in, i)) < 1e-5);
        if (k == 1) assert_true(b->log_r[i] >= plain->batch.log_r[i]);
        higher += b->log_r[i] > plain->batch.log_r[i];
      }
      const flv_search *s = &t->collector.search;
      assert_int_equal(s->proposed, 120);
      assert_true(s->accepted > 0 && s->accepted < 120);
    }
    assert_true(higher > 100);
    assert_int_equal(t->trajectories, 20 * 20 * 7);
    flv_trainer_free(t);
    flv_trainer_free(plain);
  }
}

static flv_status log_reward_some(const flv_reward *reward, const flv_env *env, int n,
                                  const void *states, double *log_r, flv_error *err) {
  (void)reward, (void)err;
  for (int i = 0; i < n; i++) {
    int64_t index;
    env->ops->index(env, 1, (const unsigned char *)states + (size_t)i * env->state_size, &index);
    log_r[i] = index % 2 ? -HUGE_VAL : 0.0;
  }
  return FLV_OK;
}

// R(x) = 0: never entered, and left at once.
static void objects_without_reward(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "4"}, {"batch", "64"}, {"local_search.steps", "30"});
  const flv_reward some = {.name = "some", .log_reward = log_reward_some};
  const flv_explore on_policy = {.temperature = 1.0};
  flv_search *s = &t->collector.search;
  assert_int_equal(flv_search_run(s, &t->policy, &some, &on_policy, 1, 0, 64, 1, NULL), FLV_OK);
  for (int i = 0; i < 64; i++) assert_true(s->batch.log_r[s->chosen[i]] == 0.0);
  flv_trainer_free(t);
}

static int64_t asked; // how many rewards

static flv_status log_reward_counted(const flv_reward *reward, const flv_env *env, int n,
                                     const void *states, double *log_r, flv_error *err) {
  FLV_TRY(log_reward_some(reward, env, n, states, log_r, err));
  asked += n;
  return FLV_OK;
}

// Those of proposals, not again those of where the chains are. Few of 2^12 objects are met twice.
static void rewards_are_asked_for_once(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "64"}, {"batch", "32"}, {"local_search.steps", "10"});
  const flv_reward counted = {.name = "counted", .log_reward = log_reward_counted};
  const flv_explore on_policy = {.temperature = 1.0, .exit_bias = 4.0, .active = true};
  asked = 0;
  assert_int_equal(
      flv_search_run(&t->collector.search, &t->policy, &counted, &on_policy, 1, 0, 32, 1, NULL),
      FLV_OK);
  assert_true(asked <= 32 * 11);
  assert_true(asked > 32 * 9);
  flv_trainer_free(t);
}

static void the_same_bits(void **unused) {
  (void)unused;
  flv_trainer *t[4];
  for (int k = 0; k < 4; k++)
    t[k] = make(k % 3 + 1, SETTINGS({"env.dim", "4"}, {"env.side", "8"}, {"batch", "128"},
                                    {"local_search.steps", "3"}, {"replay", "terminal"},
                                    {"replay.by", "reward"}, {"exploration.epsilon", "0.1"}));
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 3; k++) step(t[k], NULL);
  take_state(t[3], t[0]);
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 4; k++) step(t[k], NULL);
  for (int k = 1; k < 4; k++) assert_same_state(t[0], t[k]);
  for (int k = 0; k < 4; k++) flv_trainer_free(t[k]);
}

static void no_allocation_between_iterations(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  flv_trainer *t =
      MAKE({"env.side", "8"}, {"local_search.steps", "3"}, {"replay", "terminal"},
           {"replay.by", "loss"}, {"replay.capacity", "50"}, {"policy.hidden", "[16]"});
  for (int i = 0; i < 5; i++) step(t, NULL);
  const long before = alloc_count;
  for (int i = 0; i < 10; i++) step(t, NULL);
  assert_int_equal(alloc_count - before, 0);
  flv_trainer_free(t);
}

// Fails the k-th allocation of making a trainer and one step, for every k.
static void every_allocation_may_fail(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  flv_config *cfg = configure(SETTINGS(
      {"env.side", "5"}, {"batch", "8"}, {"local_search.steps", "2"}, {"replay", "terminal"},
      {"replay.by", "reward"}, {"replay.capacity", "20"}, {"policy.hidden", "[8]"}));
  int failures = 0;
  for (long k = 0;; k++) {
    flv_error err = {0};
    alloc_fail(k);
    flv_trainer *t = flv_trainer_new(cfg, NULL, NULL, 1, &err);
    const flv_status status = t ? flv_trainer_step(t, NULL, &err) : err.status;
    const bool done = alloc_none_failed();
    flv_trainer_free(t);
    if (done) break;
    failures++;
    if (status != FLV_ENOMEM || !err.text[0]) fail_msg("allocation %ld: status %d", k, status);
  }
  assert_true(failures > 30);
  flv_config_free(cfg);
}

static void it_reaches_the_target(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "8"}, {"reward.r0", "0.01"}, {"local_search.steps", "4"},
                        {"policy.hidden", "[32]"}, {"optimiser.lr", "0.005"}, {"batch", "16"});
  for (int i = 0; i < 1500; i++) step(t, NULL);
  flv_error err = {0};
  flv_evaluation e;
  assert_int_equal(flv_trainer_evaluate(t, 0, &e, &err), FLV_OK);
  printf("JSD %.1e\n", e.jsd);
  assert_true(e.jsd < 2e-3);
  flv_trainer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_target_is_invariant),
      cmocka_unit_test(chains_visit_by_reward),
      cmocka_unit_test(batches_of_searched_trajectories),
      cmocka_unit_test(objects_without_reward),
      cmocka_unit_test(rewards_are_asked_for_once),
      cmocka_unit_test(the_same_bits),
      cmocka_unit_test(no_allocation_between_iterations),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(it_reaches_the_target),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
