// Network programs on graphs, against twins in double (net_twin.h): every way to gather rows, every
// way of cutting states, with activations kept and computed again.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "net_twin.h"

enum { W = 5 };

static int tensor_of(flv_net *net, int rows, int cols, const char *name) {
  return flv_net_tensor(net, rows, cols, FLV_INIT_NORMAL, 0.5, 0, name);
}

static int table_of(flv_net *net, int rows, const char *name) {
  return flv_net_table(net, tensor_of(net, rows, W, name), 0, rows, 0, W);
}

static int sum(flv_net *net, flv_rows per, int n_rows, flv_act act, const char *bias, int n,
               const flv_operand *x) {
  const int b = bias ? tensor_of(net, 1, W, bias) : -1;
  return flv_net_sum(net, per, n_rows, W, act, b, n, x);
}
#define SUM(net, per, n_rows, act, bias, ...)                                                      \
  sum(net, per, n_rows, act, bias,                                                                 \
      (int)(sizeof((flv_operand[]){__VA_ARGS__}) / sizeof(flv_operand)),                           \
      (flv_operand[]){__VA_ARGS__})

// Every role at every place, from every numbering of rows; products with blocks of a tensor and
// with tables; tensors and tables with several readers; an operand used twice.
static flv_net *program(int d, flv_act act) {
  flv_net *net = flv_net_new();
  flv_net_graphs(net, d, d * (d - 1) / 2);
  const int nodes = table_of(net, d, "nodes"), one = table_of(net, 1, "one");
  const int ends = table_of(net, d * d, "ends"), w = tensor_of(net, 4 * W, W, "w");
  const int pairs = SUM(net, FLV_PER_NET, d * d, act, "pairs.b", flv_gather(nodes, FLV_FROM),
                        flv_gather(nodes, FLV_TO), flv_gather(ends, FLV_HERE),
                        flv_times(ends, w, 0), flv_gather(one, FLV_HERE));
  const int m = SUM(net, FLV_PER_NET, W, FLV_ACT_NONE, NULL,
                    flv_times(flv_net_table(net, w, 0, W, 0, W), w, W));
  int n = SUM(net, FLV_PER_NODE, 0, act, "n.b", flv_gather(nodes, FLV_HERE),
              flv_gather(one, FLV_HERE), flv_gather(pairs, FLV_OUT), flv_gather(ends, FLV_IN),
              flv_gather(one, FLV_OUT), flv_gather(one, FLV_IN));
  int e = SUM(net, FLV_PER_EDGE, 0, act, "e.b", flv_gather(n, FLV_FROM), flv_gather(n, FLV_TO),
              flv_gather(nodes, FLV_FROM), flv_gather(nodes, FLV_TO), flv_gather(pairs, FLV_HERE),
              flv_gather(one, FLV_HERE));
  int g = SUM(net, FLV_PER_STATE, 0, act, "g.b", flv_gather(n, FLV_NODES),
              flv_gather(nodes, FLV_NODES), flv_gather(one, FLV_NODES), flv_gather(e, FLV_EDGES),
              flv_gather(ends, FLV_EDGES), flv_gather(one, FLV_EDGES), flv_gather(one, FLV_HERE));
  e = SUM(net, FLV_PER_EDGE, 0, act, "e2.b", flv_times(e, w, 2 * W), flv_gather(e, FLV_HERE),
          flv_gather(g, FLV_HERE), flv_gather(n, FLV_TO), flv_gather(n, FLV_TO));
  n = SUM(net, FLV_PER_NODE, 0, act, "n2.b", flv_gather(n, FLV_HERE), flv_times(n, w, 3 * W),
          flv_gather(e, FLV_OUT), flv_gather(e, FLV_IN), flv_times_table(n, m),
          flv_gather(g, FLV_HERE));
  g = SUM(net, FLV_PER_STATE, 0, act, "g2.b", flv_gather(g, FLV_HERE), flv_times(g, w, W),
          flv_gather(n, FLV_NODES), flv_gather(e, FLV_EDGES));
  flv_net_output(net, flv_net_layer(net, g, 3, FLV_ACT_TANH, 0, "head"));
  flv_net_mark(net);
  const int side = flv_net_layernorm(net, flv_net_add(net, n, n), 1, "norm");
  const int theta = flv_net_tensor(net, 1, 1, FLV_INIT_CONSTANT, 0.3, 1, "theta");
  n = flv_net_layer(net, side, W, FLV_ACT_TANH, 1, "calm");
  flv_net_output(net, flv_net_pairs(net, side, flv_net_attention(net, n, side, n, 1), -1, theta));
  return net;
}

