// Twins of the ops of trees. Rows are those of nn/tree.h, which tests/test_tree_net.c checks
// against states taken one by one. Included by net_twin.h.
#ifndef FLUVIAL_TESTS_NET_TWIN_TREE_H
#define FLUVIAL_TESTS_NET_TWIN_TREE_H

// The node of a row of slots, and the slot.
static inline int twin_slot_node(const twin *t, int row, int *slot) {
  int v = 0;
  while (t->tree->first_slot[v + 1] <= row) v++;
  *slot = row - t->tree->first_slot[v] + (t->tree->parent[v] >= 0);
  return v;
}

static inline int twin_number(const twin *t, flv_number number, int row) {
  const flv_tree_shape *shape = &t->net->tree;
  int slot = 0, v = row;
  if (number == FLV_TYPE) v = twin_slot_node(t, row, &slot);
  const int kind = t->tree->kind[v], parent = t->tree->parent[v];
  if (number == FLV_SYMBOL) return shape->symbol[kind];
  if (number == FLV_TYPE) return shape->type[kind * shape->slots + slot];
  if (parent < 0) return -1;
  return number == FLV_TYPE_TO
             ? shape->type[kind * shape->slots]
             : shape->type[t->tree->kind[parent] * shape->slots + t->tree->slot[v]];
}

static inline void twin_lookup(twin *t, const flv_op *op) {
  const int n = t->net->width[op->y];
  for (int i = 0; i < twin_rows(t, op->y) * n; i++) {
    const int number = twin_number(t, op->number, i / n);
    t->value[op->y][i] = number < 0 ? 0.0 : tensor(t, op->w)[number * n + i % n];
  }
}

static inline void twin_message(twin *t, const flv_op *op) {
  const int n = t->net->width[op->y];
  for (int i = 0; i < twin_rows(t, op->y) * n; i++) {
    const int v = i / n, u = t->tree->parent[v];
    double s = 0.0;
    for (int j = 0; u >= 0 && j < n; j++)
      s += t->value[op->x[0].x][u * n + j] * t->value[op->x[1].x][v * n + j];
    t->value[op->y][i] = s * t->value[op->x[2].x][i];
  }
}

static inline double twin_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

static inline void twin_gru(twin *t, const flv_op *op) {
  const int n = t->net->width[op->y];
  for (int i = 0; i < twin_rows(t, op->y) * n; i++) {
    const double *a = t->value[op->x[0].x] + i / n * 3 * n + i % n;
    const double *b = t->value[op->x[1].x] + i / n * 3 * n + i % n;
    const double r = twin_sigmoid(a[0] + b[0]), z = twin_sigmoid(a[n] + b[n]);
    t->value[op->y][i] = (1.0 - z) * tanh(a[2 * n] + r * b[2 * n]) + z * t->value[op->x[2].x][i];
  }
}

// y[state, position, slot, choice]
static inline void twin_deal(twin *t, const flv_op *op) {
  const flv_tree_shape *shape = &t->net->tree;
  const int n = t->net->width[op->y], each = t->net->width[op->x[0].x];
  for (int s = 0; s < t->rows; s++)
    for (int c = 0; c < n; c++) {
      const int p = c / each / shape->slots, slot = c / each % shape->slots;
      double v = 0.0;
      const int node = c < n - 1 ? t->tree->node[s * shape->nodes + p] : -1;
      if (c == n - 1)
        v = t->value[op->x[1].x][s];
      else if (node >= 0 && slot < shape->n_slots[t->tree->kind[node]] &&
               (slot > 0 || t->tree->parent[node] < 0))
        v = t->value[op->x[0].x]
                    [(t->tree->first_slot[node] + slot - (t->tree->parent[node] >= 0)) * each +
                     c % each];
      t->value[op->y][s * n + c] = v;
    }
}

static inline void twin_tree_mean(twin *t, const flv_op *op) {
  const int n = t->net->width[op->y], m = t->net->tree.nodes;
  for (int i = 0; i < t->rows * n; i++) {
    int count = 0;
    double sum = 0.0;
    for (int p = 0; p < m && t->tree->node[i / n * m + p] >= 0; p++, count++)
      sum += t->value[op->x[0].x][t->tree->node[i / n * m + p] * n + i % n];
    t->value[op->y][i] = sum / count;
  }
}

// What a slot gathers of its node, or any row of itself or of a table of one.
static inline double twin_tree_gather(const twin *t, const flv_operand *o, flv_rows per, int row,
                                      int j) {
  int slot, from = row;
  if (t->net->table_rows[o->x] == 1) from = 0;
  if (per == FLV_PER_EDGE && t->net->per[o->x] == FLV_PER_NODE)
    from = twin_slot_node(t, row, &slot);
  return t->value[o->x][from * t->net->width[o->x] + j];
}

// State 0 is empty, state 1 a single node, others grow until a draw ends them; kinds with one slot
// cannot grow further below. Nodes are sorted by (parent, slot).
static inline void draw_tree(const flv_net *net, int state, int32_t *hot) {
  const flv_tree_shape *shape = &net->tree;
  const int m = shape->nodes, links = m * shape->slots + 1;
  const int want = state < 2 ? state : 2 + state % (m - 1);
  int32_t kind[FLV_NET_MAX_NODES];
  int n = 0;
  for (int k = 0; k < 2 * m; k++) hot[k] = -1;
  for (int parent = 0, slot = 0, u = 0; n < want && u < 4000; u++) {
    const double draw = (1.0 + uniform(9, (uint32_t)(state * 4000 + u))) / 2.0;
    const int k = (int)(draw * 97.0 * shape->kinds) % shape->kinds;
    if (n > 0) {
      if (parent >= n) break;
      if (slot >= shape->n_slots[kind[parent]] || (slot == 0 && parent > 0)) {
        slot++;
        if (slot >= shape->n_slots[kind[parent]]) parent++, slot = 0;
        continue;
      }
    }
    if (n == 0 || draw < 0.6) {
      hot[2 * n] = n * shape->kinds + k;
      hot[2 * n + 1] =
          m * shape->kinds + n * links + (n > 0 ? parent * shape->slots + slot : links - 1);
      kind[n++] = k;
      if (n == 1) continue;
    }
    slot++;
  }
}

#endif
