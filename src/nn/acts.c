// Planning the backward pass, and the one block of memory that a batch's activations live in.
#include <string.h>

#include "base/memory.h"
#include "nn/blas.h"
#include "nn/net.h"
#include "nn/ops.h"

// Floats of buffer b for one state, at most; 0 of tables.
static size_t floats_per_state(const flv_net *net, int b) {
  const size_t rows[] = {[FLV_PER_STATE] = 1,
                         [FLV_PER_NODE] = (size_t)net->n_nodes,
                         [FLV_PER_EDGE] = (size_t)net->n_hot,
                         [FLV_PER_NET] = 0};
  if (net->kind == FLV_INPUT_TREES && net->per[b] == FLV_PER_EDGE)
    return (size_t)(net->tree.nodes * net->tree.slots) * (size_t)net->width[b];
  return rows[net->per[b]] * (size_t)net->width[b];
}

// Gradient slot for buffer b: a free one, else a new one.
static void take_slot(flv_plan *plan, bool *used, int b, int width) {
  int s = 0;
  while (s < plan->n_slots && used[s]) s++;
  if (s == plan->n_slots) plan->n_slots++;
  used[s] = true;
  if (plan->slot_width[s] < width) plan->slot_width[s] = width;
  plan->slot[b] = s;
}

// x gets a gradient from an op whose output's gradient is wanted. Returns whether x already has
// one. Tables' are zeroed in advance.
static bool give_gradient(flv_plan *plan, const flv_net *net, bool *used, bool *has, int x) {
  const bool had = has[x];
  has[x] = true;
  if (net->per[x] == FLV_PER_NET) return true;
  if (!had) take_slot(plan, used, x, (int)floats_per_state(net, x));
  return had;
}

// Walks the program backward, as the backward pass will. (That runs through tables last; they take
// no slots.)
static flv_plan plan_backward(const flv_net *net) {
  flv_plan plan = {0};
  bool used[FLV_NET_MAX_BUFFERS] = {0}, has[FLV_NET_MAX_BUFFERS];
  memcpy(has, net->output, sizeof has);
  for (int b = 0; b < FLV_NET_MAX_BUFFERS; b++) plan.slot[b] = -1;
  for (int i = net->n_ops - 1; i >= 0; i--) {
    const flv_op *op = &net->op[i];
    plan.live[i] = has[op->y];
    if (!plan.live[i]) continue;
    for (int k = 0; k < op->n; k++) {
      const flv_operand *o = &op->x[k];
      if (o->need_dx) plan.add_dx[i][k] = give_gradient(&plan, net, used, has, o->x);
      if (o->table >= 0) has[o->table] = true;
    }
    if (plan.slot[op->y] >= 0) used[plan.slot[op->y]] = false;
  }
  return plan;
}

// Eight shards, fewer when the parameters are so many that their copies would not fit in 256 MiB.
static int count_shards(const flv_net *net) {
  const size_t fit = ((size_t)256 << 20) / (net->n_params * sizeof(float) + 1);
  return fit >= FLV_NET_SHARDS ? FLV_NET_SHARDS : fit < 1 ? 1 : (int)fit;
}

static size_t padded(size_t floats) { return (floats + 15) / 16 * 16; }

static bool is_kept(const flv_net *net, int b, bool lean) {
  return net->per[b] != FLV_PER_NET && (!lean || net->output[b] || b == net->input);
}

// Would keeping all activations of `rows` states take too much, had each of them all edges?
static bool must_be_lean(const flv_net *net, size_t rows) {
  size_t floats = 0;
  if (net->kind == FLV_INPUT_PLAIN || net->kind == FLV_INPUT_TREES) return false;
  for (int b = 0; b < net->n_buffers; b++) floats += floats_per_state(net, b);
  return floats > FLV_ACTS_KEPT / sizeof(float) / rows;
}

// What linked rows need. (Where n_nodes is 0 all readers of hot lists are EMBEDs.)
static int add_links(flv_acts *a, const flv_net *net, bool training, flv_slot *slots) {
  const size_t rows = (size_t)a->max_rows, branches = training ? rows / 2 + 1 : 0;
  size_t widest = 0;
  int n = 0;
  for (int i = 0; i < net->n_ops; i++) {
    const int y = net->op[i].y;
    const size_t width = (size_t)net->width[y];
    if (net->op[i].id != FLV_OP_EMBED) continue;
    slots[n++] = (flv_slot)FLV_SLOT(a->sum[y], rows * width);
    if (widest < width) widest = width;
  }
  slots[n++] = (flv_slot)FLV_SLOT(a->change, rows);
  slots[n++] = (flv_slot)FLV_SLOT(a->chain, rows);
  slots[n++] = (flv_slot)FLV_SLOT(a->branch, training ? rows : 0);
  slots[n++] = (flv_slot)FLV_SLOT(a->spare, branches);
  slots[n++] = (flv_slot)FLV_SLOT(a->tree, branches * widest);
  slots[n++] = (flv_slot)FLV_SLOT(a->weights, training ? (size_t)net->n_features * widest : 0);
  return n;
}