static void every_gather(void **state) {
  (void)state;
  for (int d = 2; d <= 4; d++)
    for (int act = 0; act < FLV_ACT_COUNT; act++) check_program(program(d, (flv_act)act), 5, 1);
}

// Few states, one chunk, several, several rounds.
static void state_counts(void **state) {
  (void)state;
  static const int rows[] = {1, 2, 47, 63, 64, 65, 170, 700};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    check_program(program(3, FLV_ACT_TANH), rows[i], 67);
}

// Without edges nothing is written per edge, and yet gradients of what edges read are 0.
static void no_edges(void **state) {
  (void)state;
  check_program(program(3, FLV_ACT_TANH), 1, 1);
}

static uint64_t bits_of(bench *b, int rows, int threads) {
  const flv_net *net = b->net;
  flv_net_forward(net, b->params, &b->acts, 0, net->mark, 0, rows, threads);
  flv_net_forward(net, b->params, &b->acts, net->mark, net->n_ops, 0, rows, threads);
  bench_backward(b, rows, threads);
  uint64_t hash = bits_hash(1, b->grad, net->n_params);
  for (int y = 0; y < net->n_buffers; y++)
    if (net->output[y])
      hash = bits_hash(hash, b->acts.value[y], (size_t)rows * (size_t)net->width[y]);
  return hash;
}

static void threads_change_no_bit(void **state) {
  (void)state;
  static const int rows[] = {9, 60, 200, 1500, 3000};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    bench b = bench_new(program(4, FLV_ACT_RELU), rows[i]);
    const uint64_t want = bits_of(&b, rows[i], 1);
    for (int threads = 2; threads <= 3; threads++)
      assert_true(bits_of(&b, rows[i], threads) == want);
    assert_true(bits_of(&b, rows[i], 1) == want);
    bench_free(&b);
  }
}

// As sampling does: states in several calls, of the ops before the mark, then the rest of them all.
static void states_may_come_in_turns(void **state) {
  (void)state;
  enum { ROWS = 300 };
  bench b = bench_new(program(4, FLV_ACT_TANH), ROWS);
  for (int r = 0, end = 1; r < ROWS; r = end, end = 4 * end < ROWS ? 4 * end : ROWS)
    flv_net_forward(b.net, b.params, &b.acts, 0, b.net->mark, r, end, 2);
  flv_net_forward(b.net, b.params, &b.acts, b.net->mark, b.net->n_ops, 0, ROWS, 2);
  check_forward(&b);
  bench_backward(&b, ROWS, 2);
  check_gradient(&b, 67);
  bench_free(&b);
}

// Too many states to keep their activations: the same bits, a chunk at a time.
static void lean(void **state) {
  (void)state;
  enum { ROWS = 700, MANY = 4000000 };
  bench b = bench_new(program(4, FLV_ACT_TANH), ROWS);
  assert_false(b.acts.lean);
  const uint64_t want = bits_of(&b, ROWS, 1);
  flv_acts kept = b.acts, few;
  assert_int_equal(flv_acts_init(&few, b.net, MANY, true, false), FLV_OK);
  assert_true(few.lean);
  for (int k = 0; k < b.net->n_buffers; k++)
    assert_true((few.value[k] != NULL) == b.net->output[k]);
  memcpy(few.hot, kept.hot, (size_t)ROWS * (size_t)b.net->n_hot * sizeof *few.hot);
  b.acts = few;
  for (int threads = 1; threads <= 2; threads++) assert_true(bits_of(&b, ROWS, threads) == want);
  for (int r = 0; r < ROWS; r += 20) // and few at a time
    flv_net_forward(b.net, b.params, &b.acts, 0, b.net->mark, r, r + 20, 2);
  for (int y = 0; y < b.net->n_buffers; y++)
    for (int i = 0; b.net->output[y] && i < ROWS * b.net->width[y]; i++)
      assert_true(fabsf(b.acts.value[y][i] - kept.value[y][i]) < 1e-4f);
  flv_acts_free(&kept);
  bench_free(&b);
}

