// One run in training: its trainer and its directory, advanced an iteration at a time, with the
// rows of its tables and its checkpoints when they are due.
#ifndef FLUVIAL_RUN_SESSION_H
#define FLUVIAL_RUN_SESSION_H

#include "fluvial/run.h"
#include "run/archive.h"
#include "run/run_dir.h"

typedef struct flv_session {
  flv_run_dir dir;
  const char *run; // what --resume goes on with: the directory, or that of all seeds
  flv_trainer *trainer;
  flv_tally tally;
  flv_archive archive;
  flv_progress progress;
  int64_t eval_every, checkpoint_every, eval_samples;
  int64_t checkpointed; // iteration of the checkpoint on disk
  double begun, shown;  // clock readings
  int64_t shown_trajectories;
  void (*show)(void *user, const flv_progress *progress); // may be NULL
  void *user;
} flv_session;

// Once the trainer is made and the directory created or resumed. FLV_ENOMEM; what reading the
// archive of a resumed run may say.
flv_status flv_session_begin(flv_session *session, flv_error *err);

bool flv_session_done(const flv_session *session);

// One iteration, and what is due after it. When it fails the latest checkpoint stays. FLV_ESTOPPED
// where the reward was told to give up (flv_reward.watch): with a checkpoint of the iteration
// before if that can be gone on from, saying how.
flv_status flv_session_step(flv_session *session, flv_error *err);

// Writes a checkpoint and returns FLV_ESTOPPED, saying how to go on.
flv_status flv_session_stop(flv_session *session, flv_error *err);

// After the last iteration: the best of the archive, and the last progress. Evaluates a run that
// had nothing left to train.
flv_status flv_session_end(flv_session *session, flv_error *err);

void flv_session_close(flv_session *session); // directory, archive and trainer

// The rate that is shown: trajectories since *shown at time *at, averaged with what `before` it
// was. Too soon after the last time nothing changes.
double flv_session_rate(double before, int64_t trajectories, int64_t *shown, double *at);

#endif