enum { SLOTS = 9 + FLV_TREE_SLOTS + 3 * FLV_NET_MAX_BUFFERS + 4 * FLV_NET_SHARDS };

flv_status flv_acts_init(flv_acts *acts, const flv_net *net, int max_rows, bool training,
                         bool linked) {
  flv_acts a = {.max_rows = max_rows, .plan = plan_backward(net)};
  const size_t rows = (size_t)max_rows, most = (size_t)flv_chunk_rows(net);
  const size_t chunk = rows < most ? rows : most;
  a.n_shards = training ? count_shards(net) : 0;
  a.lean = must_be_lean(net, rows);
  size_t slot_floats = 0, work_floats = 0; // working gradients and values of one shard
  for (int s = 0; s < a.plan.n_slots; s++)
    slot_floats += padded(chunk * (size_t)a.plan.slot_width[s]);
  for (int b = 0; b < net->n_buffers; b++)
    if (!is_kept(net, b, a.lean)) work_floats += padded(chunk * floats_per_state(net, b));

  flv_slot slots[SLOTS];
  int n = 0;
  slots[n++] = (flv_slot)FLV_SLOT(a.hot, rows * (size_t)net->n_hot);
  slots[n++] = (flv_slot)FLV_SLOT(a.first_edge, net->n_nodes > 0 ? rows + 1 : 0);
  slots[n++] = (flv_slot)FLV_SLOT(a.table, net->n_table);
  if (net->kind == FLV_INPUT_TREES) n += flv_tree_slots(&a.trees, &net->tree, max_rows, slots + n);
  for (int b = 0; b < net->n_buffers; b++) {
    const size_t floats = rows * floats_per_state(net, b);
    if (is_kept(net, b, a.lean)) slots[n++] = (flv_slot)FLV_SLOT(a.value[b], floats);
    if (training && net->output[b]) slots[n++] = (flv_slot)FLV_SLOT(a.grad[b], floats);
  }
  for (int s = 0; s < FLV_NET_SHARDS; s++)
    slots[n++] = (flv_slot)FLV_SLOT(a.work[s][0], work_floats);
  for (int s = 0; s < a.n_shards; s++) {
    if (s > 0) slots[n++] = (flv_slot)FLV_SLOT(a.shard_grad[s], net->n_params);
    slots[n++] = (flv_slot)FLV_SLOT(a.table_grad[s], net->n_table);
    slots[n++] = (flv_slot)FLV_SLOT(a.slot[s][0], slot_floats);
  }
  const bool links = linked && net->n_nodes == 0 && net->n_hot >= FLV_LINK_HOT;
  if (links) n += add_links(&a, net, training, slots + n);
  a.block = flv_bind(n, slots);
  if (!a.block) return FLV_ENOMEM;
  if (net->kind == FLV_INPUT_TREES && flv_tree_open(&a.trees, &net->tree, max_rows) != 0) {
    flv_free(a.block);
    return FLV_ENOMEM;
  }
  for (int s = 0; s < a.n_shards; s++)
    for (int k = 1; k < a.plan.n_slots; k++)
      a.slot[s][k] = a.slot[s][k - 1] + padded(chunk * (size_t)a.plan.slot_width[k - 1]);
  for (int s = 0; s < FLV_NET_SHARDS; s++) {
    float *at = a.work[s][0];
    for (int b = 0; b < net->n_buffers; b++) {
      a.work[s][b] = at;
      if (!is_kept(net, b, a.lean)) at += padded(chunk * floats_per_state(net, b));
    }
  }
  for (int r = 0; links && r < max_rows; r++) a.change[r].from = -1;
  flv_blas_single();
  *acts = a;
  return FLV_OK;
}

void flv_acts_free(flv_acts *acts) {
  flv_tree_close(&acts->trees);
  flv_free(acts->block);
  *acts = (flv_acts){0};
}
