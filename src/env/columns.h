// An object as a row of numbers, as files of objects and distances between objects need it: what
// the environment says (flv_env.n_columns), or else the coordinates on a grid (hot index minus the
// sides before it), the adjacency matrix of a directed graph (row-major, entry i*n_nodes + j is 1
// where there is an edge i -> j), else the indices that are hot (padded with -1 where a state has
// fewer), else the dense observation.
#ifndef FLUVIAL_ENV_COLUMNS_H
#define FLUVIAL_ENV_COLUMNS_H

#include <stdbool.h>

#include "fluvial/env.h"

int flv_columns_count(const flv_env *env);  // numbers in a row
bool flv_columns_whole(const flv_env *env); // int32_t; else float
bool flv_columns_grid(const flv_env *env);  // coordinates

// Rows of n states into cells [n * flv_columns_count], int32_t or float.
void flv_columns_fill(const flv_env *env, int n, const void *states, void *cells);

#endif
