// Exact terminating distribution and target, against enumeration of every trajectory and a naive
// recursion.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "exact/terminating.h"
#include "fluvial/env.h"

// ---- a state graph given by a table ----

enum { ACTIONS = 4, EXIT = 3, NODES = 2000 };

typedef struct graph {
  int n;
  int next[NODES][ACTIONS]; // -1: illegal; an exit has any other value
} graph;
typedef struct graph_state {
  int64_t node;
} graph_state;

static inline void env_reset(const graph *e, graph_state *s) { (void)e, (void)s; }
static inline void env_step(const graph *e, graph_state *s, int action) {
  s->node = e->next[s->node][action];
}
static inline void env_unstep(const graph *e, graph_state *s, int back) {
  (void)e, (void)s, (void)back;
}
static inline void env_mask(const graph *e, const graph_state *s, uint8_t *mask) {
  for (int a = 0; a < ACTIONS; a++) mask[a] = e->next[s->node][a] >= 0;
}
static inline void env_mask_back(const graph *e, const graph_state *s, uint8_t *mask) {
  (void)e, (void)s, (void)mask;
}
static inline int env_back_of(const graph *e, const graph_state *parent, int action) {
  (void)e, (void)parent, (void)action;
  return 0;
}
static inline int env_action_of(const graph *e, const graph_state *child, int back) {
  (void)e, (void)child, (void)back;
  return 0;
}
static inline void env_observe(const graph *e, const graph_state *s, int32_t *hot, float *x) {
  (void)e, (void)s, (void)hot, (void)x;
}
static inline bool env_terminal(const graph *e, const graph_state *s) {
  for (int a = 0; a < ACTIONS; a++)
    if (e->next[s->node][a] >= 0) return false;
  return true;
}
static inline int64_t env_index(const graph *e, const graph_state *s) {
  (void)e;
  return s->node;
}
static inline void env_at(const graph *e, int64_t index, graph_state *s) {
  (void)e;
  s->node = index;
}

#define ENV graph
#define STATE graph_state
#define ENV_OPS graph_ops
#define ENV_TERMINAL
#define ENV_ENUMERABLE
#include "fluvial/env_template.h"

static flv_env graph_env(graph *g, bool exits) {
  return (flv_env){.name = "graph",
                   .ops = &graph_ops,
                   .self = g,
                   .state_size = sizeof(graph_state),
                   .n_actions = ACTIONS,
                   .n_back = 1,
                   .exit_action = exits ? EXIT : -1,
                   .max_length = NODES,
                   .n_features = 1,
                   .n_states = g->n};
}

static graph *graph_new(int n) {
  graph *g = malloc(sizeof *g);
  assert_non_null(g);
  g->n = n;
  for (int s = 0; s < NODES; s++)
    for (int a = 0; a < ACTIONS; a++) g->next[s][a] = -1;
  return g;
}

// side^3 grid, exit everywhere
static graph *grid_new(int side) {
  graph *g = graph_new(side * side * side);
  for (int s = 0; s < g->n; s++) {
    const int at[3] = {s / (side * side), s / side % side, s % side};
    const int stride[3] = {side * side, side, 1};
    for (int d = 0; d < 3; d++)
      if (at[d] + 1 < side) g->next[s][d] = s + stride[d];
    g->next[s][EXIT] = 0;
  }
  return g;
}

// Not graded: 5 is reached in 2, 3 and 4 steps. With exits: legal in 1, 2 and 5 only.
static graph *web_new(bool exits) {
  graph *g = graph_new(7);
  static const int edge[][3] = {{0, 0, 1}, {0, 1, 2}, {0, 2, 3}, {1, 0, 2}, {1, 1, 4}, {2, 0, 3},
                                {2, 1, 5}, {3, 0, 5}, {3, 1, 6}, {4, 0, 6}, {1, 2, 5}};
  for (size_t i = 0; i < sizeof edge / sizeof *edge; i++)
    g->next[edge[i][0]][edge[i][1]] = edge[i][2];
  if (exits) g->next[1][EXIT] = g->next[2][EXIT] = g->next[5][EXIT] = g->next[6][EXIT] = 0;
  return g;
}

// ---- policies and rewards by table ----

typedef struct table {
  double log_pf[NODES][ACTIONS];
  int64_t expect; // index of the next state it should be asked for
  int asked;
} table;

