// Your own environment and reward in one file: subsets of items, added one by one, that fit a
// knapsack. R(x) = exp(value of x); a set's items may come in any order, so trajectories are many
// and P_B matters.
#include <math.h>
#include <stdio.h>

#include "fluvial/fluvial.h"

enum { ITEMS = 10, CAPACITY = 20 };
typedef struct knapsack {
  int weight[ITEMS];
  double value[ITEMS];
} knapsack;
typedef struct set { // the whole record: compared and hashed byte by byte
  uint64_t items;
} set;

static int weight_of(const knapsack *k, uint64_t items) {
  int sum = 0;
  for (int i = 0; i < ITEMS; i++) sum += items >> i & 1 ? k->weight[i] : 0;
  return sum;
}

#define ENV knapsack
#define STATE set
#define ENV_OPS knapsack_ops
#define ENV_ENUMERABLE
static inline void env_reset(const knapsack *k, set *s) {
  (void)k, (void)s;
} // the empty set: all zero
static inline void env_step(const knapsack *k, set *s, int action) {
  (void)k, s->items |= UINT64_C(1) << action;
}
static inline void env_unstep(const knapsack *k, set *s, int back) {
  (void)k, s->items &= ~(UINT64_C(1) << back);
}
static inline void env_mask(const knapsack *k, const set *s, uint8_t *mask) {
  for (int i = 0; i < ITEMS; i++)
    mask[i] = !(s->items >> i & 1) && weight_of(k, s->items) + k->weight[i] <= CAPACITY;
  mask[ITEMS] = 1; // exit: any set may be the object
}
static inline void env_mask_back(const knapsack *k, const set *s, uint8_t *mask) {
  (void)k;
  for (int i = 0; i < ITEMS; i++) mask[i] = s->items >> i & 1;
}
static inline int env_back_of(const knapsack *k, const set *s, int action) {
  return (void)k, (void)s, action;
}
static inline int env_action_of(const knapsack *k, const set *s, int back) {
  return (void)k, (void)s, back;
}
static inline void env_observe(const knapsack *k, const set *s, int32_t *hot, float *x) {
  (void)k, (void)hot;
  for (int i = 0; i < ITEMS; i++) x[i] = (float)(s->items >> i & 1);
}
// Adding an item makes the number larger, so the bits themselves are a topological order. Sets that
// are too heavy are never reached.
static inline int64_t env_index(const knapsack *k, const set *s) {
  return (void)k, (int64_t)s->items;
}
static inline void env_at(const knapsack *k, int64_t index, set *s) {
  (void)k, s->items = (uint64_t)index;
}
#include "fluvial/env_template.h"

static flv_status log_value(const flv_reward *reward, const flv_env *env, int n, const void *states,
                            double *log_r, flv_error *err) {
  (void)err;
  const knapsack *k = reward->self;
  const set *s = states;
  (void)env;
  for (int j = 0; j < n; j++) {
    log_r[j] = weight_of(k, s[j].items) <= CAPACITY ? 0.0 : -HUGE_VAL;
    for (int i = 0; i < ITEMS; i++) log_r[j] += s[j].items >> i & 1 ? k->value[i] : 0.0;
  }
  return FLV_OK;
}

int main(void) {
  knapsack k = {{3, 5, 2, 7, 4, 6, 1, 8, 3, 5}, {0.9, 1.4, 0.3, 2.0, 1.1, 1.8, 0.2, 2.5, 0.7, 1.2}};
  const flv_env env = {.name = "knapsack",
                       .ops = &knapsack_ops,
                       .self = &k,
                       .state_size = sizeof(set),
                       .n_actions = ITEMS + 1,
                       .n_back = ITEMS,
                       .exit_action = ITEMS,
                       .max_length = ITEMS + 1,
                       .n_features = ITEMS,
                       .n_states = 1 << ITEMS};
  const flv_reward reward = {.name = "value", .self = &k, .exponent = 1.0, .log_reward = log_value};
  flv_error err = {0};
  flv_evaluation e = {0};
  flv_status status = FLV_OK;
  flv_config *cfg = flv_config_new(&err);
  if (cfg) status = flv_config_set(cfg, "objective", "tb", &err);
  flv_trainer *trainer =
      cfg && status == FLV_OK ? flv_trainer_new(cfg, &env, &reward, 0, &err) : NULL;
  for (int i = 1; trainer && status == FLV_OK && i <= 1500; i++) {
    status = flv_trainer_step(trainer, NULL, &err);
    if (status == FLV_OK && i % 500 == 0) status = flv_trainer_evaluate(trainer, 0, &e, &err);
    if (status == FLV_OK && i % 500 == 0)
      printf("iteration %4d  log Z %.3f (true %.3f)  JSD %.2e\n", i, e.log_z, e.log_z_true, e.jsd);
  }
  if (err.status != FLV_OK) fprintf(stderr, "%s\n", err.text);
  flv_trainer_free(trainer);
  flv_config_free(cfg);
  return trainer && status == FLV_OK && e.jsd < 1e-2 ? 0 : 1;
}
