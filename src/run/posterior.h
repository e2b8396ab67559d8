// What a trained run on graphs knows about the posterior: exactly where all graphs can be
// enumerated, else from samples.
#ifndef FLUVIAL_RUN_POSTERIOR_H
#define FLUVIAL_RUN_POSTERIOR_H

#include <stdbool.h>

#include "env/dag.h"
#include "fluvial/assess.h"
#include "fluvial/structure.h"
#include "metrics/dag_truth.h"
#include "reward/dag_score.h"

enum { FLV_POSTERIOR_GRAPHS = 100 };

typedef struct flv_ranked_graph {
  uint64_t parents[FLV_DAG_MAX_VARIABLES];
  double log_r;
  double probability; // exact, or its share of the samples
  int64_t index;      // which state, or which sample
} flv_ranked_graph;

typedef enum flv_feature { FLV_EDGES, FLV_PATHS, FLV_BLANKETS, FLV_FEATURES } flv_feature;

typedef struct flv_posterior {
  flv_trainer *trainer;
  const flv_env *env;
  const flv_dag_env *dag;
  const flv_dag_score *score;
  int d;
  const char *const *names;

  bool exact;
  int64_t n_graphs;              // all of them; 0: not enumerated
  double jsd, tv;                // exact distance of the sampler from the posterior
  double log_z;                  // exact, of R as it is given
  double *best[FLV_FEATURES];    // [d*d] exact, or of the samples
  double *sampler[FLV_FEATURES]; // [d*d] exact under the sampler, or the same as best
  double rmse[FLV_FEATURES];     // of the two; 0 where they are the same

  int64_t n_samples;
  uint64_t *sample; // [n_samples * d] parents
  double *log_r;    // [n_samples]
  int64_t n_distinct;

  int n_top;
  flv_ranked_graph *top; // [FLV_POSTERIOR_GRAPHS] by log R

  flv_assessment assessment; // where it is not exact

  bool has_truth;
  uint64_t truth[FLV_DAG_MAX_VARIABLES];
  flv_dag_truth to_truth;

  void *block;
} flv_posterior;

// Opens the run and fills everything in. On failure there is nothing to free.
flv_status flv_posterior_open(flv_posterior *posterior, const char *dir,
                              const flv_structure_options *options, flv_error *err);
void flv_posterior_close(flv_posterior *posterior);

// The summary in words (structure_summary.c).
void flv_posterior_summary(FILE *f, const flv_posterior *posterior, double threshold);

#endif
