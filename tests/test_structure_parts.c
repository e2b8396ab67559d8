// Bayesian structure learning inside: adjacency matrices from files, quoting, the configuration of
// a table, the report against enumeration by hand, failing allocations.
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
#include "env/dag.h"
#include "fluvial/run.h"
#include "fluvial/structure.h"
#include "fluvial/table.h"
#include "io/adjacency.h"
#include "io/csv_fields.h"
#include "io/file.h"
#include "io/plot.h"
#include "io/quote.h"
#include "metrics/dag_features.h"
#include "reward/dag_score.h"
#include "near.h"

static int setup(void **state) {
  char template[] = "/tmp/fluvial_structure_XXXXXX";
  if (!mkdtemp(template) || chdir(template) != 0) return -1;
  *state = strdup(template);
  return *state ? 0 : -1;
}

static int teardown(void **state) {
  char command[256];
  snprintf(command, sizeof command, "rm -rf '%s'", (char *)*state);
  free(*state);
  return chdir("/") == 0 ? system(command) : -1;
}

static void put(const char *name, const char *text) {
  FILE *f = fopen(name, "w");
  assert_non_null(f);
  fputs(text, f);
  assert_int_equal(fclose(f), 0);
}

// ---- adjacency matrices ----

static void matrices_in_every_form(void **state) {
  (void)state;
  static const char *const names[] = {"a", "b \"x\", y", "c"};
  const uint64_t expected[3] = {0, 1, 3}; // a -> b, a -> c, b -> c
  static const char *const forms[] = {
      "a,\"b \"\"x\"\", y\",c\n0,1,1\n0,0,1\n0,0,0\n",
      "from;c;a;\"b \"\"x\"\", y\"\nb \"x\", y;0.7;0;0\na;-2;0;1\nc;0;0;0\n",
      "c\ta\tb \"x\", y\n0\t0\t0\n1\t0\t1\n1\t0\t0\n",
      "0 1 1\n0 0 1\n0 0 0\n",
      "\xef\xbb\xbf\x30,1,1\r\n0,0,1\r\n0,0,0\r\n", // a byte-order mark and a 0
  };
  for (size_t k = 0; k < sizeof forms / sizeof *forms; k++) {
    uint64_t parents[3] = {9, 9, 9};
    flv_error err = {0};
    put("g.csv", forms[k]);
    if (flv_adjacency_read(parents, "g.csv", 3, names, &err) != FLV_OK)
      fail_msg("form %zu: %s", k, err.text);
    assert_memory_equal(parents, expected, sizeof expected);
  }
}

static void matrices_that_are_none(void **state) {
  (void)state;
  static const char *const names[] = {"a", "b"};
  static const char *const bad[][2] = {
      {"", "empty"},
      {"a,b\n0,1\n", "1 rows for 2 variables"},
      {"a,b\n0,1\n0,0\n0,0\n", "more rows"},
      {"a,b\n0,1\n0\n", "1 fields"},
      {"a,c\n0,1\n0,0\n", "'c' is no variable"},
      {"a,a\n0,1\n0,0\n", "twice"},
      {"from,a,b\na,0,1\na,0,0\n", "twice"},
      {"a,b\n0,x\n0,0\n", "found 'x'"},
      {"a,b\n0,nan\n0,0\n", "found 'nan'"},
      {"a,b\n0,1\n1,0\n", "cycle"},
      {"1,0\n0,0\n", "cycle"},
      {"0,1,0\n0,0,0\n0,0,0\n", "3 fields"},
  };
  for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
    uint64_t parents[2] = {7, 7};
    flv_error err = {0};
    put("g.csv", bad[k][0]);
    assert_int_equal(flv_adjacency_read(parents, "g.csv", 2, names, &err), FLV_EINVAL);
    if (!strstr(err.text, bad[k][1])) fail_msg("'%s' does not say '%s'", err.text, bad[k][1]);
    assert_true(strncmp(err.text, "g.csv: ", 7) == 0);
    assert_true(parents[0] == 7 && parents[1] == 7);
  }
}

