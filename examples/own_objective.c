// An objective of your own: one function, and one line to select it. Trajectory balance with the
// Huber loss (a residual d counts d^2/2 up to 1 and |d| - 1/2 beyond), trained on an 8x8 hypergrid.
#include <math.h>
#include <stdio.h>

#include "fluvial/fluvial.h"

static double huber_tb(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  (void)cfg;
  double loss = 0.0;
  for (int i = 0; i < t->n; i++) {
    double residual = t->log_z - t->log_r[i];
    for (int p = t->offset[i]; p < t->offset[i + 1]; p++) residual += t->log_pf[p] - t->log_pb[p];
    const double size = fabs(residual), slope = fmax(-1.0, fmin(1.0, residual)) / t->n;
    loss += (size <= 1.0 ? 0.5 * size * size : size - 0.5) / t->n;
    for (int p = t->offset[i]; p < t->offset[i + 1]; p++) {
      d->log_pf[p] += slope;
      d->log_pb[p] -= slope;
    }
    d->log_z += slope;
  }
  return loss;
}

// What `fluvial list` would tell of it; all but the loss may be left out.
static const flv_objective objective = {
    .loss = huber_tb,
    .uses = FLV_USES_LOG_Z | FLV_TRAINS_LOG_Z,
    .formula = "mean of huber(log Z + log P_F - log P_B - log R)",
    .source = "Malkin et al. 2022, arXiv 2201.13259; Huber 1964"};
static const flv_component huber = {
    .name = "huber_tb", .help = "trajectory balance, Huber", .size = 1, .impl = &objective};

int main(void) {
  flv_error err = {0};
  flv_config *cfg = flv_config_new(&err);
  flv_status status = cfg ? flv_config_use(cfg, "objective", &huber, &err) : err.status; // the line
  if (status == FLV_OK) status = flv_config_set(cfg, "reward.r0", "0.1", &err);
  flv_trainer *trainer = status == FLV_OK ? flv_trainer_new(cfg, NULL, NULL, 0, &err) : NULL;
  flv_evaluation e = {.jsd = 1.0};
  for (int i = 1; trainer && i <= 1000 && status == FLV_OK; i++) {
    status = flv_trainer_step(trainer, NULL, &err);
    if (status == FLV_OK && i % 200 == 0) {
      status = flv_trainer_evaluate(trainer, 0, &e, &err);
      printf("iteration %4d  log Z %.4f (true %.4f)  JSD %.2e\n", i, e.log_z, e.log_z_true, e.jsd);
    }
  }
  flv_trainer_free(trainer);
  flv_config_free(cfg);
  if (err.status != FLV_OK) fprintf(stderr, "%s\n", err.text);
  return e.jsd < 1e-2 ? 0 : 1;
}
