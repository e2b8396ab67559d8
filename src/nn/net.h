// Network programs: recorded once, planned once for the largest batch, run forward and backward
// over any rows.
//
// A program is a list of ops on buffers. Buffer b holds [rows, width] floats, one row per distinct
// state. All weights are one block of floats, all activations another (flv_acts), so the program
// itself is constant and threads share it. Ops recorded before flv_net_mark() run while sampling;
// those after run once, when all rows are known (heads and networks that sampling does not need).
//
//   flv_net *net = flv_net_new();
//   int x = flv_net_input(net, n_hot, n_features);
//   int h = flv_net_layer(net, x, 256, FLV_ACT_RELU, 0, "pf.0"); // first layer: embedding rows
//   h = flv_net_layer(net, h, 256, FLV_ACT_RELU, 0, "pf.1");
//   int logits = flv_net_layer(net, h, n_actions, FLV_ACT_NONE, 0, "pf.head");
//   flv_net_mark(net);
//
// Graph networks. After flv_net_graphs() states are graphs of d nodes, read as lists of edges, and
// a buffer has rows per state, per node (d a state), per edge (as many as the state has), or once
// for the whole network, whatever the states: a table. Rows of node i of state s: s d + i; edges
// stand in the order of the lists. A layer is then a sum of products and of gathered rows, so that
// [e; n_from; n_to; g] W is made of blocks of W, each multiplied where there are fewest rows:
//
//   e W_e (edges) + (n W_from) gathered to edges + (n W_to) likewise + (g W_g) spread over edges
//
// What does not depend on states, as an embedding of nodes times W, or the product of two weights
// that no activation parts, is a table, computed once; its gradient is summed over all rows like
// a weight's and sent on to the weights once.
//
// Rows of positions. After flv_net_positions() states are rows of positions that hold one symbol
// each, and a node is a position, behind a start token where there is one. All of the above holds
// but for edges, of which there are none.
//
// Trees. After flv_net_trees() states are trees of nodes with slots (tree.h), rows per node are
// rows of distinct paths from the root, and rows per edge are those of slots, where an edge may
// begin.
//
// An op is one row of FLV_OPS and two functions; its naive twin and its finite-difference check in
// tests/ are generated from that table. Matrix products go through CBLAS, one thread inside each
// call.
#ifndef FLUVIAL_NN_NET_H
#define FLUVIAL_NN_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fluvial/status.h"
#include "nn/tree.h"

// enumerator, name of its functions; x_t: operands
#define FLV_OPS(X)                                                                                 \
  X(EMBED, embed)         /* y = act(b + sum_k W[hot_k])           k-hot input            */       \
  X(LINEAR, linear)       /* y = act(sum_t x_t W_t + sum_t gathered x_t + b)              */       \
  X(LAYERNORM, layernorm) /* y = g (x - mean) / sqrt(var + 1e-5) + b                      */       \
  X(ADD, add)             /* y = x + x2                            residual connections   */       \
  X(TABLE, table)         /* y = a block of a tensor                                      */       \
  X(ATTENTION, attention) /* y_i = sum_j softmax_j(q_i . k_j / sqrt(key)) v_j, per head   */       \
  X(PAIRS, pairs)         /* y_ij = x_i . x2_j / softplus(theta), then x3                 */       \
  X(TOKENS, tokens)       /* y_p = W[symbol at position p]                                */       \
  X(GELU, gelu)           /* y = x Phi(x)                                                 */       \
  X(MEAN, mean)           /* y = mean of x_i over the nodes of a state                    */       \
  X(JOIN, join)           /* y = x_p of the positions side by side, then x2               */       \
  X(LOOKUP, lookup)       /* y = W[number of a node or slot of a tree]                    */       \
  X(MESSAGE, message)     /* y_v = (x_parent . x2_v) x3_v                                 */       \
  X(GRU, gru)             /* y = gated recurrent unit of its gates' products and of h     */       \
  X(DEAL, deal)           /* y = x of slots at their actions, then x2                     */

