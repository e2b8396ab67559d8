// Optimisers and learning-rate schedules.
#ifndef FLUVIAL_NN_OPTIM_H
#define FLUVIAL_NN_OPTIM_H

#include <stddef.h>
#include <stdint.h>

#include "fluvial/config.h"
#include "nn/net.h"

// Learning-rate groups: which of the four rates a tensor takes. Groups beyond the net's (log Z) are
// extra.
enum { FLV_GROUP_PF, FLV_GROUP_PB, FLV_GROUP_LOG_F, FLV_GROUP_LOG_Z, FLV_GROUPS };

typedef struct flv_optim {
  const flv_component
      *component; // adam, adamw, sgd; must outlive the optimiser, as cfg and net must
  const void *cfg;
  size_t n;           // floats
  const flv_net *net; // tensor -> group; log Z stands behind the net's block, group FLV_GROUP_LOG_Z
  float *m, *v;       // moments [n]; sgd: m is its velocity, v stays 0
  int64_t step;       // updates made
  double lr_factor;   // set by the schedule before each step; 1 at first
} flv_optim;

extern const flv_component *const flv_optim_list[];    // adam, adamw, sgd
extern const flv_component *const flv_schedule_list[]; // constant, cosine, multistep, plateau

flv_status flv_optim_init(flv_optim *optim, const flv_component *component, const void *cfg,
                          const flv_net *net, flv_error *err);
void flv_optim_free(flv_optim *optim);

// Euclidean norm of grad, in double, in a fixed order.
double flv_grad_norm(size_t n, const float *grad);

// One update of params[n] from grad[n] (n = net->n_params + 16: the block and, at net->n_params,
// log Z). grad_norm is flv_grad_norm(net->n_params, grad): log Z does not belong to it. With cfg's
// clip_norm c > 0 the gradient of the block is scaled so that its norm is at most c. Weight decay
// leaves log Z alone, whose rule may be another (log_z). A rate of 0 leaves moments as they are.
void flv_optim_step(flv_optim *optim, float *params, const float *grad, double grad_norm,
                    int threads);

// Schedule: a multiplier on all learning rates.
typedef struct flv_schedule {
  const flv_component *component;
  const void *cfg;
  double factor;   // present multiplier
  double best;     // plateau: best metric so far
  int64_t best_at; // plateau: iteration of the best, or of the last reduction
  double metric;   // plateau: reported and not yet looked at; NaN: none
} flv_schedule;

void flv_schedule_init(flv_schedule *schedule, const flv_component *component, const void *cfg);
// Factor for iteration `iteration` (from 0) of `iterations`. plateau looks at a reported metric
// here: an improvement is kept with this iteration; without one for `patience` iterations the
// factor falls.
double flv_schedule_at(flv_schedule *schedule, int64_t iteration, int64_t iterations);
// A value of the plateau metric (smaller is better). NaN is ignored.
void flv_schedule_report(flv_schedule *schedule, double metric);
// Column of metrics.csv that the plateau schedule watches, or NULL for the others.
const char *flv_schedule_metric(const flv_schedule *schedule);

#endif
