// Training with progress on standard error and an orderly end on Ctrl-C, for the verbs that train.
#ifndef FLUVIAL_CLI_TRAINING_H
#define FLUVIAL_CLI_TRAINING_H

#include <stdbool.h>

#include "progress.h"

typedef struct cli_training {
  const flv_config *cfg; // of a new run; NULL with resume
  const char *out;       // directory to make
  const char *resume;    // or to go on with
  int threads;
  bool quiet;
  cli_progress progress; // of the run, afterwards
} cli_training;

// Trains; the first SIGINT or SIGTERM stops after a checkpoint. Returns an exit code, after a
// message if it is not CLI_OK.
int cli_train_run(cli_training *training);

// What options.stop points to: 1 after the first SIGINT or SIGTERM since they are caught. The
// second finds the default action.
const volatile int *cli_stop(void);
void cli_catch_signals(bool on);

// Trajectories, time and speed of a run that did train, as rows of measures.h.
void cli_train_speed(const cli_training *training);

#endif
