// A problem to check gradients on: a configuration's environment, reward and policy network, as
// tables, with random parameters.
//
// The tables are what the network gives for every state, so gradients with respect to logits can go
// on through its own backward pass to parameters.
#ifndef FLUVIAL_EXACT_PROBLEM_H
#define FLUVIAL_EXACT_PROBLEM_H

#include "exact/complex_step.h"
#include "exact/expect.h"
#include "exact/layers.h"
#include "exact/linear.h"
#include "learn/policy.h"

// Policies that make trajectories: P_F, another one, and the posterior over trajectories.
typedef enum flv_behaviour { FLV_FROM_PF, FLV_FROM_OTHER, FLV_FROM_POSTERIOR } flv_behaviour;

enum { FLV_PROBLEM_PATHS = 20000, FLV_PROBLEM_VECTORS = 8 };

typedef struct flv_problem {
  const char *name;
  uint64_t seed; // of the latest draw
  flv_reward *reward;
  flv_env *env;
  flv_policy policy;
  flv_graph *graph;
  double n_paths;
  bool enumerated; // up to FLV_PROBLEM_PATHS trajectories: paths and expect are there
  flv_paths paths;
  flv_expect expect;
  bool layered; // layers are there; else no_layers says why
  flv_layers layers;
  char no_layers[160];
  flv_moments moments;
  flv_model model;
  double *x, *drawn;                   // [layout.size] parameters now, and as drawn
  flv_tables tables;                   // of x
  flv_tables target;                   // of a target network: log_pf of FLV_FROM_OTHER, log_sum
  double *log_flow;                    // [n_states] exact flow of P_B
  double *log_move[3];                 // [n_moves] of each flv_behaviour
  double *log_path[3];                 // [paths.n]
  double *vector[FLV_PROBLEM_VECTORS]; // [layout.size] working memory
  flv_acts acts;                       // [FLV_PROBLEM_ROWS] rows
  int64_t *index;                      // [FLV_PROBLEM_ROWS]
  uint8_t *mask;                       // [FLV_PROBLEM_ROWS, n_actions]
  double *row;                         // [n_actions]
  float *grad;                         // [policy.n_params]
  double *parameter[2];                // [policy.n_params]
  double *layer_w, *layer_g, *layer_f; // [layers moves], [moves + 2 nodes], [nodes]
  void *block, *layer_block;
} flv_problem;
enum { FLV_PROBLEM_ROWS = 256 };

// Makes env, reward and policy of cfg. FLV_EINVAL besides what these refuse: not enumerable, too
// large, an object with R = 0. NULL on failure.
flv_problem *flv_problem_new(const flv_config *cfg, const char *name, flv_error *err);
void flv_problem_free(flv_problem *problem); // accepts NULL

// Parameters of the network, log Z and the other policy, at random from this seed: large enough
// that probabilities are far from uniform. Sets x and all that follows from it.
void flv_problem_draw(flv_problem *problem, uint64_t seed);

// Everything that follows from x: tables, model, the posterior, log-probabilities of trajectories.
// reset: x as drawn first, and the policy its own target.
void flv_problem_refresh(flv_problem *problem);
void flv_problem_reset(flv_problem *problem);

// x from the network as its parameters are now, and what follows from it.
void flv_problem_read(flv_problem *problem);

// From a gradient with respect to x to the gradient of the network's parameters, in single
// precision, by the network's backward pass; out [policy.n_params].
void flv_problem_parameters(flv_problem *problem, const double *grad, double *out);

// A uniform number in [-1, 1) at an address of the latest seed.
double flv_problem_random(const flv_problem *problem, uint64_t purpose, int item, int step);

#endif
