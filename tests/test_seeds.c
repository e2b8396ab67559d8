// Several seeds in one process: every run is what it would be alone, however the threads are
// shared, and what happens to one of them is its own affair.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <sys/stat.h>

#include "fluvial/seeds.h"
#include "run/run_dir.h"
#include "alloc.h"
#include "run_fixture.h"

static const int64_t three[] = {1, 5, 12};

static flv_status train_seeds(const flv_config *cfg, const char *out, const char *resume,
                              int threads, const volatile int *stop, flv_error *err) {
  const flv_seeds_options options = {
      .out = out, .resume = resume, .n = 3, .seeds = three, .threads = threads, .stop = stop};
  flv_seeds seeds;
  const flv_status status = flv_seeds_train(&seeds, cfg, &options, err);
  flv_seeds_free(&seeds);
  return status;
}

static void train_alone(flv_config *cfg, const char *dir, int64_t seed) {
  flv_error err = {0};
  char path[256], text[32];
  snprintf(path, sizeof path, "%s/seed-%lld", dir, (long long)seed);
  snprintf(text, sizeof text, "%lld", (long long)seed);
  assert_int_equal(flv_config_set(cfg, "seed", text, &err), FLV_OK);
  const flv_run_options options = {.out = path, .threads = 1};
  if (flv_run_train(cfg, &options, &err) != FLV_OK) fail_msg("%s", err.text);
}

static void train_each_alone(flv_config *cfg, const char *dir) {
  for (int k = 0; k < 3; k++) train_alone(cfg, dir, three[k]);
}

static void assert_same_run(const char *a, const char *b, int64_t seed) {
  char x[256], y[256];
  snprintf(x, sizeof x, "%s/seed-%lld", a, (long long)seed);
  snprintf(y, sizeof y, "%s/seed-%lld", b, (long long)seed);
  assert_same_file(x, y, "metrics.csv");
  assert_same_file(x, y, "config.yaml");
  assert_same_tensors(x, y);
}

static void assert_same_runs(const char *a, const char *b) {
  for (int k = 0; k < 3; k++) assert_same_run(a, b, three[k]);
}

// ---- as alone ----

enum { KINDS = 4 };

// Grids with replay and a schedule that remembers; causal graphs, whose reward has a cache that the
// runs share; a space too large to enumerate; one with steps of environments in hand.
static flv_config *make_kind(int k, const char *iterations) {
  flv_error err = {0};
  flv_config *cfg = configure(SETTINGS(
      {"iterations", iterations}, {"batch", "8"}, {"eval_every", "7"}, {"checkpoint_every", "10"},
      {"policy.hidden", "[16]"}, {"exploration.epsilon", "0.2"}, {"eval_samples", "100"}));
  static const setting more[KINDS][4] = {
      {{"env.side", "5"},
       {"replay.capacity", "30"},
       {"schedule", "plateau"},
       {"schedule.patience", "20"}},
      {{"env", "dag"},
       {"reward", "bge"},
       {"reward.path", "examples/iris/iris.csv"},
       {"replay", "prioritised"}},
      {{"env.dim", "8"}, {"env.side", "16"}},
      {{"env.side", "5"}, {"collect", "steps"}, {"replay.capacity", "30"}}};
  for (int i = 0; i < 4 && more[k][i].key; i++)
    if (flv_config_set(cfg, more[k][i].key, more[k][i].value, &err) != FLV_OK)
      fail_msg("%s", err.text);
  return cfg;
}

static void every_run_is_as_alone(void **unused) {
  (void)unused;
  flv_error err = {0};
  for (int k = 0; k < KINDS; k++) {
    flv_config *cfg = make_kind(k, "45");
    char alone[48], together[48];
    snprintf(alone, sizeof alone, "alone_%d", k);
    train_each_alone(cfg, in(alone));
    for (int threads = 1; threads <= 8; threads = threads == 1 ? 2 : 4 * threads) { // 1, 2, 8
      snprintf(together, sizeof together, "together_%d_%d", k, threads);
      if (train_seeds(cfg, in(together), NULL, threads, NULL, &err) != FLV_OK)
        fail_msg("%s", err.text);
      assert_same_runs(in(alone), in(together));
    }
    flv_config_free(cfg);
  }
}

