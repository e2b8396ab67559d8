// Multilayer perceptrons on what the environment lets networks read.
//
// On k-hot input the first layer is a sum of one row per feature for every new state, though a
// state differs by a feature or two from the one before it on the trajectory that found it. Where
// lists are long a batch links states for it (nn/links.c): on the Ising model of 10x10 sites (TB,
// batch 128, 2 x 256) that sum was 15 % of an iteration and is 4 %. A state's activations then
// depend, in their last bits, on which way it was found first. On short lists, as graphs of 5
// variables, where it is 2 %, links cost what they save.
#include <stdio.h>

#include "fluvial/objective.h"
#include "learn/policy_list.h"
#include "nn/optim.h"

enum { LOG_F_TIED, LOG_F_LEARNED };

#define MLP_KEYS(X)                                                                                \
  X(INTS, hidden, "[256, 256]", 1, 65536, "", "width of each hidden layer")                        \
  X(CHOICE, activation, "relu", 0, 0, "none|relu|leaky_relu|tanh", "between layers")               \
  X(BOOL, layernorm, "false", 0, 1, "", "normalise each hidden layer before the next")             \
  X(CHOICE, p_b, "learned", 0, 0, FLV_PB_WORDS,                                                    \
    "backward policy: own network, head on P_F's trunk, uniform, or by the number of ways")        \
  X(CHOICE, log_f, "tied", 0, 0, "tied|learned",                                                   \
    "state flows, where an objective needs them: head on P_F's trunk, or own network")             \
  X(CHOICE, exit, "joint", 0, 0, FLV_EXIT_WORDS, FLV_EXIT_HELP)                                    \
  X(REAL, log_z, "0", -1e6, 1e6, "", "initial log Z")
typedef struct mlp_cfg {
  MLP_KEYS(FLV_FIELD)
} mlp_cfg;
#define FLV_STRUCT mlp_cfg
static const flv_param params[] = {MLP_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

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

static flv_policy_shared record(flv_policy *p, const void *values) {
  const mlp_cfg *cfg = values;
  flv_net *net = p->net;
  const int x = flv_net_input(net, p->env->n_hot, p->env->n_features);
  const int h = trunk(net, cfg, x, FLV_GROUP_PF, "p_f");
  p->pf = flv_net_layer(net, h, p->env->n_actions, FLV_ACT_NONE, FLV_GROUP_PF, "p_f.head");
  if (p->n_heads > 0)
    p->heads = flv_net_layer(net, h, p->n_heads * p->env->n_actions, FLV_ACT_NONE, FLV_GROUP_PF,
                             "p_f.heads");
  flv_net_mark(net);
  if (flv_pb_has_network(cfg->p_b)) {
    const int hb = cfg->p_b == FLV_PB_TIED ? h : trunk(net, cfg, x, FLV_GROUP_PB, "p_b");
    p->pb = flv_net_layer(net, hb, p->env->n_back, FLV_ACT_NONE, FLV_GROUP_PB, "p_b.head");
    if (p->needs & FLV_NEEDS_WAYS)
      p->log_n = flv_net_layer(net, hb, 1, FLV_ACT_NONE, FLV_GROUP_PB, "log_n.head");
  }
  if (p->needs & FLV_NEEDS_LOG_F) {
    const int hf = cfg->log_f == LOG_F_TIED ? h : trunk(net, cfg, x, FLV_GROUP_LOG_F, "log_f");
    p->log_f = flv_net_layer(net, hf, 1, FLV_ACT_NONE, FLV_GROUP_LOG_F, "log_f.head");
  }
  return (flv_policy_shared){cfg->p_b, cfg->exit, cfg->log_z};
}

static const flv_policy_impl impl = {.record = record};
const flv_component flv_policy_mlp = {
    "mlp",
    "multilayer perceptron; its first layer on k-hot input is a sum of embedding rows",
    params,
    sizeof params / sizeof *params,
    sizeof(mlp_cfg),
    &impl};
