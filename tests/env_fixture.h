// Environments of the list by name, with parameters that are not their defaults. cmocka is included
// before.
#ifndef FLUVIAL_TESTS_ENV_FIXTURE_H
#define FLUVIAL_TESTS_ENV_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_values.h"
#include "env/env_list.h"
#include "fluvial/env.h"

// key: several may be named, with commas between them, and their texts likewise, with semicolons;
// NULL: none. shape: from the reward, or NULL.
static inline flv_status create(const char *name, const char *key, const char *text,
                                const flv_shape *shape, flv_env *env, flv_error *err) {
  const flv_component *found = NULL;
  for (int k = 0; flv_env_list[k]; k++)
    if (strcmp(flv_env_list[k]->name, name) == 0) found = flv_env_list[k];
  assert_non_null(found);
  void *values = calloc(1, found->size);
  assert_non_null(values);
  if (flv_params_default(found, values, err) != FLV_OK) fail_msg("%s", err->text);
  while (key && *key) {
    char one[64] = "", value[256] = "";
    assert_true(sscanf(key, "%63[^,]", one) == 1 && sscanf(text, "%255[^;]", value) == 1);
    key += strlen(one) + (key[strlen(one)] == ',');
    text += strlen(value) + (text[strlen(value)] == ';');
    const flv_param *param = flv_param_find(found, one);
    assert_non_null(param);
    if (flv_param_parse(param, value, values, err) != FLV_OK) fail_msg("%s", err->text);
  }
  const flv_env_impl *impl = found->impl;
  const flv_status status = impl->create(env, values, shape, err);
  free(values);
  return status;
}

static inline void close_env(flv_env *env) {
  if (env->free_self) env->free_self(env->self);
}

#endif
