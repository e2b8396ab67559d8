// Network programs: recorded once, planned once for the largest batch, run forward and backward over any rows.
//
// A program is a list of ops on buffers. Buffer b holds [rows, width] floats, one row per distinct state. All
// weights are one block of floats, all activations another (flv_acts), so the program itself is constant and
// threads share it. Ops recorded before flv_net_mark() run while sampling; those after run once, when all
// rows are known (heads and networks that sampling does not need).
//
//   flv_net *net = flv_net_new();
//   int x = flv_net_input(net, n_hot, n_features);
//   int h = flv_net_layer(net, x, 256, FLV_ACT_RELU, 0, "pf.0");      // first layer: sum of embedding rows
//   h = flv_net_layer(net, h, 256, FLV_ACT_RELU, 0, "pf.1");
//   int logits = flv_net_layer(net, h, n_actions, FLV_ACT_NONE, 0, "pf.head");
//   flv_net_mark(net);
//
// An op is one row of FLV_OPS and two functions; its naive twin and its finite-difference check in tests/ are
// generated from that table. Matrix products go through CBLAS, one thread inside each call.
#ifndef FLUVIAL_NN_NET_H
#define FLUVIAL_NN_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fluvial/status.h"

// name, parameters it owns: see ops.c
#define FLV_OPS(X)                                                                                 \
  X(EMBED, embed)         /* y = act(b + sum_k W[hot_k])           k-hot input            */       \
  X(LINEAR, linear)       /* y = act(x W + b)                      W (in, out)            */       \
  X(LAYERNORM, layernorm) /* y = g (x - mean) / sqrt(var + 1e-5) + b                      */       \
  X(ADD, add)             /* y = x + x2                            residual connections   */

typedef enum flv_act { FLV_ACT_NONE, FLV_ACT_RELU, FLV_ACT_LEAKY_RELU, FLV_ACT_TANH } flv_act;

#define FLV_OP_ENUM(ID, fn) FLV_OP_##ID,
typedef enum flv_op_id { FLV_OPS(FLV_OP_ENUM) FLV_OP_COUNT } flv_op_id;
#undef FLV_OP_ENUM

enum { FLV_NET_MAX_OPS = 64, FLV_NET_MAX_BUFFERS = 64, FLV_NET_MAX_TENSORS = 128, FLV_NET_MAX_GROUPS = 4 };

typedef struct flv_op {
  flv_op_id id;
  flv_act act;
  int x, x2, y;    // buffers; x = -1 reads hot indices
  int w, b;        // tensors, or -1
  bool need_dx;    // false where x is an input nobody differentiates
} flv_op;

typedef struct flv_weight { // one tensor of the parameter block
  char name[64];
  int rows, cols;   // (1, cols) for biases
  size_t offset;    // into the block, a multiple of 16 floats
  int group;        // learning-rate group
} flv_weight;

typedef struct flv_net {
  int n_ops, n_buffers, n_weights, mark;
  int n_hot, n_features, input; // input: buffer of dense observations, or -1 when k-hot
  flv_op op[FLV_NET_MAX_OPS];
  int width[FLV_NET_MAX_BUFFERS];
  flv_weight weight[FLV_NET_MAX_TENSORS];
  size_t n_params; // floats in the block, padding included
  bool failed;     // too many ops, buffers or tensors
} flv_net;

// Activations: mutable, one per batch in flight. value[b] is [max_rows, width[b]].
typedef struct flv_acts {
  int max_rows;
  int32_t *hot;                       // [max_rows, n_hot]
  float *value[FLV_NET_MAX_BUFFERS];
  float *grad[FLV_NET_MAX_BUFFERS];   // head buffers: [max_rows, width], filled by the caller
  struct flv_shard *shard;            // per-shard gradients and working rows (backward)
  int n_shards;
  void *block;
} flv_acts;

flv_net *flv_net_new(void);
void flv_net_free(flv_net *net); // accepts NULL

// The input buffer: n_hot > 0: hot indices; else dense, [rows, n_features]. Returns its buffer.
int flv_net_input(flv_net *net, int n_hot, int n_features);
// act(x W + b), or the embedding sum when x is the k-hot input. Returns the output buffer.
int flv_net_layer(flv_net *net, int x, int width, flv_act act, int group, const char *name);
int flv_net_layernorm(flv_net *net, int x, int group, const char *name);
int flv_net_add(flv_net *net, int x, int x2);
// Marks buffer y as an output, whose cotangents the caller writes to acts->grad[y].
void flv_net_output(flv_net *net, int y);
void flv_net_mark(flv_net *net);

// Weights of the dense layers (LINEAR), for the floor of a benchmark: 6 flops each, per row.
size_t flv_net_dense_weights(const flv_net *net);

// Uniform in +-1/sqrt(fan_in) for weights and biases, as PyTorch's Linear does (fan_in = n_features for
// EMBED); layernorm gains 1, shifts 0. Addressed by (seed, tensor, entry).
void flv_net_init(const flv_net *net, uint64_t seed, float *params);

// max_rows: the largest batch; training false: forward only. FLV_ENOMEM on failure.
flv_status flv_acts_init(flv_acts *acts, const flv_net *net, int max_rows, bool training);
void flv_acts_free(flv_acts *acts);

// Ops [op0, op1) on rows [row0, row1). Few rows: matrix products are cut by columns; many: chunks of rows.
// The cuts depend on the shape alone.
void flv_net_forward(const flv_net *net, const float *params, flv_acts *acts, int op0, int op1, int row0,
                     int row1, int threads);

// Backward through all ops for rows [0, rows): grad (a block like params) is overwritten. Output buffers'
// grad hold the cotangents. Rows are cut into chunks; chunk c adds into shard c mod n_shards; shards are
// summed in order.
void flv_net_backward(const flv_net *net, const float *params, flv_acts *acts, int rows, float *grad,
                      int threads);

#endif
