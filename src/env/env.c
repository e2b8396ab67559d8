// Environments by name.
#include "fluvial/env.h"

#include <stdlib.h>

#include "env/env_list.h"

#define ENTRY(name) &flv_env_##name,
const flv_component *const flv_env_list[] = {FLV_ENVS(ENTRY) NULL};
#undef ENTRY

flv_env *flv_env_new(const flv_config *cfg, const flv_shape *shape, flv_error *err) {
  const flv_component *component = flv_config_component(cfg, "env");
  if (!component) {
    flv_fail(err, FLV_EINVAL, "the configuration has no section 'env'");
    return NULL;
  }
  flv_env *env = calloc(1, sizeof *env);
  if (!env) {
    flv_fail(err, FLV_ENOMEM, "out of memory for environment '%s'", component->name);
    return NULL;
  }
  const flv_env_impl *impl = component->impl;
  if (impl->create(env, flv_config_values(cfg, "env"), shape, err) != FLV_OK) {
    free(env);
    return NULL;
  }
  return env;
}

void flv_env_free(flv_env *env) {
  if (!env) return;
  if (env->free_self) env->free_self(env->self);
  free(env);
}
