// Stepwise collection against whole-episode sampling and a plain replay of what it should store;
// draws without replacement; what exploration records; the same bits however a run is cut or
// threaded.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/logmath.h"
#include "learn/trainer_impl.h"
#include "alloc.h"
#include "near.h"
#include "subsets.h"
#include "train_setup.h"

#define MAKE(...) make(1, SETTINGS(__VA_ARGS__))

// ---- against whole episodes ----

enum { ENVS = 5, EPISODES = 40, LONGEST = 40 };

typedef struct episode {
  int length; // actions
  int32_t action[LONGEST];
  double log_pi;
} episode;

// Episode m of environment e: trajectory e of iteration m.
static void sample_episodes(flv_trainer *t, const flv_explore *explore,
                            episode all[EPISODES][ENVS]) {
  flv_batch *b = &t->batch;
  for (int m = 0; m < EPISODES; m++) {
    const flv_rng rng = {(uint64_t)t->train->seed, FLV_RNG_ACTION, (uint64_t)m};
    flv_batch_clear(b);
    flv_sampler_run(&t->sampler, b, &t->policy, explore, rng, ENVS, 1);
    for (int e = 0; e < ENVS; e++) {
      episode *x = &all[m][e];
      x->length = b->offset[e + 1] - b->offset[e] - (t->env->exit_action < 0);
      assert_true(x->length <= LONGEST);
      memcpy(x->action, b->action + b->offset[e], (size_t)x->length * sizeof *x->action);
      x->log_pi = b->log_pi[e];
    }
  }
}

static void compare_episodes(flv_trainer *t, int threads) {
  flv_stepwise *s = &t->collector.stepwise;
  static episode all[EPISODES][ENVS];
  const flv_explore explore =
      flv_explore_at(flv_config_values(t->cfg, "exploration"), 0, t->train->iterations);
  sample_episodes(t, &explore, all);
  assert_int_equal(s->n, ENVS);
  for (int finished = 0; finished < 60;) {
    flv_stepwise_step(s, &t->policy, &explore, (uint64_t)t->train->seed, threads);
    for (int e = 0; e < ENVS; e++) {
      assert_true(s->episode[e] < EPISODES);
      const episode *x = &all[s->episode[e]][e];
      assert_int_equal(s->action[e * s->width + s->length[e] - 1], x->action[s->length[e] - 1]);
      assert_int_equal(s->ended[e], s->length[e] == x->length);
      if (s->ended[e]) assert_near(s->log_pi[e], x->log_pi, 1e-5); // other rows, other rounding
    }
    finished += flv_stepwise_restart(s);
  }
  assert_true(*s->steps > 12);
}

static void episodes_are_those_of_whole_sampling(void **unused) {
  (void)unused;
  static const setting how[][3] = {
      {{"exploration.epsilon", "0"}, {"exploration.epsilon_end", "0"}, {"seed", "2"}},
      {{"exploration.epsilon", "0.4"}, {"exploration.temperature", "2"}, {"seed", "3"}},
      {{"exploration.epsilon", "0.4"}, {"exploration.stop_gamma", "0.1"}, {"seed", "4"}},
      {{"exploration.epsilon", "0.6"}, {"exploration.record", "component"}, {"seed", "5"}},
      {{"exploration.epsilon", "1"}, {"exploration.stop_gamma", "0.2"}, {"seed", "6"}},
      {{"exploration.heads", "3"}, {"exploration.exit_bias", "1"}, {"seed", "7"}}};
  for (size_t k = 0; k < sizeof how / sizeof *how; k++) {
    flv_trainer *t =
        MAKE({"env.side", "6"}, {"collect", "steps"}, {"collect.envs", "5"},
             {"replay.capacity", "10"}, {"policy.hidden", "[16]"}, how[k][0], how[k][1], how[k][2]);
    compare_episodes(t, 1 + (int)k % 3);
    flv_trainer_free(t);
  }
  flv_error err = {0};
  flv_env env = subsets_env(true);
  flv_reward reward = subsets_reward();
  flv_config *cfg =
      configure(SETTINGS({"collect", "steps"}, {"collect.envs", "5"}, {"replay.capacity", "10"}));
  flv_trainer *t = flv_trainer_new(cfg, &env, &reward, 1, &err);
  if (!t) fail_msg("%s", err.text);
  compare_episodes(t, 1);
  flv_trainer_free(t);
  flv_config_free(cfg);
}

