// A complete training program on the public API: an 8x8 hypergrid, trajectory balance, with its
// exact error.
#include <stdio.h>

#include "fluvial/fluvial.h"

static int fail(const flv_error *err) {
  fprintf(stderr, "%s\n", err->text);
  return 1;
}

int main(void) {
  flv_error err = {0};
  flv_config *cfg = flv_config_new(&err);
  if (!cfg) return fail(&err);
  static const char *const settings[][2] = {
      {"env.side", "8"},   {"reward.r0", "0.1"},   {"batch", "32"},         {"iterations", "1000"},
      {"objective", "tb"}, {"policy.p_b", "tied"}, {"optimiser.lr", "2e-3"}};
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    if (flv_config_set(cfg, settings[i][0], settings[i][1], &err) != FLV_OK) return fail(&err);

  flv_trainer *trainer = flv_trainer_new(cfg, NULL, NULL, 0, &err);
  flv_config_free(cfg);
  if (!trainer) return fail(&err);

  flv_status status = FLV_OK;
  flv_evaluation e = {0};
  for (int i = 1; i <= 1000 && status == FLV_OK; i++) {
    flv_stats stats;
    status = flv_trainer_step(trainer, &stats, &err);
    if (status == FLV_OK && i % 200 == 0) {
      status = flv_trainer_evaluate(trainer, 0, &e, &err);
      printf("iteration %4d  loss %9.2e  log Z %.4f (true %.4f)  JSD %.2e\n", i, stats.loss,
             e.log_z, e.log_z_true, e.jsd);
    }
  }
  flv_trainer_free(trainer);
  if (status != FLV_OK) return fail(&err);
  return e.jsd < 1e-2 ? 0 : 1;
}
