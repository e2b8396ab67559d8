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
// An op is one row of FLV_OPS and two functions; its naive twin and its finite-difference check in
// tests/ are generated from that table. Matrix products go through CBLAS, one thread inside each
// call.
#ifndef FLUVIAL_NN_NET_H
#define FLUVIAL_NN_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fluvial/status.h"

// enumerator, name of its functions; the tensors it owns are made in net.c
#define FLV_OPS(X)                                                                                 \
  X(EMBED, embed)         /* y = act(b + sum_k W[hot_k])           k-hot input            */       \
  X(LINEAR, linear)       /* y = act(x W + b)                      W (in, out)            */       \
  X(LAYERNORM, layernorm) /* y = g (x - mean) / sqrt(var + 1e-5) + b                      */       \
  X(ADD, add)             /* y = x + x2                            residual connections   */

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
  FLV_NET_MAX_OPS = 64,
  FLV_NET_MAX_BUFFERS = 64,
  FLV_NET_MAX_TENSORS = 128,
  FLV_NET_MAX_GROUPS = 4
};

typedef struct flv_op {
  flv_op_id id;
  flv_act act;
  int x, x2, y; // buffers; x = -1 reads hot indices
  int w, b;     // tensors, or -1
  bool need_dx; // false where x is an input nobody differentiates; need_dx2 likewise
  bool need_dx2;
} flv_op;

typedef struct flv_weight { // one tensor of the parameter block
  char name[64];
  int rows, cols; // (1, cols) for biases
  size_t offset;  // into the block, a multiple of 16 floats
  int group;      // learning-rate group
} flv_weight;

typedef struct flv_net {
  int n_ops, n_buffers, n_weights, mark;
  int n_hot, n_features, input; // input: buffer of dense observations, or -1 when k-hot
  flv_op op[FLV_NET_MAX_OPS];
  int width[FLV_NET_MAX_BUFFERS];
  bool output[FLV_NET_MAX_BUFFERS];
  flv_weight weight[FLV_NET_MAX_TENSORS];
  size_t n_params; // floats in the block, padding included
  bool failed;     // too many ops, buffers or tensors
} flv_net;

enum { FLV_NET_SHARDS = 8 };

// How gradients travel back, known from the program alone. Gradients of buffers that are not
// outputs exist only for the rows of a chunk, in slots that buffers share when their lives do not
// overlap.
typedef struct flv_plan {
  bool live[FLV_NET_MAX_OPS]; // its y reaches an output
  // A later op (or the caller) has already written the gradient of x (x2): add to it.
  bool add_dx[FLV_NET_MAX_OPS], add_dx2[FLV_NET_MAX_OPS];
  int slot[FLV_NET_MAX_BUFFERS]; // -1: none
  int n_slots, slot_width[FLV_NET_MAX_BUFFERS];
} flv_plan;

// Activations: mutable, one per batch in flight. value[b] is [max_rows, width[b]].
typedef struct flv_acts {
  int max_rows;
  int32_t *hot; // [max_rows, n_hot]
  float *value[FLV_NET_MAX_BUFFERS];
  float *grad[FLV_NET_MAX_BUFFERS]; // outputs: [max_rows, width], filled by the caller; else NULL
  flv_plan plan;
  int n_shards;                      // 0: forward only
  float *shard_grad[FLV_NET_SHARDS]; // [n_params]; shard 0 works in the caller's block
  float *slot[FLV_NET_SHARDS][FLV_NET_MAX_BUFFERS];
  void *block;
} flv_acts;

flv_net *flv_net_new(void);
void flv_net_free(flv_net *net); // accepts NULL

// Recording cannot fail by itself: past a limit it sets net->failed, and later calls do nothing.

// The input: n_hot > 0: hot indices, of which there is no buffer (returns -1); else dense, [rows,
// n_features] (returns its buffer). One per program.
int flv_net_input(flv_net *net, int n_hot, int n_features);
// act(x W + b), or the embedding sum when x is the k-hot input (-1). Tensors `name`.weight [in,
// width] and `name`.bias [1, width]. Returns the output buffer.
int flv_net_layer(flv_net *net, int x, int width, flv_act act, int group, const char *name);
int flv_net_layernorm(flv_net *net, int x, int group, const char *name);
// x + x2, of equal width.
int flv_net_add(flv_net *net, int x, int x2);
// Marks buffer y as an output, whose cotangents the caller writes to acts->grad[y] (-1: nothing).
void flv_net_output(flv_net *net, int y);
void flv_net_mark(flv_net *net);

// Weights of the dense layers (LINEAR), for the floor of a benchmark: 6 flops each, per row.
size_t flv_net_dense_weights(const flv_net *net);

// Uniform in +-1/sqrt(fan_in) for weights and biases, as PyTorch's Linear does (fan_in = n_features
// for EMBED); layernorm gains 1, shifts 0. Addressed by (seed, tensor, entry). Padding is 0.
void flv_net_init(const flv_net *net, uint64_t seed, float *params);

// max_rows: the largest batch; training false: forward only. FLV_ENOMEM on failure. Sets BLAS to
// one thread.
flv_status flv_acts_init(flv_acts *acts, const flv_net *net, int max_rows, bool training);
void flv_acts_free(flv_acts *acts); // accepts zeroed acts

// Ops [op0, op1) on rows [row0, row1). Few rows: matrix products are cut by columns; many: chunks
// of rows. The cuts depend on the shape alone.
void flv_net_forward(const flv_net *net, const float *params, flv_acts *acts, int op0, int op1,
                     int row0, int row1, int threads);

// Backward through all ops for rows [0, rows): grad (a block like params) is overwritten. Output
// buffers' grad hold the cotangents, and are used up. Rows are cut into chunks; chunk c adds into
// shard c mod n_shards; shards are summed in order. The bits do not depend on the number of
// threads.
void flv_net_backward(const flv_net *net, const float *params, flv_acts *acts, int rows,
                      float *grad, int threads);

#endif