// ---- what goes into the buffer ----

// All uniform, so that nothing depends on the networks. Episodes in the order in which they end.
static void the_buffer_holds_what_ended(void **unused) {
  (void)unused;
  static episode all[EPISODES][ENVS];
  flv_trainer *t =
      MAKE({"env.side", "6"}, {"collect", "steps"}, {"collect.envs", "5"},
           {"collect.prefill", "17"}, {"replay.capacity", "1000"}, {"exploration.epsilon", "1"},
           {"exploration.epsilon_end", "1"}, {"batch", "16"}, {"policy.hidden", "[16]"});
  const flv_replay *r = &t->collector.replay;
  const flv_explore uniform = flv_explore_uniformly(flv_config_values(t->cfg, "exploration"));
  sample_episodes(t, &uniform, all);
  flv_stats stats;
  for (int i = 0; i < 30; i++) step(t, &stats);
  assert_int_equal(*t->collector.stepwise.steps, 47);
  assert_int_equal(stats.iteration, 30);
  int at = 0, m[ENVS] = {0}, end[ENVS];
  for (int e = 0; e < ENVS; e++) end[e] = all[0][e].length;
  for (int now = 1; now <= 47; now++)
    for (int e = 0; e < ENVS; e++) {
      if (end[e] != now) continue;
      const episode *x = &all[m[e]][e];
      assert_true(at < flv_replay_held(r));
      assert_int_equal(r->length[at], x->length);
      assert_memory_equal(r->action + at * r->width, x->action,
                          (size_t)x->length * sizeof *x->action);
      assert_true(r->log_pi[at] == x->log_pi);
      end[e] += all[++m[e]][e].length;
      at++;
    }
  assert_int_equal(flv_replay_held(r), at);
  assert_int_equal(stats.trajectories, at);
  flv_trainer_free(t);
}

// Every step, and with objectives that look at them every exit, as soon as it is taken.
static void the_ring_holds_steps(void **unused) {
  (void)unused;
  static episode all[EPISODES][ENVS];
  static const char *const objective[] = {"modified_db", "db"};
  for (int exits = 0; exits < 2; exits++) {
    enum { CAPACITY = 61, STEPS = 34 };
    flv_trainer *t = MAKE({"env.side", "6"}, {"collect", "steps"}, {"collect.envs", "5"},
                          {"collect.prefill", "30"}, {"replay", "transitions"},
                          {"replay.capacity", "61"}, {"exploration.epsilon", "1"},
                          {"exploration.epsilon_end", "1"}, {"objective", objective[exits]},
                          {"batch", "2"}, {"policy.hidden", "[16]"}); // fewer than environments
    const flv_replay *r = &t->collector.replay;
    const flv_explore uniform = flv_explore_uniformly(flv_config_values(t->cfg, "exploration"));
    flv_trainer *whole = MAKE({"env.side", "6"}, {"policy.hidden", "[16]"});
    sample_episodes(whole, &uniform, all);
    for (int i = 0; i < STEPS - 30; i++) step(t, NULL);
    uint64_t state[ENVS] = {0}, before[ENVS];
    int64_t pushed = 0;
    int m[ENVS] = {0}, length[ENVS] = {0};
    uint64_t expected[CAPACITY];
    int32_t action[CAPACITY], taken[ENVS];
    for (int now = 0; now < STEPS; now++) {
      memcpy(before, state, sizeof state);
      for (int e = 0; e < ENVS; e++) taken[e] = all[m[e]][e].action[length[e]++];
      t->env->ops->step(t->env, ENVS, state, taken);
      for (int e = 0; e < ENVS; e++) {
        const bool exit = taken[e] == t->env->exit_action;
        if (exit) state[e] = 0, length[e] = 0, m[e]++;
        if (exit && !exits) continue;
        expected[pushed % CAPACITY] = before[e];
        action[pushed++ % CAPACITY] = taken[e];
      }
    }
    assert_true(pushed > CAPACITY + 10);
    assert_int_equal(*r->pushed, pushed);
    assert_memory_equal(r->state, expected, sizeof expected);
    assert_memory_equal(r->action, action, sizeof action);
    flv_trainer_free(t);
    flv_trainer_free(whole);
  }
}

