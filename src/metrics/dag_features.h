// What a weighted list of directed acyclic graphs says about its variables.
//
// A graph over d <= 64 variables is parents [d]: bit i of parents[j] is the edge i -> j. A feature
// is a matrix [d*d] of probabilities, row i, column j:
//   edge     i -> j
//   path     a directed path from i to j, i != j (the transitive closure)
//   blanket  i is in the Markov blanket of j: the two are adjacent or share a child (symmetric)
// with zeros on the diagonal. [Friedman and Koller 2003, Machine Learning 50, section 5]
#ifndef FLUVIAL_METRICS_DAG_FEATURES_H
#define FLUVIAL_METRICS_DAG_FEATURES_H

#include <stdint.h>

enum { FLV_DAG_MAX = 64 };

typedef struct flv_dag_features {
  int d;
  double weight;                 // sum of the weights so far
  double *edge, *path, *blanket; // [d*d] each, the caller's; any may be NULL
} flv_dag_features;

// Sets the matrices and the sum to zero. d in [1, FLV_DAG_MAX].
void flv_dag_features_clear(flv_dag_features *features);

// Adds n graphs, parents [n*d], with their weights [n], not negative (NULL: 1 each).
void flv_dag_features_add(flv_dag_features *features, int64_t n, const uint64_t *parents,
                          const double *weight);

// Divides by the sum of the weights: the matrices are then probabilities, and adding is over. NaN
// if the sum is 0.
void flv_dag_features_finish(flv_dag_features *features);

// Ancestors of every variable: bit i of ancestors[j] is a directed path i -> .. -> j. [d] each.
void flv_dag_ancestors(int d, const uint64_t *parents, uint64_t *ancestors);
// Markov blanket of every variable: parents, children, and the children's other parents.
void flv_dag_blankets(int d, const uint64_t *parents, uint64_t *blanket);

// How far two feature matrices a, b [d*d] are apart, over the d (d-1) entries off the diagonal: the
// root of the mean squared difference, and Pearson's correlation (NaN where it is not defined, see
// correlation.h; scratch [2 d d]). NaN for d < 2.
double flv_dag_rmse(int d, const double *a, const double *b);
double flv_dag_pearson(int d, const double *a, const double *b, double *scratch);

#endif
