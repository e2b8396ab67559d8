// The exact quantities whose gradients objectives estimate, as functionals of a policy in complex
// numbers (complex_step.h). Notation as in learn/objective.h: c(tau), Z^, P_B(tau) = R P_B / Z^.
//
// Each is a recursion over the state graph, or, where noted, a sum over all trajectories. They take
// no logarithm of a probability of visiting, so states of no probability do no harm.
#ifndef FLUVIAL_EXACT_FUNCTIONALS_H
#define FLUVIAL_EXACT_FUNCTIONALS_H

#include "exact/complex_step.h"
#include "exact/paths.h"

// D(P_F || P_B) = E_PF[c] + log Z^, and D(P_B || P_F). argument: not used. [Malkin et al. 2023,
// (5)]
flv_complex flv_reverse_kl(const flv_model *model, const void *argument);
flv_complex flv_forward_kl(const flv_model *model, const void *argument);

// S_a = E_PF[w^a], w = P_B(tau) / P_F(tau). argument: double a. [da Silva et al. 2024, Rényi and
// Tsallis divergences are log S_a / (a-1) and (S_a - 1) / (a-1)]
flv_complex flv_power_sum(const flv_model *model, const void *argument);

// (1-r) D(P_F || P_B) + r D(P_B || P_F). argument: double r.
flv_complex flv_mixed_kl(const flv_model *model, const void *argument);
// Divergences of order a of P_B from P_F: log S_a / (a-1) and (S_a - 1) / (a-1), D(P_B || P_F) at
// a = 1. argument: double a.
flv_complex flv_renyi(const flv_model *model, const void *argument);
flv_complex flv_tsallis(const flv_model *model, const void *argument);

// Penalties of residuals, by their formulas in complex numbers (learn/regression.h has them too).
typedef enum flv_penalty {
  FLV_PENALTY_SQUARED,
  FLV_PENALTY_HALF_SQUARED,
  FLV_PENALTY_HUBER,
  FLV_PENALTY_SHIFTED_COSH,
  FLV_PENALTY_LINEX
} flv_penalty;

// Under trajectories of a fixed policy q, which does not depend on the parameters:
typedef struct flv_fixed {
  const double *log_q;      // [n_moves] that policy
  const flv_paths *paths;   // where trajectories are summed over
  const double *log_path;   // [paths->n] their log-probabilities under q
  double shift;             // a number
  double lambda;            // of SubTB
  flv_penalty penalty;      // instead of squares
  double knob;              // delta of Huber's, alpha of linex
  bool detach;              // something that formulas below say is a constant
  const flv_tables *target; // of the target network
  double munchausen, clip;  // of soft_dqn
} flv_fixed;
flv_complex flv_penalise(const flv_fixed *q, flv_complex residual);
// E_q[c], Var_q[c], E_q[(shift + c)^2], E_q[(log Z + c)^2]
flv_complex flv_mean_ratio(const flv_model *model, const void *argument);
flv_complex flv_variance_ratio(const flv_model *model, const void *argument);
flv_complex flv_mean_square(const flv_model *model, const void *argument);
flv_complex flv_tb_loss(const flv_model *model, const void *argument);
// D_log2 + 2 (log Z - log Z^) D(P_F || P_B), with D_log2 = E_q[(log Z^ + c)^2] and q = P_F: what
// the on-policy TB gradient of P_B is the gradient of [9].
flv_complex flv_equation_9(const flv_model *model, const void *argument);
// E_q of the losses of single trajectories, over all trajectories: TB, sum over transitions (DB,
// and forward-looking DB, where log F(s) + log R(s) is the flow), the mean over transitions, over
// steps (modified DB; detach: log P_F(exit|s') a constant), and over sub-trajectories weighted by
// lambda^length (SubTB; lambda 0 and inf as limits). The formulas stand in learn/objective_*.c.
flv_complex flv_tb_paths(const flv_model *model, const void *argument);
flv_complex flv_db_sum(const flv_model *model, const void *argument);
flv_complex flv_db_mean(const flv_model *model, const void *argument);
flv_complex flv_fl_db_mean(const flv_model *model, const void *argument);
flv_complex flv_fl_db_sum(const flv_model *model, const void *argument);
flv_complex flv_modified_db_loss(const flv_model *model, const void *argument);
flv_complex flv_subtb_loss(const flv_model *model, const void *argument);
flv_complex flv_fl_subtb_loss(const flv_model *model, const void *argument);
// E_q of pairs (c, c'): the mean of g((c - c')/2) and g((c' - c)/2), which is log-variance's for a
// batch of two (detach: its mean of c a constant), and of g(c - c') and g(c' - c), which is
// contrastive balance's for any batch.
flv_complex flv_variance_pairs(const flv_model *model, const void *argument);
flv_complex flv_contrastive_pairs(const flv_model *model, const void *argument);
// The latter's mean over the pairs (i, i + n/2) of the n trajectories, each once.
flv_complex flv_contrastive_halves(const flv_model *model, const void *argument);

// P_F's logits L as flows of edges; functionals_flow.c. E_q of the mean over transitions of
// flow_matching's losses and of soft_dqn's, with P_B and the target constants; and E_q of (log Z -
// l log F(s0))^2, with F a constant and l = 1 / (1 - munchausen).
flv_complex flv_flow_matching_loss(const flv_model *model, const void *argument);
flv_complex flv_soft_dqn_loss(const flv_model *model, const void *argument);
flv_complex flv_flow_log_z(const flv_model *model, const void *argument);

#endif
