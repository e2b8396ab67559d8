// Edges, paths and Markov blankets of the posterior and of the sampler; the most probable graphs.
#include "run/posterior.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/logmath.h"
#include "base/memory.h"
#include "fluvial/run.h"
#include "io/adjacency.h"
#include "metrics/dag_features.h"
#include "metrics/distance.h"

enum { MOST_ENUMERATED = 1 << 24, CHUNK = 1024 };

// ---- what the graphs have ----

static void take_parents(const flv_posterior *p, int n, const void *states, uint64_t *parents) {
  const unsigned char *state = states;
  for (int i = 0; i < n; i++)
    for (int j = 0; j < p->d; j++)
      parents[i * p->d + j] = flv_dag_parents(p->dag, state + (size_t)i * p->env->state_size, j);
}

static flv_dag_features features_of(const flv_posterior *p, double *const matrix[FLV_FEATURES]) {
  return (flv_dag_features){.d = p->d,
                            .edge = matrix[FLV_EDGES],
                            .path = matrix[FLV_PATHS],
                            .blanket = matrix[FLV_BLANKETS]};
}

// ---- exactly ----

typedef struct sweep {
  double *sampler, *target; // [n_graphs] probabilities
  int64_t *index;           // [CHUNK]
  unsigned char *states;    // [CHUNK * state_size]
  uint64_t *parents;        // [CHUNK * d]
  double *log_r;            // [CHUNK]
  void *block;
} sweep;

// The least probable of a full list gives way; the list stays in order, ties in the order of
// states.
static void offer(flv_posterior *p, double probability, double log_r, int64_t index,
                  const uint64_t *parents) {
  int at = p->n_top;
  while (at > 0 && p->top[at - 1].log_r < log_r) at--;
  if (at == FLV_POSTERIOR_GRAPHS) return;
  const int last = p->n_top < FLV_POSTERIOR_GRAPHS ? p->n_top : FLV_POSTERIOR_GRAPHS - 1;
  memmove(&p->top[at + 1], &p->top[at], (size_t)(last - at) * sizeof *p->top);
  p->top[at] = (flv_ranked_graph){.log_r = log_r, .probability = probability, .index = index};
  memcpy(p->top[at].parents, parents, (size_t)p->d * sizeof *parents);
  p->n_top = last + 1;
}

static flv_status sweep_graphs(flv_posterior *p, const sweep *s, flv_error *err) {
  const flv_reward *reward = flv_trainer_reward(p->trainer);
  flv_dag_features best = features_of(p, p->best), sampler = features_of(p, p->sampler);
  double most = (double)-INFINITY;
  flv_dag_features_clear(&best);
  flv_dag_features_clear(&sampler);
  for (int64_t begin = 0; begin < p->n_graphs; begin += CHUNK) {
    const int n = p->n_graphs - begin < CHUNK ? (int)(p->n_graphs - begin) : CHUNK;
    for (int i = 0; i < n; i++) s->index[i] = begin + i;
    p->env->ops->at(p->env, n, s->index, s->states);
    take_parents(p, n, s->states, s->parents);
    flv_dag_features_add(&best, n, s->parents, s->target + begin);
    flv_dag_features_add(&sampler, n, s->parents, s->sampler + begin);
    FLV_TRY(flv_reward_log(reward, p->env, n, s->states, s->log_r, err));
    for (int i = 0; i < n; i++) {
      offer(p, s->target[begin + i], s->log_r[i], begin + i, s->parents + i * p->d);
      if (!(s->log_r[i] > most)) continue;
      most = s->log_r[i];
      p->log_z = most - log(s->target[begin + i]); // R / Z is the target
    }
  }
  flv_dag_features_finish(&best);
  flv_dag_features_finish(&sampler);
  return FLV_OK;
}

