// Recording programs.
#include "nn/net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAD = 16 };

static size_t padded(size_t floats) { return (floats + PAD - 1) / PAD * PAD; }

flv_net *flv_net_new(void) {
  flv_net *net = calloc(1, sizeof *net);
  if (net) net->input = -1;
  return net;
}

void flv_net_free(flv_net *net) { free(net); }

// n_rows: of tables, else 0.
static int add_buffer(flv_net *net, flv_rows per, int n_rows, int width) {
  if (net->n_buffers == FLV_NET_MAX_BUFFERS || width <= 0) net->failed = true;
  if ((per == FLV_PER_NET) != (n_rows > 0) || (per != FLV_PER_STATE && net->n_nodes == 0))
    net->failed = true;
  if (net->failed) return -1;
  const int b = net->n_buffers++;
  net->width[b] = width;
  net->per[b] = per;
  net->table_rows[b] = n_rows;
  net->table_offset[b] = net->n_table;
  net->n_table += padded((size_t)n_rows * (size_t)width);
  return b;
}

static int add_tensor(flv_net *net, const char *name, const char *part, flv_weight tensor) {
  if (net->n_weights == FLV_NET_MAX_TENSORS || tensor.group < 0 ||
      tensor.group >= FLV_NET_MAX_GROUPS || tensor.rows <= 0 || tensor.cols <= 0)
    net->failed = true;
  if (net->failed) return -1;
  const int used = snprintf(tensor.name, sizeof tensor.name, "%s%s", name, part);
  if (used < 0 || (size_t)used >= sizeof tensor.name) {
    net->failed = true;
    return -1;
  }
  tensor.offset = net->n_params;
  net->n_params += padded((size_t)tensor.rows * (size_t)tensor.cols);
  net->weight[net->n_weights] = tensor;
  return net->n_weights++;
}

int flv_net_tensor(flv_net *net, int rows, int cols, flv_init init, double scale, int group,
                   const char *name) {
  return add_tensor(
      net, name, "",
      (flv_weight){.rows = rows, .cols = cols, .group = group, .init = init, .scale = scale});
}

// Records op once its tensors exist; returns its output buffer.
static int add_op(flv_net *net, flv_op op, flv_rows per, int n_rows, int width) {
  if (net->n_ops == FLV_NET_MAX_OPS) net->failed = true;
  op.y = add_buffer(net, per, n_rows, width);
  if (net->failed) return -1;
  for (int k = 0; k < op.n; k++) op.x[k].need_dx = op.x[k].x >= 0 && op.x[k].x != net->input;
  net->op[net->n_ops++] = op;
  return op.y;
}

static bool readable(const flv_net *net, int x) { return x >= 0 && x < net->n_buffers; }

static flv_op op_of(flv_op_id id, flv_act act, int x, int w, int b) {
  return (flv_op){
      .id = id, .act = act, .n = 1, .x = {{.x = x, .w = -1, .table = -1}}, .w = w, .b = b};
}

int flv_net_input(flv_net *net, int n_hot, int n_features) {
  if (net->n_features != 0 || n_hot < 0 || n_features <= 0) net->failed = true;
  if (net->failed) return -1;
  net->n_hot = n_hot;
  net->n_features = n_features;
  if (n_hot == 0) net->input = add_buffer(net, FLV_PER_STATE, 0, n_features);
  return net->input;
}

void flv_net_graphs(flv_net *net, int n_nodes, int n_hot) {
  if (net->n_features != 0 || n_hot <= 0 || n_nodes < 2 || n_nodes > FLV_NET_MAX_NODES)
    net->failed = true;
  if (net->failed) return;
  net->n_hot = n_hot;
  net->n_features = n_nodes * n_nodes;
  net->n_nodes = n_nodes;
  net->kind = FLV_INPUT_GRAPHS;
}

