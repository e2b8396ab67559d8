// BGe: log marginal likelihood of Gaussian networks under a normal-Wishart prior that gives Markov
// equivalent graphs the same score. [Geiger & Heckerman 1994; Kuipers, Moffa & Heckerman 2014,
// arXiv:1402.6863]
//
// N rows, d columns, T = t I, t = alpha_mu (alpha_w - d - 1) / (alpha_mu + 1), S the scatter about
// the column means xbar, R = T + S + N alpha_mu / (N + alpha_mu) (xbar - nu)(xbar - nu)'. For
// variable j with l parents P
//   local = 1/2 log(alpha_mu / (N + alpha_mu)) - N/2 log pi
//         + lgamma((N + alpha_w - d + l + 1)/2) - lgamma((alpha_w - d + l + 1)/2)
//         + 1/2 (alpha_w - d + 2l + 1) log t
//         + 1/2 (N + alpha_w - d + l) log det R[P,P]
//         - 1/2 (N + alpha_w - d + l + 1) log det R[P+j,P+j]
#include <math.h>
#include <stdlib.h>

#include "reward/dag_score.h"
#include "reward/gaussian.h"

#define BGE_KEYS(X)                                                                                \
  X(REAL, alpha_mu, "1", 1e-12, 1e12, "", "prior weight of the mean, in observations")             \
  X(REAL, alpha_w, "0", 0, 1e12, "",                                                               \
    "degrees of freedom of the Wishart prior, more than d + 1; 0: d + 2")                          \
  X(REAL, mean, "0", -1e100, 1e100, "", "prior mean nu of every variable")                         \
  X(BOOL, standardise, "false", 0, 0, "", "scale every column to mean 0 and variance 1 first")
typedef struct bge_cfg {
  flv_dag_keys dag;
  BGE_KEYS(FLV_FIELD)
} bge_cfg;
#define FLV_STRUCT bge_cfg
static const flv_param bge_params[] = {FLV_DAG_KEYS(FLV_DAG_PARAM) BGE_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

typedef struct bge {
  double freedom;                 // N + alpha_w - d
  double constant[FLV_GAUSS_MAX]; // [d] all that depends on l alone
  flv_gauss *gauss;               // m = R
} bge;

static double bge_local(const void *model, int j, uint64_t parents) {
  const bge *self = model;
  double log_det = 0.0, log_rest = 0.0;
  if (!flv_gauss_logdets(self->gauss, j, parents, &log_det, &log_rest))
    return (double)-INFINITY; // cannot be: flv_gauss_check
  const int l = __builtin_popcountll((unsigned long long)parents);
  return self->constant[l] - 0.5 * log_det - 0.5 * (self->freedom + l + 1) * log_rest;
}

static void bge_free(void *model) {
  bge *self = model;
  if (self) free(self->gauss);
  free(self);
}

static flv_status bge_fill(bge *self, const bge_cfg *cfg, const flv_dataset *data, flv_error *err) {
  const int n = data->rows, d = data->columns;
  const double alpha_w = cfg->alpha_w > 0.0 ? cfg->alpha_w : d + 2, alpha_mu = cfg->alpha_mu;
  if (alpha_w <= d + 1)
    return flv_fail(err, FLV_EINVAL,
                    "reward.alpha_w: expected more than %d, the variables and 1, found %g", d + 1,
                    alpha_w);
  FLV_TRY(flv_gauss_new(&self->gauss, data, cfg->standardise, err));
  flv_gauss *g = self->gauss;
  const double t = alpha_mu * (alpha_w - d - 1) / (alpha_mu + 1);
  const double weight = n * alpha_mu / (n + alpha_mu);
  for (int i = 0; i < d; i++)
    for (int k = 0; k < d; k++) {
      const double mean = weight * (g->mean[i] - cfg->mean) * (g->mean[k] - cfg->mean);
      g->m[i * d + k] += (i == k ? t : 0.0) + mean;
    }
  FLV_TRY(flv_gauss_check(g, data, err));
  self->freedom = n + alpha_w - d;
  for (int l = 0; l < d; l++) {
    int sign = 0;
    self->constant[l] = 0.5 * log(alpha_mu / (n + alpha_mu)) - 0.5 * n * log(acos(-1.0)) +
                        lgamma_r(0.5 * (n + alpha_w - d + l + 1), &sign) -
                        lgamma_r(0.5 * (alpha_w - d + l + 1), &sign) +
                        0.5 * (alpha_w - d + 2 * l + 1) * log(t);
  }
  return FLV_OK;
}

static flv_status bge_create(flv_reward *reward, const void *values, flv_error *err) {
  const bge_cfg *cfg = values;
  flv_dag_score *score = NULL;
  FLV_TRY(flv_dag_score_new(&score, "bge", &cfg->dag, FLV_DATA_NUMBERS, err));
  bge *self = calloc(1, sizeof *self);
  score->local = bge_local;
  score->free_model = bge_free;
  score->model = self;
  const flv_status status = self ? bge_fill(self, cfg, &score->data, err)
                                 : flv_fail(err, FLV_ENOMEM, "out of memory for reward 'bge'");
  if (status == FLV_OK)
    flv_dag_score_reward(reward, "bge", &cfg->dag, score);
  else
    flv_dag_score_free(score);
  return status;
}

static const flv_reward_impl bge_impl = {bge_create};
const flv_component flv_reward_bge = {
    "bge",           "graphs: continuous data, Gaussian networks, equivalent graphs score the same",
    bge_params,      sizeof bge_params / sizeof *bge_params,
    sizeof(bge_cfg), &bge_impl};
