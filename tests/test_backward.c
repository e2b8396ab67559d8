// Sampling backwards: trajectories from P_B(. | x), against enumeration of the ways back.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "learn/trainer_impl.h"
#include "subsets.h"
#include "train_setup.h"

static const flv_explore on_policy = {.temperature = 1.0};

static flv_rng rng_at(uint64_t iteration) {
  return (flv_rng){.seed = 5, .purpose = FLV_RNG_BACKWARD, .iteration = iteration};
}

// Parameters far from their near-uniform start.
static void randomise(flv_trainer *t) {
  const flv_rng rng = {.seed = 9, .purpose = FLV_RNG_TEST, .iteration = 0};
  for (size_t i = 0; i < t->policy.net->n_params; i++) {
    double z[2];
    flv_rng_normal2(rng, (uint32_t)i, 0, z);
    t->policy.params[i] += (float)((t->policy.tabular ? 0.6 : 0.3) * z[0]);
  }
}

static flv_trainer *make_subsets(const flv_env *env, const flv_reward *reward, int threads,
                                 const char *policy, const char *batch) {
  flv_error err = {0};
  flv_config *cfg = configure(SETTINGS({"policy", policy}, {"batch", batch}));
  flv_trainer *t = flv_trainer_new(cfg, env, reward, threads, &err);
  if (!t) fail_msg("%s", err.text);
  flv_config_free(cfg);
  return t;
}

// Every trajectory from `first` on is a walk from s0 to its x, whose steps back have the
// probabilities that log_pi sums.
static void check_walks(const flv_trainer *t, int first, const void *x) {
  const flv_batch *b = &t->batch;
  const flv_env *env = t->env;
  unsigned char state[64], before[64];
  assert_int_equal(b->rest_evaluated, b->rows.n);
  for (int i = first; i < b->n; i++) {
    double log_pb = 0.0;
    env->ops->reset(env, 1, state);
    for (int p = b->offset[i]; p < b->offset[i + 1]; p++) {
      const int r = b->row[p], last = p + 1 == b->offset[i + 1];
      assert_memory_equal(state, flv_batch_state(b, r), env->state_size);
      if (p == b->offset[i]) {
        assert_int_equal(b->back[p], -1);
      } else {
        memcpy(before, state, env->state_size);
        env->ops->unstep(env, 1, before, &b->back[p]);
        assert_memory_equal(before, flv_batch_state(b, b->row[p - 1]), env->state_size);
        log_pb += b->log_pb[r * env->n_back + b->back[p]];
      }
      if (last) {
        assert_int_equal(b->action[p], env->exit_action);
        assert_memory_equal(state, (const unsigned char *)x + (size_t)(i - first) * env->state_size,
                            env->state_size);
      } else {
        assert_int_equal(b->mask[r * env->n_actions + b->action[p]], 1);
        env->ops->step(env, 1, state, &b->action[p]);
      }
    }
    assert_true(fabs(log_pb - b->log_pi[i]) <= 1e-12 * (1.0 + fabs(log_pb)));
  }
}

static void walks_on_grids(void **unused) {
  (void)unused;
  static const char *const backward[] = {"learned", "tied", "uniform"};
  for (int k = 0; k < 6; k++) {
    flv_trainer *t = make(1, SETTINGS({"env.dim", "3"}, {"env.side", "5"}, {"batch", "60"},
                                      {"policy.hidden", "[16]"}, {"policy.p_b", backward[k % 3]},
                                      {"intern", k < 3 ? "true" : "false"}, {"objective", "db"}));
    randomise(t);
    unsigned char *x = calloc(60, t->env->state_size);
    int64_t index[60];
    for (int i = 0; i < 60; i++) index[i] = i == 0 ? 0 : i * 2 + 6; // s0 and the last corner too
    t->env->ops->at(t->env, 60, index, x);
    flv_batch_clear(&t->batch);
    flv_sampler_run_back(&t->sampler, &t->batch, &t->policy, x, rng_at(0), 60, 1);
    assert_int_equal(t->batch.n, 60);
    assert_int_equal(t->batch.offset[1], 1); // s0 is where it begins
    check_walks(t, 0, x);
    free(x);
    flv_trainer_free(t);
  }
}

