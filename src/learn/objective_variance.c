// Balance without a normaliser: at the optimum c = log P_F - log P_B - log R is the same for every
// trajectory, namely -log Z^. Any behaviour policy will do. g: learn/regression.h.
//
// log_variance (Richter et al. 2020, "VarGrad", arXiv 2010.10436; for GFlowNets Zhang et al. 2023,
// arXiv 2302.05446):
//   (1/B) sum_i g(d_i),  d_i = c_i - m,  m = (1/B) sum_j c_j
//   This is tb with the batch's own estimate -m of log Z; for d^2, the biased variance of c.
//   cotangents: (g'(d_i) - (1/B) sum_j g'(d_j)) / B on every log_pf of tau_i, minus that on every
//   log_pb. The sum is what flows through m.
//   detach_mean: m is held fixed and the sum left out (some libraries do; the paper's loss and
//   torchgfn do not). No difference for squared and half_squared, where the sum is 0 because
//   sum_j d_j is. With the other losses the batch then also moves all its c up or down together.
//
// contrastive_balance (da Silva et al. 2024, "Embarrassingly parallel GFlowNets", arXiv
// 2406.03288):
//   mean over pairs of g(c_i - c_j), each pair taken in both orders (linex is not symmetric)
//   pairs: all     the B (B - 1) / 2 pairs of the batch. Quadratic time, but linear for squared and
//                  half_squared: mean (c_i - c_j)^2 = 2/(B-1) sum_i d_i^2, which is 2B/(B-1) of
//                  log_variance, with the cotangents 4 d_i / (B - 1).
//          halves  the pairs (i, i + B/2), independent of each other. Of an odd batch the last
//                  trajectory is in no pair.
//   A batch of one has no pair: loss 0.
//
// Expected gradients with squared, for B independent trajectories from any pi held fixed:
//   log_variance (B-1)/B grad Var_pi(c), contrastive_balance (both pairs) 2 grad Var_pi(c).
// On-policy, for P_F: 2 (B-1)/B grad D(P_F||P_B), and 4 grad D(P_F||P_B), because there grad Var is
// E_PF[2 c grad log P_F]. VarGrad's own estimator, of grad D(P_F||P_B), is B/(2 (B-1)) of
// log_variance's and the same as reverse_kl's with baseline: leave_one_out.
//
// log Z, which neither needs, is trained beside them by (1/B) sum_i (log Z + c_i)^2 with c_i held
// fixed, as divergences do, so that it means the same everywhere. The loss reported is without it.
// R(x) = 0 makes the loss infinite or NaN: balance needs positive rewards.
#include <stddef.h>

#include "learn/objective.h"
#include "learn/regression.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

#define LOG_VARIANCE_KEYS(X)                                                                       \
  FLV_REGRESSION_KEYS(X)                                                                           \
  X(BOOL, detach_mean, "false", 0, 0, "",                                                          \
    "no gradient through the batch's mean of c (the same for squared and half_squared)")
typedef struct log_variance_cfg {
  LOG_VARIANCE_KEYS(FLV_FIELD)
} log_variance_cfg;
#define FLV_STRUCT log_variance_cfg
static const flv_param log_variance_params[] = {LOG_VARIANCE_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

#define CONTRASTIVE_BALANCE_KEYS(X)                                                                \
  X(CHOICE, pairs, "all", 0, 0, "all|halves",                                                      \
    "every pair of the batch, or its first half with its second (independent pairs)")              \
  FLV_REGRESSION_KEYS(X)
typedef struct contrastive_balance_cfg {
  CONTRASTIVE_BALANCE_KEYS(FLV_FIELD)
} contrastive_balance_cfg;
#define FLV_STRUCT contrastive_balance_cfg
static const flv_param contrastive_balance_params[] = {CONTRASTIVE_BALANCE_KEYS(FLV_PARAM)};
#undef FLV_STRUCT
enum { PAIRS_ALL, PAIRS_HALVES };

typedef struct batch {
  int n;
  double *c, *slope; // [n] c_i, and d loss / d c_i
  double mean;       // of c
} batch;

// Computes c, and trains log Z on it.
static batch batch_open(const flv_trajectories *t, flv_cotangents *d) {
  batch b = {.n = t->n, .c = t->scratch, .slope = t->scratch + t->n};
  for (int i = 0; i < b.n; i++) {
    b.c[i] = flv_trajectory_log_ratio(t, i);
    b.slope[i] = 0.0;
    b.mean += b.c[i];
    d->log_z += 2.0 * (t->log_z + b.c[i]) / b.n;
  }
  b.mean /= b.n;
  d->ess = b.n;
  return b;
}

static void spread(const batch *b, const flv_trajectories *t, flv_cotangents *d) {
  for (int i = 0; i < b->n; i++) {
    flv_trajectory_spread_pf(t, i, b->slope[i], d->log_pf);
    flv_trajectory_spread_pb(t, i, -b->slope[i], d->log_pb);
  }
}

// ---- log_variance ----

static double log_variance_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  const log_variance_cfg *o = cfg;
  const flv_regression g = FLV_REGRESSION_OF(o);
  const batch b = batch_open(t, d);
  double loss = 0.0, mean_slope = 0.0;
  for (int i = 0; i < b.n; i++) {
    loss += flv_regress(&g, b.c[i] - b.mean, &b.slope[i]) / b.n;
    b.slope[i] /= b.n;
    mean_slope += b.slope[i] / b.n;
  }
  if (!o->detach_mean)
    for (int i = 0; i < b.n; i++) b.slope[i] -= mean_slope;
  spread(&b, t, d);
  return loss;
}

