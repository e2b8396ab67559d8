// One estimator's gradients over the batches of a pool: mean, covariance, angles.
//
// Of N independent batches with gradients G_k and mean G-:
//   tr Cov G        (sum ||G_k||^2 - N ||G-||^2) / (N - 1); its error from the N/2 independent
//                   numbers ||G_k - G_{k+1}||^2 / 2, k even, each of which estimates it too
//   ||E G||^2       ||G-||^2 - tr / N, and ||E G - g||^2 = ||G- - g||^2 - tr / N, both unbiased
// Where g itself is the mean of large batches from independent trajectories, its own trace over
// their number is taken off as well.
#ifndef FLUVIAL_LAB_MEASURE_H
#define FLUVIAL_LAB_MEASURE_H

#include "lab/space.h"

typedef struct flv_lab_true { // a true gradient
  double *g;                  // [size]
  bool exact;
  double noise[2]; // E ||g - true||^2 of each side, 0 if exact
} flv_lab_true;

typedef struct flv_lab_numbers { // of one side
  double mean_norm, bias, bias_error, trace, trace_error, snr_error;
  double cosine, cosine_error, cosine_true, cosine_true_error;
} flv_lab_numbers;

typedef struct flv_lab_measure { // working memory; one for each thread
  const flv_lab_space *space;
  int worker, large;
  double *sum, *now, *before, *whole; // [size]
  flv_lab_numbers side[2];            // of the latest run
  double ess, ess_error;              // as shares of the batch
  void *block;
} flv_lab_measure;

flv_status flv_lab_measure_init(flv_lab_measure *measure, const flv_lab_space *space, int worker,
                                int large, flv_error *err);
void flv_lab_measure_free(flv_lab_measure *measure);

// Batches of B out of the pool's large batches first .. first+n-1. g NULL: traces only.
void flv_lab_measure_run(flv_lab_measure *measure, const flv_chosen *chosen, int first, int n,
                         int batch, const flv_lab_true *g);

// Mean gradient of those large batches themselves, into out->g, and its noise.
void flv_lab_measure_large(flv_lab_measure *measure, const flv_chosen *chosen, int first, int n,
                           flv_lab_true *out);

double flv_lab_norm(const flv_lab_space *space, const double *g, int side);
// || a - b ||
double flv_lab_distance(const flv_lab_space *space, const double *a, const double *b, int side);

#endif
