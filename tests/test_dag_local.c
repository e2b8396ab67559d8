// Local scores: golden values, every one against the density of the column computed another way
// (the N-variate Gaussian, predictive t densities row by row, Polya's urn), and the cache against
// no cache, from many threads.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/parallel.h"
#include "dag_score_fixture.h"
#include "reward/gaussian.h"

enum { ROWS = 40, WIDE = 50 };
static const double pi = 3.14159265358979323846;

static void assert_near(double a, double b, double relative) {
  if (!(fabs(a - b) <= relative * fmax(1.0, fabs(b)))) fail_msg("%.17g is not %.17g", a, b);
}

static const double golden_x[12] = {.5, 1, -.3, 1.5, -.2, .8, -.7, .4, .1, .2, -1.1, .6};

// ---- golden values: parents {}, {first other}, {second other}, both ----

static void expect_golden(const flv_reward *reward, int j, const double expect[4]) {
  const int first = j == 0, second = j == 2 ? 1 : 2;
  const uint64_t a = UINT64_C(1) << first, b = UINT64_C(1) << second;
  const uint64_t sets[4] = {0, a, b, a | b};
  for (int k = 0; k < 4; k++)
    assert_near(flv_dag_local_score(reward, j, sets[k]), expect[k], 1e-14);
}

static void bge_golden(void **state) {
  (void)state;
  static const double expect[3][4] = {
      {-6.74939724822264, -8.01980598794395, -7.08830888839477, -8.16136289855604},
      {-6.54827311762290, -7.81868185734421, -5.90147951964458, -6.97453352980585},
      {-3.76257807560009, -4.10148971577222, -3.11578447762177, -3.25734138823385}};
  write_table(4, 3, golden_x);
  flv_reward reward = open_reward(&flv_reward_bge, NULL);
  for (int j = 0; j < 3; j++) expect_golden(&reward, j, expect[j]);
  close_reward(&reward);
}

static void bge_matrix_golden(void **state) {
  (void)state;
  static const double expect[9] = {3.08, -.33, .74, -.33, 2.908, -1.104, .74, -1.104, 1.312};
  write_table(4, 3, golden_x);
  flv_dataset data = {0};
  flv_gauss *g = NULL;
  flv_error err = {0};
  assert_int_equal(flv_dataset_read(&data, path, FLV_DATA_NUMBERS, &err), FLV_OK);
  assert_int_equal(flv_gauss_new(&g, &data, false, &err), FLV_OK);
  for (int i = 0; i < 3; i++)
    for (int k = 0; k < 3; k++)
      assert_near(g->m[3 * i + k] + 0.8 * g->mean[i] * g->mean[k] + (i == k ? 0.5 : 0.0),
                  expect[3 * i + k], 1e-14);
  free(g);
  flv_dataset_free(&data);
}

// ---- direct computations ----

// log N(column j; mu0 X_P 1, s2 I + tau^2 X_P X_P'), as an n by n matrix; sign 1, or -1 to be
// wrong.
static double direct_linear(int n, int d, const double *x, int j, uint64_t parents, double mu0,
                            double tau, double s2, double sign) {
  double *a = calloc((size_t)(n * n + n), sizeof *a), *r = a + n * n;
  assert_non_null(a);
  int at[64];
  const int l = members(parents, at);
  for (int i = 0; i < n; i++) {
    r[i] = x[i * d + j];
    a[i * n + i] = s2;
    for (int p = 0; p < l; p++) r[i] -= mu0 * x[i * d + at[p]];
    for (int k = 0; k < n; k++)
      for (int p = 0; p < l; p++) a[i * n + k] += tau * tau * x[i * d + at[p]] * x[k * d + at[p]];
  }
  const double log_det = plain_cholesky(n, a), form = plain_form(n, a, r);
  free(a);
  return -0.5 * (form + sign * (log_det + n * log(2.0 * pi)));
}

static void linear_golden(void **state) {
  (void)state;
  static const double expect[4] = {-4.5705839468306, -4.35948564736084, -3.858511893803851,
                                   -4.051232857776128};
  write_table(4, 3, golden_x);
  flv_reward reward = open_reward(&flv_reward_linear_gaussian, NULL);
  expect_golden(&reward, 2, expect);
  // gfnx (068316d) has the signs of all but the quadratic form turned round.
  for (uint64_t parents = 0; parents < 4; parents++) {
    const double ours = flv_dag_local_score(&reward, 2, parents);
    assert_near(ours, direct_linear(4, 3, golden_x, 2, parents, 0, 1, 0.1, 1.0), 1e-14);
    const double theirs = direct_linear(4, 3, golden_x, 2, parents, 0, 1, 0.1, -1.0);
    assert_true(fabs(ours - theirs) > 1.0);
  }
  close_reward(&reward);
}