// enumerator, name, y from v, and d loss / d v from d = d loss / d y and y alone, so no op keeps v
#define FLV_ACTS(X)                                                                                \
  X(NONE, none, v, d)                                                                              \
  X(RELU, relu, (v < 0.0f) ? 0.0f : v, (y > 0.0f) ? d : 0.0f)                                      \
  X(LEAKY_RELU, leaky_relu, (v < 0.0f) ? 0.01f * v : v, (y > 0.0f) ? d : 0.01f * d)                \
  X(TANH, tanh, tanhf(v), (1.0f - y * y) * d)

#define FLV_ACT_ENUM(ID, name, forward, backward) FLV_ACT_##ID,
typedef enum flv_act { FLV_ACTS(FLV_ACT_ENUM) FLV_ACT_COUNT } flv_act;
#undef FLV_ACT_ENUM

#define FLV_OP_ENUM(ID, fn) FLV_OP_##ID,
typedef enum flv_op_id { FLV_OPS(FLV_OP_ENUM) FLV_OP_COUNT } flv_op_id;
#undef FLV_OP_ENUM

enum {
  FLV_NET_MAX_OPS = 256,
  FLV_NET_MAX_BUFFERS = 256,
  FLV_NET_MAX_TENSORS = 256,
  FLV_NET_MAX_GROUPS = 4,
  FLV_NET_MAX_OPERANDS = 8,
  FLV_NET_MAX_NODES = 128,
  FLV_NET_MAX_KEY = 1024
};

// What a buffer has rows for. FLV_PER_NET: a table.
typedef enum flv_rows { FLV_PER_STATE, FLV_PER_NODE, FLV_PER_EDGE, FLV_PER_NET } flv_rows;

// Which rows of x are summed into a row of y. A table of one row is the same everywhere, one of d
// rows belongs to the nodes, one of d^2 to the edges: row i d + j to i -> j.
typedef enum flv_role {
  FLV_HERE,  // the one of the same state, node or edge; of its state, where y is finer
  FLV_FROM,  // of the node where the edge begins
  FLV_TO,    // and ends
  FLV_OUT,   // of the edges that leave the node
  FLV_IN,    // that reach it
  FLV_NODES, // of all nodes of the state
  FLV_EDGES  // of all its edges
} flv_role;

typedef struct flv_operand {
  int x; // buffer; -1: the k-hot input
  flv_role role;
  int w, row;   // LINEAR: times rows [row, row + width of x) of tensor w; -1: no product
  int table;    // LINEAR: times this table; -1: no product
  bool need_dx; // false where x is an input nobody differentiates
} flv_operand;

typedef struct flv_op {
  flv_op_id id;
  flv_act act;
  int n; // operands
  flv_operand x[FLV_NET_MAX_OPERANDS];
  int y;
  int w, b;          // tensors, or -1
  int row, col;      // TABLE: where in w the block begins
  int heads;         // ATTENTION
  int symbols;       // TOKENS; ATTENTION: where positions are masked, else 0
  flv_number number; // LOOKUP
} flv_op;

typedef enum flv_init {
  FLV_INIT_UNIFORM,
  FLV_INIT_NORMAL,
  FLV_INIT_CONSTANT,
  FLV_INIT_SINES
} flv_init;

typedef struct flv_weight { // one tensor of the parameter block
  char name[64];
  int rows, cols; // (1, cols) for biases
  size_t offset;  // into the block, a multiple of 16 floats
  int group;      // learning-rate group
  flv_init init;  // uniform in +-scale, normal with deviation scale truncated at +-2 scale, scale
  double scale; // sines: row i has scale sin and cos of i / 10000^(2k/cols) in columns 2k and 2k+1
} flv_weight;

// What states are to a network.
typedef enum flv_input_kind {
  FLV_INPUT_PLAIN,     // k-hot, or dense
  FLV_INPUT_GRAPHS,    // lists of edges
  FLV_INPUT_POSITIONS, // a symbol at each of some positions
  FLV_INPUT_TREES
} flv_input_kind;