// ---- contrastive_balance ----

static double pair(const batch *b, const flv_regression *g, int i, int j, double weight) {
  double up, down;
  const double d = b->c[i] - b->c[j], value = flv_regress(g, d, &up) + flv_regress(g, -d, &down);
  const double slope = 0.5 * weight * (up - down);
  b->slope[i] += slope;
  b->slope[j] -= slope;
  return 0.5 * weight * value;
}

static double halves(const batch *b, const flv_regression *g) {
  const int half = b->n / 2;
  double loss = 0.0;
  for (int i = 0; i < half; i++) loss += pair(b, g, i, i + half, 1.0 / half);
  return loss;
}

static double all_pairs(const batch *b, const flv_regression *g) {
  const double weight = 2.0 / ((double)b->n * (b->n - 1));
  double loss = 0.0;
  for (int i = 0; i < b->n; i++)
    for (int j = i + 1; j < b->n; j++) loss += pair(b, g, i, j, weight);
  return loss;
}

// All pairs where g is k d^2.
static double all_squares(const batch *b, double k) {
  double loss = 0.0;
  for (int i = 0; i < b->n && b->n > 1; i++) {
    const double d = b->c[i] - b->mean;
    loss += 2.0 * k * d * d / (b->n - 1);
    b->slope[i] = 4.0 * k * d / (b->n - 1);
  }
  return loss;
}

static double contrastive_balance_loss(const void *cfg, const flv_trajectories *t,
                                       flv_cotangents *d) {
  const contrastive_balance_cfg *o = cfg;
  const flv_regression g = FLV_REGRESSION_OF(o);
  const batch b = batch_open(t, d);
  double loss;
  if (o->pairs == PAIRS_HALVES)
    loss = halves(&b, &g);
  else if (g.loss == FLV_LOSS_SQUARED || g.loss == FLV_LOSS_HALF_SQUARED)
    loss = all_squares(&b, g.loss == FLV_LOSS_SQUARED ? 1.0 : 0.5);
  else
    loss = all_pairs(&b, &g);
  spread(&b, t, d);
  return loss;
}

#define COMPONENT(name_, help_, formula_, source_)                                                 \
  static const flv_objective name_ = {                                                             \
      .loss = name_##_loss, .uses = FLV_TRAINS_LOG_Z, .formula = formula_, .source = source_};     \
  const flv_component flv_objective_##name_ = {.name = #name_,                                     \
                                               .help = help_,                                      \
                                               .params = name_##_params,                           \
                                               .n_params = COUNT(name_##_params),                  \
                                               .size = sizeof(name_##_cfg),                        \
                                               .impl = &name_}

COMPONENT(log_variance, "variance of c over the batch (VarGrad): tb with log Z from the batch",
          "mean of (c - mean c)^2",
          "Richter et al. 2020, arXiv 2010.10436; Zhang et al. 2023, arXiv 2302.05446");
COMPONENT(contrastive_balance, "mean (c - c')^2 over pairs of trajectories: tb without log Z",
          "mean over pairs of trajectories of (c - c')^2",
          "da Silva et al. 2024, arXiv 2406.03288");
