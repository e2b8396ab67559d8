// The best of what a run found, and a diverse set of it.
#ifndef FLUVIAL_RUN_BEST_H
#define FLUVIAL_RUN_BEST_H

#include "fluvial/run.h"

// From dir/objects.csv, into dir/best.csv and dir/diverse.csv, as flv_run_best. Every option is
// given.
flv_status flv_best_write(const char *dir, const flv_env *env, const flv_reward *reward,
                          const flv_best_options *options, flv_best *out, flv_error *err);

// What the configuration says.
flv_best_options flv_best_configured(const flv_config *cfg);

#endif
