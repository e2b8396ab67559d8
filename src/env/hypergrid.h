// Hypergrid: what rewards on grids need to know of it.
#ifndef FLUVIAL_ENV_HYPERGRID_H
#define FLUVIAL_ENV_HYPERGRID_H

#include <stdint.h>

#include "fluvial/env.h"

// A state is `dims` coordinates, uint16_t each, side[d] values from 0, then zero bytes up to
// state_size.
typedef struct flv_hypergrid {
  int dims;
  int side[FLV_MAX_DIMS];
  int first[FLV_MAX_DIMS]; // first feature of dimension d
  int64_t
      stride[FLV_MAX_DIMS]; // of the index, the last dimension fastest; unused when not enumerable
} flv_hypergrid;

// The grid behind env, or NULL if env is not a hypergrid.
const flv_hypergrid *flv_hypergrid_of(const flv_env *env);

static inline const uint16_t *flv_hypergrid_state(const flv_env *env, const void *states, int i) {
  return (const uint16_t *)(const void *)((const unsigned char *)states +
                                          (size_t)i * env->state_size);
}

// Row-major index of a state; the grid must be enumerable.
static inline int64_t flv_hypergrid_index(const flv_hypergrid *grid, const uint16_t *at) {
  int64_t index = 0;
  for (int d = 0; d < grid->dims; d++) index += at[d] * grid->stride[d];
  return index;
}

#endif
