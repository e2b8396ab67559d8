// Directed acyclic graphs: against counts that are known, against all sets of edges tried one by
// one, and against reachability searched anew after every step.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "base/rng.h"
#include "env/columns.h"
#include "env/dag.h"
#include "exact/terminating.h"
#include "train_setup.h"

enum { MAX_D = FLV_DAG_MAX_VARIABLES, MAX_BYTES = 2 * MAX_D * MAX_D / 8 };
typedef struct record {
  _Alignas(8) unsigned char bytes[MAX_BYTES];
} record;

static flv_env *open_env(const char *variables, const char *max_parents, const char *required,
                         const char *forbidden) {
  flv_error err = {0};
  flv_config *cfg = configure(SETTINGS({"env", "dag"}, {"env.variables", variables},
                                       {"env.max_parents", max_parents}, {"env.required", required},
                                       {"env.forbidden", forbidden}));
  flv_env *env = flv_env_new(cfg, NULL, &err);
  if (!env) fail_msg("%s", err.text);
  flv_config_free(cfg);
  return env;
}

static flv_env *open_plain(int d) {
  char text[8];
  snprintf(text, sizeof text, "%d", d);
  return open_env(text, "0", "[]", "[]");
}

static int bits(uint64_t set) {
  int n = 0;
  for (; set; set >>= 1) n += (int)(set & 1);
  return n;
}

static int edges_of(const flv_env *env, const void *state) {
  const flv_dag_env *dag = flv_dag_env_of(env);
  int n = 0;
  for (int j = 0; j < env->n_nodes; j++) n += bits(flv_dag_parents(dag, state, j));
  return n;
}

// ---- known counts ----

// Numbers of graphs, A003024, and by edges.
static void counts(void **unused) {
  (void)unused;
  static const int64_t total[] = {0, 1, 3, 25, 543, 29281, 3781503};
  static const int64_t layer[][11] = {{1, 6, 12, 6},
                                      {1, 12, 60, 152, 186, 108, 24},
                                      {1, 20, 180, 940, 3050, 6180, 7960, 6540, 3330, 960, 120}};
  static const int64_t transitions[] = {48, 2016, 176320};
  for (int d = 2; d <= 6; d++) {
    flv_env *env = open_plain(d);
    assert_int_equal(env->n_states, total[d]);
    assert_int_equal(env->max_length, d * (d - 1) / 2 + 1);
    assert_true(env->n_hot == d * (d - 1) / 2 && env->n_nodes == d && env->n_features == d * d);
    int64_t seen[16] = {0}, steps = 0;
    for (int64_t i = 0; i < env->n_states; i++) {
      record s = {{0}};
      uint8_t mask[37];
      int64_t back = -1;
      env->ops->at(env, 1, &i, s.bytes);
      env->ops->index(env, 1, s.bytes, &back);
      assert_int_equal(back, i);
      seen[edges_of(env, s.bytes)]++;
      if (d == 6) continue;
      env->ops->mask(env, 1, s.bytes, mask);
      for (int a = 0; a < d * d; a++) steps += mask[a];
    }
    for (int k = 0; d >= 3 && d <= 5 && k <= d * (d - 1) / 2; k++)
      assert_int_equal(seen[k], layer[d - 3][k]);
    if (d >= 3 && d <= 5) assert_int_equal(steps, transitions[d - 3]);
    if (d == 6) assert_true(seen[15] == 720 && seen[0] == 1 && seen[1] == 30); // d! orders
    flv_env_free(env);
  }
}

static void sizes(void **unused) {
  (void)unused;
  static const int row[][2] = {{2, 8},   {5, 8},    {6, 16},   {8, 16},   {9, 24},
                               {16, 64}, {20, 104}, {50, 632}, {64, 1024}};
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    flv_env *env = open_plain(row[i][0]);
    assert_int_equal(env->state_size, row[i][1]);
    assert_true((env->n_states > 0) == (row[i][0] <= 6));
    flv_env_free(env);
  }
}