// What flv_quote_csv writes is one field that reads back, whatever is in it.
static void quoting_reads_back(void **state) {
  (void)state;
  static const char *const texts[] = {"plain", "a b", "a,b", "a;b", "\"",   "a\"b",
                                      "#x",    " x",  "x ",  "",    "é->ü", "a\nb"};
  for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
    FILE *f = fopen("q.csv", "w");
    fputs("first,", f);
    flv_quote_csv(f, texts[k]);
    fputs(",last\nx,y,z\n", f);
    fclose(f);
    char *text;
    size_t size;
    assert_int_equal(flv_file_read("q.csv", &text, &size, NULL), FLV_OK);
    flv_csv_text csv;
    flv_csv_record record = {0};
    flv_csv_field field;
    assert_int_equal(flv_csv_open(&csv, text, size, NULL), FLV_OK);
    assert_true(flv_csv_next(&csv, &record));
    flv_csv_cut cut = flv_csv_cut_record(&csv, &record);
    assert_true(flv_csv_next_field(&cut, &field) && flv_csv_next_field(&cut, &field));
    char read[32];
    size_t n = 0;
    for (const char *p = field.begin; p < field.end; p++) {
      read[n++] = *p;
      if (*p == '"' && field.quoted) p++;
    }
    read[n] = '\0';
    assert_string_equal(read, texts[k]);
    assert_true(flv_csv_next_field(&cut, &field));
    assert_false(flv_csv_next_field(&cut, &field));
    free(text);
  }
}

static void matrices_are_drawn(void **state) {
  (void)state;
  static const char *const names[] = {"it's",
                                      "a very long name that goes on for ever and ever ééé"};
  const double p[4] = {0, 0.25, 0.75, 0};
  flv_error err = {0};
  if (flv_plot_matrix("m.png", "t'itle", "from", "to", 2, names, p, &err) != FLV_OK)
    fail_msg("%s", err.text);
  assert_int_equal(access("m.png", F_OK), 0);
  flv_shape shape;
  double *read;
  assert_int_equal(rename("m.dat", "m.txt"), 0);
  assert_int_equal(flv_table_read("m.txt", &shape, &read, &err), FLV_OK);
  for (int k = 0; k < 4; k++) NEAR(read[k], p[k], 0.0);
  free(read);
  assert_int_equal(flv_plot_matrix("m.png", "", "", "", 0, names, p, &err), FLV_EINVAL);
}

// ---- configurations ----

static const char table[] = "x,x>y,y\n.5,1,-.3\n1.5,-.2,.8\n-.7,.4,.1\n.2,-1.1,.6\n";

static flv_config *configured(const flv_structure_problem *problem, flv_error *err) {
  flv_config *cfg = flv_config_new(err);
  if (cfg && flv_structure_configure(cfg, problem, err) == FLV_OK) return cfg;
  flv_config_free(cfg);
  return NULL;
}

static void expect(const flv_config *cfg, const char *key, const char *value) {
  char text[4096];
  assert_int_equal(flv_config_get(cfg, key, text, sizeof text, NULL), FLV_OK);
  assert_string_equal(text, value);
}

static void names_of_edges(void **state) {
  (void)state;
  put("t.csv", table);
  static const char *const good[] = {"x>y", "x>x>y", "x>y>y", " x -> y ", "x>y->x"};
  static const char *const list = "[0, 2, 0, 1, 1, 2, 0, 2, 1, 0]";
  flv_error err = {0};
  flv_structure_problem p = {.table = "t.csv", .n_forbidden = 5, .forbidden = good};
  flv_config *cfg = configured(&p, &err);
  if (!cfg) fail_msg("%s", err.text);
  expect(cfg, "env.forbidden", list);
  expect(cfg, "env.required", "[]");
  flv_config_free(cfg);
  static const char *const bad[][2] = {
      {"x", "expected FROM>TO"}, {"x>z", "no variable 'z'"}, {"zz->y", "no variable 'zz"},
      {">y", "no variable ''"},  {"y>y", "to itself"},
  };
  for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
    p = (flv_structure_problem){.table = "t.csv", .n_required = 1, .required = bad[k]};
    err = (flv_error){0};
    cfg = flv_config_new(&err);
    assert_int_equal(flv_structure_configure(cfg, &p, &err), FLV_EINVAL);
    if (!strstr(err.text, bad[k][1])) fail_msg("'%s' does not say '%s'", err.text, bad[k][1]);
    expect(cfg, "reward.name", "corners"); // as before
    flv_config_free(cfg);
  }
}

