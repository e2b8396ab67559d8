#include "base/sum_tree.h"

#include <math.h>

#include "base/logmath.h"
#include "base/memory.h"

int flv_sum_tree_init(flv_sum_tree *tree, int capacity) {
  flv_sum_tree t = {.leaves = 1};
  while (t.leaves < capacity) t.leaves *= 2;
  const size_t n = 2 * (size_t)t.leaves;
  const flv_slot slots[] = {FLV_SLOT(t.log_sum, n), FLV_SLOT(t.log_max, n)};
  t.block = flv_bind(2, slots);
  if (!t.block) return -1;
  for (size_t i = 0; i < n; i++) t.log_sum[i] = t.log_max[i] = -HUGE_VAL;
  *tree = t;
  return 0;
}

void flv_sum_tree_free(flv_sum_tree *tree) {
  flv_free(tree->block);
  *tree = (flv_sum_tree){0};
}

void flv_sum_tree_set(flv_sum_tree *tree, int item, double log_weight) {
  int node = tree->leaves + item;
  tree->log_sum[node] = tree->log_max[node] = log_weight;
  for (node /= 2; node >= 1; node /= 2) {
    tree->log_sum[node] = flv_logaddexp(tree->log_sum[2 * node], tree->log_sum[2 * node + 1]);
    tree->log_max[node] = fmax(tree->log_max[2 * node], tree->log_max[2 * node + 1]);
  }
}

double flv_sum_tree_max(const flv_sum_tree *tree) { return tree->log_max[1]; }

// Within a node u is uniform again once it is stretched over the child that it fell into. Rounding
// never leads into a child without weight.
int flv_sum_tree_draw(const flv_sum_tree *tree, double u) {
  const double *const log_sum = tree->log_sum;
  if (!(log_sum[1] > -HUGE_VAL)) return -1;
  int node = 1;
  while (node < tree->leaves) {
    const int left = 2 * node, right = left + 1;
    const double p = exp(log_sum[left] - log_sum[node]);
    if (u < p || !(log_sum[right] > -HUGE_VAL)) {
      u /= p;
      node = left;
    } else {
      u = (u - p) / (1.0 - p);
      node = right;
    }
  }
  return node - tree->leaves;
}

double flv_sum_tree_log_p(const flv_sum_tree *tree, int item) {
  return tree->log_sum[tree->leaves + item] - tree->log_sum[1];
}
