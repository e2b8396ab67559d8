// Pieces that objectives share: sums over trajectories, importance weights, baselines.
//
// Notation, here and in the objectives' files (paper: Malkin et al. 2023, "GFlowNets and
// variational inference", arXiv 2210.00580; numbers in brackets are its equations):
//   tau_i ~ pi   trajectory i of a batch of B, from the behaviour policy pi; its object is x_i
//   c_i          log P_F(tau_i) - log P_B(tau_i | x_i) - log R(x_i)                           [10]
//   Z, Z^        learned normaliser, and the true one sum_x R(x)
//   P_B(tau)     R(x) P_B(tau | x) / Z^, the posterior over trajectories                      [4]
#ifndef FLUVIAL_LEARN_OBJECTIVE_H
#define FLUVIAL_LEARN_OBJECTIVE_H

#include "fluvial/objective.h"
#include "learn/objective_list.h"

// All objectives, NULL at the end; impl points to a flv_objective.
extern const flv_component *const flv_objective_list[];

#define FLV_OBJECTIVE_DECLARE(name) extern const flv_component flv_objective_##name;
FLV_OBJECTIVES(FLV_OBJECTIVE_DECLARE)
#undef FLV_OBJECTIVE_DECLARE

// log P_F(tau_i), and c_i. The entry log_pb[offset[i]] stands for no step and is not read.
double flv_trajectory_log_pf(const flv_trajectories *t, int i);
double flv_trajectory_log_ratio(const flv_trajectories *t, int i);

// FLV_OPEN_* of trajectory i; 0 if it is whole.
static inline unsigned flv_trajectory_open(const flv_trajectories *t, int i) {
  return t->open ? t->open[i] : 0;
}

// Transitions of trajectory i, into its object. An exit is one; without exits the last state is the
// object, and s0 where there is no other state counts as one transition, from s0 to its object. Of
// a fragment, those that are in it.
int flv_trajectory_steps(const flv_trajectories *t, int i);

// Adds a to the cotangent of every log_pf (every log_pb but the first position's) of trajectory i.
void flv_trajectory_spread_pf(const flv_trajectories *t, int i, double a, double *d_log_pf);
void flv_trajectory_spread_pb(const flv_trajectories *t, int i, double a, double *d_log_pb);

// Importance weights of a batch, scale * share[i]. The shares sum to 1, or are all 0 when every
// weight is; keeping the scale apart lets weights beyond the range of double still have shares.
typedef struct flv_weights {
  const double *share; // [n]
  double scale;
  double log_sum; // log of the sum of the weights as given, exp(log_weight[i])
  double ess;     // effective sample size, 1 / sum share^2
} flv_weights;

// share (written) from log_weight, both [n]; scale is 1.
flv_weights flv_weights_make(int n, const double *log_weight, double *share);

// What is subtracted from c_i in a score-function estimator sum w_i (c_i - b_i) grad log P(tau_i).
//   NONE           b_i = 0
//   LOCAL          b_i = (1/B) sum_j c_j: the plain mean of c, own sample included, whatever the
//                  weights [11]. Makes the expected gradient (B-1)/B of what it should be (exactly
//                  so when the weights are not self-normalised).
//   GLOBAL         b_i = -log Z, the learned one; log Z trained on c makes it a running mean [12]
//   LEAVE_ONE_OUT  b_i = sum_{j!=i} w_j c_j / sum_{j!=i} w_j, with the weights of this very
//                  estimator. Does not depend on tau_i, so it adds no bias (da Silva et al. 2024,
//                  arXiv 2410.09355). -log Z where no other trajectory has weight, as in a batch
//                  of one.
//   CONSTANT       b_i = a number given beforehand, such as the optimal scalar E[f ||w h||^2] /
//                  E[||w h||^2], h = grad log P, that `fluvial estimators` finds
typedef enum flv_baseline {
  FLV_BASELINE_NONE,
  FLV_BASELINE_LOCAL,
  FLV_BASELINE_GLOBAL,
  FLV_BASELINE_LEAVE_ONE_OUT,
  FLV_BASELINE_CONSTANT
} flv_baseline;

// b [n] from c [n] and the shares [n] of the weights; scratch [n]. log_z: for CONSTANT, minus the
// number.
void flv_baselines(flv_baseline kind, int n, const double *c, const double *share, double log_z,
                   double *b, double *scratch);

#endif