// ---- every set of edges ----

typedef struct rules {
  const char *variables, *max_parents, *required, *forbidden;
  int d, k;
  uint64_t must[6], never[6]; // sources of edges into each variable
} rules;

// Takes away what has no parents until nothing is left, or nothing can be taken.
static bool acyclic(int d, const uint64_t *parents) {
  uint64_t left = (UINT64_C(2) << (d - 1)) - 1, before = 0;
  while (left != before) {
    before = left;
    for (int j = 0; j < d; j++)
      if ((left >> j & 1) && !(parents[j] & left)) left &= ~(UINT64_C(1) << j);
  }
  return left == 0;
}

static bool allowed(const rules *r, const uint64_t *parents) {
  for (int j = 0; j < r->d; j++)
    if ((parents[j] & r->never[j]) || (r->must[j] & ~parents[j]) || bits(parents[j]) > r->k)
      return false;
  return acyclic(r->d, parents);
}

static void check_set(const flv_env *env, const rules *r, uint64_t *parents, int64_t *seen) {
  const flv_dag_env *dag = flv_dag_env_of(env);
  record s, at = {{0}};
  memset(s.bytes, 0xab, sizeof s.bytes);
  const bool is_state = allowed(r, parents);
  assert_int_equal(flv_dag_from_parents(dag, parents, s.bytes), is_state);
  assert_int_equal(s.bytes[env->state_size], 0xab);
  if (!is_state) {
    assert_int_equal(s.bytes[0], 0xab); // nothing is written
    return;
  }
  for (int j = 0; j < r->d; j++) assert_int_equal(flv_dag_parents(dag, s.bytes, j), parents[j]);
  int64_t index = -1;
  env->ops->index(env, 1, s.bytes, &index);
  assert_in_range(index, 0, env->n_states - 1);
  env->ops->at(env, 1, &index, at.bytes);
  assert_memory_equal(at.bytes, s.bytes, env->state_size);
  seen[index] = edges_of(env, s.bytes);
  uint8_t mask[37], back[36];
  env->ops->mask(env, 1, s.bytes, mask);
  env->ops->mask_back(env, 1, s.bytes, back);
  assert_int_equal(mask[r->d * r->d], 1);
  for (int i = 0; i < r->d; i++)
    for (int j = 0; j < r->d; j++) {
      const uint64_t edge = UINT64_C(1) << i, had = parents[j];
      parents[j] = had | edge;
      assert_int_equal(mask[i * r->d + j], !(had & edge) && allowed(r, parents));
      parents[j] = had & ~edge;
      assert_int_equal(back[i * r->d + j], (had & edge) && allowed(r, parents));
      parents[j] = had;
    }
}

static void every_set_of_edges(void **unused) {
  (void)unused;
  static const rules row[] = {
      {"2", "0", "[]", "[]", 2, 1, {0}, {0}},
      {"3", "0", "[]", "[]", 3, 2, {0}, {0}},
      {"4", "0", "[]", "[]", 4, 3, {0}, {0}},
      {"4", "1", "[]", "[]", 4, 1, {0}, {0}},
      {"4", "2", "[0, 1, 2, 1]", "[]", 4, 2, {0, 1 | 4}, {0}},
      {"4", "0", "[3, 2, 2, 0]", "[1, 3, 1, 0]", 4, 3, {4, 0, 8}, {2, 0, 0, 2}},
      {"4", "2", "[1, 0]", "[0, 1, 2, 3, 3, 2, 3, 0]", 4, 2, {2}, {8, 1, 8, 4}},
      {"4", "1", "[1, 0, 0, 2]", "[3, 1, 1, 3]", 4, 1, {2, 0, 1}, {0, 8, 0, 2}},
      {"5", "2", "[4, 0]", "[0, 3, 1, 2]", 5, 2, {16}, {0, 0, 2, 1}},
  };
  for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
    const rules *r = &row[k];
    flv_env *env = open_env(r->variables, r->max_parents, r->required, r->forbidden);
    int64_t *seen = malloc((size_t)env->n_states * sizeof *seen);
    assert_non_null(seen);
    for (int64_t i = 0; i < env->n_states; i++) seen[i] = -1;
    const int d = r->d;
    int most = 0;
    for (uint64_t set = 0; set < UINT64_C(1) << (d * (d - 1)); set++) {
      uint64_t parents[6] = {0}, left = set;
      for (int j = 0; j < d; j++)
        for (int i = 0; i < d; i++)
          if (i != j) parents[j] |= (left & 1) << i, left >>= 1;
      check_set(env, r, parents, seen);
    }
    for (int64_t i = 0; i < env->n_states; i++) { // each index once, by number of edges
      assert_true(seen[i] >= 0 && (i == 0 || seen[i] >= seen[i - 1]));
      most = (int)seen[i];
    }
    assert_int_equal(env->max_length, most - (int)seen[0] + 1);
    free(seen);
    flv_env_free(env);
  }
}

