// How good a sampler is, in the numbers of the field.
//
// With log w = -c = log R(x) + log P_B(tau|x) - log P_F(tau) and the posterior P_B(tau) =
// R(x) P_B(tau|x) / Z,
//   ELBO  E_PF log w          = log Z - D(P_F || P_B)
//   EUBO  E_{x~R/Z, P_B} log w = log Z + D(P_B || P_F)
//   log Z = log E_PF w
//   log P_T(x)                see backward.c
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/intern.h"
#include "base/logmath.h"
#include "base/memory.h"
#include "env/columns.h"
#include "exact/evaluate.h"
#include "fluvial/assess.h"
#include "metrics/correlation.h"
#include "metrics/distance.h"
#include "metrics/estimate.h"
#include "metrics/mmd.h"
#include "metrics/top_k.h"

enum { RESAMPLES = 200, MMD_POINTS = 2000, MOST = 1 << 28 };

typedef struct assessor {
  flv_trainer *t;
  flv_assess_options o; // without zeros
  flv_watch watch;
  const flv_exact *exact; // NULL: not enumerable
  flv_evaluation exactly; // where it is
  int64_t m;              // objects
  // of the trajectories from P_F, [samples]
  double *log_w, *log_r, *best, *scratch;
  unsigned char *states; // [samples * state_size]
  uint8_t *seen;         // [modes]
  // of the objects, [m]
  unsigned char *x;                              // [m * state_size]
  double *x_log_r, *log_p, *error, *mean, *rank; // rank [2 m]
  double *resampled;                             // [2 m]
  double *log_ratio;                             // [m * backward]
  int64_t *index;
  int32_t *draw;
  flv_ranked *ranked;
  void *block;
} assessor;

// ---- options ----

static int64_t held_in_replay(const flv_trainer *t) {
  const flv_replay *r = &t->collector.replay;
  return r->capacity > 0 ? flv_replay_held(r) : 0;
}

static flv_status check_range(const char *name, double value, double hi, flv_error *err) {
  if (value >= 0.0 && value <= hi) return FLV_OK;
  return flv_fail(err, FLV_EINVAL, "%s: %g is out of range [0, %g] (0: the default)", name, value,
                  hi);
}

static flv_status check_options(const flv_assess_options *o, flv_error *err) {
  FLV_TRY(check_range("samples", (double)o->samples, MOST, err));
  FLV_TRY(check_range("objects", (double)o->objects, MOST, err));
  FLV_TRY(check_range("backward", o->backward, MOST, err));
  FLV_TRY(check_range("top_k", (double)o->top_k, MOST, err));
  FLV_TRY(check_range("bandwidth", o->bandwidth, 1e300, err));
  if (o->states && (o->n_states < 1 || o->n_states > MOST))
    return flv_fail(err, FLV_EINVAL, "%lld given objects: their number is out of range [1, 2^28]",
                    (long long)o->n_states);
  return FLV_OK;
}

// Where the objects come from, and how many there will be.
static flv_status choose_source(assessor *a, flv_error *err) {
  flv_assess_options *o = &a->o;
  if (o->source == FLV_SOURCE_AUTO)
    o->source = o->states ? FLV_SOURCE_GIVEN : a->exact ? FLV_SOURCE_TARGET : FLV_SOURCE_SAMPLER;
  int64_t there = MOST;
  switch (o->source) {
  case FLV_SOURCE_AUTO:
  case FLV_SOURCE_GIVEN:
    if (!o->states) return flv_fail(err, FLV_EINVAL, "objects: none are given");
    there = o->n_states;
    if (o->objects == 0) o->objects = there;
    break;
  case FLV_SOURCE_TARGET:
    if (!a->exact)
      return flv_fail(err, FLV_EINVAL,
                      "objects: '%s' has too many states to draw from its target exactly",
                      a->t->env->name);
    break;
  case FLV_SOURCE_SAMPLER:
    there = o->samples;
    break;
  case FLV_SOURCE_REPLAY:
    there = held_in_replay(a->t);
    if (a->t->collector.replay.steps)
      return flv_fail(err, FLV_EINVAL, "objects: the replay buffer holds steps, which end in none");
    if (there == 0)
      return flv_fail(err, FLV_EINVAL, "objects: the replay buffer is empty (replay.capacity)");
    break;
  }
  if (o->objects == 0) o->objects = 1000;
  a->m = o->objects < there ? o->objects : there;
  if (a->m > MOST / o->backward)
    return flv_fail(err, FLV_EINVAL,
                    "%lld objects with %d trajectories each are too many; at most 2^28 in all",
                    (long long)a->m, o->backward);
  return FLV_OK;
}

