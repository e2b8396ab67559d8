// Linked rows (nn/links.c): with and without links networks compute the same, forward and backward,
// whatever the lists of features, the trees of links, and the pieces that rows are evaluated in.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "net_twin.h"
#include "learn/trainer_impl.h"
#include "train_setup.h"

// Lists of one feature for each of some positions, or, values 0, of some of n_features in ascending
// order.
typedef struct shape {
  int n_hot, n_features, values;
} shape;

static const shape shapes[] = {
    {12, 12 * 16, 16}, // a hypergrid
    {36, 36 * 3, 3},   // a lattice of spins
    {15, 15 * 9, 9},   // words
    {15, 36, 0},       // edges of a graph
    {40, 64, 0},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static int draw_below(uint32_t stream, uint32_t i, int n) {
  return (int)(flv_rng_uniform((flv_rng){11, FLV_RNG_TEST, stream}, i, 0) * n);
}

// Feature f comes in where it is missing, and goes where it is there.
static void toggle(const shape *s, int32_t *hot, int32_t f) {
  int n = 0, at = 0;
  while (n < s->n_hot && hot[n] >= 0) n++;
  while (at < n && hot[at] < f) at++;
  if (at < n && hot[at] == f) {
    memmove(hot + at, hot + at + 1, (size_t)(n - 1 - at) * sizeof *hot);
    hot[n - 1] = -1;
  } else if (n < s->n_hot) {
    memmove(hot + at + 1, hot + at, (size_t)(n - at) * sizeof *hot);
    hot[at] = f;
  }
}

static void change_list(const shape *s, int32_t *hot, int times, uint32_t row) {
  for (int i = 0; i < times; i++) {
    const uint32_t at = 8 * row + (uint32_t)i;
    if (s->values == 0) {
      toggle(s, hot, draw_below(1, at, s->n_features));
    } else {
      const int p = draw_below(2, at, s->n_hot);
      hot[p] = p * s->values + draw_below(3, at, s->values);
    }
  }
}

static void first_list(const shape *s, int32_t *hot) {
  for (int k = 0; k < s->n_hot; k++) hot[k] = s->values > 0 ? k * s->values : -1;
}

// Most rows are linked to the row before or to one of the last few, by one or two changes or none;
// some to any row, some to none, and some to one from which they differ in all.
static void grow_tree(bench *b, const shape *s, int rows) {
  for (int r = 0; r < rows; r++) {
    int32_t *hot = b->acts.hot + (size_t)r * (size_t)s->n_hot;
    const int kind = draw_below(4, (uint32_t)r, 20);
    const int last = draw_below(5, (uint32_t)r, r < 9 ? r + 1 : 9) + 1;
    int from = r == 0 || kind == 0 ? -1 : kind == 1 ? draw_below(6, (uint32_t)r, r) : r - 1;
    if (kind > 10 && from >= 0 && r >= last) from = r - last;
    if (from < 0)
      first_list(s, hot);
    else
      memcpy(hot, b->acts.hot + (size_t)from * (size_t)s->n_hot, (size_t)s->n_hot * sizeof *hot);
    change_list(s, hot, kind == 2 ? 8 : draw_below(7, (uint32_t)r, 3), (uint32_t)r);
    flv_acts_link(&b->acts, r, from);
  }
}

// Two first layers, one of them evaluated at the end, of widths that need a part of a block of
// columns; and one that is an output itself, to which others add.
static flv_net *linked_program(const shape *s, flv_act act) {
  flv_net *net = flv_net_new();
  const int x = flv_net_input(net, s->n_hot, s->n_features);
  const int h = flv_net_layer(net, x, 70, act, 0, "trunk");
  flv_net_output(net, flv_net_layer(net, h, 5, FLV_ACT_NONE, 0, "head"));
  flv_net_mark(net);
  const int side = flv_net_layer(net, x, 33, act, 1, "side");
  flv_net_output(net, side);
  flv_net_output(net, flv_net_layer(net, side, 4, FLV_ACT_NONE, 1, "side.head"));
  flv_net_layer(net, x, 6, act, 0, "unused");
  return net;
}

static bench linked_bench(const shape *s, flv_act act, int rows) {
  bench b = bench_new(linked_program(s, act), rows);
  assert_non_null(b.acts.change);
  grow_tree(&b, s, rows);
  return b;
}

// As a batch does it: what sampling needs by pieces, the rest at once.
static void evaluate(bench *b, int rows, int piece, int threads) {
  const flv_net *net = b->net;
  for (int r = 0; r < rows; r += piece)
    flv_net_forward(net, b->params, &b->acts, 0, net->mark, r, r + piece < rows ? r + piece : rows,
                    threads);
  flv_net_forward(net, b->params, &b->acts, net->mark, net->n_ops, 0, rows, threads);
}

static int count_linked(const flv_acts *acts, int rows) {
  int n = 0;
  for (int r = 0; r < rows; r++) n += acts->change[r].from >= 0;
  return n;
}

static void check_near(const char *what, size_t n, const float *got, const float *want) {
  double size = 0.0, off = 0.0;
  for (size_t i = 0; i < n; i++) {
    size += (double)want[i] * (double)want[i];
    off += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
  }
  if (!(sqrt(off) <= 1e-6 * sqrt(size))) fail_msg("%s: %g of %g", what, sqrt(off), sqrt(size));
}

static void links_change_nothing(void **state) {
  (void)state;
  enum { ROWS = 1300 };
  for (int k = 0; k < SHAPES; k++)
    for (int piece = 50; piece <= ROWS; piece *= 26) { // few rows; chunks of many
      bench b = linked_bench(&shapes[k], FLV_ACT_TANH, ROWS);
      bench plain = linked_bench(&shapes[k], FLV_ACT_TANH, ROWS);
      plain.acts.change = NULL;
      evaluate(&b, ROWS, piece, 1);
      evaluate(&plain, ROWS, piece, 1);
      assert_true(count_linked(&b.acts, ROWS) > ROWS / 2);
      check_forward(&b);
      for (int i = 0; i < b.net->n_ops; i++) {
        const int y = b.net->op[i].y;
        check_near("values", (size_t)(ROWS * b.net->width[y]), b.acts.value[y],
                   plain.acts.value[y]);
      }
      bench_backward(&b, ROWS, 1);
      bench_backward(&plain, ROWS, 1);
      assert_true(b.acts.swept && !plain.acts.swept);
      check_padding(&b);
      for (int i = 0; i < b.net->n_weights; i++) {
        const flv_weight *w = &b.net->weight[i];
        check_near(w->name, (size_t)w->rows * (size_t)w->cols, b.grad + w->offset,
                   plain.grad + w->offset);
      }
      bench_free(&b);
      bench_free(&plain);
    }
}

static void finite_differences(void **state) {
  (void)state;
  for (int k = 0; k < SHAPES; k++)
    for (int act = 0; act < FLV_ACT_COUNT; act++) {
      enum { ROWS = 90 };
      bench b = linked_bench(&shapes[k], (flv_act)act, ROWS);
      evaluate(&b, ROWS, 20, 2);
      check_forward(&b);
      bench_backward(&b, ROWS, 2);
      assert_true(b.acts.swept);
      check_gradient(&b, 211);
      check_padding(&b);
      const uint64_t first = bits_hash(1, b.grad, b.net->n_params);
      bench_backward(&b, ROWS, 2); // finds nothing of the first
      assert_true(bits_hash(1, b.grad, b.net->n_params) == first);
      bench_free(&b);
    }
}

// Few rows for many features: gradients are scattered as ever, though values follow links.
static void few_rows_are_scattered(void **state) {
  (void)state;
  const shape words = {15, 15 * 257, 257};
  bench b = linked_bench(&words, FLV_ACT_RELU, 40);
  evaluate(&b, 40, 7, 1);
  check_forward(&b);
  bench_backward(&b, 40, 1);
  assert_false(b.acts.swept);
  assert_true(count_linked(&b.acts, 40) > 20);
  check_gradient(&b, 997);
  bench_free(&b);
}

static void threads_change_no_bit(void **state) {
  (void)state;
  static const int rows[] = {60, 700, 1900};
  for (int k = 0; k < SHAPES; k++)
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
      uint64_t want = 0;
      for (int threads = 1; threads <= 3; threads++) {
        bench b = linked_bench(&shapes[k], FLV_ACT_RELU, rows[i]);
        evaluate(&b, rows[i], 130, threads);
        bench_backward(&b, rows[i], threads);
        uint64_t hash = bits_hash(1, b.grad, b.net->n_params);
        for (int y = 0; y < b.net->n_buffers; y++)
          hash = bits_hash(hash, b.acts.value[y], (size_t)rows[i] * (size_t)b.net->width[y]);
        if (threads == 1) want = hash;
        assert_true(hash == want);
        bench_free(&b);
      }
    }
}

