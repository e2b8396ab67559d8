// Ising model on the periodic lattice of the environment of that name.
//
//   log R(s) = j sum_i s_i (s_right(i) + s_below(i)),   s_i in {-1, 1}
//
// so every bond counts once; `exponent` is the inverse temperature beta. At beta j = 0.44 the
// lattice is near its critical point, log(1 + sqrt 2) / 2.
//
// Elsewhere bonds count twice: torchgfn's DiscreteEBM with an IsingModel of matrix J has
// log R = alpha s'Js, gfnx's IsingRewardModule s'Js. With J = j between neighbours and 0 elsewhere
// that is 2 alpha j sum over bonds, so `exponent: 2` (or 2 alpha) makes this reward theirs. On side
// 2 two bonds join each pair of neighbours, and both are counted here; a matrix with one entry for
// a pair has `exponent: 1` there.
//
// States that are not complete have the sum over the bonds that are, which forward-looking
// objectives ask for.
#include <math.h>
#include <stdlib.h>

#include "env/fill.h"
#include "fluvial/reward.h"
#include "reward/ising_log_z.h"
#include "reward/reward_list.h"

#define ISING_KEYS(X)                                                                              \
  X(REAL, j, "0.44", -100, 100, "", "coupling of neighbours, each pair once; above 0: alike")      \
  FLV_EXPONENT_KEY(X)
typedef struct ising_cfg {
  ISING_KEYS(FLV_FIELD)
} ising_cfg;
#define FLV_STRUCT ising_cfg
static const flv_param ising_params[] = {ISING_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static flv_status ising_log_reward(const flv_reward *reward, const flv_env *env, int n,
                                   const void *states, double *log_r, flv_error *err) {
  (void)err;
  const flv_fill *lattice = env->self;
  const int side = lattice->side, sites = lattice->positions;
  int8_t spin[FLV_FILL_BITS];
  for (int i = 0; i < n; i++) {
    flv_fill_cursor at = flv_fill_begin(flv_fill_state(env, states, i));
    for (int p = 0; p < sites; p++) {
      const int value = flv_fill_next(lattice, &at); // 0: none, 1: -1, 2: 1
      spin[p] = (int8_t)(value == 0 ? 0 : 2 * value - 3);
    }
    int sum = 0;
    for (int y = 0; y < side; y++) {
      const int8_t *row = spin + y * side, *below = spin + (y + 1) % side * side;
      for (int x = 0; x < side; x++) sum += row[x] * (row[x + 1 < side ? x + 1 : 0] + below[x]);
    }
    log_r[i] = *(const double *)reward->self * sum;
  }
  return FLV_OK;
}

static flv_status ising_bind(const flv_reward *reward, const flv_env *env, flv_error *err) {
  const flv_fill *lattice = flv_fill_of(env);
  if (lattice && lattice->side > 0) return FLV_OK;
  return flv_fail(err, FLV_EINVAL, "reward '%s' needs environment 'ising', not '%s'", reward->name,
                  env->name);
}

static double ising_log_z(const flv_reward *reward, const flv_env *env) {
  const flv_fill *lattice = env->self;
  return flv_ising_log_z(lattice->side, *(const double *)reward->self * reward->exponent);
}

static flv_status ising_create(flv_reward *reward, const void *values, flv_error *err) {
  const ising_cfg *cfg = values;
  double *j = malloc(sizeof *j);
  if (!j) return flv_fail(err, FLV_ENOMEM, "out of memory for reward 'ising'");
  *j = cfg->j;
  *reward = (flv_reward){.name = "ising",
                         .self = j,
                         .exponent = cfg->exponent,
                         .log_reward = ising_log_reward,
                         .bind = ising_bind,
                         .log_z = ising_log_z,
                         .free_self = free};
  return FLV_OK;
}

static const flv_reward_impl ising_impl = {ising_create};
const flv_component flv_reward_ising = {
    "ising",           "ising: neighbours on the lattice that like, or dislike, to be alike",
    ising_params,      sizeof ising_params / sizeof *ising_params,
    sizeof(ising_cfg), &ising_impl};
