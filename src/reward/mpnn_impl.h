// The inside of mpnn.h: weights as the passes read them, and their memory.
#ifndef FLUVIAL_REWARD_MPNN_IMPL_H
#define FLUVIAL_REWARD_MPNN_IMPL_H

#include "reward/mpnn.h"

// X(name, size), of width D, F feature columns, K kinds. Matrices are [in][out], so that rows of
// activations multiply them from the left.
//   self      [D][4D]    W or W' | W_hr | W_hz | W_hn: all that multiplies h
//   input     [D][3D]    W_ir | W_iz | W_in: all that multiplies m
//   gate_b    [4D]       b_ir + b_hr | b_iz + b_hz | b_in | b_hn
//   lstm      [2D][4D]   of q = [s ; r]: s is the hidden state too, so its two matrices are added
//   head      [2D + 1]   w3, b3
#define FLV_MPNN_WEIGHTS(X)                                                                        \
  X(embed, F *D)                                                                                   \
  X(embed_b, D)                                                                                    \
  X(self, D * 4 * D)                                                                               \
  X(message_b, D)                                                                                  \
  X(kernel, K *D *D)                                                                               \
  X(input, D * 3 * D)                                                                              \
  X(gate_b, 4 * D)                                                                                 \
  X(lstm, 2 * D * 4 * D)                                                                           \
  X(lstm_b, 4 * D)                                                                                 \
  X(head, 2 * D + 1)

#define FLV_MPNN_ENUM(name, size) FLV_MPNN_##name,
enum { FLV_MPNN_WEIGHTS(FLV_MPNN_ENUM) FLV_MPNN_N_WEIGHTS };

struct flv_mpnn {
  int columns, width, kinds, steps, readout_steps;
  flv_dtype precision;
  void *block;
  void *w[FLV_MPNN_N_WEIGHTS]; // float or double, by precision; in block
};

// What one thread needs for one chunk of graphs. Capacities: A atoms, E edges, P pairs. A pair is
// an atom and a kind of edge that leads to it.
typedef struct flv_mpnn_slot {
  int n, n_pairs; // atoms and pairs of this chunk
  int *count;     // [K * A] edges of a kind to an atom, then where the next one's source goes
  int *source;    // [E] atoms that edges come from, by pair
  int *first;     // [P + 1] where the sources of a pair begin
  int *begin;     // [K + 1] where the pairs of a kind begin
  int *pair;      // [A * K] pairs of an atom, by kind
  int *n_of;      // [A] how many
  int *degree;    // [A] edges to the atom
  // float or double
  void *h, *m;         // [A][D]
  void *self;          // [A][4D]
  void *input;         // [A][3D]
  void *sum, *message; // [P][D] sums of h over the sources of a pair; their products with K
  void *q;             // [A][2D] of graphs, of which there are no more than atoms
  void *cell;          // [A][D]
  void *gates;         // [A][4D]
  void *attention;     // [A]
} flv_mpnn_slot;

struct flv_mpnn_work {
  int threads, max_atoms, max_edges; // of a chunk
  void *block;
  flv_mpnn_slot *slot; // [threads]
};

#endif
