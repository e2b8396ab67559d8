// Network programs against twins in double (net_twin.h): every op of FLV_OPS, every activation,
// whole programs, every way of cutting rows.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "base/rng.h"
#include "net_twin.h"
#include "nn/blas.h"
#include "nn/small_products.h"
#include "nn/net.h"
#include "nn/ops.h"

// A sanitizer's allocator must return NULL, as malloc does, when asked for too much.
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "allocator_may_return_null=1"; }

// ---- one op ----

// The same for ops of graphs.
static flv_net *graph_op_program(flv_op_id id, flv_act act, int width) {
  flv_net *net = flv_net_new();
  flv_net_graphs(net, 3, 3);
  const int tensor = flv_net_tensor(net, 5, width + 2, FLV_INIT_NORMAL, 0.5, 0, "nodes");
  const int table = flv_net_table(net, tensor, 1, 3, 2, width);
  const int hot = flv_net_layer(net, -1, width, FLV_ACT_TANH, 0, "state"); // so that nodes differ
  const flv_operand terms[] = {flv_gather(table, FLV_HERE), flv_gather(hot, FLV_HERE)};
  const int nodes = flv_net_sum(net, FLV_PER_NODE, 0, width, FLV_ACT_NONE, -1, 2, terms);
  const int a = flv_net_layer(net, nodes, width, FLV_ACT_TANH, 0, "a");
  const int b = flv_net_layer(net, nodes, width, act, 0, "b");
  if (id == FLV_OP_ATTENTION) {
    const int heads = width % 4 == 0 ? 4 : width % 3 == 0 ? 3 : 1;
    const int all = flv_net_layer(net, nodes, 3 * width, act, 0, "qkv");
    const int y = flv_net_add(net, flv_net_attention(net, a, b, nodes, heads),
                              flv_net_attention(net, all, -1, -1, heads));
    const flv_operand sum = flv_gather(flv_net_attention(net, y, y, b, 1), FLV_NODES);
    const int x = flv_net_sum(net, FLV_PER_STATE, 0, width, FLV_ACT_NONE, -1, 1, &sum);
    flv_net_output(net, flv_net_layer(net, x, 3, FLV_ACT_TANH, 0, "after"));
  } else {
    const int theta = flv_net_tensor(net, 1, 1, FLV_INIT_CONSTANT, 0.54, 0, "theta");
    const int x = flv_net_layer(net, hot, 1, FLV_ACT_TANH, 0, "last");
    flv_net_output(net, flv_net_pairs(net, a, b, id == FLV_OP_PAIRS ? x : -1, theta));
  }
  return net;
}

// And of rows of positions, with and without a start token, tokens shared by positions and not.
static flv_net *position_op_program(flv_act act, int width) {
  flv_net *net = flv_net_new();
  const bool start = width % 2 == 1, shared = width % 3 > 0;
  flv_net_positions(net, 3, 12, start);
  const int tokens = flv_net_tensor(net, shared ? 4 : 12, width, FLV_INIT_NORMAL, 1.0, 0, "tokens");
  const int first = start ? flv_net_tensor(net, 1, width, FLV_INIT_NORMAL, 1.0, 0, "start") : -1;
  const int places = flv_net_tensor(net, 3 + start, width, FLV_INIT_SINES, 1.0, 0, "places");
  const flv_operand x[] = {
      flv_gather(flv_net_tokens(net, tokens, shared ? 4 : 0, first), FLV_HERE),
      flv_gather(flv_net_table(net, places, 0, 3 + start, 0, width), FLV_HERE)};
  const int nodes = flv_net_sum(net, FLV_PER_NODE, 0, width, FLV_ACT_NONE, -1, 2, x);
  const int h = flv_net_gelu(net, flv_net_layer(net, nodes, width, act, 0, "h"));
  const int qkv = flv_net_layer(net, nodes, 3 * width, FLV_ACT_NONE, 0, "qkv");
  const int seen = flv_net_attention_masked(net, qkv, -1, -1, 1, 4);
  const int again = flv_net_add(
      net, seen, flv_net_gelu(net, h)); // h has two readers: the second gradient is added
  const int side = flv_net_mean(net, flv_net_add(net, h, again));
  const int all = flv_net_layer(net, h, 2, FLV_ACT_NONE, 0, "rows");
  const int joined = flv_net_join(net, all, flv_net_layer(net, side, 1, FLV_ACT_TANH, 0, "last"));
  flv_net_output(net, joined);
  const int bare = flv_net_join(net, again, -1);
  const int more = flv_net_mean(net, again);
  flv_net_output(net, flv_net_layer(net, bare, 3, FLV_ACT_TANH, 0, "after"));
  flv_net_output(net, flv_net_layer(net, more, 3, FLV_ACT_TANH, 0, "more"));
  return net;
}

