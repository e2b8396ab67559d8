#include "floor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/parallel.h"
#include "nn/blas.h"

enum { SIDE = 2048 };
typedef struct operands {
  float *a, *b, *c;
  double *seconds; // of processor time, by task
} operands;

static double processor_time(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void multiply(void *context, int task) {
  const operands *p = context;
  float *c = p->c + (size_t)task * SIDE * SIDE;
  const double begin = processor_time();
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1.0f, p->a, SIDE, p->b,
              SIDE, 0.0f, c, SIDE);
  p->seconds[task] = processor_time() - begin;
}

double bench_matrix_rate(int threads) {
  const size_t n = (size_t)threads;
  operands p = {calloc(SIDE * SIDE, sizeof *p.a), calloc(SIDE * SIDE, sizeof *p.b),
                calloc(n * SIDE * SIDE, sizeof *p.c), calloc(n, sizeof *p.seconds)};
  if (!p.a || !p.b || !p.c || !p.seconds) {
    fprintf(stderr, "bench: out of memory for matrices\n");
    exit(1);
  }
  for (size_t i = 0; i < SIDE * SIDE; i++)
    p.a[i] = (float)(i % 7) - 3.0f, p.b[i] = (float)(i % 5) - 2.0f;
  double best = HUGE_VAL;
  for (int k = 0; k < 4; k++) {
    flv_parallel(threads, threads, multiply, &p);
    double slowest = 0.0;
    for (int i = 0; i < threads; i++) slowest = fmax(slowest, p.seconds[i]);
    best = fmin(best, slowest);
  }
  free(p.a), free(p.b), free(p.c), free(p.seconds);
  return 2.0 * SIDE * SIDE * (double)SIDE / best;
}

double bench_iteration_flops(const flv_trainer *t) {
  const flv_batch *b = &t->batch;
  const flv_net *net = t->policy.net;
  const flv_tree_rows *trees = &b->acts.trees;
  const bool graphs = net->kind == FLV_INPUT_GRAPHS;
  const double nodes = net->kind == FLV_INPUT_TREES ? trees->n : (double)b->rows.n * net->n_nodes;
  const double edges = net->kind == FLV_INPUT_TREES ? trees->first_slot[trees->n]
                       : graphs                     ? b->acts.first_edge[b->rows.n]
                                                    : 0.0;
  return (t->has_target ? 4.0 : 3.0) * flv_net_flops(net, b->rows.n, nodes, edges);
}
