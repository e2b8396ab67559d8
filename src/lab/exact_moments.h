// Mean and covariance of an estimator with respect to logits, exactly, by whichever way is open.
#ifndef FLUVIAL_LAB_EXACT_MOMENTS_H
#define FLUVIAL_LAB_EXACT_MOMENTS_H

#include "lab/space.h"

// Ways, in the order in which they are tried:
//   LINEAR   the objective is linear in the log-ratios of whole trajectories (exact/linear.h)
//   SINGLE   the gradient of a batch is the mean of those of its trajectories, all of which are
//            enumerated: tr Cov of a batch is that of one trajectory over B
//   BATCHES  all batches are enumerated (exact/expect.h)
typedef enum flv_lab_way {
  FLV_LAB_SAMPLED,
  FLV_LAB_LINEAR,
  FLV_LAB_SINGLE,
  FLV_LAB_BATCHES
} flv_lab_way;

typedef struct flv_lab_exact { // working memory; one for each thread
  const flv_problem *p;
  flv_moments moments;
  flv_expect expect;
  const double *mean; // [layout.size] E[G] of the latest run
  double trace[2];    // tr Cov, where asked for
} flv_lab_exact;

flv_status flv_lab_exact_init(flv_lab_exact *exact, const flv_problem *problem, flv_error *err);
void flv_lab_exact_free(flv_lab_exact *exact);

flv_lab_way flv_lab_exact_run(flv_lab_exact *exact, const flv_chosen *chosen,
                              const flv_tables *tables, const flv_lab_source *source, int batch,
                              bool with_trace);

// The limit of ESS / B for large batches from the source, (E u)^2 / E u^2, of weights with
// log u(tau) = a log P_F - b log pi + d log (R P_B): E_PF's are (1, 1, 0) and E_PB's (0, 1, 1), or
// (-1, 0, 1) where pi is taken to be P_F.
double flv_lab_ess_limit(flv_lab_exact *exact, const flv_tables *tables,
                         const flv_lab_source *source, double a, double b, double d);

#endif
