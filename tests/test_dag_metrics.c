// Features of graphs and comparison with a true graph: golden values of a posterior over all 25
// graphs of 3 variables, brute-force twins on random graphs, values known by hand.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/rng.h"
#include "metrics/dag_features.h"
#include "metrics/dag_truth.h"
#include "near.h"

static double uniform(uint64_t repeat, uint32_t item, uint32_t step) {
  return flv_rng_uniform((flv_rng){17, FLV_RNG_TEST, repeat}, item, step);
}

// Random edges along a random order.
static void random_dag(uint64_t repeat, uint32_t item, int d, double p, uint64_t *parents) {
  int order[FLV_DAG_MAX];
  for (int i = 0; i < d; i++) {
    const int j = (int)(uniform(repeat, item, (uint32_t)i) * (i + 1));
    order[i] = order[j];
    order[j] = i;
  }
  memset(parents, 0, (size_t)d * sizeof *parents);
  for (int i = 0; i < d; i++)
    for (int j = i + 1; j < d; j++)
      if (uniform(repeat, item, (uint32_t)(64 + i * d + j)) < p)
        parents[order[j]] |= UINT64_C(1) << order[i];
}

// ---- naive twins: walks over a plain adjacency matrix ----

typedef bool matrix[FLV_DAG_MAX][FLV_DAG_MAX];

static void adjacency(int d, const uint64_t *parents, matrix a) {
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++) a[i][j] = (parents[j] >> i & 1) != 0;
}

static bool walk(int d, matrix a, int from, int to) {
  bool seen[FLV_DAG_MAX] = {false};
  int stack[FLV_DAG_MAX], n = 0;
  stack[n++] = from;
  while (n > 0) {
    const int at = stack[--n];
    for (int k = 0; k < d; k++) {
      if (!a[at][k] || seen[k]) continue;
      if (k == to) return true;
      seen[k] = true;
      stack[n++] = k;
    }
  }
  return false;
}

static bool blanketed(int d, matrix a, int i, int j) {
  bool yes = a[i][j] || a[j][i];
  for (int k = 0; k < d; k++) yes = yes || (a[i][k] && a[j][k]);
  return yes && i != j;
}

static void against_twins(void **unused) {
  (void)unused;
  for (uint64_t repeat = 0; repeat < 40; repeat++) {
    enum { GRAPHS = 5 };
    const int d = repeat == 0 ? 1 : repeat == 1 ? FLV_DAG_MAX : 2 + (int)(repeat % 11);
    static uint64_t parents[GRAPHS * FLV_DAG_MAX];
    static double edge[FLV_DAG_MAX * FLV_DAG_MAX], path[FLV_DAG_MAX * FLV_DAG_MAX],
        blanket[FLV_DAG_MAX * FLV_DAG_MAX];
    double weight[GRAPHS], total = 0.0;
    for (uint32_t g = 0; g < GRAPHS; g++) {
      random_dag(repeat, g, d, d > 20 ? 0.03 : 0.4, parents + g * (uint32_t)d);
      total += weight[g] = uniform(repeat, 100 + g, 0);
    }
    flv_dag_features f = {.d = d, .edge = edge, .path = path, .blanket = blanket};
    flv_dag_features_clear(&f);
    flv_dag_features_add(&f, 2, parents, weight);
    flv_dag_features_add(&f, GRAPHS - 2, parents + 2 * d, weight + 2);
    flv_dag_features_finish(&f);
    for (int i = 0; i < d; i++)
      for (int j = 0; j < d; j++) {
        double e = 0.0, p = 0.0, b = 0.0;
        for (int g = 0; g < GRAPHS; g++) {
          static matrix a;
          adjacency(d, parents + g * d, a);
          e += weight[g] * a[i][j];
          p += weight[g] * walk(d, a, i, j);
          b += weight[g] * blanketed(d, a, i, j);
        }
        NEAR(edge[i * d + j], e / total, 1e-15);
        NEAR(path[i * d + j], p / total, 1e-15);
        NEAR(blanket[i * d + j], b / total, 1e-15);
      }
  }
}

// ---- golden values ----

// log local scores of each variable given none, the first, the second, both of the others (BGe on
// four observations of three variables).
static const double local[3][4] = {
    {-6.74939724822264, -8.01980598794395, -7.08830888839477, -8.16136289855604},
    {-6.54827311762290, -7.81868185734421, -5.90147951964458, -6.97453352980585},
    {-3.76257807560009, -4.10148971577222, -3.11578447762177, -3.25734138823385},
};

