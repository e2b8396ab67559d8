// Synthetic graphs and data: what they are distributed as, what regression finds in them, the
// files.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "fluvial/table.h"
#include "io/file.h"
#include "metrics/dag_features.h"
#include "synth/dag_data.h"
#include "near.h"

static flv_dag_model draw(int d, double edges, double noise, uint64_t seed) {
  flv_dag_model m;
  flv_error err = {0};
  const flv_synth_dag s = {
      .variables = d, .edges = edges, .samples = 1, .noise = noise, .seed = seed};
  if (flv_dag_model_draw(&m, &s, &err) != FLV_OK) fail_msg("%s", err.text);
  return m;
}

// Over many graphs: every edge equally often, as many as asked for, weights N(0, 1), no cycle.
static void graphs_are_erdos_renyi(void **unused) {
  (void)unused;
  enum { D = 5, GRAPHS = 20000 };
  const double edges = 4.0, p = edges / (D * (D - 1) / 2) / 2.0; // of one direction
  double count[D * D] = {0}, sum = 0.0, squares = 0.0, total = 0.0, both = 0.0;
  for (uint64_t seed = 0; seed < GRAPHS; seed++) {
    const flv_dag_model m = draw(D, edges, 0.1, seed);
    uint64_t above[FLV_DAG_MAX];
    flv_dag_ancestors(D, m.parents, above);
    for (int i = 0; i < D; i++)
      for (int j = 0; j < D; j++) {
        assert_false(above[j] >> j & 1);
        const double w = m.weight[i * D + j];
        assert_int_equal(w != 0.0, m.parents[j] >> i & 1);
        if (w == 0.0) continue;
        count[i * D + j] += 1.0;
        total += 1.0;
        sum += w;
        squares += w * w;
      }
    both += (m.parents[1] & 1) && (m.parents[3] >> 2 & 1); // edges 0 -> 1 and 2 -> 3
  }
  const double deviation = sqrt(p * (1 - p) / GRAPHS);
  for (int k = 0; k < D * D; k++)
    if (k / D != k % D) NEAR(count[k] / GRAPHS, p, 5 * deviation);
  NEAR(total / GRAPHS, edges, 5 * sqrt(edges / GRAPHS));
  NEAR(sum / total, 0.0, 5 / sqrt(total));
  NEAR(squares / total, 1.0, 5 * sqrt(2 / total));
  NEAR(both / GRAPHS, p * p, 5 * sqrt(p * p / GRAPHS)); // an order says nothing of disjoint pairs
}

static void extremes(void **unused) {
  (void)unused;
  for (int d = 2; d <= FLV_SYNTH_MAX; d += 31) {
    const flv_dag_model none = draw(d, 0.0, 0.1, 3), all = draw(d, d * (d - 1) / 2.0, 0.1, 3);
    int edges = 0;
    for (int j = 0; j < d; j++) {
      assert_int_equal(none.parents[j], 0);
      edges += __builtin_popcountll(all.parents[j]);
    }
    assert_int_equal(edges, d * (d - 1) / 2);
  }
}

// Solves a x = b, n x n, by elimination with pivots; x ends in b.
static void solve(int n, double *a, double *b) {
  for (int k = 0; k < n; k++) {
    int pivot = k;
    for (int r = k + 1; r < n; r++)
      if (fabs(a[r * n + k]) > fabs(a[pivot * n + k])) pivot = r;
    for (int c = 0; c < n; c++) {
      const double t = a[k * n + c];
      a[k * n + c] = a[pivot * n + c], a[pivot * n + c] = t;
    }
    const double t = b[k];
    b[k] = b[pivot], b[pivot] = t;
    for (int r = 0; r < n; r++) {
      if (r == k) continue;
      const double factor = a[r * n + k] / a[k * n + k];
      for (int c = k; c < n; c++) a[r * n + c] -= factor * a[k * n + c];
      b[r] -= factor * b[k];
    }
  }
  for (int k = 0; k < n; k++) b[k] /= a[k * n + k];
}

