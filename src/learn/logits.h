// From the logits that a network gives for P_F to log P_F, and back. Whoever reads logits does it
// here.
//
// The networks give one logit per action. How the exit's is read is the policy's key `exit`:
//
//   joint   P_F = softmax over the legal actions
//   gated   the exit's logit is that of a gate in front of the others:
//             P_F(exit) = sigmoid(l_exit),
//             P_F(a)    = sigmoid(-l_exit) softmax over legal a != exit,
//           and P_F(exit) = 1 where nothing else is legal
//
//   unmasked  as joint, but where the exit is not legal P_F gives it probability all the same while
//           a batch is trained on. It is never taken there: behaviour is P_F given that it is not,
//           and so is the sampler that is evaluated. The released code for molecules trains so.
//
// All are one softmax over action logits u: u_a = l_a, but gated
//   u_exit = l_exit + log sum_{legal a != exit} exp(l_a)
// where there is such an a. So temperature and bias of the behaviour policy,
// flows of edges and everything else that speaks of logits means u, and tempering is P_F^(1/T) for
// all.
#ifndef FLUVIAL_LEARN_LOGITS_H
#define FLUVIAL_LEARN_LOGITS_H

#include "learn/policy.h"

// u [n_actions] of one state from the network's logits [n_actions]; -INFINITY where mask is 0.
void flv_policy_logits(const flv_policy *policy, const float *logits, const uint8_t *mask,
                       double *u);

// log P_F [n_actions] of one state, -INFINITY where mask is 0; returns the logsumexp of u.
double flv_policy_log_pf(const flv_policy *policy, const float *logits, const uint8_t *mask,
                         double *log_pf);

// In place, at one state: cotangents of u become those of the network's logits. With q the softmax
// over legal a != exit, d l_a = d u_a + q(a) d u_exit.
void flv_policy_logits_back(const flv_policy *policy, const double *log_pf, const uint8_t *mask,
                            float *d);

#endif
