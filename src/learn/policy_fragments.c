// Message passing over trees of fragments (env: fragments): the policy of the paper's experiments
// on molecules [Bengio et al. 2021, arXiv:2106.04399, appendix; Malkin et al. 2023,
// arXiv:2210.00580, section 4.4]. With D = width, lrelu of slope 0.01, and node u the parent of
// node v:
//
//   h_v    = W2 lrelu(W1 e(fragment of v))
//   steps times, with the same weights:
//     g_v  = (h_u . b(type of u's slot)) b(type of v's own)     0 at the root
//     m_v  = lrelu(g_v + h_v R + c)
//     h_v  = GRU(m_v, h_v)
//   logits of the blocks that a slot may take:  MLP([h_v; s(type of the slot)]), D -> D -> D -> K
//   logit of the end: MLP(mean of h), D -> D -> 1; log F likewise, on the same hidden units
//
// e, b, s are tables of embeddings. Edges lead away from the root only, so h_v depends on the path
// to v alone, and a state that adds a leaf to another is one more row (nn/tree.h). P_B is uniform.
#include <math.h>
#include <stdio.h>

#include "env/fragments.h"
#include "fluvial/objective.h"
#include "learn/policy_list.h"
#include "nn/optim.h"

#define FRAGMENT_KEYS(X)                                                                           \
  X(INT, width, "256", 1, 4096, "", "D: width of embeddings, hidden states and MLPs")              \
  X(INT, steps, "10", 1, 32, "", "steps of message passing")                                       \
  X(CHOICE, exit, "joint", 0, 0, FLV_EXIT_WORDS, FLV_EXIT_HELP)                                    \
  X(REAL, log_z, "0", -1e6, 1e6, "", "initial log Z")