// ---- stopped, resumed ----

typedef struct stopper {
  int after;
  int stop; // read by all workers
} stopper;

static void stop_later(void *user, const flv_seeds_progress *progress) {
  stopper *s = user;
  assert_int_equal(progress->runs, 3);
  if (progress->all.stats.iteration >= s->after) __atomic_store_n(&s->stop, 1, __ATOMIC_RELAXED);
}

static void stopped_and_resumed(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = make_kind(0, "4000");
  train_each_alone(cfg, in("whole"));
  stopper s = {.after = 1};
  const flv_seeds_options options = {.out = in("parts"),
                                     .n = 3,
                                     .seeds = three,
                                     .threads = 2,
                                     .progress = stop_later,
                                     .user = &s,
                                     .stop = &s.stop};
  flv_seeds seeds;
  assert_int_equal(flv_seeds_train(&seeds, cfg, &options, &err), FLV_ESTOPPED);
  assert_non_null(strstr(err.text, "--resume"));
  assert_int_equal(seeds.n, 3);
  int64_t done = 0;
  for (int k = 0; k < 3; k++) {
    assert_int_equal(seeds.run[k].status, FLV_ESTOPPED);
    assert_int_equal(seeds.run[k].seed, three[k]);
    flv_trainer *t = flv_run_open(seeds.run[k].dir, 1, &err); // its checkpoint is of where it was
    if (!t) fail_msg("%s", err.text);
    assert_int_equal(flv_trainer_iteration(t), seeds.run[k].progress.stats.iteration);
    done += flv_trainer_iteration(t);
    flv_trainer_free(t);
  }
  assert_true(done >= 1 && done < 12000);
  flv_seeds_free(&seeds);
  // One goes on alone to its end; then all do, and it stays as it is.
  const flv_run_options alone = {.resume = in("parts/seed-5"), .threads = 1};
  if (flv_run_train(NULL, &alone, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_true(flv_seeds_found(in("parts")));
  assert_false(flv_seeds_found(in("parts/seed-5")));
  if (train_seeds(NULL, NULL, in("parts"), 2, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_same_runs(in("whole"), in("parts"));
  if (train_seeds(NULL, NULL, in("parts/"), 2, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_same_runs(in("whole"), in("parts"));
  flv_config_free(cfg);
}

// ---- one that fails ----

// Into the checkpoint of a stopped run goes a log Z with which no loss is finite.
static void poison(const char *path) {
  flv_error err = {0};
  flv_run_dir dir;
  flv_tally tally;
  flv_tensor list[192];
  flv_trainer *t = flv_run_open(path, 1, &err);
  if (!t) fail_msg("%s", err.text);
  assert_int_equal(flv_run_dir_resume(&dir, path, t, &tally, &err), FLV_OK);
  const int n = flv_trainer_tensors(t, list, 192);
  for (int i = 0; i < n; i++)
    if (strcmp(list[i].name, "log_z") == 0) *(float *)list[i].data = INFINITY;
  assert_int_equal(flv_run_dir_checkpoint(&dir, t, &tally, &err), FLV_OK);
  flv_run_dir_close(&dir);
  flv_trainer_free(t);
}

typedef struct heard {
  int ended, calls, failed;
} heard;

static void count_ended(void *user, const flv_seed_run *run) {
  heard *t = user;
  assert_int_equal(run->status, FLV_OK);
  assert_true(run->progress.finished && run->progress.evaluation.n > 0);
  __atomic_fetch_add(&t->ended, 1, __ATOMIC_RELAXED);
}

static void count_progress(void *user, const flv_seeds_progress *progress) {
  heard *t = user;
  t->calls++;
  t->failed = progress->failed;
}

static void one_fails_and_the_others_go_on(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = make_kind(0, "60");
  train_each_alone(cfg, in("sound"));
  const volatile int stop = 1;
  assert_int_equal(train_seeds(cfg, in("sick"), NULL, 2, &stop, &err), FLV_ESTOPPED);
  poison(in("sick/seed-5"));
  heard t = {0};
  const flv_seeds_options options = {.resume = in("sick"),
                                     .threads = 2,
                                     .progress = count_progress,
                                     .ended = count_ended,
                                     .user = &t};
  flv_seeds seeds;
  assert_int_equal(flv_seeds_train(&seeds, NULL, &options, &err), FLV_ENAN);
  assert_non_null(strstr(err.text, "1 of 3 runs failed: seed 5: "));
  assert_non_null(strstr(err.text, "is kept"));
  assert_null(strchr(err.text, '\n'));
  assert_int_equal(t.ended, 2);
  assert_int_equal(t.failed, 1);
  assert_int_equal(seeds.run[1].status, FLV_ENAN);
  assert_int_equal(seeds.run[0].status, FLV_OK);
  assert_same_run(in("sound"), in("sick"), 1);
  assert_same_run(in("sound"), in("sick"), 12);
  flv_seeds_free(&seeds);
  flv_trainer *kept = flv_run_open(in("sick/seed-5"), 1, &err);
  if (!kept) fail_msg("%s", err.text);
  assert_int_equal(flv_trainer_iteration(kept), 0);
  flv_trainer_free(kept);
  flv_config_free(cfg);
}

// ---- what cannot be done ----

static void assert_refused(const flv_config *cfg, const flv_seeds_options *options,
                           flv_status status, const char *words) {
  flv_error err = {0};
  flv_seeds seeds;
  assert_int_equal(flv_seeds_train(&seeds, cfg, options, &err), status);
  if (!strstr(err.text, words)) fail_msg("'%s' does not say '%s'", err.text, words);
  assert_int_equal(seeds.n, 0);
  flv_seeds_free(&seeds);
}

static void wrong_options(void **unused) {
  (void)unused;
  static const int64_t twice[] = {3, 4, 3}, large[] = {1, INT64_MAX};
  flv_error err = {0};
  flv_config *cfg = make_kind(0, "3");
  char new[256];
  snprintf(new, sizeof new, "%s", in("new"));
#define REFUSED(status, words, ...)                                                                \
  assert_refused(cfg, &(flv_seeds_options){__VA_ARGS__}, status, words)
  REFUSED(FLV_EINVAL, "either --out or --resume", .n = 3, .seeds = three);
  REFUSED(FLV_EINVAL, "either --out or --resume", .out = new, .resume = new);
  REFUSED(FLV_EINVAL, "expected 1 to 256", .out = new, .n = 0, .seeds = three);
  REFUSED(FLV_EINVAL, "seed 3 is there twice", .out = new, .n = 3, .seeds = twice);
  REFUSED(FLV_EINVAL, "seed", .out = new, .n = 2, .seeds = large);
  REFUSED(FLV_EIO, "no runs of several seeds", .resume = new);
  assert_int_not_equal(access(new, F_OK), 0);
  if (train_seeds(cfg, new, NULL, 1, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  REFUSED(FLV_EBUSY, "holds a run already", .out = new, .n = 3, .seeds = three);
  REFUSED(FLV_EBUSY, "holds a run already", .out = in("new/seed-5"), .n = 3, .seeds = three);
  assert_int_equal(mkdir(in("full"), 0777), 0);
  fclose(fopen(in("full/precious.txt"), "w"));
  REFUSED(FLV_EBUSY, "not an empty folder", .out = in("full"), .n = 3, .seeds = three);
#undef REFUSED
  assert_int_equal(access(in("full/precious.txt"), F_OK), 0);
  char command[256]; // nothing under a temporary name is left
  snprintf(command, sizeof command, "! ls -a '%s' | grep -q new-", folder);
  assert_int_equal(system(command), 0);
  flv_config_free(cfg);
}

// A run of the directory is in use: none of them is touched.
static void in_use(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = make_kind(0, "20");
  const volatile int stop = 1;
  assert_int_equal(train_seeds(cfg, in("busy"), NULL, 1, &stop, &err), FLV_ESTOPPED);
  flv_run_dir dir;
  flv_tally tally;
  flv_trainer *t = flv_run_open(in("busy/seed-12"), 1, &err);
  if (!t) fail_msg("%s", err.text);
  assert_int_equal(flv_run_dir_resume(&dir, in("busy/seed-12"), t, &tally, &err), FLV_OK);
  assert_int_equal(train_seeds(NULL, NULL, in("busy"), 1, NULL, &err), FLV_EBUSY);
  flv_run_dir_close(&dir);
  flv_trainer_free(t);
  if (train_seeds(NULL, NULL, in("busy"), 1, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  flv_config_free(cfg);
}

// Fails the k-th allocation of making and training three runs, for every k: one clear error, and
// what is on disk goes on from where it was.
static void every_allocation_may_fail(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  flv_config *cfg = make_kind(0, "2");
  long failures = 0;
  for (long k = 0;; k++) {
    char name[32];
    flv_error err = {0};
    snprintf(name, sizeof name, "fail%ld", k);
    alloc_fail(k);
    const flv_status status = train_seeds(cfg, in(name), NULL, 1, NULL, &err);
    const bool done = alloc_none_failed();
    if (status != FLV_OK) {
      failures++;
      if (err.text[0] == '\0') fail_msg("allocation %ld: no message for status %d", k, status);
      const bool begun = access(in(name), F_OK) == 0;
      if (train_seeds(begun ? NULL : cfg, begun ? NULL : in(name), begun ? in(name) : NULL, 1, NULL,
                      &err) != FLV_OK)
        fail_msg("allocation %ld: %s", k, err.text);
    }
    if (done) break;
  }
  print_message("%ld allocations failed in turn\n", failures);
  assert_true(failures > 100);
  flv_config_free(cfg);
}

// ---- the summary ----

// Four runs whose numbers are known: one ended early, one has unknown JSDs.
static void write_run(const char *dir, int seed, int rows, const double *jsd) {
  char path[256];
  snprintf(path, sizeof path, "%s/seed-%d", dir, seed);
  assert_int_equal(mkdir(path, 0777), 0);
  snprintf(path, sizeof path, "%s/seed-%d/config.yaml", dir, seed);
  fclose(fopen(path, "w"));
  snprintf(path, sizeof path, "%s/seed-%d/metrics.csv", dir, seed);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs("iteration,trajectories,loss,log_z,log_z_true,jsd,tv,kl_pq,kl_qp,l1,modes_found\n", f);
  for (int r = 0; r < rows; r++)
    fprintf(f, "%d,%d,%d,%d,2,%g,0.5,inf,nan,0,4\n", 10 * (r + 1), 80 * (r + 1), seed, r, jsd[r]);
  fclose(f);
}

static void medians_and_ranges(void **unused) {
  (void)unused;
  static const double jsd[4][2] = {{0.4, 0.1}, {0.2, 0.0}, {0.3, 0.7}, {(double)NAN, 0.4}};
  flv_error err = {0};
  assert_int_equal(mkdir(in("known"), 0777), 0);
  assert_int_equal(flv_seeds_summarise(in("known"), &err), FLV_EIO);
  for (int k = 0; k < 4; k++) write_run(in("known"), 7 * k, k == 2 ? 1 : 2, jsd[k]);
  assert_int_equal(mkdir(in("known/seed-08"), 0777), 0); // none of ours
  const flv_status status = flv_seeds_summarise(in("known"), &err);
  if (status != FLV_OK && !strstr(err.text, "gnuplot")) fail_msg("%s", err.text);
  char *text;
  size_t size;
  assert_int_equal(flv_file_read(in("known/summary.csv"), &text, &size, &err), FLV_OK);
  assert_string_equal(
      strchr(text, '\n') + 1,
      "10,80,4,10.5,0,21,0,0,0,2,2,2,0.3,0.2,0.4,0.5,0.5,0.5,inf,inf,inf,nan,nan,nan,0,0,0,4,4,4\n"
      "20,160,3,7,0,21,1,1,1,1,1,1,0.1,0,0.4,0.5,0.5,0.5,inf,inf,inf,nan,nan,nan,0,0,0,4,4,4\n");
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_run_is_as_alone),
      cmocka_unit_test(stopped_and_resumed),
      cmocka_unit_test(one_fails_and_the_others_go_on),
      cmocka_unit_test(wrong_options),
      cmocka_unit_test(in_use),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(medians_and_ranges),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
