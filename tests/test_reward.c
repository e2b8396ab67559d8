// Rewards against numbers worked out by hand or written out directly, and every way an array can be
// wrong.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config_values.h"
#include "env/env_list.h"
#include "env/hypergrid.h"
#include "fluvial/reward.h"
#include "fluvial/table.h"
#include "reward/reward_list.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) <= 1e-12)
#define CONTAINS(text, part)                                                                       \
  do {                                                                                             \
    if (!strstr((text), (part))) fail_msg("'%s' does not contain '%s'", (text), (part));           \
  } while (0)

static flv_env grid(int n, const int *side) {
  flv_shape shape = {.n = n};
  for (int d = 0; d < n; d++) shape.side[d] = side[d];
  void *values = calloc(1, flv_env_hypergrid.size);
  assert_non_null(values);
  flv_error err = {0};
  flv_env env = {0};
  assert_int_equal(flv_params_default(&flv_env_hypergrid, values, &err), FLV_OK);
  const flv_env_impl *impl = flv_env_hypergrid.impl;
  if (impl->create(&env, values, &shape, &err) != FLV_OK) fail_msg("%s", err.text);
  free(values);
  return env;
}
#define GRID(...) grid((int)(sizeof(int[]){__VA_ARGS__} / sizeof(int)), (int[]){__VA_ARGS__})

static void close_env(flv_env *env) { env->free_self(env->self); }

// Defaults but for up to two keys given as text.
static flv_status create(const flv_component *c, const char *const keys[][2], int n,
                         flv_reward *reward, flv_error *err) {
  void *values = calloc(1, c->size);
  assert_non_null(values);
  *err = (flv_error){0};
  if (flv_params_default(c, values, err) != FLV_OK) fail_msg("%s", err->text);
  for (int k = 0; k < n; k++) {
    const flv_param *param = flv_param_find(c, keys[k][0]);
    assert_non_null(param);
    if (flv_param_parse(param, keys[k][1], values, err) != FLV_OK) fail_msg("%s", err->text);
  }
  const flv_reward_impl *impl = c->impl;
  const flv_status status = impl->create(reward, values, err);
  free(values); // a reward keeps nothing of its configuration
  return status;
}

static flv_reward make(const flv_component *c, const char *key, const char *text) {
  const char *const keys[][2] = {{key, text}};
  flv_reward reward = {0};
  flv_error err;
  if (create(c, keys, key ? 1 : 0, &reward, &err) != FLV_OK) fail_msg("%s", err.text);
  return reward;
}

static void close_reward(flv_reward *reward) {
  if (reward->free_self) reward->free_self(reward->self);
}

// log R of every cell, by index; freed by the caller.
static double *all_cells(const flv_reward *reward, const flv_env *env) {
  const size_t n = (size_t)env->n_states;
  int64_t *index = malloc(n * sizeof *index);
  void *states = malloc(n * env->state_size);
  double *log_r = malloc(n * sizeof *log_r);
  assert_true(index && states && log_r);
  for (size_t i = 0; i < n; i++) index[i] = (int64_t)i;
  env->ops->at(env, (int)n, index, states);
  if (reward->bind) {
    flv_error err = {0};
    if (reward->bind(reward, env, &err) != FLV_OK) fail_msg("%s", err.text);
  }
  assert_int_equal(flv_reward_log(reward, env, (int)n, states, log_r, NULL), FLV_OK);
  free(states);
  free(index);
  return log_r;
}

// ---- corners ----

