// Rewards of graphs: the posterior over all graphs of 3 variables against golden values, equivalent
// graphs, priors, binding, and every table and hyperparameter that a score cannot be computed from.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc.h"
#include "base/logmath.h"
#include "dag_score_fixture.h"

enum { ROWS = 60 };

static void assert_near(double a, double b, double within) {
  if (!(fabs(a - b) <= within)) fail_msg("%.17g is not %.17g", a, b);
}

// Parents of every variable in each of env's graphs [n_states][d], and log R of them [n_states].
typedef struct graphs {
  int n, d;
  uint64_t *parents;
  double *log_r;
} graphs;

static graphs all_graphs(const flv_reward *reward, int d) {
  flv_env env = open_dag(d);
  flv_error err = {0};
  if (reward->bind(reward, &env, &err) != FLV_OK) fail_msg("%s", err.text);
  graphs all = {(int)env.n_states, d, NULL, NULL};
  const size_t n = (size_t)all.n;
  int64_t *index = calloc(n, sizeof *index);
  unsigned char *states = calloc(n, env.state_size);
  all.parents = calloc(n * (size_t)d, sizeof *all.parents);
  all.log_r = calloc(n, sizeof *all.log_r);
  assert_true(n > 0 && index && states && all.parents && all.log_r);
  for (int i = 0; i < all.n; i++) index[i] = i;
  env.ops->at(&env, all.n, index, states);
  assert_int_equal(flv_reward_log(reward, &env, all.n, states, all.log_r, NULL), FLV_OK);
  for (int i = 0; i < all.n; i++)
    for (int j = 0; j < d; j++)
      all.parents[i * d + j] =
          flv_dag_parents(flv_dag_env_of(&env), states + (size_t)i * env.state_size, j);
  free(index);
  free(states);
  close_env(&env);
  return all;
}
static void close_graphs(graphs *all) {
  free(all->parents);
  free(all->log_r);
}

static bool edge(const graphs *all, int graph, int i, int j) {
  return all->parents[graph * all->d + j] >> i & 1;
}
static bool adjacent(const graphs *all, int graph, int i, int j) {
  return edge(all, graph, i, j) || edge(all, graph, j, i);
}
static int edges(const graphs *all, int graph) {
  int n = 0;
  for (int i = 0; i < all->d; i++)
    for (int j = 0; j < all->d; j++) n += edge(all, graph, i, j);
  return n;
}

// ---- the posterior of 3 variables ----

static bool has_edge(const graphs *all, int g, int i, int j) { return edge(all, g, i, j); }
static bool has_path(const graphs *all, int g, int i, int j) {
  return edge(all, g, i, j) || (edge(all, g, i, 3 - i - j) && edge(all, g, 3 - i - j, j));
}
static bool in_blanket(const graphs *all, int g, int i, int j) {
  return adjacent(all, g, i, j) || (edge(all, g, i, 3 - i - j) && edge(all, g, j, 3 - i - j));
}

