#include "nn/ops.h"

#define OP_ROW(ID, fn) {#fn, flv_##fn##_forward, flv_##fn##_backward},
const flv_op_impl flv_op_table[FLV_OP_COUNT] = {FLV_OPS(OP_ROW)};
#undef OP_ROW

static float *rows_of(const flv_net *net, float *const *buffers, int b, int row0) {
  return buffers[b] + (size_t)row0 * (size_t)net->width[b];
}

flv_call flv_call_at(const flv_net *net, const float *params, const flv_acts *acts, int i, int row0,
                     int rows) {
  const flv_op *op = &net->op[i];
  flv_call c = {.act = op->act, .rows = rows, .n = net->width[op->y]};
  c.y = rows_of(net, acts->value, op->y, row0);
  if (op->x >= 0) {
    c.in = net->width[op->x];
    c.x = rows_of(net, acts->value, op->x, row0);
  } else {
    c.in = net->n_features;
    c.n_hot = net->n_hot;
    c.hot = acts->hot + (size_t)row0 * (size_t)net->n_hot;
  }
  if (op->x2 >= 0) c.x2 = rows_of(net, acts->value, op->x2, row0);
  if (op->w >= 0) {
    c.w = params + net->weight[op->w].offset;
    c.n_w = (size_t)net->weight[op->w].rows * (size_t)net->weight[op->w].cols;
  }
  if (op->b >= 0) c.b = params + net->weight[op->b].offset;
  return c;
}

int flv_chunk_want(int rows) {
  const int rounds = (rows + FLV_NET_SHARDS * FLV_CHUNK_MAX - 1) / (FLV_NET_SHARDS * FLV_CHUNK_MAX);
  const int chunks = FLV_NET_SHARDS * (rounds > 0 ? rounds : 1);
  const int want = (rows + chunks - 1) / chunks;
  return want > FLV_CHUNK_MIN ? want : FLV_CHUNK_MIN;
}
