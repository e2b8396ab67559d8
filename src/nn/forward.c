// Forward: blocks of rows, each of which runs through all ops on one thread while its activations
// are in cache. Few rows, as while sampling, are cut into blocks of a few; many, into chunks that
// suit BLAS.
#include "base/parallel.h"
#include "nn/net.h"
#include "nn/ops.h"

enum {
  FEW_ROWS = 192,
  FEW_BLOCKS = 8,         // of few rows, at most about
  BLOCK_STEP = 4,         // rows of a block of few: a multiple of this
  THREAD_FLOPS = 1 << 18, // below this all is done before a second thread has begun
};

typedef struct forward {
  const flv_net *net;
  const float *params;
  const flv_acts *acts;
  int op0, op1, row0, rows;
} forward;

static void run_rows(const forward *f, int begin, int end) {
  for (int i = f->op0; i < f->op1; i++) {
    const flv_call c = flv_call_at(f->net, f->params, f->acts, i, f->row0 + begin, end - begin);
    flv_op_table[f->net->op[i].id].forward(&c);
  }
}

static int few_block_rows(int rows) {
  const int step = FEW_BLOCKS * BLOCK_STEP;
  return (rows + step - 1) / step * BLOCK_STEP;
}

static void run_few(void *context, int block) {
  const forward *f = context;
  const int size = few_block_rows(f->rows), begin = block * size;
  run_rows(f, begin, begin + size < f->rows ? begin + size : f->rows);
}

static void run_chunk(void *context, int chunk) {
  const forward *f = context;
  const int want = flv_chunk_want(f->rows);
  run_rows(f, flv_chunk_begin(f->rows, want, chunk), flv_chunk_begin(f->rows, want, chunk + 1));
}

// Of the dense layers.
static double flops_of(const forward *f) {
  double weights = 0.0;
  for (int i = f->op0; i < f->op1; i++) {
    const flv_op *op = &f->net->op[i];
    if (op->id == FLV_OP_LINEAR)
      weights += (double)f->net->width[op->x] * (double)f->net->width[op->y];
  }
  return 2.0 * f->rows * weights;
}

void flv_net_forward(const flv_net *net, const float *params, flv_acts *acts, int op0, int op1,
                     int row0, int row1, int threads) {
  forward f = {net, params, acts, op0, op1, row0, row1 - row0};
  if (f.rows <= 0 || op0 >= op1) return;
  if (f.rows > FEW_ROWS) {
    flv_parallel(threads, flv_chunk_count(f.rows, flv_chunk_want(f.rows)), run_chunk, &f);
    return;
  }
  const int size = few_block_rows(f.rows);
  flv_parallel(flops_of(&f) < THREAD_FLOPS ? 1 : threads, (f.rows + size - 1) / size, run_few, &f);
}
