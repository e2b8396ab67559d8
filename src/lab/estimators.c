// Training a configuration to the points where its gradient estimators are looked at, and the plan
// of what is measured there; one estimator is in cell.c.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "lab/cell.h"

enum { MAX_AT = 64, MAX_BATCHES = 16, LARGE = 1024, REPEATS = 4, SANE = 1000 };

typedef struct lab {
  flv_estimators_options o;  // without 0 and NULL for numbers
  int64_t at[MAX_AT], *kept; // points; iterations whose parameters are kept
  int batch[MAX_BATCHES], n_kept;
  flv_lab_behaviour behaviour[FLV_LAB_BEHAVIOURS];
  int n_behaviours;
  flv_trainer *trainer;
  flv_lab_cells cells;
  float *params; // [n_kept, policy.n_params]
  void *block;
} lab;

// ---- options ----

static flv_status resolve_points(lab *l, const flv_train_cfg *train, flv_error *err) {
  flv_estimators_options *o = &l->o;
  const int64_t n = train->iterations < SANE ? train->iterations : SANE;
  const int64_t usual[] = {0, n / 10, n};
  const int n_at = o->at ? o->n_at : 3;
  if (n_at < 1 || n_at > MAX_AT)
    return flv_fail(err, FLV_EINVAL, "at: expected 1 to %d iterations", (int)MAX_AT);
  o->n_at = 0;
  for (int i = 0; i < n_at; i++) {
    const int64_t at = o->at ? o->at[i] : usual[i];
    if (at < 0) return flv_fail(err, FLV_EINVAL, "at: %lld: from 0", (long long)at);
    if (o->n_at > 0 && at <= l->at[o->n_at - 1]) {
      if (o->at) return flv_fail(err, FLV_EINVAL, "at: expected increasing iterations");
      continue;
    }
    l->at[o->n_at++] = at;
  }
  o->at = l->at;
  return FLV_OK;
}

static flv_status resolve(lab *l, const flv_train_cfg *train, flv_error *err) {
  static const int usual[] = {16, 64};
  flv_estimators_options *o = &l->o;
  if (o->large == 0) o->large = LARGE;
  if (o->repeats == 0) o->repeats = REPEATS;
  if (o->threads <= 0) o->threads = flv_cores();
  if (o->large < 2 || o->large > 1 << 20)
    return flv_fail(err, FLV_EINVAL, "large: %d: expected 2 to 2^20 trajectories", o->large);
  if (o->repeats < 2 || o->repeats > 10000)
    return flv_fail(err, FLV_EINVAL, "repeats: %d: expected 2 to 10000", o->repeats);
  if ((int64_t)o->large * o->repeats > 1 << 24)
    return flv_fail(err, FLV_EINVAL, "large x repeats: more than 2^24 trajectories");
  FLV_TRY(resolve_points(l, train, err));
  const int n = o->batch ? o->n_batch : 2;
  const int *batch = o->batch ? o->batch : usual;
  if (n < 1 || n > MAX_BATCHES)
    return flv_fail(err, FLV_EINVAL, "batch: expected 1 to %d sizes", (int)MAX_BATCHES);
  for (int i = 0; i < n; i++) {
    if (batch[i] < 1 || batch[i] > o->large)
      return flv_fail(err, FLV_EINVAL, "batch: %d: expected 1 to %d, the large batch", batch[i],
                      o->large);
    l->batch[i] = batch[i];
  }
  o->batch = l->batch;
  o->n_batch = n;
  return flv_lab_behaviours(l->behaviour, &l->n_behaviours, o->behaviours, err);
}

// ---- training ----

static flv_status say(const lab *l, const char *what, int64_t done, int64_t of, flv_error *err) {
  if (l->o.progress) l->o.progress(l->o.user, what, done, of);
  if (l->o.stop && *l->o.stop)
    return flv_fail(err, FLV_ESTOPPED, "stopped while %s: %lld of %lld", what, (long long)done,
                    (long long)of);
  return FLV_OK;
}

static float *params_at(const lab *l, int64_t iteration) {
  for (int i = 0; i < l->n_kept; i++)
    if (l->kept[i] == iteration) return l->params + (size_t)i * l->trainer->policy.n_params;
  return NULL;
}

static void keep_iteration(lab *l, int64_t iteration) {
  for (int i = 0; i < l->n_kept; i++)
    if (l->kept[i] == iteration) return;
  l->kept[l->n_kept++] = iteration;
}