static flv_status enumerate(flv_posterior *p, flv_error *err) {
  p->n_graphs = p->env->n_states;
  const size_t n = (size_t)p->n_graphs, d = (size_t)p->d;
  sweep s = {0};
  const flv_slot slots[] = {
      FLV_SLOT(s.sampler, n),         FLV_SLOT(s.target, n),
      FLV_SLOT(s.index, CHUNK),       FLV_SLOT(s.states, CHUNK * p->env->state_size),
      FLV_SLOT(s.parents, CHUNK * d), FLV_SLOT(s.log_r, CHUNK)};
  s.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!s.block) return flv_fail(err, FLV_ENOMEM, "out of memory for %zu graphs", n);
  flv_status status = flv_trainer_distribution(p->trainer, s.sampler, s.target, err);
  if (status == FLV_OK) status = sweep_graphs(p, &s, err);
  if (status == FLV_OK) {
    p->jsd = flv_jsd(p->n_graphs, s.sampler, s.target);
    p->tv = flv_tv(p->n_graphs, s.sampler, s.target);
    for (int k = 0; k < FLV_FEATURES; k++)
      p->rmse[k] = flv_dag_rmse(p->d, p->best[k], p->sampler[k]);
  }
  flv_free(s.block);
  return status;
}

// ---- from samples ----

typedef struct order { // of graphs, for qsort
  const uint64_t *parents;
  int d;
  double log_r;
  int64_t index;
} order;

static int by_graph(const void *a, const void *b) {
  const order *x = a, *y = b;
  for (int j = 0; j < x->d; j++)
    if (x->parents[j] != y->parents[j]) return x->parents[j] < y->parents[j] ? -1 : 1;
  return (x->index > y->index) - (x->index < y->index);
}

static bool same_graph(const order *a, const order *b) {
  return memcmp(a->parents, b->parents, (size_t)a->d * sizeof *a->parents) == 0;
}

// Counts equal samples; keep: their best become the top list.
static flv_status count_samples(flv_posterior *p, bool keep, flv_error *err) {
  order *o = flv_alloc((size_t)p->n_samples * sizeof *o);
  if (!o)
    return flv_fail(err, FLV_ENOMEM, "out of memory for %lld graphs", (long long)p->n_samples);
  for (int64_t i = 0; i < p->n_samples; i++)
    o[i] = (order){p->sample + i * p->d, p->d, p->log_r[i], i};
  qsort(o, (size_t)p->n_samples, sizeof *o, by_graph);
  for (int64_t i = 0, end; i < p->n_samples; i = end) {
    for (end = i + 1; end < p->n_samples && same_graph(&o[i], &o[end]);) end++;
    const double share = (double)(end - i) / (double)p->n_samples;
    if (keep) offer(p, share, o[i].log_r, o[i].index, o[i].parents);
    p->n_distinct++;
  }
  flv_free(o);
  return FLV_OK;
}

static flv_status draw_samples(flv_posterior *p, uint64_t stream, flv_error *err) {
  unsigned char *states = flv_alloc(CHUNK * p->env->state_size);
  if (!states) return flv_fail(err, FLV_ENOMEM, "out of memory for %d graphs", (int)CHUNK);
  flv_status status = FLV_OK;
  for (int64_t done = 0; done < p->n_samples && status == FLV_OK; done += CHUNK) {
    const int n = p->n_samples - done < CHUNK ? (int)(p->n_samples - done) : CHUNK;
    const uint64_t part = (stream << 20) + (uint64_t)(done / CHUNK) + 1;
    status = flv_trainer_sample(p->trainer, part, n, states, p->log_r + done, err);
    if (status == FLV_OK) take_parents(p, n, states, p->sample + done * p->d);
  }
  flv_free(states);
  return status;
}

// Trajectories get long where there are many variables: fewer of them then.
static flv_status assess(flv_posterior *p, uint64_t stream, flv_error *err) {
  const bool large = p->d > 24;
  const flv_assess_options o = {.samples = large ? 1000 : 4000,
                                .objects = large ? 50 : 200,
                                .backward = 20,
                                .source = FLV_SOURCE_SAMPLER,
                                .stream = stream};
  return flv_trainer_assess(p->trainer, &o, &p->assessment, err);
}

