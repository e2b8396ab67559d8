// The laboratory of gradient estimators: how far from the truth the gradient is that an objective
// makes of a batch, and how noisy, by control variate, importance weights, behaviour policy and
// batch size, at chosen points along training.
//
// A configuration is trained, and its policy kept at each point. There, for every behaviour policy,
// trajectories are drawn and every estimator is applied to the same ones.
//
// Space. Gradients are with respect to logits (one for each state and action, as if the policy were
// a table) wherever the states can be enumerated; else to the network's parameters, through the
// trainer's own forward and backward passes. One space in all of a result.
//
// Exact or estimated. Mean and covariance are exact, with respect to logits, where one of these is
// possible: the objective is linear in the log-ratios of whole trajectories (dynamic programming,
// any number of trajectories, batches of up to 256); it is a mean over trajectories, all of which,
// up to 20000, are enumerated (any batch); or all batches are enumerated. Elsewhere they are
// estimated from `repeats` times `large` trajectories cut into batches, with standard errors. The
// cosines and the effective sample size of batches are always estimated.
#ifndef FLUVIAL_ESTIMATORS_H
#define FLUVIAL_ESTIMATORS_H

#include <stdbool.h>
#include <stdint.h>

#include "fluvial/config.h"
#include "fluvial/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum flv_estimators_space {
  FLV_SPACE_AUTO,      // logits where the states can be enumerated
  FLV_SPACE_LOGITS,    // else an error
  FLV_SPACE_PARAMETERS // of the network; nothing is exact
} flv_estimators_space;

typedef struct flv_estimators_options { // 0 and NULL: as said
  const int64_t *at; // [n_at] iterations to measure at; NULL: 0, n/10 and n, n the smaller one of
  int n_at;          // 1000 and the configuration's
  const int *batch;  // [n_batch] NULL: 16 and 64
  int n_batch;
  int large;   // trajectories of a large batch; 0: 1024
  int repeats; // large batches; 0: 4
  // Lists of words between commas. NULL: all that are named here, but of the objectives
  // "tb:loss=half_squared,log_variance:loss=half_squared,reverse_kl,forward_kl".
  const char *objectives; // each with options behind it, "renyi:alpha=2:weighted_log_z=true"
  const char *baselines;  // none,local,global,leave_one_out,optimal
  const char *weights;    // none,plain,self_normalised,clipped
  const char *behaviours; // on_policy, epsilon=0.01|0.05|0.1|0.25|0.5, exit_bias=0.5|1|2,
                          // replay=100|1000: the policy of that many iterations before; points of
                          // training that have none leave it out
  flv_estimators_space space;
  int threads; // 0: all cores; no effect on the result
  // What is being done, and how much of it is; may be NULL.
  void (*progress)(void *user, const char *what, int64_t done, int64_t of);
  void *user;
  const volatile int *stop; // set to 1: FLV_ESTOPPED; may be NULL
} flv_estimators_options;

// One estimator of the gradient of one policy. Norms are Euclidean; a number that is not known is
// NaN, an error that is not known likewise, and that of an exact number 0.
//
// The true gradient is what the estimator stands for with unbounded batches. Of an objective with
// importance weights: that of its divergence at the present policy, whatever the behaviour. Of a
// balance objective, whose loss is defined under the behaviour: the expected gradient there, in
// the limit of large batches.
typedef struct flv_estimator {
  int64_t iteration;  // of training
  char objective[96]; // with its options
  char baseline[16];  // "-": it has no effect on this policy's gradient
  char weights[20];   // "-": the objective has none
  char behaviour[24]; // as in the list
  char policy[4];     // "P_F" or "P_B": whose gradient
  int batch;          // B
  bool exact;         // mean, bias and trace
  double off_policy;  // D(pi || P_F) over trajectories, nats; exact with respect to logits
  double true_norm;   // of the true gradient g
  double mean_norm;   // ||E G||
  double bias;        // ||E G - g||; estimated: less what noise adds to it, and at least 0
  double bias_error;  // noise of the estimated mean, sqrt(trace / batches): no smaller bias shows
  double trace;       // of Cov G
  double trace_error;
  double snr;       // ||E G|| / sqrt(trace)
  double snr_error; // 1 / sqrt(batches): what noise alone would show
  double ess;       // mean over batches of the objective's effective sample size, as a share of B
  double ess_error;
  double ess_limit; // the same for this policy's weights and B to infinity, exactly
  // Mean over batches of the cosine of the angle to the gradient of the large batch they are part
  // of (by the same estimator), and to the true gradient; over parameters, mean over tensors of
  // their cosines, as the released code of Malkin et al. 2023 logs the first of them.
  double cosine, cosine_error;
  double cosine_true, cosine_true_error;
  double scalar; // baseline optimal: the scalar that makes the trace smallest
} flv_estimator;

typedef struct flv_estimators {
  bool logits;     // else parameters
  bool true_exact; // all true gradients are exact; else some are from large batches
  int large, repeats;
  int n;
  flv_estimator *row; // [n] by iteration, behaviour, objective, weights, baseline, batch, policy
} flv_estimators;

// Trains cfg and measures. P_B has rows where it is learned. NULL on failure. FLV_EINVAL: a word
// that is in no list, an objective that needs what the policy has not (log F, an exit action), a
// batch of more than `large`, FLV_SPACE_LOGITS where states cannot be enumerated or R is 0.
flv_estimators *flv_estimators_new(const flv_config *cfg, const flv_estimators_options *options,
                                   flv_error *err);
void flv_estimators_free(flv_estimators *estimators); // accepts NULL

#ifdef __cplusplus
}
#endif
#endif
