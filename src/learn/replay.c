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
  SHARE_KEYS(X)
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
} replay_cfg;
#define FLV_STRUCT replay_cfg
static const flv_param fifo_params[] = {FIFO_KEYS(FLV_PARAM)};
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
COMPONENT(prioritised, "buffer of past trajectories, drawn by their loss or reward");
COMPONENT(terminal, "buffer of distinct objects; their trajectories are drawn anew, back by P_B");
const flv_component *const flv_replay_list[] = {&fifo, &prioritised, &terminal, NULL};

// ---- creation ----

// The arrays, for the kind that is set already.
static flv_status make_arrays(flv_replay *r, const flv_env *env, int drawn, flv_error *err) {
  const size_t n = (size_t)r->capacity, trajectories = r->objects ? 0 : n;
  const size_t m = r->capacity > 0 ? (size_t)drawn : 0;
  const flv_slot slots[] = {FLV_SLOT(r->pushed, 1),
                            FLV_SLOT(r->length, trajectories),
                            FLV_SLOT(r->action, trajectories * (size_t)r->width),
                            FLV_SLOT(r->log_pi, trajectories),
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
                  r->objects ? "objects" : "trajectories");
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
                           const flv_env *env, int drawn, flv_error *err) {
  const replay_cfg *c = cfg;
  if (c->capacity > 0 && c->prefill > c->capacity)
    return flv_fail(err, FLV_EINVAL, "replay.prefill: %d is more than replay.capacity, %d",
                    c->prefill, c->capacity);
  flv_replay r = {.capacity = c->capacity,
                  .width = env->max_length,
                  .fraction = c->fraction,
                  .prefill = c->prefill,
                  .objects = component == &terminal,
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
  for (int i = 0; i < n; i++)
    r->item[i] = pick(r, flv_rng_uniform(rng, (uint32_t)i, 0), &r->log_p[i]);
  if (r->objects)
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