static void posterior_golden(void **state) {
  (void)state;
  static const double x[12] = {.5, 1, -.3, 1.5, -.2, .8, -.7, .4, .1, .2, -1.1, .6};
  static const struct {
    bool (*has)(const graphs *, int, int, int);
    int i, j;
    double p;
  } expect[] = {
      {has_edge, 0, 1, .17708117},   {has_edge, 0, 2, .29968037},   {has_edge, 1, 0, .17310609},
      {has_edge, 1, 2, .40102346},   {has_edge, 2, 0, .28594993},   {has_edge, 2, 1, .39126809},
      {has_path, 0, 1, .25086097},   {has_path, 0, 2, .32874692},   {has_path, 1, 0, .24688589},
      {has_path, 1, 2, .41187039},   {has_path, 2, 0, .31501647},   {has_path, 2, 1, .40211503},
      {in_blanket, 0, 1, .44006405}, {in_blanket, 0, 2, .62103847}, {in_blanket, 1, 2, .80550503}};
  write_table(4, 3, x);
  flv_reward joint = open_reward(&flv_reward_bge, KEYS({"relative", "false"}));
  flv_reward reward = open_reward(&flv_reward_bge, NULL);
  assert_true(reward.shape.n == 1 && reward.shape.side[0] == 3);
  graphs absolute = all_graphs(&joint, 3), all = all_graphs(&reward, 3);
  assert_int_equal(all.n, 25);
  assert_near(flv_logsumexp(25, absolute.log_r), -14.145696164629758, 1e-12);
  const double log_z = flv_logsumexp(25, all.log_r);
  assert_near(log_z, 2.9145522768158756, 1e-12);
  assert_true(edges(&all, 0) == 0 && all.log_r[0] == 0.0);
  assert_near(exp(-log_z), 0.054228304867914, 1e-14);
  for (size_t k = 0; k < sizeof expect / sizeof *expect; k++) {
    double p = 0.0;
    for (int g = 0; g < all.n; g++)
      if (expect[k].has(&all, g, expect[k].i, expect[k].j)) p += exp(all.log_r[g] - log_z);
    assert_near(p, expect[k].p, 6e-9);
  }
  close_graphs(&all);
  close_graphs(&absolute);
  close_reward(&joint);
  close_reward(&reward);
}

// Fisher's irises, as tests/check_dag_posterior.py --table computes them.
static void posterior_of_irises(void **state) {
  (void)state;
  static const double expect[4][4] = {{0, .27051717, .37456800, .36861716},
                                      {.61738847, 0, .44219364, .41441443},
                                      {.62543200, .41159413, 0, .51481104},
                                      {.61589931, .35951502, .48518896, 0}};
  flv_reward reward = open_reward(&flv_reward_bge, KEYS({"path", "examples/iris/iris.csv"}));
  graphs all = all_graphs(&reward, 4);
  const double log_z = flv_logsumexp(all.n, all.log_r);
  assert_near(log_z, 345.3745826, 1e-7);
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) {
      double p = 0.0;
      for (int g = 0; g < all.n; g++)
        if (edge(&all, g, i, j)) p += exp(all.log_r[g] - log_z);
      assert_near(p, expect[i][j], 6e-9);
    }
  assert_string_equal(flv_dag_score_of(&reward)->data.name[3], "petal_width");
  close_graphs(&all);
  close_reward(&reward);
}

// ---- equivalence: the same adjacencies and the same colliders ----

static bool collider(const graphs *all, int g, int i, int k, int j) {
  return edge(all, g, i, k) && edge(all, g, j, k) && !adjacent(all, g, i, j);
}
static bool equivalent(const graphs *all, int a, int b) {
  for (int i = 0; i < all->d; i++)
    for (int j = 0; j < i; j++) {
      if (adjacent(all, a, i, j) != adjacent(all, b, i, j)) return false;
      for (int k = 0; k < all->d; k++)
        if (collider(all, a, i, k, j) != collider(all, b, i, k, j)) return false;
    }
  return true;
}

// The 543 graphs of 4 variables fall into 185 classes (A007984), and no two classes score the same.
static void equivalent_graphs(void **state) {
  (void)state;
  double x[ROWS * 4];
  static const flv_component *const scores[] = {&flv_reward_bge, &flv_reward_bdeu};
  for (int s = 0; s < 2; s++) {
    (s == 0 ? make_numbers : make_categories)(ROWS, 4, x, 21);
    write_table(ROWS, 4, x);
    flv_reward reward = open_reward(scores[s], KEYS({"relative", "false"}));
    graphs all = all_graphs(&reward, 4);
    assert_int_equal(all.n, 543);
    int classes = 0;
    for (int a = 0; a < all.n; a++) {
      bool first = true;
      for (int b = 0; b < a; b++) {
        if (equivalent(&all, a, b)) {
          assert_near(all.log_r[a], all.log_r[b], 1e-10);
          first = false;
        } else {
          assert_true(fabs(all.log_r[a] - all.log_r[b]) > 1e-9);
        }
      }
      classes += first;
    }
    assert_int_equal(classes, 185);
    close_graphs(&all);
    close_reward(&reward);
  }
}