// 128 cells a side: modes of 13x13 in each corner, squares of 32x32 around them.
static void corners_128(void **state) {
  (void)state;
  flv_env env = GRID(128, 128);
  flv_reward reward = make(&flv_reward_corners, NULL, NULL);
  double *log_r = all_cells(&reward, &env);
  int modes[4] = {0}, outer = 0;
  for (int i = 0; i < 128; i++)
    for (int j = 0; j < 128; j++) {
      const double r = log_r[128 * i + j];
      if (r == log(0.001 + 0.5 + 2.0))
        modes[2 * (i >= 64) + (j >= 64)]++;
      else if (r == log(0.001 + 0.5))
        outer++;
      else
        assert_true(r == log(0.001));
    }
  for (int k = 0; k < 4; k++) assert_int_equal(modes[k], 13 * 13);
  assert_int_equal(outer, 4 * (32 * 32 - 13 * 13));
  // (s/127 - 1/2) is in (0.3, 0.4) for s = 13 .. 25 and 102 .. 114
  const struct {
    int s, mode;
  } edges[] = {{12, 0}, {13, 1}, {25, 1}, {26, 0}, {101, 0}, {102, 1}, {114, 1}, {115, 0}};
  for (size_t k = 0; k < sizeof edges / sizeof *edges; k++)
    assert_int_equal(log_r[128 * edges[k].s + 20] > 0.0, edges[k].mode);
  free(log_r);
  close_reward(&reward);
  close_env(&env);
}

// 8x8: coordinates 0, 1, 6, 7 are in the outer squares (16 cells), 1 and 6 in the modes (4 cells).
static void corners_8(void **state) {
  (void)state;
  flv_env env = GRID(8, 8);
  flv_reward reward = make(&flv_reward_corners, "r0", "0.1");
  double *log_r = all_cells(&reward, &env), sum = 0.0;
  for (int i = 0; i < 64; i++) sum += exp(log_r[i]);
  NEAR(sum, 64 * 0.1 + 16 * 0.5 + 4 * 2.0);
  NEAR(log_r[0], log(0.6));
  NEAR(log_r[8 + 1], log(2.6));
  NEAR(log_r[8 + 6], log(2.6));
  NEAR(log_r[8 * 3 + 1], log(0.1));
  free(log_r);
  close_reward(&reward);
  close_env(&env);
}

// Ends of the intervals: 11 cells a side put points at 0.3 and 0.4, 5 a side at 0.25; all are out.
static void corners_ends(void **state) {
  (void)state;
  flv_env env = GRID(11);
  flv_reward reward = make(&flv_reward_corners, NULL, NULL);
  double *log_r = all_cells(&reward, &env);
  for (int i = 0; i < 11; i++) {
    const double a = abs(i - 5) / 10.0;
    assert_true(log_r[i] == (a > 0.26 ? log(0.001 + 0.5) : log(0.001)));
  }
  free(log_r);
  close_env(&env);
  env = GRID(5);
  log_r = all_cells(&reward, &env);
  for (int i = 0; i < 5; i++) assert_true(log_r[i] == (i % 4 == 0 ? log(0.001 + 0.5) : log(0.001)));
  free(log_r);
  close_env(&env);
  close_reward(&reward);
}

// A side of 1 drops out: 8x1x8 is 8x8.
static void sides_of_one(void **state) {
  (void)state;
  static const flv_component *const rewards[] = {&flv_reward_corners, &flv_reward_cosine};
  for (int k = 0; k < 2; k++) {
    flv_reward reward = make(rewards[k], NULL, NULL);
    flv_env flat = GRID(8, 1, 8), plain = GRID(8, 8), point = GRID(1);
    double *a = all_cells(&reward, &flat), *b = all_cells(&reward, &plain),
           *c = all_cells(&reward, &point);
    assert_memory_equal(a, b, 64 * sizeof *a);
    assert_true(isfinite(c[0]));
    free(a);
    free(b);
    free(c);
    close_env(&flat);
    close_env(&plain);
    close_env(&point);
    close_reward(&reward);
  }
}

// ---- cosine ----

