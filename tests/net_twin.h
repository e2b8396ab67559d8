// Twins of network programs in double: naive loops written from the formulas of net.h. Gradients
// are compared with central differences of the twin, which are exact to about 1e-9.
#ifndef FLUVIAL_TESTS_NET_TWIN_H
#define FLUVIAL_TESTS_NET_TWIN_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "nn/net.h"

static inline double uniform(uint32_t stream, uint32_t i) { // in (-1, 1)
  return 2.0 * flv_rng_uniform((flv_rng){7, FLV_RNG_TEST, stream}, i, 0) - 1.0;
}

// ---- the twins ----

typedef struct twin {
  const flv_net *net;
  const int32_t *hot; // [rows, n_hot]
  int rows;           // states
  const flv_tree_rows *tree;
  double *param;
  double *value[FLV_NET_MAX_BUFFERS];
} twin;

static inline int twin_length(const twin *t, int state) {
  int n = 0;
  while (n < t->net->n_hot && t->hot[state * t->net->n_hot + n] >= 0) n++;
  return n;
}

// Rows per edge of the states before this one.
static inline int twin_edges_before(const twin *t, int state) {
  int n = 0;
  for (int s = 0; s < state; s++) n += twin_length(t, s);
  return n;
}

static inline int twin_rows(const twin *t, int b) {
  if (t->net->per[b] == FLV_PER_NET) return t->net->table_rows[b];
  if (t->net->kind == FLV_INPUT_TREES && t->net->per[b] != FLV_PER_STATE)
    return t->net->per[b] == FLV_PER_NODE ? t->tree->n : t->tree->first_slot[t->tree->n];
  if (t->net->per[b] == FLV_PER_NODE) return t->rows * t->net->n_nodes;
  return t->net->per[b] == FLV_PER_EDGE ? twin_edges_before(t, t->rows) : t->rows;
}

static inline double twin_act(flv_act act, double v) {
  if (act == FLV_ACT_RELU) return v > 0.0 ? v : 0.0;
  if (act == FLV_ACT_LEAKY_RELU) return v > 0.0 ? v : 0.01 * v;
  if (act == FLV_ACT_TANH) return tanh(v);
  return v;
}

static inline const double *tensor(const twin *t, int i) {
  return t->param + t->net->weight[i].offset;
}

#include "net_twin_tree.h"

static inline void twin_embed(twin *t, const flv_op *op) {
  const int n = t->net->width[op->y];
  for (int r = 0; r < t->rows; r++)
    for (int j = 0; j < n; j++) {
      double v = tensor(t, op->b)[j];
      for (int k = 0; k < twin_length(t, r); k++)
        v += tensor(t, op->w)[t->hot[r * t->net->n_hot + k] * n + j];
      t->value[op->y][r * n + j] = twin_act(op->act, v);
    }
}

// Row of x at a state, a node, and the state's edge number k (or the edge from -> to of a table).
static inline const double *twin_row(const twin *t, int x, int state, int node, int k, int from,
                                     int to) {
  const int d = t->net->n_nodes, table = t->net->table_rows[x];
  int row = state;
  if (t->net->per[x] == FLV_PER_NODE) row = state * d + node;
  if (t->net->per[x] == FLV_PER_EDGE) row = twin_edges_before(t, state) + k;
  if (table == 1) row = 0;
  if (table == d) row = node;
  if (table == d * d) row = from * d + to;
  return t->value[x] + row * t->net->width[x];
}

// One entry of what operand o gathers at a place.
static inline double twin_gather(const twin *t, const flv_operand *o, flv_rows per, int state,
                                 int node, int k, int from, int to, int j) {
  const int d = t->net->n_nodes;
  double v = 0.0;
  if (o->role == FLV_HERE) return twin_row(t, o->x, state, node, k, from, to)[j];
  if (o->role == FLV_FROM) return twin_row(t, o->x, state, from, k, from, to)[j];
  if (o->role == FLV_TO) return twin_row(t, o->x, state, to, k, from, to)[j];
  if (o->role == FLV_NODES)
    for (int i = 0; i < d; i++) v += twin_row(t, o->x, state, i, -1, -1, -1)[j];
  if (o->role == FLV_NODES) return v;
  for (int e = 0; e < twin_length(t, state); e++) {
    const int edge = t->hot[state * t->net->n_hot + e], a = edge / d, b = edge % d;
    if (per == FLV_PER_STATE || (o->role == FLV_OUT ? a : b) == node)
      v += twin_row(t, o->x, state, -1, e, a, b)[j];
  }
  return v;
}

