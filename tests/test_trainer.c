// Whole trainers: every objective learns, the same seed gives the same bits, bad losses stop,
// memory is fixed.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "alloc.h"
#include "train_setup.h"

static double trained_jsd(flv_trainer *t, int iterations) {
  flv_error err = {0};
  flv_evaluation e;
  for (int i = 0; i < iterations; i++) step(t, NULL);
  if (flv_trainer_evaluate(t, 0, &e, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_true(e.exact);
  return e.jsd;
}

static void check_learns(const char *objective, const char *options, const char *p_b) {
  flv_trainer *t = make(1, SETTINGS({"env.side", "6"}, {"reward.r0", "0.1"}, {"batch", "64"},
                                    {"objective.name", objective}, {"policy.hidden", "[64, 64]"},
                                    {"policy.p_b", p_b}, {"optimiser.lr", "3e-3"},
                                    {"objective.baseline", options}));
  const double before = trained_jsd(t, 0), after = trained_jsd(t, 1000);
  printf("%-20s %-14s P_B %-8s JSD %.1e -> %.1e\n", objective, options, p_b, before, after);
  if (after > 0.02 * before + 2e-3)
    fail_msg("%s (%s) did not learn: JSD %g -> %g", objective, options, before, after);
  flv_trainer_free(t);
}

static void check_balance_learns(const char *objective, const char *loss, const char *p_b) {
  flv_trainer *t =
      make(1, SETTINGS({"env.side", "6"}, {"reward.r0", "0.1"}, {"objective", objective},
                       {"objective.loss", loss}, {"policy.hidden", "[64, 64]"}, {"policy.p_b", p_b},
                       {"optimiser.lr", "3e-3"}, {"exploration.epsilon", "0.1"}));
  const double before = trained_jsd(t, 0), after = trained_jsd(t, 1000);
  printf("%-20s %-14s P_B %-8s JSD %.1e -> %.1e\n", objective, loss, p_b, before, after);
  if (after > 0.02 * before + 1e-3)
    fail_msg("%s (%s) with P_B %s did not learn: JSD %g -> %g", objective, loss, p_b, before,
             after);
  flv_trainer_free(t);
}

static void balance_objectives_learn(void **unused) {
  (void)unused;
  static const char *const names[] = {
      "tb",       "db",           "modified_db",         "subtb",         "fl_db",
      "fl_subtb", "log_variance", "contrastive_balance", "flow_matching", "soft_dqn"};
  static const char *const losses[] = {"half_squared", "huber", "shifted_cosh", "linex"};
  static const char *const backward[] = {"tied", "learned", "uniform"};
  for (int o = 0; o < 10; o++)
    for (int b = 0; b < 3; b++) check_balance_learns(names[o], "squared", backward[b]);
  for (int l = 0; l < 4; l++) {
    check_balance_learns("tb", losses[l], "learned");
    check_balance_learns(names[3 + l], losses[l], "learned");
  }
}

static void divergence_objectives_learn(void **unused) {
  (void)unused;
  check_learns("reverse_kl", "none", "learned");
  check_learns("reverse_kl", "local", "tied");
  check_learns("reverse_kl", "global", "uniform");
  check_learns("reverse_kl", "leave_one_out", "learned");
  check_learns("forward_kl", "global", "learned");
  check_learns("forward_kl", "leave_one_out", "uniform");
  check_learns("reverse_wake_sleep", "global", "learned");
  check_learns("reverse_wake_sleep", "local", "tied");
  check_learns("reverse_wake_sleep", "leave_one_out", "learned");
  check_learns("mixed_kl", "global", "learned");
  check_learns("symmetric_cycles", "leave_one_out", "tied");
  check_learns("renyi", "global", "learned");
  check_learns("tsallis", "leave_one_out", "learned");
}

static void clipped_weights_learn_off_policy(void **unused) {
  (void)unused;
  static const char *const names[] = {"reverse_kl", "mixed_kl", "renyi", "tsallis"};
  for (int o = 0; o < 4; o++) {
    flv_trainer *t = make(1, SETTINGS({"env.side", "6"}, {"reward.r0", "0.1"},
                                      {"objective", names[o]}, {"objective.weights", "clipped"},
                                      {"objective.cap", "3"}, {"exploration.epsilon", "0.2"},
                                      {"policy.hidden", "[64, 64]"}, {"optimiser.lr", "3e-3"}));
    const double before = trained_jsd(t, 0), after = trained_jsd(t, 1000);
    printf("%-20s clipped, off-policy JSD %.1e -> %.1e\n", names[o], before, after);
    if (after > 0.02 * before + 2e-3) fail_msg("%s: JSD %g -> %g", names[o], before, after);
    flv_trainer_free(t);
  }
}

static void wake_sleep_learns(void **unused) {
  (void)unused;
  flv_trainer *t =
      make(1, SETTINGS({"env.side", "6"}, {"reward.r0", "0.1"}, {"objective", "wake_sleep"},
                       {"policy.hidden", "[64, 64]"}, {"optimiser.lr", "3e-3"}));
  const double before = trained_jsd(t, 0), after = trained_jsd(t, 1000);
  if (after > 0.02 * before + 2e-3) fail_msg("JSD %g -> %g", before, after);
  flv_trainer_free(t);
}

static void other_policies_learn(void **unused) {
  (void)unused;
  flv_trainer *table = make(1, SETTINGS({"env.side", "6"}, {"reward.r0", "0.1"},
                                        {"policy", "tabular"}, {"optimiser.lr", "2e-2"}));
  assert_true(trained_jsd(table, 1500) < 2e-3);
  flv_trainer_free(table);
  flv_trainer *norm =
      make(1, SETTINGS({"env.side", "6"}, {"reward.r0", "0.1"}, {"policy.layernorm", "true"},
                       {"policy.hidden", "[48, 48, 48]"}, {"policy.activation", "leaky_relu"}));
  assert_true(trained_jsd(norm, 1000) < 5e-3);
  flv_trainer_free(norm);
}

static void replay_learns_off_policy(void **unused) {
  (void)unused;
  flv_trainer *t =
      make(1, SETTINGS({"env.side", "6"}, {"reward.r0", "0.1"}, {"replay.capacity", "1000"},
                       {"replay.fraction", "1"}, {"optimiser.lr", "3e-3"}));
  assert_true(trained_jsd(t, 1500) < 5e-3);
  flv_trainer_free(t);
}

static void plateau_watches_any_metric(void **unused) {
  (void)unused;
  flv_stats stats;
  flv_trainer *t = make(1, SETTINGS({"env.side", "4"}, {"schedule", "plateau"},
                                    {"schedule.metric", "loss"}, {"schedule.patience", "3"},
                                    {"optimiser.lr", "0"}, {"optimiser.lr_log_z", "0"}));
  for (int i = 0; i < 60; i++) step(t, &stats);
  assert_true(stats.lr_factor < 1.0); // nothing learns, so the loss is flat
  flv_trainer_free(t);
  flv_error err = {0};
  flv_config *cfg = configure(SETTINGS({"schedule", "plateau"}, {"schedule.metric", "jds"}));
  assert_null(flv_trainer_new(cfg, NULL, NULL, 1, &err));
  assert_non_null(strstr(err.text, "jsd"));
  flv_config_free(cfg);
}

// Large enough that every parallel path (column tiles, row chunks, shards) is taken.
static void threads_do_not_change_bits(void **unused) {
  (void)unused;
  static const char *const optimisers[] = {"adam", "sgd"};
  static const char *const objectives[] = {"tb", "soft_dqn", "flow_matching"};
  for (int o = 0; o < 3; o++) {
    flv_trainer *t[3];
    for (int k = 0; k < 3; k++)
      t[k] = make(k + 1, SETTINGS({"env.dim", "4"}, {"env.side", "8"}, {"batch", "128"},
                                  {"objective", objectives[o]}, {"optimiser", optimisers[o % 2]},
                                  {"optimiser.lr", "1e-4"}, {"optimiser.clip_norm", "1"},
                                  {"replay.capacity", "500"}, {"replay.fraction", "0.25"},
                                  {"exploration.epsilon", "0.1"}));
    for (int i = 0; i < 15; i++)
      for (int k = 0; k < 3; k++) step(t[k], NULL);
    for (int k = 1; k < 3; k++) assert_same_state(t[0], t[k]);
    for (int k = 0; k < 3; k++) flv_trainer_free(t[k]);
  }
}

static void seeds_differ(void **unused) {
  (void)unused;
  flv_stats a, b;
  flv_trainer *x = make(1, SETTINGS({"seed", "1"})), *y = make(1, SETTINGS({"seed", "2"}));
  step(x, &a);
  step(y, &b);
  assert_true(a.loss < b.loss || a.loss > b.loss);
  flv_trainer_free(x);
  flv_trainer_free(y);
}

// self: what log R is everywhere.
static flv_status log_reward_constant(const flv_reward *reward, const flv_env *env, int n,
                                      const void *states, double *log_r, flv_error *err) {
  (void)env, (void)states, (void)err;
  for (int i = 0; i < n; i++) log_r[i] = *(const double *)reward->self;
  return FLV_OK;
}

static void a_loss_that_is_not_a_number_stops(void **unused) {
  (void)unused;
  double huge = 1e200; // its square is not finite
  const flv_reward bad = {.name = "bad", .self = &huge, .log_reward = log_reward_constant};
  flv_config *cfg = configure(SETTINGS({"env.side", "4"}));
  flv_error err = {0};
  flv_trainer *t = flv_trainer_new(cfg, NULL, &bad, 1, &err),
              *fresh = flv_trainer_new(cfg, NULL, &bad, 1, &err);
  assert_non_null(t);
  assert_int_equal(flv_trainer_step(t, NULL, &err), FLV_ENAN);
  assert_non_null(strstr(err.text, "not finite"));
  assert_int_equal(flv_trainer_iteration(t), 0);
  flv_tensor a[192], b[192];
  const int n = flv_trainer_tensors(t, a, 192);
  flv_trainer_tensors(fresh, b, 192);
  for (int i = 0; i < n; i++)
    if (strcmp(a[i].name, "trajectories") != 0)
      assert_memory_equal(a[i].data, b[i].data, tensor_bytes(&a[i]));
  flv_trainer_free(t);
  flv_trainer_free(fresh);
  flv_config_free(cfg);
}

static void a_reward_that_is_not_a_number_is_named(void **unused) {
  (void)unused;
  double value = (double)NAN;
  const flv_reward bad = {.name = "bad", .self = &value, .log_reward = log_reward_constant};
  flv_config *cfg = configure(SETTINGS({"env.dim", "2"}, {"env.side", "4"}));
  flv_error err = {0};
  flv_trainer *t = flv_trainer_new(cfg, NULL, &bad, 1, &err);
  assert_non_null(t);
  assert_int_equal(flv_trainer_step(t, NULL, &err), FLV_ENAN);
  const char *says = "iteration 1: reward 'bad': log R is nan for the object ";
  assert_memory_equal(err.text, says, strlen(says));
  int x, y;
  assert_int_equal(sscanf(err.text + strlen(says), "%d %d", &x, &y), 2); // its coordinates
  assert_true(x >= 0 && x < 4 && y >= 0 && y < 4);
  assert_int_equal(flv_trainer_step(t, NULL, NULL), FLV_ENAN); // no message is fine too
  const uint16_t state[4] = {2, 3};
  double log_r;
  assert_int_equal(flv_reward_log(&bad, flv_trainer_env(t), 1, state, &log_r, &err), FLV_ENAN);
  assert_string_equal(err.text, "reward 'bad': log R is nan for the object 2 3");
  value = HUGE_VAL;
  assert_int_equal(flv_reward_log(&bad, flv_trainer_env(t), 1, state, &log_r, &err), FLV_ENAN);
  value = -HUGE_VAL; // R = 0
  assert_int_equal(flv_reward_log(&bad, flv_trainer_env(t), 1, state, &log_r, &err), FLV_OK);
  flv_evaluation e;
  value = (double)NAN;
  assert_int_equal(flv_trainer_evaluate(t, 100, &e, &err), FLV_ENAN);
  flv_trainer_free(t);
  flv_config_free(cfg);
}

typedef struct moody {
  int calls, fails_at; // fails at that call, counted from 1; and says why, or does not
  bool says;
} moody;

static flv_status log_reward_moody(const flv_reward *reward, const flv_env *env, int n,
                                   const void *states, double *log_r, flv_error *err) {
  moody *m = reward->self;
  if (++m->calls == m->fails_at)
    return m->says ? flv_fail(err, FLV_EIO, "not in the mood") : FLV_EIO;
  for (int i = 0; i < n; i++) {
    const unsigned char *state = (const unsigned char *)states + (size_t)i * env->state_size;
    double sum = 0.0;
    for (size_t k = 0; k < env->state_size; k++) sum += (double)((k + 1) * state[k]);
    log_r[i] = sin(sum);
  }
  return FLV_OK;
}

// A reward that fails stops whatever asked for it, and nothing is lost.
static void a_reward_may_fail(void **unused) {
  (void)unused;
  static const struct {
    int n;
    setting settings[3];
  } kinds[] = {{0, {{NULL, NULL}}},
               {1, {{"local_search.steps", "3"}}},
               {3, {{"replay", "prioritised"}, {"replay.by", "reward"}, {"replay.capacity", "50"}}},
               {2, {{"objective", "fl_db"}, {"batch", "8"}}}};
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    for (int says = 0; says < 2; says++) {
      moody calm = {0}, mood = {.says = says != 0};
      const flv_reward a = {.name = "calm", .self = &calm, .log_reward = log_reward_moody},
                       b = {.name = "moody", .self = &mood, .log_reward = log_reward_moody};
      flv_error err = {0};
      flv_config *cfg = configure(kinds[k].n, kinds[k].settings);
      flv_trainer *x = flv_trainer_new(cfg, NULL, &a, 1, &err),
                  *y = flv_trainer_new(cfg, NULL, &b, 1, &err);
      if (!x || !y) fail_msg("%s", err.text);
      for (int i = 0; i < 3; i++) step(x, NULL), step(y, NULL);
      const int calls = mood.calls / 3;
      // The last call of an iteration; the first where it decides what the buffer keeps.
      mood.fails_at = mood.calls + (k == 2 ? 1 : calls);
      err = (flv_error){0};
      assert_int_equal(flv_trainer_step(y, NULL, &err), FLV_EIO);
      assert_string_equal(err.text, says ? "iteration 4: not in the mood"
                                         : "iteration 4: reward 'moody': file error");
      assert_int_equal(flv_trainer_iteration(y), 3);
      for (int i = 0; i < 3; i++) step(x, NULL), step(y, NULL);
      assert_same_state(x, y);
      flv_evaluation e;
      mood.fails_at = mood.calls + 1;
      assert_int_equal(flv_trainer_evaluate(y, 100, &e, &err), FLV_EIO);
      assert_int_equal(flv_trainer_evaluate(y, 100, &e, &err), FLV_OK);
      flv_trainer_free(x);
      flv_trainer_free(y);
      flv_config_free(cfg);
    }
}

// Too many states to enumerate: the estimates bound what they estimate.
static void evaluation_by_sampling(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_evaluation e;
  flv_trainer *t = make(
      1, SETTINGS({"env.dim", "16"}, {"env.side", "3"}, {"reward.r0", "0.5"}, {"batch", "64"}));
  assert_int_equal(flv_trainer_evaluate(t, 5000, &e, &err), FLV_OK);
  assert_false(e.exact);
  assert_int_equal(e.n, 5000);
  assert_true(e.jsd > 0.0 && e.jsd < log(2.0) + 1e-9);
  assert_true(e.tv > 0.0 && e.tv < 1.5);
  assert_true(e.kl_qp > 0.0);
  assert_int_equal(flv_trainer_distribution(t, NULL, NULL, &err), FLV_EINVAL);
  flv_trainer_free(t);
}

static void no_allocation_between_iterations(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  for (int threads = 1; threads <= 2; threads++) {
    flv_trainer *t =
        make(threads, SETTINGS({"env.dim", "4"}, {"env.side", "8"}, {"replay.capacity", "100"},
                               {"exploration.epsilon", "0.1"}));
    flv_error err = {0};
    flv_evaluation e;
    for (int i = 0; i < 5; i++) step(t, NULL);
    assert_int_equal(flv_trainer_evaluate(t, 0, &e, &err), FLV_OK);
    const long before = alloc_count;
    for (int i = 0; i < 20; i++) step(t, NULL);
    assert_int_equal(flv_trainer_evaluate(t, 0, &e, &err), FLV_OK);
    assert_int_equal(alloc_count - before, 0);
    flv_trainer_free(t);
  }
}

// Fails the k-th allocation of configuring, training and evaluating, for every k until none is left
// to fail.
static void every_allocation_may_fail(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  static const char *const objectives[] = {"tb", "modified_db", "flow_matching", "soft_dqn"};
  for (int o = 0; o < 4; o++) {
    int failures = 0;
    for (long k = 0;; k++) {
      flv_error err = {0};
      flv_evaluation e;
      alloc_fail(k);
      flv_config *cfg = flv_config_new(&err);
      flv_status status = cfg ? flv_config_set(cfg, "objective", objectives[o], &err) : err.status;
      if (status == FLV_OK) status = flv_config_set(cfg, "replay.capacity", "10", &err);
      flv_trainer *t = status == FLV_OK ? flv_trainer_new(cfg, NULL, NULL, 1, &err) : NULL;
      if (t) status = flv_trainer_step(t, NULL, &err);
      if (t && status == FLV_OK) status = flv_trainer_evaluate(t, 0, &e, &err);
      const bool done = alloc_none_failed();
      if (!done) {
        failures++;
        if (t && status == FLV_OK) fail_msg("allocation %ld failed and nobody noticed", k);
        assert_int_equal(err.status, FLV_ENOMEM);
        assert_true(err.text[0] != '\0');
      }
      flv_trainer_free(t);
      flv_config_free(cfg);
      if (done) break;
    }
    assert_true(failures > 10);
  }
}

// Every component of every section can be selected and has defaults within its own bounds.
static void every_default_is_valid(void **unused) {
  (void)unused;
  for (const flv_section *section = flv_config_sections(); section->name; section++)
    for (const flv_component *const *c = section->list; *c; c++) {
      if (section->name[0] == '\0') continue;
      flv_config *cfg = configure(SETTINGS({section->name, (*c)->name}));
      for (int i = 0; i < (*c)->n_params; i++) {
        char key[128], text[600];
        flv_error err = {0};
        snprintf(key, sizeof key, "%s.%s", section->name, (*c)->params[i].name);
        assert_int_equal(flv_config_get(cfg, key, text, sizeof text, &err), FLV_OK);
        if (flv_config_set(cfg, key, text, &err) != FLV_OK) fail_msg("%s", err.text);
      }
      flv_config_free(cfg);
    }
}

// A long run on 16x16 with R0 = 0.1 finds all four modes; an untrained sampler none.
static void modes_are_counted(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_evaluation e;
  flv_trainer *t =
      make(1, SETTINGS({"env.side", "16"}, {"reward.r0", "0.1"}, {"optimiser.lr", "3e-3"}));
  assert_int_equal(flv_trainer_evaluate(t, 0, &e, &err), FLV_OK);
  assert_int_equal(e.modes, 4);
  assert_true(e.modes_found < 1.5);
  assert_true(trained_jsd(t, 800) < 1e-2);
  assert_int_equal(flv_trainer_evaluate(t, 0, &e, &err), FLV_OK);
  assert_true(e.modes_found > 3.9);
  flv_trainer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(balance_objectives_learn),
      cmocka_unit_test(divergence_objectives_learn),
      cmocka_unit_test(clipped_weights_learn_off_policy),
      cmocka_unit_test(wake_sleep_learns),
      cmocka_unit_test(other_policies_learn),
      cmocka_unit_test(replay_learns_off_policy),
      cmocka_unit_test(every_default_is_valid),
      cmocka_unit_test(modes_are_counted),
      cmocka_unit_test(plateau_watches_any_metric),
      cmocka_unit_test(threads_do_not_change_bits),
      cmocka_unit_test(seeds_differ),
      cmocka_unit_test(a_loss_that_is_not_a_number_stops),
      cmocka_unit_test(a_reward_that_is_not_a_number_is_named),
      cmocka_unit_test(a_reward_may_fail),
      cmocka_unit_test(evaluation_by_sampling),
      cmocka_unit_test(no_allocation_between_iterations),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
