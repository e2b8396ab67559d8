// Progress of a training run on standard error: one line that is written over and over on a
// terminal, else a plain line at evaluations.
#ifndef FLUVIAL_CLI_PROGRESS_H
#define FLUVIAL_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "fluvial/run.h"
#include "fluvial/seeds.h"

typedef struct cli_progress {
  bool quiet, live, utf8;
  bool line_open; // a live line stands unfinished
  int calls;
  flv_progress last;                             // the latest call
  int runs, failed;                              // of several seeds; 0 runs: of one run
  double loss_low, loss_high, jsd_low, jsd_high; // over them
  double first_seconds;                          // of the first call
  double states;                                 // visited since the first call
  double s_per_iteration;                        // averaged over the last ten seconds or so
  double printed;                                // seconds at the last plain line
  int64_t printed_iteration;
} cli_progress;

void cli_progress_begin(cli_progress *progress, bool quiet);
void cli_progress_show(void *progress, const flv_progress *now);        // flv_run_options.progress
void cli_progress_seeds(void *progress, const flv_seeds_progress *now); // likewise, of seeds.h
void cli_progress_end(cli_progress *progress); // leaves the cursor on a line of its own

// Whether there was nothing left to train: a finished run, resumed.
bool cli_progress_nothing(const cli_progress *progress);

// States visited per second; 0 if there was nothing to measure.
double cli_progress_states_per_s(const cli_progress *progress);

#endif
