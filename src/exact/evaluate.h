// What evaluations are made of: trajectories of the sampler itself, trajectories back from given
// objects, and the exact terminating distribution.
#ifndef FLUVIAL_EXACT_EVALUATE_H
#define FLUVIAL_EXACT_EVALUATE_H

#include <stdbool.h>
#include <stdint.h>

#include "exact/terminating.h"
#include "learn/trainer_impl.h"

// How far an evaluation is, for whoever waits.
typedef struct flv_watch {
  void (*progress)(void *user, double done); // may be NULL
  void *user;
  double trajectories, all; // so far, to draw
} flv_watch;
void flv_watch_add(flv_watch *watch, int trajectories); // accepts NULL

// What to keep of n trajectories; NULL: nothing.
typedef struct flv_drawn {
  double *log_w; // [n] -c = log R(x) + log P_B(tau|x) - log P_F(tau)
  double *log_r; // [n]
  void *states;  // [n * state_size] the objects
} flv_drawn;

// Draws n trajectories from P_F itself, without exploration. watch may be NULL. Fails where the
// reward does.
flv_status flv_draw_forward(flv_trainer *trainer, uint64_t stream, int64_t n, const flv_drawn *out,
                            flv_watch *watch, flv_error *err);

// Draws k trajectories from P_B(. | x) for each of n objects:
// log_ratio[i * k + j] = log P_F(tau) - log P_B(tau | x_i). FLV_EINVAL if a state is not an object
// that can be built from s0. watch may be NULL.
flv_status flv_draw_backward(flv_trainer *trainer, uint64_t stream, int64_t n, const void *states,
                             int k, double *log_ratio, flv_watch *watch, flv_error *err);

// log_p[i] = log (1/k) sum_j exp log_ratio[i * k + j], which estimates log P_T(x_i), and its
// bootstrap standard error; error may be NULL.
flv_status flv_log_p_estimates(flv_trainer *trainer, uint64_t stream, int64_t n, int k,
                               const double *log_ratio, double *log_p, double *error,
                               flv_error *err);

// May the states be enumerated (there are at most 2^24)?
bool flv_enumerable(const flv_env *env);
// P_T at the present parameters, and the target; the trainer's own. Needs flv_enumerable.
flv_status flv_exact_of(flv_trainer *trainer, const flv_exact **exact, flv_error *err);

// Two trainers of one problem, the caller's environment and reward: the second's evaluations will
// use the target that was computed for the first, which must outlive it. Before the second is
// evaluated. Does nothing where the states cannot be enumerated.
flv_status flv_exact_share_target(flv_trainer *trainer, flv_trainer *first, flv_error *err);

// An evaluation by it; log_z, the learned one, is left 0.
flv_status flv_evaluate_exactly(flv_trainer *trainer, const flv_exact **exact, flv_evaluation *out,
                                flv_error *err);

// How many of the reward's named modes n objects are in; 0 if it names none.
int flv_modes_seen(const flv_trainer *trainer, int64_t n, const void *states, uint8_t *seen);
int flv_mode_count(const flv_trainer *trainer);

// The part of an evaluation by sampling that follows from n log-weights: neither modes nor log_z.
// log_z_true: the true one, or NaN: to be estimated.
void flv_evaluate_weights(int64_t n, const double *log_w, double log_z_true, flv_evaluation *out);

#endif