// And of trees: two messages from the same nodes, so that gradients meet; slots of every kind.
static flv_net *tree_op_program(flv_act act, int width) {
  static const int32_t symbol[] = {1, 0, 1, 2}, n_slots[] = {3, 1, 2, 1};
  static const int32_t type[] = {0, 1, 1, 2, 0, 0, 3, 1, 0, 4, 0, 0};
  flv_net *net = flv_net_new();
  flv_net_trees(net, &(flv_tree_shape){4, 3, 3, 3, 5, symbol, n_slots, type});
  const int symbols = flv_net_tensor(net, 3, width, FLV_INIT_NORMAL, 1.0, 0, "symbols");
  const int joints = flv_net_tensor(net, 4, width, FLV_INIT_NORMAL, 1.0, 0, "joints");
  const int types = flv_net_tensor(net, 5, width, FLV_INIT_NORMAL, 1.0, 0, "types");
  const int from = flv_net_lookup(net, joints, FLV_TYPE_FROM);
  const int to = flv_net_lookup(net, joints, FLV_TYPE_TO);
  int h = flv_net_layer(net, flv_net_lookup(net, symbols, FLV_SYMBOL), width, act, 0, "h");
  for (int k = 0; k < 2; k++) {
    const int message = flv_net_message(net, h, from, to);
    const int x = flv_net_layer(net, message, 3 * width, FLV_ACT_NONE, 0, k ? "x1" : "x0");
    h = flv_net_gru(net, x, flv_net_layer(net, h, 3 * width, FLV_ACT_NONE, 0, k ? "h1" : "h0"), h);
  }
  const flv_operand parts[] = {flv_gather(flv_net_lookup(net, types, FLV_TYPE), FLV_HERE),
                               flv_gather(h, FLV_HERE)};
  const int slots = flv_net_sum(net, FLV_PER_EDGE, 0, width, FLV_ACT_NONE, -1, 2, parts);
  const int mean = flv_net_mean(net, h);
  const int last = flv_net_layer(net, mean, 1, FLV_ACT_TANH, 0, "last");
  flv_net_output(net, flv_net_deal(net, flv_net_layer(net, slots, 2, act, 0, "slots"), last));
  flv_net_mark(net);
  flv_net_output(net, flv_net_layer(net, flv_net_mean(net, flv_net_add(net, h, from)), 2,
                                    FLV_ACT_TANH, 0, "after"));
  return net;
}

// Input, a layer so that the op has something to send gradients to, the op, and a nonlinear
// readout.
static flv_net *op_program(flv_op_id id, flv_act act, int width) {
  if (id >= FLV_OP_LOOKUP) return tree_op_program(act, width);
  if (id >= FLV_OP_TOKENS) return position_op_program(act, width);
  if (id >= FLV_OP_TABLE) return graph_op_program(id, act, width);
  flv_net *net = flv_net_new();
  const int x = flv_net_input(net, id == FLV_OP_EMBED ? 3 : 0, 9);
  int y = -1;
  if (id == FLV_OP_EMBED) {
    y = flv_net_layer(net, x, width, act, 0, "op");
  } else {
    const int before = flv_net_layer(net, x, width, FLV_ACT_TANH, 0, "before");
    if (id == FLV_OP_LINEAR) y = flv_net_layer(net, before, width, act, 0, "op");
    if (id == FLV_OP_LAYERNORM) y = flv_net_layernorm(net, before, 0, "op");
    if (id == FLV_OP_ADD)
      y = flv_net_add(net, before, flv_net_layer(net, before, width, act, 0, "side"));
  }
  flv_net_output(net, flv_net_layer(net, y, 3, FLV_ACT_TANH, 0, "after"));
  return net;
}

