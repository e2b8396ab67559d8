// What tests of log p of given molecules share. cmocka is included before.
#ifndef FLUVIAL_TESTS_MOLECULE_EVAL_FIXTURE_H
#define FLUVIAL_TESTS_MOLECULE_EVAL_FIXTURE_H

#include <stdio.h>

#include "env/fragments.h"
#include "env_fixture.h"

// keys and values after that of the path, each with a separator before it.
static inline flv_env open_env(const char *path, const char *keys, const char *values) {
  flv_env env;
  flv_error err = {0};
  char text[1100], names[64];
  snprintf(names, sizeof names, "path%s", keys);
  snprintf(text, sizeof text, "%s%s", path, values);
  if (create("fragments", names, text, NULL, &env, &err)) fail_msg("%s", err.text);
  return env;
}

// Uniform in (-2, 2), by bytes.
static inline double random_logit(const void *bytes, size_t n, uint64_t action) {
  uint64_t x = action + 1;
  for (size_t i = 0; i < n; i++) {
    x = (x ^ ((const unsigned char *)bytes)[i]) * 0x9E3779B97F4A7C15u;
    x ^= x >> 29;
  }
  x = (x ^ x >> 27) * 0x94D049BB133111EBu;
  return 4.0 * ((double)((x ^ x >> 31) >> 11) * 0x1p-53) - 2.0;
}

#endif