// ---- long walks ----

// Whether a path leads from each variable to `to`, or it is `to`: searched from there backwards.
static uint64_t ancestors(int d, const uint64_t *parents, int to) {
  uint64_t found = UINT64_C(1) << to, before = 0;
  while (found != before) {
    before = found;
    for (int j = 0; j < d; j++)
      if (before >> j & 1) found |= parents[j];
  }
  return found;
}

static void check_walk_state(const flv_env *env, const record *s, const uint64_t *parents, int k,
                             uint8_t *mask) {
  const int d = env->n_nodes;
  record made;
  assert_true(flv_dag_from_parents(flv_dag_env_of(env), parents, made.bytes));
  assert_memory_equal(made.bytes, s->bytes, env->state_size); // the closure is in there
  env->ops->mask(env, 1, s->bytes, mask);
  for (int i = 0; i < d; i++) {
    const uint64_t above = ancestors(d, parents, i);
    for (int j = 0; j < d; j++) {
      const bool legal = !(parents[j] >> i & 1) && !(above >> j & 1) && bits(parents[j]) < k;
      assert_int_equal(mask[i * d + j], legal);
    }
  }
}

static int pick_one(const uint8_t *mask, int n, uint32_t walk, uint32_t step) {
  int count = 0;
  for (int a = 0; a < n; a++) count += mask[a];
  const flv_rng rng = {11, FLV_RNG_TEST, walk};
  int left = (int)(flv_rng_uniform(rng, 0, step) * count);
  for (int a = 0; a < n; a++)
    if (mask[a] && left-- == 0) return a;
  return -1;
}

// Up, sometimes down, until nothing can be added; then all the way down.
static void walk(const flv_env *env, int k, uint32_t number) {
  const int d = env->n_nodes;
  uint64_t parents[MAX_D] = {0};
  uint8_t mask[MAX_D * MAX_D + 1], back[MAX_D * MAX_D];
  record s;
  env->ops->reset(env, 1, s.bytes);
  bool down = false;
  int most = 0, now = 0;
  for (uint32_t t = 0;; t++) {
    check_walk_state(env, &s, parents, k, mask);
    env->ops->mask_back(env, 1, s.bytes, back);
    const int add = pick_one(mask, d * d, number, 2 * t),
              drop = pick_one(back, d * d, number, 2 * t + 1);
    if (add < 0) down = true;
    if (drop < 0 && down) break;
    if (down || (t % 5 == 4 && drop >= 0)) {
      const int32_t b = drop;
      env->ops->unstep(env, 1, s.bytes, &b);
      parents[b % d] &= ~(UINT64_C(1) << b / d);
      now--;
    } else {
      const int32_t a = add;
      env->ops->step(env, 1, s.bytes, &a);
      parents[a % d] |= UINT64_C(1) << a / d;
      if (++now > most) most = now;
    }
  }
  assert_int_equal(most, env->max_length - 1);
}

