// Objects from files.
#ifndef FLUVIAL_OBJECTS_H
#define FLUVIAL_OBJECTS_H

#include <stdint.h>

#include "fluvial/env.h"
#include "fluvial/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Reads objects in the form in which flv_run_sample writes them: an .npy [n, columns], or a .csv
// with a row of numbers for each, in which a last column beyond the object's (log_r) is not used.
// *states [*n * state_size] is the caller's to free(). Any hypergrid or dag, and
// environments with columns of their own (flv_env.n_columns); others where they have at most 2^24
// states. FLV_EINVAL where a row is no state of env: the message says which.
flv_status flv_objects_read(const flv_env *env, const char *path, int64_t *n, void **states,
                            flv_error *err);

#ifdef __cplusplus
}
#endif
#endif
