// Divergences of order alpha > 0 (Renyi 1961, Tsallis 1988; for GFlowNets da Silva et al., NeurIPS
// 2024, arXiv 2410.09355). Weights, baselines and the loss of log Z: learn/divergence.h; notation:
// learn/objective.h.
//
// With w = R P_B / P_F = exp(-c), r = w / Z, and S_a = E_PF[w^a] = sum_tau P_F^(1-a) (R P_B)^a:
//   renyi     D_a(P_B||P_F) = log(S_a Z^^-a) / (a-1)
//   tsallis   D_a(P_B||P_F) = (S_a Z^^-a - 1) / (a-1) = (exp((a-1) renyi) - 1) / (a-1)
// Both are 0 only where P_F = P_B, and grow with a. At a = 1 both are D(P_B||P_F); a -> 0 gives
// a D(P_F||P_B), so that D_a/a -> D(P_F||P_B). In the other direction a D_{1-a}(P_F||P_B) =
// (1-a) D_a(P_B||P_F) for Renyi, so 1/2, the default, is the same both ways (-2 log of the
// Bhattacharyya coefficient). For a <= 1/2, r^a has a finite variance under P_F.
//
// Gradients. grad S_a = (1-a) E_PF[w^a grad log P_F] for theta and a E_PF[w^a grad log P_B] for
// phi. E_PF[grad log P_F] = 0 admits a constant beside w^a in the first. In the second it would not
// be free, but under P_B it is: E_PF[w^a g] = Z^ E_PB[w^(a-1) g] and E_PB[grad log P_B] = 0. So
// theta has a score term under P_F and phi one under P_B, with E_PF's and E_PB's weights:
//   theta   grad D = -a E_PF[ (f_a     - b) grad log P_F ]
//   phi     grad D =  a E_PB[ (f_{a-1} - b) grad log P_B ]
//   f_e = ((w/Y)^e - 1) / e,  f_0 = log(w/Y)      (Tsallis' logarithm of w/Y)
// The two divergences differ in Y, which makes w/Y = 1 and f_e = 0 at the optimum:
//   tsallis   Y = Z, the learned one. A wrong Z scales the gradients, by (Z^/Z)^a (phi with
//             normalised weights: (Z^/Z)^(a-1)), and turns neither. Where log w - log Z is beyond
//             some 700/a they overflow: let log Z begin near its place.
//   renyi     Y = (sum_i w_i w^e(tau_i))^(1/e) with the term's own weights w_i, scaled to sum 1:
//             the plug-in estimate of S_a below grad S_a. (log Y at e = a is Li and Turner's
//             variational bound of log Z, 2016.) log Z cancels, save in clipped weights, and so
//             does the scale of plain ones: plain and self_normalised are the same.
// At a = 1 tsallis' phi term is forward_kl's, whatever the options; as a -> 0 its theta term over a
// is reverse_kl's, except with baseline: none.
//
// baseline. none leaves the power alone, (w/Y)^e / e (log w at e = 0, as in forward_kl). global is
// b = 0. local and leave_one_out are as in learn/objective.h, of f_e. With renyi, global's
// coefficients are as e_i - w_i, where e_i are the shares of w_i w^e(tau_i), and so bounded;
// leave_one_out's are as (e_i - w_i) / (1 - w_i), large where one trajectory holds nearly all the
// weight. local's plain mean of f_{a-1}, a < 1, is ruled by the smallest w of the batch.
//
// In expectation, with plain weights and any behaviour policy: tsallis is exact with none, global
// and leave_one_out. renyi is a ratio and biased by O(1/B). What is exact is its numerator: the
// estimator times (1/B) sum_i w^a P_F / pi, whose expectation is grad S_a / (a-1) with none and
// leave_one_out. global has the own sample in Y, as local has it in b: (B-1)/B of that for theta,
// on-policy.
//
// The loss reported is D_a(P_B||P_F) as E_PB's normalised weights and the learned Z have it: renyi
// = log Y_{a-1} - log Z, whose zero is as far off as log Z is, whatever a is; tsallis from it by
// the formula above. ESS: of E_PF's weights and of E_PB's, the smaller.
#include <math.h>
#include <stddef.h>

