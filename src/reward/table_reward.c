// Table: any non-negative array of 1 to 4 dimensions from a file. The grid takes the array's shape.
//
//   R(s) = T[s] + floor * mean(T)
//
// The floor keeps log R finite where T is 0, which objectives that square log R (tb, db) need; it
// adds the fraction floor / (1 + floor) of uniform mass to the target. With floor 0 zeros stay
// zeros: log R = -inf.
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "fluvial/table.h"
#include "reward/grid_reward.h"
#include "reward/reward_list.h"

#define TABLE_KEYS(X)                                                                              \
  X(TEXT, path, "", 0, 0, "", "array of non-negative numbers, .npy or .csv")                       \
  X(REAL, floor, "1e-6", 0, 1, "", "added to every cell, as a fraction of their mean")             \
  FLV_EXPONENT_KEY(X)
typedef struct table_cfg {
  TABLE_KEYS(FLV_FIELD)
} table_cfg;
#define FLV_STRUCT table_cfg
static const flv_param table_params[] = {TABLE_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

enum { TABLE_DIMS = 4 };

static flv_status table_log_reward(const flv_reward *reward, const flv_env *env, int n,
                                   const void *states, double *log_r, flv_error *err) {
  (void)err;
  const double *log_table = reward->self;
  const flv_hypergrid *grid = env->self;
  for (int i = 0; i < n; i++)
    log_r[i] = log_table[flv_hypergrid_index(grid, flv_hypergrid_state(env, states, i))];
  return FLV_OK;
}

static flv_status check_shape(const flv_shape *shape, const char *path, flv_error *err) {
  char text[FLV_SHAPE_TEXT];
  if (shape->n > TABLE_DIMS)
    return flv_fail(err, FLV_EINVAL, "%s: an array of %d dimensions; expected 1 to %d", path,
                    shape->n, (int)TABLE_DIMS);
  for (int d = 0; d < shape->n; d++)
    if (shape->side[d] < 2 || shape->side[d] > 65535)
      return flv_fail(err, FLV_EINVAL, "%s: an array of %s cells; every side must be 2 to 65535",
                      path, flv_shape_format(shape->n, shape->side, "x", text));
  return FLV_OK;
}

// "3, 0": where entry i of the array is, counted from 0 as Python does.
static const char *format_position(size_t i, const flv_shape *shape, char text[FLV_SHAPE_TEXT]) {
  int at[FLV_MAX_DIMS];
  for (int d = shape->n - 1; d >= 0; d--) {
    at[d] = (int)(i % (size_t)shape->side[d]);
    i /= (size_t)shape->side[d];
  }
  return flv_shape_format(shape->n, at, ", ", text);
}

// Turns the array into log R in place.
static flv_status take_logs(double *value, const flv_shape *shape, const table_cfg *cfg,
                            flv_error *err) {
  size_t n = 1;
  for (int d = 0; d < shape->n; d++) n *= (size_t)shape->side[d];
  double mean = 0.0, largest = 0.0;
  for (size_t i = 0; i < n; i++) {
    if (!isfinite(value[i]) || value[i] < 0.0) {
      char text[FLV_SHAPE_TEXT];
      return flv_fail(err, FLV_EINVAL,
                      "%s: entry [%s] is %g; expected a finite number, not negative", cfg->path,
                      format_position(i, shape, text), value[i]);
    }
    mean += value[i] / (double)n;
    largest = fmax(largest, value[i]);
  }
  if (largest <= 0.0) return flv_fail(err, FLV_EINVAL, "%s: every entry is 0", cfg->path);
  for (size_t i = 0; i < n; i++) value[i] = log(fmin(value[i] + cfg->floor * mean, DBL_MAX));
  return FLV_OK;
}

static flv_status table_create(flv_reward *reward, const void *values, flv_error *err) {
  const table_cfg *cfg = values;
  if (!cfg->path[0])
    return flv_fail(err, FLV_EINVAL, "reward 'table' needs reward.path, a .npy or .csv file");
  flv_shape shape = {0};
  double *value = NULL;
  FLV_TRY(flv_table_read(cfg->path, &shape, &value, err));
  flv_status status = check_shape(&shape, cfg->path, err);
  if (status == FLV_OK) status = take_logs(value, &shape, cfg, err);
  if (status != FLV_OK) {
    free(value);
    return status;
  }
  *reward = (flv_reward){.name = "table",
                         .self = value,
                         .shape = shape,
                         .exponent = cfg->exponent,
                         .log_reward = table_log_reward,
                         .bind = flv_grid_reward_bind,
                         .free_self = free};
  return FLV_OK;
}

static const flv_reward_impl table_impl = {table_create};
const flv_component flv_reward_table = {
    "table",           "hypergrid: an array from a file, of which the grid takes the shape",
    table_params,      sizeof table_params / sizeof *table_params,
    sizeof(table_cfg), &table_impl};