static double worst_error(bench *b) {
  double worst = 0.0;
  for (int i = 0; i < b->twin.rows * b->net->width[0]; i++)
    worst = fmax(worst, fabs((double)b->acts.value[0][i] - b->twin.value[0][i]));
  return worst;
}

// Along a walk of 3000 rows rounding stays that of a sum over a list, for chains begin anew.
static void rounding_does_not_grow(void **state) {
  (void)state;
  enum { ROWS = 3000 };
  const shape spins = {100, 300, 3};
  bench b = bench_new(linked_program(&spins, FLV_ACT_NONE), ROWS);
  bench plain = bench_new(linked_program(&spins, FLV_ACT_NONE), ROWS);
  plain.acts.change = NULL;
  for (int r = 0; r < ROWS; r++) {
    int32_t *hot = b.acts.hot + (size_t)r * 100;
    if (r == 0)
      first_list(&spins, hot);
    else
      memcpy(hot, hot - 100, 100 * sizeof *hot);
    change_list(&spins, hot, 1, (uint32_t)r);
    flv_acts_link(&b.acts, r, r - 1);
    assert_true(b.acts.change[r].from == (r % (FLV_CHAIN_MOST + 1) == 0 ? -1 : r - 1));
  }
  memcpy(plain.acts.hot, b.acts.hot, (size_t)ROWS * 100 * sizeof *b.acts.hot);
  evaluate(&b, ROWS, 1, 1);
  evaluate(&plain, ROWS, 1, 1);
  twin_run(&b.twin);
  twin_run(&plain.twin);
  const double linked = worst_error(&b), sum = worst_error(&plain);
  print_message("rounding: %.2g along links, %.2g of sums\n", linked, sum);
  assert_true(linked < 3.0 * sum);
  bench_free(&b);
  bench_free(&plain);
}