static void check_op(flv_op_id id) {
  static const int widths[] = {1, 4, 19, 33};
  for (int act = 0; act < FLV_ACT_COUNT; act++)
    for (size_t k = 0; k < sizeof widths / sizeof *widths; k++) {
      flv_net *net = op_program(id, (flv_act)act, widths[k]);
      bool found = false;
      for (int i = 0; i < net->n_ops; i++) found |= net->op[i].id == id;
      assert_true(found);
      check_program(net, 7,
                    id >= FLV_OP_TABLE && widths[k] > 4 ? 7 : 1); // those programs are large
    }
}

#define OP_TEST(ID, fn)                                                                            \
  static void op_##fn(void **state) {                                                              \
    (void)state;                                                                                   \
    check_op(FLV_OP_##ID);                                                                         \
  }
FLV_OPS(OP_TEST)
#undef OP_TEST

// One op straight from the table, with its input's gradient added to what is there.
static void adds_to_input_gradient(void **state) {
  (void)state;
  enum { ROWS = 5, N = 20 };
  float x[ROWS * N], w[N * N], b[N], y[ROWS * N], dy[ROWS * N], dx[2][ROWS * N], dw[N * N], db[N];
  for (int i = 0; i < ROWS * N; i++) x[i] = (float)uniform(1, (uint32_t)i);
  for (int i = 0; i < N * N; i++) w[i] = (float)uniform(2, (uint32_t)i);
  for (int i = 0; i < N; i++) b[i] = (float)uniform(3, (uint32_t)i);
  const flv_op_id with_dx[] = {FLV_OP_LINEAR, FLV_OP_LAYERNORM, FLV_OP_ADD};
  for (size_t o = 0; o < sizeof with_dx / sizeof *with_dx; o++)
    for (int add = 0; add < 2; add++) {
      for (int i = 0; i < ROWS * N; i++) dx[add][i] = add ? 2.0f : NAN; // overwriting must not read
      for (int i = 0; i < ROWS * N; i++) dy[i] = (float)uniform(4, (uint32_t)i);
      flv_arg arg = {.rows = ROWS, .in = N, .x = x, .dx = dx[add], .add_dx = add};
      if (with_dx[o] == FLV_OP_LINEAR) {
        arg.w = w;
        arg.dw = dw;
      }
      flv_call c = {.act = FLV_ACT_TANH, .rows = ROWS, .n = N, .n_args = 1, .arg = {arg}};
      c.arg[1] = (flv_arg){.x = x};
      c.w = w;
      c.b = b;
      c.y = y;
      c.dy = dy;
      c.dw = dw;
      c.db = db;
      flv_op_table[with_dx[o]].forward(&c);
      flv_op_table[with_dx[o]].backward(&c);
      for (int i = 0; add && i < ROWS * N; i++) {
        if (!(fabsf(dx[1][i] - 2.0f - dx[0][i]) < 1e-5f))
          fail_msg("%s: %g after 2 + %g", flv_op_table[with_dx[o]].name, (double)dx[1][i],
                   (double)dx[0][i]);
      }
    }
}

// ---- whole programs ----

