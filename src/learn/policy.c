#include "learn/policy.h"

#include <stdio.h>

#include "base/memory.h"
#include "fluvial/objective.h"
#include "learn/max_entropy.h"
#include "nn/optim.h"

enum { PB_LEARNED, PB_TIED, PB_UNIFORM, PB_MAX_ENTROPY };
#define PB_WORDS "learned|tied|uniform|max_entropy"
enum { LOG_F_TIED, LOG_F_LEARNED };

#define MLP_KEYS(X)                                                                                \
  X(INTS, hidden, "[256, 256]", 1, 65536, "", "width of each hidden layer")                        \
  X(CHOICE, activation, "relu", 0, 0, "none|relu|leaky_relu|tanh", "between layers")               \
  X(BOOL, layernorm, "false", 0, 1, "", "normalise each hidden layer before the next")             \
  X(CHOICE, p_b, "learned", 0, 0, PB_WORDS,                                                        \
    "backward policy: own network, head on P_F's trunk, uniform, or by the number of ways")        \
  X(CHOICE, log_f, "tied", 0, 0, "tied|learned",                                                   \
    "state flows, where an objective needs them: head on P_F's trunk, or own network")             \
  X(REAL, log_z, "0", -1e6, 1e6, "", "initial log Z")
typedef struct mlp_cfg {
  MLP_KEYS(FLV_FIELD)
} mlp_cfg;
#define FLV_STRUCT mlp_cfg
static const flv_param mlp_params[] = {MLP_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

#define TABULAR_KEYS(X)                                                                            \
  X(CHOICE, p_b, "learned", 0, 0, PB_WORDS,                                                        \
    "backward policy: a table, uniform, or by the number of ways")                                 \
  X(REAL, log_z, "0", -1e6, 1e6, "", "initial log Z")
typedef struct tabular_cfg {
  TABULAR_KEYS(FLV_FIELD)
} tabular_cfg;
#define FLV_STRUCT tabular_cfg
static const flv_param tabular_params[] = {TABULAR_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static const flv_component mlp = {
    "mlp",
    "multilayer perceptron; its first layer on k-hot input is a sum of embedding rows",
    mlp_params,
    sizeof mlp_params / sizeof *mlp_params,
    sizeof(mlp_cfg),
    NULL};
static const flv_component tabular = {
    "tabular",           "one free logit per state and action (enumerable environments)",
    tabular_params,      sizeof tabular_params / sizeof *tabular_params,
    sizeof(tabular_cfg), NULL};
const flv_component *const flv_policy_list[] = {&mlp, &tabular, NULL};

static int trunk(flv_net *net, const mlp_cfg *cfg, int x, int group, const char *name) {
  for (int i = 0; i < cfg->hidden.n; i++) {
    char layer[48];
    snprintf(layer, sizeof layer, "%s.%d", name, i);
    x = flv_net_layer(net, x, cfg->hidden.v[i], (flv_act)cfg->activation, group, layer);
    if (cfg->layernorm) {
      snprintf(layer, sizeof layer, "%s.norm%d", name, i);
      x = flv_net_layernorm(net, x, group, layer);
    }
  }
  return x;
}

static void record_mlp(flv_policy *p, const mlp_cfg *cfg, unsigned needs) {
  flv_net *net = p->net;
  const int x = flv_net_input(net, p->env->n_hot, p->env->n_features);
  const int h = trunk(net, cfg, x, FLV_GROUP_PF, "p_f");
  p->pf = flv_net_layer(net, h, p->env->n_actions, FLV_ACT_NONE, FLV_GROUP_PF, "p_f.head");
  if (p->n_heads > 0)
    p->heads = flv_net_layer(net, h, p->n_heads * p->env->n_actions, FLV_ACT_NONE, FLV_GROUP_PF,
                             "p_f.heads");
  flv_net_mark(net);
  if (cfg->p_b == PB_LEARNED || cfg->p_b == PB_TIED) {
    const int hb = cfg->p_b == PB_TIED ? h : trunk(net, cfg, x, FLV_GROUP_PB, "p_b");
    p->pb = flv_net_layer(net, hb, p->env->n_back, FLV_ACT_NONE, FLV_GROUP_PB, "p_b.head");
    if (needs & FLV_NEEDS_WAYS)
      p->log_n = flv_net_layer(net, hb, 1, FLV_ACT_NONE, FLV_GROUP_PB, "log_n.head");
  }
  if (needs & FLV_NEEDS_LOG_F) {
    const int hf = cfg->log_f == LOG_F_TIED ? h : trunk(net, cfg, x, FLV_GROUP_LOG_F, "log_f");
    p->log_f = flv_net_layer(net, hf, 1, FLV_ACT_NONE, FLV_GROUP_LOG_F, "log_f.head");
  }
}

static void record_tabular(flv_policy *p, const tabular_cfg *cfg, unsigned needs) {
  flv_net *net = p->net;
  const int x = flv_net_input(net, 1, (int)p->env->n_states);
  p->pf = flv_net_layer(net, x, p->env->n_actions, FLV_ACT_NONE, FLV_GROUP_PF, "p_f");
  if (p->n_heads > 0)
    p->heads = flv_net_layer(net, x, p->n_heads * p->env->n_actions, FLV_ACT_NONE, FLV_GROUP_PF,
                             "p_f.heads");
  flv_net_mark(net);
  if (cfg->p_b == PB_LEARNED || cfg->p_b == PB_TIED) {
    p->pb = flv_net_layer(net, x, p->env->n_back, FLV_ACT_NONE, FLV_GROUP_PB, "p_b");
    if (needs & FLV_NEEDS_WAYS)
      p->log_n = flv_net_layer(net, x, 1, FLV_ACT_NONE, FLV_GROUP_PB, "log_n");
  }
  if (needs & FLV_NEEDS_LOG_F)
    p->log_f = flv_net_layer(net, x, 1, FLV_ACT_NONE, FLV_GROUP_LOG_F, "log_f");
}

flv_status flv_policy_init(flv_policy *policy, const flv_env *env, const flv_component *component,
                           const void *cfg, unsigned needs, uint64_t seed, flv_error *err) {
  flv_policy p = {.env = env,
                  .pf = -1,
                  .n_heads = (int)(needs >> FLV_HEADS_SHIFT),
                  .heads = -1,
                  .pb = -1,
                  .log_f = -1,
                  .log_n = -1,
                  .needs = needs,
                  .tabular = component == &tabular};
  if (p.tabular && (env->n_states <= 0 || env->n_states > 1 << 24))
    return flv_fail(
        err, FLV_EINVAL,
        "policy: tabular needs an environment of at most 2^24 enumerable states, and '%s' has %lld",
        env->name, (long long)env->n_states);
  p.net = flv_net_new();
  if (!p.net) return flv_fail(err, FLV_ENOMEM, "out of memory for the policy's network");
  double log_z;
  int p_b;
  if (p.tabular) {
    record_tabular(&p, cfg, needs);
    log_z = ((const tabular_cfg *)cfg)->log_z;
    p_b = ((const tabular_cfg *)cfg)->p_b;
  } else {
    record_mlp(&p, cfg, needs);
    log_z = ((const mlp_cfg *)cfg)->log_z;
    p_b = ((const mlp_cfg *)cfg)->p_b;
  }
  flv_net_output(p.net, p.pf);
  if (p.heads >= 0) flv_net_output(p.net, p.heads);
  if (p.pb >= 0) flv_net_output(p.net, p.pb);
  if (p.log_f >= 0) flv_net_output(p.net, p.log_f);
  if (p.log_n >= 0) flv_net_output(p.net, p.log_n);
  p.n_params = p.net->n_params + 16;
  p.params = p.net->failed ? NULL : flv_alloc(p.n_params * sizeof *p.params);
  if (!p.params) {
    const bool failed = p.net->failed;
    flv_net_free(p.net);
    return failed ? flv_fail(err, FLV_EINVAL, "policy: the network has too many layers")
                  : flv_fail(err, FLV_ENOMEM, "out of memory for %zu parameters", p.n_params);
  }
  if (p_b == PB_MAX_ENTROPY && !(p.fixed_log_pb = flv_max_entropy(env, err))) {
    flv_policy_free(&p);
    return err ? err->status : FLV_EINVAL;
  }
  flv_net_init(p.net, seed, p.params);
  *flv_policy_log_z(&p) = (float)log_z;
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
