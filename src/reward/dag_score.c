// Priors of one variable with k of the d-1 others as parents, unnormalised over graphs: uniform 0;
// edge k log beta; erdos_renyi k log p + (d-1-k) log(1-p), p = edges_per_node d / (d (d-1) / 2);
// fair -log C(d,k). The last with d, not d-1, as jax-dag-gflownet has it. [Deleu et al. 2022,
// arXiv:2202.13903; Eggeling et al. 2019 for fair]
#include "reward/dag_score.h"

#include <math.h>
#include <stdlib.h>

enum { PRIOR_UNIFORM, PRIOR_EDGE, PRIOR_ERDOS_RENYI, PRIOR_FAIR };

// log C(n, k) as a sum, exact to rounding and without lgamma's global sign.
static double log_choose(int n, int k) {
  double sum = 0.0;
  for (int i = 1; i <= k; i++) sum += log((double)(n - k + i) / i);
  return sum;
}

static flv_status fill_prior(flv_dag_score *score, const flv_dag_keys *keys, flv_error *err) {
  const int d = score->d;
  const double p = 2.0 * keys->edges_per_node / (d - 1);
  if (keys->prior == PRIOR_ERDOS_RENYI && !(p < 1.0))
    return flv_fail(err, FLV_EINVAL,
                    "reward.edges_per_node: %g for each of %d variables makes an edge certain (p = "
                    "%g); expected less than %g",
                    keys->edges_per_node, d, p, 0.5 * (d - 1));
  for (int k = 0; k < d; k++) {
    double log_prior = 0.0;
    if (keys->prior == PRIOR_EDGE) log_prior = k * log(keys->beta);
    if (keys->prior == PRIOR_ERDOS_RENYI) log_prior = k * log(p) + (d - 1 - k) * log1p(-p);
    if (keys->prior == PRIOR_FAIR) log_prior = -log_choose(d, k);
    score->log_prior[k] = log_prior;
  }
  return FLV_OK;
}

static flv_status fill(flv_dag_score *score, const char *name, const flv_dag_keys *keys,
                       flv_data_kind kind, flv_error *err) {
  if (!keys->path[0])
    return flv_fail(err, FLV_EINVAL, "reward '%s' needs reward.path, a table of data", name);
  FLV_TRY(flv_dataset_read(&score->data, keys->path, kind, err));
  score->d = score->data.columns;
  FLV_TRY(fill_prior(score, keys, err));
  score->cache = flv_parent_cache_new(score->d, (size_t)keys->cache_mb << 20);
  if (!score->cache)
    return flv_fail(err, FLV_ENOMEM, "out of memory for reward.cache_mb: %d", keys->cache_mb);
  return FLV_OK;
}

flv_status flv_dag_score_new(flv_dag_score **score, const char *name, const flv_dag_keys *keys,
                             flv_data_kind kind, flv_error *err) {
  flv_dag_score *made = calloc(1, sizeof *made);
  if (!made) return flv_fail(err, FLV_ENOMEM, "out of memory for reward '%s'", name);
  const flv_status status = fill(made, name, keys, kind, err);
  if (status == FLV_OK)
    *score = made;
  else
    flv_dag_score_free(made);
  return status;
}

void flv_dag_score_free(void *self) {
  flv_dag_score *score = self;
  if (!score) return;
  if (score->free_model) score->free_model(score->model);
  flv_parent_cache_free(score->cache);
  flv_dataset_free(&score->data);
  free(score);
}

static double remembered(const flv_dag_score *score, int j, uint64_t parents) {
  double value = 0.0;
  if (flv_parent_cache_get(score->cache, j, parents, &value)) return value;
  value = score->local(score->model, j, parents);
  flv_parent_cache_put(score->cache, j, parents, value);
  return value;
}

static flv_status dag_log_reward(const flv_reward *reward, const flv_env *env, int n,
                                 const void *states, double *log_r, flv_error *err) {
  (void)err;
  const flv_dag_score *score = reward->self;
  const flv_dag_env *dag = flv_dag_env_of(env);
  for (int i = 0; i < n; i++) {
    const void *state = (const unsigned char *)states + (size_t)i * env->state_size;
    double sum = 0.0;
    for (int j = 0; j < score->d; j++) {
      const uint64_t parents = flv_dag_parents(dag, state, j);
      const double term = remembered(score, j, parents) +
                          score->log_prior[__builtin_popcountll((unsigned long long)parents)];
      sum += term - score->offset[j];
    }
    log_r[i] = sum;
  }
  return FLV_OK;
}

static flv_status dag_bind(const flv_reward *reward, const flv_env *env, flv_error *err) {
  const flv_dag_score *score = reward->self;
  const flv_dag_env *dag = flv_dag_env_of(env);
  if (!dag)
    return flv_fail(err, FLV_EINVAL, "reward '%s' needs environment 'dag', not '%s'", reward->name,
                    env->name);
  if (flv_dag_variables(dag) == score->d) return FLV_OK;
  return flv_fail(err, FLV_EINVAL,
                  "reward '%s' has a table of %d variables, the environment's graphs have %d",
                  reward->name, score->d, flv_dag_variables(dag));
}

void flv_dag_score_reward(flv_reward *reward, const char *name, const flv_dag_keys *keys,
                          flv_dag_score *score) {
  for (int j = 0; keys->relative && j < score->d; j++)
    score->offset[j] = remembered(score, j, 0) + score->log_prior[0];
  *reward = (flv_reward){.name = name,
                         .self = score,
                         .shape = {1, {score->d}},
                         .exponent = keys->exponent,
                         .log_reward = dag_log_reward,
                         .bind = dag_bind,
                         .free_self = flv_dag_score_free};
}

const flv_dag_score *flv_dag_score_of(const flv_reward *reward) {
  return reward->log_reward == dag_log_reward ? reward->self : NULL;
}

double flv_dag_local_score(const flv_reward *reward, int j, uint64_t parents) {
  return remembered(reward->self, j, parents);
}
