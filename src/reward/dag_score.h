// Rewards of directed acyclic graphs given a data table: what the scores share, and what reports
// read.
//
//   log R(G) = sum_j [ local(j, Pa_j) + log prior(|Pa_j|) ]
//
// less the same sum for the empty graph where `relative` is set. local is the log marginal
// likelihood of column j given the columns of its parents, which a score (bge.c, linear_gaussian.c,
// bdeu.c) defines; sums run over j in order.
#ifndef FLUVIAL_REWARD_DAG_SCORE_H
#define FLUVIAL_REWARD_DAG_SCORE_H

#include <stdbool.h>
#include <stdint.h>

#include "env/dag.h"
#include "fluvial/reward.h"
#include "io/dataset.h"
#include "reward/parent_cache.h"
#include "reward/reward_list.h"

// The keys every score has, in a struct of their own that theirs begins with:
//   typedef struct bge_cfg { flv_dag_keys dag; BGE_KEYS(FLV_FIELD) } bge_cfg;
//   static const flv_param bge_params[] = {FLV_DAG_KEYS(FLV_DAG_PARAM) BGE_KEYS(FLV_PARAM)};
#define FLV_DAG_KEYS(X)                                                                            \
  X(TEXT, path, "", 0, 0, "",                                                                      \
    "data table: a row for each observation, a column for each variable "                          \
    "(.csv, .tsv, .npy)")                                                                          \
  X(CHOICE, prior, "uniform", 0, 0, "uniform|edge|erdos_renyi|fair",                               \
    "prior of graphs by the numbers k of parents: 1; beta^k; p^k (1-p)^(d-1-k); 1 / C(d,k)")       \
  X(REAL, beta, "0.5", 1e-300, 1e300, "", "prior edge: factor for every edge")                     \
  X(REAL, edges_per_node, "1", 1e-9, 64, "",                                                       \
    "prior erdos_renyi: expected edges over variables, which must make p less than 1")             \
  X(BOOL, relative, "true", 0, 0, "",                                                              \
    "log R relative to the empty graph, and log Z with it; false: the log joint density itself")   \
  X(INT, cache_mb, "128", 0, 65536, "", "memory for local scores, MiB")                            \
  FLV_EXPONENT_KEY(X)
typedef struct flv_dag_keys {
  FLV_DAG_KEYS(FLV_FIELD)
} flv_dag_keys;
#define FLV_DAG_PARAM(kind, name, def, lo, hi, choices, help)                                      \
  {#name,   FLV_##kind, offsetof(FLV_STRUCT, dag) + offsetof(flv_dag_keys, name), def, lo, hi,     \
   choices, help},

typedef struct flv_dag_score { // flv_reward.self
  flv_dataset data;            // names and columns as they were read
  int d;                       // variables: data.columns
  // Log marginal likelihood of column j given columns `parents` (bit i: column i; never bit j).
  // Thread-safe, cannot fail, a function of (j, parents) alone to the last bit.
  double (*local)(const void *model, int j, uint64_t parents);
  void (*free_model)(void *model); // may be NULL
  void *model;
  double log_prior[FLV_DATA_MAX_COLUMNS]; // [d] of one variable with k parents
  double offset[FLV_DATA_MAX_COLUMNS];    // [d] subtracted from variable j's term
  flv_parent_cache *cache;
} flv_dag_score;

// Reads the table and makes prior and cache; the score adds local, model and free_model. name: the
// reward's, for messages.
flv_status flv_dag_score_new(flv_dag_score **score, const char *name, const flv_dag_keys *keys,
                             flv_data_kind kind, flv_error *err);
void flv_dag_score_free(void *score); // accepts NULL

// Computes the offsets and makes *reward, which owns score from here on.
void flv_dag_score_reward(flv_reward *reward, const char *name, const flv_dag_keys *keys,
                          flv_dag_score *score);

// The score behind a reward, or NULL if it is not one of graphs.
const flv_dag_score *flv_dag_score_of(const flv_reward *reward);

// local(j, parents) of a reward of graphs, from the cache or computed: the same bits.
double flv_dag_local_score(const flv_reward *reward, int j, uint64_t parents);

#endif