static int all_of_three(uint64_t parents[][3], double *weight) {
  int n = 0;
  for (int code = 0; code < 64; code++) { // two bits for the parents of each variable
    uint64_t p[3], above[3];
    double score = 0.0;
    for (int j = 0; j < 3; j++) {
      const int set = code >> (2 * j) & 3;
      const int first = j == 0, second = j == 2 ? 1 : 2;
      p[j] = (uint64_t)(set & 1) << first | (uint64_t)(set >> 1) << second;
      score += local[j][set];
    }
    flv_dag_ancestors(3, p, above);
    if ((above[0] & 1) || (above[1] & 2) || (above[2] & 4)) continue; // a cycle
    memcpy(parents[n], p, sizeof p);
    weight[n++] = exp(score);
  }
  return n;
}

static void golden_features(void **unused) {
  (void)unused;
  uint64_t parents[64][3];
  double weight[64], edge[9], path[9], blanket[9];
  const int n = all_of_three(parents, weight);
  assert_int_equal(n, 25);
  flv_dag_features f = {.d = 3, .edge = edge, .path = path, .blanket = blanket};
  flv_dag_features_clear(&f);
  flv_dag_features_add(&f, n, parents[0], weight);
  NEAR(log(f.weight), -14.145696164629758, 1e-12);
  flv_dag_features_finish(&f);
  static const double edges[9] = {0,         .17708117, .29968037, .17310609, 0,
                                  .40102346, .28594993, .39126809, 0};
  static const double paths[9] = {0,         .25086097, .32874692, .24688589, 0,
                                  .41187039, .31501647, .40211503, 0};
  static const double blankets[9] = {0,         .44006405, .62103847, .44006405, 0,
                                     .80550503, .62103847, .80550503, 0};
  for (int k = 0; k < 9; k++) {
    NEAR(edge[k], edges[k], 5e-9);
    NEAR(path[k], paths[k], 5e-9);
    NEAR(blanket[k], blankets[k], 5e-9);
  }
}

static void features_in_part(void **unused) {
  (void)unused;
  const uint64_t chain[3] = {0, 1, 2}; // 0 -> 1 -> 2
  double path[9];
  flv_dag_features f = {.d = 3, .path = path};
  flv_dag_features_clear(&f);
  flv_dag_features_finish(&f);
  assert_true(isnan(path[1])); // no graph
  flv_dag_features_clear(&f);
  flv_dag_features_add(&f, 1, chain, NULL);
  flv_dag_features_finish(&f);
  const double expected[9] = {0, 1, 1, 0, 0, 1, 0, 0, 0};
  assert_memory_equal(path, expected, sizeof path);
}

static void distances_of_features(void **unused) {
  (void)unused;
  // The diagonals differ and must not count.
  const double a[9] = {9, .1, .2, .3, 9, .4, .5, .6, 9}, b[9] = {0, .2, .2, .5, 0, .4, .5, .3, 0};
  double scratch[18];
  NEAR(flv_dag_rmse(3, a, b), sqrt((.01 + .04 + .09) / 6), 1e-15);
  const double x[6] = {.1, .2, .3, .4, .5, .6}, y[6] = {.2, .2, .5, .4, .5, .3};
  NEAR(flv_dag_pearson(3, a, b, scratch), flv_pearson(6, x, y), 1e-15);
  assert_true(isnan(flv_dag_rmse(1, a, b)));
  assert_true(isnan(flv_dag_pearson(1, a, b, scratch)));
}

// ---- against a true graph ----

// By its definition: D = |A - A*|, the sum of min(D + D^T, 1) over 2.
static double naive_shd(int d, const uint64_t *graph, const uint64_t *truth) {
  double sum = 0.0;
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++) {
      const int forth = (int)((graph[j] ^ truth[j]) >> i & 1);
      const int back = (int)((graph[i] ^ truth[i]) >> j & 1);
      sum += forth + back > 0;
    }
  return sum / 2.0;
}

static double naive_auroc(int d, const double *edge, const uint64_t *truth) {
  double wins = 0.0, pairs = 0.0;
  for (int a = 0; a < d * d; a++)
    for (int b = 0; b < d * d; b++) {
      if (a / d == a % d || b / d == b % d) continue;
      if (!(truth[a % d] >> (a / d) & 1) || (truth[b % d] >> (b / d) & 1)) continue;
      pairs += 1.0;
      wins += edge[a] > edge[b] ? 1.0 : edge[a] < edge[b] ? 0.0 : 0.5;
    }
  return wins / pairs;
}

