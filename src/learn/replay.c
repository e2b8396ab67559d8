#include "learn/replay.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "learn/objective.h"

#define SHARE_KEYS(X)                                                                              \
  X(REAL, fraction, "0.5", 0, 1, "",                                                               \
    "share of the batch drawn from the buffer; 1: fresh trajectories only fill it")                \
  X(INT, prefill, "0", 0, 10000000, "", "items it must hold before it is drawn from")
#define REPLACEMENT_KEYS(X)                                                                        \
  X(BOOL, replacement, "true", 0, 0, "", "false: no item twice in a batch while there are others")
#define WEIGHT_KEYS(X)                                                                             \
  X(REAL, alpha, "0.6", 0, 100, "",                                                                \
    "exponent: items are drawn in proportion to (|residual| + epsilon)^alpha, or R^alpha")         \
  X(REAL, epsilon, "1e-6", 1e-12, 1e6, "", "by loss: keeps items without residual in play")
#define BY_WORDS "uniform|loss|reward"
#define BETA_KEYS(X)                                                                               \
  X(REAL, beta, "1", 0, 1, "",                                                                     \
    "importance weights are divided by (N P(i))^beta; 1: as from uniform replay")

#define FIFO_KEYS(X)                                                                               \
  X(INT, capacity, "0", 0, 10000000, "", "trajectories kept, first in, first out; 0: no buffer")   \
  SHARE_KEYS(X)                                                                                    \
  REPLACEMENT_KEYS(X)
#define TRANSITIONS_KEYS(X)                                                                        \
  X(INT, capacity, "100000", 1, 10000000, "", "steps kept, first in, first out")                   \
  SHARE_KEYS(X)                                                                                    \
  REPLACEMENT_KEYS(X)
#define PRIORITISED_KEYS(X)                                                                        \
  X(INT, capacity, "10000", 0, 10000000, "", "trajectories kept, first in, first out")             \
  SHARE_KEYS(X)                                                                                    \
  X(CHOICE, by, "loss", 0, 0, BY_WORDS, "what makes a trajectory likely to be drawn")              \
  WEIGHT_KEYS(X)                                                                                   \
  BETA_KEYS(X)
#define TERMINAL_KEYS(X)                                                                           \
  X(INT, capacity, "10000", 0, 10000000, "", "distinct objects kept, first in, first out")         \
  SHARE_KEYS(X)                                                                                    \
  X(CHOICE, by, "uniform", 0, 0, BY_WORDS, "what makes an object likely to be drawn")              \
  WEIGHT_KEYS(X)

