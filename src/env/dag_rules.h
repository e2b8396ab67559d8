// Which directed acyclic graphs are states of a dag environment, and how they grow: sets of
// variables as bits, d of them.
//
// With P_j the parents of j and D_j its descendants and itself (the transitive closure), an edge
// i -> j may be added unless i is in P_j, or in D_j (a cycle), or forbidden, or P_j is full. Adding
// it gives D_j to i and to all that reach i.
#ifndef FLUVIAL_ENV_DAG_RULES_H
#define FLUVIAL_ENV_DAG_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "env/dag.h"

typedef struct flv_dag_rules {
  int d;
  int max_parents;                           // 1 .. d-1
  int n_required;                            // required edges
  uint64_t all;                              // the d variables
  uint64_t required[FLV_DAG_MAX_VARIABLES];  // sources of required edges into j
  uint64_t forbidden[FLV_DAG_MAX_VARIABLES]; // sources of forbidden edges into j
} flv_dag_rules;

static inline int flv_bits_count(uint64_t set) { return __builtin_popcountll(set); }
static inline int flv_bits_lowest(uint64_t set) { return __builtin_ctzll(set); } // set is not 0

// D from P (Warshall); of any directed graph, cyclic ones included.
static inline void flv_dag_closure(int d, const uint64_t *parents, uint64_t *descendants) {
  for (int j = 0; j < d; j++) descendants[j] = UINT64_C(1) << j;
  for (int j = 0; j < d; j++)
    for (uint64_t left = parents[j]; left; left &= left - 1)
      descendants[flv_bits_lowest(left)] |= UINT64_C(1) << j;
  for (int k = 0; k < d; k++)
    for (int u = 0; u < d; u++)
      if (descendants[u] >> k & 1) descendants[u] |= descendants[k];
}

static inline bool flv_dag_acyclic(int d, const uint64_t *parents, const uint64_t *descendants) {
  for (int j = 0; j < d; j++)
    if (parents[j] & descendants[j]) return false;
  return true;
}

// Sources of the edges into j that may be added.
static inline uint64_t flv_dag_open(const flv_dag_rules *rules, int j, uint64_t parents,
                                    uint64_t descendants) {
  if (flv_bits_count(parents) >= rules->max_parents) return 0;
  return rules->all & ~(parents | descendants | rules->forbidden[j]);
}

#endif