static inline void twin_linear_row(twin *t, const flv_op *op, int row, int state, int node, int k,
                                   int from, int to) {
  const int n = t->net->width[op->y];
  for (int j = 0; j < n; j++) {
    double v = op->b < 0 ? 0.0 : tensor(t, op->b)[j];
    for (int a = 0; a < op->n; a++) {
      const flv_operand *o = &op->x[a];
      if (o->w < 0 && o->table < 0 && t->net->kind == FLV_INPUT_TREES) {
        v += twin_tree_gather(t, o, t->net->per[op->y], row, j);
        continue;
      }
      if (o->w < 0 && o->table < 0) {
        v += twin_gather(t, o, t->net->per[op->y], state, node, k, from, to, j);
        continue;
      }
      const int in = t->net->width[o->x];
      const double *w = o->w < 0 ? t->value[o->table] : tensor(t, o->w) + o->row * n;
      for (int i = 0; i < in; i++) v += t->value[o->x][row * in + i] * w[i * n + j];
    }
    t->value[op->y][row * n + j] = twin_act(op->act, v);
  }
}

static inline void twin_linear(twin *t, const flv_op *op) {
  const int d = t->net->n_nodes, rows = t->net->table_rows[op->y];
  const flv_rows per = t->net->per[op->y];
  for (int r = 0; r < rows; r++) {
    const bool pairs = rows == d * d;
    twin_linear_row(t, op, r, -1, pairs ? -1 : r, -1, pairs ? r / d : -1, pairs ? r % d : -1);
  }
  for (int r = 0; t->net->kind == FLV_INPUT_TREES && rows == 0 && r < twin_rows(t, op->y); r++)
    twin_linear_row(t, op, r, -1, -1, -1, -1, -1);
  for (int s = 0; rows == 0 && t->net->kind != FLV_INPUT_TREES && s < t->rows; s++) {
    if (per == FLV_PER_STATE) twin_linear_row(t, op, s, s, -1, -1, -1, -1);
    for (int i = 0; per == FLV_PER_NODE && i < d; i++)
      twin_linear_row(t, op, s * d + i, s, i, -1, -1, -1);
    for (int k = 0; per == FLV_PER_EDGE && k < twin_length(t, s); k++) {
      const int edge = t->hot[s * t->net->n_hot + k];
      twin_linear_row(t, op, twin_edges_before(t, s) + k, s, -1, k, edge / d, edge % d);
    }
  }
}

static inline void twin_layernorm(twin *t, const flv_op *op) {
  const int n = t->net->width[op->y];
  for (int r = 0; r < twin_rows(t, op->y); r++) {
    const double *x = t->value[op->x[0].x] + r * n;
    double mean = 0.0, var = 0.0;
    for (int j = 0; j < n; j++) mean += x[j] / n;
    for (int j = 0; j < n; j++) var += (x[j] - mean) * (x[j] - mean) / n;
    for (int j = 0; j < n; j++)
      t->value[op->y][r * n + j] =
          tensor(t, op->w)[j] * (x[j] - mean) / sqrt(var + 1e-5) + tensor(t, op->b)[j];
  }
}

static inline void twin_add(twin *t, const flv_op *op) {
  const int n = twin_rows(t, op->y) * t->net->width[op->y];
  for (int i = 0; i < n; i++)
    t->value[op->y][i] = t->value[op->x[0].x][i] + t->value[op->x[1].x][i];
}

static inline void twin_table(twin *t, const flv_op *op) {
  const int n = t->net->width[op->y], cols = t->net->weight[op->w].cols;
  for (int i = 0; i < t->net->table_rows[op->y] * n; i++)
    t->value[op->y][i] = tensor(t, op->w)[(op->row + i / n) * cols + op->col + i % n];
}

static inline bool twin_masked(const twin *t, const flv_op *op, int row) {
  const int d = t->net->n_nodes, p = row % d - (d - t->net->n_positions);
  return op->symbols > 0 && p >= 0 && t->hot[row / d * t->net->n_positions + p] == p * op->symbols;
}

