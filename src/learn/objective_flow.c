// Objectives on edge flows: P_F's logits are log F(s -> s') (flow matching) or soft Q-values.
//
// With the logits L(s, a) of P_F, log F(s) is logsumexp_a L(s, a) here, so that L(s, a) is log F(s)
// + log P_F(a|s). P_B gets no gradient from either; section `backward` may teach it.
//
// flow_matching (Bengio et al. 2021, arXiv 2106.04399), at every state but s0 on a trajectory:
//   d = log sum over parents s' of F(s' -> s) - log sum over actions of F(s -> .)
// and at its end, where the flow into the object is to be its reward: with exit actions
//   d = log F(s_n) + log P_F(exit|s_n) - log R(x),
// without them d = log inflow(x) - log R(x). Mean of g(d) over all of these.
//
// soft_dqn (Tiapkin et al. 2024, "Generative flow networks as entropy-regularized RL", arXiv
// 2310.12934): rewards log P_B(s|s') of a step and log R(x) at the end, and the entropy of P_F with
// coefficient l. Q = l L:
//   d = l L(s, a) - (log P_B(s|s') + alpha l max(log P_F'(a|s), clip) + l log F'(s'))
//   d = l L(s, exit) - (log R(x) + alpha l max(log P_F'(exit|s), clip))
// with ' for the target network. The term with alpha is Munchausen's (Vieillard et al. 2020, arXiv
// 2007.14430). It takes the share alpha from the entropy, so l = 1/(1 - alpha) leaves the
// coefficient 1 that GFlowNets need; at the optimum l log F(s) is the log F(s) of detailed balance.
// alpha = 0 is soft Q-learning. Mean of g(d) over transitions.
//
// log Z: by the mean over those that begin at s0 of (log Z - log F(s0))^2, or with l log F(s0), the
// flow held fixed.
//
// Fragments: flow_matching counts each state with the step that leads to it.
#include <math.h>
#include <stddef.h>

#include "learn/objective.h"
#include "learn/regression.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

#define SOFT_DQN_KEYS(X)                                                                           \
  X(REAL, munchausen, "0.15", 0, 0.99, "", "alpha: share of log P_F added to the reward; 0: none") \
  X(REAL, clip, "-100", -1e6, 0, "", "log P_F in it is no less than this")                         \
  FLV_REGRESSION_KEYS(X)
