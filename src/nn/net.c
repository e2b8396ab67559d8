// Recording programs, and their initial weights.
#include "nn/net.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { PAD = 16 };

flv_net *flv_net_new(void) {
  flv_net *net = calloc(1, sizeof *net);
  if (net) net->input = -1;
  return net;
}

void flv_net_free(flv_net *net) { free(net); }

static int add_buffer(flv_net *net, int width) {
  if (net->n_buffers == FLV_NET_MAX_BUFFERS) net->failed = true;
  if (net->failed) return -1;
  net->width[net->n_buffers] = width;
  return net->n_buffers++;
}

static int add_weight(flv_net *net, const char *name, const char *part, int rows, int cols,
                      int group) {
  if (net->n_weights == FLV_NET_MAX_TENSORS || group < 0 || group >= FLV_NET_MAX_GROUPS)
    net->failed = true;
  if (net->failed) return -1;
  flv_weight *w = &net->weight[net->n_weights];
  const int used = snprintf(w->name, sizeof w->name, "%s.%s", name, part);
  if (used < 0 || (size_t)used >= sizeof w->name) {
    net->failed = true;
    return -1;
  }
  w->rows = rows;
  w->cols = cols;
  w->group = group;
  w->offset = net->n_params;
  net->n_params += ((size_t)rows * (size_t)cols + PAD - 1) / PAD * PAD;
  return net->n_weights++;
}

// Records op once its tensors exist; returns its output buffer of this width.
static int add_op(flv_net *net, flv_op op, int width) {
  if (net->n_ops == FLV_NET_MAX_OPS) net->failed = true;
  op.y = add_buffer(net, width);
  if (net->failed) return -1;
  op.need_dx = op.x >= 0 && op.x != net->input;
  op.need_dx2 = op.x2 >= 0 && op.x2 != net->input;
  net->op[net->n_ops++] = op;
  return op.y;
}

int flv_net_input(flv_net *net, int n_hot, int n_features) {
  if (net->n_features != 0 || n_hot < 0 || n_features <= 0) net->failed = true;
  if (net->failed) return -1;
  net->n_hot = n_hot;
  net->n_features = n_features;
  if (n_hot == 0) net->input = add_buffer(net, n_features);
  return net->input;
}

static bool readable(const flv_net *net, int x) { return x >= 0 && x < net->n_buffers; }

int flv_net_layer(flv_net *net, int x, int width, flv_act act, int group, const char *name) {
  const bool hot = x == -1 && net->n_hot > 0;
  if (width <= 0 || !(hot || readable(net, x))) net->failed = true;
  if (net->failed) return -1;
  const int in = hot ? net->n_features : net->width[x];
  flv_op op = {.id = hot ? FLV_OP_EMBED : FLV_OP_LINEAR, .act = act, .x = x, .x2 = -1};
  op.w = add_weight(net, name, "weight", in, width, group);
  op.b = add_weight(net, name, "bias", 1, width, group);
  return add_op(net, op, width);
}

int flv_net_layernorm(flv_net *net, int x, int group, const char *name) {
  if (!readable(net, x)) net->failed = true;
  if (net->failed) return -1;
  flv_op op = {.id = FLV_OP_LAYERNORM, .act = FLV_ACT_NONE, .x = x, .x2 = -1};
  op.w = add_weight(net, name, "weight", 1, net->width[x], group);
  op.b = add_weight(net, name, "bias", 1, net->width[x], group);
  return add_op(net, op, net->width[x]);
}

int flv_net_add(flv_net *net, int x, int x2) {
  if (!readable(net, x) || !readable(net, x2) || net->width[x] != net->width[x2])
    net->failed = true;
  if (net->failed) return -1;
  const flv_op op = {.id = FLV_OP_ADD, .act = FLV_ACT_NONE, .x = x, .x2 = x2, .w = -1, .b = -1};
  return add_op(net, op, net->width[x]);
}

void flv_net_output(flv_net *net, int y) {
  if (readable(net, y)) net->output[y] = true;
}

void flv_net_mark(flv_net *net) { net->mark = net->n_ops; }

size_t flv_net_dense_weights(const flv_net *net) {
  size_t n = 0;
  for (int i = 0; i < net->n_ops; i++) {
    const flv_weight *w = &net->weight[net->op[i].w < 0 ? 0 : net->op[i].w];
    if (net->op[i].id == FLV_OP_LINEAR) n += (size_t)w->rows * (size_t)w->cols;
  }
  return n;
}

static void fill_uniform(const flv_net *net, int tensor, uint64_t seed, double bound,
                         float *params) {
  const flv_weight *w = &net->weight[tensor];
  const flv_rng rng = {seed, FLV_RNG_INIT, 0};
  const size_t n = (size_t)w->rows * (size_t)w->cols;
  for (size_t i = 0; i < n; i += 2) {
    double u[2];
    flv_rng_uniform2(rng, (uint32_t)tensor, (uint32_t)(i / 2), u);
    for (size_t k = 0; k < 2 && i + k < n; k++)
      params[w->offset + i + k] = (float)(bound * (2.0 * u[k] - 1.0));
  }
}

void flv_net_init(const flv_net *net, uint64_t seed, float *params) {
  memset(params, 0, net->n_params * sizeof *params);
  for (int i = 0; i < net->n_ops; i++) {
    const flv_op *op = &net->op[i];
    if (op->w < 0) continue;
    const flv_weight *w = &net->weight[op->w];
    if (op->id == FLV_OP_LAYERNORM) {
      for (int j = 0; j < w->cols; j++) params[w->offset + (size_t)j] = 1.0f;
      continue;
    }
    const double bound = 1.0 / sqrt((double)w->rows);
    fill_uniform(net, op->w, seed, bound, params);
    fill_uniform(net, op->b, seed, bound, params);
  }
}
