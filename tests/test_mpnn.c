// The message passing reward on random weights and graphs: against a naive twin, however atoms are
// ordered and graphs are batched, and what is refused of weights.

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc.h"
#include "io/file.h"
#include "mpnn_fixture.h"
#include "near.h"
#include "scratch.h"

enum { GRAPHS = 150, MOST = 24 };

typedef struct batch { // graphs with their memory
  flv_atom_graphs graphs;
  int first_atom[GRAPHS + 1], first_edge[GRAPHS + 1];
  double x[GRAPHS * MOST * 12];
  flv_edge edge[GRAPHS * MOST * 3];
} batch;

static batch *room; // too large for a stack
static batch *other;

// Graphs of 1 to MOST atoms: a chain with chords, most edges in both directions, some atoms with
// loops and some without an edge.
static void make_batch(batch *b, sizes z, int n, uint64_t seed) {
  int atoms = 0, edges = 0;
  for (int g = 0; g < n; g++) {
    const int size = 1 + below(&seed, MOST);
    b->first_atom[g] = atoms;
    b->first_edge[g] = edges;
    for (int v = 0; v < size; v++) {
      for (int c = 0; c < z.f; c++)
        b->x[(atoms + v) * z.f + c] = below(&seed, 3) == 0 ? 1.0 + below(&seed, 3) : 0.0;
      if (v > 0 && below(&seed, 8) > 0) {
        const int u = below(&seed, 2) ? v - 1 : below(&seed, v), type = below(&seed, z.a);
        b->edge[edges++] = (flv_edge){u, v, type};
        if (below(&seed, 8) > 0) b->edge[edges++] = (flv_edge){v, u, type};
      }
      if (below(&seed, 8) == 0) b->edge[edges++] = (flv_edge){v, v, -1};
    }
    atoms += size;
  }
  b->first_atom[n] = atoms;
  b->first_edge[n] = edges;
  b->graphs = (flv_atom_graphs){n, b->first_atom, b->first_edge, b->x, b->edge};
}

static flv_mpnn *load(const flv_tensor *t, flv_mpnn_options options) {
  flv_error err = {0};
  flv_mpnn *net = NULL;
  if (flv_safetensors_write(in("net.safetensors"), TENSORS, t, 0, NULL, &err) != FLV_OK ||
      flv_mpnn_load(&net, in("net.safetensors"), &options, &err) != FLV_OK)
    fail_msg("%s", err.text);
  return net;
}

static void eval(const flv_mpnn *net, int threads, const flv_atom_graphs *graphs, double *p) {
  flv_mpnn_work *work = flv_mpnn_work_new(net, threads, MOST, 3 * MOST);
  assert_non_null(work);
  flv_mpnn_eval(net, work, graphs, p);
  flv_mpnn_work_free(work);
}

static const sizes shapes[] = {{5, 7, 3, 2}, {16, 12, 9, 4}, {1, 1, 1, 1}, {33, 6, 4, 3}};
enum { SHAPES = (int)(sizeof shapes / sizeof *shapes) };

static void agrees_with_a_naive_twin(void **state) {
  (void)state;
  double p[GRAPHS], narrow[GRAPHS];
  for (int i = 0; i < SHAPES; i++)
    for (int transposed = 0; transposed < 2; transposed++) {
      flv_mpnn_options options = {3, 2, transposed, FLV_F64};
      flv_tensor t[TENSORS];
      make_tensors(shapes[i], 10 + (uint64_t)i, t);
      make_batch(room, shapes[i], 40, 20 + (uint64_t)i);
      flv_mpnn *net = load(t, options);
      assert_int_equal(flv_mpnn_width(net), shapes[i].d);
      assert_int_equal(flv_mpnn_columns(net), shapes[i].f);
      assert_int_equal(flv_mpnn_kinds(net), shapes[i].a + 1);
      eval(net, 1, &room->graphs, p);
      flv_mpnn_free(net);
      options.precision = FLV_F32;
      net = load(t, options);
      eval(net, 1, &room->graphs, narrow);
      flv_mpnn_free(net);
      double low = HUGE_VAL, high = -HUGE_VAL;
      for (int g = 0; g < 40; g++) {
        const double twin = twin_value(t, shapes[i], &options, &room->graphs, g);
        assert_near(p[g], twin, 1e-13);
        assert_near(narrow[g], twin, 2e-5);
        low = fmin(low, twin);
        high = fmax(high, twin);
      }
      assert_true(high - low > 1e-3); // the graphs are told apart
      free_tensors(t);
    }
}