static void closure_recomputed(void **unused) {
  (void)unused;
  static const int row[][2] = {{2, 0},  {3, 0},  {5, 0},  {6, 0},  {7, 3},
                               {8, 0},  {9, 0},  {16, 0}, {17, 2}, {21, 0},
                               {32, 0}, {33, 4}, {63, 2}, {64, 3}, {64, 1}};
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    const int d = row[i][0], k = row[i][1] > 0 ? row[i][1] : d - 1;
    char variables[8], max_parents[8];
    snprintf(variables, sizeof variables, "%d", d);
    snprintf(max_parents, sizeof max_parents, "%d", row[i][1]);
    flv_env *env = open_env(variables, max_parents, "[]", "[]");
    assert_int_equal(flv_dag_variables(flv_dag_env_of(env)), d);
    assert_int_equal(flv_dag_max_parents(flv_dag_env_of(env)), k);
    for (uint32_t w = 0; w < (d < 30 ? 10 : 1); w++) walk(env, k, 100 * (uint32_t)i + w);
    flv_env_free(env);
  }
}

// ---- distributions ----

static void uniform_policy(void *user, int n, const void *states, double *log_pf) {
  const flv_env *env = user;
  const size_t a = (size_t)env->n_actions;
  uint8_t mask[37];
  for (int i = 0; i < n; i++) {
    double legal = 0.0;
    env->ops->mask(env, 1, (const unsigned char *)states + (size_t)i * env->state_size, mask);
    for (size_t k = 0; k < a; k++) legal += mask[k];
    for (size_t k = 0; k < a; k++) log_pf[(size_t)i * a + k] = mask[k] ? -log(legal) : -HUGE_VAL;
  }
}

// Three variables, every legal action equally likely: the empty graph ends 1 of 7 ways, and a graph
// of three edges has probability 1/15. In all it is a distribution.
static void uniform_golden(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_env *env = open_plain(3);
  double p[25], sum = 0.0;
  assert_int_equal(flv_terminating(env, uniform_policy, env, p, &err), FLV_OK);
  assert_true(fabs(p[0] - 1.0 / 7.0) < 1e-15);
  for (int i = 0; i < 25; i++) sum += p[i];
  for (int i = 19; i < 25; i++) assert_true(fabs(p[i] - 1.0 / 15.0) < 1e-15);
  assert_true(fabs(sum - 1.0) < 1e-14);
  flv_env_free(env);
}

// Any number for a graph: of its edges, not of its index.
static flv_status some_log_reward(const flv_reward *reward, const flv_env *env, int n,
                                  const void *states, double *log_r, flv_error *err) {
  (void)reward, (void)err;
  for (int i = 0; i < n; i++) {
    double x = 0.0;
    for (int j = 0; j < env->n_nodes; j++)
      x = 3.1 * x +
          (double)flv_dag_parents(flv_dag_env_of(env),
                                  (const unsigned char *)states + (size_t)i * env->state_size, j);
    log_r[i] = 2.0 * sin(x);
  }
  return FLV_OK;
}

// A multilayer perceptron reads padded lists of edges, and learns; evaluation enumerates.
static void trained(void **unused) {
  (void)unused;
  flv_error err = {0};
  static const char *const policies[] = {"mlp", "tabular"};
  for (int k = 0; k < 2; k++) {
    const flv_reward reward = {.name = "some", .log_reward = some_log_reward};
    flv_env *env = open_env("3", "0", "[]", "[]");
    flv_config *cfg =
        configure(SETTINGS({"policy", policies[k]}, {"policy.p_b", "uniform"},
                           {"optimiser.lr", k == 0 ? "3e-3" : "3e-2"}, {"iterations", "1500"}));
    flv_trainer *t = flv_trainer_new(cfg, env, &reward, 1, &err);
    if (!t) fail_msg("%s", err.text);
    flv_evaluation before, after;
    flv_stats stats;
    assert_int_equal(flv_trainer_evaluate(t, 0, &before, &err), FLV_OK);
    for (int i = 0; i < 1500; i++) step(t, &stats);
    assert_int_equal(flv_trainer_evaluate(t, 0, &after, &err), FLV_OK);
    assert_true(before.exact && after.exact && after.n == 25);
    double z = 0.0, log_r[25];
    for (int64_t i = 0; i < 25; i++) {
      record s = {{0}};
      env->ops->at(env, 1, &i, s.bytes);
      assert_int_equal(flv_reward_log(&reward, env, 1, s.bytes, &log_r[i], NULL), FLV_OK);
      z += exp(log_r[i]);
    }
    assert_true(fabs(after.log_z_true - log(z)) < 1e-12);
    if (!(after.jsd < 2e-3 && after.jsd < 0.05 * before.jsd))
      fail_msg("%s: JSD %g, before %g", policies[k], after.jsd, before.jsd);
    flv_trainer_free(t);
    flv_config_free(cfg);
    flv_env_free(env);
  }
}

