// Planning the backward pass, and the one block of memory that a batch's activations live in.
#include <string.h>

#include "base/memory.h"
#include "nn/blas.h"
#include "nn/net.h"
#include "nn/ops.h"

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
// one.
static bool give_gradient(flv_plan *plan, const flv_net *net, bool *used, bool *has, int x) {
  if (has[x]) return true;
  has[x] = true;
  take_slot(plan, used, x, net->width[x]);
  return false;
}

// Walks the program backward, as the backward pass will.
static flv_plan plan_backward(const flv_net *net) {
  flv_plan plan = {0};
  bool used[FLV_NET_MAX_BUFFERS] = {0}, has[FLV_NET_MAX_BUFFERS];
  memcpy(has, net->output, sizeof has);
  for (int b = 0; b < FLV_NET_MAX_BUFFERS; b++) plan.slot[b] = -1;
  for (int i = net->n_ops - 1; i >= 0; i--) {
    const flv_op *op = &net->op[i];
    plan.live[i] = has[op->y];
    if (!plan.live[i]) continue;
    if (op->need_dx) plan.add_dx[i] = give_gradient(&plan, net, used, has, op->x);
    if (op->need_dx2) plan.add_dx2[i] = give_gradient(&plan, net, used, has, op->x2);
    if (plan.slot[op->y] >= 0) used[plan.slot[op->y]] = false;
  }
  return plan;
}

// Eight shards, fewer when the parameters are so many that their copies would not fit in 256 MiB.
static int count_shards(const flv_net *net) {
  const size_t fit = ((size_t)256 << 20) / (net->n_params * sizeof(float) + 1);
  return fit >= FLV_NET_SHARDS ? FLV_NET_SHARDS : fit < 1 ? 1 : (int)fit;
}

flv_status flv_acts_init(flv_acts *acts, const flv_net *net, int max_rows, bool training) {
  flv_acts a = {.max_rows = max_rows, .plan = plan_backward(net)};
  a.n_shards = training ? count_shards(net) : 0;
  size_t slot_floats = 0; // working gradients of one row
  for (int s = 0; s < a.plan.n_slots; s++)
    slot_floats += ((size_t)a.plan.slot_width[s] + 15) / 16 * 16;
  const size_t rows = (size_t)max_rows;
  const size_t chunk = rows < FLV_CHUNK_ROWS ? rows : FLV_CHUNK_ROWS;

  flv_slot slots[1 + 2 * FLV_NET_MAX_BUFFERS + 2 * FLV_NET_SHARDS];
  int n = 0;
  slots[n++] = (flv_slot)FLV_SLOT(a.hot, rows * (size_t)net->n_hot);
  for (int b = 0; b < net->n_buffers; b++) {
    const size_t floats = rows * (size_t)net->width[b];
    slots[n++] = (flv_slot)FLV_SLOT(a.value[b], floats);
    if (training && net->output[b]) slots[n++] = (flv_slot)FLV_SLOT(a.grad[b], floats);
  }
  for (int s = 0; s < a.n_shards; s++) {
    if (s > 0) slots[n++] = (flv_slot)FLV_SLOT(a.shard_grad[s], net->n_params);
    slots[n++] = (flv_slot)FLV_SLOT(a.slot[s][0], chunk * slot_floats);
  }
  a.block = flv_bind(n, slots);
  if (!a.block) return FLV_ENOMEM;
  for (int s = 0; s < a.n_shards; s++)
    for (int k = 1; k < a.plan.n_slots; k++)
      a.slot[s][k] = a.slot[s][k - 1] + chunk * (((size_t)a.plan.slot_width[k - 1] + 15) / 16 * 16);
  flv_blas_single();
  *acts = a;
  return FLV_OK;
}

void flv_acts_free(flv_acts *acts) {
  flv_free(acts->block);
  *acts = (flv_acts){0};
}