typedef struct flv_net {
  int n_ops, n_buffers, n_weights, mark;
  int n_hot, n_features, input; // input: buffer of dense observations, or -1 when k-hot
  flv_input_kind kind;
  int n_nodes;     // d, of trees at most; 0: of plain states
  int n_positions; // of FLV_INPUT_POSITIONS: d, or d - 1 behind a start token
  flv_tree_shape tree;
  flv_op op[FLV_NET_MAX_OPS];
  int width[FLV_NET_MAX_BUFFERS];
  flv_rows per[FLV_NET_MAX_BUFFERS];
  int table_rows[FLV_NET_MAX_BUFFERS];      // of tables; else 0
  size_t table_offset[FLV_NET_MAX_BUFFERS]; // of tables, into their block
  bool output[FLV_NET_MAX_BUFFERS];
  flv_weight weight[FLV_NET_MAX_TENSORS];
  size_t n_params; // floats in the block, padding included
  size_t n_table;  // floats in the block of tables
  bool failed;     // too many ops, buffers or tensors
} flv_net;

enum { FLV_NET_SHARDS = 8 };

// How gradients travel back, known from the program alone. Gradients of buffers that are not
// outputs exist only for the rows of a chunk, in slots that buffers share when their lives do not
// overlap.
typedef struct flv_plan {
  bool live[FLV_NET_MAX_OPS]; // its y reaches an output
  // A later op (or the caller, or an operand before it) has already written x's gradient: add.
  bool add_dx[FLV_NET_MAX_OPS][FLV_NET_MAX_OPERANDS];
  int slot[FLV_NET_MAX_BUFFERS];                // -1: none
  int n_slots, slot_width[FLV_NET_MAX_BUFFERS]; // floats per state, at most
} flv_plan;

// How the hot list of a row differs from that of an earlier row: its features [at, at + added)
// stand where those have [at, at + removed). from -1: not linked to any. One feature is mostly all
// there is: the first ones are repeated here, where passes over rows find them in cache.
typedef struct flv_change {
  int32_t from, at, added, removed;
  int32_t in, out; // the first that is added, and removed, if any
} flv_change;

enum {
  FLV_CHAIN_MOST = 63, // links to the first row of a chain, at most: rounding adds up along them
  FLV_LINK_HOT = 12    // shorter lists are summed as fast as they are compared
};

// Activations: mutable, one per batch in flight. value[b] is [rows, width[b]] of all states, tables
// apart. Where a graph network's would take more than FLV_ACTS_KEPT bytes, only inputs and outputs
// are kept (lean): the others exist for one chunk of states at a time, and the backward pass
// computes them again.
typedef struct flv_acts {
  int max_rows;
  int32_t *hot;        // [max_rows, n_hot]; graphs: i d + j for each edge i -> j, then -1
  int32_t *first_edge; // [max_rows + 1] graphs: state r's rows per edge begin at first_edge[r]
  flv_tree_rows trees; // of trees
  bool lean;
  float *value[FLV_NET_MAX_BUFFERS];
  float *grad[FLV_NET_MAX_BUFFERS]; // outputs: [max_rows, width], filled by the caller; else NULL
  float *table;                     // [n_table]

  // Linked rows, of k-hot input with at least FLV_LINK_HOT features; else NULL. sum[y] of an EMBED
  // holds [max_rows, width]: what goes into its activation, without bias, then, where `swept`, the
  // gradient of that.
  flv_change *change; // [max_rows]
  uint8_t *chain;     // [max_rows] links to the row that begins the chain
  float *sum[FLV_NET_MAX_BUFFERS];
  int known;       // rows before this one had their sums when the forward pass under way began
  bool swept;      // the backward pass under way collects gradients of weights along links
  int32_t *branch; // [max_rows]; see links.c
  int32_t *spare;  // [max_rows / 2 + 1]
  double *tree;    // [max_rows / 2 + 1, width of the widest EMBED]
  double *weights; // [n_features, width] of the widest EMBED

  flv_plan plan;
  int n_shards;                      // 0: forward only
  float *shard_grad[FLV_NET_SHARDS]; // [n_params]; shard 0 works in the caller's block
  float *table_grad[FLV_NET_SHARDS]; // [n_table]
  float *slot[FLV_NET_SHARDS][FLV_NET_MAX_BUFFERS];
  float *work[FLV_NET_SHARDS][FLV_NET_MAX_BUFFERS]; // lean: values of a chunk
  void *block;
} flv_acts;

