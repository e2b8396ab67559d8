// Maximum likelihood from objects x ~ q that are given (section `data`) or stored (replay:
// terminal), with tau ~ P_B(. | x). Notation: learn/objective.h.
//
//   log p(x) = log E_{P_B(tau|x)}[P_F(tau) / P_B(tau|x)] >= E_{P_B(tau|x)}[-f(tau)],
//   f(tau) = log P_B(tau|x) - log P_F(tau)                              (Jensen)
//
// The loss is E_q E_{P_B}[f], an upper bound on the cross-entropy -E_q[log p(x)], tight when P_B is
// the posterior of P_F given x. Where q is R/Z^ it is EUBO's bound: -E[f] = E[-c] + E[log R].
//   theta:  -E[grad log P_F]
//   phi:     E[(f - b) grad log P_B], since E_{P_B}[grad log P_B] = 0
// It has no weights and reads neither log_pi nor R, and log Z stays as it was initialised. Sources:
// Zhang et al. 2022, "Generative flow networks for discrete probabilistic modeling" (arXiv
// 2202.01361), where trajectories to data are drawn by P_B; the bound is the wake phase of
// Hinton et al. 1995, with P_B as the posterior, which here follows the same bound as P_F.
//
// baseline: none | local (the batch's mean of f, own included: (B-1)/B of the gradient) |
// leave_one_out (the mean of the others': no bias, since they are independent of tau_i).
#include <stddef.h>

#include "learn/objective.h"

#define MLE_KEYS(X)                                                                                \
  X(CHOICE, baseline, "leave_one_out", 0, 0, "none|local|leave_one_out",                           \
    "subtracted in P_B's score term: 0, batch mean, or mean of the others")
typedef struct mle_cfg {
  MLE_KEYS(FLV_FIELD)
} mle_cfg;
#define FLV_STRUCT mle_cfg
static const flv_param mle_params[] = {MLE_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

// f; not by way of c, where R(x) = 0 would make it NaN.
static double log_gap(const flv_trajectories *t, int i) {
  double sum = -flv_trajectory_log_pf(t, i);
  for (int p = t->offset[i] + 1; p < t->offset[i + 1]; p++) sum += t->log_pb[p];
  return sum;
}

static double mle_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  static const flv_baseline kinds[] = {FLV_BASELINE_NONE, FLV_BASELINE_LOCAL,
                                       FLV_BASELINE_LEAVE_ONE_OUT};
  const int n = t->n;
  double *const f = t->scratch, *const b = f + n, *const share = b + n, *const work = share + n;
  double loss = 0.0;
  for (int i = 0; i < n; i++) {
    f[i] = log_gap(t, i);
    share[i] = 1.0 / n;
    loss += f[i] / n;
  }
  flv_baselines(kinds[((const mle_cfg *)cfg)->baseline], n, f, share, 0.0, b, work);
  for (int i = 0; i < n; i++) {
    flv_trajectory_spread_pf(t, i, -1.0 / n, d->log_pf);
    flv_trajectory_spread_pb(t, i, (f[i] - b[i]) / n, d->log_pb);
  }
  d->ess = n;
  return loss;
}

static const flv_objective mle = {
    .needs = FLV_NEEDS_OBJECTS,
    .loss = mle_loss,
    .formula = "mean of log P_B - log P_F over trajectories drawn back from objects",
    .formula_pb = "the same, by a score term: (log P_B - log P_F - b) grad log P_B",
    .source = "Zhang et al. 2022, arXiv 2202.01361; Hinton et al. 1995"};
const flv_component flv_objective_mle = {
    .name = "mle",
    .help = "maximum likelihood of given objects: -log P_F of trajectories to them, by P_B",
    .params = mle_params,
    .n_params = sizeof mle_params / sizeof *mle_params,
    .size = sizeof(mle_cfg),
    .impl = &mle};
