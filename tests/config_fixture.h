// A small table of sections for tests of configuration, and what may be said of one. cmocka is
// included before.
#ifndef FLUVIAL_TESTS_CONFIG_FIXTURE_H
#define FLUVIAL_TESTS_CONFIG_FIXTURE_H

#include <math.h>

#include "base/config_values.h"

#define TOP_KEYS(X)                                                                                \
  X(LONG, seed, "0", 0, 9223372036854775807.0, "", "random seed")                                  \
  X(LONG, iterations, "1e6", 1, 1e15, "", "updates")                                               \
  X(TEXT, title, "", 0, 0, "", "for people")
typedef struct top_cfg {
  TOP_KEYS(FLV_FIELD)
} top_cfg;
#define FLV_STRUCT top_cfg
static const flv_param top_params[] = {TOP_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

#define GRID_KEYS(X)                                                                               \
  X(INT, side, "8", 2, 65535, "", "cells along each axis")                                         \
  X(INTS, sides, "[8, 8]", 2, 65535, "", "cells along every axis")                                 \
  X(BOOL, wrap, "no", 0, 0, "", "whether the edges meet")                                          \
  X(CHOICE, corner, "low", 0, 0, "low|middle|high", "where it starts")                             \
  X(REAL, r0, "1e-3", 0, 1e6, "", "floor")                                                         \
  X(REAL, limit, "inf", 0, HUGE_VAL, "", "no more than this")                                      \
  X(REALS, weights, "[0.5, 0.75]", -1e300, 1e300, "", "weights")                                   \
  X(TEXT, path, "", 0, 0, "", "a file")
typedef struct grid_cfg {
  GRID_KEYS(FLV_FIELD)
} grid_cfg;
#define FLV_STRUCT grid_cfg
static const flv_param grid_params[] = {GRID_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

#define BITS_KEYS(X) X(INT, length, "16", 1, 64, "", "bits")
typedef struct bits_cfg {
  BITS_KEYS(FLV_FIELD)
} bits_cfg;
#define FLV_STRUCT bits_cfg
static const flv_param bits_params[] = {BITS_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

#define COUNT(array) (int)(sizeof(array) / sizeof *(array))
static const flv_component top = {"top", "", top_params, COUNT(top_params), sizeof(top_cfg), NULL};
static const flv_component grid = {"hypergrid",      "",  grid_params, COUNT(grid_params),
                                   sizeof(grid_cfg), NULL};
static const flv_component bits = {"bits",           "",  bits_params, COUNT(bits_params),
                                   sizeof(bits_cfg), NULL};
static const flv_component tb = {"tb", "", NULL, 0, 1, NULL}, db = {"db", "", NULL, 0, 1, NULL};
static const flv_component *const tops[] = {&top, NULL}, *const envs[] = {&grid, &bits, NULL};
static const flv_component *const objectives[] = {&tb, &db, NULL};
static const flv_section sections[] = {{"", "run", tops},
                                       {"env", "environment: what is built", envs},
                                       {"objective", "objective", objectives},
                                       {NULL, NULL, NULL}};

static inline flv_config *make(void) {
  flv_error err = {0};
  flv_config *cfg = flv_config_create(sections, &err);
  assert_non_null(cfg);
  return cfg;
}

static inline void assert_set(flv_config *cfg, const char *key, const char *value,
                              const char *text) {
  flv_error err = {0};
  char back[FLV_VALUE_TEXT];
  if (flv_config_set(cfg, key, value, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_int_equal(flv_config_get(cfg, key, back, sizeof back, &err), FLV_OK);
  assert_string_equal(back, text);
}

static inline void assert_same(const flv_config *a, const flv_config *b) {
  for (const flv_section *s = sections; s->name; s++) {
    const flv_component *component = flv_config_component(a, s->name);
    assert_ptr_equal(component, flv_config_component(b, s->name));
    const void *x = flv_config_values(a, s->name), *y = flv_config_values(b, s->name);
    assert_memory_equal(x, y, component->size);
  }
}

// The failed call says exactly this and changes nothing.
static inline void assert_refused(flv_config *cfg, const char *key, const char *value,
                                  const char *message) {
  flv_error err = {0};
  flv_config *before = flv_config_clone(cfg, &err);
  assert_non_null(before);
  assert_int_equal(flv_config_set(cfg, key, value, &err), FLV_EINVAL);
  assert_string_equal(err.text, message);
  assert_int_equal(err.status, FLV_EINVAL);
  assert_same(cfg, before);
  flv_config_free(before);
  assert_int_equal(flv_config_set(cfg, key, value, NULL), FLV_EINVAL);
}

#endif
