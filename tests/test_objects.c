// Objects as rows of numbers: what is written is read back to the same states, and what is no state
// is refused by its row; assessment of a run from a file of objects.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "base/intern.h"
#include "env/columns.h"
#include "env/dag.h"
#include "scratch.h"
#include "subsets.h"
#include "train_setup.h"

static void assert_reads(const flv_env *env, const char *path, int64_t n, const void *states) {
  flv_error err = {0};
  int64_t count = 0;
  void *read = NULL;
  if (flv_objects_read(env, path, &count, &read, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_int_equal(count, n);
  assert_memory_equal(read, states, (size_t)n * env->state_size);
  free(read);
}

static void assert_refuses(const flv_env *env, const char *path, const char *text) {
  flv_error err = {0};
  int64_t count = -3;
  void *read = &count;
  assert_int_equal(flv_objects_read(env, path, &count, &read, &err), FLV_EINVAL);
  assert_true(count == -3 && read == &count);
  if (!strstr(err.text, text)) fail_msg("'%s' without '%s'", err.text, text);
  if (!strstr(err.text, path)) fail_msg("'%s' without '%s'", err.text, path);
}

static void samples_come_back(void **unused) {
  (void)unused;
  enum { N = 500 };
  flv_error err = {0};
  flv_config *cfg = configure(SETTINGS({"env.sides", "[7, 3, 5]"}, {"iterations", "3"},
                                       {"batch", "8"}, {"policy.hidden", "[8]"}));
  const char *run = in("run");
  const flv_run_options options = {.out = run, .threads = 1};
  if (flv_run_train(cfg, &options, &err) != FLV_OK) fail_msg("%s", err.text);
  flv_trainer *t = flv_run_open(run, 1, &err);
  assert_non_null(t);
  uint64_t *states = calloc(N, sizeof *states);
  assert_int_equal(flv_trainer_env(t)->state_size, sizeof *states);
  assert_int_equal(flv_trainer_sample(t, 1, N, states, NULL, &err), FLV_OK);
  const char *const csv = in("s.csv"), *const npy = in("s.npy");
  assert_int_equal(flv_run_sample(run, 1, 0, N, csv, &err), FLV_OK);
  assert_int_equal(flv_run_sample(run, 1, 0, N, npy, &err), FLV_OK);
  assert_reads(flv_trainer_env(t), csv, N, states);
  assert_reads(flv_trainer_env(t), npy, N, states);

  // and a run is assessed by them as its trainer is by the states
  const flv_assess_options how = {.samples = 200, .backward = 4};
  flv_assess_options given = how;
  given.states = states;
  given.n_states = N;
  flv_assessment a, b, c;
  if (flv_run_assess(run, 1, csv, &how, &a, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_int_equal(flv_trainer_assess(t, &given, &b, &err), FLV_OK);
  assert_int_equal(a.source, FLV_SOURCE_GIVEN);
  assert_int_equal(a.objects, N);
  assert_true(a.eubo.value == b.eubo.value && a.mmd2 == b.mmd2 && a.log_p.error == b.log_p.error);
  assert_int_equal(flv_run_assess(run, 1, NULL, &how, &c, &err), FLV_OK);
  assert_int_equal(c.source, FLV_SOURCE_TARGET);
  assert_true(c.elbo.value == a.elbo.value);
  assert_int_equal(flv_run_assess(run, 1, in("none.csv"), &how, &c, &err), FLV_EIO);
  assert_int_equal(flv_run_assess(in("none"), 1, NULL, &how, &c, &err), FLV_EIO);
  free(states);
  flv_trainer_free(t);
  flv_config_free(cfg);
}

static void shapes_of_grids(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *line = configure(SETTINGS({"env.dim", "1"}, {"env.side", "9"})),
             *plane = configure(SETTINGS({"env.dim", "2"}, {"env.side", "9"}));
  flv_env *one = flv_env_new(line, NULL, &err), *two = flv_env_new(plane, NULL, &err);
  assert_true(one && two);
  uint64_t x[3] = {0};
  int64_t index[3] = {4, 0, 8};
  one->ops->at(one, 3, index, x);
  assert_reads(one, write_text("column.csv", "x0\n4\n0\n8\n"), 3, x);
  assert_reads(one, write_text("both.csv", "x0,log_r\n4,-1.5\n0,-inf\n8,0\n"), 3, x);
  index[0] = 9 * 4 + 7;
  two->ops->at(two, 1, index, x);
  assert_reads(two, write_text("row.csv", "x0,x1,log_r\n4,7,0.25\n"), 1, x);
  assert_refuses(two, write_text("a.csv", "4,7\n1,9\n"),
                 "row 2, column 2: 9 is not a whole number");
  assert_refuses(two, write_text("b.csv", "4,7\n-1,3\n"), "row 2, column 1: -1 ");
  assert_refuses(two, write_text("c.csv", "4.5,7\n1,3\n"), "row 1, column 1: 4.5 ");
  assert_refuses(two, write_text("d.csv", "nan,7\n1,3\n"), "row 1, column 1: ");
  assert_refuses(two, write_text("e.csv", "1,2,3,4\n1,2,3,4\n"),
                 "4 numbers in a row; an object of");
  assert_refuses(two, write_text("f.csv", "1\n2\n3\n4\n"), "4 numbers in a row");
  const double cube[8] = {0};
  assert_int_equal(flv_npy_write(in("g.npy"), "<f8", 3, (int64_t[]){2, 2, 2}, cube, &err), FLV_OK);
  assert_refuses(two, in("g.npy"), "an array of 3 dimensions");
  flv_env_free(one);
  flv_env_free(two);
  flv_config_free(line);
  flv_config_free(plane);
}

// Any environment whose states can be enumerated: they are met by their observations.
static void met_by_their_rows(void **unused) {
  (void)unused;
  flv_error err = {0};
  const flv_env env = subsets_env(true), large = subsets_env(false);
  const subset x[4] = {{0x07}, {0x2a}, {0x07}, {0x31}};
  assert_int_equal(flv_columns_count(&env), ITEMS);
  assert_false(flv_columns_whole(&env));
  float cells[4 * ITEMS];
  flv_columns_fill(&env, 4, x, cells);
  assert_int_equal(flv_npy_write(in("x.npy"), "<f4", 2, (int64_t[]){4, ITEMS}, cells, &err),
                   FLV_OK);
  assert_reads(&env, in("x.npy"), 4, x);
  const subset y[2] = {{0x03}, {0x30}};
  assert_reads(&env, write_text("y.csv", "1,1,0,0,-0,0,-7.5\n0,0,0,0,1,1,2\n"), 2, y);
  assert_refuses(&env, write_text("z.csv", "1,1,0,0,0,0\n0,0,0.5,0,1,1\n"),
                 "row 2 is no state of 'subsets'");
  assert_refuses(&large, in("x.npy"), "too many states");
}

// Graphs are adjacency matrices, of as many variables as one likes.
static void adjacency_matrices(void **unused) {
  (void)unused;
  enum { N = 40, D = 9 };
  flv_error err = {0};
  flv_config *few = configure(SETTINGS({"env", "dag"}, {"env.variables", "3"},
                                       {"env.max_parents", "1"}, {"env.forbidden", "[2, 1]"})),
             *many = configure(SETTINGS({"env", "dag"}, {"env.variables", "9"}));
  flv_env *small = flv_env_new(few, NULL, &err), *large = flv_env_new(many, NULL, &err);
  assert_true(small && large && large->n_states == 0);
  uint64_t x[2] = {0};
  const uint64_t parents[2][3] = {{2, 0, 1}, {0, 0, 0}};
  for (int i = 0; i < 2; i++)
    assert_true(flv_dag_from_parents(flv_dag_env_of(small), parents[i], &x[i]));
  assert_reads(small, write_text("g.csv", "0,0,1,1,0,0,0,0,0,-2.5\n0,0,0,0,0,0,0,0,0,1\n"), 2, x);
  assert_refuses(small, write_text("h.csv", "0,0,0,0,0,0,0,0,0\n0,1,0,1,0,0,0,0,0\n"),
                 "row 2 is no state of 'dag'");                                           // a cycle
  assert_refuses(small, write_text("i.csv", "0,0,1,0,0,1,0,0,0\n"), "row 1 is no state"); // parents
  assert_refuses(small, write_text("j.csv", "0,0,0,0,0,0,0,1,0\n"),
                 "row 1 is no state"); // forbidden
  assert_refuses(small, write_text("k.csv", "0,0,2,0,0,0,0,0,0\n"),
                 "row 1, column 3: 2 is neither 0 nor 1");
  assert_refuses(small, write_text("l.csv", "0,nan,0,0,0,0,0,0,0\n"), "row 1, column 2: nan is");
  assert_refuses(small, write_text("m.csv", "0,0.5,0,0,0,0,0,0,0\n"), "row 1, column 2: 0.5 is");

  const size_t size = large->state_size;
  unsigned char *states = calloc(N, size);
  int32_t *cells = malloc(N * D * D * sizeof *cells);
  uint8_t mask[D * D + 1];
  assert_true(states && cells);
  large->ops->reset(large, N, states);
  for (size_t i = 0; i < N; i++)
    for (size_t t = 0; t < i; t++) { // i edges, or as many as there is room for
      large->ops->mask(large, 1, states + i * size, mask);
      int32_t a = (int32_t)((7 * i + 13 * t) % (D * D));
      for (int k = 0; k < D * D && !mask[a]; k++) a = (a + 1) % (D * D);
      if (mask[a]) large->ops->step(large, 1, states + i * size, &a);
    }
  flv_columns_fill(large, N, states, cells);
  assert_int_equal(flv_npy_write(in("n.npy"), "<i4", 2, (int64_t[]){N, D * D}, cells, &err),
                   FLV_OK);
  assert_reads(large, in("n.npy"), N, states);
  free(cells);
  free(states);
  flv_env_free(small);
  flv_env_free(large);
  flv_config_free(few);
  flv_config_free(many);
}

static void every_allocation_may_fail(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  const flv_env env = subsets_env(true);
  const char *path = write_text("w.csv", "1,1,1,0,0,0\n0,0,0,1,1,1\n");
  int failures = 0;
  for (long k = 0;; k++) {
    flv_error err = {0};
    int64_t n;
    void *states;
    alloc_fail(k);
    const flv_status status = flv_objects_read(&env, path, &n, &states, &err);
    const bool done = alloc_none_failed();
    if (status == FLV_OK) free(states);
    if (done) break;
    failures += status != FLV_OK;
    assert_true(status == FLV_OK || err.text[0]);
  }
  assert_true(failures >= 4);
}

static void interned_states_are_found(void **unused) {
  (void)unused;
  flv_intern table;
  assert_int_equal(flv_intern_init(&table, sizeof(uint64_t), 100), 0);
  for (uint64_t i = 0; i < 100; i++) {
    const uint64_t state = i * i;
    assert_int_equal(flv_intern_find(&table, &state), -1);
    assert_int_equal(flv_intern_row(&table, &state), i);
    assert_int_equal(flv_intern_find(&table, &state), i);
  }
  const uint64_t absent = 2, known = 49;
  assert_int_equal(flv_intern_find(&table, &absent), -1);
  assert_int_equal(table.n, 100);
  flv_intern_clear(&table);
  assert_int_equal(flv_intern_find(&table, &known), -1);
  flv_intern_free(&table);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(samples_come_back),         cmocka_unit_test(shapes_of_grids),
      cmocka_unit_test(met_by_their_rows),         cmocka_unit_test(adjacency_matrices),
      cmocka_unit_test(every_allocation_may_fail), cmocka_unit_test(interned_states_are_found),
  };
  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