#define FLV_ACTS_KEPT ((size_t)2 << 30)

// Row `row` was reached from row `from`, an earlier one, or from none (-1): to be said of every row
// of linked acts before it is evaluated; nothing elsewhere. Chains are cut after FLV_CHAIN_MOST
// links, so that rounding in them stays that of one sum over a whole list.
static inline void flv_acts_link(flv_acts *acts, int row, int from) {
  if (!acts->change) return;
  const bool linked = from >= 0 && acts->chain[from] < FLV_CHAIN_MOST;
  acts->change[row].from = linked ? from : -1;
  acts->chain[row] = (uint8_t)(linked ? acts->chain[from] + 1 : 0);
}

flv_net *flv_net_new(void);
void flv_net_free(flv_net *net); // accepts NULL

// Recording cannot fail by itself: past a limit it sets net->failed, and later calls do nothing.

// The input: n_hot > 0: hot indices, of which there is no buffer (returns -1); else dense, [rows,
// n_features] (returns its buffer). One per program. A list of hot indices may be shorter than
// n_hot: it then ends with -1.
int flv_net_input(flv_net *net, int n_hot, int n_features);
// Instead: states are graphs of n_nodes nodes, 2 .. FLV_NET_MAX_NODES, and at most n_hot edges.
void flv_net_graphs(flv_net *net, int n_nodes, int n_hot);
// Instead: states are rows of n_positions positions; hot index k is that of position k, of
// n_features in all. There is one node for each, behind one for a start token where `start`.
void flv_net_positions(flv_net *net, int n_positions, int n_features, bool start);
// Instead: states are trees. shape's arrays are read as long as the network is used.
void flv_net_trees(flv_net *net, const flv_tree_shape *shape);
// act(x W + b), or the embedding sum when x is the k-hot input (-1). Tensors `name`.weight [in,
// width] and `name`.bias [1, width]. Returns the output buffer.
int flv_net_layer(flv_net *net, int x, int width, flv_act act, int group, const char *name);
int flv_net_layernorm(flv_net *net, int x, int group, const char *name);
// x + x2, of equal width.
int flv_net_add(flv_net *net, int x, int x2);

// Graph networks. `per` says what the result has rows for, n_rows how many if it is a table.

// A tensor by itself, to be used by any number of ops.
int flv_net_tensor(flv_net *net, int rows, int cols, flv_init init, double scale, int group,
                   const char *name);
// The table tensor[row .. row+rows-1, col .. col+cols-1].
int flv_net_table(flv_net *net, int tensor, int row, int rows, int col, int cols);
// act(sum over the n operands + b): products of x with rows of a tensor, of x with a table
// [width of x, width], and rows of x [.., width] gathered by role. b: tensor [1, width], or -1
// where there is no activation.
int flv_net_sum(flv_net *net, flv_rows per, int n_rows, int width, flv_act act, int b, int n,
                const flv_operand *operands);
static inline flv_operand flv_times(int x, int tensor, int row) {
  return (flv_operand){.x = x, .w = tensor, .row = row, .table = -1};
}
static inline flv_operand flv_times_table(int x, int table) {
  return (flv_operand){.x = x, .w = -1, .table = table};
}
static inline flv_operand flv_gather(int x, flv_role role) {
  return (flv_operand){.x = x, .role = role, .w = -1, .table = -1};
}
// Attention among the nodes of a state, without mask; q, k, v per node, of equal width, a multiple
// of `heads`; head h has columns h width/heads and on [Vaswani et al. 2017], FLV_NET_MAX_KEY at
// most. k = v = -1: q holds the three side by side.
int flv_net_attention(flv_net *net, int q, int k, int v, int heads);
// The same with empty positions masked: those whose hot index is their first of `symbols`. Other
// nodes give them no weight, and they give the same weight to all nodes.
int flv_net_attention_masked(flv_net *net, int q, int k, int v, int heads, int symbols);
// Per state: the d^2 inner products <x_i, x2_j> / softplus(theta) of two buffers per node, then the
// one column of x3, per state, unless that is -1. theta: tensor [1, 1].
int flv_net_pairs(flv_net *net, int x, int x2, int x3, int theta);

