// Mean and covariance of the gradient estimator of a configuration's objective.
#include <math.h>

#include "exact/problem.h"
#include "fluvial/gradients.h"

static double norm(const double *x, int n) {
  double sum = 0.0;
  for (int k = 0; k < n; k++) sum += x[k] * x[k];
  return sqrt(sum);
}

static void fill(flv_gradients_estimate *out, const flv_graph *g, const double *mean,
                 const double *trace) {
  for (int side = 0; side < 2; side++) {
    out->mean[side] = norm(mean + side * g->n_moves, g->n_moves);
    out->deviation[side] = sqrt(fmax(0.0, trace[side])); // rounding may leave -1e-16
  }
}

static flv_status estimate(flv_problem *p, const flv_chosen *chosen, int batch,
                           flv_gradients_estimate *out, flv_error *err) {
  flv_linear linear;
  *out = (flv_gradients_estimate){.enumerated = p->enumerated && flv_expect_can(&p->paths, batch)};
  if (chosen->objective->needs & FLV_NEEDS_EXIT && !flv_env_exits_anywhere(p->env))
    return flv_fail(err, FLV_EINVAL,
                    "the objective needs an exit from every state, which '%s' has not",
                    p->env->name);
  if (out->enumerated) {
    flv_expect_run(&p->expect, chosen, &p->tables, p->log_path[FLV_FROM_PF], batch, true);
    fill(out, p->graph, p->expect.mean, p->expect.trace);
    return FLV_OK;
  }
  if (!flv_linear_probe(&linear, chosen, batch, p->tables.log_z, p->graph->exits, true))
    return flv_fail(err, FLV_EINVAL,
                    "batches of %d out of %.4g trajectories are too many to enumerate, and the "
                    "objective is not linear in their log-ratios",
                    batch, p->n_paths);
  flv_moments_run(&p->moments, &linear, &p->tables, p->log_move[FLV_FROM_PF], batch, true);
  fill(out, p->graph, p->moments.mean, p->moments.trace);
  return FLV_OK;
}

flv_status flv_gradients_estimator(const flv_config *cfg, int seed, int batch,
                                   flv_gradients_estimate *out, flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  if (batch < 1) return flv_fail(err, FLV_EINVAL, "a batch of %d trajectories", batch);
  flv_problem *p = flv_problem_new(cfg, "", err);
  if (!p) return err->status;
  flv_problem_draw(p, (uint64_t)seed);
  const flv_chosen chosen = {flv_config_component(cfg, "objective")->impl,
                             flv_config_values(cfg, "objective")};
  flv_gradients_estimate result;
  const flv_status status = estimate(p, &chosen, batch, &result, err);
  flv_problem_free(p);
  if (status == FLV_OK) *out = result;
  return status;
}