static flv_status prepare(assessor *a, const flv_assess_options *options, flv_error *err) {
  const flv_assess_options none = {0};
  const flv_env *env = a->t->env;
  a->o = options ? *options : none;
  flv_assess_options *o = &a->o;
  FLV_TRY(check_options(o, err));
  if (o->samples == 0) o->samples = 100000;
  if (o->backward == 0) o->backward = 50;
  if (o->top_k == 0) o->top_k = 100;
  if (flv_enumerable(env)) FLV_TRY(flv_evaluate_exactly(a->t, &a->exact, &a->exactly, err));
  FLV_TRY(choose_source(a, err));
  const size_t n = (size_t)o->samples, m = (size_t)a->m, size = env->state_size;
  const flv_slot slots[] = {
      FLV_SLOT(a->log_w, n),         FLV_SLOT(a->log_r, n),
      FLV_SLOT(a->best, n),          FLV_SLOT(a->scratch, n),
      FLV_SLOT(a->states, n * size), FLV_SLOT(a->seen, flv_mode_count(a->t)),
      FLV_SLOT(a->x, m * size),      FLV_SLOT(a->x_log_r, m),
      FLV_SLOT(a->log_p, m),         FLV_SLOT(a->error, m),
      FLV_SLOT(a->mean, m),          FLV_SLOT(a->rank, 2 * m),
      FLV_SLOT(a->resampled, 2 * m), FLV_SLOT(a->log_ratio, m * (size_t)o->backward),
      FLV_SLOT(a->index, m),         FLV_SLOT(a->draw, m),
      FLV_SLOT(a->ranked, m)};
  a->block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!a->block)
    return flv_fail(err, FLV_ENOMEM, "out of memory for %lld samples and %lld objects",
                    (long long)o->samples, (long long)a->m);
  a->watch = (flv_watch){.progress = o->progress,
                         .user = o->user,
                         .all = (double)o->samples + (double)a->m * o->backward};
  return FLV_OK;
}

// ---- trajectories from P_F ----

// Log-rewards of the distinct objects among the samples into best; returns how many.
static int64_t distinct_objects(assessor *a, flv_error *err) {
  flv_intern table;
  const size_t size = a->t->env->state_size;
  if (flv_intern_init(&table, size, (int)a->o.samples) != 0) {
    flv_fail(err, FLV_ENOMEM, "out of memory for %lld samples", (long long)a->o.samples);
    return -1;
  }
  for (int64_t i = 0; i < a->o.samples; i++)
    a->best[flv_intern_row(&table, a->states + (size_t)i * size)] = a->log_r[i];
  const int64_t n = table.n;
  flv_intern_free(&table);
  return n;
}

