// Divergence objectives: hierarchical variational inference, with P_F as the sampler and P_B as the
// posterior. Weights, baselines, the loss of log Z and `released`: learn/divergence.h.
//
// Four gradients (theta: parameters of P_F, phi: of P_B; notation in learn/objective.h):
//   reverse, theta:  grad D(P_F||P_B) =  E_PF[ (c - b) grad log P_F ]                  [8], [10]
//   reverse, phi:    grad D(P_F||P_B) = -E_PF[ grad log P_B ]
//   forward, theta:  grad D(P_B||P_F) = -E_PB[ grad log P_F ]
//   forward, phi:    grad D(P_B||P_F) = -E_PB[ (c - b) grad log P_B ]                  [7]
// and six objectives (the first four: paper, Table 1):
//                        P_F by                        P_B by
//   reverse_kl           reverse                       reverse
//   forward_kl           forward                       forward
//   wake_sleep           forward                       reverse
//   reverse_wake_sleep   reverse                       forward
//   mixed_kl             (1-r) reverse + r forward     the same
//   symmetric_cycles     reverse + forward             the same
// With baseline: global, reverse_kl's cotangents on log P_F are half of tb's (Proposition 1).
//
// mixed_kl: the convex combination of Zimmermann et al. 2023 ("A variational perspective on
// generative flow networks", TMLR; arXiv 2210.07992), r = `forward`. r = 0 is reverse_kl, r = 1 is
// forward_kl. All trajectories come from one behaviour policy here: the forward part has E_PB's
// weights where that paper samples from the backward model.
//
// symmetric_cycles: the mode of that name in the paper's released code, the symmetric divergence of
// Kullback and Leibler (1951); twice mixed_kl with r = 1/2. With released, E_PB's terms are 1/B of
// theirs, so that code in truth minimises about D(P_F||P_B) + D(P_B||P_F) / B.
//
// log Z appears in baseline: global, in E_PB's weights where they are plain or clipped, and in the
// loss reported. That is not the surrogate, whose value means nothing, but the divergence that P_F
// follows, as estimated with the weights normalised to sum 1 and the learned Z: sum_i w_i (c_i +
// log Z) for reverse, - that for forward.
#include <stddef.h>

#include "learn/divergence.h"

#define WEIGHT_KEYS(X) FLV_WEIGHT_KEYS(X) FLV_RELEASED_KEYS(X)
#define SCORE_KEYS(X) WEIGHT_KEYS(X) FLV_BASELINE_KEYS(X)
#define MIXED_KEYS(X) FLV_MIX_KEYS(X) SCORE_KEYS(X)

#define FLV_STRUCT flv_divergence_cfg
static const flv_param weight_params[] = {WEIGHT_KEYS(FLV_PARAM)}; // wake_sleep: no score terms
static const flv_param score_params[] = {SCORE_KEYS(FLV_PARAM)};
static const flv_param mixed_params[] = {MIXED_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

// Each adds one of the four gradients times a, and its weights to the ESS.
static void reverse_pf(flv_divergence *x, double a, flv_cotangents *d) {
  flv_divergence_score(x, &x->pf, x->c, -x->t->log_z);
  for (int i = 0; i < x->t->n; i++) flv_trajectory_spread_pf(x->t, i, a * x->b[i], d->log_pf);
  flv_divergence_ess(&x->pf, d);
}

static void reverse_pb(flv_divergence *x, double a, flv_cotangents *d) {
  for (int i = 0; i < x->t->n; i++)
    flv_trajectory_spread_pb(x->t, i, -a * (x->pf.scale * x->pf.share[i]), d->log_pb);
  flv_divergence_ess(&x->pf, d);
}

static void forward_pf(flv_divergence *x, double a, flv_cotangents *d) {
  for (int i = 0; i < x->t->n; i++)
    flv_trajectory_spread_pf(x->t, i, -a * (x->pb.scale * x->pb.share[i]), d->log_pf);
  flv_divergence_ess(&x->pb, d);
}

static void forward_pb(flv_divergence *x, double a, flv_cotangents *d) {
  flv_divergence_score(x, &x->pb, x->c, -x->t->log_z);
  for (int i = 0; i < x->t->n; i++) flv_trajectory_spread_pb(x->t, i, -a * x->b[i], d->log_pb);
  flv_divergence_ess(&x->pb, d);
}

// sum_i share_i (c_i + log Z); 0 log 0 = 0.
static double mean_residual(const flv_divergence *x, const flv_weights *w) {
  double sum = 0.0;
  for (int i = 0; i < x->t->n; i++)
    if (w->share[i] > 0.0) sum += w->share[i] * (x->c[i] + x->t->log_z);
  return sum;
}

// reverse D(P_F||P_B) + forward D(P_B||P_F), for one policy; what has coefficient 0 is left out.
typedef struct mix {
  double reverse, forward;
} mix;

static const mix reverse_only = {.reverse = 1.0}, forward_only = {.forward = 1.0};

static double descend(const flv_divergence_cfg *o, const flv_trajectories *t, flv_cotangents *d,
                      mix pf, mix pb) {
  flv_divergence x = flv_divergence_open(t, o, d);
  if (pf.reverse > 0.0) reverse_pf(&x, pf.reverse, d);
  if (pf.forward > 0.0) forward_pf(&x, pf.forward, d);
  if (pb.reverse > 0.0) reverse_pb(&x, pb.reverse, d);
  if (pb.forward > 0.0) forward_pb(&x, pb.forward, d);
  flv_divergence_log_z(&x, d);
  const double reverse = mean_residual(&x, &x.pf), forward = -mean_residual(&x, &x.pb);
  if (pf.forward == 0.0) return pf.reverse * reverse;
  if (pf.reverse == 0.0) return pf.forward * forward;
  return pf.reverse * reverse + pf.forward * forward;
}

static double reverse_kl_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  return descend(cfg, t, d, reverse_only, reverse_only);
}

