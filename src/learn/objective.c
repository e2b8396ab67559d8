// Pieces that objectives share, and their registry.
#include "learn/objective.h"

#include <math.h>
#include <stddef.h>

#include "base/logmath.h"

#define ENTRY(name) &flv_objective_##name,
const flv_component *const flv_objective_list[] = {FLV_OBJECTIVES(ENTRY) NULL};
#undef ENTRY

double flv_trajectory_log_pf(const flv_trajectories *t, int i) {
  double sum = 0.0;
  for (int p = t->offset[i]; p < t->offset[i + 1]; p++) sum += t->log_pf[p];
  return sum;
}

double flv_trajectory_log_ratio(const flv_trajectories *t, int i) {
  double log_pb = 0.0;
  for (int p = t->offset[i] + 1; p < t->offset[i + 1]; p++) log_pb += t->log_pb[p];
  return flv_trajectory_log_pf(t, i) - log_pb - t->log_r[i];
}

int flv_trajectory_steps(const flv_trajectories *t, int i) {
  const int positions = t->offset[i + 1] - t->offset[i];
  if (flv_trajectory_open(t, i) & FLV_OPEN_END) return positions - 1;
  return t->exits || positions == 1 ? positions : positions - 1;
}

void flv_trajectory_spread_pf(const flv_trajectories *t, int i, double a, double *d_log_pf) {
  for (int p = t->offset[i]; p < t->offset[i + 1]; p++) d_log_pf[p] += a;
}

void flv_trajectory_spread_pb(const flv_trajectories *t, int i, double a, double *d_log_pb) {
  for (int p = t->offset[i] + 1; p < t->offset[i + 1]; p++) d_log_pb[p] += a;
}

flv_weights flv_weights_make(int n, const double *log_weight, double *share) {
  flv_softmax(n, log_weight, share);
  double squares = 0.0;
  for (int i = 0; i < n; i++) squares += share[i] * share[i];
  return (flv_weights){.share = share,
                       .scale = 1.0,
                       .log_sum = flv_logsumexp(n, log_weight),
                       .ess = squares > 0.0 ? 1.0 / squares : 0.0};
}

// Sums over j < i and j > i are formed separately, never as "all minus own": when one share is
// nearly 1 the difference would hold nothing but rounding.
static void leave_one_out(int n, const double *c, const double *share, double empty, double *b,
                          double *before) {
  double sum = 0.0, weight = 0.0;
  for (int i = 0; i < n; i++) {
    b[i] = sum;
    before[i] = weight;
    if (share[i] > 0.0) sum += share[i] * c[i];
    weight += share[i];
  }
  sum = 0.0, weight = 0.0;
  for (int i = n - 1; i >= 0; i--) {
    const double others = before[i] + weight;
    b[i] = others > 0.0 ? (b[i] + sum) / others : empty;
    if (share[i] > 0.0) sum += share[i] * c[i];
    weight += share[i];
  }
}

void flv_baselines(flv_baseline kind, int n, const double *c, const double *share, double log_z,
                   double *b, double *scratch) {
  double each = 0.0;
  switch (kind) {
  case FLV_BASELINE_LEAVE_ONE_OUT:
    leave_one_out(n, c, share, -log_z, b, scratch);
    return;
  case FLV_BASELINE_GLOBAL:
  case FLV_BASELINE_CONSTANT:
    each = -log_z;
    break;
  case FLV_BASELINE_LOCAL:
    for (int i = 0; i < n; i++) each += c[i];
    each /= n;
    break;
  case FLV_BASELINE_NONE:
    break;
  }
  for (int i = 0; i < n; i++) b[i] = each;
}
