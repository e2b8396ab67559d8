// Graph networks with attention, for environments whose states are directed graphs
// (n_nodes = d > 0) and whose actions add an edge i -> j (number i d + j) or end (d^2): the policy
// of the paper's experiments on structure learning [Malkin et al. 2023, arXiv:2210.00580, appendix
// D.3; a variant of Deleu et al. 2022, arXiv:2202.13903]. With H = width and MLP(.) = Linear, ReLU,
// Linear, all of H units:
//
//   nodes   n_i: a table by variable        edges  e_k: one vector        global  g: the scalar 0
//   layers, each with weights of its own [Battaglia et al. 2018, arXiv:1806.01261]:
//     e'_k = MLP([e_k; n_from; n_to; g])
//     n'_i = MLP([n_i; sum of e' over edges that leave i; over edges that reach i; g])
//     g'   = MLP([sum of n'; sum of e'; g])      then n += n', e += e', g += g'
//   q, k, v = Linear(n), split; multi-head attention among the nodes, and a Linear; nothing
//   residual
//   logit of i -> j = <MLP(n_i), MLP(n_j)> / softplus(theta)        logit of the end = MLP(g)
//
// and P_F gated (learn/logits.h). P_B, where it is a network, has the same form without the end;
// log F and log n are MLP(g).
//
// The program computes this with fewer products. In the first layer nodes and edges do not depend
// on the state, so what an edge i -> j becomes is one of d^2 rows of a table, which is also the
// part of it that later layers find again. The second Linear of an edge's MLP is applied to sums of
// edges, with which it commutes; there is no product per edge in a network of two layers. Linears
// that follow each other, as those of the attention, are multiplied once. Edges and nodes are
// summed in the order in which the environment lists them, and no other order would differ by more
// than rounding.
#include <math.h>
#include <stdio.h>

#include "fluvial/objective.h"
#include "learn/policy_list.h"
#include "nn/optim.h"

#define GRAPH_KEYS(X)                                                                              \
  X(INT, width, "128", 1, 4096, "", "H: width of nodes', edges' and global features, and of MLPs") \
  X(INT, layers, "2", 1, 8, "", "graph network layers")                                            \
  X(INT, heads, "4", 1, 64, "", "heads of the attention among nodes")                              \
  X(INT, key_size, "32", 1, 1024, "", "width of each head")                                        \
  X(CHOICE, p_b, "uniform", 0, 0, FLV_PB_WORDS,                                                    \
    "backward policy: own network, head on P_F's nodes, uniform, or by the number of ways")        \
  X(CHOICE, exit, "gated", 0, 0, FLV_EXIT_WORDS, FLV_EXIT_HELP)                                    \
  X(REAL, log_z, "0", -1e6, 1e6, "", "initial log Z")
