// Linear-Gaussian: X_j = X_P theta + e with theta ~ N(mu0, tau^2) each and e ~ N(0, s^2),
// s^2 known.
//
// With r = (X_j - mu0 X_P 1) / s, y = tau X_P' r and Sg = s^2 I + tau^2 X_P' X_P, all over the l
// parents, column j has the N-variate Gaussian log density (Woodbury; matrix determinant lemma)
//   local = -1/2 [ r'r - y' Sg^-1 y + log det Sg + 2 (N - l) log s + N log 2 pi ]
// Everything comes from G = X'X, so N counts once. There is no intercept: columns should be
// centred, or standardise be set. gfnx (068316d) has the last three terms with the opposite sign.
#include <math.h>
#include <stdlib.h>

#include "base/lapack.h"
#include "reward/dag_score.h"
#include "reward/gaussian.h"

#define LINEAR_KEYS(X)                                                                             \
  X(REAL, mu0, "0", -1e50, 1e50, "", "prior mean of every weight")                                 \
  X(REAL, tau, "1", 1e-12, 1e12, "", "prior standard deviation of every weight")                   \
  X(REAL, noise_variance, "0.1", 1e-24, 1e24, "", "s^2, variance of every variable's noise")       \
  X(BOOL, standardise, "false", 0, 0, "", "scale every column to mean 0 and variance 1 first")
typedef struct linear_cfg {
  flv_dag_keys dag;
  LINEAR_KEYS(FLV_FIELD)
} linear_cfg;
#define FLV_STRUCT linear_cfg
static const flv_param linear_params[] = {FLV_DAG_KEYS(FLV_DAG_PARAM) LINEAR_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

typedef struct linear {
  double mu0, tau, s2;
  flv_gauss *gauss; // m = s^2 I + tau^2 G
  double *gram;     // [d][d] G
} linear;

static double linear_local(const void *model, int j, uint64_t parents) {
  const linear *self = model;
  const flv_gauss *g = self->gauss;
  const int d = g->d;
  const double *gram = self->gram, s = sqrt(self->s2);
  flv_gauss_work work;
  double y[FLV_GAUSS_MAX];
  int at[FLV_GAUSS_MAX];
  const int l = flv_gauss_members(parents, at), lda = (l + 7) / 8 * 8;
  double square = gram[j * d + j]; // s^2 r'r
  for (int k = 0; k < l; k++) {
    double sum = gram[j * d + at[k]];
    square -= self->mu0 * sum;
    for (int i = 0; i < l; i++) sum -= self->mu0 * gram[at[i] * d + at[k]];
    square -= self->mu0 * sum; // (X_j - mu0 X_P 1)'(X_j - mu0 X_P 1), one parent at a time
    y[k] = self->tau * sum / s;
    for (int i = k; i < l; i++) work.a[k * lda + i] = g->m[at[i] * d + at[k]];
  }
  if (!flv_cholesky(work.a, l, lda)) return (double)-INFINITY; // cannot be: flv_gauss_check
  double log_det = 0.0, form = square / self->s2;
  for (int k = 0; k < l; k++) { // y <- L^-1 y
    y[k] /= work.a[k * lda + k];
    for (int i = k + 1; i < l; i++) y[i] -= work.a[k * lda + i] * y[k];
    form -= y[k] * y[k];
    log_det += 2.0 * log(work.a[k * lda + k]);
  }
  return -0.5 *
         (fmax(form, 0.0) + log_det + (g->n - l) * log(self->s2) + g->n * log(2.0 * acos(-1.0)));
}

static void linear_free(void *model) {
  linear *self = model;
  if (self) {
    free(self->gauss);
    free(self->gram);
  }
  free(self);
}

static flv_status linear_fill(linear *self, const linear_cfg *cfg, const flv_dataset *data,
                              flv_error *err) {
  FLV_TRY(flv_gauss_new(&self->gauss, data, cfg->standardise, err));
  flv_gauss *g = self->gauss;
  self->mu0 = cfg->mu0;
  self->tau = cfg->tau;
  self->s2 = cfg->noise_variance;
  self->gram = calloc((size_t)g->d * (size_t)g->d, sizeof *self->gram);
  if (!self->gram) return flv_fail(err, FLV_ENOMEM, "out of memory for reward 'linear_gaussian'");
  for (int i = 0; i < g->d; i++)
    for (int k = 0; k < g->d; k++) {
      double *gram = &self->gram[i * g->d + k];
      *gram = g->m[i * g->d + k] + g->n * g->mean[i] * g->mean[k];
      g->m[i * g->d + k] = (i == k ? self->s2 : 0.0) + self->tau * self->tau * *gram;
    }
  return flv_gauss_check(g, data, err);
}

static flv_status linear_create(flv_reward *reward, const void *values, flv_error *err) {
  static const char name[] = "linear_gaussian";
  const linear_cfg *cfg = values;
  flv_dag_score *score = NULL;
  FLV_TRY(flv_dag_score_new(&score, name, &cfg->dag, FLV_DATA_NUMBERS, err));
  linear *self = calloc(1, sizeof *self);
  score->local = linear_local;
  score->free_model = linear_free;
  score->model = self;
  const flv_status status = self ? linear_fill(self, cfg, &score->data, err)
                                 : flv_fail(err, FLV_ENOMEM, "out of memory for reward '%s'", name);
  if (status == FLV_OK)
    flv_dag_score_reward(reward, name, &cfg->dag, score);
  else
    flv_dag_score_free(score);
  return status;
}

static const flv_reward_impl linear_impl = {linear_create};
const flv_component flv_reward_linear_gaussian = {
    "linear_gaussian",
    "graphs: continuous data, linear weights with a Gaussian prior, known noise",
    linear_params,
    sizeof linear_params / sizeof *linear_params,
    sizeof(linear_cfg),
    &linear_impl};