// Head of column c: c / key; its score with node j is a sum over the head's columns.
static inline void twin_attention(twin *t, const flv_op *op) {
  const int n = t->net->width[op->y], d = t->net->n_nodes, key = n / op->heads;
  const double *q = t->value[op->x[0].x], *k = op->n == 1 ? q + n : t->value[op->x[1].x];
  const double *v = op->n == 1 ? q + 2 * n : t->value[op->x[2].x];
  const int in = op->n == 1 ? 3 * n : n;
  for (int row = 0; row < t->rows * d; row++)
    for (int c = 0; c < n; c++) {
      double sum = 0.0, out = 0.0;
      for (int j = 0; j < d; j++) {
        const int other = row / d * d + j;
        double score = 0.0;
        for (int i = c / key * key; i < c / key * key + key; i++)
          score += q[row * in + i] * k[other * in + i];
        double weight = exp(score / sqrt(key));
        if (twin_masked(t, op, other)) weight = 0.0;
        if (twin_masked(t, op, row)) weight = 1.0;
        sum += weight;
        out += weight * v[other * in + c];
      }
      t->value[op->y][row * n + c] = out / sum;
    }
}

static inline void twin_pairs(twin *t, const flv_op *op) {
  const int n = t->net->width[op->y], d = t->net->n_nodes, in = t->net->width[op->x[0].x];
  for (int s = 0; s < t->rows; s++)
    for (int c = 0; c < n; c++) {
      double v = 0.0;
      for (int i = 0; c < d * d && i < in; i++)
        v += t->value[op->x[0].x][(s * d + c / d) * in + i] *
             t->value[op->x[1].x][(s * d + c % d) * in + i];
      if (c < d * d)
        v /= log(1.0 + exp(tensor(t, op->w)[0]));
      else
        v = t->value[op->x[2].x][s];
      t->value[op->y][s * n + c] = v;
    }
}

static inline void twin_tokens(twin *t, const flv_op *op) {
  const int n = t->net->width[op->y], d = t->net->n_nodes, start = d - t->net->n_positions;
  for (int i = 0; i < t->rows * d * n; i++) {
    const int p = i / n % d - start;
    if (p < 0)
      t->value[op->y][i] = tensor(t, op->b)[i % n];
    else
      t->value[op->y][i] =
          tensor(t, op->w)[(t->hot[i / n / d * t->net->n_hot + p] - p * op->symbols) * n + i % n];
  }
}

static inline void twin_gelu(twin *t, const flv_op *op) {
  for (int i = 0; i < twin_rows(t, op->y) * t->net->width[op->y]; i++) {
    const double x = t->value[op->x[0].x][i];
    t->value[op->y][i] =
        0.5 * x * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
  }
}

static inline void twin_mean(twin *t, const flv_op *op) {
  if (t->net->kind == FLV_INPUT_TREES) {
    twin_tree_mean(t, op);
    return;
  }
  const int n = t->net->width[op->y], d = t->net->n_nodes;
  for (int i = 0; i < t->rows * n; i++) {
    t->value[op->y][i] = 0.0;
    for (int k = 0; k < d; k++)
      t->value[op->y][i] += t->value[op->x[0].x][(i / n * d + k) * n + i % n] / d;
  }
}

static inline void twin_join(twin *t, const flv_op *op) {
  const int n = t->net->width[op->y], d = t->net->n_nodes, in = t->net->width[op->x[0].x];
  const int all = t->net->n_positions * in;
  for (int s = 0; s < t->rows; s++)
    for (int c = 0; c < n; c++)
      t->value[op->y][s * n + c] =
          c < all ? t->value[op->x[0].x][(s * d + d - t->net->n_positions) * in + c]
                  : t->value[op->x[1].x][s * (n - all) + c - all];
}

#define TWIN(ID, fn) twin_##fn,
static void (*const twin_of[FLV_OP_COUNT])(twin *, const flv_op *) = {FLV_OPS(TWIN)};
#undef TWIN

static inline void twin_run(twin *t) {
  for (int i = 0; i < t->net->n_ops; i++) twin_of[t->net->op[i].id](t, &t->net->op[i]);
}

// ---- a program under test ----

typedef struct bench {
  flv_net *net;
  flv_acts acts;
  twin twin;
  float *params, *grad;
  float *cotangent[FLV_NET_MAX_BUFFERS]; // of the outputs; grad[] is used up by a backward pass
} bench;