// ---- rows ----

static void rows_of_graphs(void **unused) {
  (void)unused;
  flv_env *env = open_plain(3);
  const uint64_t parents[][3] = {{2, 0, 3}, {0, 0, 0}, {6, 4, 0}};
  _Alignas(8) unsigned char states[24];
  _Static_assert(sizeof states == 3 * 8, "one word each");
  int32_t hot[9], cells[27];
  for (int i = 0; i < 3; i++)
    assert_true(flv_dag_from_parents(flv_dag_env_of(env), parents[i], states + 8 * i));
  env->ops->observe(env, 3, states, hot, NULL);
  static const int32_t lists[9] = {2, 3, 5, -1, -1, -1, 3, 6, 7};
  assert_memory_equal(hot, lists, sizeof lists);
  assert_int_equal(flv_columns_count(env), 9);
  assert_true(flv_columns_whole(env) && !flv_columns_grid(env));
  flv_columns_fill(env, 3, states, cells);
  static const int32_t matrices[27] = {0, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
                                       0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0};
  assert_memory_equal(cells, matrices, sizeof matrices);
  flv_env_free(env);
}

// ---- what is refused ----

static flv_env *try_env(const char *const s[4], const flv_shape *shape, flv_error *err) {
  flv_config *cfg =
      configure(SETTINGS({"env", "dag"}, {"env.variables", s[0]}, {"env.max_parents", s[1]},
                         {"env.required", s[2]}, {"env.forbidden", s[3]}));
  flv_env *env = flv_env_new(cfg, shape, err);
  flv_config_free(cfg);
  return env;
}

static void refusals(void **unused) {
  (void)unused;
  static const struct {
    const char *set[4];
    flv_shape shape;
    const char *text;
  } row[] = {
      {{"1", "0", "[]", "[]"}, {0}, "dag: 1 variables; expected 2 to 64"},
      {{"0", "0", "[]", "[]"}, {1, {1}}, "dag: 1 variables"},
      {{"0", "0", "[]", "[]"}, {1, {65}}, "dag: 65 variables"},
      {{"4", "0", "[]", "[]"}, {1, {5}}, "env.variables is 4, but the reward scores 5 variables"},
      {{"0", "0", "[]", "[]"}, {2, {5, 5}}, "the reward's shape has 2 dimensions"},
      {{"4", "0", "[0, 1, 2]", "[]"}, {0}, "env.required: 3 numbers; expected pairs"},
      {{"4", "0", "[]", "[0]"}, {0}, "env.forbidden: 1 numbers; expected pairs"},
      {{"4", "0", "[0, 1, 2, 4]", "[]"}, {0}, "env.required: edge 2 leads from 2 to 4"},
      {{"4", "0", "[]", "[7, 1]"}, {0}, "env.forbidden: edge 1 leads from 7 to 1"},
      {{"4", "0", "[2, 2]", "[]"}, {0}, "env.required: edge 1 leads from 2 to itself"},
      {{"4", "0", "[0, 1, 1, 2]", "[2, 3, 1, 2]"}, {0}, "the edge from 1 to 2 is forbidden too"},
      {{"4", "1", "[0, 3, 1, 3]", "[]"}, {0}, "variable 3 has 2 parents; env.max_parents is 1"},
      {{"4", "0", "[0, 1, 1, 2, 2, 0]", "[]"}, {0}, "these edges make a cycle through variable 0"},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    flv_error err = {0};
    assert_null(try_env(row[i].set, &row[i].shape, &err));
    assert_int_equal(err.status, FLV_EINVAL);
    if (!strstr(err.text, row[i].text)) fail_msg("'%s' does not say '%s'", err.text, row[i].text);
  }
}

