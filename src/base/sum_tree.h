// Sum tree: draws items in proportion to weights that change, in logarithmic time.
//
// Weights are kept as logarithms, so that they may span any range (R^alpha over a whole reward
// landscape). Leaf i holds log w_i, -INFINITY where there is no item; every node above holds the
// log of the sum of its two children, and the largest of them. Its shape depends on the capacity
// alone and every node on its children alone, so the bits do not depend on the order of past
// changes.
#ifndef FLUVIAL_BASE_SUM_TREE_H
#define FLUVIAL_BASE_SUM_TREE_H

typedef struct flv_sum_tree {
  int leaves;                // a power of two
  double *log_sum, *log_max; // [2 leaves]; 1 is the root, leaf i is at leaves + i
  void *block;
} flv_sum_tree;

// 0, or -1 when out of memory.
int flv_sum_tree_init(flv_sum_tree *tree, int capacity);
void flv_sum_tree_free(flv_sum_tree *tree);

void flv_sum_tree_set(flv_sum_tree *tree, int item, double log_weight);

// Largest log weight; -INFINITY when there is none.
double flv_sum_tree_max(const flv_sum_tree *tree);
// The item whose interval of the cumulative distribution holds u in [0, 1); -1 when all weights
// are 0.
int flv_sum_tree_draw(const flv_sum_tree *tree, double u);
// log of the probability of an item.
double flv_sum_tree_log_p(const flv_sum_tree *tree, int item);

#endif
