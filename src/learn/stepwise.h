// Stepwise collection (section `collect`): environments that live on between iterations. In each
// iteration every one of them takes one step by the behaviour policy and, where that ended its
// trajectory, begins again at s0; what they did goes into the replay buffer, and the objective
// learns from what is drawn from there. Such is the usual loop of reinforcement learning, and of
// the paper's released code for graphs.
//
// Trajectory m of environment e draws at iteration m, item e of FLV_RNG_ACTION: under a policy that
// does not change these are the trajectories that flv_sampler_run makes at iteration m. Under one
// that does, a trajectory is made by several policies, one for each step, and log pi is the sum
// over them: exactly what its steps had when they were taken.
#ifndef FLUVIAL_LEARN_STEPWISE_H
#define FLUVIAL_LEARN_STEPWISE_H

#include "learn/sampler.h"

typedef struct flv_stepwise {
  int n;           // environments; 0: whole trajectories are collected instead
  int64_t prefill; // steps of each by the uniform policy before the first update
  int width;       // most actions of one trajectory

  // Saved between iterations.
  int64_t *steps;       // [1] that each has taken so far
  int64_t *episode;     // [n] trajectories that each has finished
  int32_t *length;      // [n] actions of the present one
  int32_t *action;      // [n, width]
  double *log_pi;       // [n] of these actions
  unsigned char *state; // [n * state_size] where it is

  // Of the latest step.
  unsigned char *before; // [n * state_size] where it was taken
  int32_t *taken;        // [n] the action
  uint8_t *ended;        // [n] it was the last one

  flv_batch batch; // present states, to be evaluated
  flv_sampler sampler;
  void *block;
} flv_stepwise;

extern const flv_component *const flv_collect_list[]; // episodes, steps

// component, cfg: of section `collect`.
flv_status flv_stepwise_init(flv_stepwise *stepwise, const flv_component *component,
                             const void *cfg, const flv_policy *policy, bool interned,
                             flv_error *err);
void flv_stepwise_free(flv_stepwise *stepwise);

// One step of each. The networks are not asked where the policy is uniform.
void flv_stepwise_step(flv_stepwise *stepwise, const flv_policy *policy, const flv_explore *explore,
                       uint64_t seed, int threads);
// Appends to a batch the latest step of environment e; or its trajectory, which has ended.
void flv_stepwise_append_step(const flv_stepwise *stepwise, int e, flv_sampler *sampler,
                              flv_batch *batch);
void flv_stepwise_append_episode(const flv_stepwise *stepwise, int e, flv_sampler *sampler,
                                 flv_batch *batch);
// Those that have ended begin again; returns how many.
int flv_stepwise_restart(flv_stepwise *stepwise);

#endif