// Units that are silent in all states that have a feature have no gradient there, though they have
// one elsewhere and the chain goes through both.
static void silence_stays(void **state) {
  (void)state;
  enum { ROWS = 400, WIDTH = 70 };
  const shape spins = {36, 108, 3};
  bench b = linked_bench(&spins, FLV_ACT_RELU, ROWS);
  evaluate(&b, ROWS, 50, 1);
  for (int y = 0; y < b.net->n_buffers; y++) // every tenth row alone is heard
    for (int i = 0; b.net->output[y] && i < ROWS * b.net->width[y]; i++)
      if (i / b.net->width[y] % 10 > 0) b.cotangent[y][i] = 0.0f;
  bench_backward(&b, ROWS, 1);
  int silent = 0;
  for (int f = 0; f < spins.n_features; f++)
    for (int j = 0; j < WIDTH; j++) {
      bool heard = false;
      for (int r = 0; r < ROWS; r += 10)
        for (int k = 0; k < spins.n_hot; k++)
          heard |= b.acts.hot[r * spins.n_hot + k] == f && b.acts.value[0][r * WIDTH + j] > 0.0f;
      const double g = (double)b.grad[b.net->weight[0].offset + (size_t)(f * WIDTH + j)];
      if (!heard) assert_true(fabs(g) < 1e-14);
      silent += !heard;
    }
  assert_true(silent > 100);
  bench_free(&b);
}

// ---- trainers ----

static void check_trainer(int n, const setting *settings) {
  enum { STEPS = 15 };
  flv_trainer *linked = make(1, n, settings), *plain = make(1, n, settings);
  assert_non_null(linked->batch.acts.change);
  plain->batch.acts.change = NULL;
  if (plain->has_target) plain->target.batch.acts.change = NULL;
  for (int i = 0; i < STEPS; i++) {
    flv_stats a, b;
    step(linked, &a);
    step(plain, &b);
    if (!(fabs(a.loss - b.loss) <= 1e-3 * fabs(b.loss) + 1e-6))
      fail_msg("%s, step %d: loss %g with links, %g without", settings[0].value, i, a.loss, b.loss);
    if (i == 0)
      assert_true(count_linked(&linked->batch.acts, linked->batch.rows.n) >
                  linked->batch.rows.n / 2);
  }
  flv_trainer_free(linked);
  flv_trainer_free(plain);
}

static void trainers_learn_the_same(void **state) {
  (void)state;
  check_trainer(SETTINGS({"env", "ising"}, {"env.side", "4"}, {"reward", "ising"}, {"batch", "32"},
                         {"policy.hidden", "[64]"}, {"policy.p_b", "tied"}));
  check_trainer(SETTINGS({"env", "ising"}, {"env.side", "4"}, {"reward", "ising"}, {"batch", "32"},
                         {"policy.hidden", "[64]"}, {"policy.p_b", "learned"},
                         {"objective", "flow_matching"}));
  check_trainer(SETTINGS({"env", "bit_sequence"}, {"env.length", "24"}, {"env.word", "2"},
                         {"reward", "hamming_modes"}, {"policy.hidden", "[64, 64]"},
                         {"policy.layernorm", "true"}, {"objective", "soft_dqn"},
                         {"replay", "prioritised"}));
  check_trainer(SETTINGS({"env", "bit_sequence"}, {"env.length", "24"}, {"env.word", "2"},
                         {"reward", "hamming_modes"}, {"policy.hidden", "[64, 64]"},
                         {"local_search.steps", "2"}, {"intern", "false"}));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(links_change_nothing),   cmocka_unit_test(finite_differences),
      cmocka_unit_test(few_rows_are_scattered), cmocka_unit_test(threads_change_no_bit),
      cmocka_unit_test(rounding_does_not_grow), cmocka_unit_test(silence_stays),
      cmocka_unit_test(trainers_learn_the_same)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