// Whole trajectories fill it too; what is drawn are two states each, or one and the exit.
static void steps_of_whole_trajectories(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "6"}, {"replay", "transitions"}, {"replay.capacity", "5000"},
                        {"replay.fraction", "0.75"}, {"objective", "db"}, {"batch", "64"});
  flv_stats stats;
  const flv_batch *b = &t->batch;
  int64_t steps = 0;
  for (int i = 0; i < 20; i++) {
    step(t, &stats);
    const int fresh = i == 0 ? 64 : 16;
    for (int k = 0; k < fresh; k++) assert_int_equal(b->open[k], 0);
    steps += b->offset[fresh];
    for (int k = fresh; k < 64; k++) {
      const int p = b->offset[k], n = b->offset[k + 1] - p;
      const bool exit = b->action[p] == t->env->exit_action;
      uint64_t from;
      memcpy(&from, flv_batch_state(b, b->row[p]), sizeof from);
      assert_int_equal(n, exit ? 1 : 2);
      assert_int_equal(b->open[k] & FLV_OPEN_START, from ? FLV_OPEN_START : 0);
      assert_int_equal(b->open[k] & FLV_OPEN_END, exit ? 0 : FLV_OPEN_END);
      assert_int_equal(isnan(b->log_r[k]), !exit);
    }
    assert_true(isfinite(stats.mean_log_r) && stats.mean_length >= 1.0);
  }
  assert_int_equal(*t->collector.replay.pushed, steps);
  assert_int_equal(stats.trajectories, 64 + 19 * 16);
  flv_trainer_free(t);
}

// ---- without replacement ----

static void no_item_twice(void **unused) {
  (void)unused;
  enum { HELD = 13, BATCHES = 6000 };
  flv_trainer *t = MAKE({"env.side", "6"}, {"batch", "40"}, {"replay.capacity", "13"},
                        {"replay.replacement", "false"});
  flv_replay *r = &t->collector.replay;
  step(t, NULL);
  assert_int_equal(flv_replay_held(r), HELD);
  for (int n = 1; n <= 40; n += n == 5 ? 8 : n == 13 ? 19 : n == 32 ? 8 : 4) { // 1 5 13 32 40
    double count[HELD] = {0}, together = 0.0;
    for (int k = 0; k < BATCHES; k++) {
      const flv_rng rng = {.seed = 8, .purpose = FLV_RNG_REPLAY, .iteration = (uint64_t)k};
      int seen[HELD] = {0};
      flv_batch_clear(&t->batch);
      flv_replay_draw(r, &t->sampler, &t->batch, &t->policy, rng, n, 1);
      for (int i = 0; i < n; i++) seen[r->item[i]]++, count[r->item[i]]++;
      for (int i = 0; i < HELD; i++) {
        assert_true(seen[i] == n / HELD || seen[i] == (n + HELD - 1) / HELD);
        assert_int_equal(r->taken[i], 0);
      }
      together += seen[2] > n / HELD && seen[7] > n / HELD;
    }
    const double p = (double)(n % HELD) / HELD, q = p * (n % HELD - 1) / (HELD - 1);
    for (int i = 0; i < HELD; i++)
      assert_true(fabs(count[i] / BATCHES - n / HELD - p) <= 4.5 * sqrt(p * (1 - p) / BATCHES));
    if (p > 0.0) assert_true(fabs(together / BATCHES - q) <= 4.5 * sqrt(q * (1 - q) / BATCHES));
  }
  flv_trainer_free(t);
}

