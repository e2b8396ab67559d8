// Replay: sum tree and ring of distinct records against naive twins, priorities and recorded
// densities against what is stored, the same bits however a run is cut or threaded.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learn/objective.h"
#include "learn/trainer_impl.h"
#include "near.h"
#include "train_setup.h"

#define MAKE(...) make(1, SETTINGS(__VA_ARGS__))

static double uniform(int item, int step) {
  const flv_rng rng = {.seed = 3, .purpose = FLV_RNG_TEST, .iteration = 0};
  return flv_rng_uniform(rng, (uint32_t)item, (uint32_t)step);
}

// ---- sum tree ----

static void tree_draws_by_weight(void **unused) {
  (void)unused;
  enum { N = 37 };
  static const double shift[] = {0.0, 900.0, -900.0}; // beyond the range of double
  for (int s = 0; s < 3; s++) {
    flv_sum_tree tree;
    assert_int_equal(flv_sum_tree_init(&tree, N), 0);
    assert_int_equal(flv_sum_tree_draw(&tree, 0.5), -1);
    double log_w[N], sum = 0.0;
    for (int i = 0; i < N; i++) {
      flv_sum_tree_set(&tree, i, 5.0 * uniform(i, s)); // to be overwritten
      log_w[i] = i % 5 == 3 ? -HUGE_VAL : 6.0 * uniform(i, 10 + s);
      sum += exp(log_w[i]);
    }
    for (int i = 0; i < N; i++) flv_sum_tree_set(&tree, i, log_w[i] + shift[s]);
    double below = 0.0, largest = -HUGE_VAL;
    for (int i = 0; i < N; i++) {
      const double p = exp(log_w[i]) / sum;
      largest = fmax(largest, log_w[i] + shift[s]);
      if (p > 0.0) {
        assert_near(flv_sum_tree_log_p(&tree, i), log(p), 1e-11);
        for (int k = 1; k < 8; k++) // its interval of the cumulative distribution
          assert_int_equal(flv_sum_tree_draw(&tree, below + p * k / 8.0), i);
      }
      below += p;
    }
    assert_true(flv_sum_tree_max(&tree) == largest);
    assert_int_not_equal(flv_sum_tree_draw(&tree, 1.0 - 0x1p-53) % 5, 3);
    assert_int_equal(flv_sum_tree_draw(&tree, 0.0), 0);
    flv_sum_tree_free(&tree);
  }
}

static void tree_forgets_its_past(void **unused) {
  (void)unused;
  flv_sum_tree a, b;
  assert_int_equal(flv_sum_tree_init(&a, 20), 0);
  assert_int_equal(flv_sum_tree_init(&b, 20), 0);
  for (int k = 0; k < 400; k++)
    flv_sum_tree_set(&a, (int)(20 * uniform(k, 2)), 9.0 * uniform(k, 3));
  for (int i = 0; i < 20; i++) flv_sum_tree_set(&a, i, uniform(i, 4));
  for (int i = 19; i >= 0; i--) flv_sum_tree_set(&b, i, uniform(i, 4));
  assert_memory_equal(a.log_sum, b.log_sum, 64 * sizeof(double));
  assert_memory_equal(a.log_max, b.log_max, 64 * sizeof(double));
  flv_sum_tree_free(&a);
  flv_sum_tree_free(&b);
}

// ---- ring of distinct records ----

// Against a plain list; few distinct keys, so that there is much to find and to push out.
static void ring_holds_the_latest(void **unused) {
  (void)unused;
  enum { CAPACITY = 13 };
  flv_recent ring;
  uint64_t list[CAPACITY];
  int64_t added = 0;
  assert_int_equal(flv_recent_init(&ring, sizeof(uint64_t), CAPACITY), 0);
  for (int k = 0; k < 20000; k++) {
    const uint64_t key = (uint64_t)(40.0 * uniform(k, 5));
    const int held = added < CAPACITY ? (int)added : CAPACITY;
    int expected = -1;
    for (int i = 0; i < held; i++)
      if (list[i] == key) expected = i;
    bool is_new;
    const int at = flv_recent_put(&ring, &key, &is_new);
    assert_int_equal(is_new, expected < 0);
    if (is_new) list[expected = (int)(added++ % CAPACITY)] = key;
    assert_int_equal(at, expected);
    assert_int_equal(*ring.added, added);
    assert_memory_equal(ring.records, list, (size_t)flv_recent_held(&ring) * sizeof *list);
  }
  flv_recent_free(&ring);
}

// ---- priorities ----