static void cosine_formula(void **state) {
  (void)state;
  const double pi = 3.14159265358979323846;
  flv_env env = GRID(9, 16, 4);
  flv_reward reward = make(&flv_reward_cosine, "r0", "0.25");
  double *log_r = all_cells(&reward, &env);
  for (int i = 0; i < 9; i++)
    for (int j = 0; j < 16; j++)
      for (int k = 0; k < 4; k++) {
        const double a[3] = {fabs(i / 8.0 - 0.5), fabs(j / 15.0 - 0.5), fabs(k / 3.0 - 0.5)};
        double product = 1.0;
        for (int d = 0; d < 3; d++)
          product *= (cos(50.0 * a[d]) + 1.0) * exp(-12.5 * a[d] * a[d]) / sqrt(2.0 * pi);
        NEAR(log_r[64 * i + 4 * j + k], log(0.25 + 0.5 * product));
      }
  free(log_r);
  close_env(&env);
  env = GRID(3); // the centre: 2 phi(0)
  log_r = all_cells(&reward, &env);
  NEAR(log_r[1], log(0.25 + 0.5 * 2.0 * 0.3989422804014327));
  free(log_r);
  close_env(&env);
  close_reward(&reward);
}

// ---- exponent ----

// Values leave the exponent out and are in the reward's unit.
static void values_of_rewards(void **state) {
  (void)state;
  flv_reward r = {.exponent = 10.0, .scale = 8.0};
  assert_true(fabs(flv_reward_value(&r, 10.0 * log(7.0 / 8.0)) - 7.0) < 1e-14);
  assert_true(fabs(flv_reward_log_of(&r, 7.0) - 10.0 * log(7.0 / 8.0)) < 1e-14);
  assert_true(flv_reward_value(&r, -HUGE_VAL) == 0.0);
  assert_true(flv_reward_log_of(&r, 0.0) == -HUGE_VAL);
  r = (flv_reward){0}; // not named: 1
  assert_true(fabs(flv_reward_value(&r, log(3.0)) - 3.0) < 1e-15);
  assert_true(flv_reward_log_of(&r, 3.0) == log(3.0));
}

static void exponents(void **state) {
  (void)state;
  for (int k = 0; flv_reward_list[k]; k++) { // every built-in reward has the key, default 1
    const flv_param *param = flv_param_find(flv_reward_list[k], "exponent");
    assert_non_null(param);
    assert_string_equal(param->def, "1");
  }
  flv_env env = GRID(8, 8);
  flv_reward plain = make(&flv_reward_corners, NULL, NULL);
  flv_reward sharp = make(&flv_reward_corners, "exponent", "2.5");
  double *a = all_cells(&plain, &env), *b = all_cells(&sharp, &env);
  for (int i = 0; i < 64; i++) NEAR(b[i], 2.5 * a[i]);
  free(b);
  plain.exponent = 0.0; // not named by whoever wrote it: 1
  b = all_cells(&plain, &env);
  assert_memory_equal(a, b, 64 * sizeof *a);
  free(a);
  free(b);
  close_reward(&plain);
  close_reward(&sharp);
  close_env(&env);
}

// ---- table ----

