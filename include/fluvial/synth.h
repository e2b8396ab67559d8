// Synthetic problems whose truth is known. (Library fluvial_run.)
#ifndef FLUVIAL_SYNTH_H
#define FLUVIAL_SYNTH_H

#include <stdint.h>

#include "fluvial/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// Linear-Gaussian data of a random graph.
typedef struct flv_synth_dag {
  int variables;   // d, 2 to 64
  double edges;    // expected number of edges, 0 to d (d-1)/2
  int64_t samples; // rows, 1 to 2^31 - 1
  double noise;    // standard deviation of what parents do not explain, at least 0
  uint64_t seed;
} flv_synth_dag;

// Writes into folder, which is made if it is not there, each file whole or not at all:
//
//   data.csv      a header of names (A .. Z, AA, AB ..), a row for each sample
//   graph.csv     the true graph: row i, column j is 1 where there is an edge i -> j; named both
//                 ways
//   weights.csv   the same with the edges' weights
//   graph.dot     the true graph for Graphviz
//
// The graph is Erdos-Renyi: an order of the variables uniformly at random, and each of the
// d (d-1)/2 edges along it with probability edges / (d (d-1)/2). Weights are N(0, 1), and
// variables, parents first,
//   X_j = sum over parents i of weight(i, j) X_i + noise e_j,  e_j ~ N(0, 1).
// One seed gives the same bytes; more samples keep the rows there were. FLV_EINVAL: a number out of
// range. [Deleu et al. 2022, arXiv:2202.13903, appendix D, whose noise is 0.1]
flv_status flv_synth_dag_write(const flv_synth_dag *synth, const char *folder, flv_error *err);

#ifdef __cplusplus
}
#endif
#endif