void flv_net_positions(flv_net *net, int n_positions, int n_features, bool start) {
  if (net->n_features != 0 || n_positions < 1 || n_positions + start > FLV_NET_MAX_NODES ||
      n_features < n_positions)
    net->failed = true;
  if (net->failed) return;
  net->n_hot = n_positions;
  net->n_features = n_features;
  net->n_positions = n_positions;
  net->n_nodes = n_positions + start;
  net->kind = FLV_INPUT_POSITIONS;
}

void flv_net_trees(flv_net *net, const flv_tree_shape *shape) {
  if (net->n_features != 0 || shape->nodes < 2 || shape->nodes > FLV_NET_MAX_NODES ||
      shape->kinds < 1 || shape->slots < 1)
    net->failed = true;
  if (net->failed) return;
  net->n_hot = 2 * shape->nodes;
  net->n_features = shape->nodes * (shape->kinds + shape->nodes * shape->slots + 1);
  net->n_nodes = shape->nodes;
  net->kind = FLV_INPUT_TREES;
  net->tree = *shape;
}

int flv_net_layer(flv_net *net, int x, int width, flv_act act, int group, const char *name) {
  const bool hot = x == -1 && net->n_hot > 0;
  if (width <= 0 || !(hot || readable(net, x))) net->failed = true;
  if (net->failed) return -1;
  const int in = hot ? net->n_features : net->width[x];
  const double bound = 1.0 / sqrt((double)in);
  const flv_weight w = {.rows = in, .cols = width, .group = group, .scale = bound};
  const flv_weight b = {.rows = 1, .cols = width, .group = group, .scale = bound};
  const int weight = add_tensor(net, name, ".weight", w);
  flv_op op = op_of(hot ? FLV_OP_EMBED : FLV_OP_LINEAR, act, x, -1, -1);
  *(hot ? &op.w : &op.x[0].w) = weight;
  op.b = add_tensor(net, name, ".bias", b);
  return hot ? add_op(net, op, FLV_PER_STATE, 0, width)
             : add_op(net, op, net->per[x], net->table_rows[x], width);
}

int flv_net_layernorm(flv_net *net, int x, int group, const char *name) {
  if (!readable(net, x)) net->failed = true;
  if (net->failed) return -1;
  flv_weight tensor = {
      .rows = 1, .cols = net->width[x], .group = group, .init = FLV_INIT_CONSTANT, .scale = 1.0};
  const int w = add_tensor(net, name, ".weight", tensor);
  tensor.scale = 0.0;
  const int b = add_tensor(net, name, ".bias", tensor);
  return add_op(net, op_of(FLV_OP_LAYERNORM, FLV_ACT_NONE, x, w, b), net->per[x],
                net->table_rows[x], net->width[x]);
}

// Do x and y have the same rows and the same width?
static bool alike(const flv_net *net, int x, int y) {
  return readable(net, x) && readable(net, y) && net->width[x] == net->width[y] &&
         net->per[x] == net->per[y] && net->table_rows[x] == net->table_rows[y];
}

int flv_net_add(flv_net *net, int x, int x2) {
  if (!alike(net, x, x2)) net->failed = true;
  if (net->failed) return -1;
  flv_op op = op_of(FLV_OP_ADD, FLV_ACT_NONE, x, -1, -1);
  op.n = 2;
  op.x[1] = (flv_operand){.x = x2, .w = -1, .table = -1};
  return add_op(net, op, net->per[x], net->table_rows[x], net->width[x]);
}

int flv_net_table(flv_net *net, int tensor, int row, int rows, int col, int cols) {
  if (tensor < 0 || tensor >= net->n_weights || row < 0 || col < 0 || rows <= 0 || cols <= 0 ||
      row + rows > net->weight[tensor].rows || col + cols > net->weight[tensor].cols)
    net->failed = true;
  if (net->failed) return -1;
  const flv_op op = {.id = FLV_OP_TABLE, .w = tensor, .b = -1, .row = row, .col = col};
  return add_op(net, op, FLV_PER_NET, rows, cols);
}

// ---- sums of products and gathered rows ----

static bool table_for(const flv_net *net, int x, int rows) {
  return net->per[x] == FLV_PER_NET && (net->table_rows[x] == rows || net->table_rows[x] == 1);
}