// ---- exploration ----

static void the_uniform_policy(void **unused) {
  (void)unused;
  const flv_env env = {.n_actions = 4, .exit_action = 3};
  const struct {
    double gamma;
    uint8_t mask[4];
    double p[4];
  } all[] = {{0.0, {1, 0, 1, 1}, {1 / 3.0, 0, 1 / 3.0, 1 / 3.0}},
             {0.1, {1, 0, 1, 1}, {0.45, 0, 0.45, 0.1}},
             {0.1, {0, 0, 0, 1}, {0, 0, 0, 1}},
             {0.1, {1, 1, 0, 0}, {0.5, 0.5, 0, 0}}};
  const float logits[] = {0.3f, -0.4f, 1.0f, 0.2f};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) {
    const flv_explore e = {.epsilon = 0.3, .temperature = 1.0, .stop_gamma = all[k].gamma};
    double uniform[4], log_pf[4], pi[4], norm = 0.0;
    flv_explore_uniform(&e, &env, all[k].mask, uniform);
    flv_log_softmax(4, logits, all[k].mask, log_pf);
    flv_explore_pi(&e, &env, log_pf, all[k].mask, pi);
    for (int a = 0; a < 4; a++) norm += all[k].mask[a] ? exp((double)logits[a]) : 0.0;
    for (int a = 0; a < 4; a++) {
      const double q = all[k].mask[a] ? exp((double)logits[a]) / norm : 0.0;
      assert_near(uniform[a], all[k].p[a], 1e-15);
      assert_near(pi[a], 0.7 * q + 0.3 * all[k].p[a], 1e-14);
    }
  }
}

// Both records come from the same distribution of actions; component's says which part acted.
static void what_is_recorded(void **unused) {
  (void)unused;
  enum { N = 500, MOST = 8 };
  flv_trainer *t = MAKE({"env.side", "6"}, {"policy.hidden", "[16]"});
  flv_batch *b = &t->batch;
  const int n = t->env->n_actions, exit = t->env->exit_action;
  uint64_t s0 = 0;
  flv_batch_clear(b);
  const int row = flv_batch_row(b, &s0, -1);
  flv_batch_evaluate_pf(b, &t->policy, 1);
  flv_explore e = {.epsilon = 0.25, .temperature = 1.0, .stop_gamma = 0.1, .active = true};
  double mixture[MOST], r[MOST], p[MOST] = {0}, coin = 0.0;
  assert_true(n <= MOST);
  flv_explore_pi(&e, t->env, b->log_pf, b->mask, mixture);
  flv_explore_uniform(&e, t->env, b->mask, r);
  e.component = true;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      const double u[2] = {(i + 0.5) / N, (j + 0.5) / N};
      double log_pi;
      const int a = flv_sampler_choose(&t->sampler, b, &t->policy, &e, 0, row, u, &log_pi);
      const bool uniform = u[1] < 0.25;
      p[a] += 1.0 / (N * N);
      coin += uniform / (double)(N * N);
      assert_near(log_pi, uniform ? log(r[a]) : b->log_pf[a], 1e-6);
    }
  for (int a = 0; a < n; a++) assert_near(p[a], mixture[a], 3.0 / N);
  assert_near(coin, 0.25, 1e-12);
  assert_near(r[exit], 0.1, 1e-15);
  flv_trainer_free(t);
}

// The uniform share goes from 1 to 0.1 over half of the iterations, and stays.
static void the_released_schedule(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"exploration.epsilon", "1"}, {"exploration.epsilon_end", "0.1"},
                        {"exploration.schedule", "linear"}, {"iterations", "100000"});
  const void *cfg = flv_config_values(t->cfg, "exploration");
  for (int64_t k = 0; k < 100000; k += 12500)
    assert_near(flv_explore_at(cfg, k, 100000).epsilon, 1.0 - fmin(0.9 * (double)k / 50000, 0.9),
                1e-14);
  flv_trainer_free(t);
}

