// Tables: one free logit per state and action. The network reads the state's index.
#include "fluvial/objective.h"
#include "learn/policy_list.h"
#include "nn/optim.h"

enum { MAX_STATES = 1 << 24 };

#define TABULAR_KEYS(X)                                                                            \
  X(CHOICE, p_b, "learned", 0, 0, FLV_PB_WORDS,                                                    \
    "backward policy: a table, uniform, or by the number of ways")                                 \
  X(CHOICE, exit, "joint", 0, 0, FLV_EXIT_WORDS, FLV_EXIT_HELP)                                    \
  X(REAL, log_z, "0", -1e6, 1e6, "", "initial log Z")
typedef struct tabular_cfg {
  TABULAR_KEYS(FLV_FIELD)
} tabular_cfg;
#define FLV_STRUCT tabular_cfg
static const flv_param params[] = {TABULAR_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static flv_status check(const flv_env *env, const void *cfg, unsigned needs, flv_error *err) {
  (void)cfg, (void)needs;
  if (env->n_states > 0 && env->n_states <= MAX_STATES) return FLV_OK;
  return flv_fail(
      err, FLV_EINVAL,
      "policy: tabular needs an environment of at most 2^24 enumerable states, and '%s' has %lld",
      env->name, (long long)env->n_states);
}

static flv_policy_shared record(flv_policy *p, const void *values) {
  const tabular_cfg *cfg = values;
  flv_net *net = p->net;
  const int x = flv_net_input(net, 1, (int)p->env->n_states);
  p->tabular = true;
  p->pf = flv_net_layer(net, x, p->env->n_actions, FLV_ACT_NONE, FLV_GROUP_PF, "p_f");
  if (p->n_heads > 0)
    p->heads = flv_net_layer(net, x, p->n_heads * p->env->n_actions, FLV_ACT_NONE, FLV_GROUP_PF,
                             "p_f.heads");
  flv_net_mark(net);
  if (flv_pb_has_network(cfg->p_b)) {
    p->pb = flv_net_layer(net, x, p->env->n_back, FLV_ACT_NONE, FLV_GROUP_PB, "p_b");
    if (p->needs & FLV_NEEDS_WAYS)
      p->log_n = flv_net_layer(net, x, 1, FLV_ACT_NONE, FLV_GROUP_PB, "log_n");
  }
  if (p->needs & FLV_NEEDS_LOG_F)
    p->log_f = flv_net_layer(net, x, 1, FLV_ACT_NONE, FLV_GROUP_LOG_F, "log_f");
  return (flv_policy_shared){cfg->p_b, cfg->exit, cfg->log_z};
}

static const flv_policy_impl impl = {.check = check, .record = record};
const flv_component flv_policy_tabular = {
    "tabular",
    "one free logit per state and action (enumerable environments)",
    params,
    sizeof params / sizeof *params,
    sizeof(tabular_cfg),
    &impl};