static void table_log_pf(void *user, int n, const void *states, double *log_pf) {
  table *t = user;
  const graph_state *s = states;
  assert_true(n > 0 && n <= FLV_EXACT_CHUNK);
  for (int i = 0; i < n; i++) {
    assert_int_equal(s[i].node, t->expect++);
    memcpy(log_pf + (size_t)i * ACTIONS, t->log_pf[s[i].node], sizeof t->log_pf[0]);
  }
  t->asked += n;
}

static double uniform(int item, int step) {
  const flv_rng rng = {.seed = 3, .purpose = FLV_RNG_TEST, .iteration = 0};
  return flv_rng_uniform(rng, (uint32_t)item, (uint32_t)step);
}

static table *random_table(const graph *g) {
  table *t = calloc(1, sizeof *t);
  assert_non_null(t);
  for (int s = 0; s < g->n; s++) {
    double sum = 0.0;
    for (int a = 0; a < ACTIONS; a++)
      if (g->next[s][a] >= 0) sum += exp(4.0 * uniform(s, a));
    for (int a = 0; a < ACTIONS; a++)
      t->log_pf[s][a] = g->next[s][a] >= 0 ? 4.0 * uniform(s, a) - log(sum) : -HUGE_VAL;
  }
  return t;
}

static flv_status reward_log(const flv_reward *reward, const flv_env *env, int n,
                             const void *states, double *log_r, flv_error *err) {
  (void)err;
  const graph_state *s = states;
  const double *by_node = reward->self;
  (void)env;
  for (int i = 0; i < n; i++) log_r[i] = by_node[s[i].node];
  return FLV_OK;
}

static flv_reward table_reward(double *log_r) {
  return (flv_reward){.name = "table", .self = log_r, .exponent = 1.0, .log_reward = reward_log};
}

// ---- oracles ----

// Adds P_F(tau) to p[x] for every trajectory tau.
static void enumerate(const graph *g, const table *t, bool exits, int s, double prob, double *p) {
  bool stuck = true;
  for (int a = 0; a < ACTIONS; a++) {
    if (g->next[s][a] < 0) continue;
    stuck = false;
    if (exits && a == EXIT)
      p[s] += prob * exp(t->log_pf[s][a]);
    else
      enumerate(g, t, exits, g->next[s][a], prob * exp(t->log_pf[s][a]), p);
  }
  if (stuck && !exits) p[s] += prob;
}

static void check_against_enumeration(graph *g, bool exits) {
  flv_error err = {0};
  const flv_env env = graph_env(g, exits);
  table *t = random_table(g);
  double *log_r = calloc(NODES, sizeof *log_r), *p = calloc(NODES, sizeof *p),
         *once = calloc(NODES, sizeof *p);
  const flv_reward reward = table_reward(log_r);
  enumerate(g, t, exits, 0, 1.0, p);
  flv_exact *exact = flv_exact_new(&env, &reward, 1, &err);
  assert_non_null(exact);
  double sum = 0.0;
  for (int again = 0; again < 2; again++) {
    t->expect = 0;
    assert_int_equal(flv_exact_terminating(exact, table_log_pf, t, &err), FLV_OK);
    for (int s = 0; s < g->n; s++) {
      assert_true(fabs(exact->p[s] - p[s]) <= 1e-14);
      if (again) sum += exact->p[s];
    }
  }
  assert_int_equal(t->asked, 2 * g->n);
  assert_true(fabs(sum - 1.0) <= 1e-13);
  t->expect = 0;
  assert_int_equal(flv_terminating(&env, table_log_pf, t, once, &err), FLV_OK);
  assert_memory_equal(once, exact->p, (size_t)g->n * sizeof *once);
  flv_exact_free(exact);
  free(t), free(log_r), free(p), free(once), free(g);
}

static void matches_enumeration(void **state) {
  (void)state;
  check_against_enumeration(web_new(true), true);
  check_against_enumeration(web_new(false), false);
  check_against_enumeration(grid_new(3), true);
  check_against_enumeration(graph_new(1), false); // s0 is the only object
}

