// Rows of trees. A state is a tree of nodes; what a network computes at a node depends on the path
// from the root to it alone, so a row per node is a row per distinct path of a batch: the kind of
// the node, the slot it is joined to, and the row of its parent. A state that adds a leaf to
// another adds one row, whatever its size.
//
// Rows stand in the order in which states bring them, parents before children. Every row has rows
// for its slots: all of a root's, all but slot 0, by which it is joined, of any other's.
#ifndef FLUVIAL_NN_TREE_H
#define FLUVIAL_NN_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/intern.h"
#include "base/memory.h"

// What trees are made of. Hot indices come in pairs, one a position, parents first: position p has
// p kinds + kind, then nodes kinds + p (nodes slots + 1) + parent's position * slots + slot, the
// last of those for the root. A state without nodes is given one, of the kind `kinds`.
typedef struct flv_tree_shape {
  int nodes;        // most of a state
  int kinds, slots; // of nodes; most of one
  int symbols;      // numbers that kinds share
  int types;        // of slots
  // [kinds + 1], [kinds + 1], [kinds + 1, slots]; the caller's, for the network's life
  const int32_t *symbol, *n_slots, *type;
} flv_tree_shape;

typedef struct flv_tree_rows {
  int n_states, n;     // states counted, rows of nodes
  int32_t *first_node; // [max_states + 1] rows before those that state r brought
  int32_t *node;       // [max_states, nodes] rows of its positions, -1 behind the last
  int32_t *parent;     // [max] row, -1: a root
  int32_t *kind, *slot;
  int32_t *first_slot; // [max + 1] rows of slots before those of the node
  flv_intern paths;
} flv_tree_rows;

// What a row is looked up by.
typedef enum flv_number {
  FLV_SYMBOL,    // per node: of its kind
  FLV_TYPE_FROM, // per node: type of the parent's slot; a root has none
  FLV_TYPE_TO,   // per node: type of its own slot 0; a root has none
  FLV_TYPE       // per slot
} flv_number;

static inline bool flv_tree_is_root(const flv_tree_rows *t, int v) { return t->parent[v] < 0; }

static inline int flv_tree_type(const flv_tree_shape *shape, int kind, int slot) {
  return shape->type[kind * shape->slots + slot];
}

// Of a node; -1: it has none. FLV_TYPE is not a node's.
int flv_tree_number(const flv_tree_rows *t, const flv_tree_shape *shape, flv_number number, int v);

enum { FLV_TREE_SLOTS = 6 };
// The arrays, for a block that the caller binds; returns how many. Then flv_tree_open, which
// returns 0, or -1 when out of memory.
int flv_tree_slots(flv_tree_rows *t, const flv_tree_shape *shape, int max_states, flv_slot *slots);
int flv_tree_open(flv_tree_rows *t, const flv_tree_shape *shape, int max_states);
void flv_tree_close(flv_tree_rows *t);

// Rows of states [row0, row1), which follow those that are counted; row0 = 0 begins anew.
void flv_tree_count(flv_tree_rows *t, const flv_tree_shape *shape, const int32_t *hot, int row0,
                    int row1);

#endif
