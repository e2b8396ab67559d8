// Bayesian structure learning: from a table of data to the posterior over causal graphs. (Library
// fluvial_run.)
//
//   flv_structure_configure   a configuration for the table: environment, score, policy, objective
//   flv_run_train             trains it (fluvial/run.h)
//   flv_structure_report      writes what was learned into the run directory
#ifndef FLUVIAL_STRUCTURE_H
#define FLUVIAL_STRUCTURE_H

#include <stdint.h>

#include "fluvial/config.h"
#include "fluvial/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct flv_structure_problem { // NULL and 0: as said
  const char *table;                   // file of data: a row for each observation, named columns
  const char *score;                   // reward: bge, linear_gaussian, bdeu; NULL: bge
  const char *prior;                   // NULL: uniform
  int max_parents;                     // most parents of a variable; 0: any
  int n_required, n_forbidden;
  const char *const *required, *const *forbidden; // "FROM>TO", names of columns
} flv_structure_problem;

// Reads the table and sets what the problem says and what suits its number of variables: sections
// env, reward, policy, objective, exploration, replay, optimiser and schedule, and the top-level
// keys but the seed. FLV_EINVAL, FLV_EIO: the table or an edge is not as it should be; the message
// says which, and the nearest name. cfg is then as before.
flv_status flv_structure_configure(flv_config *cfg, const flv_structure_problem *problem,
                                   flv_error *err);

// The last step before training, after values of the user's own have been set: makes environment
// and reward, which checks them, and starts log Z (unless policy.log_z is not 0) at log R of the
// graph that adding the best edge again and again leads to. Without it a balance objective would
// first have to learn log Z, which is in the hundreds for ordinary data. truth: file of the true
// graph, or NULL, checked so that training is not in vain.
flv_status flv_structure_prepare(flv_config *cfg, const char *truth, flv_error *err);

typedef struct flv_structure_options { // NULL and 0: as said
  int threads;                         // 0: all cores
  const char *truth; // the true graph: adjacency matrix (row i, column j not 0: i -> j) in a table
  double threshold;  // least probability of an edge that is drawn; 0: 0.5
  int64_t samples;   // graphs to sample; 0: 1000
  uint64_t stream;   // tells independent draws apart
} flv_structure_options;

typedef struct flv_structure_pictures { // why a picture is missing; "" if it is there
  char heat[600], graph[600];
} flv_structure_pictures;

// Writes DIR/report of a run that flv_structure_configure set up, or of any other on env dag whose
// reward is a score of a table; files that are there are replaced, each whole or not at all.
//
//   edges.csv              from,to,probability,error,sampler: every ordered pair of variables
//   paths.csv              the same of directed paths, markov_blankets.csv of unordered pairs
//   edges.png              heat map, with edges.dat and edges.gp
//   graphs.csv             the most probable graphs, at most 100
//   graph.dot, graph.png   edges above the threshold, drawn by Graphviz
//   samples.csv            a graph in each row: its adjacency matrix, row-major, and log R
//   samples.npy            the same graphs, int [n, d, d]
//   summary.txt            what matters, in words
//
// `probability` is exact where the graphs can be enumerated, and error is 0; else it is the share
// of the sampled graphs, with its standard error. `sampler` is the probability under the trained
// sampler. A picture whose program is missing is no failure: pictures, or NULL, says so.
flv_status flv_structure_report(const char *dir, const flv_structure_options *options,
                                flv_structure_pictures *pictures, flv_error *err);

#ifdef __cplusplus
}
#endif
#endif