// Shared trunk with a residual and a layernorm, read by two heads and a side network; an output in
// the middle that others read too; a layer that reaches no output.
static flv_net *full_program(int n_hot, flv_act act) {
  flv_net *net = flv_net_new();
  const int x = flv_net_input(net, n_hot, 12);
  int h = flv_net_layer(net, x, 20, act, 0, "trunk.0");
  h = flv_net_add(net, h, flv_net_layer(net, h, 20, act, 0, "trunk.1"));
  h = flv_net_layernorm(net, h, 0, "trunk.norm");
  const int middle = flv_net_layer(net, h, 17, act, 0, "middle");
  flv_net_output(net, flv_net_layer(net, middle, 5, FLV_ACT_NONE, 0, "head"));
  flv_net_mark(net);
  int side = flv_net_layer(net, x, 20, act, 1, "side.0");
  side = flv_net_layer(net, side, 20, act, 1, "side.1");
  flv_net_output(net,
                 flv_net_layer(net, flv_net_add(net, side, h), 4, FLV_ACT_NONE, 1, "side.head"));
  flv_net_output(net, flv_net_layer(net, middle, 1, FLV_ACT_NONE, 2, "log_f"));
  flv_net_output(net, middle);
  flv_net_layer(net, h, 6, act, 0, "unused");
  // Read last, so that the gradient of h lives longest, beside all that come and go.
  flv_net_output(net, flv_net_layer(net, h, 2, FLV_ACT_NONE, 0, "last"));
  return net;
}

static void whole_program(void **state) {
  (void)state;
  for (int n_hot = 0; n_hot <= 9; n_hot += 3)
    for (int act = 0; act < FLV_ACT_COUNT; act++)
      check_program(full_program(n_hot, (flv_act)act), 6, 1);
}

static void row_counts(void **state) {
  (void)state;
  static const int rows[] = {1, 15, 16, 17, 191, 192, 193, 511, 513, 1500, 4700};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    check_program(full_program(4, FLV_ACT_RELU), rows[i], 211);
}

static void no_rows(void **state) {
  (void)state;
  bench b = bench_new(full_program(4, FLV_ACT_RELU), 3);
  flv_net_forward(b.net, b.params, &b.acts, 0, b.net->n_ops, 2, 2, 2);
  bench_backward(&b, 0, 2);
  for (size_t i = 0; i < b.net->n_params; i++) assert_true(b.grad[i] >= 0.0f && b.grad[i] <= 0.0f);
  bench_free(&b);
}

static void chunks_fit(void **state) {
  (void)state;
  for (int d = 0; d <= FLV_NET_MAX_NODES; d += d < 8 ? 1 : 14) {
    const flv_net net = {.n_nodes = d};
    for (int rows = 1; rows < 200000; rows += rows < 9000 ? 1 : 977) {
      const int want = flv_chunk_want(&net, rows), n = flv_chunk_count(rows, want);
      for (int c = 0; c < n; c++) {
        const int length = flv_chunk_begin(rows, want, c + 1) - flv_chunk_begin(rows, want, c);
        assert_true(length > 0 && length <= flv_chunk_rows(&net));
      }
    }
  }
}

static void few_rows_equal_many(void **state) {
  (void)state;
  const int rows = 1500;
  bench b = bench_new(full_program(4, FLV_ACT_TANH), rows);
  const int n = b.net->n_ops, y = b.net->op[n - 1].y, width = b.net->width[y];
  flv_net_forward(b.net, b.params, &b.acts, 0, n, 0, rows, 1);
  float *many = calloc((size_t)(rows * width), sizeof *many);
  assert_non_null(many);
  memcpy(many, b.acts.value[y], (size_t)(rows * width) * sizeof *many);
  memset(b.acts.value[y], 0, (size_t)(rows * width) * sizeof *many);
  for (int r = 0; r < rows; r += 37)
    flv_net_forward(b.net, b.params, &b.acts, 0, n, r, r + 37 < rows ? r + 37 : rows, 1);
  for (int i = 0; i < rows * width; i++) assert_true(fabsf(many[i] - b.acts.value[y][i]) < 1e-5f);
  free(many);
  bench_free(&b);
}

