#include "nn/ops.h"

#define OP_ROW(ID, fn) {#fn, flv_##fn##_forward, flv_##fn##_backward},
const flv_op_impl flv_op_table[FLV_OP_COUNT] = {FLV_OPS(OP_ROW)};
#undef OP_ROW

// First row of buffer b for state `row`.
static size_t first_row(const flv_net *net, const flv_acts *acts, int b, int row) {
  if (net->kind == FLV_INPUT_TREES && net->per[b] != FLV_PER_STATE) {
    const int node = acts->trees.first_node[row];
    return (size_t)(net->per[b] == FLV_PER_NODE ? node : acts->trees.first_slot[node]);
  }
  if (net->per[b] == FLV_PER_NODE) return (size_t)row * (size_t)net->n_nodes;
  if (net->per[b] == FLV_PER_EDGE) return (size_t)acts->first_edge[row];
  return (size_t)row;
}

static int count_rows(const flv_net *net, const flv_acts *acts, int b, int row0, int rows) {
  if (net->per[b] == FLV_PER_NET) return net->table_rows[b];
  return (int)(first_row(net, acts, b, row0 + rows) - first_row(net, acts, b, row0));
}

static float *values_at(const flv_net *net, const flv_acts *acts, int b, int shard, int row0) {
  if (net->per[b] == FLV_PER_NET) return acts->table + net->table_offset[b];
  if (!acts->value[b]) return acts->work[shard][b];
  return acts->value[b] + first_row(net, acts, b, row0) * (size_t)net->width[b];
}

static float *gradients_at(const flv_net *net, const flv_acts *acts, int b, int shard, int row0) {
  if (net->per[b] == FLV_PER_NET) return acts->table_grad[shard] + net->table_offset[b];
  const size_t at = (size_t)row0 * (size_t)net->width[b];
  if (net->output[b]) return acts->grad[b] + at;
  if (acts->swept && acts->sum[b]) return acts->sum[b] + at;
  return acts->slot[shard][acts->plan.slot[b]];
}

static flv_numbering numbering_of(const flv_net *net, const flv_op *op, int x) {
  if (net->per[x] == FLV_PER_STATE) return FLV_BY_STATE;
  if (net->per[x] == FLV_PER_NODE) return FLV_BY_NODE;
  if (net->per[x] == FLV_PER_EDGE) return FLV_BY_EDGE;
  if (net->table_rows[x] == 1) return FLV_BY_ONE;
  if (net->table_rows[x] == net->n_nodes) return FLV_BY_VARIABLE;
  return net->per[op->y] == FLV_PER_NET ? FLV_BY_ROW : FLV_BY_PAIR;
}

static flv_arg arg_at(const flv_net *net, const float *params, const flv_acts *acts,
                      const flv_op *op, int k, int shard, int row0, int rows) {
  const flv_operand *o = &op->x[k];
  flv_arg a = {.role = o->role};
  if (o->x < 0) return a;
  a.in = net->width[o->x];
  a.rows = count_rows(net, acts, o->x, row0, rows);
  a.x = values_at(net, acts, o->x, shard, row0);
  a.by = numbering_of(net, op, o->x);
  if (net->per[op->y] == FLV_PER_NET && o->role == FLV_HERE && a.by != FLV_BY_ONE)
    a.by = FLV_BY_ROW;
  if (o->w >= 0)
    a.w = params + net->weight[o->w].offset + (size_t)o->row * (size_t)net->weight[o->w].cols;
  if (o->table >= 0) a.w = acts->table + net->table_offset[o->table];
  return a;
}