// Is there a row of x for every row of y, by this role?
static bool gathers(const flv_net *net, const flv_operand *o, flv_rows per, int n_rows) {
  const flv_rows from = net->per[o->x];
  const int d = net->n_nodes;
  if (net->kind == FLV_INPUT_POSITIONS && (o->role != FLV_HERE && o->role != FLV_NODES))
    return false;
  if (net->kind == FLV_INPUT_TREES)
    return o->role == FLV_HERE && (from == per || (per == FLV_PER_EDGE && from == FLV_PER_NODE) ||
                                   table_for(net, o->x, 1));
  const bool of_nodes = from == FLV_PER_NODE || table_for(net, o->x, d);
  const bool of_edges = from == FLV_PER_EDGE || table_for(net, o->x, d * d);
  const bool along_edges = per == FLV_PER_EDGE || (per == FLV_PER_NET && n_rows == d * d);
  switch (o->role) {
  case FLV_HERE:
    if (per == FLV_PER_NET) return table_for(net, o->x, n_rows);
    return from == FLV_PER_STATE || (per == FLV_PER_STATE && table_for(net, o->x, 1)) ||
           (per == FLV_PER_NODE && of_nodes) || (per == FLV_PER_EDGE && of_edges);
  case FLV_FROM:
  case FLV_TO:
    return along_edges && of_nodes && !(per == FLV_PER_NET && from == FLV_PER_NODE);
  case FLV_OUT:
  case FLV_IN:
    return per == FLV_PER_NODE && of_edges;
  case FLV_NODES:
    return per == FLV_PER_STATE && of_nodes;
  case FLV_EDGES:
    return per == FLV_PER_STATE && of_edges;
  }
  return false;
}

static bool fits(const flv_net *net, const flv_operand *o, flv_rows per, int n_rows, int width) {
  if (!readable(net, o->x)) return false;
  const int in = net->width[o->x];
  if (o->w < 0 && o->table < 0) return in == width && gathers(net, o, per, n_rows);
  if (net->per[o->x] != per || net->table_rows[o->x] != n_rows) return false;
  if (o->w >= 0)
    return o->table < 0 && o->w < net->n_weights && net->weight[o->w].cols == width &&
           o->row >= 0 && o->row + in <= net->weight[o->w].rows;
  return readable(net, o->table) && net->table_rows[o->table] == in &&
         net->width[o->table] == width;
}

int flv_net_sum(flv_net *net, flv_rows per, int n_rows, int width, flv_act act, int b, int n,
                const flv_operand *operands) {
  if (n < 1 || n > FLV_NET_MAX_OPERANDS || b >= net->n_weights || (b < 0 && act != FLV_ACT_NONE))
    net->failed = true;
  if (net->failed) return -1;
  if (b >= 0 && (net->weight[b].rows != 1 || net->weight[b].cols != width)) net->failed = true;
  flv_op op = {.id = FLV_OP_LINEAR, .act = act, .n = n, .w = -1, .b = b};
  for (int k = 0; k < n; k++) {
    op.x[k] = operands[k];
    if (!fits(net, &operands[k], per, n_rows, width)) net->failed = true;
  }
  return add_op(net, op, per, n_rows, width);
}

int flv_net_attention(flv_net *net, int q, int k, int v, int heads) {
  return flv_net_attention_masked(net, q, k, v, heads, 0);
}

int flv_net_attention_masked(flv_net *net, int q, int k, int v, int heads, int symbols) {
  const bool one = k == -1 && v == -1;
  if (!readable(net, q) || net->per[q] != FLV_PER_NODE || heads < 1 || symbols < 0 ||
      (symbols > 0 && net->n_features != symbols * net->n_positions) ||
      (one ? net->width[q] % 3 != 0 : !alike(net, q, k) || !alike(net, q, v)))
    net->failed = true;
  if (net->failed) return -1;
  const int width = net->width[q] / (one ? 3 : 1);
  if (width % heads != 0 || width / heads > FLV_NET_MAX_KEY) {
    net->failed = true;
    return -1;
  }
  flv_op op = {.id = FLV_OP_ATTENTION, .n = one ? 1 : 3, .w = -1, .b = -1, .heads = heads};
  op.symbols = symbols;
  op.x[0] = flv_gather(q, FLV_HERE);
  op.x[1] = flv_gather(k, FLV_HERE);
  op.x[2] = flv_gather(v, FLV_HERE);
  return add_op(net, op, FLV_PER_NODE, 0, width);
}

