// An environment without exit action for tests: subsets of SIZE out of ITEMS things, added one by
// one in any order, so that an object has SIZE! trajectories.
#ifndef FLUVIAL_TESTS_SUBSETS_H
#define FLUVIAL_TESTS_SUBSETS_H

#include <math.h>
#include <stdint.h>

#include "fluvial/env.h"
#include "fluvial/reward.h"

enum { ITEMS = 6, SIZE = 3 };

typedef struct subsets { // no parameters
  int unused;
} subsets;
typedef struct subset {
  uint64_t items;
} subset;

static inline int subset_size(const subset *s) {
  int n = 0;
  for (int i = 0; i < ITEMS; i++) n += (int)(s->items >> i & 1);
  return n;
}

#define ENV subsets
#define STATE subset
#define ENV_OPS subsets_ops
#define ENV_TERMINAL
#define ENV_ENUMERABLE
static inline void env_reset(const subsets *e, subset *s) { (void)e, (void)s; }
static inline void env_step(const subsets *e, subset *s, int action) {
  (void)e;
  s->items |= UINT64_C(1) << action;
}
static inline void env_unstep(const subsets *e, subset *s, int back) {
  (void)e;
  s->items &= ~(UINT64_C(1) << back);
}
static inline void env_mask(const subsets *e, const subset *s, uint8_t *mask) {
  (void)e;
  for (int i = 0; i < ITEMS; i++) mask[i] = subset_size(s) < SIZE && !(s->items >> i & 1);
}
static inline void env_mask_back(const subsets *e, const subset *s, uint8_t *mask) {
  (void)e;
  for (int i = 0; i < ITEMS; i++) mask[i] = s->items >> i & 1;
}
static inline int env_back_of(const subsets *e, const subset *parent, int action) {
  (void)e, (void)parent;
  return action;
}
static inline int env_action_of(const subsets *e, const subset *child, int back) {
  (void)e, (void)child;
  return back;
}
static inline void env_observe(const subsets *e, const subset *s, int32_t *hot, float *x) {
  (void)e, (void)hot;
  for (int i = 0; i < ITEMS; i++) x[i] = (float)(s->items >> i & 1);
}
static inline bool env_terminal(const subsets *e, const subset *s) {
  (void)e;
  return subset_size(s) == SIZE;
}
static inline int64_t env_index(const subsets *e, const subset *s) {
  (void)e;
  return (int64_t)s->items;
}
static inline void env_at(const subsets *e, int64_t index, subset *s) {
  (void)e;
  s->items = (uint64_t)index;
}
#include "fluvial/env_template.h"

// enumerable false: too many states, as far as anyone is told.
static inline flv_env subsets_env(bool enumerable) {
  static subsets none;
  return (flv_env){.name = "subsets",
                   .ops = &subsets_ops,
                   .self = &none,
                   .state_size = sizeof(subset),
                   .n_actions = ITEMS,
                   .n_back = ITEMS,
                   .exit_action = -1,
                   .max_length = SIZE,
                   .n_features = ITEMS,
                   .n_states = enumerable ? 1 << ITEMS : 0};
}

static inline flv_status subsets_log_reward(const flv_reward *reward, const flv_env *env, int n,
                                            const void *states, double *log_r, flv_error *err) {
  (void)reward, (void)env, (void)err;
  for (int i = 0; i < n; i++) log_r[i] = sin(1.7 * (double)((const subset *)states)[i].items);
  return FLV_OK;
}

static inline flv_reward subsets_reward(void) {
  return (flv_reward){.name = "sine", .exponent = 1.0, .log_reward = subsets_log_reward};
}

#endif
