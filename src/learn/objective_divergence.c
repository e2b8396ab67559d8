// Divergence objectives: hierarchical variational inference, with P_F as the sampler and P_B as the
// posterior.
//
// Four gradients (theta: parameters of P_F, phi: of P_B; notation in learn/objective.h):
//   reverse, theta:  grad D(P_F||P_B) =  E_PF[ (c - b) grad log P_F ]                  [8], [10]
//   reverse, phi:    grad D(P_F||P_B) = -E_PF[ grad log P_B ]
//   forward, theta:  grad D(P_B||P_F) = -E_PB[ grad log P_F ]
//   forward, phi:    grad D(P_B||P_F) = -E_PB[ (c - b) grad log P_B ]                  [7]
// and four objectives (paper, Table 1):
//                        P_F by     P_B by
//   reverse_kl           reverse    reverse
//   forward_kl           forward    forward
//   wake_sleep           forward    reverse
//   reverse_wake_sleep   reverse    forward
// With baseline: global, reverse_kl's cotangents on log P_F are half of tb's (Proposition 1).
//
// Expectations become sums over the batch, sum_i w_i f(tau_i). With unnormalised weights
// u_i = P_F(tau_i) / pi(tau_i) for E_PF and u_i = R(x_i) P_B(tau_i|x_i) / pi(tau_i) for E_PB,
// weights:
//   self_normalised   w_i = u_i / sum_j u_j (default). Biased for finite B, consistent, bounded.
//   plain             w_i = u_i / B for E_PF; w_i = u_i / (Z B) for E_PB, with the learned Z.
//                     Unbiased for E_PF, and for E_PB where Z = Z^; the variance may be infinite.
//   none              no correction for pi, which is taken to be P_F: E_PF is the plain mean, E_PB
//                     weighs by R P_B / P_F, self-normalised.
// On-policy, E_PF is the plain mean under each of them.
//
// b: `baseline` none | local | global | leave_one_out, defined in learn/objective.h. E_PF's
// estimator uses its own weights for leave_one_out, E_PB's uses its own.
//
// log Z (all four): by (1/B) sum_i (log Z + c_i)^2 with c_i held fixed. Its minimiser is the batch
// mean of -c under pi, as in the released code. weighted_log_z: weighs the squares by E_PF's
// weights instead, so that log Z aims at -E_PF[c] = log Z^ - D(P_F||P_B), the baseline that
// off-policy data should have. On-policy both are the same.
//
// released: the released code's surrogate for the grid, exactly: v_i = P_F/pi, not self-normalised
// (1 with weights: none), and E_PB's weights v_i softmax_i(-c) / B, i.e. 1/B of what Table 1 says.
// It overrides self_normalised and plain. The log Z loss is then never weighted.
//
// The loss reported is not the surrogate, whose value means nothing, but the divergence that P_F
// follows, as estimated with self-normalised weights and the learned Z: sum_i w_i (c_i + log Z), or
// - that for forward. ESS is the smaller one of the weights used. R(x) = 0 gives zero weight under
// E_PB, but an infinite c in the log Z loss: objectives need positive rewards.
#include <math.h>
#include <stddef.h>

#include "base/logmath.h"
#include "learn/objective.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

#define WEIGHT_KEYS(X)                                                                             \
  X(CHOICE, weights, "self_normalised", 0, 0, "self_normalised|plain|none",                        \
    "importance weights: u/sum u, u/B (u/(Z B) under P_B), or behaviour policy taken to be P_F")   \
  X(BOOL, weighted_log_z, "false", 0, 0, "",                                                       \
    "importance-weigh the log Z loss too (released code: never)")                                  \
  X(BOOL, released, "false", 0, 0, "",                                                             \
    "weights of the released grid code: P_F/pi not normalised, P_B terms 1/B smaller")
#define SCORE_KEYS(X)                                                                              \
  WEIGHT_KEYS(X)                                                                                   \
  X(CHOICE, baseline, "global", 0, 0, "none|local|global|leave_one_out",                           \
    "subtracted from c: 0, batch mean, -log Z, or weighted mean of the others")

typedef struct weight_cfg {
  WEIGHT_KEYS(FLV_FIELD)
} weight_cfg; // wake_sleep has no score terms
typedef struct score_cfg {
  SCORE_KEYS(FLV_FIELD)
} score_cfg;
enum { WEIGHTS_SELF_NORMALISED, WEIGHTS_PLAIN, WEIGHTS_NONE };

