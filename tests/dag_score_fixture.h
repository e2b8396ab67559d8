// What tests of the scores of graphs share: tables on disk, rewards from them, made-up data.
#ifndef FLUVIAL_TESTS_DAG_SCORE_FIXTURE_H
#define FLUVIAL_TESTS_DAG_SCORE_FIXTURE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config_values.h"
#include "env/dag.h"
#include "env/env_list.h"
#include "reward/dag_score.h"
#include "reward/reward_list.h"

#define CONTAINS(text, part)                                                                       \
  do {                                                                                             \
    if (!strstr((text), (part))) fail_msg("'%s' does not contain '%s'", (text), (part));           \
  } while (0)

static char folder[] = "/tmp/fluvial_score_XXXXXX";
static char path[128];
static inline int make_folder(void **state) {
  (void)state;
  snprintf(path, sizeof path, "%s/t.csv", mkdtemp(folder) ? folder : "");
  return path[0] == '/' && path[1] == 't' ? 0 : -1;
}
static inline int drop_folder(void **state) {
  (void)state;
  unlink(path);
  return rmdir(folder);
}

// x [n][d] as the table at `path`, every digit of it.
static inline void write_table(int n, int d, const double *x) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  for (int c = 0; c < d; c++) fprintf(f, "v%d%c", c, c + 1 < d ? ',' : '\n');
  for (int r = 0; r < n; r++)
    for (int c = 0; c < d; c++) fprintf(f, "%.17g%c", x[r * d + c], c + 1 < d ? ',' : '\n');
  assert_int_equal(fclose(f), 0);
}

typedef struct key {
  const char *name, *text;
} key;

// Of the table at `path`; keys end with {0}.
static inline flv_status try_reward(flv_reward *reward, const flv_component *c, const key *keys,
                                    flv_error *err) {
  void *values = calloc(1, c->size);
  assert_non_null(values);
  flv_error none = {0};
  *err = none;
  assert_int_equal(flv_params_default(c, values, &none), FLV_OK);
  assert_int_equal(flv_param_parse(flv_param_find(c, "path"), path, values, &none), FLV_OK);
  for (; keys && keys->name; keys++) {
    const flv_param *param = flv_param_find(c, keys->name);
    if (!param) fail_msg("no key %s", keys->name);
    if (flv_param_parse(param, keys->text, values, &none) != FLV_OK) fail_msg("%s", none.text);
  }
  const flv_reward_impl *impl = c->impl;
  const flv_status status = impl->create(reward, values, err);
  free(values);
  return status;
}
static inline flv_reward open_reward(const flv_component *c, const key *keys) {
  flv_reward reward = {0};
  flv_error err = {0};
  if (try_reward(&reward, c, keys, &err) != FLV_OK) fail_msg("%s", err.text);
  return reward;
}
#define KEYS(...)                                                                                  \
  (const key[]) {                                                                                  \
    __VA_ARGS__, { 0 }                                                                             \
  }
static inline void close_reward(flv_reward *reward) { reward->free_self(reward->self); }

static inline flv_env open_dag(int d) {
  void *values = calloc(1, flv_env_dag.size);
  assert_non_null(values);
  flv_error err = {0};
  flv_env env = {0};
  const flv_shape shape = {1, {d}};
  assert_int_equal(flv_params_default(&flv_env_dag, values, &err), FLV_OK);
  const flv_env_impl *impl = flv_env_dag.impl;
  if (impl->create(&env, values, &shape, &err) != FLV_OK) fail_msg("%s", err.text);
  free(values);
  return env;
}
static inline void close_env(flv_env *env) {
  if (env->free_self) env->free_self(env->self);
}

// Uniform in [0, 1), and roughly normal: equal on every machine.
static inline uint64_t next_bits(uint64_t *seed) {
  *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  uint64_t x = *seed;
  x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
  return x ^ x >> 31;
}
static inline double uniform(uint64_t *seed) { return (double)(next_bits(seed) >> 11) * 0x1p-53; }
static inline double normal(uint64_t *seed) {
  double sum = -6.0;
  for (int i = 0; i < 12; i++) sum += uniform(seed);
  return sum;
}

// n rows of d variables, each a noisy sum of those before it with a mean of its own.
static inline void make_numbers(int n, int d, double *x, uint64_t seed) {
  for (int r = 0; r < n; r++)
    for (int c = 0; c < d; c++) {
      double value = 0.3 * (c % 5) + normal(&seed);
      for (int k = 0; k < c; k++)
        if ((3 * k + 5 * c) % 4 == 0) value += ((k + c) % 2 ? 0.8 : -0.6) * x[r * d + k];
      x[r * d + c] = value / (1.0 + 0.3 * c / d);
    }
}

// n rows of d variables with 2 to 4 categories each, numbered from 3 down.
static inline void make_categories(int n, int d, double *x, uint64_t seed) {
  for (int r = 0; r < n; r++)
    for (int c = 0; c < d; c++) {
      const double before = c > 0 ? x[r * d + c - 1] : 0.0;
      x[r * d + c] = 3 - (int)(uniform(&seed) < 0.5 ? before : 4 * uniform(&seed)) % (2 + c % 3);
    }
}

// L L' = a (lower triangle in place, row by row); the log determinant. Plain, for checks.
static inline double plain_cholesky(int n, double *a) {
  double log_det = 0.0;
  for (int i = 0; i < n; i++)
    for (int k = 0; k <= i; k++) {
      double sum = a[i * n + k];
      for (int p = 0; p < k; p++) sum -= a[i * n + p] * a[k * n + p];
      a[i * n + k] = i == k ? sqrt(sum) : sum / a[k * n + k];
      if (i == k) log_det += 2.0 * log(a[i * n + i]);
    }
  return log_det;
}
// |L^-1 x|^2; x is overwritten.
static inline double plain_form(int n, const double *l, double *x) {
  double form = 0.0;
  for (int i = 0; i < n; i++) {
    for (int k = 0; k < i; k++) x[i] -= l[i * n + k] * x[k];
    x[i] /= l[i * n + i];
    form += x[i] * x[i];
  }
  return form;
}

static inline int members(uint64_t set, int at[64]) {
  int n = 0;
  for (int i = 0; i < 64; i++)
    if (set >> i & 1) at[n++] = i;
  return n;
}

#endif
