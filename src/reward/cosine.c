// Cosine: many modes under a bell at the centre of the grid.
//
//   R(s) = r0 + r1 prod_d (cos(50 a_d) + 1) phi(5 a_d),   a_d = |s_d/(H_d-1) - 1/2|
//
// with phi the standard normal density. The formula, not the code, of CosineReward in torchgfn
// (github.com/GFNOrg/torchgfn, src/gfn/gym/helpers/hypergrid/rewards.py). Dimensions of side 1 have
// no position and drop out of the product.
#include <math.h>
#include <stdlib.h>

#include "reward/grid_reward.h"
#include "reward/reward_list.h"

#define COSINE_KEYS(X)                                                                             \
  X(REAL, r0, "0.1", 1e-300, 1e6, "", "reward everywhere")                                         \
  X(REAL, r1, "0.5", 0, 1e6, "", "weight of the product")                                          \
  FLV_EXPONENT_KEY(X)
typedef struct cosine_cfg {
  COSINE_KEYS(FLV_FIELD)
} cosine_cfg;
#define FLV_STRUCT cosine_cfg
static const flv_param cosine_params[] = {COSINE_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static const double inv_sqrt_2pi = 0.39894228040143267794;

static flv_status cosine_log_reward(const flv_reward *reward, const flv_env *env, int n,
                                    const void *states, double *log_r, flv_error *err) {
  (void)err;
  const cosine_cfg *self = reward->self;
  const flv_hypergrid *grid = env->self;
  for (int i = 0; i < n; i++) {
    const uint16_t *s = flv_hypergrid_state(env, states, i);
    double product = 1.0;
    for (int d = 0; d < grid->dims; d++) {
      if (grid->side[d] == 1) continue;
      const double a = fabs((double)s[d] / (grid->side[d] - 1) - 0.5), z = 5.0 * a;
      product *= (cos(50.0 * a) + 1.0) * inv_sqrt_2pi * exp(-0.5 * z * z);
    }
    log_r[i] = log(self->r0 + self->r1 * product);
  }
  return FLV_OK;
}

static flv_status cosine_create(flv_reward *reward, const void *values, flv_error *err) {
  const cosine_cfg *cfg = values;
  cosine_cfg *self = malloc(sizeof *self);
  if (!self) return flv_fail(err, FLV_ENOMEM, "out of memory for reward 'cosine'");
  *self = *cfg;
  *reward = (flv_reward){.name = "cosine",
                         .self = self,
                         .exponent = cfg->exponent,
                         .log_reward = cosine_log_reward,
                         .bind = flv_grid_reward_bind,
                         .free_self = free};
  return FLV_OK;
}

static const flv_reward_impl cosine_impl = {cosine_create};
const flv_component flv_reward_cosine = {
    "cosine",           "hypergrid: ripples under a bell at the centre",
    cosine_params,      sizeof cosine_params / sizeof *cosine_params,
    sizeof(cosine_cfg), &cosine_impl};
