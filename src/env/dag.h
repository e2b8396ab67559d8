// Directed acyclic graphs over named variables: what rewards, policies and reports need to know of
// them.
#ifndef FLUVIAL_ENV_DAG_H
#define FLUVIAL_ENV_DAG_H

#include <stdbool.h>
#include <stdint.h>

#include "fluvial/env.h"

enum { FLV_DAG_MAX_VARIABLES = 64 };

typedef struct flv_dag_env flv_dag_env;

// The environment behind env, or NULL if env is not a dag.
const flv_dag_env *flv_dag_env_of(const flv_env *env);

int flv_dag_variables(const flv_dag_env *dag);   // d, 2 .. 64
int flv_dag_max_parents(const flv_dag_env *dag); // most parents of one variable, 1 .. d-1

// Parents of variable j, 0 <= j < d, in one state: bit i is set when there is an edge i -> j.
// O(1).
uint64_t flv_dag_parents(const flv_dag_env *dag, const void *state, int j);

// The state whose variable j has the parents parents[j], j < d, into state [state_size]. False, and
// nothing written, if the graph has a cycle or a variable beyond d, lacks a required edge, has a
// forbidden one, or has a variable with too many parents: if it is no state of this environment.
bool flv_dag_from_parents(const flv_dag_env *dag, const uint64_t *parents, void *state);

#endif
