#include "learn/score.h"

#include <math.h>
#include <string.h>

#include "base/exp_double.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "base/simd.h"
#include "learn/logits.h"

enum { ROWS_PER_TASK = 512 };

flv_status flv_score_init(flv_score *score, const flv_batch *batch, unsigned needs,
                          flv_error *err) {
  const flv_env *env = batch->env;
  flv_score s = {.needs = needs};
  const size_t n = (size_t)batch->max_n, p = n * (size_t)batch->width, r = (size_t)batch->max_rows;
  const size_t f = needs & (FLV_NEEDS_LOG_F | FLV_NEEDS_FLOWS) ? 1 : 0;
  const size_t e = needs & FLV_NEEDS_EXIT ? 1 : 0, t = needs & FLV_NEEDS_STATE_REWARD ? 1 : 0;
  const size_t i = needs & FLV_NEEDS_INFLOW ? 1 : 0, g = needs & FLV_NEEDS_TARGET ? 1 : 0;
  const size_t w = needs & FLV_NEEDS_WAYS ? 1 : 0;
  if (e && !flv_env_exits_anywhere(env))
    return flv_fail(err, FLV_EINVAL,
                    "objective: it needs an exit action in every state, and '%s' has none%s",
                    env->name, env->exit_action < 0 ? "" : " before an object is complete");
  const flv_slot slots[] = {FLV_SLOT(s.log_pf, p),
                            FLV_SLOT(s.log_pb, p),
                            FLV_SLOT(s.out.log_pf, p),
                            FLV_SLOT(s.out.log_pb, p),
                            FLV_SLOT(s.log_f, f * p),
                            FLV_SLOT(s.out.log_f, f * p),
                            FLV_SLOT(s.log_pf_exit, e * p),
                            FLV_SLOT(s.out.log_pf_exit, e * p),
                            FLV_SLOT(s.log_r_state, t * p),
                            FLV_SLOT(s.log_inflow, i * p),
                            FLV_SLOT(s.out.log_inflow, i * p),
                            FLV_SLOT(s.log_pf_target, g * p),
                            FLV_SLOT(s.log_f_target, g * f * p),
                            FLV_SLOT(s.log_pf_exit_target, g * e * p),
                            FLV_SLOT(s.d_pf, r * (size_t)env->n_actions),
                            FLV_SLOT(s.d_pb, r * (size_t)env->n_back),
                            FLV_SLOT(s.d_log_f, f * r),
                            FLV_SLOT(s.d_log_n, w * r),
                            FLV_SLOT(s.in.scratch, 6 * n + 2 * p)};
  s.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!s.block) return flv_fail(err, FLV_ENOMEM, "out of memory for %d trajectories", batch->max_n);
  if (flv_rewards_init(&s.rewards, batch, err) != FLV_OK ||
      (i && flv_inflow_init(&s.inflow, batch, err) != FLV_OK)) {
    flv_score_free(&s);
    return FLV_ENOMEM;
  }
  s.in.log_pf = s.log_pf;
  s.in.log_pb = s.log_pb;
  s.in.log_f = f ? s.log_f : NULL;
  s.in.log_pf_exit = e ? s.log_pf_exit : NULL;
  s.in.log_r_state = t ? s.log_r_state : NULL;
  s.in.log_inflow = i ? s.log_inflow : NULL;
  s.in.log_pf_target = g ? s.log_pf_target : NULL;
  s.in.log_f_target = g && f ? s.log_f_target : NULL;
  s.in.log_pf_exit_target = g && e ? s.log_pf_exit_target : NULL;
  if (!f) s.out.log_f = NULL;
  if (!e) s.out.log_pf_exit = NULL;
  if (!i) s.out.log_inflow = NULL;
  *score = s;
  return FLV_OK;
}

void flv_score_free(flv_score *score) {
  flv_inflow_free(&score->inflow);
  flv_rewards_free(&score->rewards);
  flv_free(score->block);
  *score = (flv_score){0};
}

