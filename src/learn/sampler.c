#include "learn/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/logmath.h"
#include "base/memory.h"
#include "learn/logits.h"

flv_status flv_sampler_init(flv_sampler *sampler, const flv_batch *batch, flv_error *err) {
  flv_sampler s = {.env = batch->env};
  const size_t n = (size_t)batch->max_n;
  const flv_slot slots[] = {FLV_SLOT(s.state, n * s.env->state_size),
                            FLV_SLOT(s.active, n),
                            FLV_SLOT(s.action, n),
                            FLV_SLOT(s.back, n),
                            FLV_SLOT(s.count, n),
                            FLV_SLOT(s.terminal, n),
                            FLV_SLOT(s.head, n),
                            FLV_SLOT(s.stop, n),
                            FLV_SLOT(s.log_one, s.env->n_actions),
                            FLV_SLOT(s.pi_one, s.env->n_actions),
                            FLV_SLOT(s.mask_one, s.env->n_actions),
                            FLV_SLOT(s.pi, (size_t)batch->max_rows * (size_t)s.env->n_actions)};
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

// The action whose interval of the cumulative distribution holds u, 0 <= u < 1; rounding at the top
// falls to the last action that has any probability.
static int draw(int n, const double *p, double u) {
  int last = 0;
  for (int a = 0; a < n; a++) {
    if (!(p[a] > 0.0)) continue;
    last = a;
    u -= p[a];
    if (u < 0.0) return a;
  }
  return last;
}

// The same from logarithms. A block's exponentials are taken together, and blocks below u are
// passed over by their sums.
static int draw_log(int n, const double *log_p, double u) {
  enum { BLOCK = 64 };
  double p[BLOCK];
  for (int first = 0; first < n; first += BLOCK) {
    const int m = n - first < BLOCK ? n - first : BLOCK;
    const double sum = flv_exp_row(m, log_p + first, p);
    if (u < sum) return first + draw(m, p, u);
    u -= sum;
  }
  int last = n - 1;
  while (last > 0 && !(log_p[last] > -HUGE_VAL)) last--;
  return last;
}

// Behaviour probabilities of one row, kept for those who come to it later.
static const double *behaviour(flv_sampler *s, const flv_batch *b, const flv_explore *explore,
                               int row) {
  const size_t n = (size_t)s->env->n_actions;
  if (s->filling != b->filling) s->explored = 0;
  s->filling = b->filling;
  for (; s->explored < b->evaluated; s->explored++) {
    const size_t at = (size_t)s->explored * n;
    flv_explore_pi(explore, s->env, b->log_pf + at, b->mask + at, s->pi + at);
  }
  return s->pi + (size_t)row * n;
}

int flv_sampler_choose_uniformly(flv_sampler *sampler, const flv_explore *explore,
                                 const uint8_t *mask, const double u[2], double *log_pi) {
  flv_sampler *s = sampler;
  flv_explore_uniform(explore, s->env, mask, s->pi_one);
  const int action = draw(s->env->n_actions, s->pi_one, u[0]);
  *log_pi = log(s->pi_one[action]);
  return action;
}

// Behaviour at one row: probabilities pi, or, where pi is NULL, log_p, which are P_F's own.
typedef struct chances {
  const double *log_p, *pi; // [n_actions]
} chances;

static bool shut(const flv_batch *b, int row) { return b->unmasked && b->shut[row]; }

// The legal actions at a row.
static const uint8_t *legal(flv_sampler *s, const flv_batch *b, int row) {
  const size_t a = (size_t)s->env->n_actions;
  const uint8_t *mask = b->mask + (size_t)row * a;
  if (!shut(b, row)) return mask;
  memcpy(s->mask_one, mask, a);
  s->mask_one[s->env->exit_action] = 0;
  return s->mask_one;
}

// In place: given that the exit is not taken.
static void close_exit(const flv_env *env, double *log_p) {
  log_p[env->exit_action] = -HUGE_VAL;
  const double others = flv_logsumexp(env->n_actions, log_p);
  for (int a = 0; a < env->n_actions; a++) log_p[a] -= others;
}

static chances chances_at(flv_sampler *s, const flv_batch *b, const flv_policy *policy,
                          const flv_explore *explore, int head, int row) {
  const size_t r = (size_t)row, a = (size_t)s->env->n_actions;
  if (explore->heads == 0 && !shut(b, row))
    return (chances){b->log_pf + r * a, explore->active ? behaviour(s, b, explore, row) : NULL};
  if (explore->heads > 0) {
    const size_t at = (r * (size_t)policy->n_heads + (size_t)head) * a;
    flv_policy_log_pf(policy, b->acts.value[policy->heads] + at, b->mask + r * a, s->log_one);
  } else {
    memcpy(s->log_one, b->log_pf + r * a, a * sizeof *s->log_one);
  }
  if (shut(b, row)) close_exit(s->env, s->log_one);
  if (explore->active) flv_explore_pi(explore, s->env, s->log_one, legal(s, b, row), s->pi_one);
  return (chances){s->log_one, explore->active ? s->pi_one : NULL};
}

int flv_sampler_choose(flv_sampler *sampler, const flv_batch *batch, const flv_policy *policy,
                       const flv_explore *explore, int head, int row, const double u[2],
                       double *log_pi) {
  flv_sampler *s = sampler;
  const int n = s->env->n_actions;
  if (explore->component && u[1] < explore->epsilon)
    return flv_sampler_choose_uniformly(s, explore, legal(s, batch, row), u, log_pi);
  const chances c = chances_at(s, batch, policy, explore, head, row);
  const int action = c.pi ? draw(n, c.pi, u[0]) : draw_log(n, c.log_p, u[0]);
  *log_pi = c.pi ? log(c.pi[action]) : c.log_p[action];
  return action;
}

// While sampling, trajectory i has the `width` places from i*width on: forwards it fills them from
// the first one up, backwards from the last one down. pack removes the gaps.
static size_t place(const flv_batch *b, int i, int at) {
  return (size_t)i * (size_t)b->width + (size_t)at;
}

static void pack(flv_batch *b, int first, int n, const int32_t *count, bool backwards) {
  for (int i = first; i < first + n; i++) {
    const size_t from = place(b, i, backwards ? b->width - count[i - first] : 0);
    const size_t to = (size_t)b->offset[i];
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
    const size_t p = place(b, first + i, s->count[i]++);
    b->row[p] = flv_batch_row(b, s->state + (size_t)k * size, b->row[p - 1]);
    b->back[p] = s->back[k];
    b->action[p] = -1;
    if (env->exit_action < 0 && s->terminal[k]) continue;
    s->active[alive] = i;
    if (alive != k) memcpy(s->state + (size_t)alive * size, s->state + (size_t)k * size, size);
    alive++;
  }
  return alive;
}

// The first states of n trajectories, which s->state holds, behind those the batch has.
static void start(flv_sampler *s, flv_batch *b, int n) {
  for (int i = 0; i < n; i++) {
    const size_t p = place(b, b->n + i, 0);
    s->active[i] = i;
    s->count[i] = 1;
    b->row[p] = flv_batch_row(b, s->state + (size_t)i * s->env->state_size, -1);
    b->back[p] = b->action[p] = -1;
    b->log_pi[b->n + i] = 0.0;
    b->open[b->n + i] = 0;
  }
}

// An action for trajectory i at a row, with `taken` actions behind it.
static int next_action(flv_sampler *s, const flv_batch *b, const flv_policy *policy,
                       const flv_explore *explore, int i, int taken, int row, const double u[2],
                       double *log_pi) {
  *log_pi = 0.0;
  const int exit = s->env->exit_action;
  if (taken >= s->stop[i] && legal(s, b, row)[exit]) return exit;
  return flv_sampler_choose(s, b, policy, explore, s->head[i], row, u, log_pi);
}

static void draw_stops(flv_sampler *s, const flv_explore *explore, flv_rng rng, int n) {
  const int most = s->env->max_length - 1;
  rng.purpose = FLV_RNG_STOP;
  for (int i = 0; i < n; i++) {
    double u[2] = {1.0, 0.0};
    if (explore->early_stop > 0.0) flv_rng_uniform2(rng, (uint32_t)i, 0, u);
    s->stop[i] = INT32_MAX;
    if (u[0] < explore->early_stop)
      s->stop[i] = explore->early_from + (int32_t)(u[1] * (most - explore->early_from + 1));
  }
}

// Goes on with the n_active trajectories behind the batch's own until all have ended.
static void grow(flv_sampler *s, flv_batch *b, const flv_policy *policy, const flv_explore *explore,
                 flv_rng rng, int n_active, int threads) {
  const int first = b->n;
  for (int step = 0; n_active > 0; step++) {
    flv_batch_evaluate_pf(b, policy, threads);
    for (int k = 0; k < n_active; k++) {
      const int i = s->active[k];
      const size_t p = place(b, first + i, s->count[i] - 1);
      double u[2], log_pi;
      flv_rng_uniform2(rng, (uint32_t)i, (uint32_t)step, u);
      b->action[p] = s->action[k] =
          next_action(s, b, policy, explore, i, s->count[i] - 1, b->row[p], u, &log_pi);
      b->log_pi[first + i] += log_pi;
    }
    n_active = advance(s, b, first, n_active);
  }
}

void flv_sampler_run(flv_sampler *sampler, flv_batch *batch, const flv_policy *policy,
                     const flv_explore *explore, flv_rng rng, int n, int threads) {
  batch->env->ops->reset(batch->env, n, sampler->state);
  start(sampler, batch, n);
  flv_rng heads = rng;
  heads.purpose = FLV_RNG_HEAD;
  for (int i = 0; i < n && explore->heads > 0; i++)
    sampler->head[i] = (int32_t)(flv_rng_uniform(heads, (uint32_t)i, 0) * explore->heads);
  draw_stops(sampler, explore, rng, n);
  grow(sampler, batch, policy, explore, rng, n, threads);
  pack(batch, batch->n, n, sampler->count, false);
}

// The places of the new trajectories are behind everything that is packed.
void flv_sampler_regrow(flv_sampler *sampler, flv_batch *batch, const flv_policy *policy,
                        const flv_explore *explore, flv_rng rng, int first, const int32_t *cut,
                        int n, int threads) {
  flv_sampler *s = sampler;
  flv_batch *b = batch;
  const size_t size = s->env->state_size;
  for (int i = 0; i < n; i++) {
    const size_t from = (size_t)b->offset[first + i], to = place(b, b->n + i, 0);
    const size_t bytes = (size_t)(cut[i] + 1) * sizeof *b->row;
    memcpy(b->row + to, b->row + from, bytes);
    memcpy(b->action + to, b->action + from, bytes);
    memcpy(b->back + to, b->back + from, bytes);
    memcpy(s->state + (size_t)i * size, flv_batch_state(b, b->row[from + (size_t)cut[i]]), size);
    s->active[i] = i;
    s->stop[i] = INT32_MAX;
    s->count[i] = cut[i] + 1;
    b->log_pi[b->n + i] = 0.0;
    b->open[b->n + i] = 0;
  }
  grow(s, b, policy, explore, rng, n, threads);
  pack(b, b->n, n, s->count, false);
}

// ---- backwards ----

static void start_back(flv_sampler *s, flv_batch *b, const void *states, int n) {
  memcpy(s->state, states, (size_t)n * s->env->state_size);
  for (int i = 0; i < n; i++) {
    const size_t p = place(b, b->n + i, b->width - 1);
    s->active[i] = i;
    s->count[i] = 1;
    b->row[p] = flv_batch_row(b, s->state + (size_t)i * s->env->state_size, -1);
    b->action[p] = s->env->exit_action; // -1 where there is none
    b->log_pi[b->n + i] = 0.0;
    b->open[b->n + i] = 0;
  }
}

// Draws the steps back of the active trajectories and leaves out those that are at s0, the one
// state without a backward action. Returns how many stay active.
static int draw_back(flv_sampler *s, flv_batch *b, int first, int n_active, flv_rng rng, int step) {
  const int k = s->env->n_back;
  const size_t size = s->env->state_size;
  int n = 0;
  for (int j = 0; j < n_active; j++) {
    const int i = s->active[j];
    const size_t p = place(b, first + i, b->width - s->count[i]);
    const size_t row = (size_t)b->row[p] * (size_t)k;
    b->back[p] = -1;
    if (s->count[i] == b->width || !memchr(b->mask_back + row, 1, (size_t)k)) continue;
    const int back =
        draw_log(k, b->log_pb + row, flv_rng_uniform(rng, (uint32_t)i, (uint32_t)step));
    b->log_pi[first + i] += b->log_pb[row + (size_t)back];
    b->back[p] = s->back[n] = back;
    s->active[n] = i;
    if (n != j) memcpy(s->state + (size_t)n * size, s->state + (size_t)j * size, size);
    n++;
  }
  return n;
}

void flv_sampler_run_back(flv_sampler *sampler, flv_batch *batch, const flv_policy *policy,
                          const void *states, flv_rng rng, int n, int threads) {
  flv_sampler *s = sampler;
  flv_batch *b = batch;
  const flv_env *env = s->env;
  const int first = b->n;
  start_back(s, b, states, n);
  for (int n_active = n, step = 0; n_active > 0; step++) {
    flv_batch_evaluate_rest(b, policy, threads);
    n_active = draw_back(s, b, first, n_active, rng, step);
    env->ops->action_of(env, n_active, s->state, s->back, s->action);
    env->ops->unstep(env, n_active, s->state, s->back);
    for (int j = 0; j < n_active; j++) {
      const int i = s->active[j];
      const size_t p = place(b, first + i, b->width - ++s->count[i]);
      b->row[p] = flv_batch_row(b, s->state + (size_t)j * env->state_size, b->row[p + 1]);
      b->action[p] = s->action[j];
    }
  }
  pack(b, first, n, s->count, true);
}

// ---- recorded ----

// From s->state on.
static void append(flv_sampler *s, flv_batch *b, int length, const int32_t *action, double log_pi) {
  const int i = b->n;
  start(s, b, 1);
  for (int t = 0; t < length; t++) {
    b->action[place(b, i, t)] = s->action[0] = action[t];
    s->active[0] = 0;
    advance(s, b, i, 1);
  }
  b->log_pi[i] = log_pi;
  pack(b, i, 1, s->count, false);
}

void flv_sampler_append(flv_sampler *sampler, flv_batch *batch, int length, const int32_t *action,
                        double log_pi) {
  batch->env->ops->reset(batch->env, 1, sampler->state);
  append(sampler, batch, length, action, log_pi);
}

void flv_sampler_append_fragment(flv_sampler *sampler, flv_batch *batch, const void *state,
                                 int length, const int32_t *action, double log_pi) {
  flv_sampler *s = sampler;
  const flv_env *env = s->env;
  const int i = batch->n;
  env->ops->reset(env, 1, s->state);
  const bool starts = memcmp(s->state, state, env->state_size) == 0;
  memcpy(s->state, state, env->state_size);
  append(s, batch, length, action, log_pi);
  const bool ends = env->exit_action >= 0 ? action[length - 1] == env->exit_action : s->terminal[0];
  batch->open[i] = (uint8_t)((starts ? 0 : FLV_OPEN_START) | (ends ? 0 : FLV_OPEN_END));
}