static flv_status make_memory(lab *l, flv_error *err) {
  const int most = l->o.n_at * (1 + l->n_behaviours);
  l->kept = calloc((size_t)most, sizeof *l->kept);
  if (!l->kept) return flv_fail(err, FLV_ENOMEM, "out of memory for %d points", most);
  for (int i = 0; i < l->o.n_at; i++) {
    keep_iteration(l, l->at[i]);
    for (int b = 0; b < l->n_behaviours; b++) {
      const int64_t past = l->at[i] - flv_lab_age(&l->behaviour[b]);
      if (past >= 0) keep_iteration(l, past);
    }
  }
  const flv_slot slots[] = {FLV_SLOT(l->params, (size_t)l->n_kept * l->trainer->policy.n_params)};
  l->block = flv_bind(1, slots);
  if (!l->block)
    return flv_fail(err, FLV_ENOMEM, "out of memory for the parameters of %d points", l->n_kept);
  return FLV_OK;
}

static flv_status train(lab *l, flv_error *err) {
  const flv_policy *policy = &l->trainer->policy;
  const int64_t last = l->at[l->o.n_at - 1];
  for (int64_t i = 0;; i++) {
    float *const params = params_at(l, i);
    if (params) memcpy(params, policy->params, policy->n_params * sizeof *params);
    FLV_TRY(say(l, "training", i, last, err));
    if (i == last) return FLV_OK;
    FLV_TRY(flv_trainer_step(l->trainer, NULL, err));
  }
}

// ---- measuring ----

static flv_status measure(lab *l, flv_estimators *out, flv_error *err) {
  const int64_t all = (int64_t)l->o.n_at * l->n_behaviours;
  for (int i = 0; i < l->o.n_at; i++) {
    const float *now = params_at(l, l->at[i]);
    FLV_TRY(flv_lab_cells_at(&l->cells, l->at[i], now, err));
    for (int b = 0; b < l->n_behaviours; b++) {
      const float *past = params_at(l, l->at[i] - flv_lab_age(&l->behaviour[b]));
      FLV_TRY(say(l, "measuring", (int64_t)i * l->n_behaviours + b, all, err));
      if (past) FLV_TRY(flv_lab_cells_run(&l->cells, past, &l->behaviour[b], out, err));
    }
  }
  if (out->n == 0)
    return flv_fail(err, FLV_EINVAL, "behaviours: at no point is there a policy of that age");
  return say(l, "measuring", all, all, err);
}

// The problem, unless gradients are to be those of parameters.
static flv_status make_problem(const lab *l, const flv_config *cfg, flv_problem **problem,
                               flv_error *err) {
  *problem = NULL;
  if (l->o.space == FLV_SPACE_PARAMETERS) return FLV_OK;
  flv_error why = {0};
  *problem = flv_problem_new(cfg, "", &why);
  if (*problem || l->o.space == FLV_SPACE_AUTO) return FLV_OK;
  return flv_fail(err, why.status, "gradients of logits: %s", why.text);
}

static flv_status run(lab *l, const flv_config *cfg, flv_estimators *out, flv_error *err) {
  flv_problem *problem;
  FLV_TRY(resolve(l, flv_config_values(cfg, ""), err));
  l->trainer = flv_trainer_new(cfg, NULL, NULL, l->o.threads, err);
  if (!l->trainer) return err->status;
  FLV_TRY(make_problem(l, cfg, &problem, err));
  FLV_TRY(flv_lab_cells_init(&l->cells, l->trainer, problem, &l->o, err));
  FLV_TRY(make_memory(l, err));
  *out = (flv_estimators){
      .logits = problem != NULL, .true_exact = true, .large = l->o.large, .repeats = l->o.repeats};
  FLV_TRY(train(l, err));
  return measure(l, out, err);
}

flv_estimators *flv_estimators_new(const flv_config *cfg, const flv_estimators_options *options,
                                   flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  lab *l = calloc(1, sizeof *l);
  flv_estimators *out = calloc(1, sizeof *out);
  flv_status status = FLV_ENOMEM;
  if (l && out) {
    if (options) l->o = *options;
    status = run(l, cfg, out, err);
    flv_lab_cells_free(&l->cells);
    flv_free(l->block);
    free(l->kept);
    flv_trainer_free(l->trainer);
  } else {
    flv_fail(err, status, "out of memory for the laboratory");
  }
  free(l);
  if (status == FLV_OK) return out;
  flv_estimators_free(out);
  return NULL;
}

void flv_estimators_free(flv_estimators *estimators) {
  if (!estimators) return;
  free(estimators->row);
  free(estimators);
}
