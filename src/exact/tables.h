// A policy as tables on a state graph: parameters, log-probabilities, gradients.
//
// Parameters, and gradients with respect to them, are one vector of doubles:
//   [n_moves]    logits of P_F, a softmax over the moves of each state
//   [n_moves]    logits of P_B, a softmax over the moves into each state; unused at end moves
//   [n_states]   log F
//   [1]          log Z
// Logits of different states meet in no softmax, so the squared norm of a trajectory's gradient is
// a sum over its states.
#ifndef FLUVIAL_EXACT_TABLES_H
#define FLUVIAL_EXACT_TABLES_H

#include "exact/state_graph.h"

enum { FLV_PART_PF = 1, FLV_PART_PB = 2, FLV_PART_LOG_F = 4, FLV_PART_LOG_Z = 8 };
enum { FLV_PART_POLICY = 3, FLV_PART_ALL = 15 };

typedef struct flv_layout { // where the parts of a vector begin
  int pf, pb, log_f, log_z, size;
} flv_layout;

static inline flv_layout flv_layout_of(const flv_graph *g) {
  const int m = g->n_moves, n = g->n_states;
  return (flv_layout){.pf = 0, .pb = m, .log_f = 2 * m, .log_z = 2 * m + n, .size = 2 * m + n + 1};
}

// The part (FLV_PART_*) that entry k belongs to.
int flv_layout_part(const flv_layout *at, int k);

typedef struct flv_tables { // probabilities of moves, and their logarithms
  double *log_pf, *log_pb;  // [n_moves]; log_pb is 0 at end moves
  double *pf, *pb;          // [n_moves]
  double *log_sum;          // [n_states] logsumexp of P_F's logits
  const double *log_f;      // [n_states]
  double log_z;             // learned
} flv_tables;

// Fills the arrays from x, and lets log_f and log_z be x's.
void flv_tables_fill(flv_tables *tables, const flv_graph *graph, const double *x);

// log_p [n_moves]: a softmax over the moves of each state of logits [n_moves].
void flv_softmax_out(double *log_p, const flv_graph *graph, const double *logits);

// In place, from cotangents of log P_F and log P_B of moves to the gradient of their logits: with
// cotangents d, logit m receives d_m - p_m sum d over its softmax.
void flv_pull_back(double *d, const flv_graph *graph, const flv_tables *tables);

// The exact flow of a backward policy, and the posterior over trajectories as a policy that makes
// them from s0:
//   F(s) = sum over moves s -> s' of F(s') P_B(s|s'),  F(x) = R(x) beyond the end
//   log_post[m] = log F(s') + log P_B(s|s') - log F(s);   F(s0) = Z^
// log_f [n_states], log_post [n_moves]. [Bengio et al. 2023, GFlowNet foundations]
void flv_flows(double *log_f, double *log_post, const flv_graph *graph, const double *log_pb);

// max |a - b| over the parts, relative to the largest |b| there, or to FLV_SMALL_GRADIENT if that
// is larger: log-probabilities move by at most 1 with a logit, so gradients are in nats. NaN if any
// is.
#define FLV_SMALL_GRADIENT 1e-3
double flv_residual(const flv_graph *graph, const double *a, double scale_b, const double *b,
                    int parts);

#endif