// Wide enough for a second thread.
static flv_net *wide_program(void) {
  flv_net *net = flv_net_new();
  const int x = flv_net_input(net, 4, 40);
  int h = flv_net_layer(net, x, 300, FLV_ACT_RELU, 0, "0");
  h = flv_net_layer(net, h, 270, FLV_ACT_RELU, 0, "1");
  flv_net_output(net, flv_net_layer(net, h, 5, FLV_ACT_NONE, 0, "head"));
  flv_net_mark(net);
  flv_net_output(net, flv_net_layer(net, h, 4, FLV_ACT_NONE, 1, "back"));
  return net;
}

static void threads_change_no_bit(void **state) {
  (void)state;
  static const int rows[] = {20, 100, 192, 700, 1500, 4700};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    uint64_t want = 0;
    for (int threads = 1; threads <= 3; threads++) {
      bench b = bench_new(wide_program(), rows[i]);
      flv_net_forward(b.net, b.params, &b.acts, 0, b.net->n_ops, 0, rows[i], threads);
      bench_backward(&b, rows[i], threads);
      uint64_t hash = bits_hash(UINT64_C(14695981039346656037), b.grad, b.net->n_params);
      for (int k = 0; k < b.net->n_ops; k++) {
        const int y = b.net->op[k].y;
        hash = bits_hash(hash, b.acts.value[y], (size_t)rows[i] * (size_t)b.net->width[y]);
      }
      if (threads == 1) want = hash;
      if (threads == 1 && rows[i] <= 192) check_forward(&b); // tiles of columns
      assert_true(hash == want);
      bench_free(&b);
    }
  }
}

// A second backward pass finds nothing of the first.
static void backward_twice(void **state) {
  (void)state;
  bench b = bench_new(full_program(4, FLV_ACT_RELU), 700);
  flv_net_forward(b.net, b.params, &b.acts, 0, b.net->n_ops, 0, 700, 1);
  bench_backward(&b, 700, 1);
  const uint64_t first = bits_hash(1, b.grad, b.net->n_params);
  bench_backward(&b, 300, 1);
  assert_false(bits_hash(1, b.grad, b.net->n_params) == first);
  bench_backward(&b, 700, 1);
  assert_true(bits_hash(1, b.grad, b.net->n_params) == first);
  bench_free(&b);
}

static void nan_goes_through(void **state) {
  (void)state;
  bench b = bench_new(op_program(FLV_OP_LINEAR, FLV_ACT_RELU, 8), 3);
  b.acts.value[b.net->input][0] = NAN;
  flv_net_forward(b.net, b.params, &b.acts, 0, b.net->n_ops, 0, 3, 1);
  assert_true(isnan(b.acts.value[b.net->op[b.net->n_ops - 1].y][0]));
  assert_true(!isnan(b.acts.value[b.net->op[b.net->n_ops - 1].y][3]));
  bench_free(&b);
}

// ---- recording, initialising, memory ----

static void initial_weights(void **state) {
  (void)state;
  flv_net *net = full_program(4, FLV_ACT_RELU);
  float *a = flv_alloc(net->n_params * sizeof *a), *b = flv_alloc(net->n_params * sizeof *b);
  assert_true(a && b);
  flv_net_init(net, 5, a);
  flv_net_init(net, 5, b);
  assert_memory_equal(a, b, net->n_params * sizeof *a);
  flv_net_init(net, 6, b);
  assert_true(memcmp(a, b, net->n_params * sizeof *a) != 0);
  for (int i = 0; i < net->n_weights; i++) {
    const flv_weight *w = &net->weight[i];
    assert_int_equal(w->offset % 16, 0);
    const size_t n = (size_t)w->rows * (size_t)w->cols;
    double top = 0.0, mean = 0.0;
    for (size_t k = 0; k < n; k++) {
      top = fmax(top, fabs((double)a[w->offset + k]));
      mean += (double)a[w->offset + k] / (double)n;
    }
    if (strcmp(w->name, "trunk.0.weight") == 0) { // fan_in 12
      assert_true(top <= 1.0 / sqrt(12.0) && top > 0.9 / sqrt(12.0) && fabs(mean) < 0.05);
    } else if (strcmp(w->name, "trunk.1.bias") == 0) { // fan_in 20
      assert_true(top <= 1.0 / sqrt(20.0) && top > 0.5 / sqrt(20.0));
    } else if (strcmp(w->name, "trunk.norm.weight") == 0) {
      assert_true(mean > 0.999999 && mean < 1.000001 && top <= 1.0);
    } else if (strcmp(w->name, "trunk.norm.bias") == 0) {
      assert_true(top <= 0.0);
    }
  }
  const int weights = 2 * 20 * 20 + 20 * 17 + 17 * 5 + 20 * 4 + 17 + 20 * 6 + 20 * 2;
  assert_true(fabs(flv_net_flops(net, 7.0, 0.0, 0.0) - 7.0 * 2.0 * weights) < 0.5);
  flv_free(a);
  flv_free(b);
  flv_net_free(net);
}

