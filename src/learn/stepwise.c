#include "learn/stepwise.h"

#include <string.h>

#include "base/memory.h"

#define STEPS_KEYS(X)                                                                              \
  X(INT, envs, "8", 1, 65536, "", "environments, each of which takes one step per update")         \
  X(LONG, prefill, "1000", 0, 1000000000, "",                                                      \
    "steps of each by the uniform policy before the first update; more where none has ended yet")
typedef struct steps_cfg {
  STEPS_KEYS(FLV_FIELD)
} steps_cfg;
#define FLV_STRUCT steps_cfg
static const flv_param steps_params[] = {STEPS_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static const flv_component episodes = {
    .name = "episodes", .help = "whole trajectories, made anew in each iteration", .size = 1};
static const flv_component steps = {
    .name = "steps",
    .help = "one step per update of each of some environments, into the replay buffer, from which "
            "the whole batch is drawn",
    .params = steps_params,
    .n_params = sizeof steps_params / sizeof *steps_params,
    .size = sizeof(steps_cfg)};
const flv_component *const flv_collect_list[] = {&episodes, &steps, NULL};

flv_status flv_stepwise_init(flv_stepwise *stepwise, const flv_component *component,
                             const void *cfg, const flv_policy *policy, bool interned,
                             flv_error *err) {
  flv_stepwise s = {0};
  *stepwise = s;
  if (component != &steps) return FLV_OK;
  const steps_cfg *c = cfg;
  const flv_env *env = policy->env;
  s.n = c->envs;
  s.prefill = c->prefill;
  s.width = env->max_length;
  const size_t n = (size_t)s.n, size = env->state_size;
  const flv_slot slots[] = {FLV_SLOT(s.steps, 1),         FLV_SLOT(s.episode, n),
                            FLV_SLOT(s.length, n),        FLV_SLOT(s.action, n * (size_t)s.width),
                            FLV_SLOT(s.log_pi, n),        FLV_SLOT(s.state, n * size),
                            FLV_SLOT(s.before, n * size), FLV_SLOT(s.taken, n),
                            FLV_SLOT(s.ended, n)};
  s.block = flv_bind(sizeof slots / sizeof *slots, slots);
  flv_status status = s.block ? flv_batch_init(&s.batch, policy, s.n, interned, false, err)
                              : flv_fail(err, FLV_ENOMEM, "out of memory for %d environments", s.n);
  if (status == FLV_OK) status = flv_sampler_init(&s.sampler, &s.batch, err);
  if (status != FLV_OK) {
    flv_stepwise_free(&s);
    return status;
  }
  env->ops->reset(env, s.n, s.state);
  *stepwise = s;
  return FLV_OK;
}

void flv_stepwise_free(flv_stepwise *stepwise) {
  flv_sampler_free(&stepwise->sampler);
  flv_batch_free(&stepwise->batch);
  flv_free(stepwise->block);
  *stepwise = (flv_stepwise){0};
}

// The action that environment e takes at its row, and its log-probability.
static int choose(flv_stepwise *s, const flv_policy *policy, const flv_explore *explore,
                  uint64_t seed, int e, double *log_pi) {
  flv_batch *b = &s->batch;
  const int row = b->row[e];
  const flv_rng actions = {seed, FLV_RNG_ACTION, (uint64_t)s->episode[e]};
  const flv_rng heads = {seed, FLV_RNG_HEAD, (uint64_t)s->episode[e]};
  double u[2];
  flv_rng_uniform2(actions, (uint32_t)e, (uint32_t)s->length[e], u);
  if (!(explore->epsilon < 1.0)) {
    const uint8_t *mask = b->mask + (size_t)row * (size_t)b->env->n_actions;
    return flv_sampler_choose_uniformly(&s->sampler, explore, mask, u, log_pi);
  }
  const int head =
      explore->heads > 0 ? (int)(flv_rng_uniform(heads, (uint32_t)e, 0) * explore->heads) : 0;
  return flv_sampler_choose(&s->sampler, b, policy, explore, head, row, u, log_pi);
}

void flv_stepwise_step(flv_stepwise *stepwise, const flv_policy *policy, const flv_explore *explore,
                       uint64_t seed, int threads) {
  flv_stepwise *s = stepwise;
  flv_batch *b = &s->batch;
  const flv_env *env = b->env;
  const size_t size = env->state_size;
  flv_batch_clear(b);
  for (int e = 0; e < s->n; e++) b->row[e] = flv_batch_row(b, s->state + (size_t)e * size, -1);
  if (explore->epsilon < 1.0)
    flv_batch_evaluate_pf(b, policy, threads);
  else
    env->ops->mask(env, b->rows.n, b->rows.states, b->mask);
  for (int e = 0; e < s->n; e++) {
    double log_pi;
    s->taken[e] = choose(s, policy, explore, seed, e, &log_pi);
    s->action[(size_t)e * (size_t)s->width + (size_t)s->length[e]++] = s->taken[e];
    s->log_pi[e] += log_pi;
    s->ended[e] = s->taken[e] == env->exit_action;
  }
  memcpy(s->before, s->state, (size_t)s->n * size);
  env->ops->step(env, s->n, s->state, s->taken);
  if (env->exit_action < 0) env->ops->terminal(env, s->n, s->state, s->ended);
  ++*s->steps;
}

void flv_stepwise_append_step(const flv_stepwise *stepwise, int e, flv_sampler *sampler,
                              flv_batch *batch) {
  const flv_stepwise *s = stepwise;
  flv_sampler_append_fragment(sampler, batch, s->before + (size_t)e * batch->env->state_size, 1,
                              s->taken + e, 0.0);
}

void flv_stepwise_append_episode(const flv_stepwise *stepwise, int e, flv_sampler *sampler,
                                 flv_batch *batch) {
  const flv_stepwise *s = stepwise;
  flv_sampler_append(sampler, batch, s->length[e], s->action + (size_t)e * (size_t)s->width,
                     s->log_pi[e]);
}

int flv_stepwise_restart(flv_stepwise *stepwise) {
  flv_stepwise *s = stepwise;
  const flv_env *env = s->batch.env;
  int n = 0;
  for (int e = 0; e < s->n; e++) {
    if (!s->ended[e]) continue;
    env->ops->reset(env, 1, s->state + (size_t)e * env->state_size);
    s->length[e] = 0;
    s->log_pi[e] = 0.0;
    s->episode[e]++;
    n++;
  }
  return n;
}