// log p of the columns in `set`, row by row: each given those before it has a multivariate t
// density, of which mean, weight, matrix and degrees of freedom are updated. The Wishart prior of q
// of d columns has alpha_w - d + q degrees of freedom.
static double predictive_t(int n, int d, const double *x, uint64_t set, double alpha_mu,
                           double alpha_w, double nu) {
  const double t = alpha_mu * (alpha_w - d - 1) / (alpha_mu + 1);
  double mean[64], matrix[64 * 64], scale[64 * 64], off[64], log_p = 0.0;
  int at[64];
  const int q = members(set, at);
  for (int i = 0; i < q; i++) mean[i] = nu;
  for (int i = 0; i < q * q; i++) matrix[i] = i % (q + 1) == 0 ? t : 0.0;
  double weight = alpha_mu, freedom = alpha_w - d + q;
  for (int row = 0; row < n; row++) {
    const double v = freedom - q + 1;
    for (int i = 0; i < q * q; i++) scale[i] = matrix[i] * (weight + 1) / (weight * v);
    for (int i = 0; i < q; i++) off[i] = x[row * d + at[i]] - mean[i];
    for (int i = 0; i < q; i++)
      for (int k = 0; k < q; k++) matrix[i * q + k] += weight / (weight + 1) * off[i] * off[k];
    for (int i = 0; i < q; i++) mean[i] += off[i] / (weight + 1);
    const double log_det = plain_cholesky(q, scale), form = plain_form(q, scale, off);
    log_p += lgamma(0.5 * (v + q)) - lgamma(0.5 * v) - 0.5 * q * log(v * pi) - 0.5 * log_det -
             0.5 * (v + q) * log1p(form / v);
    weight += 1;
    freedom += 1;
  }
  return log_p;
}

// Polya's urn: the next category has probability (a + seen so far) / (a r + rows so far), among the
// rows before it whose parents agree.
static double urn(int n, int d, const double *x, int j, uint64_t parents, double ess) {
  int at[64], r = 0;
  const int l = members(parents, at);
  double a = ess, log_p = 0.0;
  for (int p = -1; p < l; p++) {
    const int c = p < 0 ? j : at[p];
    int levels = 0;
    for (int i = 0; i < n; i++) {
      int k = 0;
      while (x[k * d + c] < x[i * d + c] || x[k * d + c] > x[i * d + c]) k++;
      levels += k == i;
    }
    if (p < 0) r = levels;
    a /= levels;
  }
  for (int i = 0; i < n; i++) {
    int agree = 0, same = 0;
    for (int k = 0; k < i; k++) {
      bool equal = true;
      for (int p = 0; p < l; p++) equal &= fabs(x[k * d + at[p]] - x[i * d + at[p]]) < 0.5;
      agree += equal;
      same += equal && fabs(x[k * d + j] - x[i * d + j]) < 0.5;
    }
    log_p += log((a + same) / (a * r + agree));
  }
  return log_p;
}

typedef enum which { LINEAR, BGE, BDEU } which_score;

static double direct(which_score which, int n, int d, const double *x, int j, uint64_t parents,
                     const double p[3]) {
  if (which == LINEAR) return direct_linear(n, d, x, j, parents, p[0], p[1], p[2], 1.0);
  if (which == BDEU) return urn(n, d, x, j, parents, p[0]);
  return predictive_t(n, d, x, parents | UINT64_C(1) << j, p[0], p[1], p[2]) -
         predictive_t(n, d, x, parents, p[0], p[1], p[2]);
}

static const flv_component *const components[] = {&flv_reward_linear_gaussian, &flv_reward_bge,
                                                  &flv_reward_bdeu};
static const char *const names[][3] = {
    {"mu0", "tau", "noise_variance"}, {"alpha_mu", "alpha_w", "mean"}, {"ess", "ess", "ess"}};

