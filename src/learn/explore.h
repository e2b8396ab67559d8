// Exploration: changes the behaviour policy only; its log-probability is always recorded.
//
//   q(a) = softmax over legal a of (u_a - [a = exit] bias) / temperature
//   behaviour(a) = (1 - epsilon) q(a) + epsilon r(a)
//
// u are P_F's action logits (learn/logits.h). r is uniform over the legal actions; with
// stop_gamma > 0 the exit has that probability and the others share the rest equally (where it is
// the only one, or illegal, as without).
//
// What is recorded as the log-probability of an action:
//   record: mixture    log behaviour(a), whoever drew it
//   record: component  a coin says who acts, and log r(a) or log q(a) is recorded. The actions have
//                      the same distribution; importance weights with it are not of any policy.
//                      The released code for graphs stores this.
//
// Early stops: with probability early_stop a trajectory ends after k actions, k uniform from
// early_from to the longest trajectory's number before its exit, or at the first state after them
// where the exit is legal. What is recorded is the log-probability of its actions given k, so of
// that exit 0. The released code for molecules does so.
//
// The exit bias is what the paper's appendix D.1 calls the scalar subtracted from the logits (its
// released code subtracts it from the exit logit alone). Each of the three goes from its start to
// its end over the first `until` of the iterations; the released code's never-annealed bias is
// exit_bias_end = exit_bias.
#ifndef FLUVIAL_LEARN_EXPLORE_H
#define FLUVIAL_LEARN_EXPLORE_H

#include <stdbool.h>
#include <stdint.h>

#include "fluvial/config.h"
#include "learn/policy.h"

// heads > 0: Thompson sampling; the logits are those of one of P_F's further heads, drawn uniformly
// for each trajectory (learn/heads.h).
typedef struct flv_explore {
  double epsilon, temperature, exit_bias; // as of this iteration
  double stop_gamma;
  double early_stop;
  int early_from;
  bool component; // of the mixture is recorded
  bool active;    // false: behaviour is P_F itself, or its head
  int heads;
} flv_explore;

extern const flv_component *const flv_explore_list[];

flv_explore flv_explore_at(const void *cfg, int64_t iteration, int64_t iterations);

// How many heads are asked for, and on what share of the trajectories each learns.
int flv_explore_heads(const void *cfg, double *share);

// FLV_EINVAL where it asks for what the environment does not have.
flv_status flv_explore_check(const void *cfg, const flv_env *env, flv_error *err);

// The uniform policy, as with epsilon 1; nothing of the networks is in it.
flv_explore flv_explore_uniformly(const void *cfg);
// r of one state [n_actions]; 0 where mask is 0.
void flv_explore_uniform(const flv_explore *explore, const flv_env *env, const uint8_t *mask,
                         double *pi);

// Behaviour probabilities of one state [n_actions] from log P_F there; q where components are
// recorded. 0 where mask is 0.
void flv_explore_pi(const flv_explore *explore, const flv_env *env, const double *log_pf,
                    const uint8_t *mask, double *pi);

#endif
