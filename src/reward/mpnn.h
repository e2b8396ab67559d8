// A reward that is a network: message passing over graphs of atoms with a set2set readout, the
// proxy of the molecule synthesis benchmark. Weights are loaded once and fixed.
//
// With D the width and F the feature columns, of a graph with features x_v and directed edges
// u -> v of kind k (Gilmer et al., "Neural message passing for quantum chemistry", 2017):
//
//   h_v = lrelu(W0 x_v + b0)
//   `steps` times, with the same weights:
//     a_v = mean over the edges u -> v of K_k' h_u                  (0 without edges)
//     m_v = lrelu(a_v + W h_v + b)                                  (root_transposed: W' h_v)
//     h_v = GRU(input m_v, hidden h_v)
//   K_k = reshape(W2 lrelu(W1 e_k + b1) + b2, [D in, D out]), e_k the attribute of the edge
//   `readout_steps` times, from q = 0, s = c = 0 (Vinyals et al., "Order matters", 2016):
//     s, c = LSTM(input q, hidden s, cell c);   w = softmax over v of h_v . s
//     q = [s ; sum_v w_v h_v]
//   p = w3 . q + b3
//
// lrelu has slope 0.01; gates stand in the order r, z, n of the GRU and i, f, g, o of the LSTM
// [PyTorch]. The GRU is h' = (1 - z) n + z h, n = tanh(W_in m + b_in + r (W_hn h + b_hn)).
//
// Attributes are one-hot, one column per order of bonds, or zero (a loop on a lone atom), so there
// are few kernels K_k: they are computed when the weights are loaded.
#ifndef FLUVIAL_REWARD_MPNN_H
#define FLUVIAL_REWARD_MPNN_H

#include <stdbool.h>

#include "chem/perceive.h"
#include "fluvial/status.h"
#include "fluvial/tensor.h"

typedef struct flv_mpnn flv_mpnn;           // read-only; threads share it
typedef struct flv_mpnn_work flv_mpnn_work; // memory of one evaluation at a time

typedef struct flv_mpnn_options {
  int steps, readout_steps; // at least 1
  // Multiply by the transpose of conv.root. The published weights were saved by a version of their
  // library that multiplied so, but the rewards published with them are those without.
  bool root_transposed;
  flv_dtype precision; // of the evaluation: FLV_F64 or FLV_F32
} flv_mpnn_options;

#define FLV_MPNN_PUBLISHED                                                                         \
  { .steps = 12, .readout_steps = 3, .root_transposed = false, .precision = FLV_F64 }

// Graphs one behind the other: atoms first_atom[g] .. first_atom[g+1]-1 and edges first_edge[g] ..
// first_edge[g+1]-1 are those of graph g, which has at least one atom.
typedef struct flv_atom_graphs {
  int n;
  const int *first_atom, *first_edge; // [n + 1]
  const double *x;                    // [atoms][F]
  const flv_edge *edge; // [edges] atoms count from the graph's first; type -1: all attributes zero
} flv_atom_graphs;

// Reads a safetensors file, of float or double, with the tensors below; sizes come from the shapes
// of lin0.weight and conv.nn.0.weight. The names are those of a PyTorch state_dict; lin1.* and
// lin2.*, which other heads of the same network may have left, are ignored.
//
//   lin0.weight [D, F]                  lin0.bias [D]
//   conv.root [D, D]                    conv.bias [D]
//   conv.nn.0.weight [E, A]             conv.nn.0.bias [E]      A columns of attributes
//   conv.nn.2.weight [D D, E]           conv.nn.2.bias [D D]
//   gru.weight_ih_l0 [3D, D]            gru.weight_hh_l0 [3D, D]
//   gru.bias_ih_l0 [3D]                 gru.bias_hh_l0 [3D]
//   set2set.lstm.weight_ih_l0 [4D, 2D]  set2set.lstm.weight_hh_l0 [4D, D]
//   set2set.lstm.bias_ih_l0 [4D]        set2set.lstm.bias_hh_l0 [4D]
//   lin3.weight [1, 2D]                 lin3.bias [1]
//
// FLV_EINVAL with file, tensor, what it is and what was expected: a tensor that is missing,
// unknown, of another type or shape, or not finite.
flv_status flv_mpnn_load(flv_mpnn **net, const char *path, const flv_mpnn_options *options,
                         flv_error *err);
void flv_mpnn_free(flv_mpnn *net); // accepts NULL

int flv_mpnn_columns(const flv_mpnn *net); // F
int flv_mpnn_kinds(const flv_mpnn *net);   // A + 1
int flv_mpnn_width(const flv_mpnn *net);   // D

// For graphs of at most these atoms and edges, any number of them. NULL when out of memory.
flv_mpnn_work *flv_mpnn_work_new(const flv_mpnn *net, int threads, int max_atoms, int max_edges);
void flv_mpnn_work_free(flv_mpnn_work *work); // accepts NULL

// p[g] of every graph. Allocates nothing; cannot fail.
//
// Graphs are evaluated together, as many as fill a few hundred rows, so that the matrix products
// are large. Which ones depends on the list of graphs alone: the same list gives the same bits for
// any number of threads. In another list a graph's p is the same up to rounding, as BLAS may round
// a row by its place in the matrix (1e-14 and 1e-5, relative to 1 + |p|, in double and float).
void flv_mpnn_eval(const flv_mpnn *net, flv_mpnn_work *work, const flv_atom_graphs *graphs,
                   double *p);

// Multiplications that the matrix products of flv_mpnn_eval cannot do without when every edge has
// its own message: steps * (edges + 7 atoms) * D^2. Messages of one kind to one atom are summed
// before they are multiplied, which takes fewer.
double flv_mpnn_floor(const flv_mpnn *net, int atoms, int edges);

// log(max(r_min, p) / norm), of which a reward's exponent makes log R = beta log(max(r_min, p) /
// norm). r_min >= 0, below which p counts as r_min (so does a NaN); norm > 0. Published: 0.1, 8,
// beta 4 to 16. [GFNOrg/gflownet, mols: R_min, reward_norm, reward_exp]
double flv_mpnn_log_reward(double p, double r_min, double norm);

#endif
