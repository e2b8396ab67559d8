// Transformers, for environments whose states are rows of positions that hold one symbol each
// (n_positions = P > 0): an encoder [Vaswani et al. 2017, arXiv:1706.03762] over the positions,
// behind a start token where `start`. With H = width:
//
//   tokens  x_i = T[symbol_i] + E_i, both learned; or T[i, symbol_i], a vector for every feature
//   layers, each with weights of its own; A(.) = multi-head attention among the nodes and a Linear,
//   F(.) = Linear, activation, Linear:
//     norm: post   x = N(x + A(x)), x = N(x + F(x))
//     norm: pre    x += A(N(x)), x += F(N(x)), and x = N(x) behind the last   [Xiong et al. 2020,
//                  arXiv:2002.04745]
//   m = mean of the x_i
//   head: positions   logits of the actions of position p = Linear(x_p), the exit's = Linear(m)
//   head: pooled      logits of all actions = Linear(m)
//
// P_B, where it is a network, has a head of the same kind without the exit; log F and log n are
// Linear(m). Actions are numbered by position: n_actions / P of each, then the exit; backward
// actions likewise.
//
// q, k and v are one product, and x + is added to the product in front of it, so a layer makes four
// passes over its rows besides attention and normalisation.
#include <math.h>
#include <stdio.h>

#include "fluvial/objective.h"
#include "learn/policy_list.h"
#include "nn/optim.h"

enum { NORM_POST, NORM_PRE };
enum { EMBED_LEARNED, EMBED_SINES, EMBED_FEATURES };
enum { HEAD_POSITIONS, HEAD_POOLED };
enum { ACT_RELU, ACT_GELU, ACT_TANH };

#define TRANSFORMER_KEYS(X)                                                                        \
  X(INT, width, "64", 1, FLV_NET_MAX_KEY, "", "H: width of a position's vector")                   \
  X(INT, layers, "3", 1, 16, "", "layers of attention and feed-forward network")                   \
  X(INT, heads, "8", 1, 64, "", "heads of the attention among positions; divides the width")       \
  X(INT, feed_forward, "0", 0, 16384, "",                                                          \
    "hidden units of the feed-forward networks; 0: as many as the width")                          \
  X(CHOICE, activation, "relu", 0, 0, "relu|gelu|tanh", "of the feed-forward networks")            \
  X(CHOICE, norm, "post", 0, 0, "post|pre",                                                        \
    "layer normalisation behind each sum, or in front of each attention and feed-forward network") \
  X(CHOICE, embedding, "learned", 0, 0, "learned|sines|features",                                  \
    "a position's vector: its symbol's plus the position's, which begins at random or as sines "   \
    "and cosines; or one for every pair of position and symbol")                                   \
  X(BOOL, start, "false", 0, 1, "", "a start token before the positions")                          \
  X(CHOICE, head, "positions", 0, 0, "positions|pooled",                                           \
    "logits from each position's vector, or all from the mean of the vectors")                     \
  X(BOOL, mask, "false", 0, 1, "",                                                                 \
    "positions that hold the first symbol, which is what is empty where positions are filled, "    \
    "are not attended to, and attend to all alike")                                                \
  X(CHOICE, p_b, "tied", 0, 0, FLV_PB_WORDS,                                                       \
    "backward policy: own network, head on P_F's trunk, uniform, or by the number of ways")        \
  X(CHOICE, exit, "joint", 0, 0, FLV_EXIT_WORDS, FLV_EXIT_HELP)                                    \
  X(REAL, log_z, "0", -1e6, 1e6, "", "initial log Z")