int flv_net_pairs(flv_net *net, int x, int x2, int x3, int theta) {
  if (!alike(net, x, x2) || net->per[x] != FLV_PER_NODE || theta < 0 || theta >= net->n_weights ||
      net->weight[theta].rows != 1 || net->weight[theta].cols != 1)
    net->failed = true;
  if (x3 != -1 && (!readable(net, x3) || net->per[x3] != FLV_PER_STATE || net->width[x3] != 1))
    net->failed = true;
  if (net->failed) return -1;
  flv_op op = {.id = FLV_OP_PAIRS, .n = x3 < 0 ? 2 : 3, .w = theta, .b = -1};
  op.x[0] = flv_gather(x, FLV_HERE);
  op.x[1] = flv_gather(x2, FLV_HERE);
  op.x[2] = flv_gather(x3, FLV_HERE);
  return add_op(net, op, FLV_PER_STATE, 0, net->n_nodes * net->n_nodes + (x3 >= 0));
}

int flv_net_gelu(flv_net *net, int x) {
  if (!readable(net, x)) net->failed = true;
  if (net->failed) return -1;
  return add_op(net, op_of(FLV_OP_GELU, FLV_ACT_NONE, x, -1, -1), net->per[x], net->table_rows[x],
                net->width[x]);
}

int flv_net_mean(flv_net *net, int x) {
  if (!readable(net, x) || net->per[x] != FLV_PER_NODE) net->failed = true;
  if (net->failed) return -1;
  return add_op(net, op_of(FLV_OP_MEAN, FLV_ACT_NONE, x, -1, -1), FLV_PER_STATE, 0, net->width[x]);
}

// ---- rows of positions ----

static bool is_row(const flv_net *net, int tensor, int width) {
  return tensor >= 0 && tensor < net->n_weights && net->weight[tensor].rows == 1 &&
         net->weight[tensor].cols == width;
}

int flv_net_tokens(flv_net *net, int tensor, int symbols, int start) {
  if (net->kind != FLV_INPUT_POSITIONS || tensor < 0 || tensor >= net->n_weights || symbols < 0)
    net->failed = true;
  if (net->failed) return -1;
  const flv_weight *w = &net->weight[tensor];
  const bool all = symbols == 0
                       ? w->rows == net->n_features
                       : w->rows == symbols && net->n_features == symbols * net->n_positions;
  const bool starts = net->n_nodes > net->n_positions;
  if (!all || (starts ? !is_row(net, start, w->cols) : start != -1)) {
    net->failed = true;
    return -1;
  }
  const flv_op op = {.id = FLV_OP_TOKENS, .w = tensor, .b = start, .symbols = symbols};
  return add_op(net, op, FLV_PER_NODE, 0, w->cols);
}

int flv_net_join(flv_net *net, int x, int x2) {
  if (net->kind != FLV_INPUT_POSITIONS || !readable(net, x) || net->per[x] != FLV_PER_NODE ||
      (x2 != -1 && (!readable(net, x2) || net->per[x2] != FLV_PER_STATE)))
    net->failed = true;
  if (net->failed) return -1;
  flv_op op = {.id = FLV_OP_JOIN, .n = x2 < 0 ? 1 : 2, .w = -1, .b = -1};
  op.x[0] = flv_gather(x, FLV_HERE);
  op.x[1] = flv_gather(x2, FLV_HERE);
  return add_op(net, op, FLV_PER_STATE, 0,
                net->n_positions * net->width[x] + (x2 < 0 ? 0 : net->width[x2]));
}

// ---- trees ----

