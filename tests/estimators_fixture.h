// What tests of gradient estimators share: a small grid, and the estimators' definitions enumerated
// over all batches, written out without the library's own.
#ifndef FLUVIAL_TESTS_ESTIMATORS_FIXTURE_H
#define FLUVIAL_TESTS_ESTIMATORS_FIXTURE_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lab/cell.h"
#include "train_setup.h"

static inline void near(double a, double b, double tolerance) {
  if (fabs(a - b) <= tolerance * (1.0 + fabs(b))) return;
  print_error("%.17g is not %.17g\n", a, b);
  fail();
}

#define SMALL_GRID                                                                                 \
  {"env.sides", "[3, 2]"}, {"reward", "cosine"}, {"policy", "tabular"}, {"batch", "4"},            \
      {"iterations", "20"}, {                                                                      \
    "optimiser.lr", "0.2"                                                                          \
  }

enum { AT_7 = 7 }; // iterations of training that tests look at

// ---- enumeration of batches, by hand ----

enum { MAX_PATHS = 32, MAX_MOVES = 64 };

// All trajectories of a problem under its policy: c, log P_F, log pi, and h = grad log P_F, - grad
// log P_B with respect to logits.
typedef struct world {
  flv_problem *p;
  int n, moves;
  double log_z, true_log_z;
  double c[MAX_PATHS], log_pf[MAX_PATHS], log_pi[MAX_PATHS];
  double h[2][MAX_PATHS][MAX_MOVES];
} world;

// The policy after `iterations`, by a trainer of its own; epsilon of the behaviour.
static inline void open_world(world *w, const flv_config *cfg, int iterations, double epsilon) {
  flv_error err = {0};
  flv_trainer *t = flv_trainer_new(cfg, NULL, NULL, 1, &err);
  assert_non_null(t);
  for (int i = 0; i < iterations; i++) step(t, NULL);
  *w = (world){.p = flv_problem_new(cfg, "", &err)};
  assert_non_null(w->p);
  flv_problem *p = w->p;
  const flv_graph *g = p->graph;
  const flv_tables *x = &p->tables;
  flv_lab_read(p, &t->policy, t->policy.params);
  flv_trainer_free(t);
  w->n = p->paths.n;
  w->moves = g->n_moves;
  w->log_z = x->log_z;
  w->true_log_z = g->log_z;
  assert_true(w->n <= MAX_PATHS && w->moves <= MAX_MOVES);
  for (int i = 0; i < w->n; i++) {
    for (int k = p->paths.offset[i]; k < p->paths.offset[i + 1]; k++) {
      const int m = p->paths.move[k], s = g->dag.from[m], t2 = g->dag.to[m];
      const int begin = g->dag.first[s], end = g->dag.first[s + 1];
      w->log_pf[i] += x->log_pf[m];
      w->log_pi[i] += log((1.0 - epsilon) * x->pf[m] + epsilon / (end - begin));
      w->c[i] += x->log_pf[m] - x->log_pb[m] - (flv_move_ends(g, m) ? g->log_r[s] : 0.0);
      w->h[0][i][m] += 1.0;
      for (int j = begin; j < end; j++) w->h[0][i][j] -= x->pf[j];
      if (flv_move_ends(g, m)) continue;
      w->h[1][i][m] -= 1.0;
      for (int j = 0; j < g->n_moves; j++)
        if (g->dag.to[j] == t2) w->h[1][i][j] += x->pb[j];
    }
  }
}

static inline void close_world(world *w) { flv_problem_free(w->p); }

typedef struct estimator {
  const char *objective, *weights, *baseline;
  double constant; // baseline "constant"
} estimator;

static inline bool is(const char *a, const char *b) { return strcmp(a, b) == 0; }

enum { MAX_B = 3 };

