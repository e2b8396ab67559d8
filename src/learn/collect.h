// Where the trajectories of an iteration come from:
//
//   fresh      sampled by the behaviour policy (section `exploration`), and searched around
//              (`local_search`)
//   steps      or, instead of those, one step of each of some environments (`collect`), which only
//              fill the buffer
//   replayed   drawn from a buffer of past ones (`replay`)
//   given      drawn back from given objects (`data`)
//
// and, besides the batch that the objective sees, those that P_B learns from (`backward`). The
// batch holds them in this order. log_pi of each is what its own source says.
#ifndef FLUVIAL_LEARN_COLLECT_H
#define FLUVIAL_LEARN_COLLECT_H

#include "fluvial/trainer.h"
#include "learn/given.h"
#include "learn/replay.h"
#include "learn/search.h"
#include "learn/stepwise.h"

typedef struct flv_collector {
  flv_search search;
  flv_replay replay;
  flv_given given;
  flv_stepwise stepwise;
} flv_collector;

// From the trainer's configuration; its policy and its environment are there.
flv_status flv_collector_init(flv_collector *collector, const flv_trainer *trainer, flv_error *err);
void flv_collector_free(flv_collector *collector);

// Fills the trainer's batch for its present iteration, unevaluated. Fails where the reward does, if
// that decides what is kept.
flv_status flv_collector_fill(flv_trainer *trainer, int threads, flv_error *err);

#endif
