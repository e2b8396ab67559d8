// Rewards by name, tempering, and what is no reward.
#include "fluvial/reward.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "env/columns.h"
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

// The object as the text it has (the empty one has none), else as a row of numbers, as many as
// there is room for.
static flv_status refuse(const flv_reward *reward, const flv_env *env, const void *state,
                         double log_r, flv_error *err) {
  enum { NUMBER = 24, NUMBERS = 300 };
  char text[FLV_OBJECT_TEXT] = "";
  const int columns = flv_columns_count(env);
  if (!env->text_name || env->ops->text(env, state, text, sizeof text, NULL) != FLV_OK) {
    int32_t *cells = calloc((size_t)columns + 1, sizeof *cells);
    if (cells) flv_columns_fill(env, 1, state, cells);
    for (int k = 0, used = 0; cells && k < columns && used < NUMBERS; k++) {
      const char *space = k > 0 ? " " : "";
      used += used + NUMBER >= NUMBERS ? snprintf(text + used, NUMBER, " ...") + NUMBERS
              : flv_columns_whole(env) ? snprintf(text + used, NUMBER, "%s%d", space, (int)cells[k])
                                       : snprintf(text + used, NUMBER, "%s%g", space,
                                                  (double)((const float *)(const void *)cells)[k]);
    }
    free(cells);
  }
  return flv_fail(err, FLV_ENAN, "reward '%s': log R is %g for the object %.400s", reward->name,
                  log_r, text);
}

flv_status flv_reward_log(const flv_reward *reward, const flv_env *env, int n, const void *states,
                          double *log_r, flv_error *err) {
  const flv_status status = reward->log_reward(reward, env, n, states, log_r, err);
  if (status != FLV_OK) {
    if (err && err->status == FLV_OK) // it did not say why
      flv_fail(err, status, "reward '%s': %s", reward->name, flv_status_text(status));
    return status;
  }
  const double beta = exponent_of(reward);
  for (int i = 0; i < n; i++) {
    if (!(log_r[i] < HUGE_VAL))
      return refuse(reward, env, (const unsigned char *)states + (size_t)i * env->state_size,
                    log_r[i], err);
    log_r[i] *= beta; // beta > 0 keeps -INFINITY
  }
  return FLV_OK;
}

void flv_reward_watch(const flv_reward *reward, const volatile int *stop) {
  if (reward->watch) reward->watch(reward, stop);
}

double flv_reward_log_z(const flv_reward *reward, const flv_env *env) {
  return reward->log_z ? reward->log_z(reward, env) : (double)NAN;
}
