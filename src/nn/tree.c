#include "nn/tree.h"

#include <assert.h>
#include <string.h>

int flv_tree_number(const flv_tree_rows *t, const flv_tree_shape *shape, flv_number number, int v) {
  if (number == FLV_SYMBOL) return shape->symbol[t->kind[v]];
  if (flv_tree_is_root(t, v)) return -1;
  if (number == FLV_TYPE_TO) return flv_tree_type(shape, t->kind[v], 0);
  return flv_tree_type(shape, t->kind[t->parent[v]], t->slot[v]);
}

int flv_tree_slots(flv_tree_rows *t, const flv_tree_shape *shape, int max_states, flv_slot *slots) {
  const size_t states = (size_t)max_states, most = states * (size_t)shape->nodes;
  const flv_slot all[FLV_TREE_SLOTS] = {FLV_SLOT(t->first_node, states + 1),
                                        FLV_SLOT(t->node, most),
                                        FLV_SLOT(t->parent, most),
                                        FLV_SLOT(t->kind, most),
                                        FLV_SLOT(t->slot, most),
                                        FLV_SLOT(t->first_slot, most + 1)};
  memcpy(slots, all, sizeof all);
  return FLV_TREE_SLOTS;
}

typedef struct path { // what makes a row
  int32_t parent, code;
} path;

int flv_tree_open(flv_tree_rows *t, const flv_tree_shape *shape, int max_states) {
  t->n_states = t->n = 0;
  return flv_intern_init(&t->paths, sizeof(path), max_states * shape->nodes);
}

void flv_tree_close(flv_tree_rows *t) { flv_intern_free(&t->paths); }

// The row of a path, made if it is new.
static int row_of(flv_tree_rows *t, const flv_tree_shape *shape, int parent, int slot, int kind) {
  const path key = {parent, kind * shape->slots + slot};
  const int v = flv_intern_row(&t->paths, &key);
  if (v < t->n) return v;
  t->parent[v] = parent;
  t->kind[v] = kind;
  t->slot[v] = slot;
  t->first_slot[v + 1] = t->first_slot[v] + shape->n_slots[kind] - (parent >= 0);
  t->n++;
  return v;
}

void flv_tree_count(flv_tree_rows *t, const flv_tree_shape *shape, const int32_t *hot, int row0,
                    int row1) {
  const int m = shape->nodes, links = m * shape->slots + 1;
  if (row0 == 0) {
    flv_intern_clear(&t->paths);
    t->n_states = t->n = 0;
    t->first_node[0] = t->first_slot[0] = 0;
  }
  assert(row0 == t->n_states);
  for (int r = row0; r < row1; r++, hot += 2 * m) {
    int32_t *node = t->node + (size_t)r * (size_t)m;
    int p = 0;
    for (; p < m && hot[2 * p] >= 0; p++) {
      const int kind = hot[2 * p] - p * shape->kinds;
      const int link = hot[2 * p + 1] - m * shape->kinds - p * links;
      node[p] = link == links - 1
                    ? row_of(t, shape, -1, 0, kind)
                    : row_of(t, shape, node[link / shape->slots], link % shape->slots, kind);
    }
    if (p == 0) node[p++] = row_of(t, shape, -1, 0, shape->kinds);
    while (p < m) node[p++] = -1;
    t->first_node[r + 1] = t->n;
  }
  t->n_states = row1;
}
