// Run directories: resumed runs equal uninterrupted ones bit for bit, however they were
// interrupted, and nothing is lost when something fails.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run_alloc.h"

static flv_config *tiny(const char *iterations) {
  return configure(SETTINGS(
      {"env.side", "5"}, {"iterations", iterations}, {"batch", "8"}, {"eval_every", "7"},
      {"checkpoint_every", "10"}, {"policy.hidden", "[16]"}, {"replay.capacity", "30"},
      {"exploration.epsilon", "0.2"}, {"schedule", "plateau"}, {"schedule.patience", "20"}));
}

static void stopped_and_resumed(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = tiny("60");
  assert_int_equal(train(cfg, in("whole"), NULL, NULL, &err), FLV_OK);
  const volatile int stop = 1; // at once: the checkpoint of iteration 0
  assert_int_equal(train(cfg, in("parts"), NULL, &stop, &err), FLV_ESTOPPED);
  assert_non_null(strstr(err.text, "--resume"));
  if (train(NULL, NULL, in("parts"), NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_same_file(in("whole"), in("parts"), "metrics.csv");
  assert_same_file(in("whole"), in("parts"), "config.yaml");
  assert_same_tensors(in("whole"), in("parts"));
  assert_int_equal(train(NULL, NULL, in("parts"), NULL, &err),
                   FLV_OK); // a finished run stays as it is
  assert_same_file(in("whole"), in("parts"), "metrics.csv");
  flv_config_free(cfg);
}

static volatile int stop_now;

static void stop_midway(void *user, const flv_progress *progress) {
  (void)user;
  if (progress->evaluated && progress->stats.iteration >= 28) stop_now = 1;
}

// Stopped with buffers half full, of every kind; objects, searches and environments in the middle
// of a trajectory among what is saved.
static void stopped_midway(void **unused) {
  (void)unused;
  static const char *const kind[] = {"fifo", "prioritised", "terminal", "fifo", "transitions"};
  flv_error err = {0};
  for (int k = 0; k < 5; k++) {
    char whole[32], parts[32];
    snprintf(whole, sizeof whole, "whole_%d", k);
    snprintf(parts, sizeof parts, "parts_%d", k);
    flv_config *cfg = tiny("60");
    if (flv_config_set(cfg, "collect", k < 3 ? "episodes" : "steps", &err) != FLV_OK ||
        flv_config_set(cfg, "objective", k < 4 ? "tb" : "modified_db", &err) != FLV_OK ||
        flv_config_set(cfg, "replay", kind[k], &err) != FLV_OK ||
        flv_config_set(cfg, "replay.capacity", "100", &err) != FLV_OK ||
        flv_config_set(cfg, "local_search.steps", k == 1 ? "2" : "0", &err) != FLV_OK)
      fail_msg("%s", err.text);
    assert_int_equal(train(cfg, in(whole), NULL, NULL, &err), FLV_OK);
    stop_now = 0;
    const flv_run_options options = {
        .out = in(parts), .threads = 1, .stop = &stop_now, .progress = stop_midway};
    assert_int_equal(flv_run_train(cfg, &options, &err), FLV_ESTOPPED);
    assert_non_null(strstr(err.text, "iteration 28 of 60"));
    if (train(NULL, NULL, in(parts), NULL, &err) != FLV_OK) fail_msg("%s", err.text);
    assert_same_file(in(whole), in(parts), "metrics.csv");
    assert_same_tensors(in(whole), in(parts));
    flv_config_free(cfg);
  }
}

// SIGKILL at random instants, at least 50 of them, then on to the end.
static void killed_and_resumed(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = tiny("12000");
  assert_int_equal(train(cfg, in("calm"), NULL, NULL, &err), FLV_OK);
  int kills = 0;
  unsigned random = 12345;
  for (bool finished = false; !finished;) {
    const bool begun = access(in("killed/config.yaml"), F_OK) == 0;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      flv_error e = {0};
      const flv_status s = begun ? train(NULL, NULL, in("killed"), NULL, &e)
                                 : train(cfg, in("killed"), NULL, NULL, &e);
      if (s != FLV_OK) fprintf(stderr, "%s\n", e.text);
      _exit(s == FLV_OK ? 0 : 1);
    }
    random = random * 1664525u + 1013904223u;
    if (kills < 60) {
      const struct timespec pause = {0, (long)(random >> 8) % 8000 * 1000}; // up to 8 ms
      nanosleep(&pause, NULL);
      kill(child, SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
      kills++;
    else if (WEXITSTATUS(status) != 0)
      fail_msg("a resumed run failed after %d kills", kills);
    else
      finished = true;
  }
  print_message("killed %d times\n", kills);
  assert_true(kills >= 50);
  assert_same_file(in("calm"), in("killed"), "metrics.csv");
  assert_same_tensors(in("calm"), in("killed"));
  flv_config_free(cfg);
}

static void directories_in_use(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = tiny("10");
  assert_int_equal(train(cfg, in("used"), NULL, NULL, &err), FLV_OK);
  assert_int_equal(train(cfg, in("used"), NULL, NULL, &err), FLV_EBUSY);
  assert_non_null(strstr(err.text, "holds a run already"));
  assert_int_equal(mkdir(in("full"), 0777), 0);
  FILE *f = fopen(in("full/precious.txt"), "w");
  assert_non_null(f);
  fclose(f);
  assert_int_equal(train(cfg, in("full"), NULL, NULL, &err), FLV_EBUSY);
  assert_int_equal(access(in("full/precious.txt"), F_OK), 0);
  assert_int_equal(train(cfg, in("full/precious.txt/run"), NULL, NULL, &err), FLV_EIO);
  assert_int_equal(train(NULL, NULL, in("nowhere"), NULL, &err), FLV_EIO);
  assert_non_null(strstr(err.text, "not a run directory"));
  flv_config_free(cfg);
}

static void overwrite(const char *path, long at, const char *text) {
  FILE *f = fopen(path, "r+");
  assert_non_null(f);
  fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
  fputs(text, f);
  fclose(f);
}

static void broken_checkpoints(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = tiny("10");
  assert_int_equal(train(cfg, in("broken"), NULL, NULL, &err), FLV_OK);
  const char *path = in("broken/checkpoint.safetensors");
  overwrite(path, -40, "xyz"); // in the data
  assert_int_not_equal(train(NULL, NULL, in("broken"), NULL, &err), FLV_OK);
  assert_non_null(strstr(err.text, "checkpoint.safetensors"));
  path = in("broken/checkpoint.safetensors");
  assert_int_equal(truncate(path, 1000), 0);
  assert_int_not_equal(train(NULL, NULL, in("broken"), NULL, &err), FLV_OK);
  assert_int_equal(train(cfg, in("other"), NULL, NULL, &err), FLV_OK);
  char *text;
  size_t size;
  assert_int_equal(flv_file_read(in("other/config.yaml"), &text, &size, &err), FLV_OK);
  char *seed = strstr(text, "seed: 1");
  assert_non_null(seed);
  overwrite(in("other/config.yaml"), (long)(seed - text), "seed: 2");
  free(text);
  assert_int_equal(train(NULL, NULL, in("other"), NULL, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "another configuration"));
  flv_config_free(cfg);
}

// From its first sign of progress on, this process cannot write files beyond 300 bytes: a disk that
// fills up.
static void fill_disk(void *user, const flv_progress *progress) {
  (void)user, (void)progress;
  const struct rlimit limit = {300, 300};
  setrlimit(RLIMIT_FSIZE, &limit);
}

static void full_disk(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = tiny("60");
  assert_int_equal(train(cfg, in("roomy"), NULL, NULL, &err), FLV_OK);
  const pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const flv_run_options options = {.out = in("cramped"), .threads = 1, .progress = fill_disk};
    const flv_status status = flv_run_train(cfg, &options, &err);
    _exit(status == FLV_EIO && err.text[0] && !strchr(err.text, '\n') ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  if (train(NULL, NULL, in("cramped"), NULL, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_same_file(in("roomy"), in("cramped"), "metrics.csv");
  assert_same_tensors(in("roomy"), in("cramped"));
  flv_config_free(cfg);
}

// A learning rate that sends the weights to infinity: the run stops, its latest checkpoint is
// whole.
static void a_loss_that_is_not_a_number_keeps_the_checkpoint(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg =
      configure(SETTINGS({"env.side", "5"}, {"iterations", "2000"}, {"checkpoint_every", "1"},
                         {"optimiser", "sgd"}, {"optimiser.lr_log_z", "100"}));
  assert_int_equal(train(cfg, in("wild"), NULL, NULL, &err), FLV_ENAN);
  assert_non_null(strstr(err.text, "not finite"));
  assert_non_null(strstr(err.text, "is kept"));
  flv_trainer *t = flv_run_open(in("wild"), 1, &err);
  if (!t) fail_msg("%s", err.text);
  assert_true(flv_trainer_iteration(t) >= 1);
  flv_trainer_free(t);
  flv_config_free(cfg);
}

static flv_status resume_and_sample(const char *dir, flv_error *err) {
  FLV_TRY(train(NULL, NULL, dir, NULL, err));
  return flv_run_sample(dir, 1, 0, 10, in("some.csv"), err);
}

// Of writing, stopping, resuming and sampling a run.
static void every_allocation_may_fail(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  flv_config *cfg = tiny("3");
  fail_allocations_in_turn(cfg, 1, resume_and_sample);
  flv_config_free(cfg);
}

static void threads_do_not_change_files(void **unused) {
  (void)unused;
  static const char *const names[] = {"one", "two", "three"};
  flv_error err = {0};
  flv_config *cfg = configure(SETTINGS({"env.dim", "4"}, {"env.side", "8"}, {"iterations", "30"},
                                       {"batch", "128"}, {"eval_every", "10"}));
  for (int k = 0; k < 3; k++) {
    const flv_run_options options = {.out = in(names[k]), .threads = k + 1};
    if (flv_run_train(cfg, &options, &err) != FLV_OK) fail_msg("%s", err.text);
  }
  for (int k = 1; k < 3; k++) {
    assert_same_file(in("one"), in(names[k]), "metrics.csv");
    assert_same_file(in("one"), in(names[k]), "config.yaml");
    assert_same_tensors(in("one"), in(names[k]));
  }
  flv_config_free(cfg);
}

static void samples_and_evaluations(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_evaluation e;
  flv_config *cfg = tiny("10");
  assert_int_equal(train(cfg, in("drawn"), NULL, NULL, &err), FLV_OK);
  assert_int_equal(flv_run_evaluate(in("drawn"), 1, 100, &e, &err), FLV_OK);
  assert_true(e.exact && e.n == 25);
  if (flv_run_sample(in("drawn"), 1, 1, 5000, in("x.csv"), &err) != FLV_OK)
    fail_msg("%s", err.text);
  if (flv_run_sample(in("drawn"), 1, 1, 5000, in("x.npy"), &err) != FLV_OK)
    fail_msg("%s", err.text);
  flv_shape csv, npy;
  double *a, *b;
  assert_int_equal(flv_table_read(in("x.csv"), &csv, &a, &err), FLV_OK);
  assert_int_equal(flv_table_read(in("x.npy"), &npy, &b, &err), FLV_OK);
  assert_int_equal(csv.side[0], 5000);
  assert_int_equal(csv.side[1], 3);
  assert_int_equal(npy.side[1], 2);
  for (int i = 0; i < 5000; i++)
    for (int d = 0; d < 2; d++) {
      assert_true(a[3 * i + d] == b[2 * i + d]);
      assert_true(a[3 * i + d] >= 0.0 && a[3 * i + d] < 5.0);
    }
  free(a);
  free(b);
  assert_int_equal(flv_run_sample(in("drawn"), 1, 1, 5, in("x.txt"), &err), FLV_EINVAL);
  // Streams far apart differ too.
  if (flv_run_sample(in("drawn"), 1, 4097, 5000, in("y.npy"), &err) != FLV_OK)
    fail_msg("%s", err.text);
  assert_int_equal(flv_table_read(in("x.npy"), &npy, &a, &err), FLV_OK);
  assert_int_equal(flv_table_read(in("y.npy"), &npy, &b, &err), FLV_OK);
  assert_memory_not_equal(a, b, 10000 * sizeof *a);
  free(a);
  free(b);
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stopped_and_resumed),
      cmocka_unit_test(stopped_midway),
      cmocka_unit_test(killed_and_resumed),
      cmocka_unit_test(directories_in_use),
      cmocka_unit_test(broken_checkpoints),
      cmocka_unit_test(samples_and_evaluations),
      cmocka_unit_test(full_disk),
      cmocka_unit_test(a_loss_that_is_not_a_number_keeps_the_checkpoint),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(threads_do_not_change_files), // last: forks before it must find one thread
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
