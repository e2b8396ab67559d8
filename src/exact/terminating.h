// Exact terminating distribution and target of an enumerable environment.
//
//   u(s0) = 1,  u(s') = sum over parents s of u(s) P_F(s'|s)     probability of visiting s' [32]
//   P_T(x) = u(x) P_F(exit|x), or u(x) at terminal states where there is no exit action     [33]
//   target(x) = R(x) / sum_y R(y) over all objects y
// (Equations of Malkin et al. 2023, arXiv 2210.00580, App. E.)
//
// Objects are the states where exit is legal, or the terminal states. All arrays are over state
// indices, with probability 0 at states that are not objects. Flows are propagated in index order,
// which is topological, and in log space: probabilities below the range of double keep their
// logarithm.
#ifndef FLUVIAL_EXACT_TERMINATING_H
#define FLUVIAL_EXACT_TERMINATING_H

#include <stdint.h>

#include "fluvial/env.h"
#include "fluvial/reward.h"
#include "fluvial/status.h"

enum { FLV_EXACT_CHUNK = 1024 };

// log P_F of n states (n <= FLV_EXACT_CHUNK), into log_pf [n * n_actions]; -INFINITY where illegal.
// Called by the calling thread alone, on the states of all indices in order; it may use threads
// inside.
typedef void (*flv_log_pf_fn)(void *user, int n, const void *states, double *log_pf);

// A problem and its buffers, so that it can be evaluated again and again without allocation.
typedef struct flv_exact {
  const flv_env *env;
  int64_t n;          // states
  int64_t n_objects;  // those with R > 0
  double log_z;       // log sum_x R(x)
  double *log_target; // [n] log target, -INFINITY off the objects
  double *target;     // [n]
  double *log_p;      // [n] log P_T of the latest flv_exact_terminating
  double *p;          // [n] P_T
  struct flv_exact_work *work;
} flv_exact;

// Enumerates the objects and their rewards, on up to `threads` threads (0: all cores). env and
// reward must outlive it. FLV_EINVAL: not enumerable, or no object has positive reward; FLV_ENAN: a
// reward is NaN or infinite. NULL on failure.
flv_exact *flv_exact_new(const flv_env *env, const flv_reward *reward, int threads, flv_error *err);
// Another workspace for the same problem, with the target of `first`, which must outlive it: for
// samplers that are evaluated at the same time. NULL on failure (no memory).
flv_exact *flv_exact_share(const flv_exact *first, flv_error *err);
void flv_exact_free(flv_exact *exact); // accepts NULL

// Fills log_p and p. FLV_ENAN where log P_F is NaN or positive, FLV_EINVAL if a step does not lead
// to a larger index; log_p and p are then unspecified.
flv_status flv_exact_terminating(flv_exact *exact, flv_log_pf_fn log_pf, void *user,
                                 flv_error *err);

// The same for one use: p_t [n_states].
flv_status flv_terminating(const flv_env *env, flv_log_pf_fn log_pf, void *user, double *p_t,
                           flv_error *err);

// log_target [n_states], normalised; log_z may be NULL.
flv_status flv_target(const flv_env *env, const flv_reward *reward, int threads, double *log_target,
                      double *log_z, flv_error *err);

#endif
