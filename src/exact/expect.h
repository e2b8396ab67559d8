// Expectation of an objective over all batches of trajectories: its own loss function, called on
// every batch there is.
//
// For B trajectories drawn independently from q, and the gradient estimator G that the objective
// makes of them,
//   E[loss], E[G], and tr Cov[G] = E ||G||^2 - ||E[G]||^2
// are sums over n^B batches. Gradients are with respect to logits, log F and log Z (tables.h);
// those of objectives on edge flows as walks.h says.
#ifndef FLUVIAL_EXACT_EXPECT_H
#define FLUVIAL_EXACT_EXPECT_H

#include "exact/paths.h"
#include "exact/walks.h"

enum { FLV_EXPECT_BATCH = 3, FLV_EXPECT_BATCHES = 1 << 15, FLV_EXPECT_ALL = 1 << 11 };

typedef struct flv_expect {
  const flv_paths *paths;
  const flv_tables *target; // of the target network; NULL: the same as the policy's
  double *mean;             // [layout.size + n_states] E[G] of the latest run
  double loss, ess;         // E[loss]; effective sample size of the latest batch
  double trace[2];          // tr Cov of the gradients of P_F's and of P_B's logits
  flv_walks walks;          // one batch
  double *one;              // [layout.size + n_states] gradient of one batch
  void *block;
} flv_expect;

flv_status flv_expect_init(flv_expect *expect, const flv_paths *paths, flv_error *err);
void flv_expect_free(flv_expect *expect);

// Batches of B that flv_expect_run takes: n^B is at most FLV_EXPECT_BATCHES.
bool flv_expect_can(const flv_paths *paths, int batch);

// log_q [paths->n]: log-probabilities of the trajectories, which are also recorded as those of the
// behaviour policy. trace is computed where asked for (it costs a pull-back per batch), else 0.
void flv_expect_run(flv_expect *expect, const flv_chosen *chosen, const flv_tables *tables,
                    const double *log_q, int batch, bool with_trace);

// The one batch that holds every trajectory once, with log_pi [paths->n] for the behaviour policy:
// its loss, gradient (in mean) and ess. False, and nothing done, when there are more than
// FLV_EXPECT_ALL of them.
bool flv_expect_all(flv_expect *expect, const flv_chosen *chosen, const flv_tables *tables,
                    const double *log_pi);

#endif