static void walks_to_terminal_states(void **unused) {
  (void)unused;
  const flv_env env = subsets_env(true);
  const flv_reward reward = subsets_reward();
  flv_trainer *t = make_subsets(&env, &reward, 1, "mlp", "40");
  randomise(t);
  subset x[40];
  for (int i = 0; i < 40; i++) x[i].items = UINT64_C(7) << i % 4;
  flv_batch_clear(&t->batch);
  flv_sampler_run_back(&t->sampler, &t->batch, &t->policy, x, rng_at(0), 40, 1);
  check_walks(t, 0, x);
  assert_int_equal(t->batch.offset[40], 40 * (SIZE + 1));
  flv_trainer_free(t);
}

// ---- frequencies ----

// log P_B of a tabular policy from its parameters alone: a softmax of weight + bias over legal
// steps.
static double table_log_pb(const flv_trainer *t, int64_t state, const uint8_t *mask, int back) {
  const flv_net *net = t->policy.net;
  const float *w = NULL, *bias = NULL;
  for (int i = 0; i < net->n_weights; i++) {
    if (strcmp(net->weight[i].name, "p_b.weight") == 0)
      w = t->policy.params + net->weight[i].offset;
    if (strcmp(net->weight[i].name, "p_b.bias") == 0)
      bias = t->policy.params + net->weight[i].offset;
  }
  assert_true(w && bias);
  const int k = t->env->n_back;
  double sum = 0.0;
  for (int j = 0; j < k; j++)
    if (mask[j]) sum += exp((double)w[state * k + j] + (double)bias[j]);
  return (double)w[state * k + back] + (double)bias[back] - log(sum);
}

enum { MAX_WAYS = 64, MAX_STEPS = 16 };

typedef struct way { // back from x
  int n;
  int32_t back[MAX_STEPS];
  double p;
  int seen;
} way;

// All ways from state back to s0; returns how many there are.
static int list_ways(const flv_trainer *t, const void *state, way now, way *list, int n) {
  const flv_env *env = t->env;
  uint8_t mask[16];
  unsigned char parent[64];
  int64_t index;
  bool any = false;
  env->ops->mask_back(env, 1, state, mask);
  env->ops->index(env, 1, state, &index);
  for (int32_t b = 0; b < env->n_back; b++) {
    if (!mask[b]) continue;
    any = true;
    way next = now;
    next.back[next.n++] = b;
    next.p *= exp(table_log_pb(t, index, mask, b));
    memcpy(parent, state, env->state_size);
    env->ops->unstep(env, 1, parent, &b);
    n = list_ways(t, parent, next, list, n);
  }
  if (!any) {
    assert_true(n < MAX_WAYS);
    list[n++] = now;
  }
  return n;
}

static way *find_way(const flv_batch *b, int i, way *list, int n) {
  const int length = b->offset[i + 1] - b->offset[i] - 1;
  for (int w = 0; w < n; w++) {
    bool same = list[w].n == length;
    for (int j = 0; same && j < length; j++)
      same = list[w].back[j] == b->back[b->offset[i + 1] - 1 - j];
    if (same) return &list[w];
  }
  return NULL;
}

// Pearson's chi-square of 64,000 draws stays below its mean plus 4.5 standard deviations.
static void check_frequencies(flv_trainer *t, const void *x, int ways) {
  way list[MAX_WAYS];
  assert_int_equal(list_ways(t, x, (way){.p = 1.0}, list, 0), ways);
  const size_t size = t->env->state_size;
  const int batch = t->batch.max_n, batches = 64000 / batch;
  unsigned char *same = calloc((size_t)batch, size);
  for (int i = 0; i < batch; i++) memcpy(same + (size_t)i * size, x, size);
  for (int k = 0; k < batches; k++) {
    flv_batch_clear(&t->batch);
    flv_sampler_run_back(&t->sampler, &t->batch, &t->policy, same, rng_at((uint64_t)k), batch, 1);
    for (int i = 0; i < batch; i++) {
      way *w = find_way(&t->batch, i, list, ways);
      assert_non_null(w);
      w->seen++;
      assert_true(fabs(t->batch.log_pi[i] - log(w->p)) < 1e-5); // logits are single precision
    }
  }
  double chi = 0.0, total = 0.0, least = 1.0, most = 0.0;
  for (int w = 0; w < ways; w++) {
    const double expected = list[w].p * batch * batches;
    chi += (list[w].seen - expected) * (list[w].seen - expected) / expected;
    total += list[w].p;
    least = fmin(least, list[w].p);
    most = fmax(most, list[w].p);
  }
  assert_true(fabs(total - 1.0) < 1e-12);
  assert_true(most > 3.0 * least); // nothing like uniform
  assert_true(least * batch * batches > 5.0);
  if (chi > ways - 1 + 4.5 * sqrt(2.0 * (ways - 1))) fail_msg("chi-square %g, %d ways", chi, ways);
  free(same);
}