// ---- priors, exponent ----

static void priors(void **state) {
  (void)state;
  double x[ROWS * 4];
  make_numbers(ROWS, 4, x, 2);
  write_table(ROWS, 4, x);
  flv_reward plain = open_reward(&flv_reward_bge, KEYS({"relative", "false"}));
  graphs base = all_graphs(&plain, 4);
  static const double choose[] = {1, 4, 6, 4}; // of 4
  static const char *const words[] = {"uniform", "edge", "erdos_renyi", "fair"};
  for (int prior = 0; prior < 4; prior++)
    for (int relative = 0; relative < 2; relative++) {
      flv_reward reward = open_reward(
          &flv_reward_bge, KEYS({"prior", words[prior]}, {"relative", relative ? "true" : "false"},
                                {"beta", "0.3"}, {"edges_per_node", "0.6"}));
      graphs all = all_graphs(&reward, 4);
      for (int g = 0; g < all.n; g++) {
        const int n = edges(&all, g);
        double expect = base.log_r[g];
        if (prior == 1) expect += n * log(0.3);
        if (prior == 2) expect += n * log(0.4) + (12 - n) * log(0.6); // p = 0.6 * 4 / 6
        for (int j = 0; prior == 3 && j < 4; j++) {
          int k = 0;
          for (int i = 0; i < 4; i++) k += edge(&all, g, i, j);
          expect -= log(choose[k]);
        }
        if (relative) expect -= base.log_r[0] + (prior == 2 ? 12 * log(0.6) : 0.0);
        assert_near(all.log_r[g], expect, 1e-10);
      }
      close_graphs(&all);
      close_reward(&reward);
    }
  flv_reward sharp =
      open_reward(&flv_reward_bge, KEYS({"relative", "false"}, {"exponent", "0.25"}));
  graphs all = all_graphs(&sharp, 4);
  for (int g = 0; g < all.n; g++) assert_near(all.log_r[g], 0.25 * base.log_r[g], 1e-10);
  close_graphs(&all);
  close_reward(&sharp);
  close_graphs(&base);
  close_reward(&plain);
}

// log R of a graph of 50 variables is the sum of its local scores.
static void many_variables(void **state) {
  (void)state;
  enum { D = 50 };
  double *x = calloc(ROWS * D, sizeof *x);
  assert_non_null(x);
  make_numbers(ROWS, D, x, 31);
  write_table(ROWS, D, x);
  free(x);
  flv_reward reward = open_reward(&flv_reward_bge, KEYS({"cache_mb", "1"}));
  flv_env env = open_dag(D);
  flv_error err = {0};
  assert_int_equal(reward.bind(&reward, &env, &err), FLV_OK);
  uint64_t parents[D] = {0}, seed = 3;
  unsigned char *graph = calloc(1, env.state_size);
  assert_non_null(graph);
  for (int k = 0; k < 20; k++) {
    double sum = 0.0, log_r = 0.0;
    for (int j = 0; j < D; j++) {
      parents[j] = 0;
      for (int i = 0; i < j; i++) parents[j] |= (uint64_t)(uniform(&seed) < 0.3) << i;
      sum += flv_dag_local_score(&reward, j, parents[j]) - flv_dag_local_score(&reward, j, 0);
    }
    assert_true(flv_dag_from_parents(flv_dag_env_of(&env), parents, graph));
    assert_int_equal(flv_reward_log(&reward, &env, 1, graph, &log_r, NULL), FLV_OK);
    assert_near(log_r, sum, 1e-9);
  }
  free(graph);
  close_env(&env);
  close_reward(&reward);
}

// ---- refusals ----