#define FLV_STRUCT weight_cfg
static const flv_param weight_params[] = {WEIGHT_KEYS(FLV_PARAM)};
#undef FLV_STRUCT
#define FLV_STRUCT score_cfg
static const flv_param score_params[] = {SCORE_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

typedef struct batch {
  const flv_trajectories *t;
  score_cfg options;
  double *c;              // [n]
  flv_weights pf, pb;     // of E_PF and E_PB
  double *b, *scratch[2]; // [n] each
} batch;

// scratch: c, E_PF's shares, E_PB's shares, and three work arrays.
static batch batch_open(const flv_trajectories *t, const score_cfg *options) {
  const int n = t->n;
  double *const s = t->scratch, *const pf = s + n, *const pb = pf + n;
  batch x = {.t = t, .options = *options, .c = s, .b = pb + n, .scratch = {pb + 2 * n, pb + 3 * n}};
  double *const log_v = x.scratch[0], *const log_u = x.scratch[1];
  for (int i = 0; i < n; i++) {
    x.c[i] = flv_trajectory_log_ratio(t, i);
    log_v[i] = options->weights == WEIGHTS_NONE ? 0.0 : flv_trajectory_log_pf(t, i) - t->log_pi[i];
    log_u[i] = log_v[i] - x.c[i];
  }
  x.pf = flv_weights_make(n, log_v, pf);
  x.pb = flv_weights_make(n, log_u, pb);
  const double log_n = log((double)n);
  if (options->released || options->weights == WEIGHTS_PLAIN)
    x.pf.scale = exp(x.pf.log_sum - log_n);
  if (options->released) {
    for (int i = 0; i < n; i++) log_v[i] = -x.c[i];
    const double log_sum = flv_logsumexp(n, log_v);
    x.pb.scale = isfinite(log_sum) ? exp(x.pb.log_sum - log_sum - log_n) : 0.0;
  } else if (options->weights == WEIGHTS_PLAIN) {
    x.pb.scale = exp(x.pb.log_sum - log_n - t->log_z);
  }
  return x;
}

// sum_i share_i (c_i + log Z); 0 log 0 = 0.
static double mean_residual(const batch *x, const flv_weights *w) {
  double sum = 0.0;
  for (int i = 0; i < x->t->n; i++)
    if (w->share[i] > 0.0) sum += w->share[i] * (x->c[i] + x->t->log_z);
  return sum;
}

// Coefficient of grad log P in a score term, w_i (c_i - b_i).
static void score(batch *x, const flv_weights *w) {
  flv_baselines((flv_baseline)x->options.baseline, x->t->n, x->c, w->share, x->t->log_z, x->b,
                x->scratch[0]);
  for (int i = 0; i < x->t->n; i++)
    x->b[i] = w->share[i] > 0.0 ? w->scale * (w->share[i] * (x->c[i] - x->b[i])) : 0.0;
}

// Each adds one of the four gradients and lowers d->ess to that of its weights.
static void meet_ess(flv_cotangents *d, double ess) {
  if (ess < d->ess) d->ess = ess;
}

static double reverse_pf(batch *x, flv_cotangents *d) {
  score(x, &x->pf);
  for (int i = 0; i < x->t->n; i++) flv_trajectory_spread_pf(x->t, i, x->b[i], d->log_pf);
  meet_ess(d, x->pf.ess);
  return mean_residual(x, &x->pf);
}

static void reverse_pb(batch *x, flv_cotangents *d) {
  for (int i = 0; i < x->t->n; i++)
    flv_trajectory_spread_pb(x->t, i, -(x->pf.scale * x->pf.share[i]), d->log_pb);
  meet_ess(d, x->pf.ess);
}

static double forward_pf(batch *x, flv_cotangents *d) {
  for (int i = 0; i < x->t->n; i++)
    flv_trajectory_spread_pf(x->t, i, -(x->pb.scale * x->pb.share[i]), d->log_pf);
  meet_ess(d, x->pb.ess);
  return -mean_residual(x, &x->pb);
}

static void forward_pb(batch *x, flv_cotangents *d) {
  score(x, &x->pb);
  for (int i = 0; i < x->t->n; i++) flv_trajectory_spread_pb(x->t, i, -x->b[i], d->log_pb);
  meet_ess(d, x->pb.ess);
}

static void train_log_z(const batch *x, flv_cotangents *d) {
  const flv_trajectories *t = x->t;
  const bool weighted = x->options.weighted_log_z && !x->options.released;
  for (int i = 0; i < t->n; i++) {
    const double w = weighted ? x->pf.scale * x->pf.share[i] : 1.0 / t->n;
    d->log_z += 2.0 * w * (t->log_z + x->c[i]);
  }
}

static score_cfg without_score(const weight_cfg *o) {
  return (score_cfg){
      .weights = o->weights, .weighted_log_z = o->weighted_log_z, .released = o->released};
}

// ---- the four ----

static double reverse_kl_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  batch x = batch_open(t, cfg);
  d->ess = t->n;
  const double loss = reverse_pf(&x, d);
  reverse_pb(&x, d);
  train_log_z(&x, d);
  return loss;
}

static double forward_kl_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  batch x = batch_open(t, cfg);
  d->ess = t->n;
  const double loss = forward_pf(&x, d);
  forward_pb(&x, d);
  train_log_z(&x, d);
  return loss;
}

static double wake_sleep_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  const score_cfg options = without_score(cfg);
  batch x = batch_open(t, &options);
  d->ess = t->n;
  const double loss = forward_pf(&x, d);
  reverse_pb(&x, d);
  train_log_z(&x, d);
  return loss;
}

static double reverse_wake_sleep_loss(const void *cfg, const flv_trajectories *t,
                                      flv_cotangents *d) {
  batch x = batch_open(t, cfg);
  d->ess = t->n;
  const double loss = reverse_pf(&x, d);
  forward_pb(&x, d);
  train_log_z(&x, d);
  return loss;
}

#define COMPONENT(name_, cfg_, params_, help_)                                                     \
  static const flv_objective name_ = {.needs = 0, .loss = name_##_loss};                           \
  const flv_component flv_objective_##name_ = {.name = #name_,                                     \
                                               .help = help_,                                      \
                                               .params = params_,                                  \
                                               .n_params = COUNT(params_),                         \
                                               .size = sizeof(cfg_),                               \
                                               .impl = &name_}

COMPONENT(reverse_kl, score_cfg, score_params, "D(P_F||P_B) for P_F and for P_B: mode-seeking HVI");
COMPONENT(forward_kl, score_cfg, score_params, "D(P_B||P_F) for P_F and for P_B: mean-seeking HVI");
COMPONENT(wake_sleep, weight_cfg, weight_params, "D(P_B||P_F) for P_F, D(P_F||P_B) for P_B");
COMPONENT(reverse_wake_sleep, score_cfg, score_params, "D(P_F||P_B) for P_F, D(P_B||P_F) for P_B");
