// Molecules per second of the message passing reward, and how close that comes to the floor of its
// matrix products.
//
//   mpnn [WEIGHTS.safetensors]   950 molecules in one call, double and float, one thread and two
//
// Without a file the weights are random, of the published shapes (64 wide, 71 features, 12 steps):
// the time does not depend on them. Molecules are made of seven pieces, rings and chains, and have
// about as many atoms and bonds as the published ones on average (37 and 42). The floor is that of
// flv_mpnn_floor over the rate of a 1024^3 product of the same precision, measured beside it.
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "common/weights.h"
#include "nn/blas.h"
#include "reward/mpnn.h"

enum { MOLECULES = 950, PIECES = 7, RING = 6, MOST = PIECES * RING, SIDE = 1024, ROUNDS = 7 };

static void must(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "mpnn: %s\n", what);
  exit(1);
}

static int draw(int item, int step, int n) {
  return (int)(flv_rng_uniform((flv_rng){1, FLV_RNG_TEST, 0}, (uint32_t)item, (uint32_t)step) * n);
}

// ---- molecules

typedef struct graphs {
  flv_atom_graphs all;
  int first_atom[MOLECULES + 1], first_edge[MOLECULES + 1];
  double x[MOLECULES * MOST * FLV_ATOM_FEATURES];
  flv_edge edge[MOLECULES * MOST * 4];
} graphs;

static int bond(graphs *g, int edges, int a, int b, int type) {
  g->edge[edges++] = (flv_edge){a, b, type};
  g->edge[edges++] = (flv_edge){b, a, type};
  return edges;
}

// Seven pieces, each bound to one before it: rings with aromatic or single bonds, chains of three
// to five atoms with one double bond.
static void make_graphs(graphs *g) {
  int atoms = 0, edges = 0;
  for (int i = 0; i < MOLECULES; i++) {
    int n = 0;
    g->first_atom[i] = atoms;
    g->first_edge[i] = edges;
    for (int p = 0; p < PIECES; p++) {
      const int kind = draw(i, 4 * p, 10), size = kind < 7 ? RING : 3 + draw(i, 4 * p + 1, 3);
      const int type = kind < 3 ? 3 : 0;
      for (int k = 1; k < size; k++)
        edges = bond(g, edges, n + k - 1, n + k, kind >= 7 && k == 2 ? 1 : type);
      if (kind < 7) edges = bond(g, edges, n + size - 1, n, type);
      if (p > 0) edges = bond(g, edges, draw(i, 4 * p + 2, n), n, 0);
      n += size;
    }
    for (int v = 0; v < n; v++)
      for (int k = 0; k < 5; k++)
        g->x[(atoms + v) * FLV_ATOM_FEATURES + draw(atoms + v, 100 + k, FLV_ATOM_FEATURES)] = 1.0;
    atoms += n;
  }
  g->first_atom[MOLECULES] = atoms;
  g->first_edge[MOLECULES] = edges;
  g->all = (flv_atom_graphs){MOLECULES, g->first_atom, g->first_edge, g->x, g->edge};
}

// ---- times

typedef struct operands {
  flv_dtype precision;
  void *a, *c;
} operands;

static void multiply(void *context, int task) {
  const operands *p = context;
  if (p->precision == FLV_F64)
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1.0, p->a, SIDE, p->a,
                SIDE, 0.0, (double *)p->c + (size_t)task * SIDE * SIDE, SIDE);
  else
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, SIDE, SIDE, SIDE, 1.0f, p->a, SIDE, p->a,
                SIDE, 0.0f, (float *)p->c + (size_t)task * SIDE * SIDE, SIDE);
}

// One line. Products and evaluations in turn, so that a change of the machine's speed meets both.
static void measure(const char *path, flv_dtype precision, int threads, const graphs *g) {
  flv_mpnn_options options = FLV_MPNN_PUBLISHED;
  flv_error err = {0};
  flv_mpnn *net;
  options.precision = precision;
  must(flv_mpnn_load(&net, path, &options, &err) == FLV_OK, err.text);
  flv_mpnn_work *work = flv_mpnn_work_new(net, threads, MOST, 4 * MOST);
  operands o = {precision, calloc(SIDE * SIDE, 8), calloc((size_t)threads * SIDE * SIDE, 8)};
  must(work && o.a && o.c, "out of memory");
  double best[2] = {1e30, 1e30}, p[MOLECULES];
  for (int round = 0; round < ROUNDS; round++) {
    double t = flv_clock();
    flv_parallel(threads, threads, multiply, &o);
    t = flv_clock() - t;
    best[0] = t < best[0] ? t : best[0];
    t = flv_clock();
    flv_mpnn_eval(net, work, &g->all, p);
    t = flv_clock() - t;
    best[1] = t < best[1] ? t : best[1];
  }
  const double products = flv_mpnn_floor(net, g->first_atom[MOLECULES], g->first_edge[MOLECULES]);
  const double rate = (double)threads * SIDE * SIDE * SIDE / best[0];
  printf("%s,%d,%.0f,%.1f,%.2f\n", precision == FLV_F64 ? "double" : "float", threads,
         MOLECULES / best[1], rate / 1e9, products / rate / best[1]);
  fflush(stdout);
  free(o.a), free(o.c);
  flv_mpnn_work_free(work);
  flv_mpnn_free(net);
}

int main(int argc, char **argv) {
  char temporary[BENCH_WEIGHTS_PATH];
  const char *path = argc > 1 ? argv[1] : bench_weights(temporary);
  graphs *g = calloc(1, sizeof *g);
  must(g != NULL, "out of memory");
  make_graphs(g);
  printf("%d molecules, on average %.1f atoms and %.1f bonds\n", MOLECULES,
         (double)g->first_atom[MOLECULES] / MOLECULES,
         (double)g->first_edge[MOLECULES] / 2 / MOLECULES);
  printf("precision,threads,molecules_per_s,gmac_per_s_of_products,fraction_of_floor\n");
  for (int i = 0; i < 2; i++)
    for (int threads = 1; threads <= (flv_cores() > 1 ? 2 : 1); threads++)
      measure(path, i ? FLV_F32 : FLV_F64, threads, g);
  if (argc < 2) unlink(temporary);
  free(g);
  return 0;
}
