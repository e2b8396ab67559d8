// Corners: 2^D flat modes near the corners of the grid. [Bengio et al. 2021, arXiv:2106.04399,
// section 4.1]
//
//   R(s) = r0 + r1 prod_d 1[a_d in (0.25, 0.5]] + r2 prod_d 1[a_d in (0.3, 0.4)],   a_d =
//   |s_d/(H_d-1) - 1/2|
//
// With u = |2 s_d - (H_d-1)| the intervals are 2u > H_d-1 and 3(H_d-1) < 5u < 4(H_d-1): whole
// numbers, so no cell on an interval's end falls to rounding. Both intervals are open at the ends
// where a grid point can lie, as the paper writes them; other libraries close the one at 0.4, which
// differs where 5 divides H_d-1. Dimensions of side 1 have no position and drop out of the
// products.
#include <math.h>
#include <stdlib.h>

#include "reward/grid_reward.h"
#include "reward/reward_list.h"

#define CORNERS_KEYS(X)                                                                            \
  X(REAL, r0, "1e-3", 1e-300, 1e6, "", "reward everywhere")                                        \
  X(REAL, r1, "0.5", 0, 1e6, "", "added in the outer squares of the corners")                      \
  X(REAL, r2, "2", 0, 1e6, "", "added in the modes inside them")                                   \
  FLV_EXPONENT_KEY(X)
typedef struct corners_cfg {
  CORNERS_KEYS(FLV_FIELD)
} corners_cfg;
#define FLV_STRUCT corners_cfg
static const flv_param corners_params[] = {CORNERS_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

typedef struct corners {
  double log_r[2][2]; // [in the outer squares][in the modes]
} corners;

static flv_status corners_log_reward(const flv_reward *reward, const flv_env *env, int n,
                                     const void *states, double *log_r, flv_error *err) {
  (void)err;
  const corners *self = reward->self;
  const flv_hypergrid *grid = env->self;
  for (int i = 0; i < n; i++) {
    const uint16_t *s = flv_hypergrid_state(env, states, i);
    int outer = 1, mode = 1;
    for (int d = 0; d < grid->dims; d++) {
      const int last = grid->side[d] - 1, u = abs(2 * s[d] - last);
      if (last == 0) continue;
      outer &= 2 * u > last;
      mode &= 3 * last < 5 * u && 5 * u < 4 * last;
    }
    log_r[i] = self->log_r[outer][mode];
  }
  return FLV_OK;
}

// Which half of every dimension, as bits; dimensions of side 1 have one half.
static void corners_mark(const flv_reward *reward, const flv_env *env, const void *state,
                         uint8_t *seen) {
  (void)reward;
  const flv_hypergrid *grid = env->self;
  const uint16_t *s = flv_hypergrid_state(env, state, 0);
  int mode = 0, bit = 1;
  for (int d = 0; d < grid->dims; d++) {
    const int last = grid->side[d] - 1, u = abs(2 * s[d] - last);
    if (last == 0) continue;
    if (3 * last >= 5 * u || 5 * u >= 4 * last) return;
    if (2 * s[d] > last) mode |= bit;
    bit *= 2;
  }
  seen[mode] = 1;
}

static int corners_modes(const flv_reward *reward, const flv_env *env) {
  (void)reward;
  const flv_hypergrid *grid = env->self;
  int modes = 1;
  for (int d = 0; d < grid->dims; d++) modes *= grid->side[d] > 1 ? 2 : 1;
  return modes;
}

static flv_status corners_create(flv_reward *reward, const void *values, flv_error *err) {
  const corners_cfg *cfg = values;
  corners *self = calloc(1, sizeof *self);
  if (!self) return flv_fail(err, FLV_ENOMEM, "out of memory for reward 'corners'");
  for (int outer = 0; outer < 2; outer++)
    for (int mode = 0; mode < 2; mode++)
      self->log_r[outer][mode] = log(cfg->r0 + outer * cfg->r1 + mode * cfg->r2);
  *reward = (flv_reward){.name = "corners",
                         .self = self,
                         .exponent = cfg->exponent,
                         .log_reward = corners_log_reward,
                         .bind = flv_grid_reward_bind,
                         .modes = corners_modes,
                         .mark_modes = corners_mark,
                         .free_self = free};
  return FLV_OK;
}

static const flv_reward_impl corners_impl = {corners_create};
const flv_component flv_reward_corners = {
    "corners",           "hypergrid: flat modes near the corners",
    corners_params,      sizeof corners_params / sizeof *corners_params,
    sizeof(corners_cfg), &corners_impl};
