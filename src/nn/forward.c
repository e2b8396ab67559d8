// Forward. Few rows, as while sampling: op by op, dense layers cut into tiles of columns. Many
// rows: chunks of rows, each of which runs through all ops on one thread while its activations are
// in cache.
#include "base/parallel.h"
#include "nn/net.h"
#include "nn/ops.h"

enum {
  FEW_ROWS = 192,
  TILE_COLUMNS = 128,
  TASK_FLOPS = 1 << 20 // below this a product is done before a second thread has woken up
};

static int column_tiles(int n) { return (n + TILE_COLUMNS - 1) / TILE_COLUMNS; }

static void run_tile(void *context, int tile) {
  flv_call c = *(const flv_call *)context;
  c.col0 = tile * TILE_COLUMNS;
  if (c.col0 + TILE_COLUMNS < c.n) c.col1 = c.col0 + TILE_COLUMNS;
  flv_linear_forward(&c);
}

static void forward_few(const flv_net *net, const float *params, const flv_acts *acts, int op0,
                        int op1, int row0, int rows, int threads) {
  for (int i = op0; i < op1; i++) {
    flv_call c = flv_call_at(net, params, acts, i, row0, rows);
    if (net->op[i].id != FLV_OP_LINEAR) {
      flv_op_table[net->op[i].id].forward(&c);
      continue;
    }
    const double flops = 2.0 * rows * c.in * (c.n < TILE_COLUMNS ? c.n : TILE_COLUMNS);
    flv_parallel(flops < TASK_FLOPS ? 1 : threads, column_tiles(c.n), run_tile, &c);
  }
}

typedef struct forward {
  const flv_net *net;
  const float *params;
  const flv_acts *acts;
  int op0, op1, row0, rows, want;
} forward;

static void run_chunk(void *context, int chunk) {
  const forward *f = context;
  const int begin = flv_chunk_begin(f->rows, f->want, chunk),
            end = flv_chunk_begin(f->rows, f->want, chunk + 1);
  for (int i = f->op0; i < f->op1; i++) {
    const flv_call c = flv_call_at(f->net, f->params, f->acts, i, f->row0 + begin, end - begin);
    flv_op_table[f->net->op[i].id].forward(&c);
  }
}

void flv_net_forward(const flv_net *net, const float *params, flv_acts *acts, int op0, int op1,
                     int row0, int row1, int threads) {
  const int rows = row1 - row0;
  if (rows <= 0 || op0 >= op1) return;
  if (rows <= FEW_ROWS) {
    forward_few(net, params, acts, op0, op1, row0, rows, threads);
    return;
  }
  forward f = {net, params, acts, op0, op1, row0, rows, flv_chunk_want(rows)};
  flv_parallel(threads, flv_chunk_count(rows, f.want), run_chunk, &f);
}