static void frequencies_on_a_grid(void **unused) {
  (void)unused;
  flv_trainer *t = make(1, SETTINGS({"env.side", "4"}, {"policy", "tabular"}, {"batch", "64"}));
  randomise(t);
  const int64_t index = 4 * 3 + 2; // 5 steps, 3 of them along the first axis: 10 ways
  uint64_t x = 0;
  t->env->ops->at(t->env, 1, &index, &x);
  check_frequencies(t, &x, 10);
  flv_trainer_free(t);
}

static void frequencies_to_a_terminal_state(void **unused) {
  (void)unused;
  const flv_env env = subsets_env(true);
  const flv_reward reward = subsets_reward();
  flv_trainer *t = make_subsets(&env, &reward, 1, "tabular", "128");
  randomise(t);
  const subset x = {.items = 0x1a}; // 3 things in any order: 6 ways
  check_frequencies(t, &x, 6);
  flv_trainer_free(t);
}

// ---- bits, mixtures, wrong objects ----

static void threads_do_not_change_bits(void **unused) {
  (void)unused;
  enum { N = 300 };
  flv_trainer *t[3];
  for (int k = 0; k < 3; k++) {
    t[k] = make(k + 1, SETTINGS({"env.dim", "4"}, {"env.side", "8"}, {"batch", "300"}));
    randomise(t[k]);
    uint64_t x[N];
    int64_t index[N];
    for (int i = 0; i < N; i++) index[i] = i * 13 + 190;
    t[k]->env->ops->at(t[k]->env, N, index, x);
    flv_batch_clear(&t[k]->batch);
    flv_sampler_run_back(&t[k]->sampler, &t[k]->batch, &t[k]->policy, x, rng_at(1), N, k + 1);
    const flv_batch *a = &t[0]->batch, *b = &t[k]->batch;
    const size_t positions = (size_t)a->offset[N], rows = (size_t)a->rows.n;
    assert_int_equal(a->rows.n, b->rows.n);
    assert_memory_equal(a->offset, b->offset, sizeof *a->offset * (N + 1));
    assert_memory_equal(a->row, b->row, sizeof *a->row * positions);
    assert_memory_equal(a->action, b->action, sizeof *a->action * positions);
    assert_memory_equal(a->back, b->back, sizeof *a->back * positions);
    assert_memory_equal(a->log_pi, b->log_pi, sizeof *a->log_pi * N);
    assert_memory_equal(a->log_pf, b->log_pf, sizeof *a->log_pf * rows * 5);
    assert_memory_equal(a->log_pb, b->log_pb, sizeof *a->log_pb * rows * 4);
  }
  for (int k = 0; k < 3; k++) flv_trainer_free(t[k]);
}