// The atoms of every graph, and the edges, in reverse order.
static void reverse_all(batch *to, const batch *from, int f) {
  *to = *from;
  to->graphs = (flv_atom_graphs){from->graphs.n, to->first_atom, to->first_edge, to->x, to->edge};
  for (int g = 0; g < from->graphs.n; g++) {
    const int a = from->first_atom[g], n = from->first_atom[g + 1] - a;
    for (int v = 0; v < n; v++)
      memcpy(to->x + (a + v) * f, from->x + (a + n - 1 - v) * f, (size_t)f * sizeof *to->x);
    for (int e = from->first_edge[g]; e < from->first_edge[g + 1]; e++) {
      const int back = from->first_edge[g] + from->first_edge[g + 1] - 1 - e;
      const flv_edge *old = &from->edge[back];
      to->edge[e] = (flv_edge){n - 1 - old->from, n - 1 - old->to, old->type};
    }
  }
}

static void the_order_of_atoms_does_not_matter(void **state) {
  (void)state;
  double p[GRAPHS], reversed[GRAPHS];
  flv_tensor t[TENSORS];
  make_tensors(shapes[1], 1, t);
  flv_mpnn *net = load(t, (flv_mpnn_options)FLV_MPNN_PUBLISHED);
  make_batch(room, shapes[1], GRAPHS, 2);
  reverse_all(other, room, shapes[1].f);
  eval(net, 1, &room->graphs, p);
  eval(net, 1, &other->graphs, reversed);
  for (int g = 0; g < GRAPHS; g++) assert_near(reversed[g], p[g], 1e-13);
  flv_mpnn_free(net);
  free_tensors(t);
}

// The same bits for any number of threads and each time; alone, the same but for rounding.
static void the_batch_does_not_matter(void **state) {
  (void)state;
  double p[GRAPHS], again[GRAPHS], alone;
  flv_tensor t[TENSORS];
  make_tensors(shapes[3], 1, t);
  for (int precision = 0; precision < 2; precision++) {
    flv_mpnn_options options = FLV_MPNN_PUBLISHED;
    options.precision = precision ? FLV_F32 : FLV_F64;
    flv_mpnn *net = load(t, options);
    make_batch(room, shapes[3], GRAPHS, 3);
    assert_true(room->first_atom[GRAPHS] > 5 * 256); // several chunks for every thread
    eval(net, 1, &room->graphs, p);
    for (int threads = 1; threads < 6; threads++) {
      memset(again, 0, sizeof again);
      eval(net, threads, &room->graphs, again);
      assert_memory_equal(again, p, sizeof p);
    }
    for (int g = 0; g < GRAPHS; g++) {
      const flv_atom_graphs one = {1, room->first_atom + g, room->first_edge + g, room->x,
                                   room->edge};
      eval(net, 2, &one, &alone);
      assert_near(alone, p[g], precision ? 1e-5 : 1e-14);
    }
    flv_mpnn_free(net);
  }
  free_tensors(t);
}

// Larger than a chunk would be.
static void one_large_graph(void **state) {
  (void)state;
  enum { N = 700 };
  const sizes z = {5, 1, 3, 2};
  flv_tensor t[TENSORS];
  make_tensors(z, 4, t);
  flv_mpnn *net = load(t, (flv_mpnn_options)FLV_MPNN_PUBLISHED);
  // A ring of equal atoms is, to each of them, a ring of any other size.
  static const int atoms[] = {0, N, N + 3}, edges[] = {0, N, N + 3};
  static double x[N + 3];
  static flv_edge edge[N + 3];
  for (int v = 0; v < N + 3; v++) {
    x[v] = 1.0;
    edge[v] = (flv_edge){v < N ? v : v - N, v < N ? (v + 1) % N : (v + 1 - N) % 3, 1};
  }
  double p[2];
  flv_mpnn_work *work = flv_mpnn_work_new(net, 1, N, N);
  const flv_atom_graphs graphs = {2, atoms, edges, x, edge};
  flv_mpnn_eval(net, work, &graphs, p);
  assert_near(p[0], p[1], 1e-13);
  flv_mpnn_work_free(work);
  flv_mpnn_free(net);
  free_tensors(t);
}