// log R of the object of what is stored.
static double stored_log_r(const flv_trainer *t, int at) {
  const flv_replay *r = &t->collector.replay;
  uint64_t state = 0;
  double log_r;
  assert_int_equal(t->env->state_size, sizeof state);
  if (r->objects)
    memcpy(&state, r->recent.records + (size_t)at * sizeof state, sizeof state);
  else
    for (int j = 0; j < r->length[at]; j++)
      t->env->ops->step(t->env, 1, &state, &r->action[at * r->width + j]);
  assert_int_equal(flv_reward_log(t->reward, t->env, 1, &state, &log_r, NULL), FLV_OK);
  return log_r;
}

static double leaf(const flv_replay *r, int at) { return r->tree.log_sum[r->tree.leaves + at]; }

static void by_reward(void **unused) {
  (void)unused;
  static const char *const kind[] = {"prioritised", "terminal"};
  static const char *const fraction[] = {"0.5", "1"};
  for (int k = 0; k < 4; k++) {
    flv_trainer *t = MAKE({"env.side", "6"}, {"batch", "16"}, {"replay", kind[k % 2]},
                          {"replay.capacity", "23"}, {"replay.by", "reward"},
                          {"replay.alpha", "1.5"}, {"replay.fraction", fraction[k / 2]});
    for (int i = 0; i < 6; i++) step(t, NULL);
    const flv_replay *r = &t->collector.replay;
    assert_true(flv_replay_held(r) > 10);
    for (int i = 0; i < flv_replay_held(r); i++)
      assert_near(leaf(r, i), 1.5 * stored_log_r(t, i), 1e-12);
    flv_trainer_free(t);
  }
}

static void by_loss(void **unused) {
  (void)unused;
  static const char *const kind[] = {"prioritised", "terminal"};
  for (int k = 0; k < 2; k++) {
    flv_trainer *t =
        MAKE({"env.side", "12"}, {"batch", "16"}, {"replay", kind[k]}, {"replay.capacity", "500"},
             {"replay.by", "loss"}, {"objective", "modified_db"}, {"policy.log_z", "1.5"},
             {"replay.epsilon", "0.01"});
    flv_replay *r = &t->collector.replay;
    step(t, NULL);
    for (int i = 0; i < flv_replay_held(r); i++) assert_true(leaf(r, i) == 0.0); // w = 1
    for (int n = 0; n < 10; n++) {
      double before[500], largest = flv_sum_tree_max(&r->tree);
      const int held = flv_replay_held(r);
      for (int i = 0; i < held; i++) before[i] = leaf(r, i);
      step(t, NULL);
      assert_int_equal(r->drawn, 8);
      const flv_trajectories *in = &t->score.in;
      for (int i = held; i < flv_replay_held(r); i++) before[i] = largest;
      for (int i = 0; i < r->drawn; i++) {
        double d = in->log_z - in->log_r[8 + i]; // replayed ones come after 8 fresh ones
        for (int p = in->offset[8 + i]; p < in->offset[9 + i]; p++)
          d += in->log_pf[p] - in->log_pb[p];
        before[r->item[i]] = 0.6 * log(fabs(d) + 0.01);
      }
      for (int i = 0; i < flv_replay_held(r); i++) assert_near(leaf(r, i), before[i], 1e-12);
    }
    flv_trainer_free(t);
  }
}

// What is drawn how often, and with which log_pi, from a buffer at rest.
static void check_draws(flv_trainer *t, double beta) {
  enum { BATCH = 50, BATCHES = 800, MOST = 40 };
  flv_replay *r = &t->collector.replay;
  flv_batch *b = &t->batch;
  const int held = flv_replay_held(r);
  double p[MOST], count[MOST] = {0}, sum = 0.0, chi = 0.0;
  assert_true(held <= MOST && held > 10);
  for (int i = 0; i < held; i++)
    sum += p[i] = r->by == FLV_PRIORITY_UNIFORM ? 1.0 : exp(leaf(r, i));
  for (int i = 0; i < held; i++) p[i] /= sum;
  for (int k = 0; k < BATCHES; k++) {
    const flv_rng rng = {.seed = 8, .purpose = FLV_RNG_REPLAY, .iteration = (uint64_t)k};
    flv_batch_clear(b);
    flv_replay_draw(r, &t->sampler, b, &t->policy, rng, BATCH, 1);
    flv_batch_evaluate_pf(b, &t->policy, 1);
    flv_batch_evaluate_rest(b, &t->policy, 1);
    assert_int_equal(b->n, BATCH);
    for (int i = 0; i < BATCH; i++) {
      const int at = r->item[i];
      double log_pi = r->objects ? log(p[at]) : r->log_pi[at] + beta * log(held * p[at]);
      count[at] += 1.0;
      for (int q = b->offset[i] + 1; q < b->offset[i + 1] && r->objects; q++)
        log_pi += b->log_pb[b->row[q] * t->env->n_back + b->back[q]];
      assert_near(b->log_pi[i], log_pi, 1e-12);
      if (r->objects)
        assert_memory_equal(flv_batch_state(b, flv_batch_last(b, i)),
                            r->recent.records + (size_t)at * r->recent.record_size,
                            r->recent.record_size);
      else
        assert_memory_equal(b->action + b->offset[i], r->action + at * r->width,
                            sizeof *b->action * (size_t)r->length[at]);
    }
  }
  for (int i = 0; i < held; i++) {
    const double expected = p[i] * BATCH * BATCHES;
    assert_true(expected > 1.0);
    chi += (count[i] - expected) * (count[i] - expected) / expected;
  }
  if (chi > held - 1 + 4.5 * sqrt(2.0 * (held - 1))) fail_msg("chi-square %g of %d", chi, held);
}