static flv_status sample_features(flv_posterior *p, uint64_t stream, flv_error *err) {
  flv_dag_features f = features_of(p, p->best);
  flv_dag_features_clear(&f);
  flv_dag_features_add(&f, p->n_samples, p->sample, NULL);
  flv_dag_features_finish(&f);
  for (int k = 0; k < FLV_FEATURES; k++) p->sampler[k] = p->best[k];
  return assess(p, stream, err);
}

// ---- all ----

static flv_status read_truth(flv_posterior *p, const char *path, flv_error *err) {
  FLV_TRY(flv_adjacency_read(p->truth, path, p->d, p->names, err));
  flv_ranked *work = flv_alloc((size_t)p->d * (size_t)p->d * sizeof *work);
  if (!work) return flv_fail(err, FLV_ENOMEM, "out of memory for %d variables", p->d);
  p->has_truth = true;
  p->to_truth = flv_dag_compare(p->d, p->best[FLV_EDGES], p->truth, work);
  flv_free(work);
  return FLV_OK;
}

static flv_status find_parts(flv_posterior *p, const char *dir, flv_error *err) {
  p->env = flv_trainer_env(p->trainer);
  p->dag = flv_dag_env_of(p->env);
  p->score = flv_dag_score_of(flv_trainer_reward(p->trainer));
  if (!p->dag || !p->score)
    return flv_fail(err, FLV_EINVAL,
                    "%s: not a run on causal graphs: its environment is '%s', its reward '%s'", dir,
                    p->env->name, flv_trainer_reward(p->trainer)->name);
  p->d = flv_dag_variables(p->dag);
  p->names = (const char *const *)p->score->data.name;
  p->exact = p->env->n_states > 0 && p->env->n_states <= MOST_ENUMERATED;
  return FLV_OK;
}

static flv_status allocate(flv_posterior *p, flv_error *err) {
  const size_t square = (size_t)p->d * (size_t)p->d, n = (size_t)p->n_samples;
  const flv_slot slots[] = {FLV_SLOT(p->best[0], square),          FLV_SLOT(p->best[1], square),
                            FLV_SLOT(p->best[2], square),          FLV_SLOT(p->sampler[0], square),
                            FLV_SLOT(p->sampler[1], square),       FLV_SLOT(p->sampler[2], square),
                            FLV_SLOT(p->sample, n * (size_t)p->d), FLV_SLOT(p->log_r, n),
                            FLV_SLOT(p->top, FLV_POSTERIOR_GRAPHS)};
  p->block = flv_bind(sizeof slots / sizeof *slots, slots);
  return p->block ? FLV_OK : flv_fail(err, FLV_ENOMEM, "out of memory for %zu graphs", n);
}

static flv_status fill(flv_posterior *p, const char *dir, const flv_structure_options *o,
                       flv_error *err) {
  FLV_TRY(find_parts(p, dir, err));
  p->n_samples = o->samples > 0 ? o->samples : 1000;
  FLV_TRY(allocate(p, err));
  FLV_TRY(draw_samples(p, o->stream, err));
  FLV_TRY(count_samples(p, !p->exact, err));
  FLV_TRY(p->exact ? enumerate(p, err) : sample_features(p, o->stream, err));
  return o->truth ? read_truth(p, o->truth, err) : FLV_OK;
}

flv_status flv_posterior_open(flv_posterior *p, const char *dir,
                              const flv_structure_options *options, flv_error *err) {
  *p = (flv_posterior){.trainer = flv_run_open(dir, options->threads, err)};
  if (!p->trainer) return err->status;
  const flv_status status = fill(p, dir, options, err);
  if (status != FLV_OK) flv_posterior_close(p);
  return status;
}

void flv_posterior_close(flv_posterior *p) {
  flv_free(p->block);
  flv_trainer_free(p->trainer);
  *p = (flv_posterior){0};
}