static flv_status assess_forward(assessor *a, flv_assessment *out, flv_error *err) {
  const int64_t n = a->o.samples;
  const flv_drawn drawn = {.log_w = a->log_w, .log_r = a->log_r, .states = a->states};
  FLV_TRY(flv_draw_forward(a->t, a->o.stream, n, &drawn, &a->watch, err));
  out->modes_seen = flv_modes_seen(a->t, n, a->states, a->seen);
  flv_evaluation *e = &out->evaluation;
  *e = a->exactly;
  if (!a->exact) {
    flv_evaluate_weights(n, a->log_w, a->t->log_z, e);
    e->modes = flv_mode_count(a->t);
    e->modes_found = out->modes_seen;
  }
  e->log_z = (double)*flv_policy_log_z(&a->t->policy);
  out->samples = n;
  out->elbo.value = flv_mean(n, a->log_w, &out->elbo.error);
  out->log_z.value = flv_log_mean_exp(n, a->log_w);
  out->log_z.error = flv_log_mean_exp_jackknife(n, a->log_w);
  if (e->log_z_exact) out->log_z.exact = e->log_z_true;
  out->ess = flv_effective_size(n, a->log_w) / (double)n;
  out->distinct = distinct_objects(a, err);
  if (out->distinct < 0) return FLV_ENOMEM;
  int64_t k = a->o.top_k;
  if (a->exact && k > a->exact->n_objects) k = a->exact->n_objects;
  out->top_k = k;
  out->top_log_r = flv_top_k_log_mean(out->distinct, a->best, k, a->scratch);
  if (!a->exact) return FLV_OK;
  const flv_exact *x = a->exact;
  const double edge = log(flv_kth_largest(x->n, x->target, k)) + x->log_z;
  out->top_found = (double)flv_top_k_found(out->distinct, a->best, edge, k);
  return FLV_OK;
}

// ---- objects ----

static int ascending(const void *a, const void *b) {
  const double x = ((const flv_ranked *)a)->value, y = ((const flv_ranked *)b)->value;
  return (x > y) - (x < y);
}

// Independent draws from R/Z by inversion: uniform numbers in order of size meet the cumulative
// probabilities in one sweep, and go back to where they were drawn.
static void draw_target(assessor *a) {
  const flv_exact *x = a->exact;
  const flv_rng rng = {flv_trainer_seed(a->t, a->o.stream), FLV_RNG_TARGET, 0};
  for (int64_t i = 0; i < a->m; i++)
    a->ranked[i] = (flv_ranked){flv_rng_uniform(rng, (uint32_t)i, 0), i};
  qsort(a->ranked, (size_t)a->m, sizeof *a->ranked, ascending);
  double below = 0.0;
  int64_t i = 0, last = 0;
  for (int64_t s = 0; s < x->n && i < a->m; s++) {
    if (x->target[s] <= 0.0) continue;
    last = s;
    below += x->target[s];
    for (; i < a->m && a->ranked[i].value < below; i++) a->index[a->ranked[i].at] = s;
  }
  for (; i < a->m; i++) a->index[a->ranked[i].at] = last; // the sum may round to just below 1
  a->t->env->ops->at(a->t->env, (int)a->m, a->index, a->x);
}

// Evenly spaced among what the buffer holds.
static void draw_replay(assessor *a) {
  flv_trainer *t = a->t;
  flv_batch *b = &t->batch;
  const flv_replay *r = &t->collector.replay;
  const int64_t held = held_in_replay(t);
  const size_t size = t->env->state_size;
  for (int64_t i = 0; i < a->m && r->objects; i++)
    memcpy(a->x + (size_t)i * size, r->recent.records + (size_t)(i * held / a->m) * size, size);
  for (int64_t done = 0; done < a->m && !r->objects; done += b->n) {
    flv_batch_clear(b);
    for (int64_t i = done; i < a->m && i < done + b->max_n; i++) {
      const size_t at = (size_t)(i * held / a->m);
      flv_sampler_append(&t->sampler, b, r->length[at], r->action + at * (size_t)r->width,
                         r->log_pi[at]);
      memcpy(a->x + (size_t)i * size, flv_batch_state(b, flv_batch_last(b, b->n - 1)), size);
    }
  }
}

