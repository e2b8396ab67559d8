// The estimators of one behaviour policy at one point of training: rows of the result.
#ifndef FLUVIAL_LAB_CELL_H
#define FLUVIAL_LAB_CELL_H

#include "lab/exact_moments.h"
#include "lab/measure.h"
#include "lab/spec.h"

typedef struct flv_lab_worker { // working memory of a thread
  flv_lab_measure measure;
  flv_lab_exact exact; // of logits
} flv_lab_worker;

typedef struct flv_lab_cells {
  flv_trainer *trainer;
  flv_problem *problem; // NULL: gradients of parameters
  const flv_estimators_options *o;
  int sides; // 2 where P_B is learned
  flv_lab_specs specs;
  flv_lab_space space;
  flv_lab_worker *worker; // [space.workers]
  flv_lab_true *truth;    // [specs.n_objectives]
  int64_t iteration;
  const float *now; // the policy there
  void *block;
} flv_lab_cells;

// Takes the problem, on failure too: flv_lab_cells_free frees it. o is without 0 and NULL.
flv_status flv_lab_cells_init(flv_lab_cells *cells, flv_trainer *trainer, flv_problem *problem,
                              const flv_estimators_options *o, flv_error *err);
void flv_lab_cells_free(flv_lab_cells *cells); // accepts zeroed cells

// Goes to a point of training: true gradients of the objectives that have importance weights. Fails
// where the reward does.
flv_status flv_lab_cells_at(flv_lab_cells *cells, int64_t iteration, const float *now,
                            flv_error *err);

// Appends the rows of a behaviour, made of the policy with parameters `past`.
flv_status flv_lab_cells_run(flv_lab_cells *cells, const float *past,
                             const flv_lab_behaviour *behaviour, flv_estimators *out,
                             flv_error *err);

#endif