// 1728 states: two chunks, with steps inside and across them.
static void crosses_chunks(void **state) {
  (void)state;
  flv_error err = {0};
  graph *g = grid_new(12);
  const flv_env env = graph_env(g, true);
  table *t = random_table(g);
  double *u = calloc(NODES, sizeof *u), *p = calloc(NODES, sizeof *p);
  for (int s = 0; s < g->n; s++) { // every state pulls from its parents
    u[s] = s == 0;
    for (int q = 0; q < s; q++)
      for (int a = 0; a < EXIT; a++)
        if (g->next[q][a] == s) u[s] += u[q] * exp(t->log_pf[q][a]);
  }
  assert_int_equal(flv_terminating(&env, table_log_pf, t, p, &err), FLV_OK);
  for (int s = 0; s < g->n; s++) {
    const double expect = u[s] * exp(t->log_pf[s][EXIT]);
    assert_true(fabs(p[s] - expect) <= 1e-12 * expect);
  }
  free(t), free(u), free(p), free(g);
}

// A chain on which going on has probability exp(-5): P_T falls far below the range of double.
static void keeps_logs(void **state) {
  (void)state;
  flv_error err = {0};
  graph *g = graph_new(400);
  table *t = calloc(1, sizeof *t);
  double *log_r = calloc(NODES, sizeof *log_r);
  for (int s = 0; s < g->n; s++) {
    const bool last = s + 1 == g->n;
    g->next[s][EXIT] = 0;
    if (!last) g->next[s][0] = s + 1;
    t->log_pf[s][0] = last ? -HUGE_VAL : -5.0;
    t->log_pf[s][EXIT] = last ? 0.0 : log1p(-exp(-5.0));
    t->log_pf[s][1] = t->log_pf[s][2] = -HUGE_VAL;
  }
  const flv_env env = graph_env(g, true);
  const flv_reward reward = table_reward(log_r);
  flv_exact *exact = flv_exact_new(&env, &reward, 1, &err);
  assert_non_null(exact);
  assert_int_equal(flv_exact_terminating(exact, table_log_pf, t, &err), FLV_OK);
  for (int s = 0; s < g->n; s++) {
    assert_true(fabs(exact->log_p[s] - (-5.0 * s + t->log_pf[s][EXIT])) <= 1e-9);
    assert_true(exact->p[s] >= 0.0);
  }
  assert_true(exact->p[399] == 0.0);
  flv_exact_free(exact);
  free(t), free(log_r), free(g);
}

// States that the policy never enters, or that nothing leads to, have probability 0, not NaN.
static void unreachable(void **state) {
  (void)state;
  flv_error err = {0};
  graph *g = web_new(true);
  g->n = 8; // node 7: no parents
  g->next[7][EXIT] = 0;
  const flv_env env = graph_env(g, true);
  table *t = random_table(g);
  t->log_pf[0][0] = t->log_pf[0][2] = -HUGE_VAL; // only 0 -> 2
  t->log_pf[0][1] = 0.0;
  double log_r[8] = {0};
  const flv_reward reward = table_reward(log_r);
  flv_exact *exact = flv_exact_new(&env, &reward, 1, &err);
  assert_non_null(exact);
  assert_int_equal(flv_exact_terminating(exact, table_log_pf, t, &err), FLV_OK);
  double sum = 0.0;
  for (int s = 0; s < g->n; s++) sum += exact->p[s];
  assert_true(fabs(sum - 1.0) < 1e-14);
  const int never[] = {0, 1, 4, 7};
  for (int i = 0; i < 4; i++)
    assert_true(exact->p[never[i]] == 0.0 && exact->log_p[never[i]] == -HUGE_VAL);
  assert_true(exact->p[2] > 0.0 && exact->p[5] > 0.0 && exact->p[6] > 0.0);
  flv_exact_free(exact);
  free(t), free(g);
}

