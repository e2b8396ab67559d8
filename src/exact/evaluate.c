// How far a sampler is from its target: exactly by flow propagation where the states can be
// enumerated, else from samples.
//
// From samples tau_i ~ P_F, with -c = log R(x) + log P_B(tau|x) - log P_F(tau) and Z^ = mean
// exp(-c), or the true Z where the reward has a closed form for it, the ratio w = P_B(tau)/P_F(tau)
// is exp(-c)/Z^, and every f-divergence D_f(P_B || P_F) = E_PF f(w). By the data-processing
// inequality (paper, eq 6) it bounds the divergence of the objects from above. For D(P_B || P_F) f
// is w log w + 1 - w, which is never negative; 1 - w has mean 0 with Z^, but with the true Z not
// where P_F lacks some of P_B. D(P_F || P_B) is log Z - E log w, whatever P_F lacks.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/logmath.h"
#include "base/memory.h"
#include "exact/evaluate.h"
#include "exact/pf_rows.h"
#include "metrics/distance.h"
#include "metrics/estimate.h"

enum { MAX_ENUMERATED = 1 << 24 };

typedef struct flv_evaluator { // made once per trainer
  flv_trainer *trainer;
  flv_exact *exact;
  flv_pf_rows rows;
} flv_evaluator;

static void free_evaluator(flv_evaluator *e) {
  if (!e) return;
  flv_exact_free(e->exact);
  flv_pf_rows_free(&e->rows);
  free(e);
}

// shared: a workspace whose target to use; NULL: it is computed.
static flv_status make_evaluator(flv_trainer *t, const flv_exact *shared, flv_error *err) {
  if (t->evaluator) return FLV_OK;
  flv_evaluator *e = calloc(1, sizeof *e);
  if (!e) return flv_fail(err, FLV_ENOMEM, "out of memory for the evaluation");
  e->trainer = t;
  flv_status status = flv_pf_rows_init(&e->rows, &t->policy, FLV_EXACT_CHUNK, t->threads, err);
  if (status == FLV_OK) {
    e->exact =
        shared ? flv_exact_share(shared, err) : flv_exact_new(t->env, t->reward, t->threads, err);
    if (!e->exact) status = err ? err->status : FLV_EINVAL;
  }
  if (status != FLV_OK) {
    free_evaluator(e);
    return status;
  }
  t->evaluator = e;
  t->free_evaluator = free_evaluator;
  return FLV_OK;
}

static void log_pf_of(void *user, int n, const void *states, double *log_pf) {
  flv_evaluator *e = user;
  e->rows.threads = e->trainer->threads;
  flv_pf_rows_log_pf(&e->rows, n, states, log_pf);
}

bool flv_enumerable(const flv_env *env) {
  return env->n_states > 0 && env->n_states <= MAX_ENUMERATED;
}

flv_status flv_exact_of(flv_trainer *trainer, const flv_exact **exact, flv_error *err) {
  FLV_TRY(make_evaluator(trainer, NULL, err));
  flv_evaluator *e = trainer->evaluator;
  FLV_TRY(flv_exact_terminating(e->exact, log_pf_of, e, err));
  *exact = e->exact;
  return FLV_OK;
}

flv_status flv_exact_share_target(flv_trainer *trainer, flv_trainer *first, flv_error *err) {
  if (!flv_enumerable(first->env)) return FLV_OK;
  FLV_TRY(make_evaluator(first, NULL, err));
  return make_evaluator(trainer, first->evaluator->exact, err);
}

// ---- modes ----

int flv_mode_count(const flv_trainer *trainer) {
  return trainer->reward->modes ? trainer->reward->modes(trainer->reward, trainer->env) : 0;
}

int flv_modes_seen(const flv_trainer *trainer, int64_t n, const void *states, uint8_t *seen) {
  const flv_trainer *t = trainer;
  const int modes = flv_mode_count(t);
  const size_t size = t->env->state_size;
  int count = 0;
  for (int m = 0; m < modes; m++) seen[m] = 0;
  for (int64_t i = 0; modes > 0 && i < n; i++)
    t->reward->mark_modes(t->reward, t->env, (const unsigned char *)states + (size_t)i * size,
                          seen);
  for (int m = 0; m < modes; m++) count += seen[m];
  return count;
}

// ---- exactly ----

flv_status flv_evaluate_exactly(flv_trainer *trainer, const flv_exact **exact, flv_evaluation *out,
                                flv_error *err) {
  flv_trainer *t = trainer;
  FLV_TRY(flv_exact_of(t, exact, err));
  const flv_exact *x = *exact;
  *out = (flv_evaluation){
      .exact = true,
      .log_z_exact = true,
      .log_z_true = x->log_z,
      .jsd = flv_jsd(x->n, x->p, x->target),
      .tv = flv_tv(x->n, x->p, x->target),
      .kl_pq = flv_kl(x->n, x->target, x->p),
      .kl_qp = flv_kl(x->n, x->p, x->target),
      .l1 = flv_l1_mean(x->n, x->p, x->target),
      .modes = flv_mode_count(t),
      .n = x->n_objects,
  };
  if (out->modes > 0) out->modes_found = out->modes * flv_modes_covered(x->n, x->p, x->target);
  return FLV_OK;
}

// ---- from samples ----

