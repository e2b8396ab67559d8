// How P_B learns.
//
//   objective    by the objective's own gradient (default)
//   tlm          trajectory likelihood maximisation (Gritsaev et al. 2024, arXiv 2410.15474): P_B
//                follows -(1/B) sum_i log P_B(tau_i | x_i) over the trajectories at hand, and the
//                objective sees the P_B of the target network, as a constant
//   pessimistic  (Jang et al. 2024, arXiv 2405.16012): the same likelihood over trajectories drawn
//                uniformly from those of the last `batches` batches; the objective sees P_B as it
//                is, as a constant
// The likelihoods take trajectories as they come, without importance weights.
#ifndef FLUVIAL_LEARN_BACKWARD_H
#define FLUVIAL_LEARN_BACKWARD_H

#include "learn/replay.h"
#include "learn/score.h"

typedef enum flv_backward_rule {
  FLV_BACKWARD_OBJECTIVE,
  FLV_BACKWARD_TLM,
  FLV_BACKWARD_PESSIMISTIC
} flv_backward_rule;

typedef struct flv_backward {
  flv_backward_rule rule;
  flv_replay past; // pessimistic
} flv_backward;

extern const flv_component *const flv_backward_list[];

// component, cfg: of section `backward`. FLV_EINVAL where the policy's P_B has nothing to learn.
flv_status flv_backward_init(flv_backward *backward, const flv_component *component,
                             const void *cfg, const flv_policy *policy, int batch, flv_error *err);
void flv_backward_free(flv_backward *backward);

// Trajectories that P_B wants besides the objective's.
int flv_backward_extra(const flv_backward *backward, int batch);
// Remembers the first n of the batch, which are new, and appends as many as it wants.
void flv_backward_draw(flv_backward *backward, flv_sampler *sampler, flv_batch *batch,
                       const flv_policy *policy, flv_rng rng, int n, int batch_size);
// Replaces the objective's cotangents of log P_B by the rule's.
void flv_backward_apply(const flv_backward *backward, flv_score *score, const flv_batch *batch);

#endif
