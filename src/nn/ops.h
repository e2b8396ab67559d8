// What an op of FLV_OPS is made of: two functions of one flv_call, which holds the rows they work
// on.
//
// forward:  y from x (x2, hot) and the weights
// backward: dy is d loss / d y and may be overwritten; writes or adds to dx, dx2, dw, db
#ifndef FLUVIAL_NN_OPS_H
#define FLUVIAL_NN_OPS_H

#include <stdbool.h>
#include <stdint.h>

#include "nn/net.h"

typedef struct flv_call {
  flv_act act;
  int rows, in, n; // widths of x and y
  int n_hot;
  const int32_t *hot;  // [rows, n_hot]
  const float *x, *x2; // [rows, in]
  const float *w, *b;
  float *y;        // [rows, n]
  float *dy;       // [rows, n]
  float *dx, *dx2; // [rows, in]; NULL: not wanted
  float *dw, *db;
  size_t n_w;                  // floats in w
  bool add_dx, add_dx2, add_w; // add to dx, dx2, (dw, db) instead of overwriting them
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

// The call of op i on rows [row0, row0 + rows), without its gradients.
flv_call flv_call_at(const flv_net *net, const float *params, const flv_acts *acts, int i, int row0,
                     int rows);

// Rows per chunk for a batch of `rows`, to be given to flv_chunk_count: about FLV_CHUNK_MAX at
// most, and such that the number of chunks is a multiple of FLV_NET_SHARDS where there are rows
// enough.
enum { FLV_CHUNK_MIN = 128, FLV_CHUNK_MAX = 512, FLV_CHUNK_ROWS = FLV_CHUNK_MAX + 32 };
int flv_chunk_want(int rows); // no chunk is longer than FLV_CHUNK_ROWS

#endif
