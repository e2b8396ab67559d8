// Run directories: one training run, from a configuration to files. (Library fluvial_run.)
//
//   DIR/config.yaml              every value, fully resolved
//   DIR/metrics.csv              one row per evaluation; the same bits for any number of threads
//   DIR/timing.csv               seconds and trajectories/s at those iterations (not reproducible)
//   DIR/objects.csv              where objects have texts (molecules): each when it is first found
//   DIR/best.csv, diverse.csv    the best of them, and the best that are unlike each other
//   DIR/checkpoint.safetensors   written to a temporary file, synced, renamed
//   DIR/plots/*.png              with the data and the gnuplot script that drew them
//
// The directory is prepared beside its name and renamed into place, so it is never half made; a
// lock held while training keeps a second process out.
#ifndef FLUVIAL_RUN_H
#define FLUVIAL_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "fluvial/assess.h"
#include "fluvial/config.h"
#include "fluvial/env.h"
#include "fluvial/estimators.h"
#include "fluvial/molecule_eval.h"
#include "fluvial/objects.h"
#include "fluvial/status.h"
#include "fluvial/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

// What training has found so far, where objects have texts (flv_env.text_name). Rewards are values
// of flv_reward_value; NaN where there are none yet.
typedef struct flv_found {
  bool archived;   // else nothing here is known
  int64_t objects; // distinct ones
  int64_t above;   // of them worth archive.modes_above or more
  int64_t modes;   // of those, as they were found, each that is unlike all before it
  double best_log_r, best;
  double low, median,
      high; // tenth, half and nine tenths of the latest 1000 objects, repeated ones too
} flv_found;

typedef struct flv_best_options { // in the order of the section `archive`
  int n;                          // most rows of each file; 0: as the run's configuration says
  double modes_above, similarity; // below 0: likewise
} flv_best_options;

typedef struct flv_best {
  int64_t objects;                // distinct ones that were found; 0: none, or there is no archive
  int64_t above;                  // of them worth modes_above or more
  int64_t modes;                  // of those, from the best down, each that is unlike all before it
  double modes_above, similarity; // that were used
  int n_best, n_diverse;          // rows that were written
  double best;                    // largest reward
} flv_best;

typedef struct flv_progress {
  flv_stats stats;           // of the latest iteration
  flv_evaluation evaluation; // the latest one; n = 0 before the first
  flv_found found;
  flv_best best;             // once finished
  int64_t iterations;        // to do in all
  int64_t before;            // of them, done before this process went on with the run
  double seconds;            // since this process began training
  double trajectories_per_s; // over the last second or so
  bool evaluated;            // this call brings a new evaluation
  bool finished;
} flv_progress;

typedef struct flv_run_options {
  const char *out;    // directory to make
  const char *resume; // directory to go on with, instead of out (cfg is then read from it)
  int threads;        // 0: all cores
  void (*progress)(void *user,
                   const flv_progress *progress); // at most about 10 times a second; may be NULL
  void *user;
  const volatile int
      *stop; // set to 1 (by a signal handler): checkpoint, then return FLV_ESTOPPED; may be NULL
} flv_run_options;

// Trains to the end of the configuration. cfg may be NULL with resume.
flv_status flv_run_train(const flv_config *cfg, const flv_run_options *options, flv_error *err);

// Opens a run for evaluation or sampling: its trainer with the checkpoint's parameters. NULL on
// failure.
flv_trainer *flv_run_open(const char *dir, int threads, flv_error *err);

// Evaluation that a plain reader trusts: exact where possible, else `samples` samples.
flv_status flv_run_evaluate(const char *dir, int threads, int64_t samples, flv_evaluation *out,
                            flv_error *err);

// Assessment of a run's sampler (fluvial/assess.h). objects: a file for flv_objects_read, whose
// objects are then the given ones, or NULL. options may be NULL.
flv_status flv_run_assess(const char *dir, int threads, const char *objects,
                          const flv_assess_options *options, flv_assessment *out, flv_error *err);

typedef struct flv_run_molecules_options {
  const char *molecules; // file for flv_molecule_list_parse
  const char *out; // table to write: line, blocks, writings, log_r, log_p, log_p_legacy; NULL: none
  int threads;     // 0: all cores
  void (*progress)(void *user, double done); // share done; may be NULL
  void *user;
} flv_run_molecules_options;

// log P_T and log R of the molecules of a file, and their correlation (fluvial/molecule_eval.h).
flv_status flv_run_molecules(const char *dir, const flv_run_molecules_options *options,
                             flv_molecule_evaluation *out, flv_error *err);

// The best objects that training found (the first of its options.n by reward), with their rewards,
// into dir/best.csv; and into dir/diverse.csv, from the best down, those whose Tanimoto similarity
// to all before them is below options.similarity, with the largest of those similarities (nearest).
// A run in training may be asked too. options may be NULL. FLV_EINVAL where objects have no texts.
flv_status flv_run_best(const char *dir, const flv_best_options *options, flv_best *out,
                        flv_error *err);

// Writes n sampled objects to path (.csv: one row per object with its log-reward, or, where objects
// have texts, its text, log-reward and reward; .npy: int array [n, dims]).
flv_status flv_run_sample(const char *dir, int threads, uint64_t stream, int64_t n,
                          const char *path, flv_error *err);

// Pictures. Curves of `metric` over trajectories of all runs in one PNG; target and learned 2-D
// marginals of one run side by side. Each leaves its data and script beside the picture. metric
// NULL: "jsd".
flv_status flv_run_plot_curves(int n, const char *const *dirs, const char *metric, const char *png,
                               flv_error *err);
flv_status flv_run_plot_heat(const char *dir, int threads, const char *png, flv_error *err);

// Estimators of P_F's gradient at the latest point and with the largest batch, a line for each
// objective and kind of weights (not "none"), with baseline global, or the first there is:
// variance, bias, signal to noise and cosine. kind "epsilon", "exit_bias" or "replay": over that,
// with on-policy as 0; NULL: all behaviours, over D(pi || P_F).
flv_status flv_run_plot_estimators(const flv_estimators *estimators, const char *kind,
                                   const char *png, flv_error *err);
// How many behaviours of that kind, on-policy among them, there are at the latest point.
int flv_run_count_behaviours(const flv_estimators *estimators, const char *kind);

#ifdef __cplusplus
}
#endif
#endif
