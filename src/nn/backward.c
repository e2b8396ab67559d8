// Backward. Chunk c of rows runs through all ops, last to first, in shard c mod shards: working
// gradients of its rows in the shard's slots, weight gradients added into the shard's block. A
// shard is one task and does its chunks in order; at the end the shards are summed in order. So the
// bits are those of the shape alone.
#include <assert.h>
#include <string.h>

#include "base/parallel.h"
#include "base/simd.h"
#include "nn/net.h"
#include "nn/ops.h"

enum {
  SUM_FLOATS = 1 << 13, // per task of the final sum
  FEW_SHARDS = 4        // for batches in which a shard would have a single chunk
};

typedef struct backward {
  const flv_net *net;
  const float *params;
  const flv_acts *acts;
  float *grad;
  int rows, want, chunks, shards; // shards: those with work
} backward;

static float *shard_block(const backward *b, int s) {
  return s == 0 ? b->grad : b->acts->shard_grad[s];
}

// Of rows, or of tables.
static void run_ops(const backward *b, int s, int row0, int rows, bool tables, bool add_w) {
  const flv_net *net = b->net;
  for (int i = net->n_ops - 1; i >= 0; i--) {
    if (!b->acts->plan.live[i] || (net->per[net->op[i].y] == FLV_PER_NET) != tables) continue;
    flv_call c = flv_call_at(net, b->params, b->acts, i, s, row0, rows);
    flv_call_gradients(net, b->acts, i, s, row0, shard_block(b, s), add_w, &c);
    flv_op_table[net->op[i].id].backward(&c);
  }
}

// A shard costs a gradient of its own, written and summed whatever its rows, so a few that have
// more to do are faster, until there are rows enough for all.
static int count_shards(const flv_net *net, const flv_acts *acts, int rows, int chunks) {
  const int64_t many = (int64_t)FLV_NET_SHARDS * flv_chunk_most(net);
  int shards = rows < many ? FEW_SHARDS : FLV_NET_SHARDS;
  if (shards > acts->n_shards) shards = acts->n_shards;
  return shards < chunks ? shards : chunks;
}

static void run_shard(void *context, int s) {
  const backward *b = context;
  const flv_net *net = b->net;
  const bool graphs = net->n_nodes > 0;
  if (graphs) { // tensors and tables there have several readers: all add to zeros
    memset(shard_block(b, s), 0, net->n_params * sizeof(float));
    memset(b->acts->table_grad[s], 0, net->n_table * sizeof(float));
  }
  for (int chunk = s; chunk < b->chunks; chunk += b->shards) {
    const int begin = flv_chunk_begin(b->rows, b->want, chunk);
    const int n = flv_chunk_begin(b->rows, b->want, chunk + 1) - begin;
    assert(n <= flv_chunk_rows(net));
    if (b->acts->lean) flv_run_rows(net, b->params, b->acts, 0, net->n_ops, s, begin, n);
    run_ops(b, s, begin, n, false, graphs || chunk != s);
  }
}

FLV_SIMD static void shard_add(size_t n, const float *restrict from, float *restrict to) {
  for (size_t i = 0; i < n; i++) to[i] += from[i];
}

static void sum_range(void *context, int task) {
  const backward *b = context;
  const size_t begin = (size_t)task * SUM_FLOATS, left = b->net->n_params - begin;
  const size_t n = left < SUM_FLOATS ? left : SUM_FLOATS;
  for (int s = 1; s < b->shards; s++) shard_add(n, shard_block(b, s) + begin, b->grad + begin);
}

static void sum_tables(const backward *b) {
  float *const *grad = b->acts->table_grad;
  for (int s = 1; s < b->shards; s++) shard_add(b->net->n_table, grad[s], grad[0]);
}

// What no op writes: padding, and the tensors of ops that reach no output. (Not of graphs.)
static void clear_rest(const flv_net *net, const flv_plan *plan, float *grad) {
  for (int i = 0; i < net->n_weights; i++) {
    const flv_weight *w = &net->weight[i];
    const size_t end = i + 1 < net->n_weights ? net->weight[i + 1].offset : net->n_params;
    const size_t used = w->offset + (size_t)w->rows * (size_t)w->cols;
    memset(grad + used, 0, (end - used) * sizeof *grad);
  }
  for (int i = 0; i < net->n_ops; i++) {
    if (plan->live[i]) continue;
    const int tensor[3] = {net->op[i].w, net->op[i].b, net->op[i].n > 0 ? net->op[i].x[0].w : -1};
    for (int k = 0; k < 3; k++) {
      if (tensor[k] < 0) continue;
      const flv_weight *w = &net->weight[tensor[k]];
      memset(grad + w->offset, 0, (size_t)w->rows * (size_t)w->cols * sizeof *grad);
    }
  }
}

void flv_net_backward(const flv_net *net, const float *params, flv_acts *acts, int rows,
                      float *grad, int threads) {
  assert(acts->n_shards > 0 && rows <= acts->max_rows);
  if (rows <= 0) {
    memset(grad, 0, net->n_params * sizeof *grad);
    return;
  }
  backward b = {.net = net, .params = params, .acts = acts, .grad = grad, .rows = rows};
  b.want = flv_chunk_want(net, rows);
  b.chunks = flv_chunk_count(rows, b.want);
  b.shards = count_shards(net, acts, rows, b.chunks);
  acts->swept = flv_links_pay(net, acts, rows);
  if (net->n_nodes == 0) clear_rest(net, &acts->plan, grad);
  flv_parallel(threads, b.shards, run_shard, &b);
  if (b.shards > 1)
    flv_parallel(threads, (int)((net->n_params + SUM_FLOATS - 1) / SUM_FLOATS), sum_range, &b);
  if (acts->swept) flv_links_sweep(net, acts, rows, grad, threads);
  if (net->n_table > 0) {
    sum_tables(&b);
    run_ops(&b, 0, 0, 0, true, true);
  }
}