// ---- the same bits ----

static const struct {
  const char *objective, *kind, *extra, *value;
} kinds[] = {{"tb", "fifo", "replay.replacement", "false"},
             {"modified_db", "transitions", "replay.replacement", "false"},
             {"modified_db", "transitions", "objective.target_exit", "true"},
             {"db", "transitions", "exploration.heads", "2"},
             {"reverse_kl", "fifo", "exploration.record", "component"},
             {"forward_kl", "prioritised", "replay.by", "reward"},
             {"tb", "terminal", "replay.by", "loss"}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static flv_trainer *make_kind(int k, int threads) {
  return make(threads, SETTINGS({"env.dim", "4"}, {"env.side", "8"}, {"batch", "96"},
                                {"collect", "steps"}, {"collect.envs", "70"},
                                {"collect.prefill", "20"}, {"objective", kinds[k].objective},
                                {"replay", kinds[k].kind}, {"replay.capacity", "300"},
                                {"exploration.epsilon", "0.5"}, {kinds[k].extra, kinds[k].value}));
}

static void threads_do_not_change_bits(void **unused) {
  (void)unused;
  assert_threads_do_not_change_bits(make_kind, KINDS);
}

static void what_is_saved_is_enough(void **unused) {
  (void)unused;
  assert_what_is_saved_is_enough(make_kind, KINDS);
}

// ---- the target network's period ----

static void the_target_is_copied_now_and_then(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "5"}, {"policy.hidden", "[8]"}, {"objective", "modified_db"},
                        {"objective.target_exit", "true"}, {"target_network.every", "3"},
                        {"target_network.tau", "1"}, {"batch", "8"});
  const size_t bytes = t->policy.n_params * sizeof(float);
  float *copy = malloc(bytes);
  assert_non_null(copy);
  memcpy(copy, t->policy.params, bytes);
  for (int i = 1; i <= 10; i++) {
    step(t, NULL);
    if (i % 3 == 0) memcpy(copy, t->policy.params, bytes);
    assert_memory_equal(t->target.policy.params, copy, bytes);
    assert_int_equal(memcmp(t->policy.params, copy, bytes) == 0, i % 3 == 0);
  }
  free(copy);
  flv_trainer_free(t);
}

// ---- memory ----

static void memory(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  static const char *const kind[] = {"transitions", "fifo"};
  for (int k = 0; k < 2; k++) {
    flv_config *cfg = configure(SETTINGS(
        {"env.side", "8"}, {"collect", "steps"}, {"collect.prefill", "30"},
        {"objective", "modified_db"}, {"objective.target_exit", "true"}, {"replay", kind[k]},
        {"replay.capacity", "100"}, {"replay.replacement", "false"}, {"policy.hidden", "[16]"}));
    for (long at = 0, failures = 0;; at++) { // every allocation of making one may fail
      flv_error err = {0};
      alloc_fail(at);
      flv_trainer *t = flv_trainer_new(cfg, NULL, NULL, 1, &err);
      const bool done = alloc_none_failed();
      assert_true(done ? t != NULL : t == NULL && err.status == FLV_ENOMEM && err.text[0]);
      failures += !done;
      if (done) {
        assert_true(failures > 20);
        step(t, NULL);
        const long before = alloc_count;
        for (int i = 0; i < 20; i++) step(t, NULL);
        assert_int_equal(alloc_count - before, 0);
      }
      flv_trainer_free(t);
      if (done) break;
    }
    flv_config_free(cfg);
  }
}

// ---- and training ----