static flv_status take_objects(assessor *a, flv_error *err) {
  const size_t bytes = (size_t)a->m * a->t->env->state_size;
  if (a->o.source == FLV_SOURCE_TARGET)
    draw_target(a);
  else if (a->o.source == FLV_SOURCE_REPLAY)
    draw_replay(a);
  else
    memcpy(a->x, a->o.source == FLV_SOURCE_SAMPLER ? a->states : a->o.states, bytes);
  return flv_reward_log(a->t->reward, a->t->env, (int)a->m, a->x, a->x_log_r, err);
}

// Do the objects follow R/Z, as far as we are told?
static bool from_target(const assessor *a) {
  return a->o.source == FLV_SOURCE_TARGET || a->o.source == FLV_SOURCE_GIVEN;
}

// ---- correlation ----

typedef struct pairs {
  const double *x, *y;
  double *scratch; // [2 n]
} pairs;

static double pearson_of(const void *data, int64_t n, const int32_t *index) {
  const pairs *p = data;
  for (int64_t i = 0; i < n; i++) {
    p->scratch[i] = p->x[index[i]];
    p->scratch[n + i] = p->y[index[i]];
  }
  return flv_pearson(n, p->scratch, p->scratch + n);
}

// Both correlations of log_p with log R. The error of Spearman's is that of Pearson's between the
// ranks, which are not formed anew in each resample.
static void correlate(assessor *a, const double *log_p, double value[2], double error[2]) {
  const int64_t m = a->m;
  value[0] = flv_pearson(m, log_p, a->x_log_r);
  value[1] = flv_spearman(m, log_p, a->x_log_r, a->ranked, a->rank);
  const pairs of[2] = {{log_p, a->x_log_r, a->resampled}, {a->rank, a->rank + m, a->resampled}};
  // after the objects' own, which are numbered from 0
  const flv_rng rng = {flv_trainer_seed(a->t, a->o.stream), FLV_RNG_BOOTSTRAP, (uint64_t)m};
  for (int k = 0; error && k < 2; k++)
    error[k] = isnan(value[k]) ? (double)NAN
                               : flv_bootstrap(m, RESAMPLES, rng, pearson_of, &of[k], a->draw);
}

static void correlations(assessor *a, flv_assessment *out) {
  double value[2], error[2], exact[2] = {(double)NAN, (double)NAN}, sum = 0.0;
  correlate(a, a->log_p, value, error);
  if (a->exact) {
    a->t->env->ops->index(a->t->env, (int)a->m, a->x, a->index);
    for (int64_t i = 0; i < a->m; i++) sum += a->mean[i] = a->exact->log_p[a->index[i]];
    out->log_p.exact = sum / (double)a->m;
    correlate(a, a->mean, exact, NULL);
  }
  out->pearson = (flv_estimate){value[0], error[0], exact[0]};
  out->spearman = (flv_estimate){value[1], error[1], exact[1]};
}

// ---- maximum mean discrepancy ----

// Coordinates of grids, adjacency matrices, dense observations and what an environment itself
// writes are points as they are; hot indices name things without an order, and become indicators:
// |a - b|^2 counts the indices in which objects differ.
static int point_width(const flv_env *env) {
  const bool named = env->n_columns == 0 && flv_columns_whole(env) && !flv_columns_grid(env);
  return named ? env->n_features : flv_columns_count(env);
}

// Points of n states, evenly spaced among `all`.
static void fill_points(const flv_env *env, int64_t all, const unsigned char *states, int n,
                        void *cells, double *points) {
  const int columns = flv_columns_count(env), width = point_width(env);
  for (int i = 0; i < n; i++) {
    double *p = points + (size_t)i * (size_t)width;
    flv_columns_fill(env, 1, states + (size_t)(i * all / n) * env->state_size, cells);
    for (int k = 0; k < columns; k++) {
      if (width == columns)
        p[k] = flv_columns_whole(env) ? ((const int32_t *)cells)[k]
                                      : (double)((const float *)cells)[k];
      else if (((const int32_t *)cells)[k] >= 0)
        p[((const int32_t *)cells)[k]] = 1.0;
    }
  }
}

