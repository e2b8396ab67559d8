// One iteration of training: sample, score, objective, backward, update.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "learn/objective.h"
#include "learn/trainer_impl.h"
#include "nn/blas.h"

static flv_status make_problem(flv_trainer *t, const flv_env *env, const flv_reward *reward,
                               flv_error *err) {
  t->reward = reward ? reward : (t->own_reward = flv_reward_new(t->cfg, err));
  if (!t->reward) return err ? err->status : FLV_EINVAL;
  t->env = env ? env : (t->own_env = flv_env_new(t->cfg, &t->reward->shape, err));
  if (!t->env) return err ? err->status : FLV_EINVAL;
  if (t->reward->bind) FLV_TRY(t->reward->bind(t->reward, t->env, err));
  t->log_z = flv_reward_log_z(t->reward, t->env);
  return FLV_OK;
}

static flv_status make_learner(flv_trainer *t, flv_error *err) {
  const flv_config *cfg = t->cfg;
  t->objective = flv_config_component(cfg, "objective")->impl;
  t->objective_cfg = flv_config_values(cfg, "objective");
  const unsigned wanted = flv_objective_needs(t->objective, t->objective_cfg);
  const flv_component *backward = flv_config_component(cfg, "backward");
  double share;
  const int heads = flv_explore_heads(flv_config_values(cfg, "exploration"), &share);
  const unsigned needs = wanted | flv_backward_needs(backward) | (unsigned)heads << FLV_HEADS_SHIFT;
  FLV_TRY(flv_policy_init(&t->policy, t->env, flv_config_component(cfg, "policy"),
                          flv_config_values(cfg, "policy"), needs, (uint64_t)t->train->seed, err));
  FLV_TRY(flv_backward_init(&t->backward, backward, flv_config_values(cfg, "backward"), &t->policy,
                            t->train->batch, err));
  const int n = t->train->batch + flv_backward_extra(&t->backward, t->train->batch);
  FLV_TRY(flv_batch_init(&t->batch, &t->policy, n, t->train->intern, true, err));
  t->has_target = wanted & FLV_NEEDS_TARGET || t->backward.rule == FLV_BACKWARD_TLM;
  if (t->has_target)
    FLV_TRY(flv_target_net_init(&t->target, flv_config_values(cfg, "target_network"), &t->policy,
                                &t->batch, err));
  FLV_TRY(flv_sampler_init(&t->sampler, &t->batch, err));
  FLV_TRY(flv_score_init(&t->score, &t->batch, needs, err));
  FLV_TRY(flv_heads_init(&t->heads, &t->policy, share, &t->batch, err));
  FLV_TRY(flv_collector_init(&t->collector, t, err));
  FLV_TRY(flv_optim_init(&t->optim, flv_config_component(cfg, "optimiser"),
                         flv_config_values(cfg, "optimiser"), t->policy.net, err));
  flv_schedule_init(&t->schedule, flv_config_component(cfg, "schedule"),
                    flv_config_values(cfg, "schedule"));
  FLV_TRY(flv_trainer_check_metric(t, err));
  t->grad = flv_alloc(t->policy.n_params * sizeof *t->grad);
  return t->grad ? FLV_OK : flv_fail(err, FLV_ENOMEM, "out of memory for the gradient");
}

flv_trainer *flv_trainer_new(const flv_config *cfg, const flv_env *env, const flv_reward *reward,
                             int threads, flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  flv_trainer *t = calloc(1, sizeof *t);
  if (!t) {
    flv_fail(err, FLV_ENOMEM, "out of memory for a trainer");
    return NULL;
  }
  t->threads = threads > 0 ? threads : flv_cores();
  t->cfg = flv_config_clone(cfg, err);
  if (t->cfg) t->train = flv_config_values(t->cfg, "");
  if (!t->cfg || flv_blas_check(err) != FLV_OK || make_problem(t, env, reward, err) != FLV_OK ||
      make_learner(t, err) != FLV_OK) {
    flv_trainer_free(t);
    return NULL;
  }
  return t;
}

void flv_trainer_free(flv_trainer *trainer) {
  flv_trainer *t = trainer;
  if (!t) return;
  if (t->evaluator) t->free_evaluator(t->evaluator);
  flv_free(t->grad);
  flv_target_net_free(&t->target);
  flv_backward_free(&t->backward);
  flv_optim_free(&t->optim);
  flv_collector_free(&t->collector);
  flv_heads_free(&t->heads);
  flv_score_free(&t->score);
  flv_sampler_free(&t->sampler);
  flv_batch_free(&t->batch);
  flv_policy_free(&t->policy);
  flv_env_free(t->own_env);
  flv_reward_free(t->own_reward);
  flv_config_free(t->cfg);
  free(t);
}

// Threads of the two halves of an iteration: sampling, many small products with a barrier after
// each, and the rest, a few large ones.
typedef struct crew {
  int sample, rest;
} crew;

static crew threads_now(flv_trainer *t) {
  const int n = t->threads;
  const crew ways[FLV_PACE_WAYS] = {{1, 1}, {1, n}, {n, n}};
  t->pace.ways = n > 1 ? FLV_PACE_WAYS : 1;
  return ways[flv_pace_begin(&t->pace)];
}

void flv_trainer_use_threads(flv_trainer *trainer, int threads) {
  if (trainer->threads == threads) return;
  trainer->threads = threads;
  trainer->pace = (flv_pace){0}; // what was learned of the old number says nothing of the new one
}

