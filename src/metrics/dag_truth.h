// A posterior over graphs against the true graph, from the probabilities of its edges.
//
// edge [d*d] as in dag_features.h; truth [d]: bit i of truth[j] is the true edge i -> j. The
// diagonal is no edge and never counted: some programs do count it, which adds d easy negatives and
// so raises the areas a little.
#ifndef FLUVIAL_METRICS_DAG_TRUTH_H
#define FLUVIAL_METRICS_DAG_TRUTH_H

#include <stdint.h>

#include "metrics/correlation.h"

typedef struct flv_dag_truth {
  double expected_shd;   // expected structural Hamming distance
  double expected_edges; // of a graph of the posterior
  double auroc, auprc;   // areas under the ROC and the precision-recall curve of the d (d-1) edges,
                         // ranked by probability; NaN if all of them are true, or none
  double average_precision;
} flv_dag_truth;

// The structural Hamming distance of two graphs is the number of pairs {i, j} on which they differ:
// an edge missing, extra or reversed costs 1. In an acyclic graph the three arrangements of a pair
// exclude each other, so its expectation follows from the edges' probabilities:
//   sum over pairs 1 - P(arrangement of the pair in the true graph)
//
// AUROC: probability that a true edge is ranked above one that is not, ties half (Mann-Whitney).
// Along the thresholds at the distinct probabilities, with precision P and recall R,
//   average precision  sum_n (R_n - R_{n-1}) P_n
//   AUPRC              the trapezoids below (R_n, P_n), from (0, 1) on; it interpolates, and so
//                      lies above the average precision as a rule [Davis and Goadrich 2006]
// work [d*d].
flv_dag_truth flv_dag_compare(int d, const double *edge, const uint64_t *truth, flv_ranked *work);

#endif
