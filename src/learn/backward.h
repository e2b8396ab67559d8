// How P_B learns.
//
//   objective    by the objective's own gradient (default)
//   tlm          trajectory likelihood maximisation (Gritsaev et al. 2024, arXiv 2410.15474): P_B
//                follows -(1/B) sum_i log P_B(tau_i | x_i) over the trajectories at hand, and the
//                objective sees the P_B of the target network, as a constant
//   pessimistic  (Jang et al. 2024, arXiv 2405.16012): the same likelihood over trajectories drawn
//                uniformly from those of the last `batches` batches; the objective sees P_B as it
//                is, as a constant
//   max_entropy  the number n(s) of ways from s0 to s and P_B(s | s') = n(s) / n(s'), which makes
//                the entropy of trajectories the largest (Mohammadpour et al. 2024, arXiv
//                2312.14331), learned, for spaces that policy.p_b: max_entropy cannot enumerate:
//                the mean over steps s -> s' of
//
//                  (log n(s') + log P_B(s | s') - log n(s))^2,   log n(s0) = 0,
//
//                log n being a head on P_B's trunk. P_B sums to 1 over the parents, so where every
//                residual is 0, n(s') is the sum of its parents' n. (The paper asks for that sum
//                itself and reads P_B off n; this is the same recursion edge by edge, and needs no
//                networks at parents that were not visited.) The objective sees P_B as it is, as a
//                constant
// They take trajectories as they come, without importance weights.
#ifndef FLUVIAL_LEARN_BACKWARD_H
#define FLUVIAL_LEARN_BACKWARD_H

#include "learn/replay.h"
#include "learn/score.h"

typedef enum flv_backward_rule {
  FLV_BACKWARD_OBJECTIVE,
  FLV_BACKWARD_TLM,
  FLV_BACKWARD_PESSIMISTIC,
  FLV_BACKWARD_MAX_ENTROPY
} flv_backward_rule;

typedef struct flv_backward {
  flv_backward_rule rule;
  flv_replay past; // pessimistic
} flv_backward;

extern const flv_component *const flv_backward_list[];

// FLV_NEEDS_* of a rule.
unsigned flv_backward_needs(const flv_component *component);

// component, cfg: of section `backward`. FLV_EINVAL where the policy's P_B has nothing to learn.
flv_status flv_backward_init(flv_backward *backward, const flv_component *component,
                             const void *cfg, const flv_policy *policy, int batch, flv_error *err);
void flv_backward_free(flv_backward *backward);

// Trajectories that P_B wants besides the objective's.
int flv_backward_extra(const flv_backward *backward, int batch);
// Remembers the first n of the batch, which are new, and appends as many as it wants.
void flv_backward_draw(flv_backward *backward, flv_sampler *sampler, flv_batch *batch,
                       const flv_policy *policy, flv_rng rng, int n, int batch_size);
// Replaces the objective's cotangents of log P_B by the rule's, and fills those of log n.
void flv_backward_apply(const flv_backward *backward, flv_score *score, const flv_batch *batch,
                        const flv_policy *policy);

#endif