static void evaluation_allocates_nothing(void **state) {
  (void)state;
  if (!alloc_hooked) skip();
  double p[GRAPHS];
  flv_tensor t[TENSORS];
  make_tensors(shapes[0], 1, t);
  flv_mpnn *net = load(t, (flv_mpnn_options)FLV_MPNN_PUBLISHED);
  make_batch(room, shapes[0], GRAPHS, 2);
  flv_mpnn_work *work = flv_mpnn_work_new(net, 1, MOST, 3 * MOST);
  flv_mpnn_eval(net, work, &room->graphs, p);
  alloc_fail(0);
  flv_mpnn_eval(net, work, &room->graphs, p);
  assert_true(alloc_none_failed());
  flv_mpnn_work_free(work);
  flv_mpnn_free(net);
  free_tensors(t);
}

static void failed_allocations_are_errors(void **state) {
  (void)state;
  if (!alloc_hooked) skip();
  flv_tensor t[TENSORS];
  make_tensors(shapes[0], 1, t);
  flv_mpnn *good = load(t, (flv_mpnn_options)FLV_MPNN_PUBLISHED);
  const flv_mpnn_options options = FLV_MPNN_PUBLISHED;
  for (long k = 0;; k++) {
    flv_mpnn *net = NULL;
    flv_error err = {0};
    alloc_fail(k);
    const flv_status status = flv_mpnn_load(&net, in("net.safetensors"), &options, &err);
    const bool none = alloc_none_failed();
    flv_mpnn_free(net);
    if (none) {
      assert_int_equal(status, FLV_OK);
      assert_true(k > 5);
      break;
    }
    if (status != FLV_OK) assert_non_null(strstr(err.text, "out of memory"));
  }
  for (long k = 0;; k++) {
    alloc_fail(k);
    flv_mpnn_work *work = flv_mpnn_work_new(good, 2, 10, 10);
    const bool none = alloc_none_failed();
    flv_mpnn_work_free(work);
    if (none) break;
    assert_null(work);
  }
  flv_mpnn_free(good);
  free_tensors(t);
}

// ---- what is refused ----

static flv_tensor good[TENSORS]; // of shapes[0]

static void assert_refused(int n, const flv_tensor *t, const char *message) {
  const flv_mpnn_options options = FLV_MPNN_PUBLISHED;
  flv_error err = {0};
  flv_mpnn *net = NULL;
  char expected[600];
  if (flv_safetensors_write(in("bad.safetensors"), n, t, 0, NULL, &err) != FLV_OK)
    fail_msg("%s", err.text);
  assert_int_equal(flv_mpnn_load(&net, in("bad.safetensors"), &options, &err), FLV_EINVAL);
  assert_null(net);
  snprintf(expected, sizeof expected, "%s: %s", in("bad.safetensors"), message);
  assert_string_equal(err.text, expected);
}

static void missing_and_unknown_tensors_are_named(void **state) {
  (void)state;
  flv_tensor t[TENSORS + 2];
  char message[400];
  for (int i = 0; i < TENSORS; i++) {
    memcpy(t, good, sizeof good);
    t[i] = t[TENSORS - 1];
    snprintf(message, sizeof message, "tensor '%.95s' is missing", good[i].name);
    assert_refused(TENSORS - 1, t, message);
  }
  float value = 0.0f;
  memcpy(t, good, sizeof good);
  t[TENSORS] = (flv_tensor){"lin4.weight", FLV_F32, 1, {1}, &value};
  assert_refused(TENSORS + 1, t, "tensor 'lin4.weight' is not expected");
  memcpy(t, good, sizeof good);
  strcpy(t[ROOT].name, "conv.rot");
  assert_refused(TENSORS, t, "tensor 'conv.rot' is not expected; did you mean 'conv.root'?");
}

