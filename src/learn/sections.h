// The sections of a configuration and their registries.
#ifndef FLUVIAL_LEARN_SECTIONS_H
#define FLUVIAL_LEARN_SECTIONS_H

#include "fluvial/config.h"

#define TRAIN_KEYS(X)                                                                              \
  X(LONG, seed, "1", 0, 9e18, "", "seed of everything random; the same seed gives the same bits")  \
  X(LONG, iterations, "15625", 1, 1e12, "", "updates to make")                                     \
  X(INT, batch, "64", 1, 65536, "", "trajectories per update")                                     \
  X(LONG, eval_every, "200", 1, 1e12, "", "iterations between evaluations (a row of metrics.csv)") \
  X(LONG, eval_samples, "20000", 100, 1e9, "",                                                     \
    "samples for an evaluation where the space is too large to enumerate")                         \
  X(LONG, checkpoint_every, "1000", 1, 1e12, "", "iterations between checkpoints")                 \
  X(BOOL, intern, "true", 0, 1, "",                                                                \
    "evaluate every distinct state of a batch once (false: to compare)")
typedef struct flv_train_cfg {
  TRAIN_KEYS(FLV_FIELD)
} flv_train_cfg;

// What is kept of what training finds, where objects have texts (src/run/archive.h).
#define ARCHIVE_KEYS(X)                                                                            \
  X(REAL, above, "0", 0, 1e300, "",                                                                \
    "least reward of objects that are written to objects.csv and counted")                         \
  X(REAL, modes_above, "7", 0, 1e300, "", "least reward of what counts as a mode")                 \
  X(REAL, similarity, "0.7", 0, 1, "",                                                             \
    "Tanimoto similarity from which on two objects are the same mode")                             \
  X(INT, best, "100", 1, 1e6, "", "most rows of best.csv and of diverse.csv")
typedef struct flv_archive_cfg {
  ARCHIVE_KEYS(FLV_FIELD)
} flv_archive_cfg;

#endif