// Regression of every variable on its parents gives back the weights, and residuals of the noise's
// deviation.
static void regression_finds_the_weights(void **unused) {
  (void)unused;
  enum { D = 8, N = 40000 };
  const double noise = 0.3;
  static double x[N * D];
  const flv_dag_model m = draw(D, 14.0, noise, 11);
  for (uint32_t row = 0; row < N; row++) flv_dag_model_sample(&m, row, x + row * D);
  for (int j = 0; j < D; j++) {
    int parent[D], n = 0;
    double a[D * D] = {0}, b[D] = {0}, residual = 0.0, mean = 0.0;
    for (int i = 0; i < D; i++)
      if (m.parents[j] >> i & 1) parent[n++] = i;
    for (int row = 0; row < N; row++)
      for (int r = 0; r < n; r++) {
        for (int c = 0; c < n; c++) a[r * n + c] += x[row * D + parent[r]] * x[row * D + parent[c]];
        b[r] += x[row * D + parent[r]] * x[row * D + j];
      }
    double diagonal[D];
    for (int r = 0; r < n; r++) diagonal[r] = a[r * n + r];
    solve(n, a, b);
    for (int r = 0; r < n; r++) // variance of the estimate: at least noise^2 / diagonal
      NEAR(b[r], m.weight[parent[r] * D + j], 0.05 + 10 * noise / sqrt(diagonal[r]));
    for (int row = 0; row < N; row++) {
      double e = x[row * D + j];
      for (int r = 0; r < n; r++) e -= b[r] * x[row * D + parent[r]];
      residual += e * e / N;
      mean += e / N;
    }
    NEAR(sqrt(residual), noise, 5 * noise / sqrt(2.0 * N));
    NEAR(mean, 0.0, 10 * noise / sqrt(N));
  }
}

static void numbers_out_of_range(void **unused) {
  (void)unused;
  const flv_synth_dag good = {.variables = 5, .edges = 5, .samples = 10, .noise = 0.1};
  flv_synth_dag bad[7] = {good, good, good, good, good, good, good};
  bad[0].variables = 1;
  bad[1].variables = FLV_SYNTH_MAX + 1;
  bad[2].edges = 10.5;
  bad[3].edges = (double)NAN;
  bad[4].samples = 0;
  bad[5].noise = -1;
  bad[6].noise = (double)INFINITY;
  for (int k = 0; k < 7; k++) {
    flv_error err = {0};
    assert_int_equal(flv_synth_dag_write(&bad[k], "test_synth_bad", &err), FLV_EINVAL);
    assert_true(strlen(err.text) > 10);
    assert_int_equal(access("test_synth_bad", F_OK), -1);
  }
}

// ---- files ----

static int setup(void **state) {
  char template[] = "/tmp/fluvial_synth_XXXXXX";
  if (!mkdtemp(template)) return -1;
  *state = strdup(template);
  return *state ? 0 : -1;
}

static int teardown(void **state) {
  char command[256];
  snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
  free(*state);
  return system(command);
}

static void read_text(char **text, const char *folder, const char *name) {
  char path[512];
  size_t size;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  flv_error err = {0};
  if (flv_file_read(path, text, &size, &err) != FLV_OK) fail_msg("%s", err.text);
}

static void write_to(const char *folder, int d, int64_t n, uint64_t seed) {
  flv_error err = {0};
  const flv_synth_dag s = {.variables = d, .edges = d, .samples = n, .noise = 0.1, .seed = seed};
  if (flv_synth_dag_write(&s, folder, &err) != FLV_OK) fail_msg("%s", err.text);
}