// Fills the batch with the trajectories to train on, evaluates their rows, and asks for their
// rewards.
static flv_status collect(flv_trainer *t, crew threads, flv_error *err) {
  flv_batch *b = &t->batch;
  FLV_TRY(flv_collector_fill(t, threads.sample, err));
  flv_score_expand(&t->score, b);
  flv_batch_evaluate_pf(b, &t->policy, threads.rest);
  flv_batch_evaluate_rest(b, &t->policy, threads.rest);
  if (t->has_target) flv_target_net_evaluate(&t->target, b, threads.rest);
  return flv_score_rewards(&t->score, b, t->reward, err);
}

static flv_status check_finite(const flv_trainer *t, double loss, double grad_norm,
                               flv_error *err) {
  const struct {
    const char *name;
    double value;
  } all[] = {
      {"the loss", loss}, {"the gradient", grad_norm}, {"log Z's gradient", t->score.out.log_z}};
  for (int i = 0; i < 3; i++)
    if (!isfinite(all[i].value))
      return flv_fail(err, FLV_ENAN, "iteration %lld: %s is not finite (%g)",
                      (long long)t->iteration + 1, all[i].name, all[i].value);
  return FLV_OK;
}

// Means over the objects that are known: of fragments, those that end in one.
static double mean_log_r(const flv_batch *b, int n) {
  double sum = 0.0;
  int known = 0;
  for (int i = 0; i < n; i++) {
    if (isnan(b->log_r[i]) && b->open[i] & FLV_OPEN_END) continue;
    sum += b->log_r[i];
    known++;
  }
  return sum / known;
}

static double mean_length(const flv_batch *b, int n) {
  int without = 0; // positions where no action is taken
  for (int i = 0; i < n; i++) without += b->action[b->offset[i + 1] - 1] < 0;
  return (double)b->offset[n] / n - (double)without / n;
}

static void fill_stats(const flv_trainer *t, flv_stats *stats, double loss, double grad_norm) {
  const flv_batch *b = &t->batch;
  const int n = t->score.in.n;
  *stats = (flv_stats){
      .iteration = t->iteration,
      .trajectories = t->trajectories,
      .loss = loss,
      .log_z = (double)*flv_policy_log_z(&t->policy),
      .ess = t->score.out.ess,
      .mean_log_r = mean_log_r(b, n),
      .mean_length = mean_length(b, n),
      .states = b->offset[b->n],
      .distinct = b->rows.n,
      .lr_factor = t->optim.lr_factor,
      .grad_norm = grad_norm,
      .accepted = flv_search_accepted(&t->collector.search),
  };
}

flv_status flv_trainer_step(flv_trainer *trainer, flv_stats *stats, flv_error *err) {
  flv_trainer *t = trainer;
  const crew threads = threads_now(t);
  const int64_t before = t->trajectories;
  const flv_status collected = collect(t, threads, err);
  if (collected != FLV_OK) {
    t->trajectories = before;
    flv_error_prefix(err, "iteration %lld", (long long)t->iteration + 1);
    return collected;
  }
  flv_score_gather(&t->score, &t->batch, &t->policy, t->train->batch,
                   t->has_target ? &t->target.batch : NULL, t->backward.rule == FLV_BACKWARD_TLM);
  const double loss = t->objective->loss(t->objective_cfg, &t->score.in, &t->score.out);
  flv_backward_apply(&t->backward, &t->score, &t->batch, &t->policy);
  flv_score_scatter(&t->score, &t->batch, &t->policy, threads.rest);
  flv_heads_learn(&t->heads, &t->score, &t->batch, &t->policy, t->objective, t->objective_cfg,
                  (flv_rng){(uint64_t)t->train->seed, FLV_RNG_HEAD_DATA, (uint64_t)t->iteration});
  flv_net_backward(t->policy.net, t->policy.params, &t->batch.acts, t->batch.rows.n, t->grad,
                   threads.rest);
  t->grad[t->policy.net->n_params] = (float)t->score.out.log_z;
  const double norm = flv_grad_norm(t->policy.net->n_params, t->grad);
  FLV_TRY(check_finite(t, loss, norm, err));
  flv_replay_learn(&t->collector.replay, &t->score.in);
  t->optim.lr_factor = flv_schedule_at(&t->schedule, t->iteration, t->train->iterations);
  flv_optim_step(&t->optim, t->policy.params, t->grad, norm, threads.rest);
  if (t->has_target) flv_target_net_update(&t->target, &t->policy, t->iteration + 1);
  flv_trainer_report_step(t, loss, norm);
  flv_pace_end(&t->pace, t->batch.rows.n);
  t->iteration++;
  if (stats) fill_stats(t, stats, loss, norm);
  return FLV_OK;
}

bool flv_trainer_repeatable(const flv_trainer *trainer) {
  const flv_collector *c = &trainer->collector;
  return c->stepwise.n == 0 && c->replay.capacity == 0;
}

int flv_trainer_objects(const flv_trainer *trainer, void *states, double *log_r) {
  const flv_batch *b = &trainer->batch;
  const size_t size = trainer->env->state_size;
  const int whole = trainer->train->batch,
            given = flv_given_count(&trainer->collector.given, whole);
  int n = 0;
  for (int i = 0; i < whole - given && i < b->rewarded; i++) {
    if (b->open[i] & FLV_OPEN_END) continue;
    memcpy((unsigned char *)states + (size_t)n * size, flv_batch_state(b, flv_batch_last(b, i)),
           size);
    log_r[n++] = b->log_r[i];
  }
  return n;
}

const flv_env *flv_trainer_env(const flv_trainer *trainer) { return trainer->env; }
const flv_reward *flv_trainer_reward(const flv_trainer *trainer) { return trainer->reward; }
const flv_config *flv_trainer_config(const flv_trainer *trainer) { return trainer->cfg; }
int64_t flv_trainer_iteration(const flv_trainer *trainer) { return trainer->iteration; }
int64_t flv_trainer_trajectories(const flv_trainer *trainer) { return trainer->trajectories; }
