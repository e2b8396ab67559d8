#include "learn/target_net.h"

#include <string.h>

#include "base/memory.h"

#define TARGET_KEYS(X)                                                                             \
  X(REAL, tau, "0.25", 1e-6, 1, "", "share of the parameters that the target takes on each time")  \
  X(LONG, every, "1", 1, 1e12, "", "updates from one time to the next; with tau 1 a periodic copy")
typedef struct target_cfg {
  TARGET_KEYS(FLV_FIELD)
} target_cfg;
#define FLV_STRUCT target_cfg
static const flv_param params[] = {TARGET_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static const flv_component component = {"ema",
                                        "moving average of the parameters",
                                        params,
                                        sizeof params / sizeof *params,
                                        sizeof(target_cfg),
                                        NULL};
const flv_component *const flv_target_net_list[] = {&component, NULL};

flv_status flv_target_net_init(flv_target_net *target, const void *cfg, const flv_policy *policy,
                               const flv_batch *batch, flv_error *err) {
  const target_cfg *c = cfg;
  flv_target_net t = {.policy = *policy, .tau = c->tau, .every = c->every};
  t.policy.params = flv_alloc(policy->n_params * sizeof *policy->params);
  if (!t.policy.params) return flv_fail(err, FLV_ENOMEM, "out of memory for the target network");
  memcpy(t.policy.params, policy->params, policy->n_params * sizeof *policy->params);
  const flv_status status =
      flv_batch_init(&t.batch, &t.policy, batch->max_n, batch->interned, false, err);
  if (status != FLV_OK) {
    flv_free(t.policy.params);
    return status;
  }
  *target = t;
  return FLV_OK;
}

void flv_target_net_free(flv_target_net *target) {
  flv_batch_free(&target->batch);
  flv_free(target->policy.params);
  *target = (flv_target_net){0};
}

void flv_target_net_evaluate(flv_target_net *target, const flv_batch *batch, int threads) {
  flv_batch *shadow = &target->batch;
  flv_batch_clear(shadow);
  shadow->unmasked = batch->unmasked;
  memcpy(shadow->rows.states, batch->rows.states, (size_t)batch->rows.n * batch->rows.state_size);
  shadow->rows.n = batch->rows.n;
  for (int r = 0; batch->acts.change && r < batch->rows.n; r++)
    flv_acts_link(&shadow->acts, r, batch->acts.change[r].from);
  flv_batch_evaluate_pf(shadow, &target->policy, threads);
  flv_batch_evaluate_rest(shadow, &target->policy, threads);
}

void flv_target_net_update(flv_target_net *target, const flv_policy *policy, int64_t updates) {
  if (updates % target->every != 0) return;
  float *slow = target->policy.params;
  if (!(target->tau < 1.0)) { // a copy, to the bit
    memcpy(slow, policy->params, policy->n_params * sizeof *slow);
    return;
  }
  for (size_t i = 0; i < policy->n_params; i++)
    slow[i] += (float)target->tau * (policy->params[i] - slow[i]);
}