// One row or one column too few of each tensor; sizes that the first two would set are not refused
// there, but where they disagree with the others.
static void wrong_shapes_are_told_beside_the_right_ones(void **state) {
  (void)state;
  flv_tensor t[TENSORS];
  char message[400];
  for (int i = 0; i < TENSORS; i++) {
    if (i == LIN0 || i == NN0) continue;
    memcpy(t, good, sizeof good);
    t[i].dim[0]--;
    const long long rows = good[i].dim[0], columns = good[i].dim[1];
    if (t[i].n_dims == 1)
      snprintf(message, sizeof message, "tensor '%.95s' has shape [%lld], expected [%lld]",
               good[i].name, rows - 1, rows);
    else
      snprintf(message, sizeof message,
               "tensor '%.95s' has shape [%lld, %lld], expected [%lld, %lld]", good[i].name,
               rows - 1, columns, rows, columns);
    assert_refused(TENSORS, t, message);
  }
  memcpy(t, good, sizeof good);
  t[LIN0].n_dims = 1;
  assert_refused(TENSORS, t,
                 "tensor 'lin0.weight' has shape [5], expected [width, feature columns], each at "
                 "most 16384");
  memcpy(t, good, sizeof good);
  t[LIN0].dim[0] = 4;
  assert_refused(TENSORS, t, "tensor 'lin0.bias' has shape [5], expected [4]");
  memcpy(t, good, sizeof good);
  t[NN0].dim[0] = 2;
  assert_refused(TENSORS, t, "tensor 'conv.nn.0.bias' has shape [3], expected [2]");
  memcpy(t, good, sizeof good);
  t[W_IH].n_dims = 3;
  t[W_IH].dim[2] = 1;
  assert_refused(TENSORS, t, "tensor 'gru.weight_ih_l0' has shape [15, 5, 1], expected [15, 5]");
}

static void only_finite_floating_numbers(void **state) {
  (void)state;
  flv_tensor t[TENSORS];
  float *weight = good[NN2].data, kept = weight[10];
  weight[10] = NAN;
  assert_refused(TENSORS, good, "tensor 'conv.nn.2.weight': element 10 is nan, expected a number");
  weight[10] = -HUGE_VALF;
  assert_refused(TENSORS, good, "tensor 'conv.nn.2.weight': element 10 is -inf, expected a number");
  weight[10] = kept;
  memcpy(t, good, sizeof good);
  t[LIN3_B].dtype = FLV_I32;
  assert_refused(TENSORS, t, "tensor 'lin3.bias' holds integers, expected F32 or F64");
}

static void options_out_of_range(void **state) {
  (void)state;
  flv_mpnn *net = load(good, (flv_mpnn_options)FLV_MPNN_PUBLISHED);
  flv_mpnn_free(net);
  const flv_mpnn_options bad[] = {
      {0, 3, false, FLV_F64}, {12, 0, false, FLV_F64}, {12, 3, false, FLV_I32}};
  for (int i = 0; i < 3; i++)
    assert_int_equal(flv_mpnn_load(&net, in("net.safetensors"), &bad[i], NULL), FLV_EINVAL);
  assert_int_equal(
      flv_mpnn_load(&net, in("none.safetensors"), &(flv_mpnn_options)FLV_MPNN_PUBLISHED, NULL),
      FLV_EIO);
}

// Writes `to` over the first `from` in a file; "xxh3" becomes an ordinary metadata string so.
static void forge(const char *path, const char *from, const char *to) {
  char *bytes;
  size_t size;
  assert_int_equal(flv_file_read(path, &bytes, &size, NULL), FLV_OK);
  char *at = memmem(bytes, size, from, strlen(from));
  assert_non_null(at);
  memcpy(at, to, strlen(to));
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, size, f), size);
  assert_int_equal(fclose(f), 0);
  free(bytes);
}