#include "base/logmath.h"
#include "learn/divergence.h"

#define ALPHA_KEYS(X) FLV_ORDER_KEYS(X) FLV_WEIGHT_KEYS(X) FLV_BASELINE_KEYS(X)

#define FLV_STRUCT flv_divergence_cfg
static const flv_param alpha_params[] = {ALPHA_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

// log of the power mean (sum_i share_i w_i^e)^(1/e); the geometric mean at e = 0.
static double log_power_mean(flv_divergence *x, const flv_weights *w, double e) {
  double *const term = x->scratch[0], mean = 0.0;
  for (int i = 0; i < x->t->n; i++) {
    const bool counts = w->share[i] > 0.0;
    term[i] = counts ? log(w->share[i]) - e * x->c[i] : -HUGE_VAL;
    if (counts) mean -= w->share[i] * x->c[i];
  }
  return e == 0.0 ? mean : flv_logsumexp(x->t->n, term) / e;
}

// The integrand f_e at log w; `bare` is baseline: none.
static double integrand(double log_w, double log_y, double e, bool bare) {
  const double log_ratio = log_w - log_y;
  if (e == 0.0) return bare ? log_w : log_ratio;
  return (bare ? exp(e * log_ratio) : expm1(e * log_ratio)) / e;
}

// x->b = coefficients of grad log P under the weights w, without the factor a.
static void score(flv_divergence *x, flv_weights w, double e, bool renyi) {
  const double log_y = renyi ? log_power_mean(x, &w, e) : x->t->log_z;
  double *const f = x->scratch[1];
  for (int i = 0; i < x->t->n; i++)
    f[i] = integrand(-x->c[i], log_y, e, x->o->baseline == FLV_BASELINE_NONE);
  if (renyi) w.scale = 1.0;
  flv_divergence_score(x, &w, f, 0.0);
}

static double descend(const flv_divergence_cfg *o, const flv_trajectories *t, flv_cotangents *d,
                      bool renyi) {
  flv_divergence x = flv_divergence_open(t, o, d);
  const double a = o->alpha;
  score(&x, x.pf, a, renyi);
  for (int i = 0; i < t->n; i++) flv_trajectory_spread_pf(t, i, -a * x.b[i], d->log_pf);
  score(&x, x.pb, a - 1.0, renyi);
  for (int i = 0; i < t->n; i++) flv_trajectory_spread_pb(t, i, a * x.b[i], d->log_pb);
  flv_divergence_ess(&x.pf, d);
  flv_divergence_ess(&x.pb, d);
  flv_divergence_log_z(&x, d);
  const double value = log_power_mean(&x, &x.pb, a - 1.0) - t->log_z;
  return renyi ? value : integrand(value, 0.0, a - 1.0, false);
}

static double renyi_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  return descend(cfg, t, d, true);
}

static double tsallis_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  return descend(cfg, t, d, false);
}

FLV_DIVERGENCE_COMPONENT(renyi, alpha_params, 0,
                         "Renyi divergence of P_B from P_F of order alpha, for P_F and for P_B",
                         "D_a(P_B||P_F) = log(S_a Z^^-a) / (a-1), S_a = E_PF[w^a]", NULL,
                         "Renyi 1961; da Silva et al. 2024, arXiv 2410.09355");
FLV_DIVERGENCE_COMPONENT(tsallis, alpha_params, FLV_USES_LOG_Z,
                         "Tsallis divergence of P_B from P_F of order alpha, for P_F and for P_B",
                         "D_a(P_B||P_F) = (S_a Z^^-a - 1) / (a-1), S_a = E_PF[w^a]", NULL,
                         "Tsallis 1988; da Silva et al. 2024, arXiv 2410.09355");