// All 6 * 32 families of 6 variables, at several hyperparameters.
static void all_families(which_score which, int n_settings, const double (*settings)[3]) {
  enum { D = 6 };
  double x[ROWS * D];
  (which == BDEU ? make_categories : make_numbers)(ROWS, D, x, 7);
  write_table(ROWS, D, x);
  for (int s = 0; s < n_settings; s++) {
    char text[3][32];
    for (int k = 0; k < 3; k++) snprintf(text[k], 32, "%.17g", settings[s][k]);
    flv_reward reward =
        open_reward(components[which],
                    KEYS({names[which][0], text[0]}, {names[which][1], text[which == BDEU ? 0 : 1]},
                         {names[which][2], text[which == BDEU ? 0 : 2]}));
    for (int j = 0; j < D; j++)
      for (uint64_t parents = 0; parents < 1 << D; parents++)
        if (!(parents >> j & 1))
          assert_near(flv_dag_local_score(&reward, j, parents),
                      direct(which, ROWS, D, x, j, parents, settings[s]), 1e-11);
    close_reward(&reward);
  }
}

static void linear_direct(void **state) {
  (void)state;
  static const double settings[][3] = {{0, 1, 0.1}, {0.7, 2, 0.5}, {-1, 0.3, 3}};
  all_families(LINEAR, 3, settings);
}
static void bge_direct(void **state) {
  (void)state;
  static const double settings[][3] = {{1, 8, 0}, {0.3, 7.5, 1.5}, {20, 30, -2}};
  all_families(BGE, 3, settings);
}
static void bdeu_direct(void **state) {
  (void)state;
  static const double settings[][3] = {{1}, {10}, {1e-3}};
  all_families(BDEU, 3, settings);
}

static uint64_t random_set(uint64_t *seed, int d, int size, int without) {
  uint64_t set = 0;
  while (size > 0) {
    const int i = (int)(uniform(seed) * d);
    if (i == without || set >> i & 1) continue;
    set |= UINT64_C(1) << i;
    size--;
  }
  return set;
}

// 50 variables, sets of up to 20 parents, and of all others.
static void many_variables(void **state) {
  (void)state;
  static const double settings[][3] = {{0, 1, 0.1}, {1, WIDE + 2, 0}, {1}};
  double *x = calloc(ROWS * WIDE, sizeof *x);
  assert_non_null(x);
  for (int which = LINEAR; which <= BDEU; which++) {
    (which == BDEU ? make_categories : make_numbers)(ROWS, WIDE, x, 11);
    write_table(ROWS, WIDE, x);
    flv_reward reward = open_reward(components[which], KEYS({"cache_mb", "4"}));
    uint64_t seed = 5;
    for (int i = 0; i <= 40; i++) {
      const int j = (int)(uniform(&seed) * WIDE);
      const uint64_t parents = random_set(&seed, WIDE, i <= 20 ? i : i == 40 ? WIDE - 1 : 20, j);
      assert_near(flv_dag_local_score(&reward, j, parents),
                  direct((which_score)which, ROWS, WIDE, x, j, parents, settings[which]), 1e-9);
    }
    close_reward(&reward);
  }
  free(x);
}

// standardise: as if the table had been standardised by hand.
static void standardised(void **state) {
  (void)state;
  enum { D = 5 };
  double x[ROWS * D], y[ROWS * D];
  make_numbers(ROWS, D, x, 3);
  for (int c = 0; c < D; c++) {
    double mean = 0.0, square = 0.0;
    for (int r = 0; r < ROWS; r++) mean += (x[r * D + c] *= c + 1) / ROWS;
    for (int r = 0; r < ROWS; r++) square += pow(x[r * D + c] - mean, 2) / ROWS;
    for (int r = 0; r < ROWS; r++) y[r * D + c] = (x[r * D + c] - mean) / sqrt(square);
  }
  for (int which = LINEAR; which <= BGE; which++) {
    write_table(ROWS, D, x);
    flv_reward a = open_reward(components[which], KEYS({"standardise", "true"}));
    write_table(ROWS, D, y);
    flv_reward b = open_reward(components[which], NULL);
    for (int j = 0; j < D; j++)
      for (uint64_t parents = 0; parents < 1 << D; parents++)
        if (!(parents >> j & 1))
          assert_near(flv_dag_local_score(&a, j, parents), flv_dag_local_score(&b, j, parents),
                      1e-11);
    close_reward(&a);
    close_reward(&b);
  }
}

// ---- cache ----

enum { ASKS = 20000, TASKS = 8 };

typedef struct asking {
  const flv_reward *reward;
  int d;
  double *answer; // [TASKS][ASKS]
} asking;

// Every task asks the same questions from a place of its own, so that several meet at each.
static void ask(void *context, int task) {
  const asking *self = context;
  for (int i = 0; i < ASKS; i++) {
    uint64_t seed = (uint64_t)((i + 97 * task) % ASKS % 3000);
    const int j = (int)(uniform(&seed) * self->d);
    const uint64_t parents = random_set(&seed, self->d, (int)(uniform(&seed) * 4), j);
    self->answer[task * ASKS + (i + 97 * task) % ASKS] =
        flv_dag_local_score(self->reward, j, parents);
  }
}