static void refuse(const flv_component *c, const key *keys, const char *part) {
  flv_reward reward = {.name = "untouched"};
  flv_error err;
  if (try_reward(&reward, c, keys, &err) == FLV_OK) fail_msg("accepted, not '%s'", part);
  assert_true(err.status != FLV_OK && strcmp(reward.name, "untouched") == 0 && !reward.self);
  assert_null(strchr(err.text, '\n'));
  CONTAINS(err.text, part);
}
static void refuse_gaussian(const key *keys, const char *part) {
  refuse(&flv_reward_bge, keys, part);
  refuse(&flv_reward_linear_gaussian, keys, part);
}

static void bad_priors(void **state) {
  (void)state;
  double x[ROWS * 4];
  make_numbers(ROWS, 3, x, 2);
  write_table(ROWS, 3, x);
  const key renyi = {"prior", "erdos_renyi"};
  refuse(&flv_reward_bge, KEYS(renyi),
         "reward.edges_per_node: 1 for each of 3 variables makes an edge certain (p = 1); expected "
         "less than 1");
  flv_reward reward = open_reward(&flv_reward_bge, KEYS(renyi, {"edges_per_node", "0.99"}));
  close_reward(&reward);
  make_numbers(ROWS, 2, x, 2);
  write_table(ROWS, 2, x);
  refuse(&flv_reward_bge, KEYS(renyi), "(p = 2); expected less than 0.5");
  make_numbers(ROWS, 4, x, 2);
  write_table(ROWS, 4, x);
  reward = open_reward(&flv_reward_bge, KEYS(renyi));
  close_reward(&reward);
  refuse(&flv_reward_bge, KEYS({"alpha_w", "5"}),
         "reward.alpha_w: expected more than 5, the variables and 1, found 5");
}

static void set_column(int n, int d, double *x, int c, double a, int from, double b) {
  for (int r = 0; r < n; r++) x[r * d + c] = a + b * x[r * d + from];
}

static void bad_tables(void **state) {
  (void)state;
  enum { D = 4 };
  double x[ROWS * D];
  make_numbers(ROWS, D, x, 17);
  set_column(ROWS, D, x, 2, 32, 1, 1.8); // Fahrenheit of Celsius
  write_table(ROWS, D, x);
  refuse_gaussian(NULL, "column 3 ('v2'): expected another variable, found column 2 ('v1') up to "
                        "scale and shift");
  make_numbers(ROWS, D, x, 17);
  set_column(ROWS, D, x, 1, 1e9, 1, 1e-7);
  write_table(ROWS, D, x);
  refuse_gaussian(NULL, "column 2 ('v1'): expected values that differ by more than their rounding");
  make_numbers(ROWS, D, x, 17);
  set_column(ROWS, D, x, 3, 0, 3, 1e-200);
  write_table(ROWS, D, x);
  refuse_gaussian(NULL, "column 4 ('v3'): expected differences of at least 1e-100");
  set_column(ROWS, D, x, 3, 0, 2, 1e200);
  write_table(ROWS, D, x);
  refuse_gaussian(NULL, "column 4 ('v3'): expected numbers of at most 1e100");
  make_numbers(ROWS, D, x, 17);
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < D; c++) x[r * D + c] *= 1e9;
  for (int r = 0; r < ROWS; r++) x[r * D + 3] = x[r * D] + x[r * D + 1]; // a sum, at a large scale
  write_table(ROWS, D, x);
  refuse_gaussian(NULL, "a variable that the others do not determine to rounding");
  flv_reward reward = open_reward(&flv_reward_bge, KEYS({"standardise", "true"}));
  for (int j = 0; j < D; j++)
    for (uint64_t parents = 0; parents < 1 << D; parents++)
      if (!(parents >> j & 1)) assert_true(isfinite(flv_dag_local_score(&reward, j, parents)));
  close_reward(&reward);
  make_numbers(ROWS, D, x, 17); // a mean so far from 0 that R is one direction and rounding
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < D; c++) x[r * D + c] += 1e7;
  write_table(ROWS, D, x);
  refuse_gaussian(NULL, "reward.standardise");
  reward = open_reward(&flv_reward_bge, KEYS({"standardise", "true"}));
  close_reward(&reward);
  refuse(&flv_reward_bdeu, NULL, "line 2, column 1 ('v0'): expected a category");
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  fputs("a,b\n1,2\n2,two\n3,4\n", f);
  fclose(f);
  refuse_gaussian(NULL, "t.csv: line 3, column 2 ('b'): expected a number, found 'two'");
  assert_int_equal(unlink(path), 0);
  refuse_gaussian(NULL, "cannot read");
  refuse(&flv_reward_bdeu, KEYS({"path", ""}), "reward 'bdeu' needs reward.path");
}

