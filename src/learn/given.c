#include "learn/given.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/intern.h"
#include "base/memory.h"
#include "fluvial/objects.h"

#define GIVEN_KEYS(X)                                                                              \
  X(TEXT, path, "", 0, 0, "",                                                                      \
    ".csv or .npy file of objects to train on, as `fluvial sample` writes them; empty: none")      \
  X(REAL, fraction, "1", 0, 1, "", "share of the batch that is drawn to them, back by P_B")
typedef struct given_cfg {
  GIVEN_KEYS(FLV_FIELD)
} given_cfg;
#define FLV_STRUCT given_cfg
static const flv_param params[] = {GIVEN_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static const flv_component component = {.name = "objects",
                                        .help = "given objects, trajectories to them drawn by P_B",
                                        .params = params,
                                        .n_params = sizeof params / sizeof *params,
                                        .size = sizeof(given_cfg)};
const flv_component *const flv_given_list[] = {&component, NULL};

// ---- is it an object? ----

typedef struct walker { // back from one state
  const flv_env *env;
  unsigned char *state, *first; // [state_size]; first: s0
  uint8_t *mask, *mask_back;
  void *block;
} walker;

static flv_status walker_init(walker *w, const flv_env *env, flv_error *err) {
  *w = (walker){.env = env};
  const flv_slot slots[] = {FLV_SLOT(w->state, env->state_size),
                            FLV_SLOT(w->first, env->state_size), FLV_SLOT(w->mask, env->n_actions),
                            FLV_SLOT(w->mask_back, env->n_back)};
  w->block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!w->block) return flv_fail(err, FLV_ENOMEM, "out of memory for a state");
  env->ops->reset(env, 1, w->first);
  return FLV_OK;
}

static bool is_terminal(const walker *w) {
  const flv_env *env = w->env;
  uint8_t yes = 0;
  if (env->exit_action < 0) {
    env->ops->terminal(env, 1, w->state, &yes);
    return yes;
  }
  env->ops->mask(env, 1, w->state, w->mask);
  return w->mask[env->exit_action];
}

// One way back suffices: where it leads to s0 by steps that can be taken forwards, so do all, since
// parents of states that can be reached can be reached.
static bool is_reachable(const walker *w) {
  const flv_env *env = w->env;
  const int most = env->max_length - (env->exit_action >= 0);
  for (int step = 0; memcmp(w->state, w->first, env->state_size) != 0; step++) {
    int32_t back = 0, action;
    env->ops->mask_back(env, 1, w->state, w->mask_back);
    while (back < env->n_back && !w->mask_back[back]) back++;
    if (step == most || back == env->n_back) return false;
    env->ops->action_of(env, 1, w->state, &back, &action);
    env->ops->unstep(env, 1, w->state, &back);
    env->ops->mask(env, 1, w->state, w->mask);
    if (action < 0 || !w->mask[action]) return false;
  }
  return true;
}

static flv_status check_object(const walker *w, const void *state, int64_t row, flv_error *err) {
  memcpy(w->state, state, w->env->state_size);
  if (!is_terminal(w))
    return flv_fail(err, FLV_EINVAL, "row %lld is a state of '%s', but no object: it goes on",
                    (long long)row + 1, w->env->name);
  if (!is_reachable(w))
    return flv_fail(err, FLV_EINVAL,
                    "row %lld: no trajectory of '%s' leads to it from the initial state",
                    (long long)row + 1, w->env->name);
  return FLV_OK;
}

// ---- creation ----

// Checks every distinct object, and counts how often it is there. count, id [n].
static flv_status count_objects(const flv_given *g, walker *w, flv_intern *distinct, int32_t *id,
                                int32_t *count, flv_error *err) {
  const size_t size = w->env->state_size;
  for (int64_t i = 0; i < g->n; i++) {
    const int known = distinct->n;
    id[i] = flv_intern_row(distinct, g->states + (size_t)i * size);
    if (id[i] == known) FLV_TRY(check_object(w, g->states + (size_t)i * size, i, err));
    count[id[i]]++;
  }
  for (int64_t i = 0; i < g->n; i++) g->log_q[i] = log((double)count[id[i]] / (double)g->n);
  return FLV_OK;
}

static flv_status weigh_objects(const flv_given *g, const flv_env *env, flv_error *err) {
  walker w;
  FLV_TRY(walker_init(&w, env, err));
  flv_intern distinct = {0};
  int32_t *id = NULL, *count = NULL;
  const flv_slot slots[] = {FLV_SLOT(id, g->n), FLV_SLOT(count, g->n)};
  void *block = flv_bind(2, slots);
  flv_status status =
      !block || flv_intern_init(&distinct, env->state_size, (int)g->n) != 0
          ? flv_fail(err, FLV_ENOMEM, "out of memory for %lld objects", (long long)g->n)
          : count_objects(g, &w, &distinct, id, count, err);
  flv_intern_free(&distinct);
  flv_free(block);
  flv_free(w.block);
  return status;
}

static flv_status take_objects(flv_given *g, const flv_env *env, const void *states, int batch,
                               flv_error *err) {
  if (g->n > INT_MAX / 4)
    return flv_fail(err, FLV_EINVAL, "%lld objects are too many", (long long)g->n);
  const size_t n = (size_t)g->n, size = env->state_size;
  const flv_slot slots[] = {FLV_SLOT(g->states, n * size), FLV_SLOT(g->log_q, n),
                            FLV_SLOT(g->row, batch), FLV_SLOT(g->object, (size_t)batch * size)};
  g->block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!g->block)
    return flv_fail(err, FLV_ENOMEM, "out of memory for %lld objects", (long long)g->n);
  memcpy(g->states, states, n * size);
  const flv_status status = weigh_objects(g, env, err);
  if (status != FLV_OK) flv_given_free(g);
  return status;
}

flv_status flv_given_init(flv_given *given, const void *cfg, const flv_env *env, int batch,
                          flv_error *err) {
  const given_cfg *c = cfg;
  flv_given g = {.fraction = c->fraction};
  if (c->path[0]) {
    void *states = NULL;
    FLV_TRY(flv_objects_read(env, c->path, &g.n, &states, err));
    const flv_status status = take_objects(&g, env, states, batch, err);
    free(states);
    if (status != FLV_OK) return flv_error_prefix(err, "data.path: %s", c->path);
  }
  *given = g;
  return FLV_OK;
}

void flv_given_free(flv_given *given) {
  flv_free(given->block);
  *given = (flv_given){0};
}

// ---- use ----

int flv_given_count(const flv_given *given, int batch) {
  return given->n > 0 ? (int)(given->fraction * batch + 0.5) : 0;
}

void flv_given_draw(flv_given *given, flv_sampler *sampler, flv_batch *batch,
                    const flv_policy *policy, uint64_t seed, int64_t iteration, int n,
                    int threads) {
  flv_given *g = given;
  if (n == 0) return;
  const size_t size = policy->env->state_size;
  const flv_rng which = {seed, FLV_RNG_GIVEN, (uint64_t)iteration};
  const flv_rng steps = {seed, FLV_RNG_GIVEN_BACK, (uint64_t)iteration};
  const int first = batch->n;
  for (int i = 0; i < n; i++) {
    g->row[i] = (int32_t)(flv_rng_uniform(which, (uint32_t)i, 0) * (double)g->n);
    memcpy(g->object + (size_t)i * size, g->states + (size_t)g->row[i] * size, size);
  }
  flv_sampler_run_back(sampler, batch, policy, g->object, steps, n, threads);
  for (int i = 0; i < n; i++) batch->log_pi[first + i] += g->log_q[g->row[i]];
}