static void draws_and_their_density(void **unused) {
  (void)unused;
  static const struct {
    const char *kind, *by, *beta;
  } choice[] = {{"prioritised", "loss", "1"},   {"prioritised", "reward", "0.4"},
                {"prioritised", "loss", "0"},   {"terminal", "uniform", NULL},
                {"terminal", "reward", NULL},   {"terminal", "loss", NULL},
                {"prioritised", "uniform", "1"}};
  for (size_t k = 0; k < sizeof choice / sizeof *choice; k++) {
    flv_trainer *t = MAKE(
        {"env.side", "8"}, {"batch", "50"}, {"replay", choice[k].kind}, {"replay.capacity", "40"},
        {"replay.by", choice[k].by},
        {choice[k].beta ? "replay.beta" : "replay.alpha", choice[k].beta ? choice[k].beta : "0.3"});
    for (int i = 0; i < 5; i++) step(t, NULL);
    check_draws(t, choice[k].beta ? strtod(choice[k].beta, NULL) : 0.0);
    flv_trainer_free(t);
  }
}

// Rewards that are 0: nothing has a weight, everything is drawn.
static flv_status log_reward_nothing(const flv_reward *reward, const flv_env *env, int n,
                                     const void *states, double *log_r, flv_error *err) {
  (void)reward, (void)env, (void)states, (void)err;
  for (int i = 0; i < n; i++) log_r[i] = -HUGE_VAL;
  return FLV_OK;
}

static void nothing_has_weight(void **unused) {
  (void)unused;
  flv_trainer *t = MAKE({"env.side", "8"}, {"batch", "50"}, {"replay", "prioritised"},
                        {"replay.capacity", "40"}, {"replay.by", "reward"});
  const flv_reward nothing = {.name = "nothing", .log_reward = log_reward_nothing};
  flv_replay *r = &t->collector.replay;
  const flv_rng rng = {.seed = 8, .purpose = FLV_RNG_REPLAY, .iteration = 0};
  step(t, NULL);
  flv_batch_clear(&t->batch);
  flv_sampler_run(&t->sampler, &t->batch, &t->policy, &(flv_explore){.temperature = 1.0}, rng, 50,
                  1);
  assert_int_equal(flv_score_rewards(&t->score, &t->batch, &nothing, NULL), FLV_OK);
  flv_replay_push(r, &t->batch, 50);
  flv_batch_clear(&t->batch);
  flv_replay_draw(r, &t->sampler, &t->batch, &t->policy, rng, 50, 1);
  int highest = 0;
  for (int i = 0; i < 50; i++) {
    assert_true(r->item[i] >= 0 && r->item[i] < 40);
    assert_near(r->log_p[i], -log(40.0), 1e-12);
    if (r->item[i] > highest) highest = r->item[i];
  }
  assert_true(highest > 20);
  flv_trainer_free(t);
}

// ---- the same bits ----

