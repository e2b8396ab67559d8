#include "floor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/parallel.h"
#include "clock.h"
#include "nn/blas.h"

typedef struct operands {
  float *a, *b, *c;
} operands;
enum { SIDE = 2048 };

static void multiply(void *context, int task) {
  const operands *p = context;
  float *c = p->c + (size_t)task * SIDE * SIDE;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1.0f, p->a, SIDE, p->b,
              SIDE, 0.0f, c, SIDE);
}

double bench_matrix_rate(int threads) {
  operands p = {calloc(SIDE * SIDE, 4), calloc(SIDE * SIDE, 4),
                calloc((size_t)threads * SIDE * SIDE, 4)};
  if (!p.a || !p.b || !p.c) {
    fprintf(stderr, "bench: out of memory for matrices\n");
    exit(1);
  }
  for (size_t i = 0; i < SIDE * SIDE; i++)
    p.a[i] = (float)(i % 7) - 3.0f, p.b[i] = (float)(i % 5) - 2.0f;
  double best = HUGE_VAL;
  for (int k = 0; k < 4; k++) {
    const double begin = bench_now();
    flv_parallel(threads, threads, multiply, &p);
    best = fmin(best, bench_now() - begin);
  }
  free(p.a), free(p.b), free(p.c);
  return 2.0 * SIDE * SIDE * (double)SIDE / best;
}

double bench_iteration_flops(const flv_trainer *t) {
  const flv_batch *b = &t->batch;
  const flv_net *net = t->policy.net;
  const bool graphs = net->n_nodes > 0 && net->n_positions == 0;
  const double edges = graphs ? b->acts.first_edge[b->rows.n] : 0.0;
  return (t->has_target ? 4.0 : 3.0) * flv_net_flops(net, b->rows.n, edges);
}