// What is measured in docs/structure.md is what is chosen: off-policy tb where graphs are counted,
// on-policy without log Z up to 24 variables, step by step beyond.
static void defaults_by_size(void **state) {
  (void)state;
  static const struct {
    int d;
    const char *objective, *loss, *exit, *epsilon;
  } want[] = {{2, "tb", "huber", "joint", "0.3"},
              {6, "tb", "huber", "joint", "0.3"},
              {7, "log_variance", "squared", "gated", "0"},
              {24, "log_variance", "squared", "gated", "0"},
              {25, "modified_db", "huber", "gated", "0.05"},
              {64, "modified_db", "huber", "gated", "0.05"}};
  for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
    FILE *f = fopen("wide.csv", "w");
    for (int r = 0; r < 5; r++)
      for (int j = 0; j < want[k].d; j++)
        fprintf(f, r ? "%d%s" : "v%d%s", r ? (r * r * (j + 3) + 7 * r * j * j) % 1009 : j,
                j + 1 < want[k].d ? "," : "\n");
    fclose(f);
    flv_error err = {0};
    const flv_structure_problem p = {.table = "wide.csv"};
    flv_config *cfg = configured(&p, &err);
    if (!cfg) fail_msg("%s", err.text);
    expect(cfg, "objective.name", want[k].objective);
    expect(cfg, "objective.loss", want[k].loss);
    expect(cfg, "policy.exit", want[k].exit);
    expect(cfg, "exploration.epsilon", want[k].epsilon);
    flv_config_free(cfg);
  }
}

