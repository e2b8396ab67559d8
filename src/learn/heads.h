// Thompson sampling (Rector-Brooks et al. 2023, "Thompson sampling for improved exploration in
// GFlowNets", arXiv 2306.17693): K further heads of P_F on its trunk (exploration.heads). Each
// fresh trajectory is sampled by one of them, drawn uniformly and kept to its end, and each learns
// by the objective from a share of every batch: trajectory i with probability `head_share`,
// independently. Heads agree where there is much data and differ where there is little, so that
// what is sampled is uncertain.
//
//   loss = objective(P_F, all trajectories) + (1/K) sum_k objective(P_F^k, trajectories of head k)
//
// P_B, log F and log Z are shared. They follow the first term alone, so P_F, which is what is
// evaluated and sampled from, is trained as ever, on all data; only the trunk follows both. The
// paper's fixed prior networks are left out: heads differ by their first weights and their data.
//
// log_pi is that of the head that made the trajectory: which one is drawn does not depend on the
// trajectory, so importance weights hold as they do for one behaviour policy.
#ifndef FLUVIAL_LEARN_HEADS_H
#define FLUVIAL_LEARN_HEADS_H

#include "base/rng.h"
#include "learn/score.h"

typedef struct flv_heads {
  int n; // K; 0: none
  double share;
  double *log_p, *d_log_p; // [max_rows, n_actions] of one head, and cotangents
  int32_t *from;           // [max_n] trajectories that one head learns from
  int32_t *offset;         // [max_n + 1]; what the objective reads of them, packed
  double *log_pf, *log_pb, *log_f, *log_pf_exit, *log_r_state; // [positions]
  double *log_r, *log_pi;                                      // [max_n]
  uint8_t *open;                                               // [max_n]
  flv_cotangents out;
  void *block;
} flv_heads;

// FLV_EINVAL where P_F's logits are flows, or the objective needs a target network.
flv_status flv_heads_init(flv_heads *heads, const flv_policy *policy, double share,
                          const flv_batch *batch, flv_error *err);
void flv_heads_free(flv_heads *heads);

// Writes the cotangents of the heads' logits, for all rows, into batch->acts, from the score that
// the objective has seen. Trajectory i is one of head k's by rng's item i, step k.
void flv_heads_learn(flv_heads *heads, const flv_score *score, flv_batch *batch,
                     const flv_policy *policy, const flv_objective *objective, const void *cfg,
                     flv_rng rng);

#endif