// x Phi(x) = x (1 + erf(x / sqrt 2)) / 2 by its approximation with tanh [Hendrycks & Gimpel 2016].
int flv_net_gelu(flv_net *net, int x);
// Per state: the mean of x over its nodes.
int flv_net_mean(flv_net *net, int x);

// Rows of positions. Per node: row hot[p] - p symbols of a tensor at position p, so that positions
// share `symbols` rows, or, symbols 0, row hot[p]. start: tensor [1, width], the start token's row;
// -1 where there is none.
int flv_net_tokens(flv_net *net, int tensor, int symbols, int start);
// Per state: the rows of x, per node, of its positions one after another, then those of x2, per
// state, unless that is -1. A start token's row is left out.
int flv_net_join(flv_net *net, int x, int x2);

// Trees. Per node, or per slot for FLV_TYPE: row `number` of a tensor.
int flv_net_lookup(flv_net *net, int tensor, flv_number number);
// Per node: messages along the edge from the parent whose matrix is the outer product of x2 and x3,
// (x_parent . x2) x3; three buffers of equal width.
int flv_net_message(flv_net *net, int x, int x2, int x3);
// Gated recurrent unit of hidden rows h: gates_x and gates_h, three times as wide, are the products
// of the input and of h with the gates' weights, biases added, in the order r, z, n.
int flv_net_gru(flv_net *net, int gates_x, int gates_h, int h);
// Per state: [d - 1, slots, width of x] logits of what may be joined to a slot, x being per slot, 0
// for slots that are not there; then x2, per state, of width 1.
int flv_net_deal(flv_net *net, int x, int x2);

// Marks buffer y, with a row per state, as an output, whose cotangents the caller writes to
// acts->grad[y] (-1: nothing).
void flv_net_output(flv_net *net, int y);
void flv_net_mark(flv_net *net);

// Flops of the matrix products (LINEAR) of one forward pass over so many rows per state, node and
// edge (of trees: slot) in all, tables apart; a backward pass makes twice as many. For the floor of
// a benchmark.
double flv_net_flops(const flv_net *net, double states, double nodes, double edges);

// Initial weights by init and scale of each tensor, addressed by (seed, tensor, entry); layers:
// uniform in +-1/sqrt(fan_in) for weights and biases, as PyTorch's Linear does (fan_in = n_features
// for EMBED); layernorm gains 1, shifts 0. Padding is 0.
void flv_net_init(const flv_net *net, uint64_t seed, float *params);

// max_rows: the largest batch; training false: forward only; linked: rows will be linked, where
// that pays. FLV_ENOMEM on failure. Sets BLAS to one thread.
flv_status flv_acts_init(flv_acts *acts, const flv_net *net, int max_rows, bool training,
                         bool linked);
void flv_acts_free(flv_acts *acts); // accepts zeroed acts

// Ops [op0, op1) on rows (states) [row0, row1). Few rows: matrix products are cut by columns; many:
// chunks of rows. The cuts depend on the shape alone. Graphs: rows are evaluated from 0 upwards
// with the same params; tables are computed with row 0, and where a row's edges stand follows from
// the rows before it. Linked rows likewise: all ops on the rows before, and no backward pass
// between.
void flv_net_forward(const flv_net *net, const float *params, flv_acts *acts, int op0, int op1,
                     int row0, int row1, int threads);

// Backward through all ops for rows [0, rows): grad (a block like params) is overwritten. Output
// buffers' grad hold the cotangents, and are used up. Rows are cut into chunks; chunk c adds into
// shard c mod n_shards; shards are summed in order. The bits do not depend on the number of
// threads.
void flv_net_backward(const flv_net *net, const float *params, flv_acts *acts, int rows,
                      float *grad, int threads);

#endif