// Edges i -> j with i < j, in order: none of state 0, all of state 1, else about half.
static inline void draw_graph(const flv_net *net, int state, int32_t *hot) {
  const int d = net->n_nodes;
  int n = 0;
  for (int k = 0; k < d * d; k++)
    if (k / d < k % d && n < net->n_hot &&
        (state == 1 || (state > 1 && uniform(1, (uint32_t)(state * d * d + k)) > 0.0)))
      hot[n++] = k;
  while (n < net->n_hot) hot[n++] = -1;
}

// Even rows have all n_hot features, odd ones 0, 1, 2, ... of them and then -1.
static inline bool padded(int row, int n_hot, int k) {
  return row % 2 == 1 && k >= row / 2 % (n_hot + 1);
}

static inline void bench_fill(bench *b, int rows) {
  const flv_net *net = b->net;
  for (size_t i = 0; i < net->n_params; i++) b->twin.param[i] = (double)b->params[i];
  for (int i = 0; net->n_nodes == 0 && i < rows * net->n_hot; i++)
    b->acts.hot[i] = padded(i / net->n_hot, net->n_hot, i % net->n_hot)
                         ? -1
                         : (int32_t)((1.0 + uniform(1, (uint32_t)i)) / 2.0 * net->n_features);
  for (int s = 0; net->kind == FLV_INPUT_TREES && s < rows; s++)
    draw_tree(net, s, b->acts.hot + s * net->n_hot);
  for (int s = 0; net->kind == FLV_INPUT_GRAPHS && s < rows; s++)
    draw_graph(net, s, b->acts.hot + s * net->n_hot);
  for (int i = 0; i < rows * net->n_positions; i++) {
    const int p = i % net->n_positions, symbols = net->n_features / net->n_positions;
    b->acts.hot[i] = p * symbols + (int32_t)((1.0 + uniform(1, (uint32_t)i)) / 2.0 * symbols);
  }
  for (int i = 0; net->input >= 0 && i < rows * net->n_features; i++) {
    b->acts.value[net->input][i] = (float)uniform(2, (uint32_t)i);
    b->twin.value[net->input][i] = (double)b->acts.value[net->input][i];
  }
  for (int y = 0; y < net->n_buffers; y++)
    for (int i = 0; net->output[y] && i < rows * net->width[y]; i++)
      b->cotangent[y][i] = (float)uniform((uint32_t)(10 + y), (uint32_t)i);
}

static inline bench bench_new(flv_net *net, int rows) {
  assert_non_null(net);
  assert_false(net->failed);
  bench b = {.net = net};
  b.params = flv_alloc(net->n_params * sizeof(float));
  b.grad = flv_alloc(net->n_params * sizeof(float));
  b.twin = (twin){.net = net, .rows = rows, .param = flv_alloc(net->n_params * sizeof(double))};
  assert_true(b.params && b.grad && b.twin.param);
  assert_int_equal(flv_acts_init(&b.acts, net, rows, true, true), FLV_OK);
  b.twin.hot = b.acts.hot;
  b.twin.tree = &b.acts.trees;
  for (int y = 0; y < net->n_buffers; y++) {
    const int most[] = {[FLV_PER_STATE] = rows,
                        [FLV_PER_NODE] = rows * net->n_nodes,
                        [FLV_PER_EDGE] = rows * net->n_hot *
                                         (net->kind == FLV_INPUT_TREES ? net->tree.slots : 1),
                        [FLV_PER_NET] = net->table_rows[y]};
    const size_t n = (size_t)most[net->per[y]] * (size_t)net->width[y];
    b.twin.value[y] = flv_alloc(n * sizeof(double));
    b.cotangent[y] = flv_alloc(n * sizeof(float));
    assert_true(b.twin.value[y] && b.cotangent[y]);
  }
  flv_net_init(net, 3, b.params);
  for (int i = 0; i < net->n_weights; i++) { // layernorm's ones and zeros would hide mistakes
    const flv_weight *w = &net->weight[i];
    for (size_t k = 0; k < (size_t)w->rows * (size_t)w->cols; k++)
      b.params[w->offset + k] += 0.3f * (float)uniform(3, (uint32_t)(w->offset + k));
  }
  bench_fill(&b, rows);
  return b;
}

