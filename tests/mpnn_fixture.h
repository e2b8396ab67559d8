// Weights of message passing networks as a file has them, graphs, and a naive twin: plain loops,
// edge by edge, over the file's tensors. cmocka is included before.
#ifndef FLUVIAL_TESTS_MPNN_FIXTURE_H
#define FLUVIAL_TESTS_MPNN_FIXTURE_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/safetensors.h"
#include "reward/mpnn.h"
#include "splitmix.h"

enum { TENSORS = 18, UNITS = 64, ATOMS = 64 }; // most units and atoms of the twin

typedef struct sizes {
  int d, f, e, a; // width, feature columns, edge units, attribute columns
} sizes;

// In the order of the published file, less the four tensors of its unused head.
enum {
  LIN0,
  LIN0_B,
  ROOT,
  CONV_B,
  NN0,
  NN0_B,
  NN2,
  NN2_B,
  W_IH,
  W_HH,
  B_IH,
  B_HH,
  LSTM_IH,
  LSTM_HH,
  LSTM_B_IH,
  LSTM_B_HH,
  LIN3,
  LIN3_B
};

static inline void describe_tensors(sizes z, flv_tensor t[TENSORS]) {
  const int d = z.d;
  const flv_tensor list[TENSORS] = {{"lin0.weight", FLV_F32, 2, {d, z.f}, NULL},
                                    {"lin0.bias", FLV_F32, 1, {d}, NULL},
                                    {"conv.root", FLV_F32, 2, {d, d}, NULL},
                                    {"conv.bias", FLV_F32, 1, {d}, NULL},
                                    {"conv.nn.0.weight", FLV_F32, 2, {z.e, z.a}, NULL},
                                    {"conv.nn.0.bias", FLV_F32, 1, {z.e}, NULL},
                                    {"conv.nn.2.weight", FLV_F32, 2, {d * d, z.e}, NULL},
                                    {"conv.nn.2.bias", FLV_F32, 1, {d * d}, NULL},
                                    {"gru.weight_ih_l0", FLV_F32, 2, {3 * d, d}, NULL},
                                    {"gru.weight_hh_l0", FLV_F32, 2, {3 * d, d}, NULL},
                                    {"gru.bias_ih_l0", FLV_F32, 1, {3 * d}, NULL},
                                    {"gru.bias_hh_l0", FLV_F32, 1, {3 * d}, NULL},
                                    {"set2set.lstm.weight_ih_l0", FLV_F32, 2, {4 * d, 2 * d}, NULL},
                                    {"set2set.lstm.weight_hh_l0", FLV_F32, 2, {4 * d, d}, NULL},
                                    {"set2set.lstm.bias_ih_l0", FLV_F32, 1, {4 * d}, NULL},
                                    {"set2set.lstm.bias_hh_l0", FLV_F32, 1, {4 * d}, NULL},
                                    {"lin3.weight", FLV_F32, 2, {1, 2 * d}, NULL},
                                    {"lin3.bias", FLV_F32, 1, {1}, NULL}};
  memcpy(t, list, sizeof list);
}

static inline size_t n_elements(const flv_tensor *t) {
  size_t n = 1;
  for (int i = 0; i < t->n_dims; i++) n *= (size_t)t->dim[i];
  return n;
}

// Uniform in (-1, 1).
static inline double uniform(uint64_t *state) {
  return (double)(splitmix(state) >> 11) * 0x1p-52 - 1.0;
}

static inline int below(uint64_t *state, int n) { return (int)((uniform(state) + 1.0) / 2.0 * n); }

// Random tensors, large enough for gates to leave their linear part.
static inline void make_tensors(sizes z, uint64_t seed, flv_tensor t[TENSORS]) {
  describe_tensors(z, t);
  for (int i = 0; i < TENSORS; i++) {
    const size_t n = n_elements(&t[i]);
    const double scale = t[i].n_dims == 2 ? 1.5 / sqrt((double)t[i].dim[1]) : 0.5;
    float *value = t[i].data = malloc(n * sizeof *value);
    assert_non_null(value);
    for (size_t k = 0; k < n; k++) value[k] = (float)(scale * uniform(&seed));
  }
}

static inline void free_tensors(flv_tensor t[TENSORS]) {
  for (int i = 0; i < TENSORS; i++) free(t[i].data);
}

static inline double twin_lrelu(double x) { return x < 0.0 ? 0.01 * x : x; }
static inline double twin_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

// sum_i w[row][i] x[i] + b[row]; b may be NULL.
static inline double twin_linear(const flv_tensor *w, const flv_tensor *b, int row,
                                 const double *x) {
  const int n = (int)w->dim[1];
  double sum = b ? (double)((const float *)b->data)[row] : 0.0;
  for (int i = 0; i < n; i++) sum += (double)((const float *)w->data)[row * n + i] * x[i];
  return sum;
}

