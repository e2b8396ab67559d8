// Expected structural Hamming distance and the areas under the curves of the edges.
#include "metrics/dag_truth.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static bool has(const uint64_t *graph, int i, int j) { return graph[j] >> i & 1; }

static double expected_shd(int d, const double *edge, const uint64_t *truth) {
  double sum = 0.0;
  for (int i = 0; i < d; i++)
    for (int j = i + 1; j < d; j++) {
      const double forth = edge[i * d + j], back = edge[j * d + i];
      sum += has(truth, i, j) ? 1.0 - forth : has(truth, j, i) ? 1.0 - back : forth + back;
    }
  return sum;
}

static int descending(const void *a, const void *b) {
  const double x = ((const flv_ranked *)a)->value, y = ((const flv_ranked *)b)->value;
  return (x < y) - (x > y);
}

// Walks down the ranking, one group of equal probabilities at a time.
static void areas(int64_t n, const flv_ranked *ranked, int d, const uint64_t *truth,
                  flv_dag_truth *out) {
  double positives = 0.0;
  for (int64_t k = 0; k < n; k++)
    positives += has(truth, (int)(ranked[k].at / d), (int)(ranked[k].at % d));
  const double negatives = (double)n - positives;
  double true_above = 0.0, false_above = 0.0, wins = 0.0, precision_before = 1.0;
  double trapezoids = 0.0, steps = 0.0;
  for (int64_t k = 0, end; k < n; k = end) {
    double t = 0.0;
    for (end = k; end < n && ranked[end].value >= ranked[k].value; end++)
      t += has(truth, (int)(ranked[end].at / d), (int)(ranked[end].at % d));
    const double f = (double)(end - k) - t;
    wins += f * (true_above + 0.5 * t);
    true_above += t;
    false_above += f;
    const double precision = true_above / (true_above + false_above);
    steps += t * precision;
    trapezoids += t * 0.5 * (precision + precision_before);
    precision_before = precision;
  }
  const bool defined = positives > 0.0 && negatives > 0.0;
  out->auroc = defined ? wins / (positives * negatives) : (double)NAN;
  out->auprc = defined ? trapezoids / positives : (double)NAN;
  out->average_precision = defined ? steps / positives : (double)NAN;
}

flv_dag_truth flv_dag_compare(int d, const double *edge, const uint64_t *truth, flv_ranked *work) {
  flv_dag_truth out = {.expected_shd = expected_shd(d, edge, truth)};
  int64_t n = 0;
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++) {
      if (i == j) continue;
      out.expected_edges += edge[i * d + j];
      work[n++] = (flv_ranked){edge[i * d + j], (int64_t)i * d + j};
    }
  qsort(work, (size_t)n, sizeof *work, descending);
  areas(n, work, d, truth, &out);
  return out;
}
