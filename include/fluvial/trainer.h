// Training: one object that samples, scores and updates.
#ifndef FLUVIAL_TRAINER_H
#define FLUVIAL_TRAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fluvial/config.h"
#include "fluvial/env.h"
#include "fluvial/reward.h"
#include "fluvial/status.h"
#include "fluvial/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct flv_trainer flv_trainer;

// Numbers of one iteration.
typedef struct flv_stats {
  int64_t iteration;    // of the update just made, from 1
  int64_t trajectories; // sampled so far, those to given objects and proposals of the local search
                        // included; replayed ones count once
  double loss;
  double log_z; // learned
  double ess;   // effective sample size of the importance weights, the batch size if none are used
  double mean_log_r;    // over the batch
  double mean_length;   // forward actions per trajectory
  int states, distinct; // visited in the batch, and after interning
  double lr_factor;     // of the learning-rate schedule
  double grad_norm;     // before clipping
  double accepted;      // share of the local search's proposals; NaN if there were none
} flv_stats;

// How far the sampler is from the target (exact.h says how it is computed).
typedef struct flv_evaluation {
  bool exact;          // else estimated from samples
  double log_z_true;   // log sum_x R(x), or an estimate of it
  bool log_z_exact;    // log_z_true is exact: enumerated, or the reward's closed form
  double log_z;        // learned
  double jsd, tv;      // of the terminating distribution and R/Z; nats, [0, 1]
  double kl_pq, kl_qp; // D(target || sampler), D(sampler || target)
  double l1;           // mean |P - Q| over states, what other libraries call l1_dist
  int modes;           // of the target, 0 if it names none
  double modes_found;  // paper 3.5: overlap of the top states of both, in modes
  int64_t n;           // objects (exact) or samples
} flv_evaluation;

// ---- simple ----

// env and reward NULL: made from cfg and owned by the trainer; given: the caller's, and kept alive
// by it. threads 0: all cores. NULL on failure.
flv_trainer *flv_trainer_new(const flv_config *cfg, const flv_env *env, const flv_reward *reward,
                             int threads, flv_error *err);
void flv_trainer_free(flv_trainer *trainer); // accepts NULL

// One iteration: sample, score, objective, backward, update. stats may be NULL. FLV_ENAN if the
// loss or a gradient is not finite, or what the reward failed with; the parameters are then as
// before the call.
flv_status flv_trainer_step(flv_trainer *trainer, flv_stats *stats, flv_error *err);

// Compares the sampler with the target: exactly when the environment can be enumerated (up to 2^24
// states), else from `samples` samples.
flv_status flv_trainer_evaluate(flv_trainer *trainer, int64_t samples, flv_evaluation *out,
                                flv_error *err);

// ---- explicit ----

const flv_env *flv_trainer_env(const flv_trainer *trainer);
const flv_reward *flv_trainer_reward(const flv_trainer *trainer);
const flv_config *flv_trainer_config(const flv_trainer *trainer);
int64_t flv_trainer_iteration(const flv_trainer *trainer);    // updates made
int64_t flv_trainer_trajectories(const flv_trainer *trainer); // sampled so far

// Right after flv_trainer_step: the objects that the trajectories it trained on ended in, but for
// given ones (section `data`), in order; at most the batch. states [batch * state_size], log_r
// [batch]. Returns how many.
int flv_trainer_objects(const flv_trainer *trainer, void *states, double *log_r);

// Samples n objects from P_F itself (no exploration) into states [n*state_size]; stream tells
// independent draws apart. log_r (or NULL) receives their log-rewards; only these can fail.
flv_status flv_trainer_sample(flv_trainer *trainer, uint64_t stream, int n, void *states,
                              double *log_r, flv_error *err);

// Exact terminating probabilities P_T [n_states] and target R/Z [n_states], by state index; either
// may be NULL. Needs an enumerable environment.
flv_status flv_trainer_distribution(flv_trainer *trainer, double *p, double *target,
                                    flv_error *err);

// ---- advanced ----

// Everything that has to be saved for a run to continue bit for bit: parameters, optimiser,
// schedules, replay, counters. The data pointers are the trainer's own.
// Writes up to `max` tensors and returns how many there are.
int flv_trainer_tensors(flv_trainer *trainer, flv_tensor *list, int max);

// Tells the plateau schedule its metric (a metrics.csv column name it was configured with).
void flv_trainer_report(flv_trainer *trainer, const flv_evaluation *evaluation);

#ifdef __cplusplus
}
#endif
#endif