static void limits_are_noticed(void **state) {
  (void)state;
  flv_net *net = flv_net_new();
  int h = flv_net_input(net, 0, 3);
  for (int i = 0; i < FLV_NET_MAX_OPS + 1; i++) h = flv_net_add(net, h, h);
  assert_true(net->failed);
  assert_int_equal(h, -1);
  assert_int_equal(flv_net_layer(net, 0, 3, FLV_ACT_NONE, 0, "late"), -1);
  flv_net_free(net);

  char name[80];
  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  net = flv_net_new();
  flv_net_layer(net, flv_net_input(net, 0, 3), 3, FLV_ACT_NONE, 0, name);
  assert_true(net->failed);
  flv_net_free(net);

  net = flv_net_new(); // widths that do not match
  h = flv_net_input(net, 0, 3);
  flv_net_add(net, h, flv_net_layer(net, h, 4, FLV_ACT_NONE, 0, "four"));
  assert_true(net->failed);
  flv_net_free(net);
}

static void out_of_memory(void **state) {
  (void)state;
  flv_net *net = flv_net_new();
  const int h =
      flv_net_layer(net, flv_net_input(net, 0, 1 << 20), 1 << 20, FLV_ACT_NONE, 0, "huge");
  flv_net_output(net, h);
  flv_acts acts = {.max_rows = 42};
  assert_int_equal(flv_acts_init(&acts, net, INT_MAX, true, false), FLV_ENOMEM);
  assert_int_equal(acts.max_rows, 42);
  assert_null(acts.block);
  flv_net_free(net);
}

// Every number of rows and several widths, against a naive product in double, written or added;
// rows beyond stay untouched.
static void few_rows_are_right(void **state) {
  (void)state;
  enum { IN = 37, MOST = 80, ROWS = FLV_FEW_ROWS + 1 };
  static float x[ROWS * IN], w[IN * MOST], y[ROWS * MOST];
  const int widths[] = {1, 2, 3, 7, 15, 16, 17, 20, 32, 33, 48, 63, 80};
  for (int i = 0; i < ROWS * IN; i++) x[i] = (float)(i * 7 % 23) / 11.0f - 1.0f;
  for (int i = 0; i < IN * MOST; i++) w[i] = (float)(i * 5 % 29) / 13.0f - 1.0f;
  if (!flv_small_product(1, IN, MOST, false, x, w, y)) {
    print_message("skipped: no kernel for this machine\n");
    skip();
  }
  for (size_t v = 0; v < 2 * sizeof widths / sizeof *widths; v++)
    for (int rows = 1, n = widths[v / 2], add = v % 2; rows <= FLV_FEW_ROWS; rows++) {
      for (int i = 0; i < ROWS * n; i++) y[i] = 9.0f;
      const bool done = flv_small_product(rows, IN, n, add, x, w, y);
      assert_true(done);
      for (int i = 0; done && i < ROWS * n; i++) {
        double sum = add ? 9.0 : 0.0;
        for (int k = 0; k < IN; k++) sum += (double)x[i / n * IN + k] * (double)w[k * n + i % n];
        assert_true(fabs((double)y[i] - (i < rows * n ? sum : 9.0)) < 1e-4);
      }
    }
  assert_false(flv_small_product(FLV_FEW_ROWS + 1, FLV_SMALL_TERMS + 1, 16, false, x, w, y));
  assert_true(flv_small_product(FLV_FEW_ROWS + 1, IN, 15, false, x, w, y));
}

