// Behaviour policies of the laboratory: which policy makes the trajectories.
#ifndef FLUVIAL_LAB_BEHAVIOUR_H
#define FLUVIAL_LAB_BEHAVIOUR_H

#include "exact/tables.h"
#include "learn/explore.h"

typedef enum flv_lab_kind {
  FLV_LAB_ON_POLICY,
  FLV_LAB_EPSILON,
  FLV_LAB_EXIT_BIAS,
  FLV_LAB_REPLAY
} flv_lab_kind;

typedef struct flv_lab_behaviour {
  char name[24]; // "epsilon=0.1"
  flv_lab_kind kind;
  double value; // epsilon, bias, or age in iterations
} flv_lab_behaviour;

enum { FLV_LAB_BEHAVIOURS = 64 };

// From words between commas; NULL: the default list. *n of them into list [FLV_LAB_BEHAVIOURS].
flv_status flv_lab_behaviours(flv_lab_behaviour *list, int *n, const char *words, flv_error *err);

// Iterations back to the policy that makes the trajectories, and what is done to it.
int64_t flv_lab_age(const flv_lab_behaviour *behaviour);
flv_explore flv_lab_explore(const flv_lab_behaviour *behaviour);

// log pi of every move, [n_moves], from that policy's log P_F; what flv_explore_pi does.
void flv_lab_log_pi(double *log_pi, const flv_graph *graph, const double *log_pf,
                    const flv_lab_behaviour *behaviour);

#endif