// Fewer rows than variables: S is singular, the prior is not.
static void fewer_rows_than_variables(void **state) {
  (void)state;
  enum { D = 12, FEW = 4 };
  double x[FEW * D];
  make_numbers(FEW, D, x, 4);
  write_table(FEW, D, x);
  static const flv_component *const scores[] = {&flv_reward_bge, &flv_reward_linear_gaussian};
  for (int s = 0; s < 2; s++) {
    flv_reward reward = open_reward(scores[s], NULL);
    for (int j = 0; j < D; j++)
      assert_true(isfinite(flv_dag_local_score(&reward, j, 0xfff & ~(UINT64_C(1) << j))));
    close_reward(&reward);
  }
}

static void binding(void **state) {
  (void)state;
  double x[ROWS * 4];
  make_numbers(ROWS, 4, x, 2);
  write_table(ROWS, 4, x);
  flv_reward reward = open_reward(&flv_reward_bge, NULL);
  flv_env env = open_dag(5);
  flv_error err = {0};
  assert_int_equal(reward.bind(&reward, &env, &err), FLV_EINVAL);
  CONTAINS(err.text, "a table of 4 variables, the environment's graphs have 5");
  const flv_env_ops ops = *env.ops;
  const flv_env other = {.name = "elsewhere", .ops = &ops, .self = env.self};
  assert_int_equal(reward.bind(&reward, &other, &err), FLV_EINVAL);
  CONTAINS(err.text, "reward 'bge' needs environment 'dag', not 'elsewhere'");
  const flv_dag_score *score = flv_dag_score_of(&reward);
  assert_non_null(score);
  assert_true(score->d == 4 && score->data.rows == ROWS && score->data.x[ROWS] == x[1]);
  assert_string_equal(score->data.name[3], "v3");
  close_reward(&reward);
  close_env(&env);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  ALLOC_OR_SKIP();
  static const flv_component *const scores[] = {&flv_reward_bge, &flv_reward_linear_gaussian,
                                                &flv_reward_bdeu};
  double x[ROWS * 3];
  make_categories(ROWS, 3, x, 9);
  write_table(ROWS, 3, x);
  for (int s = 0; s < 3; s++) {
    void *values = calloc(1, scores[s]->size);
    assert_non_null(values);
    flv_error err = {0};
    assert_int_equal(flv_params_default(scores[s], values, &err), FLV_OK);
    assert_int_equal(flv_param_parse(flv_param_find(scores[s], "path"), path, values, &err),
                     FLV_OK);
    const flv_reward_impl *impl = scores[s]->impl;
    int failures = 0;
    for (long k = 0;; k++) {
      flv_reward reward = {0};
      err = (flv_error){0};
      alloc_fail(k);
      const flv_status status = impl->create(&reward, values, &err);
      const bool done = alloc_none_failed();
      if (status == FLV_OK) close_reward(&reward);
      if (done) break;
      failures += status == FLV_ENOMEM;
      assert_true(status == FLV_OK || (err.text[0] && !reward.self));
    }
    assert_true(failures >= 8);
    free(values);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(posterior_golden),  cmocka_unit_test(posterior_of_irises),
      cmocka_unit_test(equivalent_graphs), cmocka_unit_test(priors),
      cmocka_unit_test(many_variables),    cmocka_unit_test(bad_priors),
      cmocka_unit_test(bad_tables),        cmocka_unit_test(fewer_rows_than_variables),
      cmocka_unit_test(binding),           cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