// Cut off at any byte, empty, or no file at all of that kind: refused, with the path.
static void files_cut_short(void **state) {
  (void)state;
  const flv_mpnn_options options = FLV_MPNN_PUBLISHED;
  char *bytes;
  size_t size;
  flv_mpnn_free(load(good, options));
  assert_int_equal(flv_file_read(in("net.safetensors"), &bytes, &size, NULL), FLV_OK);
  for (size_t n = 0; n < size; n += n < 16 ? 1 : 97) {
    flv_error err = {0};
    flv_mpnn *net = NULL;
    FILE *f = fopen(in("cut.safetensors"), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(flv_mpnn_load(&net, in("cut.safetensors"), &options, &err), FLV_EINVAL);
    assert_null(net);
    assert_non_null(strstr(err.text, "cut.safetensors: truncated: "));
    assert_null(strchr(err.text, '\n'));
  }
  free(bytes);
}

static void a_tensor_twice(void **state) {
  (void)state;
  const flv_mpnn_options options = FLV_MPNN_PUBLISHED;
  flv_error err = {0};
  flv_mpnn *net;
  flv_mpnn_free(load(good, options));
  forge(in("net.safetensors"), "xxh3", "note");
  forge(in("net.safetensors"), "gru.bias_ih_l0", "gru.bias_hh_l0");
  assert_int_equal(flv_mpnn_load(&net, in("net.safetensors"), &options, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, ": tensor 'gru.bias_hh_l0' is there twice"));
}

// In double, with the unused head, and written by a program that knows nothing of our checksum.
static void files_of_other_programs(void **state) {
  (void)state;
  flv_tensor t[TENSORS + 1];
  double *wide[TENSORS], p[GRAPHS], again[GRAPHS];
  float head = 0.0f;
  for (int i = 0; i < TENSORS; i++) {
    const size_t n = n_elements(&good[i]);
    wide[i] = malloc(n * sizeof *wide[i]);
    for (size_t k = 0; k < n; k++) wide[i][k] = (double)((const float *)good[i].data)[k];
    t[TENSORS - 1 - i] = good[i];
    t[TENSORS - 1 - i].dtype = FLV_F64;
    t[TENSORS - 1 - i].data = wide[i];
  }
  t[TENSORS] = (flv_tensor){"lin1.bias", FLV_F32, 1, {1}, &head};
  assert_int_equal(flv_safetensors_write(in("wide.safetensors"), TENSORS + 1, t, 0, NULL, NULL),
                   FLV_OK);
  forge(in("wide.safetensors"), "xxh3", "note");
  flv_error err = {0};
  flv_mpnn *net, *first = load(good, (flv_mpnn_options)FLV_MPNN_PUBLISHED);
  if (flv_mpnn_load(&net, in("wide.safetensors"), &(flv_mpnn_options)FLV_MPNN_PUBLISHED, &err))
    fail_msg("%s", err.text);
  make_batch(room, shapes[0], GRAPHS, 2);
  eval(first, 1, &room->graphs, p);
  eval(net, 1, &room->graphs, again);
  assert_memory_equal(p, again, sizeof p);
  flv_mpnn_free(net);
  flv_mpnn_free(first);
  for (int i = 0; i < TENSORS; i++) free(wide[i]);
}

static void the_reward_of_a_value(void **state) {
  (void)state;
  NEAR(flv_mpnn_log_reward(4.0, 0.1, 8.0), -log(2.0), 1e-15);
  NEAR(flv_mpnn_log_reward(16.0, 0.1, 8.0), log(2.0), 1e-15);
  const double least = flv_mpnn_log_reward(0.1, 0.1, 8.0);
  NEAR(least, -log(80.0), 1e-15);
  assert_true(flv_mpnn_log_reward(-3.0, 0.1, 8.0) == least);
  assert_true(flv_mpnn_log_reward((double)NAN, 0.1, 8.0) == least);
  assert_true(flv_mpnn_log_reward(-HUGE_VAL, 0.1, 8.0) == least);
}

static int set_up(void **state) {
  room = calloc(1, sizeof *room);
  other = calloc(1, sizeof *other);
  make_tensors(shapes[0], 77, good);
  return room && other ? make_folder(state) : -1;
}

static int tear_down(void **state) {
  free(room);
  free(other);
  free_tensors(good);
  return drop_folder(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(agrees_with_a_naive_twin),
      cmocka_unit_test(the_order_of_atoms_does_not_matter),
      cmocka_unit_test(the_batch_does_not_matter),
      cmocka_unit_test(one_large_graph),
      cmocka_unit_test(evaluation_allocates_nothing),
      cmocka_unit_test(failed_allocations_are_errors),
      cmocka_unit_test(missing_and_unknown_tensors_are_named),
      cmocka_unit_test(wrong_shapes_are_told_beside_the_right_ones),
      cmocka_unit_test(only_finite_floating_numbers),
      cmocka_unit_test(options_out_of_range),
      cmocka_unit_test(files_cut_short),
      cmocka_unit_test(a_tensor_twice),
      cmocka_unit_test(files_of_other_programs),
      cmocka_unit_test(the_reward_of_a_value),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
