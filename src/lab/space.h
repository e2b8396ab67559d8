// Where gradients live: the logits of every state, or the network's parameters. A space keeps a
// pool of trajectories of one behaviour policy, and gives the gradient that an objective makes of a
// batch of them.
#ifndef FLUVIAL_LAB_SPACE_H
#define FLUVIAL_LAB_SPACE_H

#include "base/rng.h"
#include "exact/problem.h"
#include "lab/behaviour.h"
#include "learn/trainer_impl.h"

typedef struct flv_lab_tensor { // entries begin .. end-1 of a gradient
  size_t begin, end;
  int side; // 0: P_F's, 1: P_B's
} flv_lab_tensor;

enum { FLV_LAB_TENSORS = FLV_NET_MAX_TENSORS };

typedef struct flv_lab_space {
  void *self;
  int workers; // gradients may be asked for by so many at once
  size_t size; // of a gradient
  int n_tensors;
  flv_lab_tensor tensor[FLV_LAB_TENSORS];
  double off_policy; // D(pi || P_F) of the pool's behaviour
  flv_error failure; // why gradients are of no use from then on; status FLV_OK: they are
  // The policy has parameters `now`, that which behaves has `past` (each [policy.n_params]) and the
  // behaviour is made of it.
  void (*place)(void *self, const float *now, const float *past,
                const flv_lab_behaviour *behaviour);
  // Fills the pool with `chunks` large batches of the behaviour.
  void (*draw)(void *self, flv_rng rng, int chunks);
  // Of pool trajectories first .. first+n-1: the gradient into g [size]; returns the effective
  // sample size.
  double (*gradient)(void *self, int worker, const flv_chosen *chosen, int first, int n, double *g);
  void (*free_self)(void *self);
} flv_lab_space;

// large: trajectories of a large batch; chunks: large batches of the pool.
flv_status flv_lab_space_logits(flv_lab_space *space, flv_problem *problem,
                                const flv_policy *policy, int large, int chunks, int workers,
                                flv_error *err);
// needs: of all objectives that will be asked for.
flv_status flv_lab_space_parameters(flv_lab_space *space, flv_trainer *trainer, unsigned needs,
                                    int large, int chunks, int threads, flv_error *err);

// ---- of logits only

// log pi of moves, and of all trajectories where they are enumerated (else NULL).
typedef struct flv_lab_source {
  const double *log_move, *log_path;
  bool on_policy;
} flv_lab_source;
flv_lab_source flv_lab_source_of(const flv_lab_space *space);

// The problem's policy becomes that with the trainer's parameters `params`.
void flv_lab_read(flv_problem *problem, const flv_policy *policy, const float *params);

#endif