// The batch in hand, trajectory i of it being number `at + i`.
static void keep(flv_trainer *t, int64_t at, const flv_drawn *out) {
  const flv_batch *b = &t->batch;
  const size_t size = t->env->state_size;
  for (int i = 0; i < b->n; i++) {
    double log_pb = 0.0;
    for (int p = b->offset[i] + 1; p < b->offset[i + 1]; p++)
      log_pb += b->log_pb[(size_t)b->row[p] * (size_t)t->env->n_back + (size_t)b->back[p]];
    if (out->log_w) out->log_w[at + i] = b->log_r[i] + log_pb - b->log_pi[i];
    if (out->log_r) out->log_r[at + i] = b->log_r[i];
    if (out->states)
      memcpy((unsigned char *)out->states + (size_t)(at + i) * size,
             flv_batch_state(b, flv_batch_last(b, i)), size);
  }
}

void flv_watch_add(flv_watch *watch, int trajectories) {
  if (!watch) return;
  watch->trajectories += trajectories;
  if (watch->progress) watch->progress(watch->user, watch->trajectories / watch->all);
}

flv_status flv_draw_forward(flv_trainer *trainer, uint64_t stream, int64_t n, const flv_drawn *out,
                            flv_watch *watch, flv_error *err) {
  flv_trainer *t = trainer;
  flv_batch *b = &t->batch;
  const flv_explore on_policy = {.temperature = 1.0};
  const uint64_t seed = flv_trainer_seed(t, stream);
  flv_pace pace = {.ways = t->threads > 1 ? 2 : 1};
  for (int64_t done = 0; done < n; done += b->n) {
    const int take = n - done < b->max_n ? (int)(n - done) : b->max_n;
    const flv_rng rng = {seed, FLV_RNG_EVALUATE, (uint64_t)done};
    const int threads = flv_pace_begin(&pace) ? t->threads : 1;
    flv_batch_clear(b);
    flv_sampler_run(&t->sampler, b, &t->policy, &on_policy, rng, take, threads);
    flv_batch_evaluate_rest(b, &t->policy, threads);
    flv_pace_end(&pace, b->rows.n);
    FLV_TRY(flv_score_rewards(&t->score, b, t->reward, err));
    keep(t, done, out);
    flv_watch_add(watch, take);
  }
  return FLV_OK;
}

void flv_evaluate_weights(int64_t n, const double *log_w, double log_z_true, flv_evaluation *out) {
  const double log_z = isnan(log_z_true) ? flv_log_mean_exp(n, log_w) : log_z_true;
  double kl_qp = 0.0, kl_pq = 0.0, tv = 0.0, jsd = 0.0;
  for (int64_t i = 0; i < n; i++) {
    const double log_ratio = log_w[i] - log_z, w = exp(log_ratio);
    kl_qp -= log_ratio;
    kl_pq += (w > 0.0 ? w * log_ratio : 0.0) + 1.0 - w;
    tv += 0.5 * fabs(1.0 - w);
    const double log_mean = flv_logaddexp(0.0, log_ratio) - 0.69314718055994530942; // (1 + w) / 2
    jsd += 0.5 * (w > 0.0 ? w * (log_ratio - log_mean) : 0.0) - 0.5 * log_mean;
  }
  out->log_z_true = log_z;
  out->log_z_exact = !isnan(log_z_true);
  out->kl_qp = kl_qp / (double)n;
  out->kl_pq = kl_pq / (double)n;
  out->tv = tv / (double)n;
  out->jsd = jsd / (double)n;
  out->l1 = (double)NAN;
  out->n = n;
}

static flv_status evaluate_by_sampling(flv_trainer *t, int64_t n, flv_evaluation *out,
                                       flv_error *err) {
  if (n < 1 || n > 1 << 28)
    return flv_fail(err, FLV_EINVAL, "samples: %lld is out of range [1, 2^28]", (long long)n);
  const int modes = flv_mode_count(t);
  flv_drawn drawn = {0};
  unsigned char *states;
  uint8_t *seen;
  const flv_slot slots[] = {FLV_SLOT(drawn.log_w, n), FLV_SLOT(seen, modes),
                            FLV_SLOT(states, modes > 0 ? (size_t)n * t->env->state_size : 0)};
  void *block = flv_bind(3, slots);
  if (!block) return flv_fail(err, FLV_ENOMEM, "out of memory for %lld samples", (long long)n);
  if (modes > 0) drawn.states = states;
  const flv_status status = flv_draw_forward(t, 0, n, &drawn, NULL, err);
  if (status == FLV_OK) {
    flv_evaluate_weights(n, drawn.log_w, t->log_z, out);
    out->modes = modes;
    out->modes_found = flv_modes_seen(t, n, states, seen);
  }
  flv_free(block);
  return status;
}

flv_status flv_trainer_evaluate(flv_trainer *trainer, int64_t samples, flv_evaluation *out,
                                flv_error *err) {
  flv_evaluation e = {0};
  const flv_exact *exact;
  FLV_TRY(flv_enumerable(trainer->env) ? flv_evaluate_exactly(trainer, &exact, &e, err)
                                       : evaluate_by_sampling(trainer, samples, &e, err));
  e.log_z = (double)*flv_policy_log_z(&trainer->policy);
  *out = e;
  return FLV_OK;
}

flv_status flv_trainer_distribution(flv_trainer *trainer, double *p, double *target,
                                    flv_error *err) {
  if (!flv_enumerable(trainer->env))
    return flv_fail(err, FLV_EINVAL, "'%s' has too many states to enumerate (more than %d)",
                    trainer->env->name, MAX_ENUMERATED);
  FLV_TRY(make_evaluator(trainer, NULL, err));
  const flv_exact *x = trainer->evaluator->exact;
  if (p)
    FLV_TRY(flv_exact_terminating(trainer->evaluator->exact, log_pf_of, trainer->evaluator, err));
  for (int64_t i = 0; i < x->n; i++) {
    if (p) p[i] = x->p[i];
    if (target) target[i] = x->target[i];
  }
  return FLV_OK;
}