static inline double twin_message(const flv_tensor t[TENSORS], sizes z, int type, const double *h,
                                  int out) {
  double attribute[8] = {0}, hidden[UNITS * 2], sum = 0.0;
  if (type >= 0) attribute[type] = 1.0;
  for (int i = 0; i < z.e; i++)
    hidden[i] = twin_lrelu(twin_linear(&t[NN0], &t[NN0_B], i, attribute));
  for (int i = 0; i < z.d; i++)
    sum += h[i] * twin_linear(&t[NN2], &t[NN2_B], i * z.d + out, hidden);
  return sum;
}

static inline void twin_gru(const flv_tensor t[TENSORS], int d, const double *m, double *h) {
  double next[UNITS];
  for (int j = 0; j < d; j++) {
    const double r =
        twin_sigmoid(twin_linear(&t[W_IH], &t[B_IH], j, m) + twin_linear(&t[W_HH], &t[B_HH], j, h));
    const double u = twin_sigmoid(twin_linear(&t[W_IH], &t[B_IH], d + j, m) +
                                  twin_linear(&t[W_HH], &t[B_HH], d + j, h));
    const double n = tanh(twin_linear(&t[W_IH], &t[B_IH], 2 * d + j, m) +
                          r * twin_linear(&t[W_HH], &t[B_HH], 2 * d + j, h));
    next[j] = (1.0 - u) * n + u * h[j];
  }
  memcpy(h, next, (size_t)d * sizeof *h);
}

static inline double twin_read_out(const flv_tensor t[TENSORS], sizes z, int steps, int n,
                                   double h[][UNITS]) {
  const int d = z.d;
  double q[2 * UNITS] = {0}, hidden[UNITS] = {0}, cell[UNITS] = {0}, gate[4 * UNITS];
  for (int step = 0; step < steps; step++) {
    double weight[ATOMS], total = 0.0;
    for (int j = 0; j < 4 * d; j++)
      gate[j] = twin_linear(&t[LSTM_IH], &t[LSTM_B_IH], j, q) +
                twin_linear(&t[LSTM_HH], &t[LSTM_B_HH], j, hidden);
    for (int j = 0; j < d; j++) {
      cell[j] = twin_sigmoid(gate[d + j]) * cell[j] + twin_sigmoid(gate[j]) * tanh(gate[2 * d + j]);
      hidden[j] = twin_sigmoid(gate[3 * d + j]) * tanh(cell[j]);
    }
    for (int v = 0; v < n; v++) {
      double dot = 0.0;
      for (int j = 0; j < d; j++) dot += h[v][j] * hidden[j];
      total += weight[v] = exp(dot);
    }
    for (int j = 0; j < d; j++) {
      q[j] = hidden[j];
      q[d + j] = 0.0;
      for (int v = 0; v < n; v++) q[d + j] += weight[v] / total * h[v][j];
    }
  }
  return twin_linear(&t[LIN3], &t[LIN3_B], 0, q);
}

// p of graph g.
static inline double twin_value(const flv_tensor t[TENSORS], sizes z, const flv_mpnn_options *o,
                                const flv_atom_graphs *graphs, int g) {
  const int first = graphs->first_atom[g], n = graphs->first_atom[g + 1] - first, d = z.d;
  static double h[ATOMS][UNITS], m[ATOMS][UNITS];
  double x[128];
  assert_true(n <= ATOMS && d <= UNITS && z.f <= 128);
  for (int v = 0; v < n; v++) {
    for (int c = 0; c < z.f; c++) x[c] = graphs->x[(first + v) * z.f + c];
    for (int j = 0; j < d; j++) h[v][j] = twin_lrelu(twin_linear(&t[LIN0], &t[LIN0_B], j, x));
  }
  const float *root = t[ROOT].data, *conv_b = t[CONV_B].data;
  for (int step = 0; step < o->steps; step++) {
    for (int v = 0; v < n; v++)
      for (int j = 0; j < d; j++) {
        double sum = 0.0, self = (double)conv_b[j];
        int degree = 0;
        for (int e = graphs->first_edge[g]; e < graphs->first_edge[g + 1]; e++) {
          if (graphs->edge[e].to != v) continue;
          sum += twin_message(t, z, graphs->edge[e].type, h[graphs->edge[e].from], j);
          degree++;
        }
        for (int i = 0; i < d; i++)
          self += (double)(o->root_transposed ? root[i * d + j] : root[j * d + i]) * h[v][i];
        m[v][j] = twin_lrelu(self + (degree > 0 ? sum / degree : 0.0));
      }
    for (int v = 0; v < n; v++) twin_gru(t, d, m[v], h[v]);
  }
  return twin_read_out(t, z, o->readout_steps, n, h);
}

#endif