static inline void bench_free(bench *b) {
  for (int y = 0; y < b->net->n_buffers; y++) {
    flv_free(b->twin.value[y]);
    flv_free(b->cotangent[y]);
  }
  flv_free(b->params);
  flv_free(b->grad);
  flv_free(b->twin.param);
  flv_acts_free(&b->acts);
  flv_net_free(b->net);
}

static inline uint64_t bits_hash(uint64_t h, const float *x, size_t n) { // FNV-1a over the words
  for (size_t i = 0; i < n; i++) {
    uint32_t word;
    memcpy(&word, &x[i], sizeof word);
    h = (h ^ word) * UINT64_C(1099511628211);
  }
  return h;
}

static inline void bench_backward(bench *b, int rows, int threads) {
  for (int y = 0; y < b->net->n_buffers; y++)
    if (b->net->output[y])
      memcpy(b->acts.grad[y], b->cotangent[y],
             (size_t)rows * (size_t)b->net->width[y] * sizeof(float));
  for (size_t i = 0; i < b->net->n_params; i++)
    b->grad[i] = 1e9f; // must be overwritten, padding included
  flv_net_backward(b->net, b->params, &b->acts, rows, b->grad, threads);
}

static inline double functional(bench *b) {
  twin_run(&b->twin);
  double sum = 0.0;
  for (int y = 0; y < b->net->n_buffers; y++)
    for (int i = 0; b->net->output[y] && i < b->twin.rows * b->net->width[y]; i++)
      sum += (double)b->cotangent[y][i] * b->twin.value[y][i];
  return sum;
}

static inline void check_forward(bench *b) {
  twin_run(&b->twin);
  for (int i = 0; i < b->net->n_ops; i++) {
    const int y = b->net->op[i].y;
    const float *value =
        b->net->per[y] == FLV_PER_NET ? b->acts.table + b->net->table_offset[y] : b->acts.value[y];
    for (int k = 0; k < twin_rows(&b->twin, y) * b->net->width[y]; k++) {
      const double want = b->twin.value[y][k];
      if (!(fabs((double)value[k] - want) <= 2e-5 * (1.0 + fabs(want))))
        fail_msg("op %d entry %d: %g, twin %g", i, k, (double)value[k], want);
    }
  }
}

// Every `stride`-th entry of every tensor.
static inline void check_gradient(bench *b, size_t stride) {
  const double h = 1e-6;
  for (int i = 0; i < b->net->n_weights; i++) {
    const flv_weight *w = &b->net->weight[i];
    for (size_t k = (size_t)i % stride; k < (size_t)w->rows * (size_t)w->cols; k += stride) {
      double *p = &b->twin.param[w->offset + k];
      const double keep = *p;
      *p = keep + h;
      const double up = functional(b);
      *p = keep - h;
      const double slope = (up - functional(b)) / (2.0 * h);
      *p = keep;
      const double got = (double)b->grad[w->offset + k];
      if (!(fabs(got - slope) <= 1e-4 * (1.0 + fabs(slope)) * sqrt(1.0 + b->twin.rows / 16.0)))
        fail_msg("%s[%zu]: backward %g, finite difference %g", w->name, k, got, slope);
    }
  }
}

static inline void check_padding(const bench *b) {
  for (int i = 0; i < b->net->n_weights; i++) {
    const flv_weight *w = &b->net->weight[i];
    const size_t end = i + 1 < b->net->n_weights ? b->net->weight[i + 1].offset : b->net->n_params;
    for (size_t k = w->offset + (size_t)w->rows * (size_t)w->cols; k < end; k++)
      assert_true(b->grad[k] >= 0.0f && b->grad[k] <= 0.0f);
  }
}

static inline void check_program(flv_net *net, int rows, size_t stride) {
  bench b = bench_new(net, rows);
  b.twin.tree = &b.acts.trees; // b has moved
  flv_net_forward(net, b.params, &b.acts, 0, net->mark, 0, rows, 2);
  flv_net_forward(net, b.params, &b.acts, net->mark, net->n_ops, 0, rows, 2);
  check_forward(&b);
  bench_backward(&b, rows, 2);
  check_gradient(&b, stride);
  check_padding(&b);
  bench_free(&b);
}

#endif
