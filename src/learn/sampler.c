#include "learn/sampler.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

flv_status flv_sampler_init(flv_sampler *sampler, const flv_batch *batch, flv_error *err) {
  flv_sampler s = {.env = batch->env};
  const size_t n = (size_t)batch->max_n;
  const flv_slot slots[] = {FLV_SLOT(s.state, n * s.env->state_size),
                            FLV_SLOT(s.active, n),
                            FLV_SLOT(s.action, n),
                            FLV_SLOT(s.back, n),
                            FLV_SLOT(s.count, n),
                            FLV_SLOT(s.terminal, n),
                            FLV_SLOT(s.log_pi, (size_t)batch->max_rows * (size_t)s.env->n_actions)};
  s.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!s.block)
    return flv_fail(err, FLV_ENOMEM, "out of memory for sampling %d trajectories", batch->max_n);
  *sampler = s;
  return FLV_OK;
}

void flv_sampler_free(flv_sampler *sampler) {
  flv_free(sampler->block);
  *sampler = (flv_sampler){0};
}

// Behaviour log-probabilities, by row, of all rows evaluated so far.
static const double *behaviour(flv_sampler *s, const flv_batch *b, const flv_policy *policy,
                               const flv_explore *explore) {
  if (!explore->active) return b->log_pf;
  const float *logits = b->acts.value[policy->pf];
  for (; s->explored < b->evaluated; s->explored++) {
    const size_t at = (size_t)s->explored * (size_t)s->env->n_actions;
    flv_explore_log_pi(explore, s->env, logits + at, b->mask + at, s->log_pi + at);
  }
  return s->log_pi;
}

// The action whose interval of the cumulative distribution holds u; rounding at the top falls to
// the last action that has any probability.
static int draw(int n, const double *log_p, double u) {
  int last = 0;
  for (int a = 0; a < n; a++) {
    if (!(log_p[a] > -HUGE_VAL)) continue;
    last = a;
    u -= exp(log_p[a]);
    if (u < 0.0) return a;
  }
  return last;
}

// Position t of trajectory i stands at i*width + t while sampling; pack removes the gaps.
static void pack(flv_batch *b, int first, int n, const int32_t *count) {
  for (int i = first; i < first + n; i++) {
    const size_t from = (size_t)i * (size_t)b->width, to = (size_t)b->offset[i];
    const size_t bytes = (size_t)count[i - first] * sizeof *b->row;
    memmove(b->row + to, b->row + from, bytes);
    memmove(b->action + to, b->action + from, bytes);
    memmove(b->back + to, b->back + from, bytes);
    b->offset[i + 1] = b->offset[i] + count[i - first];
  }
  b->n = first + n;
}

// Steps the active trajectories that did not take the exit; returns how many stay active.
static int advance(flv_sampler *s, flv_batch *b, int first, int n_active) {
  const flv_env *env = s->env;
  const size_t size = env->state_size;
  int n = 0;
  for (int k = 0; k < n_active; k++) { // close the gaps that exits leave
    if (s->action[k] == env->exit_action) continue;
    s->active[n] = s->active[k];
    s->action[n] = s->action[k];
    if (n != k) memcpy(s->state + (size_t)n * size, s->state + (size_t)k * size, size);
    n++;
  }
  env->ops->back_of(env, n, s->state, s->action, s->back);
  env->ops->step(env, n, s->state, s->action);
  if (env->exit_action < 0) env->ops->terminal(env, n, s->state, s->terminal);
  int alive = 0;
  for (int k = 0; k < n; k++) {
    const int i = s->active[k];
    const size_t p = (size_t)(first + i) * (size_t)b->width + (size_t)s->count[i]++;
    b->row[p] = flv_batch_row(b, s->state + (size_t)k * size);
    b->back[p] = s->back[k];
    b->action[p] = -1;
    if (env->exit_action < 0 && s->terminal[k]) continue;
    s->active[alive] = i;
    if (alive != k) memcpy(s->state + (size_t)alive * size, s->state + (size_t)k * size, size);
    alive++;
  }
  return alive;
}

// s_0 of n trajectories behind those the batch has.
static void start(flv_sampler *s, flv_batch *b, int n) {
  s->env->ops->reset(s->env, n, s->state);
  for (int i = 0; i < n; i++) {
    const size_t p = (size_t)(b->n + i) * (size_t)b->width;
    s->active[i] = i;
    s->count[i] = 1;
    b->row[p] = flv_batch_row(b, s->state + (size_t)i * s->env->state_size);
    b->back[p] = b->action[p] = -1;
    b->log_pi[b->n + i] = 0.0;
  }
}

void flv_sampler_run(flv_sampler *sampler, flv_batch *batch, const flv_policy *policy,
                     const flv_explore *explore, flv_rng rng, int n, int threads) {
  flv_sampler *s = sampler;
  flv_batch *b = batch;
  const int first = b->n, a = s->env->n_actions;
  if (first == 0) s->explored = 0;
  start(s, b, n);
  for (int n_active = n, step = 0; n_active > 0; step++) {
    flv_batch_evaluate_pf(b, policy, threads);
    const double *log_pi = behaviour(s, b, policy, explore);
    for (int k = 0; k < n_active; k++) {
      const int i = s->active[k];
      const size_t p = (size_t)(first + i) * (size_t)b->width + (size_t)s->count[i] - 1;
      const double *row = log_pi + (size_t)b->row[p] * (size_t)a;
      const int action = draw(a, row, flv_rng_uniform(rng, (uint32_t)i, (uint32_t)step));
      b->action[p] = s->action[k] = action;
      b->log_pi[first + i] += row[action];
    }
    n_active = advance(s, b, first, n_active);
  }
  pack(b, first, n, s->count);
}

void flv_sampler_append(flv_sampler *sampler, flv_batch *batch, int length, const int32_t *action,
                        double log_pi) {
  flv_sampler *s = sampler;
  flv_batch *b = batch;
  const int i = b->n;
  start(s, b, 1);
  for (int t = 0; t < length; t++) {
    b->action[(size_t)i * (size_t)b->width + (size_t)t] = s->action[0] = action[t];
    s->active[0] = 0;
    advance(s, b, i, 1);
  }
  b->log_pi[i] = log_pi;
  pack(b, i, 1, s->count);
}