// Backwards first, then forwards with exploration, then a recorded one: each has the probability
// that its behaviour policy gives it, and evaluation step by step agrees with evaluation at once.
static void mixed_in_one_batch(void **unused) {
  (void)unused;
  flv_trainer *t = make(
      1, SETTINGS({"env.side", "6"}, {"batch", "30"}, {"policy.p_b", "tied"}, {"objective", "db"}));
  flv_batch *b = &t->batch;
  const flv_explore explore = {.epsilon = 0.5, .temperature = 1.0, .active = true};
  const flv_rng forward = {.seed = 5, .purpose = FLV_RNG_ACTION, .iteration = 0};
  flv_batch_clear(b);
  flv_sampler_run(&t->sampler, b, &t->policy, &explore, forward, 30, 1); // fills explored rows
  randomise(t);
  uint64_t x[10];
  int64_t index[10];
  for (int i = 0; i < 10; i++) index[i] = 35 - 2 * i;
  t->env->ops->at(t->env, 10, index, x);
  flv_batch_clear(b);
  flv_sampler_run_back(&t->sampler, b, &t->policy, x, rng_at(0), 10, 1);
  check_walks(t, 0, x);
  flv_sampler_run(&t->sampler, b, &t->policy, &explore, forward, 12, 1);
  flv_sampler_run_back(&t->sampler, b, &t->policy, x, rng_at(1), 7, 1);
  check_walks(t, 22, x);
  flv_sampler_append(&t->sampler, b, 3, (int32_t[]){0, 1, 2}, -1.25);
  assert_int_equal(b->n, 30);
  flv_batch_evaluate_rest(b, &t->policy, 1);
  for (int i = 10; i < 22; i++) {
    double sum = 0.0;
    for (int p = b->offset[i]; p < b->offset[i + 1]; p++) {
      const int at = b->row[p] * 3, legal = b->mask[at] + b->mask[at + 1] + b->mask[at + 2];
      sum += log(0.5 * exp(b->log_pf[at + b->action[p]]) + 0.5 / legal);
    }
    assert_true(fabs(sum - b->log_pi[i]) < 1e-9);
  }
  double *log_pb = calloc((size_t)b->rows.n * 2, sizeof *log_pb);
  memcpy(log_pb, b->log_pb, (size_t)b->rows.n * 2 * sizeof *log_pb);
  b->evaluated = 0;
  flv_batch_evaluate_pf(b, &t->policy, 1);
  assert_int_equal(b->rest_evaluated, 0);
  flv_batch_evaluate_rest(b, &t->policy, 1);
  for (int i = 0; i < b->rows.n * 2; i++)
    assert_true(log_pb[i] == b->log_pb[i] || fabs(log_pb[i] - b->log_pb[i]) < 1e-5);
  free(log_pb);
  flv_trainer_free(t);
}

// Forwards to terminal states, whose rows come last: their P_B is that of their own observation.
static void terminal_states_are_evaluated(void **unused) {
  (void)unused;
  const flv_env env = subsets_env(true);
  const flv_reward reward = subsets_reward();
  flv_trainer *t = make_subsets(&env, &reward, 1, "mlp", "50");
  flv_batch *b = &t->batch;
  randomise(t);
  flv_batch_clear(b);
  flv_sampler_run(&t->sampler, b, &t->policy, &on_policy, rng_at(0), 50, 1);
  flv_batch_evaluate_rest(b, &t->policy, 1);
  double *log_pb = calloc((size_t)b->rows.n * ITEMS, sizeof *log_pb);
  memcpy(log_pb, b->log_pb, (size_t)b->rows.n * ITEMS * sizeof *log_pb);
  const int n = b->rows.n;
  subset *states = calloc((size_t)n, sizeof *states);
  memcpy(states, b->rows.states, (size_t)n * sizeof *states);
  flv_batch_clear(b);
  for (int i = n - 1; i >= 0; i--) flv_batch_row(b, &states[i], -1); // in another order
  flv_batch_evaluate_pf(b, &t->policy, 1);
  flv_batch_evaluate_rest(b, &t->policy, 1);
  for (int i = 0; i < n; i++)
    for (int k = 0; k < ITEMS; k++) {
      const double x = log_pb[i * ITEMS + k], y = b->log_pb[(n - 1 - i) * ITEMS + k];
      assert_true(x == y || fabs(x - y) < 1e-5);
    }
  free(log_pb);
  free(states);
  flv_trainer_free(t);
}

// Too many things: there is a way back, but it is longer than any trajectory. It stays within its
// places, and does not begin at s0.
static void no_object(void **unused) {
  (void)unused;
  const flv_env env = subsets_env(true);
  const flv_reward reward = subsets_reward();
  flv_trainer *t = make_subsets(&env, &reward, 1, "mlp", "3");
  const subset x[3] = {{0x07}, {0x3f}, {0x38}};
  flv_batch *b = &t->batch;
  flv_batch_clear(b);
  flv_sampler_run_back(&t->sampler, b, &t->policy, x, rng_at(0), 3, 1);
  for (int i = 0; i < 3; i++) {
    const subset *first = (const void *)flv_batch_state(b, b->row[b->offset[i]]);
    assert_int_equal(b->offset[i + 1] - b->offset[i], SIZE + 1);
    assert_int_equal(first->items == 0, i != 1);
  }
  flv_trainer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(walks_on_grids),
      cmocka_unit_test(walks_to_terminal_states),
      cmocka_unit_test(frequencies_on_a_grid),
      cmocka_unit_test(frequencies_to_a_terminal_state),
      cmocka_unit_test(threads_do_not_change_bits),
      cmocka_unit_test(mixed_in_one_batch),
      cmocka_unit_test(terminal_states_are_evaluated),
      cmocka_unit_test(no_object),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
