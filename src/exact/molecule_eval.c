// Given molecules under a trained sampler.
#include "fluvial/molecule_eval.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "exact/legacy_paths.h"
#include "exact/legacy_policy.h"
#include "exact/molecule_paths.h"
#include "exact/pf_rows.h"
#include "learn/trainer_impl.h"
#include "metrics/correlation.h"

enum { GROUP = 1024, TASK = 16 }; // molecules at once; of a task

typedef struct evaluating {
  flv_trainer *t;
  const flv_molecule_list *list;
  flv_molecule_score *score;
  void (*progress)(void *user, double done);
  void *user;
  flv_molecule_paths *paths;
  flv_pf_rows rows;
  flv_legacy *legacy;
  flv_legacy_policy policy;
  bool has_legacy;
  double log_p[GROUP], log_r[GROUP];
} evaluating;

static flv_status start(evaluating *v, flv_error *err) {
  FLV_TRY(flv_molecule_paths_new(&v->paths, v->t->env, err));
  FLV_TRY(flv_pf_rows_init(&v->rows, &v->t->policy, FLV_PATHS_CHUNK, v->t->threads, err));
  v->has_legacy = flv_legacy_possible(v->t);
  if (!v->has_legacy) return FLV_OK;
  FLV_TRY(flv_legacy_new(&v->legacy, v->t->env, err));
  return flv_legacy_policy_init(&v->policy, v->t, err);
}

static void stop(evaluating *v) {
  flv_molecule_paths_free(v->paths);
  flv_pf_rows_free(&v->rows);
  flv_legacy_free(v->legacy);
  flv_legacy_policy_free(&v->policy);
}

// ---- a group of molecules ----

typedef struct rewarding {
  evaluating *v;
  int64_t begin;
  int n;
  flv_error failed[GROUP / TASK]; // of each task
} rewarding;

static void reward_task(void *context, int task) {
  rewarding *r = context;
  const int from = task * TASK, n = r->n - from < TASK ? r->n - from : TASK;
  flv_reward_log(r->v->t->reward, r->v->t->env, n, r->v->list->state + r->begin + from,
                 r->v->log_r + from, &r->failed[task]);
}

// Where part `part` of the group's three stands in the whole.
static flv_share part_of(const evaluating *v, int64_t begin, int n, double from, double to) {
  const double all = (double)v->list->n;
  return (flv_share){v->progress, v->user, ((double)begin + from * n) / all,
                     ((double)begin + to * n) / all};
}

static flv_status exactly(evaluating *v, int64_t begin, int n, flv_error *err) {
  const flv_share share = part_of(v, begin, n, 0.05, 0.85);
  flv_molecule_paths_clear(v->paths);
  for (int i = 0; i < n; i++) {
    const flv_status status = flv_molecule_paths_add(v->paths, &v->list->state[begin + i],
                                                     &v->score[begin + i].writings, err);
    if (status != FLV_OK) return flv_error_prefix(err, "line %d", v->list->line[begin + i]);
  }
  FLV_TRY(flv_molecule_paths_log_p(v->paths, flv_pf_rows_log_pf, &v->rows, &share, v->log_p, err));
  for (int i = 0; i < n; i++) v->score[begin + i].log_p = v->log_p[i];
  return FLV_OK;
}

static flv_status as_released(evaluating *v, int64_t begin, int n, flv_error *err) {
  const flv_share share = part_of(v, begin, n, 0.85, 1.0);
  flv_legacy_clear(v->legacy);
  for (int i = 0; i < n; i++)
    FLV_TRY(flv_legacy_add(v->legacy, &v->list->grown[begin + i], NULL, err));
  FLV_TRY(flv_legacy_log_p(v->legacy, flv_legacy_policy_logits, &v->policy, &share, v->log_p, err));
  for (int i = 0; i < n; i++) v->score[begin + i].log_p_legacy = v->log_p[i];
  return FLV_OK;
}

static flv_status evaluate_group(evaluating *v, int64_t begin, int n, flv_error *err) {
  const int tasks = (n + TASK - 1) / TASK;
  rewarding r = {.v = v, .begin = begin, .n = n};
  flv_parallel(v->t->threads, tasks, reward_task, &r);
  for (int k = 0; k < tasks; k++)
    if (r.failed[k].status != FLV_OK)
      return flv_fail(err, r.failed[k].status, "%s", r.failed[k].text);
  for (int i = 0; i < n; i++)
    v->score[begin + i] = (flv_molecule_score){.log_r = v->log_r[i], .log_p_legacy = (double)NAN};
  FLV_TRY(exactly(v, begin, n, err));
  return v->has_legacy ? as_released(v, begin, n, err) : FLV_OK;
}

// ---- how well log p follows log R ----

static flv_status fit(int64_t n, const flv_molecule_score *score, bool legacy,
                      flv_molecule_fit *out, flv_error *err) {
  double *x, *y, *ranks;
  flv_ranked *work;
  const flv_slot slots[] = {FLV_SLOT(x, n), FLV_SLOT(y, n), FLV_SLOT(ranks, 2 * n),
                            FLV_SLOT(work, n)};
  void *block = flv_bind(4, slots);
  if (!block) return flv_fail(err, FLV_ENOMEM, "out of memory for %lld molecules", (long long)n);
  int64_t used = 0;
  for (int64_t i = 0; i < n; i++) {
    x[used] = score[i].log_r;
    y[used] = legacy ? score[i].log_p_legacy : score[i].log_p;
    used += isfinite(x[used]) && isfinite(y[used]);
  }
  *out = (flv_molecule_fit){used, flv_pearson(used, x, y), flv_spearman(used, x, y, work, ranks)};
  flv_free(block);
  return FLV_OK;
}

static flv_status evaluate(evaluating *v, flv_molecule_evaluation *out, flv_error *err) {
  const int64_t n = v->list->n;
  FLV_TRY(start(v, err));
  for (int64_t begin = 0; begin < n; begin += GROUP)
    FLV_TRY(evaluate_group(v, begin, n - begin < GROUP ? (int)(n - begin) : GROUP, err));
  flv_molecule_evaluation made = {.n = n, .has_legacy = v->has_legacy};
  FLV_TRY(fit(n, v->score, false, &made.exact, err));
  FLV_TRY(fit(n, v->score, true, &made.legacy, err));
  *out = made;
  return FLV_OK;
}

flv_status flv_trainer_molecules(flv_trainer *trainer, const flv_molecule_list *list,
                                 void (*progress)(void *user, double done), void *user,
                                 flv_molecule_score *score, flv_molecule_evaluation *out,
                                 flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  if (list->env != trainer->env)
    return flv_fail(err, FLV_EINVAL, "the molecules were read for another environment");
  flv_molecule_score *kept = NULL;
  evaluating *v = NULL;
  const flv_slot slots[] = {FLV_SLOT(v, 1), FLV_SLOT(kept, score ? 0 : list->n)};
  void *block = flv_bind(2, slots);
  if (!block)
    return flv_fail(err, FLV_ENOMEM, "out of memory for %lld molecules", (long long)list->n);
  v->t = trainer;
  v->list = list;
  v->score = score ? score : kept;
  v->progress = progress;
  v->user = user;
  const flv_status status = evaluate(v, out, err);
  stop(v);
  flv_free(block);
  return status;
}