void flv_score_expand(flv_score *score, flv_batch *batch) {
  if (score->needs & FLV_NEEDS_INFLOW) flv_inflow_expand(&score->inflow, batch);
}

flv_status flv_score_rewards(flv_score *score, flv_batch *batch, const flv_reward *reward,
                             flv_error *err) {
  return score->needs & FLV_NEEDS_STATE_REWARD
             ? flv_rewards_states(&score->rewards, batch, reward, err)
             : flv_rewards_objects(&score->rewards, batch, reward, err);
}

// Zeroes the cotangents of n positions.
static void clear_cotangents(flv_cotangents *d, int n_positions, int n) {
  double *const all[] = {d->log_pf, d->log_pb, d->log_f, d->log_pf_exit, d->log_inflow};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++)
    if (all[k]) memset(all[k], 0, (size_t)n_positions * sizeof(double));
  d->log_z = 0.0;
  d->ess = n;
}

void flv_score_gather(flv_score *score, const flv_batch *batch, const flv_policy *policy, int n,
                      const flv_batch *target, bool target_pb) {
  flv_score *s = score;
  const flv_env *env = batch->env;
  const int n_positions = batch->offset[batch->n];
  const size_t a = (size_t)env->n_actions, k = (size_t)env->n_back;
  const float *log_f = policy->log_f >= 0 ? batch->acts.value[policy->log_f] : NULL;
  const double *log_pb = target_pb ? target->log_pb : batch->log_pb;
  if (s->in.log_inflow) flv_inflow_gather(&s->inflow, batch);
  for (int p = 0; p < n_positions; p++) {
    const size_t r = (size_t)batch->row[p];
    const int action = batch->action[p], back = batch->back[p];
    s->log_pf[p] = action < 0 ? 0.0 : batch->log_pf[r * a + (size_t)action];
    s->log_pb[p] = back < 0 ? 0.0 : log_pb[r * k + (size_t)back];
    if (s->in.log_f) s->log_f[p] = log_f ? (double)log_f[r] : batch->log_sum[r];
    if (s->in.log_pf_exit) s->log_pf_exit[p] = batch->log_pf[r * a + (size_t)env->exit_action];
    if (s->in.log_r_state) s->log_r_state[p] = s->rewards.log_r_row[r];
    if (s->in.log_inflow) s->log_inflow[p] = s->inflow.log_inflow[r];
    if (s->in.log_pf_target)
      s->log_pf_target[p] = action < 0 ? 0.0 : target->log_pf[r * a + (size_t)action];
    if (s->in.log_f_target) s->log_f_target[p] = target->log_sum[r];
    if (s->in.log_pf_exit_target)
      s->log_pf_exit_target[p] = target->log_pf[r * a + (size_t)env->exit_action];
  }
  s->in.n = n;
  s->in.exits = env->exit_action >= 0;
  s->in.offset = batch->offset;
  s->in.log_r = batch->log_r;
  s->in.log_pi = batch->log_pi;
  s->in.open = batch->open;
  s->in.log_z = (double)*flv_policy_log_z(policy);
  clear_cotangents(&s->out, n_positions, n);
}

typedef struct job {
  flv_score *score;
  flv_batch *batch;
  const flv_policy *policy;
} job;

FLV_SIMD static void score_logits(int n, const double *restrict d, double d_sum,
                                  const double *restrict log_p, const uint8_t *restrict mask,
                                  float *restrict d_logits) {
  enum { LANES = 8 };
  double lane[LANES] = {0}, total = -d_sum;
  int a = 0;
  for (; a + LANES <= n; a += LANES)
    for (int k = 0; k < LANES; k++) lane[k] += d[a + k];
  for (; a < n; a++) total += d[a];
  for (int k = 0; k < LANES; k++) total += lane[k];
  for (a = 0; a < n; a++) {
    const float legal = (float)(d[a] - total * flv_exp_double(log_p[a]));
    d_logits[a] = mask[a] ? legal : 0.0f;
  }
}

void flv_score_logits(int n, const double *d, double d_sum, const double *log_p,
                      const uint8_t *mask, float *d_logits) {
  score_logits(n, d, d_sum, log_p, mask, d_logits);
}

