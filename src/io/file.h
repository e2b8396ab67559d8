// Files that are never half written.
#ifndef FLUVIAL_IO_FILE_H
#define FLUVIAL_IO_FILE_H

#include <stddef.h>
#include <stdio.h>

#include "fluvial/status.h"

// A file being written beside its final name, at PATH.tmp. Commit flushes, syncs, renames and syncs
// the directory; abandon removes it. After either, f is NULL. What a killed process left behind is
// overwritten by the next write of the same path. FLV_EBUSY: somebody else is writing this path.
typedef struct flv_atomic {
  FILE *f;
  char path[1024], temporary[1040];
} flv_atomic;
flv_status flv_atomic_open(flv_atomic *file, const char *path, flv_error *err);
flv_status flv_atomic_commit(flv_atomic *file, flv_error *err);
void flv_atomic_abandon(flv_atomic *file); // accepts one that was committed

// Whole file into memory, with a zero byte after it (*data freed by the caller).
flv_status flv_file_read(const char *path, char **data, size_t *size, flv_error *err);

// The same, but a file of more than `limit` bytes is refused without reading it all.
flv_status flv_file_read_limited(const char *path, size_t limit, char **data, size_t *size,
                                 flv_error *err);
#endif
