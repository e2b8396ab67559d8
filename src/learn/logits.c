#include "learn/logits.h"

#include <math.h>

#include "base/logmath.h"

// log sum of exp(u_a) over a other than the exit; -INFINITY if nothing else is legal.
static double log_sum_others(const flv_env *env, const double *u) {
  const int exit = env->exit_action;
  return flv_logaddexp(flv_logsumexp(exit, u),
                       flv_logsumexp(env->n_actions - exit - 1, u + exit + 1));
}

void flv_policy_logits(const flv_policy *policy, const float *logits, const uint8_t *mask,
                       double *u) {
  const int n = policy->env->n_actions, exit = policy->env->exit_action;
  flv_mask_logits(n, logits, mask, u);
  if (!policy->gated || !mask[exit]) return;
  const double others = log_sum_others(policy->env, u);
  if (others > -HUGE_VAL) u[exit] += others;
}

double flv_policy_log_pf(const flv_policy *policy, const float *logits, const uint8_t *mask,
                         double *log_pf) {
  const int n = policy->env->n_actions, exit = policy->env->exit_action;
  if (!policy->gated || !mask[exit]) return flv_log_softmax(n, logits, mask, log_pf);
  flv_mask_logits(n, logits, mask, log_pf);
  const double others = log_sum_others(policy->env, log_pf), gate = (double)logits[exit];
  if (!(others > -HUGE_VAL)) { // the exit alone
    log_pf[exit] = 0.0;
    return gate;
  }
  const double closed = flv_logaddexp(0.0, gate); // -log sigmoid(-gate), without overflow
  for (int a = 0; a < n; a++) {
    const double legal = log_pf[a] - others - closed;
    log_pf[a] = mask[a] ? legal : -HUGE_VAL;
  }
  log_pf[exit] = gate - closed;
  return others + closed;
}

void flv_policy_logits_back(const flv_policy *policy, const double *log_pf, const uint8_t *mask,
                            float *d) {
  const int n = policy->env->n_actions, exit = policy->env->exit_action;
  if (!policy->gated || !mask[exit]) return;
  const double others = log_sum_others(policy->env, log_pf);
  for (int a = 0; a < n; a++)
    if (a != exit && mask[a]) d[a] += (float)((double)d[exit] * exp(log_pf[a] - others));
}
