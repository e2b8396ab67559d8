#include "lab/exact_moments.h"

#include <math.h>

flv_status flv_lab_exact_init(flv_lab_exact *exact, const flv_problem *problem, flv_error *err) {
  flv_lab_exact x = {.p = problem};
  FLV_TRY(flv_moments_init(&x.moments, problem->graph, err));
  if (problem->enumerated) {
    const flv_status status = flv_expect_init(&x.expect, &problem->paths, err);
    if (status != FLV_OK) {
      flv_moments_free(&x.moments);
      return status;
    }
  }
  *exact = x;
  return FLV_OK;
}

void flv_lab_exact_free(flv_lab_exact *exact) {
  flv_moments_free(&exact->moments);
  flv_expect_free(&exact->expect);
}

// ---- is the gradient of a batch the mean of its trajectories' gradients? ----

enum { THREE = 3, TRIALS = 8, DRAW_PATH = 23 };

// Cotangents of log P_F and log P_B of the walks' trajectory i, which are the same all along it for
// no objective but those on whole trajectories: they are compared position by position.
static bool same(const flv_walks *three, int i, const flv_walks *one) {
  const int begin = three->offset[i];
  for (int q = 0; q < one->offset[1]; q++) {
    const double a[2] = {THREE * three->d.log_pf[begin + q], THREE * three->d.log_pb[begin + q]};
    const double b[2] = {one->d.log_pf[q], one->d.log_pb[q]};
    for (int side = 0; side < 2; side++)
      if (!(fabs(a[side] - b[side]) <= 1e-10 * (1.0 + fabs(b[side])))) return false;
    const double c = THREE * three->d.log_pf_exit[begin + q], e = one->d.log_pf_exit[q];
    if (!(fabs(c - e) <= 1e-10 * (1.0 + fabs(e)))) return false;
  }
  return true;
}

static void add_path(flv_lab_exact *x, flv_walks *w, const flv_tables *t, const double *log_path,
                     int path) {
  const flv_paths *paths = &x->p->paths;
  flv_walks_add(w, t, paths->offset[path + 1] - paths->offset[path],
                paths->move + paths->offset[path], log_path[path]);
}

// Batches of trajectories drawn evenly, so that they differ.
static bool is_mean(flv_lab_exact *x, flv_walks *one, const flv_chosen *chosen, const flv_tables *t,
                    const double *log_path) {
  flv_walks *const w = &x->expect.walks;
  for (int trial = 0; trial < TRIALS; trial++) {
    int path[THREE];
    flv_walks_clear(w);
    for (int i = 0; i < THREE; i++) {
      const double u = 0.5 * (1.0 + flv_problem_random(x->p, DRAW_PATH, trial, i));
      path[i] = (int)(u * x->p->paths.n);
      add_path(x, w, t, log_path, path[i]);
    }
    flv_walks_loss(w, chosen, t);
    for (int i = 0; i < THREE; i++) {
      flv_walks_clear(one);
      add_path(x, one, t, log_path, path[i]);
      flv_walks_loss(one, chosen, t);
      if (!same(w, i, one)) return false;
    }
  }
  return true;
}

static bool is_mean_here(flv_lab_exact *x, const flv_chosen *chosen, const flv_tables *t,
                         const double *log_path) {
  flv_walks one;
  if (flv_walks_init(&one, x->p->graph, 1, NULL) != FLV_OK) return false;
  const bool yes = is_mean(x, &one, chosen, t, log_path);
  flv_walks_free(&one);
  return yes;
}

// ---- mean and covariance ----

flv_lab_way flv_lab_exact_run(flv_lab_exact *exact, const flv_chosen *chosen,
                              const flv_tables *tables, const flv_lab_source *source, int batch,
                              bool with_trace) {
  flv_lab_exact *x = exact;
  const flv_problem *p = x->p;
  flv_linear linear;
  if (flv_linear_probe(&linear, chosen, batch, tables->log_z, p->graph->exits, source->on_policy)) {
    flv_moments_run(&x->moments, &linear, tables, source->log_move, batch, with_trace);
    x->mean = x->moments.mean;
    for (int side = 0; side < 2; side++) x->trace[side] = fmax(0.0, x->moments.trace[side]);
    return FLV_LAB_LINEAR;
  }
  if (!p->enumerated) return FLV_LAB_SAMPLED;
  const bool single = is_mean_here(x, chosen, tables, source->log_path);
  if (!single && !flv_expect_can(&p->paths, batch)) return FLV_LAB_SAMPLED;
  flv_expect_run(&x->expect, chosen, tables, source->log_path, single ? 1 : batch, with_trace);
  x->mean = x->expect.mean;
  for (int side = 0; side < 2; side++)
    x->trace[side] = fmax(0.0, x->expect.trace[side]) / (single ? batch : 1);
  return single ? FLV_LAB_SINGLE : FLV_LAB_BATCHES;
}

double flv_lab_ess_limit(flv_lab_exact *exact, const flv_tables *tables,
                         const flv_lab_source *source, double a, double b, double d) {
  flv_lab_exact *x = exact;
  const flv_graph *g = x->p->graph;
  double log_mean[2]; // of u, of u^2
  for (int power = 1; power <= 2; power++) {
    for (int m = 0; m < g->n_moves; m++) {
      const double log_r = flv_move_ends(g, m) ? g->log_r[g->dag.from[m]] - g->log_z : 0.0;
      const double log_u = a * tables->log_pf[m] - b * source->log_move[m] +
                           (d > 0.0 ? d * (tables->log_pb[m] + log_r) : 0.0);
      x->moments.log_w[m] = source->log_move[m] + power * log_u;
    }
    flv_chain_run(&x->moments.chain, x->moments.log_w, NULL);
    log_mean[power - 1] = x->moments.chain.log_total;
  }
  return exp(2.0 * log_mean[0] - log_mean[1]);
}
