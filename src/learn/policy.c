#include "learn/policy.h"

#include "base/memory.h"
#include "learn/max_entropy.h"
#include "learn/policy_list.h"

#define ENTRY(name) &flv_policy_##name,
const flv_component *const flv_policy_list[] = {FLV_POLICIES(ENTRY) NULL};
#undef ENTRY

static void mark_outputs(const flv_policy *p) {
  const int outputs[] = {p->pf, p->heads, p->pb, p->log_f, p->log_n};
  for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++)
    if (outputs[i] >= 0) flv_net_output(p->net, outputs[i]);
}

flv_status flv_policy_init(flv_policy *policy, const flv_env *env, const flv_component *component,
                           const void *cfg, unsigned needs, uint64_t seed, flv_error *err) {
  const flv_policy_impl *impl = component->impl;
  if (impl->check) FLV_TRY(impl->check(env, cfg, needs, err));
  flv_policy p = {.env = env,
                  .pf = -1,
                  .n_heads = (int)(needs >> FLV_HEADS_SHIFT),
                  .heads = -1,
                  .pb = -1,
                  .log_f = -1,
                  .log_n = -1,
                  .needs = needs};
  p.net = flv_net_new();
  if (!p.net) return flv_fail(err, FLV_ENOMEM, "out of memory for the policy's network");
  const flv_policy_shared shared = impl->record(&p, cfg);
  p.gated = shared.exit == FLV_EXIT_GATED && env->exit_action >= 0;
  p.unmasked = shared.exit == FLV_EXIT_UNMASKED && env->exit_action >= 0;
  mark_outputs(&p);
  p.n_params = p.net->n_params + 16;
  p.params = p.net->failed ? NULL : flv_alloc(p.n_params * sizeof *p.params);
  if (!p.params) {
    const bool failed = p.net->failed;
    flv_net_free(p.net);
    return failed ? flv_fail(err, FLV_EINVAL, "policy: the network has too many layers")
                  : flv_fail(err, FLV_ENOMEM, "out of memory for %zu parameters", p.n_params);
  }
  if (shared.p_b == FLV_PB_MAX_ENTROPY && !(p.fixed_log_pb = flv_max_entropy(env, err))) {
    flv_policy_free(&p);
    return err ? err->status : FLV_EINVAL;
  }
  flv_net_init(p.net, seed, p.params);
  *flv_policy_log_z(&p) = (float)shared.log_z;
  *policy = p;
  return FLV_OK;
}

void flv_policy_free(flv_policy *policy) {
  flv_net_free(policy->net);
  flv_free(policy->params);
  flv_free(policy->fixed_log_pb);
  *policy = (flv_policy){0};
}

void flv_policy_observe(const flv_policy *policy, flv_acts *acts, int row0, int n,
                        const void *states, int64_t *index_scratch) {
  const flv_env *env = policy->env;
  if (policy->tabular) {
    env->ops->index(env, n, states, index_scratch);
    for (int i = 0; i < n; i++) acts->hot[row0 + i] = (int32_t)index_scratch[i];
  } else if (env->n_hot > 0) {
    env->ops->observe(env, n, states, acts->hot + (size_t)row0 * (size_t)env->n_hot, NULL);
  } else {
    float *x = acts->value[policy->net->input] + (size_t)row0 * (size_t)env->n_features;
    env->ops->observe(env, n, states, NULL, x);
  }
}