static flv_status discrepancy(assessor *a, flv_assessment *out, flv_error *err) {
  const flv_env *env = a->t->env;
  const int64_t least = a->m < a->o.samples ? a->m : a->o.samples;
  const int n = least < MMD_POINTS ? (int)least : MMD_POINTS, d = point_width(env);
  if (n < 2 || !from_target(a)) return FLV_OK;
  double *x, *y, *scratch;
  int32_t *cells;
  const size_t distances = a->o.bandwidth > 0.0 ? 0 : flv_mmd_pairs(n, n), rows = 6 * (size_t)n;
  const flv_slot slots[] = {FLV_SLOT(x, (size_t)n * (size_t)d), FLV_SLOT(y, (size_t)n * (size_t)d),
                            FLV_SLOT(scratch, distances > rows ? distances : rows),
                            FLV_SLOT(cells, flv_columns_count(env))};
  void *block = flv_bind(4, slots);
  if (!block) return flv_fail(err, FLV_ENOMEM, "out of memory for the distances of %d objects", n);
  fill_points(env, a->m, a->x, n, cells, x);
  fill_points(env, n, a->states, n, cells, y);
  out->bandwidth =
      a->o.bandwidth > 0.0 ? a->o.bandwidth : flv_mmd_bandwidth(n, x, n, y, d, scratch);
  const flv_mmd mmd = flv_mmd_gaussian(n, x, n, y, d, out->bandwidth, a->t->threads, scratch);
  flv_free(block);
  out->mmd2 = mmd.unbiased;
  out->mmd2_biased = mmd.biased;
  out->mmd2_noise = mmd.noise;
  return FLV_OK;
}

// ---- all of it ----

static flv_status assess_backward(assessor *a, flv_assessment *out, flv_error *err) {
  const int k = a->o.backward;
  const int64_t m = a->m;
  FLV_TRY(take_objects(a, err));
  FLV_TRY(flv_draw_backward(a->t, a->o.stream, m, a->x, k, a->log_ratio, &a->watch, err));
  FLV_TRY(flv_log_p_estimates(a->t, a->o.stream, m, k, a->log_ratio, a->log_p, a->error, err));
  out->source = a->o.source;
  out->objects = m;
  out->backward = k;
  // The k trajectories of an object are not independent of one another; their means are.
  for (int64_t i = 0; i < m; i++)
    a->mean[i] = a->x_log_r[i] - flv_mean(k, a->log_ratio + i * k, NULL);
  if (from_target(a)) out->eubo.value = flv_mean(m, a->mean, &out->eubo.error);
  out->log_p.value = flv_mean(m, a->log_p, &out->log_p.error);
  double square = 0.0;
  for (int64_t i = 0; i < m; i++) square += a->error[i] * a->error[i];
  out->log_p_error = sqrt(square / (double)m);
  correlations(a, out);
  return discrepancy(a, out, err);
}

flv_status flv_trainer_assess(flv_trainer *trainer, const flv_assess_options *options,
                              flv_assessment *out, flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  const flv_estimate unknown = {(double)NAN, (double)NAN, (double)NAN};
  const double nan = (double)NAN;
  flv_assessment result = {.elbo = unknown,
                           .log_z = unknown,
                           .eubo = unknown,
                           .log_p = unknown,
                           .top_found = nan,
                           .mmd2 = nan,
                           .mmd2_biased = nan,
                           .mmd2_noise = nan,
                           .bandwidth = nan};
  assessor a = {.t = trainer};
  flv_status status = prepare(&a, options, err);
  if (status == FLV_OK) status = assess_forward(&a, &result, err);
  if (status == FLV_OK) status = assess_backward(&a, &result, err);
  flv_free(a.block);
  if (status == FLV_OK) *out = result;
  return status;
}
