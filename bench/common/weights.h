// Random weights of a message passing reward (reward/mpnn.h) of the published shapes, for those who
// have not fetched the published ones: what is timed does not depend on them.
#ifndef FLUVIAL_BENCH_WEIGHTS_H
#define FLUVIAL_BENCH_WEIGHTS_H

enum { BENCH_WEIGHTS_PATH = 64 };

// Writes them to a new temporary file, whose name is put in `path` and returned; the caller unlinks
// it. Exits on failure.
const char *bench_weights(char path[BENCH_WEIGHTS_PATH]);

#endif