static void target_by_hand(void **state) {
  (void)state;
  flv_error err = {0};
  graph *g = web_new(true); // objects 1, 2, 5, 6
  const flv_env env = graph_env(g, true);
  double log_r[7] = {50.0, 800.0 + log(1.0), 800.0 + log(2.0), 50.0,
                     50.0, 800.0 + log(5.0), -HUGE_VAL};
  flv_reward reward = table_reward(log_r);
  flv_exact *exact = flv_exact_new(&env, &reward, 1, &err);
  assert_non_null(exact);
  assert_true(fabs(exact->log_z - (800.0 + log(8.0))) < 1e-12);
  const double expect[7] = {0.0, 1.0 / 8, 2.0 / 8, 0.0, 0.0, 5.0 / 8, 0.0};
  for (int s = 0; s < 7; s++) {
    assert_true(fabs(exact->target[s] - expect[s]) < 1e-12);
    assert_true(exact->log_target[s] == -HUGE_VAL ? expect[s] == 0.0 : expect[s] > 0.0);
  }
  assert_int_equal(exact->n_objects, 3);
  flv_exact_free(exact);

  reward.exponent = 2.0; // tempering
  double log_target[7], log_z;
  assert_int_equal(flv_target(&env, &reward, 1, log_target, &log_z, &err), FLV_OK);
  assert_true(fabs(log_target[5] - log(25.0 / 30.0)) < 1e-12 &&
              fabs(log_z - 1600.0 - log(30.0)) < 1e-12);
  free(g);

  graph *open = web_new(false); // terminal states: 5 and 6
  const flv_env without = graph_env(open, false);
  log_r[6] = 800.0;
  reward.exponent = 1.0;
  assert_int_equal(flv_target(&without, &reward, 1, log_target, NULL, &err), FLV_OK);
  assert_true(fabs(log_target[5] - log(5.0 / 6.0)) < 1e-12 &&
              fabs(log_target[6] + log(6.0)) < 1e-12);
  for (int s = 0; s < 5; s++) assert_true(log_target[s] == -HUGE_VAL);
  free(open);
}

static void threads_agree(void **state) {
  (void)state;
  flv_error err = {0};
  graph *g = grid_new(12);
  const flv_env env = graph_env(g, true);
  double *log_r = calloc(NODES, sizeof *log_r), *a = calloc(NODES, sizeof *a),
         *b = calloc(NODES, sizeof *b);
  for (int s = 0; s < g->n; s++) log_r[s] = 10.0 * uniform(s, 9);
  const flv_reward reward = table_reward(log_r);
  assert_int_equal(flv_target(&env, &reward, 1, a, NULL, &err), FLV_OK);
  for (int threads = 0; threads <= 5; threads += 5) {
    assert_int_equal(flv_target(&env, &reward, threads, b, NULL, &err), FLV_OK);
    assert_memory_equal(a, b, (size_t)g->n * sizeof *a);
  }
  double sum = 0.0;
  for (int s = 0; s < g->n; s++) sum += exp(a[s]);
  assert_true(fabs(sum - 1.0) < 1e-12);
  free(log_r), free(a), free(b), free(g);
}

static void refuses(void **state) {
  (void)state;
  flv_error err = {0};
  graph *g = web_new(true);
  flv_env env = graph_env(g, true);
  double log_r[7] = {0}, out[7];
  const flv_reward reward = table_reward(log_r);
  log_r[5] = (double)NAN;
  assert_null(flv_exact_new(&env, &reward, 1, &err));
  assert_int_equal(err.status, FLV_ENAN);
  log_r[5] = HUGE_VAL;
  assert_int_equal(flv_target(&env, &reward, 1, out, NULL, &err), FLV_ENAN);
  for (int s = 0; s < 7; s++) log_r[s] = -HUGE_VAL;
  assert_int_equal(flv_target(&env, &reward, 1, out, NULL, &err), FLV_EINVAL);

  table *t = random_table(g);
  t->log_pf[2][1] = (double)NAN;
  assert_int_equal(flv_terminating(&env, table_log_pf, t, out, &err), FLV_ENAN);
  t->log_pf[2][1] = 0.5; // a probability above 1
  t->expect = 0;
  assert_int_equal(flv_terminating(&env, table_log_pf, t, out, &err), FLV_ENAN);
  t->log_pf[2][1] = -1.0;
  g->next[2][1] = 1; // backwards: not a topological order
  t->expect = 0;
  assert_int_equal(flv_terminating(&env, table_log_pf, t, out, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "from state 2 to state 1"));
  env.n_states = 0;
  assert_int_equal(flv_terminating(&env, table_log_pf, t, out, &err), FLV_EINVAL);
  assert_null(flv_exact_new(&env, &reward, 1, &err));
  flv_exact_free(NULL);
  free(t), free(g);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(matches_enumeration),
      cmocka_unit_test(crosses_chunks),
      cmocka_unit_test(keeps_logs),
      cmocka_unit_test(unreachable),
      cmocka_unit_test(target_by_hand),
      cmocka_unit_test(threads_agree),
      cmocka_unit_test(refuses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