typedef struct graph_cfg {
  GRAPH_KEYS(FLV_FIELD)
} graph_cfg;
#define FLV_STRUCT graph_cfg
static const flv_param params[] = {GRAPH_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

// ---- tensors ----

typedef struct making { // one network
  flv_net *net;
  const char *name; // its tensors begin with it
  int group;
  int d, h;      // nodes, width
  int attention; // heads x key size
  int heads;
} making;

typedef struct linear {
  int w, b;
} linear;

typedef struct mlp {
  linear first, second;
} mlp;

static int tensor(const making *m, const char *part, int rows, int cols, flv_init init,
                  double scale) {
  char name[64];
  snprintf(name, sizeof name, "%s.%s", m->name, part);
  return flv_net_tensor(m->net, rows, cols, init, scale, m->group, name);
}

static linear make_linear(const making *m, const char *part, int in, int out, double scale) {
  char name[48];
  snprintf(name, sizeof name, "%s.weight", part);
  const int w = tensor(m, name, in, out, FLV_INIT_NORMAL, scale / sqrt((double)in));
  snprintf(name, sizeof name, "%s.bias", part);
  return (linear){w, tensor(m, name, 1, out, FLV_INIT_CONSTANT, 0.0)};
}

static mlp make_mlp(const making *m, const char *part, int in, int out) {
  char name[32];
  snprintf(name, sizeof name, "%s.0", part);
  const linear first = make_linear(m, name, in, m->h, 1.0);
  snprintf(name, sizeof name, "%s.1", part);
  return (mlp){first, make_linear(m, name, m->h, out, 1.0)};
}

// ---- sums ----

#define COUNT(...) (int)(sizeof((flv_operand[]){__VA_ARGS__}) / sizeof(flv_operand))
#define WITH(m, per, rows, act, b, ...)                                                            \
  flv_net_sum((m)->net, per, rows, (m)->h, act, b, COUNT(__VA_ARGS__), (flv_operand[]){__VA_ARGS__})
#define SUM(m, per, rows, ...) WITH(m, per, rows, FLV_ACT_NONE, -1, __VA_ARGS__)
#define AFFINE(m, per, rows, b, ...) WITH(m, per, rows, FLV_ACT_NONE, b, __VA_ARGS__)
#define RELU(m, per, rows, b, ...) WITH(m, per, rows, FLV_ACT_RELU, b, __VA_ARGS__)

static int table_of(const making *m, int tensor) {
  if (tensor < 0) return -1;
  const flv_weight *w = &m->net->weight[tensor];
  return flv_net_table(m->net, tensor, 0, w->rows, 0, w->cols);
}

// Rows of a table times a block of a tensor.
static int table_times(const making *m, int table, int rows, int tensor, int row) {
  return SUM(m, FLV_PER_NET, rows, flv_times(table, tensor, row));
}

// MLP of a buffer per state, to `out` columns.
static int state_mlp(const making *m, int x, const mlp *f, int out) {
  const int h = RELU(m, FLV_PER_STATE, 0, f->first.b, flv_times(x, f->first.w, 0));
  const flv_operand last = flv_times(h, f->second.w, 0);
  return flv_net_sum(m->net, FLV_PER_STATE, 0, out, FLV_ACT_NONE, f->second.b, 1, &last);
}

// ---- graph network layers ----

typedef struct features {
  int e;  // table [d^2, H]: what of an edge's features its ends determine
  int ee; // per edge: the rest; -1: none
  int n;  // per node
  int g;  // per state; -1: not asked for
} features;

typedef struct layer {
  mlp edge, node, global;
} layer;

static layer make_layer(const making *m, int number, int globals, bool with_global) {
  char name[24];
  layer l = {0};
  snprintf(name, sizeof name, "%d.edge", number);
  l.edge = make_mlp(m, name, 3 * m->h + globals, m->h);
  snprintf(name, sizeof name, "%d.node", number);
  l.node = make_mlp(m, name, 3 * m->h + globals, m->h);
  snprintf(name, sizeof name, "%d.global", number);
  if (with_global) l.global = make_mlp(m, name, 2 * m->h + globals, m->h);
  return l;
}

// sum of n' over the nodes, from the hidden units of their MLP.
static int sum_nodes(const making *m, const layer *l, int hidden) {
  const int sum = SUM(m, FLV_PER_STATE, 0, flv_gather(hidden, FLV_NODES));
  return SUM(m, FLV_PER_STATE, 0, flv_times(sum, l->node.second.w, 0),
             flv_gather(table_of(m, l->node.second.b), FLV_NODES));
}

// The products with g = 0 are left out; their weights' gradients are 0.
static features first_layer(const making *m, bool with_global) {
  const int h = m->h, d = m->d, pairs = d * d;
  const int nodes = table_of(m, tensor(m, "nodes", d, h, FLV_INIT_NORMAL, 1.0));
  const int edge = table_of(m, tensor(m, "edge", 1, h, FLV_INIT_NORMAL, 1.0));
  const layer l = make_layer(m, 0, 1, with_global);
  int w = l.edge.first.w;
  const int eh = RELU(m, FLV_PER_NET, pairs, l.edge.first.b,
                      flv_gather(table_times(m, edge, 1, w, 0), FLV_HERE),
                      flv_gather(table_times(m, nodes, d, w, h), FLV_FROM),
                      flv_gather(table_times(m, nodes, d, w, 2 * h), FLV_TO));
  const int e = AFFINE(m, FLV_PER_NET, pairs, l.edge.second.b, flv_times(eh, l.edge.second.w, 0));
  features f = {.ee = -1, .g = -1};
  f.e = SUM(m, FLV_PER_NET, pairs, flv_gather(e, FLV_HERE), flv_gather(edge, FLV_HERE));
  w = l.node.first.w;
  const int nh =
      RELU(m, FLV_PER_NODE, 0, l.node.first.b, flv_gather(table_times(m, nodes, d, w, 0), FLV_HERE),
           flv_gather(table_times(m, e, pairs, w, h), FLV_OUT),
           flv_gather(table_times(m, e, pairs, w, 2 * h), FLV_IN));
  f.n = AFFINE(m, FLV_PER_NODE, 0, l.node.second.b, flv_times(nh, l.node.second.w, 0),
               flv_gather(nodes, FLV_HERE));
  if (!with_global) return f;
  w = l.global.first.w;
  const int gh = RELU(m, FLV_PER_STATE, 0, l.global.first.b, flv_times(sum_nodes(m, &l, nh), w, 0),
                      flv_gather(table_times(m, e, pairs, w, h), FLV_EDGES));
  f.g = AFFINE(m, FLV_PER_STATE, 0, l.global.second.b, flv_times(gh, l.global.second.w, 0));
  return f;
}

// Hidden units of the edges' MLP.
static int edges_hidden(const making *m, const features *f, const layer *l) {
  const int h = m->h, w = l->edge.first.w;
  const flv_operand x[] = {
      flv_gather(table_times(m, f->e, m->d * m->d, w, 0), FLV_HERE),
      flv_gather(SUM(m, FLV_PER_NODE, 0, flv_times(f->n, w, h)), FLV_FROM),
      flv_gather(SUM(m, FLV_PER_NODE, 0, flv_times(f->n, w, 2 * h)), FLV_TO),
      flv_gather(SUM(m, FLV_PER_STATE, 0, flv_times(f->g, w, 3 * h)), FLV_HERE),
      flv_times(f->ee, w, 0)};
  return flv_net_sum(m->net, FLV_PER_EDGE, 0, h, FLV_ACT_RELU, l->edge.first.b, f->ee < 0 ? 4 : 5,
                     x);
}

// Hidden units of the nodes' MLP. With r the hidden units of edges, W, b the edges' second Linear
// and U the block of the nodes' first: (sum of r W + b) U = (sum of r) (W U) + sum of (b U).
static int nodes_hidden(const making *m, const features *f, const layer *l, int out, int in) {
  const int h = m->h, w = l->node.first.w;
  const int w2 = table_of(m, l->edge.second.w), b2 = table_of(m, l->edge.second.b);
  return RELU(m, FLV_PER_NODE, 0, l->node.first.b, flv_times(f->n, w, 0),
              flv_times_table(out, table_times(m, w2, h, w, h)),
              flv_times_table(in, table_times(m, w2, h, w, 2 * h)),
              flv_gather(table_times(m, b2, 1, w, h), FLV_OUT),
              flv_gather(table_times(m, b2, 1, w, 2 * h), FLV_IN),
              flv_gather(SUM(m, FLV_PER_STATE, 0, flv_times(f->g, w, 3 * h)), FLV_HERE));
}

// last: nobody reads edges' features of this layer.
static features next_layer(const making *m, const features *f, int number, bool last,
                           bool with_global) {
  const int h = m->h;
  const layer l = make_layer(m, number, h, with_global);
  const linear *second = &l.edge.second;
  const int r = edges_hidden(m, f, &l);
  const int out = SUM(m, FLV_PER_NODE, 0, flv_gather(r, FLV_OUT));
  const int in = SUM(m, FLV_PER_NODE, 0, flv_gather(r, FLV_IN));
  const int nh = nodes_hidden(m, f, &l, out, in);
  features next = {.e = f->e, .ee = -1, .g = -1};
  next.n = AFFINE(m, FLV_PER_NODE, 0, l.node.second.b, flv_times(nh, l.node.second.w, 0),
                  flv_gather(f->n, FLV_HERE));
  if (!last) {
    const flv_operand x[] = {flv_times(r, second->w, 0), flv_gather(f->ee, FLV_HERE)};
    next.ee =
        flv_net_sum(m->net, FLV_PER_EDGE, 0, h, FLV_ACT_NONE, second->b, f->ee < 0 ? 1 : 2, x);
  }
  if (!with_global) return next;
  const int w = l.global.first.w, sum = SUM(m, FLV_PER_STATE, 0, flv_gather(out, FLV_NODES));
  const int edges = SUM(m, FLV_PER_STATE, 0, flv_times(sum, second->w, 0),
                        flv_gather(table_of(m, second->b), FLV_EDGES));
  const int gh = RELU(m, FLV_PER_STATE, 0, l.global.first.b, flv_times(sum_nodes(m, &l, nh), w, 0),
                      flv_times(edges, w, h), flv_times(f->g, w, 2 * h));
  next.g = AFFINE(m, FLV_PER_STATE, 0, l.global.second.b, flv_times(gh, l.global.second.w, 0),
                  flv_gather(f->g, FLV_HERE));
  return next;
}

// ---- attention and heads ----

typedef struct trunk {
  making m;
  int heads;  // per node: the heads' outputs, side by side
  linear out; // the Linear behind them
  int g;
} trunk;

// x W + b of the nodes, by W = its part of the projection times `to`, and b likewise.
static int project(const making *m, int nodes, linear from, int part, linear to) {
  const int h = m->h, a = m->attention;
  const flv_operand w = flv_times(flv_net_table(m->net, from.w, 0, h, part * h, h), to.w, 0);
  const flv_operand b = flv_times(flv_net_table(m->net, from.b, 0, 1, part * h, h), to.w, 0);
  const flv_operand x[] = {
      flv_times_table(nodes, flv_net_sum(m->net, FLV_PER_NET, h, a, FLV_ACT_NONE, -1, 1, &w)),
      flv_gather(flv_net_sum(m->net, FLV_PER_NET, 1, a, FLV_ACT_NONE, to.b, 1, &b), FLV_HERE)};
  return flv_net_sum(m->net, FLV_PER_NODE, 0, a, FLV_ACT_NONE, -1, 2, x);
}

// with_global: g is read after the last layer.
static trunk make_trunk(const flv_policy *p, const graph_cfg *cfg, int group, const char *name,
                        bool with_global) {
  static const char *const parts[] = {"query", "key", "value"};
  const making m = {.net = p->net,
                    .name = name,
                    .group = group,
                    .d = p->env->n_nodes,
                    .h = cfg->width,
                    .attention = cfg->heads * cfg->key_size,
                    .heads = cfg->heads};
  features f = first_layer(&m, with_global || cfg->layers > 1);
  for (int i = 1; i < cfg->layers; i++)
    f = next_layer(&m, &f, i, i == cfg->layers - 1, with_global || i < cfg->layers - 1);
  // Variance 2 / fan in after truncation, as the authors initialise attention.
  const double scale = sqrt(2.0) / 0.87962566103423978;
  const linear projection = make_linear(&m, "projection", m.h, 3 * m.h, 1.0);
  linear to[3];
  for (int k = 0; k < 3; k++) to[k] = make_linear(&m, parts[k], m.h, m.attention, scale);
  trunk t = {.m = m, .g = f.g};
  t.out = make_linear(&m, "attention", m.attention, m.attention, scale);
  int x[3];
  for (int k = 0; k < 3; k++) x[k] = project(&m, f.n, projection, k, to[k]);
  t.heads = flv_net_attention(m.net, x[0], x[1], x[2], m.heads);
  return t;
}

// MLP of the nodes behind the attention, whose Linear is multiplied with the MLP's first.
static int node_mlp(const making *m, const trunk *t, const char *name) {
  const int a = m->attention;
  const mlp f = make_mlp(m, name, a, m->h);
  const int w = table_times(m, table_of(m, t->out.w), a, f.first.w, 0);
  const int b = table_times(m, table_of(m, t->out.b), 1, f.first.w, 0);
  const int hidden =
      RELU(m, FLV_PER_NODE, 0, f.first.b, flv_times_table(t->heads, w), flv_gather(b, FLV_HERE));
  return AFFINE(m, FLV_PER_NODE, 0, f.second.b, flv_times(hidden, f.second.w, 0));
}

static int global_head(const making *m, const trunk *t, const char *name) {
  const mlp f = make_mlp(m, name, m->h, 1);
  return state_mlp(m, t->g, &f, 1);
}

// Logits of pairs of nodes, and of the end where there is one, by tensors of m's name and group.
static int pair_head(const making *m, const trunk *t, bool ends) {
  const int senders = node_mlp(m, t, "senders"), receivers = node_mlp(m, t, "receivers");
  const int stop = ends ? global_head(m, t, "stop") : -1;
  const double one = log(exp(1.0) - 1.0); // a temperature of 1
  const int theta = tensor(m, "temperature", 1, 1, FLV_INIT_CONSTANT, one);
  return flv_net_pairs(m->net, senders, receivers, stop, theta);
}

// ---- the policy ----

static flv_status check(const flv_env *env, const void *cfg, unsigned needs, flv_error *err) {
  const int pairs = env->n_nodes * env->n_nodes;
  (void)cfg;
  if (env->n_nodes < 2 || env->n_nodes > FLV_NET_MAX_NODES || env->n_hot <= 0 ||
      env->n_actions != pairs + 1 || env->exit_action != pairs || env->n_back != pairs)
    return flv_fail(err, FLV_EINVAL,
                    "policy: graph_network needs an environment whose states are graphs of 2 to %d "
                    "nodes and whose actions add an edge or end, and '%s' has none",
                    (int)FLV_NET_MAX_NODES, env->name);
  if (needs >> FLV_HEADS_SHIFT)
    return flv_fail(err, FLV_EINVAL, "exploration.heads: not with policy: graph_network");
  return FLV_OK;
}

static flv_policy_shared record(flv_policy *p, const void *values) {
  const graph_cfg *cfg = values;
  flv_net_graphs(p->net, p->env->n_nodes, p->env->n_hot);
  const trunk t = make_trunk(p, cfg, FLV_GROUP_PF, "p_f", true);
  p->pf = pair_head(&t.m, &t, true);
  flv_net_mark(p->net);
  if (flv_pb_has_network(cfg->p_b)) {
    const bool ways = p->needs & FLV_NEEDS_WAYS;
    trunk own = t;
    if (cfg->p_b == FLV_PB_LEARNED) own = make_trunk(p, cfg, FLV_GROUP_PB, "p_b", ways);
    own.m.name = "p_b";
    own.m.group = FLV_GROUP_PB;
    p->pb = pair_head(&own.m, &own, false);
    if (ways) p->log_n = global_head(&own.m, &own, "log_n");
  }
  if (p->needs & FLV_NEEDS_LOG_F) {
    making m = t.m;
    m.group = FLV_GROUP_LOG_F;
    m.name = "log_f";
    p->log_f = global_head(&m, &t, "head");
  }
  return (flv_policy_shared){cfg->p_b, cfg->exit, cfg->log_z};
}

static const flv_policy_impl impl = {.check = check, .record = record};
const flv_component flv_policy_graph_network = {
    "graph_network",
    "graph network with attention, where states are graphs and actions add an edge (env: dag)",
    params,
    sizeof params / sizeof *params,
    sizeof(graph_cfg),
    &impl};
