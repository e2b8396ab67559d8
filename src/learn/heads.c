#include "learn/heads.h"

#include <string.h>

#include "base/memory.h"
#include "learn/logits.h"

flv_status flv_heads_init(flv_heads *heads, const flv_policy *policy, double share,
                          const flv_batch *batch, flv_error *err) {
  flv_heads h = {.n = policy->n_heads, .share = share};
  *heads = (flv_heads){0};
  if (h.n == 0) return FLV_OK;
  if (policy->needs & (FLV_NEEDS_FLOWS | FLV_NEEDS_INFLOW | FLV_NEEDS_TARGET))
    return flv_fail(err, FLV_EINVAL,
                    "exploration.heads: not with this objective, whose P_F is read as flows or "
                    "needs a target network");
  const size_t n = (size_t)batch->max_n, p = n * (size_t)batch->width;
  const size_t all = (size_t)batch->max_rows * (size_t)batch->env->n_actions;
  const flv_slot slots[] = {
      FLV_SLOT(h.log_p, all),    FLV_SLOT(h.d_log_p, all),   FLV_SLOT(h.from, n),
      FLV_SLOT(h.offset, n + 1), FLV_SLOT(h.log_pf, p),      FLV_SLOT(h.log_pb, p),
      FLV_SLOT(h.log_f, p),      FLV_SLOT(h.log_pf_exit, p), FLV_SLOT(h.log_r_state, p),
      FLV_SLOT(h.log_r, n),      FLV_SLOT(h.log_pi, n),      FLV_SLOT(h.out.log_pf, p),
      FLV_SLOT(h.out.log_pb, p), FLV_SLOT(h.out.log_f, p),   FLV_SLOT(h.out.log_pf_exit, p),
      FLV_SLOT(h.open, n)};
  h.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!h.block) return flv_fail(err, FLV_ENOMEM, "out of memory for %d heads of P_F", h.n);
  *heads = h;
  return FLV_OK;
}

void flv_heads_free(flv_heads *heads) {
  flv_free(heads->block);
  *heads = (flv_heads){0};
}

// log P_F of head k at every row.
static void evaluate(flv_heads *h, const flv_batch *b, const flv_policy *policy, int k) {
  const size_t a = (size_t)b->env->n_actions;
  const float *logits = b->acts.value[policy->heads];
  for (size_t r = 0; r < (size_t)b->rows.n; r++)
    flv_policy_log_pf(policy, logits + (r * (size_t)h->n + (size_t)k) * a, b->mask + r * a,
                      h->log_p + r * a);
}

// Draws the trajectories of head k; returns how many.
static int choose(flv_heads *h, int n, flv_rng rng, int k) {
  int m = 0;
  for (int i = 0; i < n; i++)
    if (flv_rng_uniform(rng, (uint32_t)i, (uint32_t)k) < h->share) h->from[m++] = i;
  return m;
}

// Packs m trajectories, with the head's log P_F.
static flv_trajectories gather(flv_heads *h, const flv_score *score, const flv_batch *b, int m) {
  const flv_trajectories *in = &score->in;
  const size_t a = (size_t)b->env->n_actions;
  int at = 0;
  for (int j = 0; j < m; j++) {
    const int i = h->from[j];
    for (int p = in->offset[i]; p < in->offset[i + 1]; p++, at++) {
      const double *log_p = h->log_p + (size_t)b->row[p] * a;
      h->log_pf[at] = b->action[p] < 0 ? 0.0 : log_p[b->action[p]];
      h->log_pb[at] = in->log_pb[p];
      if (in->log_f) h->log_f[at] = in->log_f[p];
      if (in->log_pf_exit) h->log_pf_exit[at] = log_p[b->env->exit_action];
      if (in->log_r_state) h->log_r_state[at] = in->log_r_state[p];
    }
    h->offset[j + 1] = at;
    h->log_r[j] = in->log_r[i];
    h->log_pi[j] = in->log_pi[i];
    h->open[j] = in->open[i];
  }
  flv_trajectories t = *in;
  t.n = m;
  t.offset = h->offset;
  t.log_pf = h->log_pf;
  t.log_pb = h->log_pb;
  t.log_f = in->log_f ? h->log_f : NULL;
  t.log_pf_exit = in->log_pf_exit ? h->log_pf_exit : NULL;
  t.log_r_state = in->log_r_state ? h->log_r_state : NULL;
  t.log_r = h->log_r;
  t.log_pi = h->log_pi;
  t.open = h->open;
  return t;
}

static flv_cotangents cleared(const flv_heads *h, const flv_trajectories *t) {
  const size_t bytes = (size_t)t->offset[t->n] * sizeof(double);
  flv_cotangents d = h->out;
  memset(d.log_pf, 0, bytes);
  memset(d.log_pb, 0, bytes);
  memset(d.log_f, 0, bytes);
  memset(d.log_pf_exit, 0, bytes);
  if (!t->log_f) d.log_f = NULL;
  if (!t->log_pf_exit) d.log_pf_exit = NULL;
  return d;
}

// Cotangents of the logits of head k, times 1/K, from those of log P_F at the positions.
static void scatter(flv_heads *h, const flv_batch *b, const flv_policy *policy,
                    const flv_cotangents *d, int m, int k) {
  const size_t a = (size_t)b->env->n_actions;
  memset(h->d_log_p, 0, (size_t)b->rows.n * a * sizeof *h->d_log_p);
  for (int j = 0, at = 0; j < m; j++)
    for (int p = b->offset[h->from[j]]; p < b->offset[h->from[j] + 1]; p++, at++) {
      double *row = h->d_log_p + (size_t)b->row[p] * a;
      if (b->action[p] >= 0) row[b->action[p]] += d->log_pf[at] / h->n;
      if (d->log_pf_exit) row[b->env->exit_action] += d->log_pf_exit[at] / h->n;
    }
  for (size_t r = 0; r < (size_t)b->rows.n; r++) {
    float *d_logits = b->acts.grad[policy->heads] + (r * (size_t)h->n + (size_t)k) * a;
    flv_score_logits((int)a, h->d_log_p + r * a, 0.0, h->log_p + r * a, b->mask + r * a, d_logits);
    flv_policy_logits_back(policy, h->log_p + r * a, b->mask + r * a, d_logits);
  }
}

void flv_heads_learn(flv_heads *heads, const flv_score *score, flv_batch *batch,
                     const flv_policy *policy, const flv_objective *objective, const void *cfg,
                     flv_rng rng) {
  flv_heads *h = heads;
  for (int k = 0; k < h->n; k++) {
    evaluate(h, batch, policy, k);
    const int m = choose(h, score->in.n, rng, k);
    const flv_trajectories t = gather(h, score, batch, m);
    flv_cotangents d = cleared(h, &t);
    if (m > 0) objective->loss(cfg, &t, &d);
    scatter(h, batch, policy, &d, m, k);
  }
}
