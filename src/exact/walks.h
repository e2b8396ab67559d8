// A batch of trajectories given by their moves, as objectives read it, and the gradient with
// respect to logits that an objective makes of it.
//
// Objectives on edge flows (FLV_NEEDS_FLOWS) take P_F's logits for log F(s -> s'): their gradients
// come to those logits alone.
#ifndef FLUVIAL_EXACT_WALKS_H
#define FLUVIAL_EXACT_WALKS_H

#include "exact/tables.h"
#include "fluvial/objective.h"

// An objective with its options.
typedef struct flv_chosen {
  const flv_objective *objective;
  const void *cfg;
} flv_chosen;

typedef struct flv_walks {
  const flv_graph *graph;
  const flv_tables *target;               // of the target network; NULL: the policy's
  int max_n, n;                           // trajectories
  int32_t *offset;                        // [max_n + 1]
  int32_t *move;                          // [max_n * length]
  double *log_pf, *log_pb, *log_f, *exit; // [max_n * length]
  double *r_state, *log_inflow;           // likewise
  double *log_pf_target, *log_f_target;   // likewise
  double *exit_target;                    // likewise
  double *log_r, *log_pi;                 // [max_n]
  uint8_t *open;                          // [max_n] FLV_OPEN_*
  double *inflow;                         // [n_states] log inflow
  flv_cotangents d;                       // of the latest loss
  double *scratch;
  void *block;
} flv_walks;

flv_status flv_walks_init(flv_walks *walks, const flv_graph *graph, int max_n, flv_error *err);
void flv_walks_free(flv_walks *walks); // accepts zeroed walks

static inline void flv_walks_clear(flv_walks *walks) { walks->n = 0; }

// Log inflows of all states, before trajectories are added for an objective that reads them
// (FLV_NEEDS_INFLOW).
void flv_walks_fill_inflow(flv_walks *walks, const flv_tables *tables);

// Appends a trajectory of `length` moves, the last of which leads to the end, and the
// log-probability of the behaviour policy that made it.
void flv_walks_add(flv_walks *walks, const flv_tables *tables, int length, const int32_t *move,
                   double log_pi);

// Appends its positions begin .. end as a fragment (fluvial/objective.h), which begins at s0 where
// begin is 0, and takes no action at the last of them where its end is open.
void flv_walks_add_part(flv_walks *walks, const flv_tables *tables, const int32_t *move, int begin,
                        int end, bool open_end);

// Calls the objective on the batch: the loss, and walks->d.
double flv_walks_loss(flv_walks *walks, const flv_chosen *chosen, const flv_tables *tables);

// Entries of a gradient: a vector of tables.h, then cotangents of log inflows [n_states].
static inline size_t flv_walks_size(const flv_graph *g) {
  return (size_t)flv_layout_of(g).size + (size_t)g->n_states;
}

// Adds p times the cotangents of log-probabilities of moves, log F, log Z and log inflows to sum.
void flv_walks_spread(const flv_walks *walks, double p, double *sum);

// In place, from these cotangents to the gradient. Of edge flows L: log F(s) = logsumexp of L over
// the moves from s, log inflow(s) of L over the moves into s.
void flv_walks_pull_back(const flv_walks *walks, const flv_chosen *chosen, const flv_tables *tables,
                         double *d);

#endif
