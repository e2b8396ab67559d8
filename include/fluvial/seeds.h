// Several runs of one configuration that differ in their seed, trained side by side in one process.
// (Library fluvial_run.)
//
//   DIR/seed-K/       what flv_run_train leaves for seed K, bit for bit; a run like any other
//   DIR/summary.csv   over all seeds: median, lowest and highest of the metrics, a row for each
//                     evaluation
//   DIR/seeds.png     curves of all seeds with median and range, its data and script beside it
//
// Runs are dealt out to threads: each thread trains one run at a time, without a barrier, the run
// that is furthest behind next. Where there are fewer runs than threads each has several.
// Environment, reward with its caches, and exact target are made once for all. Two seeds' products
// are never one product, since their weights differ.
#ifndef FLUVIAL_SEEDS_H
#define FLUVIAL_SEEDS_H

#include <stdbool.h>
#include <stdint.h>

#include "fluvial/config.h"
#include "fluvial/run.h"
#include "fluvial/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FLV_SEEDS_MAX = 256, FLV_SEEDS_PATH = 1024 };

typedef struct flv_seed_run {
  int64_t seed;
  char dir[FLV_SEEDS_PATH]; // DIR/seed-K
  flv_status status;        // FLV_OK: trained to its end; FLV_ESTOPPED; else what ended it
  flv_error err;            // in words
  flv_progress progress;    // the latest
} flv_seed_run;

// Of all runs at once.
typedef struct flv_seeds_progress {
  flv_progress
      all; // iterations, trajectories, their rate: sums over the runs; loss, log Z, lengths
  // and the evaluation: means over the runs that have not failed; what was found: means, too,
  // and the best of all
  double loss_low, loss_high; // lowest and highest of the runs' latest losses
  double jsd_low, jsd_high;   // and JSDs; NaN before the first evaluation
  int runs, ended, failed;
} flv_seeds_progress;

typedef struct flv_seeds_options {
  const char *out;      // directory to make
  int n;                // with out: how many seeds, 1 to FLV_SEEDS_MAX
  const int64_t *seeds; // [n], all different
  const char *resume;   // directory to go on with, instead of these
  int threads;          // for all runs together; 0: all cores
  // At most about 10 times a second; from any thread, but never two calls at once. May be NULL.
  void (*progress)(void *user, const flv_seeds_progress *progress);
  // A run was trained to its end and its directory is closed; from the thread that trained it,
  // several calls at once. May be NULL.
  void (*ended)(void *user, const flv_seed_run *run);
  void *user;
  // Set to 1 by a signal handler, or atomically by a thread: all write checkpoints. May be NULL.
  const volatile int *stop;
} flv_seeds_options;

typedef struct flv_seeds {
  int n;
  flv_seed_run *run; // [n] in the order given; on resuming, from the smallest seed
  int threads;       // how many trained
} flv_seeds;

// Trains all to their end. cfg may be NULL with resume. A run that fails keeps its checkpoint and
// leaves the others alone. Returns FLV_OK when all have ended, FLV_ESTOPPED when stopped, else the
// status of the first that failed, with all that failed in err. *out is for flv_seeds_free, its n 0
// if nothing began.
flv_status flv_seeds_train(flv_seeds *out, const flv_config *cfg, const flv_seeds_options *options,
                           flv_error *err);
void flv_seeds_free(flv_seeds *seeds);

// Whether dir is such a directory, and not a run.
bool flv_seeds_found(const char *dir);

// Writes DIR/summary.csv from the runs' metrics.csv, then draws DIR/seeds.png: JSD where it is
// known, else the error of log Z, else the loss. A run counts in the rows that it has reached.
// FLV_EINVAL if no run has a row yet. Without gnuplot FLV_EIO, with summary.csv written.
flv_status flv_seeds_summarise(const char *dir, flv_error *err);

#ifdef __cplusplus
}
#endif
#endif