int flv_net_lookup(flv_net *net, int tensor, flv_number number) {
  if (net->kind != FLV_INPUT_TREES || tensor < 0 || tensor >= net->n_weights) net->failed = true;
  if (net->failed) return -1;
  const flv_weight *w = &net->weight[tensor];
  // Nothing is joined to the slot of a state without nodes, whose type is the last.
  const int joined = number == FLV_TYPE_FROM || number == FLV_TYPE_TO;
  if (w->rows != (number == FLV_SYMBOL ? net->tree.symbols : net->tree.types - joined)) {
    net->failed = true;
    return -1;
  }
  const flv_op op = {.id = FLV_OP_LOOKUP, .w = tensor, .b = -1, .number = number};
  return add_op(net, op, number == FLV_TYPE ? FLV_PER_EDGE : FLV_PER_NODE, 0, w->cols);
}

int flv_net_message(flv_net *net, int x, int x2, int x3) {
  if (net->kind != FLV_INPUT_TREES || !alike(net, x, x2) || !alike(net, x, x3) ||
      net->per[x] != FLV_PER_NODE)
    net->failed = true;
  if (net->failed) return -1;
  flv_op op = {.id = FLV_OP_MESSAGE, .n = 3, .w = -1, .b = -1};
  op.x[0] = flv_gather(x, FLV_HERE);
  op.x[1] = flv_gather(x2, FLV_HERE);
  op.x[2] = flv_gather(x3, FLV_HERE);
  return add_op(net, op, FLV_PER_NODE, 0, net->width[x]);
}

int flv_net_gru(flv_net *net, int gates_x, int gates_h, int h) {
  if (!alike(net, gates_x, gates_h) || !readable(net, h) || net->per[h] == FLV_PER_NET ||
      net->per[h] != net->per[gates_x] || net->width[gates_x] != 3 * net->width[h])
    net->failed = true;
  if (net->failed) return -1;
  flv_op op = {.id = FLV_OP_GRU, .n = 3, .w = -1, .b = -1};
  op.x[0] = flv_gather(gates_x, FLV_HERE);
  op.x[1] = flv_gather(gates_h, FLV_HERE);
  op.x[2] = flv_gather(h, FLV_HERE);
  return add_op(net, op, net->per[h], 0, net->width[h]);
}

int flv_net_deal(flv_net *net, int x, int x2) {
  if (net->kind != FLV_INPUT_TREES || !readable(net, x) || !readable(net, x2) ||
      net->per[x] != FLV_PER_EDGE || net->per[x2] != FLV_PER_STATE || net->width[x2] != 1)
    net->failed = true;
  if (net->failed) return -1;
  flv_op op = {.id = FLV_OP_DEAL, .n = 2, .w = -1, .b = -1};
  op.x[0] = flv_gather(x, FLV_HERE);
  op.x[1] = flv_gather(x2, FLV_HERE);
  return add_op(net, op, FLV_PER_STATE, 0,
                (net->tree.nodes - 1) * net->tree.slots * net->width[x] + 1);
}

void flv_net_output(flv_net *net, int y) {
  if (readable(net, y) && net->per[y] != FLV_PER_STATE) net->failed = true;
  if (readable(net, y)) net->output[y] = true;
}

void flv_net_mark(flv_net *net) { net->mark = net->n_ops; }

double flv_net_flops(const flv_net *net, double states, double nodes, double edges) {
  const double rows[] = {[FLV_PER_STATE] = states,
                         [FLV_PER_NODE] = nodes,
                         [FLV_PER_EDGE] = edges,
                         [FLV_PER_NET] = 0.0};
  double flops = 0.0;
  for (int i = 0; i < net->n_ops; i++) {
    const flv_op *op = &net->op[i];
    for (int k = 0; op->id == FLV_OP_LINEAR && k < op->n; k++)
      if (op->x[k].w >= 0 || op->x[k].table >= 0)
        flops += 2.0 * rows[net->per[op->y]] * net->width[op->x[k].x] * net->width[op->y];
  }
  return flops;
}
