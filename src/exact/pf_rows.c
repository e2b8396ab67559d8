#include "exact/pf_rows.h"

#include "base/memory.h"
#include "learn/logits.h"

flv_status flv_pf_rows_init(flv_pf_rows *rows, const flv_policy *policy, int most, int threads,
                            flv_error *err) {
  flv_pf_rows made = {.policy = policy, .most = most, .threads = threads};
  const size_t n = (size_t)most;
  const flv_slot slots[] = {FLV_SLOT(made.mask, n * (size_t)policy->env->n_actions),
                            FLV_SLOT(made.index, n)};
  made.block = flv_bind(2, slots);
  if (!made.block || flv_acts_init(&made.acts, policy->net, most, false, false) != FLV_OK) {
    flv_free(made.block);
    return flv_fail(err, FLV_ENOMEM, "out of memory for the evaluation");
  }
  *rows = made;
  return FLV_OK;
}

void flv_pf_rows_free(flv_pf_rows *rows) {
  flv_acts_free(&rows->acts);
  flv_free(rows->block);
  *rows = (flv_pf_rows){0};
}

const float *flv_pf_rows_logits(flv_pf_rows *rows, int n, const void *states) {
  const flv_policy *policy = rows->policy;
  flv_policy_observe(policy, &rows->acts, 0, n, states, rows->index);
  flv_net_forward(policy->net, policy->params, &rows->acts, 0, policy->net->mark, 0, n,
                  rows->threads);
  return rows->acts.value[policy->pf];
}

void flv_pf_rows_log_pf(void *rows, int n, const void *states, double *log_pf) {
  flv_pf_rows *r = rows;
  const flv_env *env = r->policy->env;
  const size_t a = (size_t)env->n_actions;
  env->ops->mask(env, n, states, r->mask);
  const float *logits = flv_pf_rows_logits(r, n, states);
  for (size_t i = 0; i < (size_t)n; i++)
    flv_policy_log_pf(r->policy, logits + i * a, r->mask + i * a, log_pf + i * a);
}
