// A directory of runs that differ in their seed: which are there, and making all at once.
#ifndef FLUVIAL_RUN_SEEDS_DIR_H
#define FLUVIAL_RUN_SEEDS_DIR_H

#include "fluvial/seeds.h"
#include "run/session.h"

// DIR/seed-K of seed K.
flv_status flv_seeds_path(char out[FLV_SEEDS_PATH], const char *dir, int64_t seed, flv_error *err);

// The seeds of the runs in dir, increasing; *seeds is freed by the caller. FLV_EIO if there is
// none.
flv_status flv_seeds_list(const char *dir, int *n, int64_t **seeds, flv_error *err);

// Makes path with the directories of n runs, whose trainers are there, under a temporary name
// first: it is there with all of them or not at all.
flv_status flv_seeds_create(const char *path, int n, const int64_t *seeds, flv_session *session,
                            flv_error *err);

#endif
