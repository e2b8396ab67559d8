#include "learn/logits.h"

#include <math.h>

#include "base/logmath.h"

// log sum of exp(l_a) over legal a other than the exit; -INFINITY if there is none.
static double log_sum_others(const flv_policy *policy, const float *logits, const uint8_t *mask) {
  const int n = policy->env->n_actions, exit = policy->env->exit_action;
  double top = -HUGE_VAL, sum = 0.0;
  for (int a = 0; a < n; a++)
    if (a != exit && mask[a] && (double)logits[a] > top) top = (double)logits[a];
  if (!(top > -HUGE_VAL)) return -HUGE_VAL;
  for (int a = 0; a < n; a++)
    if (a != exit && mask[a]) sum += exp((double)logits[a] - top);
  return top + log(sum);
}

void flv_policy_logits(const flv_policy *policy, const float *logits, const uint8_t *mask,
                       double *u) {
  const int n = policy->env->n_actions, exit = policy->env->exit_action;
  for (int a = 0; a < n; a++) u[a] = mask[a] ? (double)logits[a] : -HUGE_VAL;
  if (!policy->gated || !mask[exit]) return;
  const double others = log_sum_others(policy, logits, mask);
  if (others > -HUGE_VAL) u[exit] += others;
}

double flv_policy_log_pf(const flv_policy *policy, const float *logits, const uint8_t *mask,
                         double *log_pf) {
  const int n = policy->env->n_actions, exit = policy->env->exit_action;
  if (!policy->gated || !mask[exit]) return flv_log_softmax(n, logits, mask, log_pf);
  const double others = log_sum_others(policy, logits, mask), gate = (double)logits[exit];
  // -log sigmoid(-gate), without overflow
  const double closed = others > -HUGE_VAL ? flv_logaddexp(0.0, gate) : 0.0;
  for (int a = 0; a < n; a++) log_pf[a] = mask[a] ? (double)logits[a] - others - closed : -HUGE_VAL;
  log_pf[exit] = others > -HUGE_VAL ? gate - closed : 0.0;
  return others > -HUGE_VAL ? others + closed : gate;
}

void flv_policy_logits_back(const flv_policy *policy, const double *log_pf, const uint8_t *mask,
                            float *d) {
  const int n = policy->env->n_actions, exit = policy->env->exit_action;
  if (!policy->gated || !mask[exit]) return;
  double others = -HUGE_VAL;
  for (int a = 0; a < n; a++)
    if (a != exit && mask[a]) others = flv_logaddexp(others, log_pf[a]);
  for (int a = 0; a < n; a++)
    if (a != exit && mask[a]) d[a] += (float)((double)d[exit] * exp(log_pf[a] - others));
}
