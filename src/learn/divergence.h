// What the divergence objectives share: options, importance weights, score terms, log Z's loss.
// Notation: learn/objective.h; theta are the parameters of P_F, phi those of P_B.
//
// Expectations become sums over the batch, sum_i w_i f(tau_i). With unnormalised weights
// u_i = P_F(tau_i) / pi(tau_i) for E_PF and u_i = R(x_i) P_B(tau_i|x_i) / pi(tau_i) for E_PB,
// weights:
//   self_normalised   w_i = u_i / sum_j u_j (default). Biased for finite B, consistent, bounded.
//   plain             w_i = u_i / B for E_PF; w_i = u_i / (Z B) for E_PB, with the learned Z.
//                     Unbiased for E_PF, and for E_PB where Z = Z^; the variance may be infinite.
//   none              no correction for pi, which is taken to be P_F: E_PF is the plain mean, E_PB
//                     weighs by R P_B / P_F, self-normalised.
//   clipped           w_i = min(u_i, cap) / B for E_PF; w_i = min(u_i / Z, cap) / B for E_PB, with
//                     the learned Z: truncated importance sampling (Ionides 2008, J. Comput. Graph.
//                     Stat. 17(2), 295-311). Bounded by cap/B, so that the weights have a variance,
//                     but biased: the expectation of f becomes that of f min(1, cap/u), in which
//                     trajectories that pi makes too rarely count for less. That of grad log P is
//                     then not 0, so baselines add to the bias. Ionides lets the cap grow as
//                     sqrt B. A cap that nothing reaches is plain.
// On-policy, E_PF is the plain mean under each of them (cap is at least 1).
//
// released: the released code's surrogate for the grid, exactly: v_i = P_F/pi, not self-normalised
// (1 with weights: none), and E_PB's weights v_i softmax_i(-c) / B, i.e. 1/B of what Table 1 says.
// It overrides self_normalised, plain and clipped. The log Z loss is then never weighted.
//
// baseline: none | local | global | leave_one_out | constant, defined in learn/objective.h. E_PF's
// estimator uses its own weights for leave_one_out, E_PB's uses its own.
//
// log Z: by (1/B) sum_i (log Z + c_i)^2 with c_i held fixed. Its minimiser is the batch mean of -c
// under pi, as in the released code. weighted_log_z: weighs the squares by E_PF's weights instead,
// so that log Z aims at -E_PF[c] = log Z^ - D(P_F||P_B), the baseline that off-policy data should
// have. On-policy both are the same.
//
// ESS is the smaller one of the weights used, 1 / sum_i (w_i / sum_j w_j)^2. R(x) = 0 gives zero
// weight under E_PB, but an infinite c in the log Z loss: objectives need positive rewards.
#ifndef FLUVIAL_LEARN_DIVERGENCE_H
#define FLUVIAL_LEARN_DIVERGENCE_H

#include "learn/objective.h"

#define FLV_WEIGHT_KEYS(X)                                                                         \
  X(CHOICE, weights, "self_normalised", 0, 0, "self_normalised|plain|none|clipped",                \
    "importance weights: u/sum u, u/B (u/(Z B) under P_B), behaviour policy taken to be P_F, or "  \
    "plain with u (u/Z under P_B) at most cap")                                                    \
  X(REAL, cap, "10", 1, 1e9, "", "largest u (u/Z under P_B) where weights are clipped")            \
  X(BOOL, weighted_log_z, "false", 0, 0, "",                                                       \
    "importance-weigh the log Z loss too (released code: never)")
#define FLV_RELEASED_KEYS(X)                                                                       \
  X(BOOL, released, "false", 0, 0, "",                                                             \
    "weights of the released grid code: P_F/pi not normalised, P_B terms 1/B smaller")
#define FLV_BASELINE_KEYS(X)                                                                       \
  X(CHOICE, baseline, "global", 0, 0, "none|local|global|leave_one_out|constant",                  \
    "subtracted in score terms: 0, batch mean, value at the optimum (of c: -log Z), weighted "     \
    "mean of the others, or a number")                                                             \
  X(REAL, constant, "0", -1e12, 1e12, "", "that number, where the baseline is constant")
#define FLV_MIX_KEYS(X)                                                                            \
  X(REAL, forward, "0.5", 0, 1, "", "share of D(P_B||P_F); the rest is D(P_F||P_B)")
#define FLV_ORDER_KEYS(X)                                                                          \
  X(REAL, alpha, "0.5", 1e-3, 10, "",                                                              \
    "order: 1 is D(P_B||P_F), towards 0 it becomes alpha D(P_F||P_B)")

// One struct for all: a table lists what its objective knows, and the rest stays 0 (weights
// self_normalised, not released, baseline none).
typedef struct flv_divergence_cfg {
  FLV_WEIGHT_KEYS(FLV_FIELD)
  FLV_RELEASED_KEYS(FLV_FIELD)
  FLV_BASELINE_KEYS(FLV_FIELD)
  FLV_MIX_KEYS(FLV_FIELD)
  FLV_ORDER_KEYS(FLV_FIELD)
} flv_divergence_cfg;

// A batch with its weights; the arrays lie in t->scratch.
typedef struct flv_divergence {
  const flv_trajectories *t;
  const flv_divergence_cfg *o;
  double *c;              // [n]
  flv_weights pf, pb;     // of E_PF and E_PB
  double *b, *scratch[2]; // [n] each
} flv_divergence;

// Fills c, pf and pb; sets d->ess to n.
flv_divergence flv_divergence_open(const flv_trajectories *t, const flv_divergence_cfg *o,
                                   flv_cotangents *d);

// Lowers d->ess to that of the weights.
void flv_divergence_ess(const flv_weights *w, flv_cotangents *d);

// Coefficients of grad log P in a score term: x->b[i] = w_i (f_i - b_i), with the baseline of f;
// `optimum` is the value of f at the optimum, the baseline `global`. f [n] is not x->b and not
// x->scratch[0].
void flv_divergence_score(flv_divergence *x, const flv_weights *w, const double *f, double optimum);

// Adds the cotangent of the loss of log Z.
void flv_divergence_log_z(const flv_divergence *x, flv_cotangents *d);

// Defines flv_objective_<name> from <name>_loss and a table of parameters. log_z_: FLV_USES_LOG_Z
// or 0; the texts are those of flv_objective.
#define FLV_DIVERGENCE_COMPONENT(name_, params_, log_z_, help_, formula_, formula_pb_, source_)    \
  static const flv_objective name_ = {.loss = name_##_loss,                                        \
                                      .uses = (log_z_) | FLV_TRAINS_LOG_Z | FLV_USES_LOG_PI,       \
                                      .formula = formula_,                                         \
                                      .formula_pb = formula_pb_,                                   \
                                      .source = source_};                                          \
  const flv_component flv_objective_##name_ = {.name = #name_,                                     \
                                               .help = help_,                                      \
                                               .params = params_,                                  \
                                               .n_params = sizeof(params_) / sizeof *(params_),    \
                                               .size = sizeof(flv_divergence_cfg),                 \
                                               .impl = &name_}

#endif