typedef struct soft_dqn_cfg {
  SOFT_DQN_KEYS(FLV_FIELD)
} soft_dqn_cfg;
#define FLV_STRUCT soft_dqn_cfg
static const flv_param soft_dqn_params[] = {SOFT_DQN_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

#define FLV_STRUCT flv_regression
static const flv_param flow_matching_params[] = {FLV_REGRESSION_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static double count_steps(const flv_trajectories *t) {
  double count = 0.0;
  for (int i = 0; i < t->n; i++) count += flv_trajectory_steps(t, i);
  return count;
}

// log Z towards scale * log F(s0).
static void train_log_z(const flv_trajectories *t, double scale, flv_cotangents *d) {
  int starts = 0;
  d->ess = t->n;
  for (int i = 0; i < t->n; i++) starts += !(flv_trajectory_open(t, i) & FLV_OPEN_START);
  for (int i = 0; i < t->n; i++)
    if (!(flv_trajectory_open(t, i) & FLV_OPEN_START))
      d->log_z += 2.0 * (t->log_z - scale * t->log_f[t->offset[i]]) / starts;
}

// ---- flow_matching ----

static double match(const flv_trajectories *t, const flv_regression *g, int i, double weight,
                    flv_cotangents *d) {
  const int last = t->offset[i + 1] - 1;
  const bool ends = !(flv_trajectory_open(t, i) & FLV_OPEN_END);
  double loss = 0.0, slope;
  for (int p = t->offset[i] + 1; p <= last; p++) {
    const bool object = p == last && !t->exits && ends;
    loss +=
        weight * flv_regress(g, t->log_inflow[p] - (object ? t->log_r[i] : t->log_f[p]), &slope);
    d->log_inflow[p] += weight * slope;
    if (!object) d->log_f[p] -= weight * slope;
  }
  if (!t->exits || !ends) return loss;
  loss += weight * flv_regress(g, t->log_f[last] + t->log_pf[last] - t->log_r[i], &slope);
  d->log_f[last] += weight * slope;
  d->log_pf[last] += weight * slope;
  return loss;
}

static double flow_matching_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  const double weight = 1.0 / count_steps(t);
  double loss = 0.0;
  for (int i = 0; i < t->n; i++) loss += match(t, cfg, i, weight, d);
  train_log_z(t, 1.0, d);
  return loss;
}

static const flv_objective flow_matching = {
    .needs = FLV_NEEDS_FLOWS | FLV_NEEDS_INFLOW | FLV_TAKES_FRAGMENTS,
    .loss = flow_matching_loss,
    .uses = FLV_TRAINS_LOG_Z,
    .formula = "mean over visited states of (log inflow - log outflow)^2, and of (log F(s -> exit) "
               "- log R)^2; P_F's logits are log F(s -> s')",
    .formula_pb = "nothing",
    .source = "Bengio et al. 2021, arXiv 2106.04399"};
const flv_component flv_objective_flow_matching = {
    .name = "flow_matching",
    .help = "flow matching: what flows into a state flows out of it, and into an object its reward",
    .params = flow_matching_params,
    .n_params = COUNT(flow_matching_params),
    .size = sizeof(flv_regression),
    .impl = &flow_matching};

// ---- soft_dqn ----

// Value that follows position p of trajectory i: of the step to p + 1, or of the exit.
static double what_follows(const flv_trajectories *t, int i, int p, double scale) {
  const int last = t->offset[i + 1] - 1;
  if (p == last) return t->log_r[i];
  const bool object = p + 1 == last && !t->exits && !(flv_trajectory_open(t, i) & FLV_OPEN_END);
  return t->log_pb[p + 1] + (object ? t->log_r[i] : scale * t->log_f_target[p + 1]);
}

static double soft_dqn_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  const soft_dqn_cfg *o = cfg;
  const flv_regression g = FLV_REGRESSION_OF(o);
  const double scale = 1.0 / (1.0 - o->munchausen), weight = 1.0 / count_steps(t);
  double loss = 0.0, slope;
  for (int i = 0; i < t->n; i++) {
    const bool ends = !(flv_trajectory_open(t, i) & FLV_OPEN_END);
    const int end = t->offset[i + 1] - (t->exits && ends ? 0 : 1);
    for (int p = t->offset[i]; p < end; p++) {
      const double bonus = o->munchausen * scale * fmax(t->log_pf_target[p], o->clip);
      const double q = scale * (t->log_f[p] + t->log_pf[p]);
      loss += weight * flv_regress(&g, q - bonus - what_follows(t, i, p, scale), &slope);
      d->log_f[p] += weight * scale * slope;
      d->log_pf[p] += weight * scale * slope;
    }
  }
  train_log_z(t, scale, d);
  return loss;
}

static const flv_objective soft_dqn = {
    .needs = FLV_NEEDS_FLOWS | FLV_NEEDS_TARGET | FLV_TAKES_FRAGMENTS,
    .loss = soft_dqn_loss,
    .uses = FLV_TRAINS_LOG_Z,
    .formula =
        "mean over steps s -> s' of (Q(s, a) - log P_B - V'(s'))^2, log R(x) at the end, and "
        "Munchausen's share of log P_F; P_F's logits are soft Q-values, V' is a target "
        "network's",
    .formula_pb = "nothing",
    .source = "Tiapkin et al. 2024, arXiv 2310.12934; Vieillard et al. 2020, arXiv 2007.14430"};
const flv_component flv_objective_soft_dqn = {.name = "soft_dqn",
                                              .help =
                                                  "soft Q-learning with Munchausen's term: P_F's "
                                                  "logits are values, rewards log P_B and log R",
                                              .params = soft_dqn_params,
                                              .n_params = COUNT(soft_dqn_params),
                                              .size = sizeof(soft_dqn_cfg),
                                              .impl = &soft_dqn};