// Precision and recall at every threshold that is a probability, from the highest.
static void naive_precision(int d, const double *edge, const uint64_t *truth, double *average,
                            double *area) {
  double threshold = 2.0, recall = 0.0, precision = 1.0;
  *average = *area = 0.0;
  for (;;) {
    double next = -1.0, hits = 0.0, chosen = 0.0, positives = 0.0;
    for (int a = 0; a < d * d; a++)
      if (a / d != a % d && edge[a] < threshold && edge[a] > next) next = edge[a];
    if (next < 0.0) return;
    threshold = next;
    for (int a = 0; a < d * d; a++) {
      if (a / d == a % d) continue;
      const double is_true = (double)(truth[a % d] >> (a / d) & 1);
      positives += is_true;
      if (edge[a] < threshold) continue;
      chosen += 1.0;
      hits += is_true;
    }
    *average += (hits / positives - recall) * hits / chosen;
    *area += (hits / positives - recall) * 0.5 * (hits / chosen + precision);
    recall = hits / positives;
    precision = hits / chosen;
  }
}

static void truth_against_twins(void **unused) {
  (void)unused;
  for (uint64_t repeat = 0; repeat < 60; repeat++) {
    enum { GRAPHS = 6, MOST = 9 };
    const int d = 3 + (int)(repeat % (MOST - 2));
    uint64_t graphs[GRAPHS * MOST], truth[MOST];
    double weight[GRAPHS], edge[MOST * MOST], total = 0.0, shd = 0.0, edges = 0.0;
    random_dag(repeat, 50, d, 0.4, truth);
    truth[1] |= truth[1] || truth[0] >> 1 & 1 ? 0 : 1; // at least one edge
    for (uint32_t g = 0; g < GRAPHS; g++) {
      random_dag(repeat, g, d, 0.4, graphs + g * (uint32_t)d);
      total += weight[g] = 0.1 + uniform(repeat, 100 + g, 0);
      shd += weight[g] * naive_shd(d, graphs + g * (uint32_t)d, truth);
      for (int j = 0; j < d; j++)
        edges += weight[g] * __builtin_popcountll(graphs[g * (uint32_t)d + (uint32_t)j]);
    }
    flv_dag_features f = {.d = d, .edge = edge};
    flv_dag_features_clear(&f);
    flv_dag_features_add(&f, GRAPHS, graphs, weight);
    flv_dag_features_finish(&f);
    flv_ranked work[MOST * MOST];
    double average, area;
    naive_precision(d, edge, truth, &average, &area);
    const flv_dag_truth found = flv_dag_compare(d, edge, truth, work);
    NEAR(found.expected_shd, shd / total, 1e-13);
    NEAR(found.expected_edges, edges / total, 1e-13);
    NEAR(found.auroc, naive_auroc(d, edge, truth), 1e-14);
    NEAR(found.average_precision, average, 1e-14);
    NEAR(found.auprc, area, 1e-14);
  }
}

// Thresholds .8 (recall 1/3, precision 1), .4 (2/3, 2/4), .35 (1, 3/5), .1 (1, 3/6).
static void truth_by_hand(void **unused) {
  (void)unused;
  const uint64_t truth[3] = {4, 5, 0}; // 2->0, 0->1, 2->1
  double edge[9] = {0};
  edge[2 * 3 + 0] = .35, edge[0 * 3 + 1] = .8, edge[2 * 3 + 1] = .4; // true ones
  edge[0 * 3 + 2] = .1, edge[1 * 3 + 0] = .4, edge[1 * 3 + 2] = .4;
  edge[0] = edge[4] = 1.0; // a diagonal that must not count
  flv_ranked work[9];
  const flv_dag_truth t = flv_dag_compare(3, edge, truth, work);
  NEAR(t.auroc, (3 + (1 + 2 * .5) + 1) / 9.0, 1e-15);
  NEAR(t.average_precision, (1 + .5 + .6) / 3.0, 1e-15);
  NEAR(t.auprc, (1 + .75 + .55) / 3.0, 1e-15);
  NEAR(t.expected_shd, (1 - .35) + (1 - .8) + (1 - .4), 1e-15);
  NEAR(t.expected_edges, .35 + .8 + .4 + .1 + .4 + .4, 1e-15);
  const uint64_t none[3] = {0};
  const flv_dag_truth empty = flv_dag_compare(3, edge, none, work);
  assert_true(isnan(empty.auroc) && isnan(empty.auprc) && isnan(empty.average_precision));
  NEAR(empty.expected_shd, empty.expected_edges, 1e-15);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(against_twins),       cmocka_unit_test(golden_features),
      cmocka_unit_test(features_in_part),    cmocka_unit_test(distances_of_features),
      cmocka_unit_test(truth_against_twins), cmocka_unit_test(truth_by_hand),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