static void all_reach_the_target(void **unused) {
  (void)unused;
  static const struct {
    const char *objective, *kind;
  } how[] = {
      {"tb", "fifo"},           {"modified_db", "transitions"}, {"db", "transitions"},
      {"fl_db", "transitions"}, {"soft_dqn", "transitions"},    {"flow_matching", "transitions"}};
  for (size_t k = 0; k < sizeof how / sizeof *how; k++) {
    flv_trainer *t =
        MAKE({"env.side", "5"}, {"reward.r0", "0.1"}, {"policy.hidden", "[32]"}, {"batch", "32"},
             {"optimiser.lr", "0.005"}, {"objective", how[k].objective}, {"replay", how[k].kind},
             {"replay.capacity", "2000"}, {"replay.replacement", "false"}, {"collect", "steps"},
             {"collect.prefill", "100"}, {"exploration.epsilon", "1"},
             {"exploration.epsilon_end", "0.1"}, {"exploration.schedule", "linear"},
             {"iterations", "2000"}, {"schedule", "cosine"});
    for (int i = 0; i < 2000; i++) step(t, NULL);
    flv_error err = {0};
    flv_evaluation e;
    assert_int_equal(flv_trainer_evaluate(t, 0, &e, &err), FLV_OK);
    printf("%s, %s: JSD %.1e\n", how[k].objective, how[k].kind, e.jsd);
    if (!(e.jsd < 2e-3)) fail_msg("%s, %s: JSD %g", how[k].objective, how[k].kind, e.jsd);
    flv_trainer_free(t);
  }
}

// ---- what cannot be ----

static void refuse(const char *words, int n, const setting *settings) {
  flv_error err = {0};
  flv_config *cfg = configure(n, settings);
  flv_trainer *t = flv_trainer_new(cfg, NULL, NULL, 1, &err);
  if (t) fail_msg("not refused: %s", words);
  assert_int_equal(err.status, FLV_EINVAL);
  if (!strstr(err.text, words)) fail_msg("'%s' is not in: %s", words, err.text);
  flv_config_free(cfg);
}

static void wrong_options(void **unused) {
  (void)unused;
  const setting steps = {"collect", "steps"}, kept = {"replay.capacity", "10"};
  refuse("replay.capacity", SETTINGS(steps));
  refuse("collect.prefill", SETTINGS(steps, kept, {"replay.prefill", "5"}));
  refuse("local_search", SETTINGS(steps, kept, {"local_search.steps", "2"}));
  refuse("pessimistic", SETTINGS(steps, kept, {"backward", "pessimistic"}, {"policy.p_b", "tied"}));
  static const char *const whole[] = {"tb",         "subtb",      "fl_subtb", "log_variance",
                                      "reverse_kl", "forward_kl", "mle",      "wake_sleep",
                                      "renyi",      "mixed_kl"};
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
    refuse("whole trajectories", SETTINGS({"objective", whole[i]}, {"replay", "transitions"}));
  flv_error err = {0};
  flv_env env = subsets_env(true);
  flv_reward reward = subsets_reward();
  flv_config *cfg = configure(SETTINGS({"exploration.stop_gamma", "0.5"}));
  assert_null(flv_trainer_new(cfg, &env, &reward, 1, &err));
  assert_non_null(strstr(err.text, "exploration.stop_gamma"));
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(episodes_are_those_of_whole_sampling),
      cmocka_unit_test(the_buffer_holds_what_ended),
      cmocka_unit_test(the_ring_holds_steps),
      cmocka_unit_test(steps_of_whole_trajectories),
      cmocka_unit_test(no_item_twice),
      cmocka_unit_test(the_uniform_policy),
      cmocka_unit_test(what_is_recorded),
      cmocka_unit_test(the_released_schedule),
      cmocka_unit_test(threads_do_not_change_bits),
      cmocka_unit_test(what_is_saved_is_enough),
      cmocka_unit_test(the_target_is_copied_now_and_then),
      cmocka_unit_test(memory),
      cmocka_unit_test(all_reach_the_target),
      cmocka_unit_test(wrong_options),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
