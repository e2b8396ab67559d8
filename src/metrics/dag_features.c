// Edges, paths and Markov blankets of weighted graphs, one word for each set of variables.
#include "metrics/dag_features.h"

#include <math.h>
#include <string.h>

#include "metrics/correlation.h"

static uint64_t bit(int i) { return UINT64_C(1) << i; }

// Warshall's closure, one row of it at a time: whoever has k above it has all above k.
void flv_dag_ancestors(int d, const uint64_t *parents, uint64_t *ancestors) {
  memcpy(ancestors, parents, (size_t)d * sizeof *ancestors);
  for (int k = 0; k < d; k++)
    for (int j = 0; j < d; j++)
      if (ancestors[j] & bit(k)) ancestors[j] |= ancestors[k];
}

void flv_dag_blankets(int d, const uint64_t *parents, uint64_t *blanket) {
  memcpy(blanket, parents, (size_t)d * sizeof *blanket);
  for (int child = 0; child < d; child++) // a family: all of its members meet
    for (uint64_t rest = parents[child]; rest; rest &= rest - 1) {
      const int i = __builtin_ctzll(rest);
      blanket[i] |= (parents[child] | bit(child)) & ~bit(i);
    }
}

void flv_dag_features_clear(flv_dag_features *f) {
  double *const all[] = {f->edge, f->path, f->blanket};
  f->weight = 0.0;
  for (int k = 0; k < 3; k++)
    if (all[k]) memset(all[k], 0, (size_t)f->d * (size_t)f->d * sizeof(double));
}

// Column j of a matrix has the set above it.
static void add_sets(double *matrix, int d, const uint64_t *set, double weight) {
  for (int j = 0; j < d; j++)
    for (uint64_t rest = set[j]; rest; rest &= rest - 1)
      matrix[__builtin_ctzll(rest) * d + j] += weight;
}

void flv_dag_features_add(flv_dag_features *f, int64_t n, const uint64_t *parents,
                          const double *weight) {
  uint64_t set[FLV_DAG_MAX];
  for (int64_t g = 0; g < n; g++, parents += f->d) {
    const double w = weight ? weight[g] : 1.0;
    f->weight += w;
    if (f->edge) add_sets(f->edge, f->d, parents, w);
    if (f->path) {
      flv_dag_ancestors(f->d, parents, set);
      add_sets(f->path, f->d, set, w);
    }
    if (f->blanket) {
      flv_dag_blankets(f->d, parents, set);
      add_sets(f->blanket, f->d, set, w);
    }
  }
}

void flv_dag_features_finish(flv_dag_features *f) {
  double *const all[] = {f->edge, f->path, f->blanket};
  for (int k = 0; k < 3; k++)
    for (int i = 0; all[k] && i < f->d * f->d; i++) all[k][i] /= f->weight;
}

double flv_dag_rmse(int d, const double *a, const double *b) {
  double sum = 0.0;
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++) {
      const double difference = i == j ? 0.0 : a[i * d + j] - b[i * d + j];
      sum += difference * difference;
    }
  return d < 2 ? (double)NAN : sqrt(sum / ((double)d * (d - 1)));
}

double flv_dag_pearson(int d, const double *a, const double *b, double *scratch) {
  const int n = d * (d - 1);
  int at = 0;
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++) {
      if (i == j) continue;
      scratch[at] = a[i * d + j];
      scratch[n + at++] = b[i * d + j];
    }
  return flv_pearson(n, scratch, scratch + n);
}