static void taken(void **unused) {
  (void)unused;
  flv_error err = {0};
  const flv_shape five = {1, {5}}, none = {0};
  const char *const plain[4] = {"0", "0", "[]", "[]"}, *const same[4] = {"5", "9", "[]", "[]"},
                    *const full[4] = {"2", "0", "[]", "[0, 1, 1, 0]"};
  flv_env *a = try_env(plain, &five, &err), *b = try_env(same, &five, &err),
          *c = try_env(plain, &none, &err), *d = try_env(full, NULL, &err);
  assert_true(a && b && c && d);
  assert_true(a->n_nodes == 5 && b->n_nodes == 5 && c->n_nodes == 3);
  assert_int_equal(flv_dag_max_parents(flv_dag_env_of(b)), 4);
  assert_true(d->n_states == 1 && d->max_length == 1 && d->n_hot == 1);
  flv_env_free(a), flv_env_free(b), flv_env_free(c), flv_env_free(d);
  flv_config *cfg = configure(SETTINGS({"env", "hypergrid"}));
  flv_env *grid = flv_env_new(cfg, NULL, &err);
  assert_true(grid && !flv_dag_env_of(grid) && grid->n_nodes == 0);
  flv_env_free(grid);
  flv_config_free(cfg);
}

// Beyond the table, edges can be bounded only: by pairs, by what may lead into a variable, in
// order.
static void bounds_of_edges(void **unused) {
  (void)unused;
  static const struct {
    const char *set[4];
    int length, hot;
  } row[] = {
      {{"8", "0", "[]", "[]"}, 29, 28},
      {{"8", "2", "[]", "[]"}, 1 + 13, 13},
      {{"8", "2", "[0, 1, 0, 2]", "[]"}, 12, 13},
      {{"8", "0", "[]", "[0, 1, 1, 0, 2, 3, 3, 2, 4, 5]"}, 27, 26},
      {{"8", "0", "[0, 1, 1, 2]", "[0, 2]"}, 26, 27}, // 2 -> 0 would be a cycle
      {{"7", "1", "[]", "[1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 0, 1, 2, 1, 3, 1, 4, 1, 5, 1, 6, 1]"},
       6,
       5},
  };
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    flv_error err = {0};
    flv_env *env = try_env(row[i].set, NULL, &err);
    if (!env) fail_msg("%s", err.text);
    assert_int_equal(env->max_length, row[i].length);
    assert_int_equal(env->n_hot, row[i].hot);
    flv_env_free(env);
  }
}

static void every_allocation_may_fail(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  flv_config *cfg = configure(SETTINGS({"env", "dag"}, {"env.variables", "4"}));
  int failures = 0;
  for (long k = 0;; k++) {
    flv_error err = {0};
    alloc_fail(k);
    flv_env *env = flv_env_new(cfg, NULL, &err);
    const bool done = alloc_none_failed();
    assert_true(env || err.status == FLV_ENOMEM);
    failures += !env;
    flv_env_free(env);
    if (done) break;
  }
  assert_int_equal(failures, 3); // the environment, its parameters, its table
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts),
      cmocka_unit_test(sizes),
      cmocka_unit_test(every_set_of_edges),
      cmocka_unit_test(closure_recomputed),
      cmocka_unit_test(uniform_golden),
      cmocka_unit_test(trained),
      cmocka_unit_test(rows_of_graphs),
      cmocka_unit_test(refusals),
      cmocka_unit_test(taken),
      cmocka_unit_test(bounds_of_edges),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