flv_call flv_call_at(const flv_net *net, const float *params, const flv_acts *acts, int i,
                     int shard, int row0, int rows) {
  const flv_op *op = &net->op[i];
  flv_call c = {.act = op->act,
                .rows = count_rows(net, acts, op->y, row0, rows),
                .n = net->width[op->y],
                .n_args = op->n,
                .n_hot = net->n_hot,
                .n_features = net->n_features,
                .states = rows,
                .n_nodes = net->n_nodes,
                .per = net->per[op->y],
                .heads = op->heads,
                .symbols = op->symbols};
  c.y = values_at(net, acts, op->y, shard, row0);
  c.hot = acts->hot + (size_t)row0 * (size_t)net->n_hot;
  if (net->n_nodes > 0) c.first_edge = acts->first_edge + row0;
  if (net->kind == FLV_INPUT_TREES) {
    c.tree = &acts->trees;
    c.shape = &net->tree;
    c.state0 = row0;
    c.node0 = acts->trees.first_node[row0];
    c.nodes = acts->trees.first_node[row0 + rows] - c.node0;
    c.number = op->number;
  }
  if (acts->change) {
    c.row0 = row0;
    c.known = acts->known;
    c.change = acts->change;
    c.sum = acts->sum[op->y];
    c.swept = acts->swept;
  }
  for (int k = 0; k < op->n; k++) c.arg[k] = arg_at(net, params, acts, op, k, shard, row0, rows);
  if (op->w >= 0) {
    c.w_stride = (size_t)net->weight[op->w].cols;
    c.w = params + net->weight[op->w].offset + (size_t)op->row * c.w_stride + (size_t)op->col;
  }
  if (op->b >= 0) c.b = params + net->weight[op->b].offset;
  return c;
}

void flv_call_gradients(const flv_net *net, const flv_acts *acts, int i, int shard, int row0,
                        float *grad, bool add_w, flv_call *c) {
  const flv_op *op = &net->op[i];
  c->add_w = add_w;
  c->dy = gradients_at(net, acts, op->y, shard, row0);
  for (int k = 0; k < op->n; k++) {
    const flv_operand *o = &op->x[k];
    flv_arg *a = &c->arg[k];
    if (o->need_dx) a->dx = gradients_at(net, acts, o->x, shard, row0);
    a->add_dx = acts->plan.add_dx[i][k];
    if (o->w >= 0)
      a->dw = grad + net->weight[o->w].offset + (size_t)o->row * (size_t)net->weight[o->w].cols;
    if (o->table >= 0) a->dw = acts->table_grad[shard] + net->table_offset[o->table];
  }
  if (op->w >= 0)
    c->dw = grad + net->weight[op->w].offset + (size_t)op->row * c->w_stride + (size_t)op->col;
  if (op->b >= 0) c->db = grad + net->weight[op->b].offset;
}

void flv_run_rows(const flv_net *net, const float *params, const flv_acts *acts, int op0, int op1,
                  int shard, int row0, int rows) {
  for (int i = op0; i < op1; i++) {
    if (net->per[net->op[i].y] == FLV_PER_NET) continue;
    const flv_call c = flv_call_at(net, params, acts, i, shard, row0, rows);
    flv_op_table[net->op[i].id].forward(&c);
  }
}

enum {
  STATES_MIN = 128,
  STATES_MAX = 512,
  NODES_MAX = 512,
  GRAPHS_MIN = 32,
  SLACK = 32,
  ALL_STATES = 1 << 30
};

// Of a graph's rows most are those of its nodes.
int flv_chunk_most(const flv_net *net) {
  if (net->kind == FLV_INPUT_TREES) return ALL_STATES; // states share rows of nodes
  if (net->n_nodes == 0) return STATES_MAX;
  const int states = NODES_MAX / net->n_nodes / 16 * 16;
  return states > GRAPHS_MIN ? states : GRAPHS_MIN;
}

int flv_chunk_rows(const flv_net *net) { return flv_chunk_most(net) + SLACK; }

int flv_chunk_want(const flv_net *net, int rows) {
  if (net->kind == FLV_INPUT_TREES) return rows;
  const int most = flv_chunk_most(net), least = net->n_nodes == 0 ? STATES_MIN : GRAPHS_MIN;
  const int rounds = (rows + FLV_NET_SHARDS * most - 1) / (FLV_NET_SHARDS * most);
  const int chunks = FLV_NET_SHARDS * (rounds > 0 ? rounds : 1);
  const int want = (rows + chunks - 1) / chunks;
  return want > least ? want : least;
}