static void logits_rows(void *context, int task) {
  const job *j = context;
  const flv_score *s = j->score;
  flv_batch *b = j->batch;
  const size_t a = (size_t)b->env->n_actions, k = (size_t)b->env->n_back;
  const size_t end = (size_t)flv_chunk_begin(b->rows.n, ROWS_PER_TASK, task + 1);
  for (size_t r = (size_t)flv_chunk_begin(b->rows.n, ROWS_PER_TASK, task); r < end; r++) {
    const double d_sum = s->needs & FLV_NEEDS_FLOWS ? s->d_log_f[r] : 0.0;
    float *const d_logits = b->acts.grad[j->policy->pf] + r * a;
    flv_score_logits((int)a, s->d_pf + r * a, d_sum, b->log_pf + r * a, b->mask + r * a, d_logits);
    flv_policy_logits_back(j->policy, b->log_pf + r * a, b->mask + r * a, d_logits);
    if (j->policy->pb >= 0)
      flv_score_logits((int)k, s->d_pb + r * k, 0.0, b->log_pb + r * k, b->mask_back + r * k,
                       b->acts.grad[j->policy->pb] + r * k);
    if (j->policy->log_f >= 0) b->acts.grad[j->policy->log_f][r] = (float)s->d_log_f[r];
    if (j->policy->log_n >= 0) b->acts.grad[j->policy->log_n][r] = (float)s->d_log_n[r];
  }
}

// d_pf and d_pb are zero but here. Only few entries of a row are not, so these are cleared one by
// one: with many actions, whole rows cost as much as the softmax.
static void clear_visited(flv_score *score, const flv_batch *batch) {
  flv_score *s = score;
  const flv_env *env = batch->env;
  const size_t a = (size_t)env->n_actions, k = (size_t)env->n_back;
  const int n_positions = batch->offset[batch->n];
  if (s->out.log_inflow) // reaches rows that no trajectory visits
    memset(s->d_pf, 0, (size_t)batch->rows.n * a * sizeof *s->d_pf);
  for (int p = 0; p < n_positions; p++) {
    const size_t r = (size_t)batch->row[p];
    if (batch->action[p] >= 0) s->d_pf[r * a + (size_t)batch->action[p]] = 0.0;
    if (batch->back[p] >= 0) s->d_pb[r * k + (size_t)batch->back[p]] = 0.0;
    if (s->out.log_pf_exit) s->d_pf[r * a + (size_t)env->exit_action] = 0.0;
  }
}

void flv_score_scatter(flv_score *score, flv_batch *batch, const flv_policy *policy, int threads) {
  flv_score *s = score;
  const flv_env *env = batch->env;
  const size_t a = (size_t)env->n_actions, k = (size_t)env->n_back;
  if (s->out.log_f) memset(s->d_log_f, 0, (size_t)batch->rows.n * sizeof *s->d_log_f);
  const int n_positions = batch->offset[batch->n];
  for (int p = 0; p < n_positions; p++) {
    const size_t r = (size_t)batch->row[p];
    if (batch->action[p] >= 0) s->d_pf[r * a + (size_t)batch->action[p]] += s->out.log_pf[p];
    if (batch->back[p] >= 0) s->d_pb[r * k + (size_t)batch->back[p]] += s->out.log_pb[p];
    if (s->out.log_pf_exit) s->d_pf[r * a + (size_t)env->exit_action] += s->out.log_pf_exit[p];
    if (s->out.log_f) s->d_log_f[r] += s->out.log_f[p];
    if (s->out.log_inflow) s->inflow.d_log_inflow[r] += s->out.log_inflow[p];
  }
  if (s->out.log_inflow) flv_inflow_scatter(&s->inflow, batch, s->d_pf, s->d_log_f);
  job j = {s, batch, policy};
  flv_parallel(threads, flv_chunk_count(batch->rows.n, ROWS_PER_TASK), logits_rows, &j);
  clear_visited(s, batch);
}