static void cached_or_not(void **state) {
  (void)state;
  enum { D = 20 };
  double *x = calloc(ROWS * D, sizeof *x);
  double *answer = calloc(2 * TASKS * ASKS, sizeof *answer), *expect = answer + TASKS * ASKS;
  assert_true(x && answer);
  static const char *const megabytes[] = {"0", "1", "128"};
  for (int which = LINEAR; which <= BDEU; which++) {
    (which == BDEU ? make_categories : make_numbers)(ROWS, D, x, 13);
    write_table(ROWS, D, x);
    for (int m = 0; m < 3; m++) {
      flv_reward reward = open_reward(components[which], KEYS({"cache_mb", megabytes[m]}));
      const flv_dag_score *score = flv_dag_score_of(&reward);
      assert_true(flv_parent_cache_bytes(score->cache) <= (size_t)atoi(megabytes[m]) << 20);
      assert_int_equal(flv_parent_cache_complete(score->cache), m == 2);
      asking all = {&reward, D, m == 0 ? expect : answer};
      flv_parallel(m == 0 ? 1 : 4, m == 0 ? 1 : TASKS, ask, &all);
      for (int task = 0; m > 0 && task < TASKS; task++)
        assert_memory_equal(answer + task * ASKS, expect, ASKS * sizeof *expect);
      close_reward(&reward);
    }
  }
  free(x);
  free(answer);
}

// Slots so few that threads write over one another: what is found is what was put there.
typedef struct putting {
  flv_parent_cache *cache;
  int wrong[8], found[8];
} putting;
static void get_and_put(void *context, int task) {
  putting *self = context;
  flv_parent_cache *cache = self->cache;
  uint64_t seed = (uint64_t)task;
  for (int i = 0; i < 200000; i++) {
    const uint64_t parents = next_bits(&seed) & 0x8000000000000ff0;
    double value = 0.0;
    const double right = (double)parents * 3.0 + 1.0;
    if (flv_parent_cache_get(cache, 3, parents, &value)) {
      self->found[task]++;
      self->wrong[task] += value < right || value > right;
    }
    flv_parent_cache_put(cache, 3, parents, right);
  }
}

static void few_slots(void **state) {
  (void)state;
  flv_parent_cache *cache = flv_parent_cache_new(64, 64 * 24 * 5);
  assert_non_null(cache);
  assert_false(flv_parent_cache_complete(cache));
  assert_int_equal(flv_parent_cache_bytes(cache), 64 * 24 * 5);
  putting all = {cache, {0}, {0}};
  flv_parallel(4, 8, get_and_put, &all);
  for (int task = 0; task < 8; task++) assert_true(all.found[task] > 100 && all.wrong[task] == 0);
  double value = 0.0;
  flv_parent_cache_put(cache, 0, 2, 5.0);
  assert_true(flv_parent_cache_get(cache, 0, 2, &value) && value == 5.0);
  assert_false(flv_parent_cache_get(cache, 0, 4, &value));
  assert_false(flv_parent_cache_get(cache, 1, 1, &value)); // {0, 1} too, but 1 is the child
  flv_parent_cache_free(cache);
  // every family of 5 variables has a place of its own
  cache = flv_parent_cache_new(5, 5 * 16 * 8);
  assert_true(cache && flv_parent_cache_complete(cache));
  for (int pass = 0; pass < 2; pass++)
    for (int j = 0; j < 5; j++)
      for (uint64_t parents = 0; parents < 32; parents++) {
        if (parents >> j & 1) continue;
        const double right = 1.0 + 32.0 * j + (double)parents;
        if (pass == 0) flv_parent_cache_put(cache, j, parents, right);
        assert_true(flv_parent_cache_get(cache, j, parents, &value) && value == right);
      }
  flv_parent_cache_free(cache);
  cache = flv_parent_cache_new(5, 0);
  flv_parent_cache_put(cache, 0, 2, 5.0);
  assert_false(flv_parent_cache_get(cache, 0, 2, &value));
  flv_parent_cache_free(cache);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bge_golden),     cmocka_unit_test(bge_matrix_golden),
      cmocka_unit_test(linear_golden),  cmocka_unit_test(linear_direct),
      cmocka_unit_test(bge_direct),     cmocka_unit_test(bdeu_direct),
      cmocka_unit_test(many_variables), cmocka_unit_test(standardised),
      cmocka_unit_test(cached_or_not),  cmocka_unit_test(few_slots),
  };
  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