// What has no row of x for every row of y, or the wrong width, is noticed.
static void misfits_are_noticed(void **state) {
  (void)state;
  for (int k = 0; k < 12; k++) {
    flv_net *net = flv_net_new();
    flv_net_graphs(net, 3, 3);
    const int nodes = table_of(net, 3, "nodes"), ends = table_of(net, 9, "ends");
    const int w = tensor_of(net, 2 * W, W, "w"), odd = table_of(net, 4, "odd");
    const int n = SUM(net, FLV_PER_NODE, 0, FLV_ACT_NONE, NULL, flv_gather(nodes, FLV_HERE));
    const int g = SUM(net, FLV_PER_STATE, 0, FLV_ACT_NONE, NULL, flv_gather(n, FLV_NODES));
    assert_false(net->failed);
    const struct {
      flv_rows per;
      int n_rows;
      flv_operand x;
    } wrong[] = {{FLV_PER_NODE, 0, flv_gather(ends, FLV_HERE)},
                 {FLV_PER_NODE, 0, flv_gather(odd, FLV_HERE)},
                 {FLV_PER_NODE, 0, flv_gather(n, FLV_OUT)},
                 {FLV_PER_EDGE, 0, flv_gather(n, FLV_HERE)},
                 {FLV_PER_EDGE, 0, flv_gather(g, FLV_FROM)},
                 {FLV_PER_STATE, 0, flv_gather(n, FLV_HERE)},
                 {FLV_PER_STATE, 0, flv_gather(nodes, FLV_EDGES)},
                 {FLV_PER_NET, 9, flv_gather(n, FLV_FROM)},
                 {FLV_PER_NODE, 0, flv_times(n, w, W + 1)},
                 {FLV_PER_NODE, 0, flv_times(g, w, 0)},
                 {FLV_PER_NODE, 0, flv_times_table(n, odd)},
                 {FLV_PER_NODE, 0, flv_gather(99, FLV_HERE)}};
    flv_net_sum(net, wrong[k].per, wrong[k].n_rows, W, FLV_ACT_NONE, -1, 1, &wrong[k].x);
    if (!net->failed) fail_msg("misfit %d", k);
    flv_net_free(net);
  }
  flv_net *net = flv_net_new();
  flv_net_graphs(net, FLV_NET_MAX_NODES + 1, 3);
  assert_true(net->failed);
  flv_net_free(net);
}

static void flops(void **state) {
  (void)state;
  flv_net *net = program(3, FLV_ACT_NONE);
  // w at edges, w, m and the calm layer at nodes, w and the head at states
  const double want = 2.0 * (50 * W * W + 3 * 20 * 3 * W * W + 20 * (W * W + 3 * W));
  assert_true(fabs(flv_net_flops(net, 20.0, 60.0, 50.0) - want) < 0.5);
  flv_net_free(net);
}

// Truncated normal: nothing beyond two deviations, and the deviation that is left, 0.8796 of the
// normal's.
static void truncated_normal(void **state) {
  (void)state;
  flv_net *net = flv_net_new();
  flv_net_tensor(net, 301, 333, FLV_INIT_NORMAL, 0.25, 0, "w");
  float *params = flv_alloc(net->n_params * sizeof *params);
  flv_net_init(net, 4, params);
  double mean = 0.0, square = 0.0, top = 0.0;
  const int n = 301 * 333;
  for (int i = 0; i < n; i++) {
    mean += (double)params[i] / n;
    square += (double)params[i] * (double)params[i] / n;
    top = fmax(top, fabs((double)params[i]));
  }
  assert_true(top <= 0.5 && top > 0.499);
  assert_true(fabs(mean) < 4 * 0.22 / sqrt(n));
  assert_true(fabs(sqrt(square) / 0.25 - 0.87962566103423978) < 4 * 0.6 / sqrt(n));
  flv_free(params);
  flv_net_free(net);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_gather),
      cmocka_unit_test(state_counts),
      cmocka_unit_test(no_edges),
      cmocka_unit_test(threads_change_no_bit),
      cmocka_unit_test(states_may_come_in_turns),
      cmocka_unit_test(lean),
      cmocka_unit_test(misfits_are_noticed),
      cmocka_unit_test(flops),
      cmocka_unit_test(truncated_normal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
