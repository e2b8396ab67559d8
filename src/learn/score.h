// Score: from an evaluated batch to what objectives read, and from their cotangents back to network
// outputs.
//
// log P_F of the action taken at a row is one entry of that row's log-softmax, so for the cotangent
// g of log P_F(a | s) the row's logits receive g ([a' = a] - P_F(a' | s)), summed over all visits.
#ifndef FLUVIAL_LEARN_SCORE_H
#define FLUVIAL_LEARN_SCORE_H

#include "fluvial/objective.h"
#include "fluvial/reward.h"
#include "learn/batch.h"
#include "learn/inflow.h"
#include "learn/rewards.h"

typedef struct flv_score {
  flv_trajectories in;
  flv_cotangents out;
  unsigned needs;
  flv_rewards rewards;
  flv_inflow inflow;                                           // of objectives that need it
  double *log_pf, *log_pb, *log_f, *log_pf_exit, *log_r_state; // [positions]
  double *log_inflow, *log_pf_target, *log_f_target;           // [positions]
  double *log_pf_exit_target;                                  // [positions]
  double *d_log_n;     // [max_rows] where P_B's rule needs it
  double *d_pf, *d_pb; // [max_rows, n_actions | n_back] zero outside flv_score_scatter
  double *d_log_f;     // [max_rows]
  void *block;
} flv_score;

flv_status flv_score_init(flv_score *score, const flv_batch *batch, unsigned needs, flv_error *err);
void flv_score_free(flv_score *score);

// Adds rows that the objective needs besides those visited. Before the batch is evaluated.
void flv_score_expand(flv_score *score, flv_batch *batch);

// log R of every trajectory's object, into batch->log_r (and of all rows where the objective needs
// it). May be called as the batch grows: no object's reward is asked for twice. Fails where the
// reward does.
flv_status flv_score_rewards(flv_score *score, flv_batch *batch, const flv_reward *reward,
                             flv_error *err);

// Fills score->in with the batch, of which the objective sees the first n trajectories, and zeroes
// score->out. target: the same rows by the target network, NULL if there is none; target_pb: log_pb
// is the target's.
void flv_score_gather(flv_score *score, const flv_batch *batch, const flv_policy *policy, int n,
                      const flv_batch *target, bool target_pb);

// Cotangents of n logits whose softmax is p, at one state: P_B's, or the action logits of P_F
// (learn/logits.h). d[a] holds those, g_a, of log p(a), summed over visits, and d_sum that of the
// logits' logsumexp; the logits receive g_a - p(a) sum_a' g_a' + p(a) d_sum.
void flv_score_logits(int n, const double *d, double d_sum, const double *log_p,
                      const uint8_t *mask, float *d_logits);

// Writes the cotangents of the network's outputs, for all rows, into batch->acts.
void flv_score_scatter(flv_score *score, flv_batch *batch, const flv_policy *policy, int threads);

#endif