static char folder[] = "/tmp/fluvial_reward_XXXXXX";
static char path[128];
static int make_folder(void **state) {
  (void)state;
  return mkdtemp(folder) ? 0 : -1;
}
static int drop_folder(void **state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

static void write_npy(int n, const int64_t *dim, const double *data) {
  unlink(path);
  snprintf(path, sizeof path, "%s/t.npy", folder);
  flv_error err = {0};
  if (flv_npy_write(path, "<f8", n, dim, data, &err) != FLV_OK) fail_msg("%s", err.text);
}

static void write_csv(const char *text) {
  unlink(path);
  snprintf(path, sizeof path, "%s/t.csv", folder);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  assert_int_equal(fclose(f), 0);
}

static flv_reward table(const char *floor_text) {
  const char *const keys[][2] = {{"path", path}, {"floor", floor_text}};
  flv_reward reward = {0};
  flv_error err;
  if (create(&flv_reward_table, keys, 2, &reward, &err) != FLV_OK) fail_msg("%s", err.text);
  return reward;
}

static void table_values(void **state) {
  (void)state;
  double x[24];
  for (int i = 0; i < 24; i++) x[i] = i; // mean 11.5
  const int64_t dim[4] = {2, 3, 2, 2};
  const struct {
    const char *text;
    double floor;
  } floors[] = {{"0", 0.0}, {"1e-6", 1e-6}, {"1", 1.0}};
  for (int f = 0; f < 3; f++) {
    write_npy(4, dim, x);
    flv_reward reward = table(floors[f].text);
    assert_int_equal(reward.shape.n, 4);
    for (int d = 0; d < 4; d++) assert_int_equal(reward.shape.side[d], dim[d]);
    flv_env env = grid(reward.shape.n, reward.shape.side);
    double *log_r = all_cells(&reward, &env);
    for (int i = 0; i < 24; i++) {
      if (i == 0 && f == 0)
        assert_true(log_r[0] < -DBL_MAX);
      else
        NEAR(log_r[i], log(i + floors[f].floor * 11.5));
    }
    free(log_r);
    reward.exponent = 0.5; // -inf stays
    log_r = all_cells(&reward, &env);
    if (f == 0) assert_true(log_r[0] < -DBL_MAX);
    NEAR(log_r[23], 0.5 * log(23 + floors[f].floor * 11.5));
    free(log_r);
    close_env(&env);
    close_reward(&reward);
  }
}

static void table_from_csv(void **state) {
  (void)state;
  write_csv("a,b,c\n1,2,3\n4,5,0\n");
  flv_reward reward = table("0");
  assert_true(reward.shape.n == 2 && reward.shape.side[0] == 2 && reward.shape.side[1] == 3);
  flv_env env = GRID(2, 3);
  double *log_r = all_cells(&reward, &env);
  for (int i = 0; i < 5; i++) NEAR(log_r[i], log(i + 1));
  assert_true(log_r[5] < -DBL_MAX);
  free(log_r);
  close_env(&env);
  close_reward(&reward);
  write_csv("1\n2\n3\n");
  reward = table("0");
  assert_true(reward.shape.n == 1 && reward.shape.side[0] == 3);
  close_reward(&reward);
}

static void huge_values(void **state) {
  (void)state;
  const double x[] = {DBL_MAX, DBL_MAX, 5e-324, 0.0};
  write_npy(2, (int64_t[]){2, 2}, x);
  flv_reward reward = table("1");
  flv_env env = GRID(2, 2);
  double *log_r = all_cells(&reward, &env);
  for (int i = 0; i < 4; i++) assert_true(isfinite(log_r[i]));
  free(log_r);
  close_env(&env);
  close_reward(&reward);
}

static void expect_refusal(const char *part) {
  const char *const keys[][2] = {{"path", path}};
  flv_reward reward = {.name = "untouched"};
  flv_error err;
  const flv_status status = create(&flv_reward_table, keys, 1, &reward, &err);
  assert_true(status == FLV_EINVAL || status == FLV_EIO);
  assert_int_equal(err.status, status);
  assert_string_equal(reward.name, "untouched");
  assert_null(reward.self);
  CONTAINS(err.text, part);
  if (path[0]) CONTAINS(err.text, path);
  assert_null(strchr(err.text, '\n'));
}

static void table_refusals(void **state) {
  (void)state;
  const int64_t d23[] = {2, 3}, d32[] = {3, 2}, one[] = {2, 1, 2}, five[] = {2, 2, 2, 2, 2};
  double x[32];
  for (int i = 0; i < 32; i++) x[i] = 1.0;
  x[4] = -0.5;
  x[5] = -0.5;
  write_npy(2, d23, x);
  expect_refusal("entry [1, 1] is -0.5");
  write_npy(2, d32, x);
  expect_refusal("entry [2, 0] is -0.5");
  x[4] = (double)NAN;
  write_npy(1, (int64_t[]){6}, x);
  expect_refusal("entry [4] is ");
  x[4] = (double)INFINITY;
  write_npy(2, d23, x);
  expect_refusal("entry [1, 1] is inf");
  x[4] = x[5] = 1.0;
  write_npy(5, five, x);
  expect_refusal("5 dimensions; expected 1 to 4");
  write_npy(3, one, x);
  expect_refusal("2x1x2 cells");
  write_npy(1, (int64_t[]){1}, x);
  expect_refusal("1 cells");
  write_npy(1, (int64_t[]){0}, x);
  expect_refusal("empty");
  write_npy(0, NULL, x);
  expect_refusal("single number");
  memset(x, 0, sizeof x);
  x[0] = -0.0;
  write_npy(2, d23, x);
  expect_refusal("every entry is 0");
  assert_int_equal(truncate(path, 150), 0);
  expect_refusal("cut short");
  assert_int_equal(truncate(path, 0), 0);
  expect_refusal("not a .npy file");
  write_csv("1,2\n3\n");
  expect_refusal("columns: 1 in line 2, 2 in line 1");
  write_csv("");
  expect_refusal("no numbers");
  unlink(path);
  expect_refusal("cannot read");
  path[0] = '\0';
  expect_refusal("needs reward.path");
}

static void table_too_long(void **state) {
  (void)state;
  const int64_t n = 65536;
  double *x = malloc((size_t)n * sizeof *x);
  assert_non_null(x);
  for (int i = 0; i < n; i++) x[i] = 1.0;
  write_npy(1, &n, x);
  expect_refusal("65536 cells; every side must be 2 to 65535");
  write_npy(1, (int64_t[]){65535}, x);
  flv_reward reward = table("0");
  assert_int_equal(reward.shape.side[0], 65535);
  close_reward(&reward);
  free(x);
}

// ---- values ----

static flv_env graph_env(void) {
  void *values = calloc(1, flv_env_graph.size);
  assert_non_null(values);
  flv_error err = {0};
  flv_env env = {0};
  assert_int_equal(flv_params_default(&flv_env_graph, values, &err), FLV_OK);
  const flv_env_impl *impl = flv_env_graph.impl;
  if (impl->create(&env, values, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  free(values);
  return env;
}

static void values_by_object(void **state) {
  (void)state;
  flv_env env = GRID(2, 3), graph = graph_env(); // objects 3 and 4
  flv_reward reward = make(&flv_reward_values, "r", "[1, 2, 0, 4, 5, 6]");
  double *log_r = all_cells(&reward, &env);
  for (int i = 0; i < 6; i++) assert_true(log_r[i] == (i == 2 ? -HUGE_VAL : log(i + 1.0)));
  free(log_r);
  flv_error err = {0};
  assert_int_equal(reward.bind(&reward, &graph, &err), FLV_EINVAL);
  CONTAINS(err.text, "6 values, and 'graph' has 2 objects");
  close_reward(&reward);
  reward = make(&flv_reward_values, "log_r", "[-3, 0.5]");
  log_r = all_cells(&reward, &graph);
  const double expect[] = {0.0, 0.0, 0.0, -3.0, 0.5}; // R = 1 where there is no object
  assert_memory_equal(log_r, expect, sizeof expect);
  free(log_r);
  close_reward(&reward);
  close_env(&env);
  close_env(&graph);
}

static void values_refusals(void **state) {
  (void)state;
  flv_reward reward = {0};
  flv_error err;
  const char *const both[][2] = {{"r", "[1]"}, {"log_r", "[0]"}}, *const zeros[][2] = {
                                                                      {"r", "0,0"}};
  assert_int_equal(create(&flv_reward_values, both, 0, &reward, &err), FLV_EINVAL);
  CONTAINS(err.text, "reward.r or reward.log_r, one number for each object");
  assert_int_equal(create(&flv_reward_values, both, 2, &reward, &err), FLV_EINVAL);
  CONTAINS(err.text, "not both");
  assert_int_equal(create(&flv_reward_values, zeros, 1, &reward, &err), FLV_EINVAL);
  CONTAINS(err.text, "every value is 0");
}

// ---- binding, and from a configuration ----

static void binding(void **state) {
  (void)state;
  const double x[12] = {1, 2, 5, 2, 4, 4, 4, 2, 3, 3, 4, 4}; // also 4 rows of data, for some
  write_npy(2, (int64_t[]){4, 3}, x);
  flv_reward reward = table("0");
  flv_env right = GRID(4, 3), turned = GRID(3, 4), flat = GRID(12);
  flv_error err = {0};
  assert_int_equal(reward.bind(&reward, &right, &err), FLV_OK);
  assert_int_equal(reward.bind(&reward, &turned, &err), FLV_EINVAL);
  CONTAINS(err.text, "4x3 cells, the grid has 3x4");
  assert_int_equal(reward.bind(&reward, &flat, &err), FLV_EINVAL);
  const flv_env_ops ops = *right.ops;
  const flv_env other = {.name = "elsewhere", .ops = &ops, .self = right.self};
  for (int k = 0; flv_reward_list[k] != NULL; k++) {
    // whose file is a network's: test_molecule_objects.c
    if (flv_reward_list[k] == &flv_reward_molecule_network) continue;
    const bool is_values = flv_reward_list[k] == &flv_reward_values;
    const bool makes = flv_reward_list[k] == &flv_reward_hamming_modes; // and need not read
    const bool asks = flv_reward_list[k] == &flv_reward_molecule_program;
    const bool reads = !makes && flv_param_find(flv_reward_list[k], "path") != NULL;
    if (flv_reward_list[k] == &flv_reward_molecule_network ||
        flv_reward_list[k] == &flv_reward_molecule_library)
      continue; // read no tables: test_molecule_rewards.c
    const char *const keys[][2] = {{reads  ? "path"
                                    : asks ? "command"
                                           : "r",
                                    reads  ? path
                                    : asks ? "true"
                                           : "1, 2"}};
    const int n_keys = reads || is_values || asks;
    flv_reward each = {0};
    assert_int_equal(create(flv_reward_list[k], keys, n_keys, &each, &err), FLV_OK);
    assert_string_equal(each.name, flv_reward_list[k]->name);
    assert_int_equal(each.bind(&each, &other, &err), FLV_EINVAL);
    CONTAINS(err.text, "'elsewhere'");
    CONTAINS(err.text, each.name);
    close_reward(&each);
  }
  close_env(&right);
  close_env(&turned);
  close_env(&flat);
  close_reward(&reward);
}

static void from_configuration(void **state) {
  (void)state;
  static const flv_section sections[] = {{"reward", "", flv_reward_list}, {NULL, NULL, NULL}};
  flv_error err = {0};
  flv_config *cfg = flv_config_create(sections, &err);
  assert_non_null(cfg);
  assert_int_equal(flv_config_set(cfg, "reward.r2", "3", &err), FLV_OK);
  flv_reward *reward = flv_reward_new(cfg, &err);
  assert_non_null(reward);
  flv_env env = GRID(8, 8);
  double *log_r = all_cells(reward, &env);
  NEAR(log_r[9], log(0.001 + 0.5 + 3.0));
  free(log_r);
  close_env(&env);
  flv_reward_free(reward);
  assert_int_equal(flv_config_set(cfg, "reward.name", "table", &err), FLV_OK);
  assert_null(flv_reward_new(cfg, &err));
  CONTAINS(err.text, "reward.path");
  flv_reward_free(NULL);
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(corners_128),       cmocka_unit_test(corners_8),
      cmocka_unit_test(corners_ends),      cmocka_unit_test(sides_of_one),
      cmocka_unit_test(cosine_formula),    cmocka_unit_test(exponents),
      cmocka_unit_test(values_of_rewards), cmocka_unit_test(table_values),
      cmocka_unit_test(table_from_csv),    cmocka_unit_test(huge_values),
      cmocka_unit_test(table_refusals),    cmocka_unit_test(table_too_long),
      cmocka_unit_test(values_by_object),  cmocka_unit_test(values_refusals),
      cmocka_unit_test(binding),           cmocka_unit_test(from_configuration),
  };
  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
