// Message passing over batches of atom graphs; mpnn.h has the formulas.

#include "reward/mpnn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/exp_double.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/simd.h"
#include "nn/blas.h"
#include "nn/vector_exp.h"
#include "reward/mpnn_impl.h"

#define REAL double
#define PASS(name) name##_f64
#define GEMM cblas_dgemm
#define EXP flv_exp_double
#include "reward/mpnn_pass.h"
#undef REAL
#undef PASS
#undef GEMM
#undef EXP
#define REAL float
#define PASS(name) name##_f32
#define GEMM cblas_sgemm
#define EXP flv_exp
#include "reward/mpnn_pass.h"

enum { CHUNK = 256 }; // rows that matrix products want

// at: of the graph's first atom in the chunk.
static int *count_of(const flv_mpnn *net, flv_mpnn_slot *s, int at, const flv_edge *edge) {
  const int kind = edge->type < 0 ? net->kinds - 1 : edge->type;
  return &s->count[kind * s->n + at + edge->to];
}

// Edges of one kind to one atom are one pair: the counting sort of the edges of graphs begin ..
// end-1 by kind and target.
static void plan(const flv_mpnn *net, flv_mpnn_slot *s, const flv_atom_graphs *graphs, int begin,
                 int end) {
  const int kinds = net->kinds, first = graphs->first_atom[begin];
  const int n = s->n = graphs->first_atom[end] - first;
  memset(s->count, 0, (size_t)kinds * (size_t)n * sizeof *s->count);
  memset(s->degree, 0, (size_t)n * sizeof *s->degree);
  memset(s->n_of, 0, (size_t)n * sizeof *s->n_of);
  for (int g = begin; g < end; g++) {
    const int at = graphs->first_atom[g] - first;
    for (int e = graphs->first_edge[g]; e < graphs->first_edge[g + 1]; e++) {
      (*count_of(net, s, at, &graphs->edge[e]))++;
      s->degree[at + graphs->edge[e].to]++;
    }
  }
  int pairs = 0, edges = 0;
  for (int k = 0; k < kinds; k++) {
    s->begin[k] = pairs;
    for (int v = 0; v < n; v++) {
      int *count = &s->count[k * n + v];
      if (*count == 0) continue;
      s->pair[v * kinds + s->n_of[v]++] = pairs;
      s->first[pairs++] = edges;
      edges += *count;
      *count = edges - *count;
    }
  }
  s->begin[kinds] = s->n_pairs = pairs;
  s->first[pairs] = edges;
  for (int g = begin; g < end; g++) {
    const int at = graphs->first_atom[g] - first;
    for (int e = graphs->first_edge[g]; e < graphs->first_edge[g + 1]; e++)
      s->source[(*count_of(net, s, at, &graphs->edge[e]))++] = at + graphs->edge[e].from;
  }
}

// Where the chunk that begins with graph `begin` ends: as many whole graphs as there is room for.
static int chunk_end(const flv_mpnn_work *work, const flv_atom_graphs *graphs, int begin) {
  int end = begin + 1;
  while (end < graphs->n &&
         graphs->first_atom[end + 1] - graphs->first_atom[begin] <= work->max_atoms &&
         graphs->first_edge[end + 1] - graphs->first_edge[begin] <= work->max_edges)
    end++;
  return end;
}

typedef struct job {
  const flv_mpnn *net;
  flv_mpnn_work *work;
  const flv_atom_graphs *graphs;
  double *p;
} job;

// Every work->threads-th chunk, from chunk `task` on.
static void eval_chunks(void *context, int task) {
  const job *j = context;
  const flv_mpnn *net = j->net;
  const flv_atom_graphs *graphs = j->graphs;
  flv_mpnn_slot *s = &j->work->slot[task];
  for (int begin = 0, end, chunk = 0; begin < graphs->n; begin = end, chunk++) {
    end = chunk_end(j->work, graphs, begin);
    if (chunk % j->work->threads != task) continue;
    plan(net, s, graphs, begin, end);
    const int *first_atom = graphs->first_atom + begin;
    const double *x = graphs->x + (size_t)first_atom[0] * (size_t)net->columns;
    if (net->precision == FLV_F64)
      evaluate_f64(net, s, end - begin, x, first_atom, j->p + begin);
    else
      evaluate_f32(net, s, end - begin, x, first_atom, j->p + begin);
  }
}

void flv_mpnn_eval(const flv_mpnn *net, flv_mpnn_work *work, const flv_atom_graphs *graphs,
                   double *p) {
  job j = {net, work, graphs, p};
  flv_parallel(work->threads, work->threads, eval_chunks, &j);
}

enum { SLOTS = 17 };

static void slots_of(const flv_mpnn *net, const flv_mpnn_work *work, flv_mpnn_slot *s,
                     flv_slot slots[SLOTS]) {
  const size_t a = (size_t)work->max_atoms, e = (size_t)work->max_edges, d = (size_t)net->width,
               k = (size_t)net->kinds, p = e < k * a ? e : k * a,
               real = net->precision == FLV_F64 ? sizeof(double) : sizeof(float);
  const flv_slot list[SLOTS] = {
      FLV_SLOT(s->count, k * a),     FLV_SLOT(s->source, e),        FLV_SLOT(s->first, p + 1),
      FLV_SLOT(s->begin, k + 1),     FLV_SLOT(s->pair, a * k),      FLV_SLOT(s->n_of, a),
      FLV_SLOT(s->degree, a),        {&s->h, a * d * real},         {&s->m, a * d * real},
      {&s->self, a * 4 * d * real},  {&s->input, a * 3 * d * real}, {&s->sum, p * d * real},
      {&s->message, p * d * real},   {&s->q, a * 2 * d * real},     {&s->cell, a * d * real},
      {&s->gates, a * 4 * d * real}, {&s->attention, a * real}};
  memcpy(slots, list, sizeof list);
}

flv_mpnn_work *flv_mpnn_work_new(const flv_mpnn *net, int threads, int max_atoms, int max_edges) {
  flv_mpnn_work *work = calloc(1, sizeof *work);
  if (!work) return NULL;
  work->threads = threads > 1 ? threads : 1;
  work->max_atoms = max_atoms > CHUNK ? max_atoms : CHUNK;
  work->max_edges = max_edges > 4 * CHUNK ? max_edges : 4 * CHUNK;
  const size_t n = (size_t)work->threads;
  work->slot = calloc(n, sizeof *work->slot);
  flv_slot *slots = calloc(n * SLOTS, sizeof *slots);
  if (work->slot && slots) {
    for (size_t i = 0; i < n; i++) slots_of(net, work, &work->slot[i], slots + i * SLOTS);
    work->block = flv_bind((int)n * SLOTS, slots);
  }
  free(slots);
  if (work->block) return work;
  flv_mpnn_work_free(work);
  return NULL;
}

void flv_mpnn_work_free(flv_mpnn_work *work) {
  if (!work) return;
  flv_free(work->block);
  free(work->slot);
  free(work);
}

double flv_mpnn_floor(const flv_mpnn *net, int atoms, int edges) {
  return net->steps * (edges + 7.0 * atoms) * net->width * net->width;
}

double flv_mpnn_log_reward(double p, double r_min, double norm) {
  return log((p > r_min ? p : r_min) / norm);
}