typedef struct transformer_cfg {
  TRANSFORMER_KEYS(FLV_FIELD)
} transformer_cfg;
#define FLV_STRUCT transformer_cfg
static const flv_param params[] = {TRANSFORMER_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

typedef struct making { // one network
  flv_net *net;
  const flv_env *env;
  const transformer_cfg *cfg;
  const char *name; // its tensors begin with it
  int group;
} making;

enum { NAME = 48 };

static void name_of(char *to, const making *m, int layer, const char *part) {
  if (layer < 0)
    snprintf(to, NAME, "%s.%s", m->name, part);
  else
    snprintf(to, NAME, "%s.%d.%s", m->name, layer, part);
}

static int tensor(const making *m, const char *part, int rows, flv_init init) {
  char name[NAME];
  name_of(name, m, -1, part);
  return flv_net_tensor(m->net, rows, m->cfg->width, init, 1.0, m->group, name);
}

static int norm(const making *m, int x, int layer, const char *part) {
  char name[NAME];
  name_of(name, m, layer, part);
  return flv_net_layernorm(m->net, x, m->group, name);
}

static int linear(const making *m, int x, int width, flv_act act, int layer, const char *part) {
  char name[NAME];
  name_of(name, m, layer, part);
  return flv_net_layer(m->net, x, width, act, m->group, name);
}

// x W + b + residual, initialised as linear() is.
static int linear_onto(const making *m, int x, int residual, int layer, const char *part) {
  char name[NAME], whole[NAME + 8];
  const int in = x < 0 ? 1 : m->net->width[x], width = m->cfg->width;
  const double bound = 1.0 / sqrt((double)in);
  name_of(name, m, layer, part);
  snprintf(whole, sizeof whole, "%s.weight", name);
  const int w = flv_net_tensor(m->net, in, width, FLV_INIT_UNIFORM, bound, m->group, whole);
  snprintf(whole, sizeof whole, "%s.bias", name);
  const int b = flv_net_tensor(m->net, 1, width, FLV_INIT_UNIFORM, bound, m->group, whole);
  const flv_operand terms[] = {flv_times(x, w, 0), flv_gather(residual, FLV_HERE)};
  return flv_net_sum(m->net, FLV_PER_NODE, 0, width, FLV_ACT_NONE, b, 2, terms);
}

static int embed(const making *m) {
  const int width = m->cfg->width, how = m->cfg->embedding;
  const int symbols = how == EMBED_FEATURES ? 0 : m->env->n_symbols;
  const int rows = symbols > 0 ? symbols : m->env->n_features;
  const int w = tensor(m, "tokens", rows, FLV_INIT_NORMAL);
  const int start = m->cfg->start ? tensor(m, "start", 1, FLV_INIT_NORMAL) : -1;
  const int tokens = flv_net_tokens(m->net, w, symbols, start);
  if (how == EMBED_FEATURES) return tokens;
  const int nodes = m->net->n_nodes;
  const flv_init init = how == EMBED_SINES ? FLV_INIT_SINES : FLV_INIT_NORMAL;
  const int places = flv_net_table(m->net, tensor(m, "positions", nodes, init), 0, nodes, 0, width);
  const flv_operand terms[] = {flv_gather(tokens, FLV_HERE), flv_gather(places, FLV_HERE)};
  return flv_net_sum(m->net, FLV_PER_NODE, 0, width, FLV_ACT_NONE, -1, 2, terms);
}

static int attend(const making *m, int x, int residual, int layer) {
  const int qkv = linear(m, x, 3 * m->cfg->width, FLV_ACT_NONE, layer, "qkv");
  const int symbols = m->cfg->mask ? m->env->n_symbols : 0;
  const int heads = flv_net_attention_masked(m->net, qkv, -1, -1, m->cfg->heads, symbols);
  return linear_onto(m, heads, residual, layer, "attention");
}

static int feed_forward(const making *m, int x, int residual, int layer) {
  static const flv_act acts[] = {FLV_ACT_RELU, FLV_ACT_NONE, FLV_ACT_TANH};
  const int units = m->cfg->feed_forward > 0 ? m->cfg->feed_forward : m->cfg->width;
  int h = linear(m, x, units, acts[m->cfg->activation], layer, "hidden");
  if (m->cfg->activation == ACT_GELU) h = flv_net_gelu(m->net, h);
  return linear_onto(m, h, residual, layer, "forward");
}

// Vectors of the nodes.
static int make_trunk(const making *m) {
  const bool pre = m->cfg->norm == NORM_PRE;
  int x = embed(m);
  for (int i = 0; i < m->cfg->layers; i++) {
    x = attend(m, pre ? norm(m, x, i, "norm1") : x, x, i);
    if (!pre) x = norm(m, x, i, "norm1");
    x = feed_forward(m, pre ? norm(m, x, i, "norm2") : x, x, i);
    if (!pre) x = norm(m, x, i, "norm2");
  }
  return pre ? norm(m, x, -1, "norm") : x;
}

typedef struct trunk {
  int nodes, mean; // mean: -1 until somebody reads it
} trunk;

static int mean_of(const making *m, trunk *t) {
  if (t->mean < 0) t->mean = flv_net_mean(m->net, t->nodes);
  return t->mean;
}

static int state_head(const making *m, trunk *t, int width, const char *part) {
  return linear(m, mean_of(m, t), width, FLV_ACT_NONE, -1, part);
}

// Logits of `actions` actions, and of the exit where there is one.
static int make_head(const making *m, trunk *t, int actions, bool exits) {
  if (m->cfg->head == HEAD_POOLED) return state_head(m, t, actions + exits, "head");
  const int rows = linear(m, t->nodes, actions / m->env->n_positions, FLV_ACT_NONE, -1, "head");
  return flv_net_join(m->net, rows, exits ? state_head(m, t, 1, "exit") : -1);
}

// ---- the policy ----

static flv_status check_env(const flv_env *env, const transformer_cfg *cfg, flv_error *err) {
  const int most = FLV_NET_MAX_NODES - cfg->start,
            others = env->n_actions - (env->exit_action >= 0);
  if (env->n_positions < 1)
    return flv_fail(err, FLV_EINVAL,
                    "policy: transformer needs an environment whose states are rows of positions "
                    "with one symbol each, and those of '%s' are not",
                    env->name);
  if (env->n_positions > most)
    return flv_fail(err, FLV_EINVAL,
                    "policy: transformer reads %d positions at most, and '%s' has %d", most,
                    env->name, env->n_positions);
  if (cfg->embedding != EMBED_FEATURES && env->n_symbols == 0)
    return flv_fail(err, FLV_EINVAL,
                    "policy.embedding: positions of '%s' have different numbers of symbols, for "
                    "which it has to be features",
                    env->name);
  if (cfg->mask && env->n_symbols == 0)
    return flv_fail(err, FLV_EINVAL,
                    "policy.mask: positions of '%s' have different numbers of symbols", env->name);
  if (cfg->head == HEAD_POSITIONS &&
      (others % env->n_positions != 0 || env->n_back % env->n_positions != 0 ||
       (env->exit_action >= 0 && env->exit_action != others)))
    return flv_fail(err, FLV_EINVAL,
                    "policy.head: actions of '%s' are not as many at every position; use pooled",
                    env->name);
  return FLV_OK;
}

static flv_status check(const flv_env *env, const void *values, unsigned needs, flv_error *err) {
  const transformer_cfg *cfg = values;
  FLV_TRY(check_env(env, cfg, err));
  if (cfg->width % cfg->heads != 0)
    return flv_fail(err, FLV_EINVAL, "policy.heads: %d does not divide the width, %d", cfg->heads,
                    cfg->width);
  if (cfg->head == HEAD_POSITIONS && needs >> FLV_HEADS_SHIFT)
    return flv_fail(err, FLV_EINVAL,
                    "exploration.heads: not with policy: transformer but with its head: pooled");
  return FLV_OK;
}

static flv_policy_shared record(flv_policy *p, const void *values) {
  const transformer_cfg *cfg = values;
  const flv_env *env = p->env;
  const bool exits = env->exit_action >= 0;
  making m = {.net = p->net, .env = env, .cfg = cfg, .name = "p_f", .group = FLV_GROUP_PF};
  flv_net_positions(p->net, env->n_positions, env->n_features, cfg->start);
  trunk t = {make_trunk(&m), -1};
  p->pf = make_head(&m, &t, env->n_actions - exits, exits);
  if (p->n_heads > 0) p->heads = state_head(&m, &t, p->n_heads * env->n_actions, "heads");
  flv_net_mark(p->net);
  if (flv_pb_has_network(cfg->p_b)) {
    m.name = "p_b";
    m.group = FLV_GROUP_PB;
    trunk own = t;
    if (cfg->p_b == FLV_PB_LEARNED) own = (trunk){make_trunk(&m), -1};
    p->pb = make_head(&m, &own, env->n_back, false);
    m.name = "log_n";
    if (p->needs & FLV_NEEDS_WAYS) p->log_n = state_head(&m, &own, 1, "head");
    if (cfg->p_b == FLV_PB_TIED) t = own;
  }
  if (p->needs & FLV_NEEDS_LOG_F) {
    m.name = "log_f";
    m.group = FLV_GROUP_LOG_F;
    p->log_f = state_head(&m, &t, 1, "head");
  }
  return (flv_policy_shared){cfg->p_b, cfg->exit, cfg->log_z};
}

static const flv_policy_impl impl = {.check = check, .record = record};
const flv_component flv_policy_transformer = {
    "transformer",
    "transformer, where states are rows of positions (env: hypergrid, bit_sequence, ising)",
    params,
    sizeof params / sizeof *params,
    sizeof(transformer_cfg),
    &impl};
