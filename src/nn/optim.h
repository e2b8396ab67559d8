// Optimisers and learning-rate schedules.
#ifndef FLUVIAL_NN_OPTIM_H
#define FLUVIAL_NN_OPTIM_H

#include <stddef.h>
#include <stdint.h>

#include "fluvial/config.h"
#include "nn/net.h"

// Learning-rate groups: which of the four rates a tensor takes. Groups beyond the net's (log Z) are extra.
enum { FLV_GROUP_PF, FLV_GROUP_PB, FLV_GROUP_LOG_F, FLV_GROUP_LOG_Z, FLV_GROUPS };

typedef struct flv_optim {
  const flv_component *component; // adam, adamw, sgd
  const void *cfg;
  size_t n;              // floats
  const flv_net *net;    // tensor -> group; log Z is the last float of the block, group FLV_GROUP_LOG_Z
  float *m, *v;          // moments [n]
  int64_t step;          // updates made
  double lr_factor;      // set by the schedule before each step
} flv_optim;

extern const flv_component *const flv_optim_list[];    // adam, adamw, sgd
extern const flv_component *const flv_schedule_list[]; // constant, cosine, multistep, plateau

flv_status flv_optim_init(flv_optim *optim, const flv_component *component, const void *cfg, const flv_net *net,
                          flv_error *err);
void flv_optim_free(flv_optim *optim);

// Euclidean norm of grad, in double, in a fixed order.
double flv_grad_norm(size_t n, const float *grad);

// One update of params[n] from grad[n] (n = net->n_params + 16: the block and, at net->n_params, log Z).
// Clips the norm of everything but log Z to cfg's clip_norm (0: never) given the norm.
void flv_optim_step(flv_optim *optim, float *params, const float *grad, double grad_norm, int threads);

// Schedule: a multiplier on all learning rates.
typedef struct flv_schedule {
  const flv_component *component;
  const void *cfg;
  double factor;       // present multiplier
  double best;         // plateau: best metric so far
  int64_t best_at;     // plateau: iteration of the best, or of the last reduction
  double metric;       // plateau: last reported value
} flv_schedule;

void flv_schedule_init(flv_schedule *schedule, const flv_component *component, const void *cfg);
// Factor for iteration `iteration` (from 0) of `iterations`.
double flv_schedule_at(flv_schedule *schedule, int64_t iteration, int64_t iterations);
// A value of the plateau metric (smaller is better).
void flv_schedule_report(flv_schedule *schedule, double metric);
// Column of metrics.csv that the plateau schedule watches, or NULL for the others.
const char *flv_schedule_metric(const flv_schedule *schedule);

#endif
