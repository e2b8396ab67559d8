// Objectives: pure functions from log-probabilities to a loss and cotangents.
//
// An objective sees a ragged batch of trajectories and nothing else: no network, environment or
// tape. Trajectory i has positions offset[i] .. offset[i+1]-1, one per state s_0 .. s_n. Position p
// holds
//   log_pf[p]   log P_F of the action taken there (the last is the exit; 0 if there is none)
//   log_pb[p]   log P_B of the step from there back to the one before (0 at the first position)
// so sum log_pf and sum log_pb over the positions are log P_F(tau) and log P_B(tau | x).
//
// Fragments. To objectives that are sums over transitions (FLV_TAKES_FRAGMENTS) a trajectory may be
// only a piece of one, states s_i .. s_j: open[] says what it lacks.
//   FLV_OPEN_START  the first position is not s0. Its log_pb is 0 all the same: the step into it is
//                   not part of the fragment.
//   FLV_OPEN_END    the last position is neither where the exit is taken nor a terminal state. No
//                   action is taken there, its log_pf is 0, and log_r[i] is not known (NaN) unless
//                   log_r_state is asked for, when it is that of the last state.
// So a step s -> s' is the two positions s, s', and an exit is the one position where it is taken.
// A trajectory cut into fragments has each of its steps in one of them: sums over steps are the
// same. What sums over states has to count a state with the step that leads to it, once.
#ifndef FLUVIAL_OBJECTIVE_H
#define FLUVIAL_OBJECTIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "fluvial/config.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FLV_OPEN_START = 1, FLV_OPEN_END = 2 };

typedef struct flv_trajectories {
  int n;                    // trajectories
  const int32_t *offset;    // [n+1]
  const double *log_pf;     // [offset[n]]
  const double *log_pb;     // [offset[n]]
  const double *log_f;      // [offset[n]] log F(s), learned; NULL if not needed
  const double *log_inflow; // [offset[n]] log of the flow into s from its parents, -INFINITY at s0;
                            // NULL if not needed
  const double *log_pf_target, *log_f_target; // [offset[n]] log_pf and log_f by the target network
                                              // (constants); NULL if not needed
  const double *log_pf_exit_target;           // likewise log_pf_exit
  const double *log_pf_exit;                  // [offset[n]] log P_F(exit | s); NULL if not needed
  const double *log_r_state; // [offset[n]] log R(s) of every state; NULL if not needed
  const double *log_r;       // [n] log R(x)
  const double
      *log_pi;         // [n] log-probability under the behaviour policy that made the trajectory; 0
                       // for fragments
  const uint8_t *open; // [n] FLV_OPEN_* of each; NULL: all are whole
  double log_z;        // learned log Z
  bool exits;          // the last position takes an exit action; else it is a terminal state
  double *scratch;     // [6 n + 2 offset[n]] doubles to work in
} flv_trajectories;

// d loss / d each input, accumulated by the objective into zeroed arrays.
typedef struct flv_cotangents {
  double *log_pf, *log_pb;     // [offset[n]]
  double *log_f, *log_pf_exit; // [offset[n]] or NULL, as above
  double *log_inflow;          // likewise
  double log_z;
  double ess; // effective sample size of the weights it used, n if it used none
} flv_cotangents;

// What it needs beyond log_pf, log_pb, log_r, log_pi (bits of flv_objective.needs).
enum {
  FLV_NEEDS_LOG_F = 1,        // log_f, from a head or a network of its own
  FLV_NEEDS_EXIT = 2,         // log_pf_exit
  FLV_NEEDS_STATE_REWARD = 4, // log_r_state
  // P_F's logits are log flows of edges, log F(s -> s'), or soft Q-values, and log_f is their
  // logsumexp, so that log_f + log_pf is the logit of the action taken. Instead of FLV_NEEDS_LOG_F.
  FLV_NEEDS_FLOWS = 8,
  FLV_NEEDS_INFLOW = 16, // log_inflow, from the parents of every state visited; with FLOWS
  FLV_NEEDS_TARGET = 32, // log_pf_target and, with FLOWS, log_f_target; with EXIT,
                         // log_pf_exit_target
  FLV_NEEDS_OBJECTS =
      64, // trajectories drawn back from objects, given or stored; it has no use for
          // those of P_F
  FLV_TAKES_FRAGMENTS = 128, // it is a sum over transitions
  FLV_SKIPS_EXITS = 256      // and exits add nothing to it
};

// How it uses log Z and the behaviour policy, with its default options (bits of
// flv_objective.uses). Training does not read these, people do (`fluvial list objectives --table`);
// tests/test_objective.c measures whether they are true.
enum {
  FLV_USES_LOG_Z = 1,   // what P_F and P_B follow depends on the learned log Z
  FLV_TRAINS_LOG_Z = 2, // log Z gets a gradient
  FLV_USES_LOG_PI = 4   // it weighs trajectories by importance, and so depends on log_pi
};

// What an objective's registry entry (flv_component.impl) points to.
typedef struct flv_objective {
  unsigned needs;
  // Returns the loss; cannot fail.
  double (*loss)(const void *cfg, const flv_trajectories *t, flv_cotangents *d);
  unsigned (*needs_also)(const void *cfg); // what depends on its options; NULL: nothing does
  unsigned uses;
  // For people, in plain text on one line; each may be NULL. Notation: docs/objectives.md.
  const char *formula;    // the loss, or else what P_F follows
  const char *formula_pb; // what P_B follows: NULL: the same; "nothing": it has no gradient
  const char *source;     // where it comes from: authors, year, arXiv number
} flv_objective;

// All that it needs with these options.
static inline unsigned flv_objective_needs(const flv_objective *objective, const void *cfg) {
  return objective->needs | (objective->needs_also ? objective->needs_also(cfg) : 0);
}

#ifdef __cplusplus
}
#endif
#endif
