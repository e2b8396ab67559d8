// Forward: blocks of rows, each of which runs through all ops on one thread while its activations
// are in cache. Few rows, as while sampling, are cut into blocks of a few; many, into chunks that
// suit BLAS.
#include "base/parallel.h"
#include "nn/net.h"
#include "nn/ops.h"

enum {
  FEW_ROWS = 192,         // of a graph: nodes
  FEW_POSITIONS = 4096,   // of rows of positions: a block of few has rows enough for BLAS
  FEW_BLOCKS = 8,         // of few rows, at most about
  BLOCK_STEP = 4,         // rows of a block of few: a multiple of this,
  WIDE_STEP = 8,          // or of this, where each block reads more than
  WIDE_WEIGHTS = 1 << 18, // this many weights, too many for the cache nearest by
  THREAD_FLOPS = 1 << 18, // below this all is done before a second thread has begun
};
_Static_assert((int)FEW_BLOCKS <= (int)FLV_NET_SHARDS, "a block has a shard's working memory");

typedef struct forward {
  const flv_net *net;
  const float *params;
  const flv_acts *acts;
  int op0, op1, row0, rows;
} forward;

static void run_rows(const forward *f, int shard, int begin, int end) {
  if (f->acts->change && f->op0 == 0) flv_links_find(f->net, f->acts, f->row0 + begin, end - begin);
  flv_run_rows(f->net, f->params, f->acts, f->op0, f->op1, shard, f->row0 + begin, end - begin);
}

static bool are_few(const flv_net *net, int rows) {
  if (net->n_nodes == 0) return rows <= FEW_ROWS;
  return rows * net->n_nodes <= (net->kind == FLV_INPUT_POSITIONS ? FEW_POSITIONS : FEW_ROWS);
}

static double weights_of(const forward *f) {
  double weights = 0.0;
  for (int i = f->op0; i < f->op1; i++) {
    const flv_op *op = &f->net->op[i];
    for (int k = 0; op->id == FLV_OP_LINEAR && k < op->n; k++)
      if (op->x[k].w >= 0 || op->x[k].table >= 0)
        weights += (double)f->net->width[op->x[k].x] * (double)f->net->width[op->y];
  }
  return weights;
}

static int few_block_rows(const forward *f) {
  const int rows = weights_of(f) > WIDE_WEIGHTS ? WIDE_STEP : BLOCK_STEP, step = FEW_BLOCKS * rows;
  return (f->rows + step - 1) / step * rows;
}

static void run_few(void *context, int block) {
  const forward *f = context;
  const int size = few_block_rows(f), begin = block * size;
  run_rows(f, block, begin, begin + size < f->rows ? begin + size : f->rows);
}

static void run_chunk_in(const forward *f, int shard, int chunk) {
  const int want = flv_chunk_want(f->net, f->rows);
  run_rows(f, shard, flv_chunk_begin(f->rows, want, chunk),
           flv_chunk_begin(f->rows, want, chunk + 1));
}

static void run_chunk(void *context, int chunk) { run_chunk_in(context, 0, chunk); }

// Where activations are not kept: the chunks of a shard, in its working memory.
static void run_shard(void *context, int shard) {
  const forward *f = context;
  const int chunks = flv_chunk_count(f->rows, flv_chunk_want(f->net, f->rows));
  for (int chunk = shard; chunk < chunks; chunk += FLV_NET_SHARDS) run_chunk_in(f, shard, chunk);
}

static void run_tables(const flv_net *net, const float *params, const flv_acts *acts) {
  for (int i = 0; i < net->n_ops; i++) {
    if (net->per[net->op[i].y] != FLV_PER_NET) continue;
    const flv_call c = flv_call_at(net, params, acts, i, 0, 0, 0);
    flv_op_table[net->op[i].id].forward(&c);
  }
}

static void count_edges(const flv_net *net, flv_acts *acts, int row0, int row1) {
  const int32_t *hot = acts->hot + (size_t)row0 * (size_t)net->n_hot;
  for (int r = row0; r < row1; r++, hot += net->n_hot) {
    int n = 0;
    while (n < net->n_hot && hot[n] >= 0) n++;
    acts->first_edge[r + 1] = acts->first_edge[r] + n;
  }
}

void flv_net_forward(const flv_net *net, const float *params, flv_acts *acts, int op0, int op1,
                     int row0, int row1, int threads) {
  forward f = {net, params, acts, op0, op1, row0, row1 - row0};
  if (f.rows <= 0 || op0 >= op1) return;
  if (net->kind == FLV_INPUT_TREES) {
    if (op0 == 0)
      flv_tree_count(&acts->trees, &net->tree, acts->hot + (size_t)row0 * (size_t)net->n_hot, row0,
                     row1);
    if (row0 == 0) run_tables(net, params, acts);
    run_rows(&f, 0, 0, f.rows); // at once: states read rows of nodes that others brought
    return;
  }
  if (net->kind == FLV_INPUT_GRAPHS) count_edges(net, acts, row0, row1);
  if (net->n_nodes > 0 && row0 == 0) run_tables(net, params, acts);
  acts->known = row0;
  if (acts->lean) f.op0 = 0; // what comes later reads what was not kept
  if (are_few(net, f.rows)) {
    const int size = few_block_rows(&f);
    flv_parallel(2.0 * f.rows * weights_of(&f) < THREAD_FLOPS ? 1 : threads,
                 (f.rows + size - 1) / size, run_few, &f);
    return;
  }
  const int chunks = flv_chunk_count(f.rows, flv_chunk_want(net, f.rows));
  if (acts->lean)
    flv_parallel(threads, chunks < FLV_NET_SHARDS ? chunks : FLV_NET_SHARDS, run_shard, &f);
  else
    flv_parallel(threads, chunks, run_chunk, &f);
}