// log Z starts where adding the best edge ends: a naive twin scores whole graphs.
static void log_z_starts_at_a_good_graph(void **state) {
  (void)state;
  put("t.csv", "a,b,c,d\n1,2.1,0,3\n2,3.8,1,1\n3,6.3,0,2\n4,8.1,2,9\n5,9.6,1,4\n6,12.2,2,4\n");
  static const char *const required[] = {"b>a"};
  const flv_structure_problem p = {
      .table = "t.csv", .prior = "fair", .max_parents = 2, .n_required = 1, .required = required};
  flv_error err = {0};
  flv_config *cfg = configured(&p, &err);
  assert_non_null(cfg);
  if (flv_structure_prepare(cfg, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  flv_reward *reward = flv_reward_new(cfg, &err);
  flv_env *env = flv_env_new(cfg, &reward->shape, &err);
  const flv_dag_env *dag = flv_dag_env_of(env);
  uint64_t graph[4] = {2, 0, 0, 0}, s[8];
  double now;
  assert_true(flv_dag_from_parents(dag, graph, s));
  assert_int_equal(flv_reward_log(reward, env, 1, s, &now, NULL), FLV_OK);
  for (double best = now;;) {
    int from = -1, to = -1;
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 4; j++) {
        uint64_t next[4];
        double log_r;
        memcpy(next, graph, sizeof next);
        next[j] |= UINT64_C(1) << i;
        if (i == j || next[j] == graph[j] || !flv_dag_from_parents(dag, next, s)) continue;
        assert_int_equal(flv_reward_log(reward, env, 1, s, &log_r, NULL), FLV_OK);
        if (log_r > best) best = log_r, from = i, to = j;
      }
    if (from < 0) break;
    graph[to] |= UINT64_C(1) << from;
    now = best;
  }
  char text[64];
  flv_config_get(cfg, "policy.log_z", text, sizeof text, NULL);
  assert_true(now > 1.0);
  NEAR(strtod(text, NULL), now, 0.0051);
  flv_env_free(env);
  flv_reward_free(reward);
  assert_int_equal(flv_config_set(cfg, "policy.log_z", "3", &err), FLV_OK);
  assert_int_equal(flv_structure_prepare(cfg, NULL, &err), FLV_OK);
  expect(cfg, "policy.log_z", "3"); // the user's own stays
  flv_config_free(cfg);
}

// ---- the report ----

static flv_config *tiny(const char *score) {
  flv_error err = {0};
  put("t.csv", table);
  const flv_structure_problem p = {.table = "t.csv", .score = score};
  flv_config *cfg = configured(&p, &err);
  static const char *const settings[][2] = {
      {"policy.hidden", "[8]"},  {"batch", "4"},
      {"iterations", "6"},       {"eval_every", "6"},
      {"checkpoint_every", "6"}, {"reward.standardise", "false"}};
  for (int k = 0; k < 6; k++)
    assert_int_equal(flv_config_set(cfg, settings[k][0], settings[k][1], &err), FLV_OK);
  assert_int_equal(flv_structure_prepare(cfg, NULL, &err), FLV_OK);
  return cfg;
}

static void train(const flv_config *cfg, const char *dir) {
  flv_error err = {0};
  const flv_run_options how = {.out = dir, .threads = 1};
  if (flv_run_train(cfg, &how, &err) != FLV_OK) fail_msg("%s", err.text);
}

// The third column of a file with names in the first two.
static double probability(const char *path, const char *from, const char *to) {
  char *text, start[64];
  size_t size;
  assert_int_equal(flv_file_read(path, &text, &size, NULL), FLV_OK);
  snprintf(start, sizeof start, "\n%s,%s,", from, to);
  const char *line = strstr(text, start);
  if (!line) fail_msg("%s has no row %s", path, start + 1);
  const double p = line ? strtod(line + strlen(start), NULL) : 0.0;
  free(text);
  return p;
}

// Golden values of four observations: edges, paths and blankets of the posterior under bge.
static void report_is_the_posterior(void **state) {
  (void)state;
  flv_config *cfg = tiny("bge");
  train(cfg, "run");
  flv_config_free(cfg);
  flv_error err = {0};
  put("truth.csv", "0,0,0\n0,0,1\n0,0,0\n");
  const flv_structure_options o = {.threads = 1, .truth = "truth.csv", .samples = 300};
  if (flv_structure_report("run", &o, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  static const char *const names[] = {"x", "x>y", "y"};
  static const double edges[9] = {0,         .17708117, .29968037, .17310609, 0,
                                  .40102346, .28594993, .39126809, 0};
  static const double paths[9] = {0,         .25086097, .32874692, .24688589, 0,
                                  .41187039, .31501647, .40211503, 0};
  for (int i = 0; i < 3; i++)
    for (int j = 0; j < 3; j++) {
      if (i == j) continue;
      NEAR(probability("run/report/edges.csv", names[i], names[j]), edges[i * 3 + j], 6e-9);
      NEAR(probability("run/report/paths.csv", names[i], names[j]), paths[i * 3 + j], 6e-9);
    }
  NEAR(probability("run/report/markov_blankets.csv", "x", "x>y"), .44006405, 6e-9);
  NEAR(probability("run/report/markov_blankets.csv", "x", "y"), .62103847, 6e-9);
  NEAR(probability("run/report/markov_blankets.csv", "x>y", "y"), .80550503, 6e-9);
  char *text;
  size_t size;
  assert_int_equal(flv_file_read("run/report/summary.txt", &text, &size, &err), FLV_OK);
  char shd[64]; // pairs {0,1}, {0,2} are not joined, 1 -> 2 is
  snprintf(shd, sizeof shd, "expected SHD            %.2f\n",
           edges[1] + edges[3] + edges[2] + edges[6] + 1 - edges[5]);
  if (!strstr(text, shd)) fail_msg("no '%s' in the summary", shd);
  assert_non_null(strstr(text, "graphs                  25, all enumerated"));
  free(text);
}

// The samples' files agree with each other and are graphs of the environment.
static void samples_are_graphs(void **state) {
  (void)state;
  flv_config *cfg = tiny("linear_gaussian");
  train(cfg, "run");
  flv_config_free(cfg);
  flv_error err = {0};
  const flv_structure_options o = {.threads = 1, .samples = 1500}; // more than one draw of a chunk
  if (flv_structure_report("run", &o, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  flv_shape a, b;
  double *csv, *npy;
  assert_int_equal(flv_table_read("run/report/samples.csv", &a, &csv, &err), FLV_OK);
  assert_int_equal(flv_table_read("run/report/samples.npy", &b, &npy, &err), FLV_OK);
  assert_true(a.side[0] == 1500 && a.side[1] == 10);
  assert_true(b.n == 3 && b.side[0] == 1500 && b.side[1] == 3 && b.side[2] == 3);
  flv_trainer *t = flv_run_open("run", 1, &err);
  const flv_env *env = flv_trainer_env(t);
  for (int s = 0; s < 1500; s++) {
    uint64_t parents[3] = {0}, packed[4];
    for (int i = 0; i < 3; i++)
      for (int j = 0; j < 3; j++) {
        NEAR(csv[s * 10 + i * 3 + j], npy[(s * 3 + i) * 3 + j], 0.0);
        parents[j] |= (uint64_t)npy[(s * 3 + i) * 3 + j] << i;
      }
    double log_r;
    assert_true(flv_dag_from_parents(flv_dag_env_of(env), parents, packed));
    assert_int_equal(flv_reward_log(flv_trainer_reward(t), env, 1, packed, &log_r, NULL), FLV_OK);
    NEAR(csv[s * 10 + 9], log_r, 1e-9 * (1 + fabs(log_r)));
  }
  flv_trainer_free(t);
  free(csv);
  free(npy);
}

static void not_a_run_on_graphs(void **state) {
  (void)state;
  flv_error err = {0};
  flv_config *cfg = flv_config_new(&err);
  assert_int_equal(flv_config_set(cfg, "iterations", "1", &err), FLV_OK);
  train(cfg, "grid");
  flv_config_free(cfg);
  assert_int_equal(flv_structure_report("grid", NULL, NULL, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "hypergrid"));
  assert_int_equal(access("grid/report", F_OK), -1);
  const flv_structure_options bad[] = {
      {.threshold = 1.5}, {.threshold = (double)NAN}, {.samples = -1}};
  for (int k = 0; k < 3; k++)
    assert_int_equal(flv_structure_report("grid", &bad[k], NULL, &err), FLV_EINVAL);
}

// ---- failing allocations ----

static void out_of_memory(void **state) {
  (void)state;
  ALLOC_OR_SKIP();
  flv_config *cfg = tiny("bge");
  train(cfg, "run");
  flv_config_free(cfg);
  const flv_structure_problem p = {.table = "t.csv"};
  const flv_structure_options o = {.threads = 1, .samples = 20};
  char *path = strdup(getenv("PATH"));
  assert_int_equal(setenv("PATH", "/nowhere", 1), 0); // pictures are tested elsewhere
  int k = 0;
  for (bool done = false; !done && k < 5000; k++) {
    flv_error err = {0};
    flv_structure_pictures pictures;
    alloc_fail(k);
    flv_config *made = configured(&p, &err);
    flv_status status = made ? flv_structure_prepare(made, NULL, &err) : err.status;
    if (status == FLV_OK) status = flv_structure_report("run", &o, &pictures, &err);
    done = alloc_none_failed();
    flv_config_free(made);
    if (status != FLV_OK && !*err.text) fail_msg("allocation %d failed without a message", k);
    if (done) assert_int_equal(status, FLV_OK);
  }
  assert_true(k < 5000);
  assert_int_equal(setenv("PATH", path, 1), 0);
  free(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(matrices_in_every_form, setup, teardown),
      cmocka_unit_test_setup_teardown(matrices_that_are_none, setup, teardown),
      cmocka_unit_test_setup_teardown(quoting_reads_back, setup, teardown),
      cmocka_unit_test_setup_teardown(matrices_are_drawn, setup, teardown),
      cmocka_unit_test_setup_teardown(names_of_edges, setup, teardown),
      cmocka_unit_test_setup_teardown(defaults_by_size, setup, teardown),
      cmocka_unit_test_setup_teardown(log_z_starts_at_a_good_graph, setup, teardown),
      cmocka_unit_test_setup_teardown(report_is_the_posterior, setup, teardown),
      cmocka_unit_test_setup_teardown(samples_are_graphs, setup, teardown),
      cmocka_unit_test_setup_teardown(not_a_run_on_graphs, setup, teardown),
      cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