static void files_hold_the_model(void **state) {
  char path[512];
  write_to(*state, 28, 7, 5);
  const flv_dag_model m = draw(28, 28.0, 0.1, 5);
  flv_shape shape;
  double *data, x[28];
  flv_error err = {0};
  snprintf(path, sizeof path, "%s/data.csv", (char *)*state);
  assert_int_equal(flv_table_read(path, &shape, &data, &err), FLV_OK);
  assert_true(shape.n == 2 && shape.side[0] == 7 && shape.side[1] == 28);
  for (uint32_t row = 0; row < 7; row++) {
    flv_dag_model_sample(&m, row, x);
    for (int j = 0; j < 28; j++) NEAR(data[row * 28 + (uint32_t)j], x[j], 1e-8 * fabs(x[j]));
  }
  free(data);
  char *text;
  read_text(&text, *state, "graph.csv");
  assert_int_equal(strncmp(text, "from,A,B,", 9), 0);
  assert_true(strstr(text, ",Y,Z,AA,AB\n") != NULL);
  const char *line = strchr(text, '\n') + 1;
  for (int i = 0; i < 28; i++) {
    char expected[128], name[FLV_SYNTH_NAME];
    flv_synth_name(i, name);
    int at = snprintf(expected, sizeof expected, "%s", name);
    for (int j = 0; j < 28; j++)
      at += snprintf(expected + at, sizeof expected - (size_t)at, ",%d",
                     (int)(m.parents[j] >> i & 1));
    assert_memory_equal(line, expected, (size_t)at);
    line = strchr(line, '\n') + 1;
  }
  assert_int_equal(*line, '\0');
  free(text);
  read_text(&text, *state, "graph.dot");
  for (int i = 0; i < 28; i++)
    for (int j = 0; j < 28; j++) {
      char edge[32];
      snprintf(edge, sizeof edge, "  v%d -> v%d\n", i, j);
      assert_int_equal(strstr(text, edge) != NULL, m.parents[j] >> i & 1);
    }
  free(text);
}

static void a_seed_is_its_bytes(void **state) {
  static const char *const names[] = {"data.csv", "graph.csv", "weights.csv", "graph.dot"};
  char a[300], b[300], c[300];
  snprintf(a, sizeof a, "%s/a", (char *)*state);
  snprintf(b, sizeof b, "%s/b", (char *)*state);
  snprintf(c, sizeof c, "%s/c", (char *)*state);
  write_to(a, 6, 50, 1);
  write_to(b, 6, 90, 1);
  write_to(b, 6, 50, 1); // replaced
  write_to(c, 6, 50, 2);
  for (int k = 0; k < 4; k++) {
    char *one, *other, *third;
    read_text(&one, a, names[k]);
    read_text(&other, b, names[k]);
    read_text(&third, c, names[k]);
    assert_string_equal(one, other);
    assert_string_not_equal(one, third);
    free(one), free(other), free(third);
  }
  write_to(c, 6, 30, 1); // fewer samples are the first of more
  char *few, *many;
  read_text(&few, c, "data.csv");
  read_text(&many, a, "data.csv");
  assert_memory_equal(few, many, strlen(few));
  free(few), free(many);
}

static void out_of_memory(void **state) {
  const flv_synth_dag s = {.variables = 4, .edges = 4, .samples = 5, .noise = 0.1};
  flv_error err = {0};
  ALLOC_OR_SKIP();
  int k = 0;
  for (flv_status status = FLV_ENOMEM; status != FLV_OK && k < 1000; k++) {
    alloc_fail(k);
    status = flv_synth_dag_write(&s, *state, &err);
    alloc_none_failed();
    if (status != FLV_OK) assert_true(err.text[0] != '\0');
  }
  assert_true(k < 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(graphs_are_erdos_renyi),
      cmocka_unit_test(extremes),
      cmocka_unit_test(regression_finds_the_weights),
      cmocka_unit_test(numbers_out_of_range),
      cmocka_unit_test_setup_teardown(files_hold_the_model, setup, teardown),
      cmocka_unit_test_setup_teardown(a_seed_is_its_bytes, setup, teardown),
      cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
