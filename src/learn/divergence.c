// What the divergence objectives share; the mathematics is in the header.
#include "learn/divergence.h"

#include <math.h>

#include "base/logmath.h"

enum { WEIGHTS_SELF_NORMALISED, WEIGHTS_PLAIN, WEIGHTS_NONE, WEIGHTS_CLIPPED };

// fmin would hide a NaN.
static void clip(int n, double log_cap, double shift, double *log_u) {
  for (int i = 0; i < n; i++) {
    log_u[i] -= shift;
    if (log_u[i] > log_cap) log_u[i] = log_cap;
  }
}

// scratch: c, E_PF's shares, E_PB's shares, and three work arrays.
flv_divergence flv_divergence_open(const flv_trajectories *t, const flv_divergence_cfg *o,
                                   flv_cotangents *d) {
  const int n = t->n;
  double *const s = t->scratch, *const pf = s + n, *const pb = pf + n;
  flv_divergence x = {.t = t, .o = o, .c = s, .b = pb + n, .scratch = {pb + 2 * n, pb + 3 * n}};
  double *const log_v = x.scratch[0], *const log_u = x.scratch[1];
  for (int i = 0; i < n; i++) {
    x.c[i] = flv_trajectory_log_ratio(t, i);
    log_v[i] = o->weights == WEIGHTS_NONE ? 0.0 : flv_trajectory_log_pf(t, i) - t->log_pi[i];
    log_u[i] = log_v[i] - x.c[i];
  }
  const bool clipped = o->weights == WEIGHTS_CLIPPED && !o->released;
  if (clipped) {
    clip(n, log(o->cap), 0.0, log_v);
    clip(n, log(o->cap), t->log_z, log_u);
  }
  x.pf = flv_weights_make(n, log_v, pf);
  x.pb = flv_weights_make(n, log_u, pb);
  const double log_n = log((double)n);
  if (o->released || o->weights == WEIGHTS_PLAIN || clipped) x.pf.scale = exp(x.pf.log_sum - log_n);
  if (o->released) {
    for (int i = 0; i < n; i++) log_v[i] = -x.c[i];
    const double log_sum = flv_logsumexp(n, log_v);
    x.pb.scale = isfinite(log_sum) ? exp(x.pb.log_sum - log_sum - log_n) : 0.0;
  } else if (o->weights == WEIGHTS_PLAIN) {
    x.pb.scale = exp(x.pb.log_sum - log_n - t->log_z);
  } else if (clipped) {
    x.pb.scale = exp(x.pb.log_sum - log_n);
  }
  d->ess = n;
  return x;
}

void flv_divergence_ess(const flv_weights *w, flv_cotangents *d) {
  if (w->ess < d->ess) d->ess = w->ess;
}

// The baselines of c serve any integrand; only the value at the optimum (-log Z for c) differs.
void flv_divergence_score(flv_divergence *x, const flv_weights *w, const double *f,
                          double optimum) {
  const flv_baseline kind = (flv_baseline)x->o->baseline;
  if (kind == FLV_BASELINE_CONSTANT) optimum = x->o->constant;
  flv_baselines(kind, x->t->n, f, w->share, -optimum, x->b, x->scratch[0]);
  for (int i = 0; i < x->t->n; i++)
    x->b[i] = w->share[i] > 0.0 ? w->scale * (w->share[i] * (f[i] - x->b[i])) : 0.0;
}

void flv_divergence_log_z(const flv_divergence *x, flv_cotangents *d) {
  const flv_trajectories *t = x->t;
  const bool weighted = x->o->weighted_log_z && !x->o->released;
  for (int i = 0; i < t->n; i++) {
    const double w = weighted ? x->pf.scale * x->pf.share[i] : 1.0 / t->n;
    d->log_z += 2.0 * w * (t->log_z + x->c[i]);
  }
}
