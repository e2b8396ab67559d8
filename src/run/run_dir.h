// A run directory on disk: made whole, locked while training, its checkpoint tied to its
// configuration.
#ifndef FLUVIAL_RUN_RUN_DIR_H
#define FLUVIAL_RUN_RUN_DIR_H

#include <stdint.h>
#include <stdio.h>

#include "fluvial/config.h"
#include "fluvial/run.h"
#include "fluvial/trainer.h"

enum { FLV_PATH_MAX = 1024, FLV_LATEST = 1000 };

// Sums since the last row of metrics.csv, and, of runs with an archive, log R of the latest
// objects; saved with the checkpoint, so that a resumed run writes the row an uninterrupted one
// would.
typedef struct flv_tally {
  double loss;
  int64_t n;
  int64_t objects;          // in all
  double log_r[FLV_LATEST]; // the k-th at k mod FLV_LATEST
} flv_tally;

typedef struct flv_run_dir {
  char path[FLV_PATH_MAX];
  int lock; // descriptor of config.yaml, locked; -1: not locked
  FILE *metrics, *timing;
  FILE *objects; // NULL: no archive
  char *config;  // the resolved configuration, as text
} flv_run_dir;

// Makes path with config.yaml, empty tables and the checkpoint of iteration 0, under a temporary
// name first.
flv_status flv_run_dir_create(flv_run_dir *dir, const char *path, const flv_config *cfg,
                              flv_trainer *trainer, flv_error *err);
// Locks an existing run, restores the trainer and the tally from its checkpoint, and cuts the
// tables back to it.
flv_status flv_run_dir_resume(flv_run_dir *dir, const char *path, flv_trainer *trainer,
                              flv_tally *tally, flv_error *err);
void flv_run_dir_close(flv_run_dir *dir);
// Unmakes a run that flv_run_dir_create made and nothing was added to.
void flv_run_dir_remove(const char *path);

// Syncs the tables, then writes the checkpoint.
flv_status flv_run_dir_checkpoint(flv_run_dir *dir, flv_trainer *trainer, flv_tally *tally,
                                  flv_error *err);

// found is written where there is an archive.
flv_status flv_run_dir_row(flv_run_dir *dir, const flv_stats *stats,
                           const flv_evaluation *evaluation, const flv_found *found,
                           double mean_loss, double seconds, double trajectories_per_s,
                           flv_error *err);

// The configuration of a run. NULL on failure.
flv_config *flv_run_dir_config(const char *path, flv_error *err);
// Parameters and counters from path's checkpoint, without locking.
flv_status flv_run_dir_load(const char *path, flv_trainer *trainer, flv_tally *tally,
                            flv_error *err);

// dir/name into out; FLV_EINVAL if it does not fit.
flv_status flv_run_dir_path(char out[FLV_PATH_MAX], const char *dir, const char *name,
                            flv_error *err);

#endif