static bool near_product(bool turned, int rows, int in, int n, bool add, const float *x,
                         const float *w, const float *y) {
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < n; j++) {
      double sum = add ? 0.5 : 0.0, size = 1.0;
      for (int k = 0; k < in; k++) {
        const double term = (double)x[turned ? k * rows + i : i * in + k] * (double)w[k * n + j];
        sum += term, size += fabs(term);
      }
      if (!(fabs((double)y[i * n + j] - sum) < 1e-5 * size)) return false;
    }
  return true;
}

// Products of many rows with weights that fit in the cache, and the gradients of those, in blocks
// and tiles of all sizes, written or added.
static void few_weights_are_right(void **state) {
  (void)state;
  const int shapes[][3] = {{97, 64, 192}, {130, 31, 17}, {67, 40, 47}, {300, 64, 33}, {513, 7, 25}};
  enum { MOST = 513 * 192 };
  static float x[MOST], w[MOST], y[MOST];
  for (int i = 0; i < MOST; i++) x[i] = (float)(i * 7 % 23) / 11.0f - 1.0f;
  for (int i = 0; i < MOST; i++) w[i] = (float)(i * 5 % 29) / 13.0f - 1.0f;
  if (!flv_small_gradient(1, 16, 16, false, x, w, y)) {
    print_message("skipped: no kernel for this machine\n");
    skip();
  }
  for (size_t s = 0; s < 2 * sizeof shapes / sizeof *shapes; s++) {
    const int rows = shapes[s / 2][0], in = shapes[s / 2][1], n = shapes[s / 2][2];
    const bool add = s % 2;
    for (int i = 0; i < MOST; i++) y[i] = 0.5f;
    assert_true(flv_small_product(rows, in, n, add, x, w, y));
    assert_true(near_product(false, rows, in, n, add, x, w, y));
    assert_true(y[rows * n] == 0.5f);
    for (int i = 0; i < MOST; i++) y[i] = 0.5f;
    assert_true(flv_small_gradient(rows, in, n, add, x, w, y));
    assert_true(near_product(true, in, rows, n, add, x, w, y));
    assert_true(y[in * n] == 0.5f);
  }
  assert_false(flv_small_gradient(1, FLV_SMALL_TERMS + 1, 16, false, x, w, y));
  assert_false(flv_small_gradient(1, 16, 15, false, x, w, y));
}

static void blas_is_right(void **state) {
  (void)state;
  flv_error err = {0};
  assert_int_equal(flv_blas_check(&err), FLV_OK);
}

int main(void) {
#define OP_ENTRY(ID, fn) cmocka_unit_test(op_##fn),
  const struct CMUnitTest tests[] = {
      FLV_OPS(OP_ENTRY) cmocka_unit_test(adds_to_input_gradient),
      cmocka_unit_test(whole_program),
      cmocka_unit_test(row_counts),
      cmocka_unit_test(no_rows),
      cmocka_unit_test(chunks_fit),
      cmocka_unit_test(few_rows_equal_many),
      cmocka_unit_test(threads_change_no_bit),
      cmocka_unit_test(backward_twice),
      cmocka_unit_test(nan_goes_through),
      cmocka_unit_test(initial_weights),
      cmocka_unit_test(limits_are_noticed),
      cmocka_unit_test(out_of_memory),
      cmocka_unit_test(few_rows_are_right),
      cmocka_unit_test(few_weights_are_right),
      cmocka_unit_test(blas_is_right),
  };
#undef OP_ENTRY
  return cmocka_run_group_tests(tests, NULL, NULL);
}
