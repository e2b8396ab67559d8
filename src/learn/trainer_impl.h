// The trainer's parts, for the rooms that evaluate and save it.
#ifndef FLUVIAL_LEARN_TRAINER_IMPL_H
#define FLUVIAL_LEARN_TRAINER_IMPL_H

#include "base/pace.h"
#include "fluvial/trainer.h"
#include "learn/backward.h"
#include "learn/batch.h"
#include "learn/collect.h"
#include "learn/explore.h"
#include "learn/heads.h"
#include "learn/policy.h"
#include "learn/sampler.h"
#include "learn/score.h"
#include "learn/sections.h"
#include "learn/target_net.h"
#include "nn/optim.h"

struct flv_trainer {
  flv_config *cfg;
  const flv_train_cfg *train;
  const flv_env *env;
  const flv_reward *reward;
  flv_env *own_env;       // NULL if the caller's
  flv_reward *own_reward; // likewise
  const flv_objective *objective;
  const void *objective_cfg;
  double log_z; // of the target, by the reward's closed form; NaN: it has none
  int threads;
  flv_pace pace; // see threads_now() in trainer.c

  flv_policy policy;
  flv_batch batch;
  flv_sampler sampler;
  flv_score score;
  flv_collector collector;
  flv_backward backward;
  flv_heads heads;
  flv_target_net target; // if there is need of one
  bool has_target;
  flv_optim optim;
  flv_schedule schedule;
  float *grad; // [policy.n_params]

  int64_t iteration;    // updates made
  int64_t trajectories; // sampled

  struct flv_evaluator *evaluator; // the exact room's; made at the first evaluation
  void (*free_evaluator)(struct flv_evaluator *evaluator);
};

// From now on this many threads; no bit of the results depends on it. Between iterations only.
void flv_trainer_use_threads(flv_trainer *trainer, int threads);

// Does a step that fails leave nothing behind, so that repeated it is what it would have been? Not
// where trajectories are kept in a buffer, or environments go on from step to step.
bool flv_trainer_repeatable(const flv_trainer *trainer);

// Seed of one stream of draws from the trained sampler; stream 0 has the run's own.
uint64_t flv_trainer_seed(const flv_trainer *trainer, uint64_t stream);

// The metric that a plateau schedule watches: is there one of that name; and the values of one
// update.
flv_status flv_trainer_check_metric(const flv_trainer *trainer, flv_error *err);
void flv_trainer_report_step(flv_trainer *trainer, double loss, double grad_norm);

#endif
