// Hypergrid. [Bengio et al. 2021, arXiv:2106.04399, section 4.1]
//
// From the origin of a D-dimensional grid, action d adds 1 to coordinate d, action D exits; exit is
// legal everywhere, so every cell is an object. Backward action d subtracts 1. The observation is
// one hot index per dimension.
#include "env/hypergrid.h"

#include <stdbool.h>
#include <stdlib.h>

#include "env/env_list.h"

#define ENV flv_hypergrid
#define STATE uint16_t
#define ENV_OPS hypergrid_ops
#define ENV_ENUMERABLE

static inline void env_reset(const flv_hypergrid *e, uint16_t *s) { (void)e, (void)s; }

static inline void env_step(const flv_hypergrid *e, uint16_t *s, int action) {
  (void)e;
  s[action]++;
}

static inline void env_unstep(const flv_hypergrid *e, uint16_t *s, int back) {
  (void)e;
  s[back]--;
}

static inline void env_mask(const flv_hypergrid *e, const uint16_t *s, uint8_t *mask) {
  for (int d = 0; d < e->dims; d++) mask[d] = s[d] + 1 < e->side[d];
  mask[e->dims] = 1;
}

static inline void env_mask_back(const flv_hypergrid *e, const uint16_t *s, uint8_t *mask) {
  for (int d = 0; d < e->dims; d++) mask[d] = s[d] > 0;
}

static inline int env_back_of(const flv_hypergrid *e, const uint16_t *parent, int action) {
  (void)e, (void)parent;
  return action;
}

static inline int env_action_of(const flv_hypergrid *e, const uint16_t *child, int back) {
  (void)e, (void)child;
  return back;
}

static inline void env_observe(const flv_hypergrid *e, const uint16_t *s, int32_t *hot, float *x) {
  (void)x;
  for (int d = 0; d < e->dims; d++) hot[d] = e->first[d] + s[d];
}

static inline int64_t env_index(const flv_hypergrid *e, const uint16_t *s) {
  return flv_hypergrid_index(e, s);
}

static inline void env_at(const flv_hypergrid *e, int64_t index, uint16_t *s) {
  for (int d = 0; d < e->dims; d++) s[d] = (uint16_t)(index / e->stride[d] % e->side[d]);
}

#include "fluvial/env_template.h"

#define HYPERGRID_KEYS(X)                                                                          \
  X(INT, dim, "2", 1, FLV_MAX_DIMS, "", "dimensions")                                              \
  X(INT, side, "8", 1, 65535, "", "cells along every dimension")                                   \
  X(INTS, sides, "[]", 1, 65535, "",                                                               \
    "cells along each dimension, [64, 32]; in place of dim and side unless empty")
typedef struct hypergrid_cfg {
  HYPERGRID_KEYS(FLV_FIELD)
} hypergrid_cfg;
#define FLV_STRUCT hypergrid_cfg
static const flv_param hypergrid_params[] = {HYPERGRID_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static bool same_sides(const flv_ints *sides, const flv_shape *shape) {
  if (sides->n != shape->n) return false;
  for (int d = 0; d < sides->n; d++)
    if (sides->v[d] != shape->side[d]) return false;
  return true;
}

// The reward's shape wins over dim and side, which have defaults and so may not be the user's own
// words; sides, empty by default, must agree with it.
static flv_status choose_sides(flv_shape *out, const hypergrid_cfg *cfg, const flv_shape *shape,
                               flv_error *err) {
  if (shape && shape->n > 0) {
    if (cfg->sides.n > 0 && !same_sides(&cfg->sides, shape))
      return flv_fail(
          err, FLV_EINVAL,
          "env.sides differs from the shape of the reward's array; leave it out and the grid "
          "takes that shape");
    *out = *shape;
  } else if (cfg->sides.n > 0) {
    if (cfg->sides.n > FLV_MAX_DIMS)
      return flv_fail(err, FLV_EINVAL, "env.sides: %d dimensions; at most %d", cfg->sides.n,
                      (int)FLV_MAX_DIMS);
    out->n = cfg->sides.n;
    for (int d = 0; d < out->n; d++) out->side[d] = cfg->sides.v[d];
  } else {
    out->n = cfg->dim;
    for (int d = 0; d < out->n; d++) out->side[d] = cfg->side;
  }
  if (out->n > FLV_MAX_DIMS)
    return flv_fail(err, FLV_EINVAL, "hypergrid: %d dimensions; at most %d", out->n,
                    (int)FLV_MAX_DIMS);
  for (int d = 0; d < out->n; d++)
    if (out->side[d] < 1 || out->side[d] > 65535)
      return flv_fail(err, FLV_EINVAL, "hypergrid: side %d of dimension %d is not in 1 .. 65535",
                      out->side[d], d + 1);
  return FLV_OK;
}

// Strides from the last dimension up; 0 when there are more than 2^62 states.
static int64_t count_states(flv_hypergrid *grid) {
  int64_t n = 1;
  for (int d = grid->dims - 1; d >= 0; d--) {
    grid->stride[d] = n;
    if (n > (INT64_C(1) << 62) / grid->side[d]) return 0;
    n *= grid->side[d];
  }
  return n;
}

static flv_status hypergrid_create(flv_env *env, const void *cfg, const flv_shape *shape,
                                   flv_error *err) {
  flv_shape chosen = {0};
  FLV_TRY(choose_sides(&chosen, cfg, shape, err));
  flv_hypergrid *grid = calloc(1, sizeof *grid);
  if (!grid) return flv_fail(err, FLV_ENOMEM, "out of memory for environment 'hypergrid'");
  grid->dims = chosen.n;
  int features = 0, equal = chosen.side[0];
  for (int d = 0; d < grid->dims; d++) {
    grid->side[d] = chosen.side[d];
    grid->first[d] = features;
    features += chosen.side[d];
    if (chosen.side[d] != chosen.side[0]) equal = 0;
  }
  *env = (flv_env){.name = "hypergrid",
                   .ops = &hypergrid_ops,
                   .self = grid,
                   .state_size = ((size_t)grid->dims * sizeof(uint16_t) + 7) / 8 * 8,
                   .n_actions = grid->dims + 1,
                   .n_back = grid->dims,
                   .exit_action = grid->dims,
                   .max_length = features - grid->dims + 1,
                   .n_hot = grid->dims,
                   .n_features = features,
                   .n_positions = grid->dims,
                   .n_symbols = equal,
                   .n_states = count_states(grid),
                   .shape = chosen,
                   .free_self = free};
  return FLV_OK;
}

const flv_hypergrid *flv_hypergrid_of(const flv_env *env) {
  return env->ops == &hypergrid_ops ? env->self : NULL;
}

static const flv_env_impl hypergrid_impl = {hypergrid_create};
const flv_component flv_env_hypergrid = {
    "hypergrid",           "grid of any dimension, from the origin one step at a time",
    hypergrid_params,      sizeof hypergrid_params / sizeof *hypergrid_params,
    sizeof(hypergrid_cfg), &hypergrid_impl};
