// Values: R of every object as a list, for state graphs and small grids.
//
//   R(x_k) = r[k], or exp(log_r[k])
//
// Objects of a graph count by their numbers, cells of a grid row by row, the last dimension
// fastest. States of a graph that are not objects have R = 1, which only forward-looking objectives
// ask for.
#include <math.h>
#include <stdlib.h>

#include "env/graph.h"
#include "env/hypergrid.h"
#include "fluvial/reward.h"
#include "reward/reward_list.h"

#define VALUES_KEYS(X)                                                                             \
  X(REALS, r, "[]", 0, 1e300, "", "R of each object, in the order of the objects")                 \
  X(REALS, log_r, "[]", -1e6, 1e6, "", "log R of each object; in place of r")                      \
  FLV_EXPONENT_KEY(X)
typedef struct values_cfg {
  VALUES_KEYS(FLV_FIELD)
} values_cfg;
#define FLV_STRUCT values_cfg
static const flv_param values_params[] = {VALUES_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static flv_status values_log_reward(const flv_reward *reward, const flv_env *env, int n,
                                    const void *states, double *log_r, flv_error *err) {
  (void)err;
  const flv_reals *self = reward->self;
  const flv_graph_env *graph = flv_graph_env_of(env);
  for (int i = 0; i < n; i++) {
    const int64_t object =
        graph ? graph->object[((const flv_graph_state *)states)[i].number]
              : flv_hypergrid_index(env->self, flv_hypergrid_state(env, states, i));
    log_r[i] = object < 0 ? 0.0 : self->v[object];
  }
  return FLV_OK;
}

static flv_status values_bind(const flv_reward *reward, const flv_env *env, flv_error *err) {
  const flv_reals *self = reward->self;
  const flv_graph_env *graph = flv_graph_env_of(env);
  if (!graph && !flv_hypergrid_of(env))
    return flv_fail(err, FLV_EINVAL,
                    "reward 'values' needs environment 'graph' or 'hypergrid', not '%s'",
                    env->name);
  const int64_t objects = graph ? graph->n_objects : env->n_states;
  if (objects == self->n) return FLV_OK;
  return flv_fail(err, FLV_EINVAL, "reward 'values' has %d values, and '%s' has %lld objects",
                  self->n, env->name, (long long)objects);
}

static flv_status values_create(flv_reward *reward, const void *values, flv_error *err) {
  const values_cfg *cfg = values;
  if ((cfg->r.n > 0) == (cfg->log_r.n > 0))
    return flv_fail(err, FLV_EINVAL,
                    "reward 'values' needs reward.r or reward.log_r, one number for each object%s",
                    cfg->r.n > 0 ? ", not both" : "");
  flv_reals *self = calloc(1, sizeof *self);
  if (!self) return flv_fail(err, FLV_ENOMEM, "out of memory for reward 'values'");
  *self = cfg->r.n > 0 ? cfg->r : cfg->log_r;
  double largest = cfg->r.n > 0 ? 0.0 : 1.0;
  for (int i = 0; i < cfg->r.n; i++) {
    largest = fmax(largest, self->v[i]);
    self->v[i] = log(self->v[i]);
  }
  if (largest <= 0.0) {
    free(self);
    return flv_fail(err, FLV_EINVAL, "reward.r: every value is 0");
  }
  *reward = (flv_reward){.name = "values",
                         .self = self,
                         .exponent = cfg->exponent,
                         .log_reward = values_log_reward,
                         .bind = values_bind,
                         .free_self = free};
  return FLV_OK;
}

static const flv_reward_impl values_impl = {values_create};
const flv_component flv_reward_values = {
    "values",           "state graphs and small grids: a list of numbers, one for each object",
    values_params,      sizeof values_params / sizeof *values_params,
    sizeof(values_cfg), &values_impl};
