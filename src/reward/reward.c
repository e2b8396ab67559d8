// Rewards by name, and tempering.
#include "fluvial/reward.h"

#include <math.h>
#include <stdlib.h>

#include "reward/reward_list.h"

#define ENTRY(name) &flv_reward_##name,
const flv_component *const flv_reward_list[] = {FLV_REWARDS(ENTRY) NULL};
#undef ENTRY

flv_reward *flv_reward_new(const flv_config *cfg, flv_error *err) {
  const flv_component *component = flv_config_component(cfg, "reward");
  if (!component) {
    flv_fail(err, FLV_EINVAL, "the configuration has no section 'reward'");
    return NULL;
  }
  flv_reward *reward = calloc(1, sizeof *reward);
  if (!reward) {
    flv_fail(err, FLV_ENOMEM, "out of memory for reward '%s'", component->name);
    return NULL;
  }
  const flv_reward_impl *impl = component->impl;
  if (impl->create(reward, flv_config_values(cfg, "reward"), err) != FLV_OK) {
    free(reward);
    return NULL;
  }
  return reward;
}

void flv_reward_free(flv_reward *reward) {
  if (!reward) return;
  if (reward->free_self) reward->free_self(reward->self);
  free(reward);
}

static double exponent_of(const flv_reward *reward) {
  return reward->exponent > 0.0 ? reward->exponent : 1.0;
}

static double scale_of(const flv_reward *reward) {
  return reward->scale > 0.0 ? reward->scale : 1.0;
}

double flv_reward_value(const flv_reward *reward, double log_r) {
  return scale_of(reward) * exp(log_r / exponent_of(reward));
}

double flv_reward_log_of(const flv_reward *reward, double value) {
  return exponent_of(reward) * log(value / scale_of(reward));
}

void flv_reward_log(const flv_reward *reward, const flv_env *env, int n, const void *states,
                    double *log_r) {
  reward->log_reward(reward, env, n, states, log_r);
  const double beta = exponent_of(reward);
  for (int i = 0; i < n; i++) log_r[i] *= beta; // beta > 0 keeps -INFINITY
}

double flv_reward_log_z(const flv_reward *reward, const flv_env *env) {
  return reward->log_z ? reward->log_z(reward, env) : (double)NAN;
}