static const struct {
  const char *kind, *by, *fraction;
} kinds[] = {{"prioritised", "loss", "0.5"},
             {"prioritised", "reward", "1"},
             {"terminal", "uniform", "0.5"},
             {"terminal", "loss", "0.75"},
             {"terminal", "reward", "1"}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static flv_trainer *make_kind(int k, int threads) {
  return make(threads,
              SETTINGS({"env.dim", "4"}, {"env.side", "8"}, {"batch", "128"},
                       {"objective", k % 2 ? "tb" : "forward_kl"}, {"replay", kinds[k].kind},
                       {"replay.capacity", "300"}, {"replay.by", kinds[k].by},
                       {"replay.prefill", "100"}, {"replay.fraction", kinds[k].fraction},
                       {"exploration.epsilon", "0.1"}));
}

static void threads_do_not_change_bits(void **unused) {
  (void)unused;
  assert_threads_do_not_change_bits(make_kind, KINDS);
}

static void what_is_saved_is_enough(void **unused) {
  (void)unused;
  assert_what_is_saved_is_enough(make_kind, KINDS);
}

// ---- rewards ----

static int64_t asked; // how many rewards

static flv_status log_reward_counted(const flv_reward *reward, const flv_env *env, int n,
                                     const void *states, double *log_r, flv_error *err) {
  (void)reward, (void)env, (void)err;
  asked += n;
  for (int i = 0; i < n; i++) log_r[i] = 0.1 * (double)(((const uint64_t *)states)[i] % 7);
  return FLV_OK;
}

// Each distinct object of a batch once, though priorities ask before the objective does.
static void rewards_are_asked_for_once(void **unused) {
  (void)unused;
  const flv_reward counted = {.name = "counted", .log_reward = log_reward_counted};
  static const char *const kind[] = {"fifo", "prioritised", "terminal"};
  for (int k = 0; k < 3; k++) {
    flv_error err = {0};
    flv_config *cfg = configure(SETTINGS({"env.side", "5"}, {"batch", "64"}, {"replay", kind[k]},
                                         {"replay.capacity", "100"},
                                         {k ? "replay.by" : "replay.prefill", k ? "reward" : "0"}));
    flv_trainer *t = flv_trainer_new(cfg, NULL, &counted, 1, &err);
    assert_non_null(t);
    for (int n = 0; n < 5; n++) {
      asked = 0;
      step(t, NULL);
      int distinct = 0;
      for (int i = 0; i < 64; i++) {
        bool before = false;
        for (int j = 0; j < i; j++)
          before |= flv_batch_last(&t->batch, i) == flv_batch_last(&t->batch, j);
        distinct += !before;
      }
      assert_int_equal(asked, distinct);
      for (int i = 0; i < 64; i++) {
        uint64_t x;
        memcpy(&x, flv_batch_state(&t->batch, flv_batch_last(&t->batch, i)), sizeof x);
        assert_true(t->batch.log_r[i] == 0.1 * (double)(x % 7));
      }
    }
    flv_trainer_free(t);
    flv_config_free(cfg);
  }
}

// ---- and training ----

static void all_reach_the_target(void **unused) {
  (void)unused;
  for (int k = 0; k < KINDS; k++) {
    flv_trainer *t =
        MAKE({"env.side", "6"}, {"reward.r0", "0.1"}, {"replay", kinds[k].kind},
             {"replay.by", kinds[k].by}, {"replay.capacity", "1000"}, {"policy.hidden", "[32]"},
             {"replay.fraction", kinds[k].fraction}, {"optimiser.lr", "0.005"});
    for (int i = 0; i < 800; i++) step(t, NULL);
    flv_error err = {0};
    flv_evaluation e;
    assert_int_equal(flv_trainer_evaluate(t, 0, &e, &err), FLV_OK);
    printf("%s by %s: JSD %.1e\n", kinds[k].kind, kinds[k].by, e.jsd);
    if (!(e.jsd < 2e-3)) fail_msg("%s by %s: JSD %g", kinds[k].kind, kinds[k].by, e.jsd);
    flv_trainer_free(t);
  }
}

static void wrong_options(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = configure(
      SETTINGS({"replay", "terminal"}, {"replay.capacity", "10"}, {"replay.prefill", "11"}));
  assert_null(flv_trainer_new(cfg, NULL, NULL, 1, &err));
  assert_string_equal(err.text, "replay.prefill: 11 is more than replay.capacity, 10");
  assert_int_equal(flv_config_set(cfg, "replay.beta", "1", &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "'prioritised'"));
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tree_draws_by_weight),
      cmocka_unit_test(tree_forgets_its_past),
      cmocka_unit_test(ring_holds_the_latest),
      cmocka_unit_test(by_reward),
      cmocka_unit_test(by_loss),
      cmocka_unit_test(draws_and_their_density),
      cmocka_unit_test(nothing_has_weight),
      cmocka_unit_test(threads_do_not_change_bits),
      cmocka_unit_test(what_is_saved_is_enough),
      cmocka_unit_test(rewards_are_asked_for_once),
      cmocka_unit_test(all_reach_the_target),
      cmocka_unit_test(wrong_options),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