typedef struct fragment_cfg {
  FRAGMENT_KEYS(FLV_FIELD)
} fragment_cfg;
#define FLV_STRUCT fragment_cfg
static const flv_param params[] = {FRAGMENT_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

typedef struct linear {
  int w, b;
} linear;

typedef struct making {
  flv_net *net;
  int d; // width
} making;

static int tensor(const making *m, const char *name, int rows, int cols, flv_init init,
                  double scale) {
  return flv_net_tensor(m->net, rows, cols, init, scale, FLV_GROUP_PF, name);
}

static int embeddings(const making *m, const char *name, int rows) {
  return tensor(m, name, rows, m->d, FLV_INIT_NORMAL, 1.0);
}

// fan_in: of the initial range, which is that of the whole product.
static linear make_linear(const making *m, const char *part, int in, int out, int fan_in) {
  char name[64];
  const double bound = 1.0 / sqrt((double)fan_in);
  snprintf(name, sizeof name, "p_f.%s.weight", part);
  const int w = tensor(m, name, in, out, FLV_INIT_UNIFORM, bound);
  snprintf(name, sizeof name, "p_f.%s.bias", part);
  return (linear){w, tensor(m, name, 1, out, FLV_INIT_UNIFORM, bound)};
}

static int product(const making *m, int x, const linear *f) {
  const flv_operand o = flv_times(x, f->w, 0);
  return flv_net_sum(m->net, FLV_PER_NODE, 0, m->net->weight[f->w].cols, FLV_ACT_NONE, f->b, 1, &o);
}

typedef struct gates {
  linear x, h;
} gates;

static int step(const making *m, int h, int from, int to, const linear *root, const gates *gru) {
  const flv_operand parts[] = {flv_times(h, root->w, 0),
                               flv_gather(flv_net_message(m->net, h, from, to), FLV_HERE)};
  const int message =
      flv_net_sum(m->net, FLV_PER_NODE, 0, m->d, FLV_ACT_LEAKY_RELU, root->b, 2, parts);
  const int a = product(m, message, &gru->x);
  const int b = product(m, h, &gru->h);
  return flv_net_gru(m->net, a, b, h);
}

// Per slot, [slots, K].
static int slot_logits(const making *m, int h, int stems, int n_blocks) {
  const int d = m->d;
  const linear first = make_linear(m, "stem.0", 2 * d, d, 2 * d);
  const flv_operand node = flv_times(h, first.w, 0);
  const int at_node = flv_net_sum(m->net, FLV_PER_NODE, 0, d, FLV_ACT_NONE, -1, 1, &node);
  const flv_operand parts[] = {flv_times(flv_net_lookup(m->net, stems, FLV_TYPE), first.w, d),
                               flv_gather(at_node, FLV_HERE)};
  int x = flv_net_sum(m->net, FLV_PER_EDGE, 0, d, FLV_ACT_LEAKY_RELU, first.b, 2, parts);
  x = flv_net_layer(m->net, x, d, FLV_ACT_LEAKY_RELU, FLV_GROUP_PF, "p_f.stem.2");
  return flv_net_layer(m->net, x, n_blocks, FLV_ACT_NONE, FLV_GROUP_PF, "p_f.stem.4");
}

static flv_status check(const flv_env *env, const void *values, unsigned needs, flv_error *err) {
  (void)values;
  if (!flv_fragments_of(env))
    return flv_fail(err, FLV_EINVAL,
                    "policy: fragment_network needs an environment whose states are trees of "
                    "fragments (env: fragments), and those of '%s' are not",
                    env->name);
  if (needs >> FLV_HEADS_SHIFT)
    return flv_fail(err, FLV_EINVAL, "exploration.heads: not with policy: fragment_network");
  return FLV_OK;
}

static int hidden_nodes(const making *m, int bonds, int blocks, int steps) {
  const int d = m->d;
  const linear root = {tensor(m, "p_f.root.weight", d, d, FLV_INIT_UNIFORM, 1.0 / sqrt((double)d)),
                       tensor(m, "p_f.root.bias", 1, d, FLV_INIT_CONSTANT, 0.0)};
  int h = flv_net_lookup(m->net, blocks, FLV_SYMBOL);
  h = flv_net_layer(m->net, h, d, FLV_ACT_LEAKY_RELU, FLV_GROUP_PF, "p_f.block.0");
  h = flv_net_layer(m->net, h, d, FLV_ACT_NONE, FLV_GROUP_PF, "p_f.block.2");
  const gates gru = {make_linear(m, "gru.x", d, 3 * d, d), make_linear(m, "gru.h", d, 3 * d, d)};
  const int from = flv_net_lookup(m->net, bonds, FLV_TYPE_FROM);
  const int to = flv_net_lookup(m->net, bonds, FLV_TYPE_TO);
  for (int k = 0; k < steps; k++) h = step(m, h, from, to, &root, &gru);
  return h;
}

static flv_policy_shared record(flv_policy *p, const void *values) {
  const fragment_cfg *cfg = values;
  const flv_fragments *e = flv_fragments_of(p->env);
  const flv_vocabulary *v = &e->vocabulary;
  const making m = {.net = p->net, .d = cfg->width};
  const flv_policy_shared shared = {FLV_PB_UNIFORM, cfg->exit, cfg->log_z};
  flv_net_trees(p->net, &(flv_tree_shape){.nodes = e->max_blocks,
                                          .kinds = v->n_blocks,
                                          .slots = e->slots,
                                          .symbols = v->n_fragments + 1,
                                          .types = v->n_stem_types + 1,
                                          .symbol = e->fragment,
                                          .n_slots = e->n_slots,
                                          .type = e->stem_type});
  const int blocks = embeddings(&m, "p_f.blocks", v->n_fragments + 1);
  const int stems = embeddings(&m, "p_f.stems", v->n_stem_types + 1);
  const int bonds = embeddings(&m, "p_f.bonds", v->n_stem_types);
  const int h = hidden_nodes(&m, bonds, blocks, cfg->steps);
  const int slots = slot_logits(&m, h, stems, v->n_blocks);
  const int mean = flv_net_mean(p->net, h);
  const int hidden =
      flv_net_layer(p->net, mean, m.d, FLV_ACT_LEAKY_RELU, FLV_GROUP_PF, "p_f.state.0");
  const int end = flv_net_layer(p->net, hidden, 1, FLV_ACT_NONE, FLV_GROUP_PF, "p_f.state.2");
  p->pf = flv_net_deal(p->net, slots, end);
  flv_net_mark(p->net);
  if (p->needs & FLV_NEEDS_LOG_F)
    p->log_f = flv_net_layer(p->net, hidden, 1, FLV_ACT_NONE, FLV_GROUP_LOG_F, "log_f.head");
  return shared;
}

static const flv_policy_impl impl = {.check = check, .record = record};
const flv_component flv_policy_fragment_network = {
    "fragment_network",
    "message passing over trees of fragments (env: fragments)",
    params,
    sizeof params / sizeof *params,
    sizeof(fragment_cfg),
    &impl};