// Coefficients of h[side] of a batch of trajectories i[0 .. n-1]: the definitions of
// learn/divergence.h, read again.
static inline void coefficients(const world *w, const estimator *e, int side, int n, const int *i,
                                double *a) {
  if (is(e->objective, "tb")) {
    for (int k = 0; k < n; k++) a[k] = 2.0 * (w->log_z + w->c[i[k]]) / n;
    return;
  }
  const bool forward = is(e->objective, "forward_kl");
  double u[MAX_B], sum = 0.0, mean_c = 0.0;
  for (int k = 0; k < n; k++) {
    const double ratio = is(e->weights, "none") ? 1.0 : exp(w->log_pf[i[k]] - w->log_pi[i[k]]);
    u[k] = ratio * (forward ? exp(-w->c[i[k]] - w->log_z) : 1.0);
    if (is(e->weights, "clipped") && u[k] > 10.0) u[k] = 10.0;
    sum += u[k];
    mean_c += w->c[i[k]] / n;
  }
  const bool shares = is(e->weights, "self_normalised") || (forward && is(e->weights, "none"));
  const bool score = forward == (side == 1);
  for (int k = 0; k < n; k++) {
    double others = 0.0, weight = 0.0, b = 0.0;
    for (int j = 0; j < n; j++) {
      if (j == k) continue;
      others += u[j] * w->c[i[j]];
      weight += u[j];
    }
    if (is(e->baseline, "global")) b = -w->log_z;
    if (is(e->baseline, "local")) b = mean_c;
    if (is(e->baseline, "leave_one_out")) b = weight > 0.0 ? others / weight : -w->log_z;
    if (is(e->baseline, "constant")) b = e->constant;
    a[k] = u[k] / (shares ? sum : n) * (score ? w->c[i[k]] - b : 1.0);
    // h[1] is - grad log P_B: reverse_kl and forward_kl have - w grad log P_B and - w (c - b) grad
    // log P_B there, and P_F of forward_kl - w grad log P_F
    if (forward && side == 0) a[k] = -a[k];
  }
}

typedef struct moments {
  double mean[MAX_MOVES], trace;
} moments;

static inline void enumerate(const world *w, const estimator *e, int side, int n, moments *out) {
  int batches = 1;
  for (int k = 0; k < n; k++) batches *= w->n;
  *out = (moments){.trace = 0.0};
  for (int b = 0; b < batches; b++) {
    int i[MAX_B];
    double a[MAX_B], g[MAX_MOVES] = {0.0}, p = 1.0;
    for (int k = 0, rest = b; k < n; k++, rest /= w->n) {
      i[k] = rest % w->n;
      p *= exp(w->log_pi[i[k]]);
    }
    coefficients(w, e, side, n, i, a);
    for (int k = 0; k < n; k++)
      for (int m = 0; m < w->moves; m++) g[m] += a[k] * w->h[side][i[k]][m];
    for (int m = 0; m < w->moves; m++) {
      out->mean[m] += p * g[m];
      out->trace += p * g[m] * g[m];
    }
  }
  for (int m = 0; m < w->moves; m++) out->trace -= out->mean[m] * out->mean[m];
}

// The gradient of D(P_F||P_B), D(P_B||P_F), or of TB's expected loss under pi.
static inline void true_gradient(const world *w, const char *objective, int side, double *g) {
  const bool forward = is(objective, "forward_kl"), tb = is(objective, "tb");
  for (int m = 0; m < w->moves; m++) g[m] = 0.0;
  for (int i = 0; i < w->n; i++) {
    const double p = tb ? exp(w->log_pi[i]) : exp(w->log_pf[i]);
    const double u = forward ? exp(-w->c[i] - w->true_log_z) : 1.0;
    double a = forward == (side == 1) ? u * w->c[i] : u;
    if (forward && side == 0) a = -a;
    if (tb) a = 2.0 * (w->log_z + w->c[i]);
    for (int m = 0; m < w->moves; m++) g[m] += p * a * w->h[side][i][m];
  }
}

static inline double norm(const double *x, int n) {
  double sum = 0.0;
  for (int k = 0; k < n; k++) sum += x[k] * x[k];
  return sqrt(sum);
}

#endif