static double forward_kl_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  return descend(cfg, t, d, forward_only, forward_only);
}

static double wake_sleep_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  return descend(cfg, t, d, forward_only, reverse_only);
}

static double reverse_wake_sleep_loss(const void *cfg, const flv_trajectories *t,
                                      flv_cotangents *d) {
  return descend(cfg, t, d, reverse_only, forward_only);
}

static double mixed_kl_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  const flv_divergence_cfg *o = cfg;
  const mix both = {.reverse = 1.0 - o->forward, .forward = o->forward};
  return descend(o, t, d, both, both);
}

static double symmetric_cycles_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  const mix both = {.reverse = 1.0, .forward = 1.0};
  return descend(cfg, t, d, both, both);
}

#define PAPER "Malkin et al. 2023, arXiv 2210.00580, Table 1"
#define REVERSE_PF "D(P_F||P_B): E_PF[(c - b) grad log P_F]"
#define REVERSE_PB "D(P_F||P_B): -E_PF[grad log P_B]"
#define FORWARD_PF "D(P_B||P_F): -E_PB[grad log P_F]"
#define FORWARD_PB "D(P_B||P_F): -E_PB[(c - b) grad log P_B]"

FLV_DIVERGENCE_COMPONENT(reverse_kl, score_params, FLV_USES_LOG_Z,
                         "D(P_F||P_B) for P_F and for P_B: mode-seeking HVI", REVERSE_PF,
                         REVERSE_PB, PAPER);
FLV_DIVERGENCE_COMPONENT(forward_kl, score_params, FLV_USES_LOG_Z,
                         "D(P_B||P_F) for P_F and for P_B: mean-seeking HVI", FORWARD_PF,
                         FORWARD_PB, PAPER);
FLV_DIVERGENCE_COMPONENT(wake_sleep, weight_params, 0, "D(P_B||P_F) for P_F, D(P_F||P_B) for P_B",
                         FORWARD_PF, REVERSE_PB, PAPER);
FLV_DIVERGENCE_COMPONENT(reverse_wake_sleep, score_params, FLV_USES_LOG_Z,
                         "D(P_F||P_B) for P_F, D(P_B||P_F) for P_B", REVERSE_PF, FORWARD_PB, PAPER);
FLV_DIVERGENCE_COMPONENT(mixed_kl, mixed_params, FLV_USES_LOG_Z,
                         "(1-r) D(P_F||P_B) + r D(P_B||P_F) for P_F and for P_B, r = forward",
                         "(1-r) D(P_F||P_B) + r D(P_B||P_F)", NULL,
                         "Zimmermann et al. 2023, arXiv 2210.07992");
FLV_DIVERGENCE_COMPONENT(symmetric_cycles, score_params, FLV_USES_LOG_Z,
                         "D(P_F||P_B) + D(P_B||P_F) for P_F and for P_B",
                         "D(P_F||P_B) + D(P_B||P_F)", NULL,
                         "Kullback & Leibler 1951; code of Malkin et al. 2023");
