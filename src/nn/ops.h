// What an op of FLV_OPS is made of: two functions of one flv_call, which holds the rows they work
// on.
//
// forward:  y from the operands (hot) and the weights
// backward: dy is d loss / d y and may be overwritten; writes or adds to the operands' dx and dw,
//           in their order, and to dw, db
#ifndef FLUVIAL_NN_OPS_H
#define FLUVIAL_NN_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "nn/net.h"

// How the rows of an operand are numbered: with what index of a state, a node, an edge. VARIABLE:
// the node's number within its state; PAIR: i d + j of the edge i -> j; ROW: y's own row.
typedef enum flv_numbering {
  FLV_BY_STATE,
  FLV_BY_NODE,
  FLV_BY_EDGE,
  FLV_BY_VARIABLE,
  FLV_BY_PAIR,
  FLV_BY_ROW,
  FLV_BY_ONE
} flv_numbering;

typedef struct flv_arg { // an operand
  int rows, in;          // of x
  const float *x;        // [rows, in]
  float *dx;             // [rows, in]; NULL: not wanted
  bool add_dx;           // add to dx instead of overwriting it
  flv_role role;
  flv_numbering by;
  const float *w; // LINEAR: [in, n]; NULL: rows of x are gathered
  float *dw;
} flv_arg;

typedef struct flv_call {
  flv_act act;
  int rows, n; // of y
  int n_args;
  flv_arg arg[FLV_NET_MAX_OPERANDS];
  int n_hot, n_features;
  const int32_t *hot; // [states, n_hot]
  int states, n_nodes;
  const int32_t *first_edge; // [states + 1]; edge k of state s is row first_edge[s]-first_edge[0]+k
  flv_rows per;              // y
  // EMBED on linked rows, all of these from row 0 on: row `row0` is the call's first.
  int row0, known;
  const flv_change *change; // [.. rows]; NULL: not linked
  float *sum;               // [.. rows, n]
  bool swept;
  const float *w, *b;
  size_t w_stride; // TABLE: between rows of w
  int heads;
  int symbols;               // TOKENS, ATTENTION
  const flv_tree_rows *tree; // trees; NULL: states are none
  const flv_tree_shape *shape;
  int state0, node0, nodes; // trees: the first state and node of the call, and how many nodes
  flv_number number;        // LOOKUP
  float *y;                 // [rows, n]
  float *dy;                // [rows, n]
  float *dw, *db;           // of w and b
  bool add_w; // add to weights' gradients, the operands' too, instead of overwriting them
} flv_call;

typedef struct flv_op_impl {
  const char *name;
  void (*forward)(const flv_call *c);
  void (*backward)(const flv_call *c);
} flv_op_impl;

extern const flv_op_impl flv_op_table[FLV_OP_COUNT];

#define FLV_OP_DECLARE(ID, fn)                                                                     \
  void flv_##fn##_forward(const flv_call *c);                                                      \
  void flv_##fn##_backward(const flv_call *c);
FLV_OPS(FLV_OP_DECLARE)
#undef FLV_OP_DECLARE

// y += the rows of x that argument a gathers; dx (+)= those of dy, back where they came from.
void flv_gather_forward(const flv_call *c, const flv_arg *a);
void flv_gather_backward(const flv_call *c, const flv_arg *a);

// MEAN of trees.
void flv_tree_mean_forward(const flv_call *c);
void flv_tree_mean_backward(const flv_call *c);

// The call of op i on states [row0, row0 + rows), without its gradients. shard: whose working
// memory, where activations are not kept. Of tables' ops, rows are the table's.
flv_call flv_call_at(const flv_net *net, const float *params, const flv_acts *acts, int i,
                     int shard, int row0, int rows);

// The gradients of that call in the given shard, whose weights' gradients are in grad.
void flv_call_gradients(const flv_net *net, const flv_acts *acts, int i, int shard, int row0,
                        float *grad, bool add_w, flv_call *c);

// Finds how rows [row0, row0 + rows) differ from those that they are linked to, and cuts the links
// that do not pay.
void flv_links_find(const flv_net *net, const flv_acts *acts, int row0, int rows);

// Does a backward pass over `rows` rows collect the gradients of EMBED's weights along links?
bool flv_links_pay(const flv_net *net, const flv_acts *acts, int rows);

// Those gradients, into grad, from the gradients of sums of rows [0, rows).
void flv_links_sweep(const flv_net *net, flv_acts *acts, int rows, float *grad, int threads);

// All ops of [op0, op1) but those of tables, or all of tables, forward.
void flv_run_rows(const flv_net *net, const float *params, const flv_acts *acts, int op0, int op1,
                  int shard, int row0, int rows);

// States per chunk for a batch of `rows`, to be given to flv_chunk_count: about as many as suit
// BLAS and the cache, flv_chunk_most(net) at most, and such that the number of chunks is a multiple
// of FLV_NET_SHARDS where there are states enough. No chunk is longer than flv_chunk_rows(net).
int flv_chunk_want(const flv_net *net, int rows);
int flv_chunk_most(const flv_net *net);
int flv_chunk_rows(const flv_net *net);

#endif