// One struct for all: a table lists what its component knows, and the rest stays 0 (drawn
// uniformly).
typedef struct replay_cfg {
  PRIORITISED_KEYS(FLV_FIELD)
  REPLACEMENT_KEYS(FLV_FIELD)
} replay_cfg;
#define FLV_STRUCT replay_cfg
static const flv_param fifo_params[] = {FIFO_KEYS(FLV_PARAM)};
static const flv_param transitions_params[] = {TRANSITIONS_KEYS(FLV_PARAM)};
static const flv_param prioritised_params[] = {PRIORITISED_KEYS(FLV_PARAM)};
static const flv_param terminal_params[] = {TERMINAL_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

#define COMPONENT(name_, help_)                                                                    \
  static const flv_component name_ = {.name = #name_,                                              \
                                      .help = help_,                                               \
                                      .params = name_##_params,                                    \
                                      .n_params = sizeof name_##_params / sizeof *name_##_params,  \
                                      .size = sizeof(replay_cfg)}
COMPONENT(fifo, "buffer of past trajectories, drawn from uniformly");
COMPONENT(transitions, "buffer of past steps, for objectives that are sums over them");
COMPONENT(prioritised, "buffer of past trajectories, drawn by their loss or reward");
COMPONENT(terminal, "buffer of distinct objects; their trajectories are drawn anew, back by P_B");
const flv_component *const flv_replay_list[] = {&fifo, &transitions, &prioritised, &terminal, NULL};

const char *flv_replay_noun(const flv_replay *replay) {
  return replay->objects ? "objects" : replay->steps ? "steps" : "trajectories";
}

// ---- creation ----

// The arrays, for the kind that is set already.
static flv_status make_arrays(flv_replay *r, const flv_env *env, int drawn, flv_error *err) {
  const size_t n = (size_t)r->capacity, trajectories = r->objects || r->steps ? 0 : n;
  const size_t m = r->capacity > 0 ? (size_t)drawn : 0;
  const flv_slot slots[] = {FLV_SLOT(r->pushed, 1),
                            FLV_SLOT(r->length, trajectories),
                            FLV_SLOT(r->action, r->objects ? 0 : n * (size_t)r->width),
                            FLV_SLOT(r->log_pi, trajectories),
                            FLV_SLOT(r->state, r->steps ? n * env->state_size : 0),
                            FLV_SLOT(r->taken, r->distinct ? n : 0),
                            FLV_SLOT(r->item, m),
                            FLV_SLOT(r->log_p, m),
                            FLV_SLOT(r->object, r->objects ? m * env->state_size : 0)};
  r->block = flv_bind(sizeof slots / sizeof *slots, slots);
  bool failed = !r->block;
  if (!failed && r->objects && r->capacity > 0) {
    failed = flv_recent_init(&r->recent, env->state_size, r->capacity) != 0;
    r->pushed = r->recent.added;
  }
  if (!failed && r->by != FLV_PRIORITY_UNIFORM)
    failed = flv_sum_tree_init(&r->tree, r->capacity) != 0;
  if (!failed) return FLV_OK;
  flv_replay_free(r);
  return flv_fail(err, FLV_ENOMEM, "out of memory for a replay buffer of %zu %s", n,
                  flv_replay_noun(r));
}

flv_status flv_replay_create(flv_replay *replay, int64_t capacity, const flv_env *env, int drawn,
                             flv_error *err) {
  if (capacity > INT_MAX)
    return flv_fail(err, FLV_EINVAL, "a buffer of %lld trajectories is too large",
                    (long long)capacity);
  flv_replay r = {.capacity = (int)capacity, .width = env->max_length};
  FLV_TRY(make_arrays(&r, env, drawn, err));
  *replay = r;
  return FLV_OK;
}

flv_status flv_replay_init(flv_replay *replay, const flv_component *component, const void *cfg,
                           const flv_env *env, unsigned needs, int drawn, flv_error *err) {
  const replay_cfg *c = cfg;
  const bool steps = component == &transitions;
  if (steps && !(needs & FLV_TAKES_FRAGMENTS))
    return flv_fail(err, FLV_EINVAL,
                    "replay: transitions is for objectives that are sums over steps (modified_db, "
                    "db, fl_db, soft_dqn, flow_matching); this one reads whole trajectories: fifo");
  if (c->capacity > 0 && c->prefill > c->capacity)
    return flv_fail(err, FLV_EINVAL, "replay.prefill: %d is more than replay.capacity, %d",
                    c->prefill, c->capacity);
  flv_replay r = {.capacity = c->capacity,
                  .width = steps ? 1 : env->max_length,
                  .fraction = c->fraction,
                  .prefill = c->prefill,
                  .objects = component == &terminal,
                  .steps = steps,
                  .exits = !(needs & FLV_SKIPS_EXITS),
                  .distinct = (steps || component == &fifo) && !c->replacement,
                  .by = (flv_priority)c->by,
                  .alpha = c->alpha,
                  .epsilon = c->epsilon,
                  .beta = c->beta};
  FLV_TRY(make_arrays(&r, env, drawn, err));
  *replay = r;
  return FLV_OK;
}

void flv_replay_free(flv_replay *replay) {
  flv_recent_free(&replay->recent);
  flv_sum_tree_free(&replay->tree);
  flv_free(replay->block);
  *replay = (flv_replay){0};
}

// ---- use ----

int flv_replay_held(const flv_replay *replay) {
  return *replay->pushed < replay->capacity ? (int)*replay->pushed : replay->capacity;
}

flv_replay_plan flv_replay_plan_at(const flv_replay *replay, int batch) {
  const int have = replay->capacity > 0 ? flv_replay_held(replay) : 0;
  if (have == 0 || have < replay->prefill) return (flv_replay_plan){batch, batch, 0};
  const int replayed = (int)(replay->fraction * batch + 0.5);
  const int train = batch - replayed;
  return (flv_replay_plan){train > 0 ? train : batch, train, replayed};
}

static void store_trajectory(flv_replay *r, const flv_batch *batch, int i, size_t at) {
  const int32_t *action = batch->action + batch->offset[i];
  int length = batch->offset[i + 1] - batch->offset[i];
  if (action[length - 1] < 0) length--; // a terminal state takes no action
  r->length[at] = length;
  r->log_pi[at] = batch->log_pi[i];
  memcpy(r->action + at * (size_t)r->width, action, (size_t)length * sizeof *action);
}

static void store_steps(flv_replay *r, const flv_batch *batch, int i) {
  const size_t size = batch->env->state_size;
  for (int p = batch->offset[i]; p < batch->offset[i + 1]; p++) {
    const int action = batch->action[p];
    if (action < 0 || (action == batch->env->exit_action && !r->exits)) continue;
    const size_t at = (size_t)((*r->pushed)++ % r->capacity);
    r->action[at] = action;
    memcpy(r->state + at * size, flv_batch_state(batch, batch->row[p]), size);
  }
}

static void weigh_new(flv_replay *r, int at, double log_r) {
  if (r->by == FLV_PRIORITY_UNIFORM) return;
  const double largest = flv_sum_tree_max(&r->tree);
  double log_w = r->alpha > 0.0 ? r->alpha * log_r : 0.0; // 0^0 = 1
  if (r->by == FLV_PRIORITY_LOSS) log_w = largest > -HUGE_VAL ? largest : 0.0;
  flv_sum_tree_set(&r->tree, at, log_w);
}

void flv_replay_push(flv_replay *replay, const flv_batch *batch, int n) {
  flv_replay *r = replay;
  if (r->capacity == 0) return;
  for (int i = 0; i < n; i++) {
    if (r->steps) {
      store_steps(r, batch, i);
      continue;
    }
    bool is_new = true;
    int at;
    if (r->objects) {
      at = flv_recent_put(&r->recent, flv_batch_state(batch, flv_batch_last(batch, i)), &is_new);
    } else {
      at = (int)((*r->pushed)++ % r->capacity);
      store_trajectory(r, batch, i, (size_t)at);
    }
    if (is_new) weigh_new(r, at, batch->log_r[i]);
  }
}

// An item, and the log of how likely it was. Uniformly where no item has weight (R = 0 for all).
static int pick(const flv_replay *r, double u, double *log_p) {
  const int have = flv_replay_held(r);
  const int at = r->by == FLV_PRIORITY_UNIFORM ? -1 : flv_sum_tree_draw(&r->tree, u);
  *log_p = at < 0 ? -log((double)have) : flv_sum_tree_log_p(&r->tree, at);
  return at < 0 ? (int)(u * have) : at;
}

// n items without replacement, in whole rounds and a rest. The rest is a uniformly random subset by
// Floyd's algorithm: for j = held - n .. held - 1 take a random one of 0 .. j, or j itself if that
// is taken.
static void pick_distinct(flv_replay *r, flv_rng rng, int n) {
  const int held = flv_replay_held(r);
  int done = 0;
  for (; n - done >= held; done += held)
    for (int i = 0; i < held; i++) r->item[done + i] = i;
  const int first = done;
  for (int j = held - (n - done); j < held; j++, done++) {
    const int at = (int)(flv_rng_uniform(rng, (uint32_t)done, 0) * (j + 1));
    r->item[done] = r->taken[at] ? j : at;
    r->taken[r->item[done]] = 1;
  }
  for (int i = first; i < n; i++) r->taken[r->item[i]] = 0;
  for (int i = 0; i < n; i++) r->log_p[i] = -log((double)held);
}

static void draw_steps(flv_replay *r, flv_sampler *sampler, flv_batch *batch) {
  for (int i = 0; i < r->drawn; i++) {
    const size_t at = (size_t)r->item[i];
    flv_sampler_append_fragment(sampler, batch, r->state + at * batch->env->state_size, 1,
                                r->action + at, 0.0);
  }
}

static void draw_trajectories(flv_replay *r, flv_sampler *sampler, flv_batch *batch) {
  const double log_n = log((double)flv_replay_held(r));
  for (int i = 0; i < r->drawn; i++) {
    const size_t at = (size_t)r->item[i];
    flv_sampler_append(sampler, batch, r->length[at], r->action + at * (size_t)r->width,
                       r->log_pi[at] + r->beta * (r->log_p[i] + log_n));
  }
}

static void draw_objects(flv_replay *r, flv_sampler *sampler, flv_batch *batch,
                         const flv_policy *policy, flv_rng rng, int threads) {
  const size_t size = r->recent.record_size;
  for (int i = 0; i < r->drawn; i++)
    memcpy(r->object + (size_t)i * size, r->recent.records + (size_t)r->item[i] * size, size);
  rng.purpose = FLV_RNG_REDRAW;
  flv_sampler_run_back(sampler, batch, policy, r->object, rng, r->drawn, threads);
  for (int i = 0; i < r->drawn; i++) batch->log_pi[r->first + i] += r->log_p[i];
}

void flv_replay_draw(flv_replay *replay, flv_sampler *sampler, flv_batch *batch,
                     const flv_policy *policy, flv_rng rng, int n, int threads) {
  flv_replay *r = replay;
  r->first = batch->n;
  r->drawn = n;
  if (n == 0) return;
  if (r->distinct)
    pick_distinct(r, rng, n);
  else
    for (int i = 0; i < n; i++)
      r->item[i] = pick(r, flv_rng_uniform(rng, (uint32_t)i, 0), &r->log_p[i]);
  if (r->steps)
    draw_steps(r, sampler, batch);
  else if (r->objects)
    draw_objects(r, sampler, batch, policy, rng, threads);
  else
    draw_trajectories(r, sampler, batch);
}

// log (|d| + epsilon)^alpha; what has no finite residual (R = 0) keeps its weight.
void flv_replay_learn(flv_replay *replay, const flv_trajectories *seen) {
  flv_replay *r = replay;
  if (r->by != FLV_PRIORITY_LOSS) return;
  for (int i = 0; i < r->drawn; i++) {
    const double d = seen->log_z + flv_trajectory_log_ratio(seen, r->first + i);
    if (!isfinite(d)) continue;
    flv_sum_tree_set(&r->tree, r->item[i], r->alpha * log(fabs(d) + r->epsilon));
  }
}
