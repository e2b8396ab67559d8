// fluvial's part in the race (bench/race/race.py), which times it side by side with other programs.
//
//   race THREADS STATES.csv KEY=VALUE...     settings as of --set; objects whose log R is printed
//
// Prints a line of JSON about itself, then one for each line that it reads (bench/race/harness.py
// answers the same ones for the others):
//
//   time SECONDS   iterations for that long (the first such line warms up before): milliseconds of
//                  one, median and extremes; distinct states and flops of one, means
//   profile SECONDS
//                  as long: means of an iteration, the shares of its parts (common/profile.h), its
//                  floor (common/floor.h) and the rate, of all threads, that this is for
//   train N        N iterations: how long they took
//   evaluate       exact Jensen-Shannon divergence of the policy from the target, and log Z
//   uniform        that of the uniform policy, by which all programs' evaluations are compared
//   quit
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "fluvial/fluvial.h"
#include "fluvial/objective.h"
#include "fluvial/objects.h"
#include "base/clock.h"
#include "base/lapack.h"
#include "base/sort.h"
#include "common/floor.h"
#include "common/profile.h"
#include "learn/trainer_impl.h"

static _Noreturn void die(const char *text) {
  fprintf(stderr, "race: %s\n", text);
  exit(1);
}

static flv_trainer *make(int threads, int n, char **settings) {
  flv_error err = {0};
  flv_config *cfg = flv_config_new(&err);
  if (!cfg) die(err.text);
  for (int i = 0; i < n; i++) {
    char *const value = strchr(settings[i], '=');
    if (!value) die("settings are KEY=VALUE");
    *value = '\0';
    if (flv_config_set(cfg, settings[i], value + 1, &err) != FLV_OK) die(err.text);
    *value = '=';
  }
  flv_trainer *t = flv_trainer_new(cfg, NULL, NULL, threads, &err);
  if (!t) die(err.text);
  flv_config_free(cfg);
  return t;
}

// Entries of tensors, without what pads them, and log Z where something learns it.
static long parameters(const flv_trainer *t) {
  const flv_net *net = t->policy.net;
  long n = 0;
  for (int i = 0; i < net->n_weights; i++)
    n += (long)net->weight[i].rows * (long)net->weight[i].cols;
  return n + ((t->objective->uses & FLV_TRAINS_LOG_Z) != 0);
}

static void introduce(const flv_trainer *t, const char *path, double begun) {
  flv_error err = {0};
  int64_t n = 0;
  void *states = NULL;
  if (flv_objects_read(t->env, path, &n, &states, &err) != FLV_OK) die(err.text);
  double *log_r = malloc((size_t)n * sizeof *log_r);
  if (!log_r) die("out of memory");
  if (flv_reward_log(t->reward, t->env, (int)n, states, log_r, &err) != FLV_OK) die(err.text);
  printf("{\"program\": \"fluvial\", \"versions\": {\"fluvial\": \"%s\"}, \"parameters\": %ld, "
         "\"log_r\": [",
         FLV_VERSION, parameters(t));
  for (int64_t i = 0; i < n; i++) printf("%s%.17g", i ? ", " : "", log_r[i]);
  printf("], \"compile_s\": 0, \"setup_s\": %.3f, \"notes\": \"\"}\n", flv_clock() - begun);
  free(states), free(log_r);
}

static void step(flv_trainer *t) {
  flv_error err = {0};
  if (flv_trainer_step(t, NULL, &err) != FLV_OK) die(err.text);
}

static double peak_mb(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)usage.ru_maxrss / 1024.0;
}

// Milliseconds of each of n iterations in turn; at least 3, until `seconds` have passed or ms is
// full. distinct, flops: means of an iteration.
static int measure(flv_trainer *t, double seconds, int room, double *ms, double *distinct,
                   double *flops) {
  *distinct = *flops = 0.0;
  const double begin = flv_clock();
  double last = begin;
  int n = 0;
  while (n < room && (last - begin < seconds || n < 3)) {
    step(t);
    const double time = flv_clock();
    ms[n++] = (time - last) * 1e3;
    last = time;
    *distinct += t->batch.rows.n;
    *flops += bench_iteration_flops(t);
  }
  *distinct /= n;
  *flops /= n;
  return n;
}

static void time_iterations(flv_trainer *t, double seconds, bool warm) {
  enum { ROOM = 1 << 20 };
  double *ms = malloc(ROOM * sizeof *ms);
  if (!ms) die("out of memory");
  double distinct, flops;
  if (!warm) measure(t, seconds < 1.0 ? seconds : 1.0, ROOM, ms, &distinct, &flops);
  const int n = measure(t, seconds, ROOM, ms, &distinct, &flops);
  flv_sort((size_t)n, ms);
  printf("{\"ms\": %.6g, \"ms_min\": %.6g, \"ms_max\": %.6g, \"iterations\": %d, "
         "\"distinct\": %.6g, \"flops\": %.9g, \"peak_mb\": %.0f}\n",
         0.5 * (ms[(n - 1) / 2] + ms[n / 2]), ms[0], ms[n - 1], n, distinct, flops, peak_mb());
  free(ms);
}

static void train(flv_trainer *t, long n) {
  const double begin = flv_clock();
  for (long i = 0; i < n; i++) step(t);
  printf("{\"seconds\": %.6f, \"peak_mb\": %.0f}\n", flv_clock() - begin, peak_mb());
}

static void profile(flv_trainer *t, int threads, double seconds) {
  flv_error err = {0};
  bench_parts m;
  if (bench_profile(t, seconds, &m, &err) != FLV_OK) die(err.text);
  const double rate = bench_matrix_rate(threads);
  printf("{\"iterations\": %d, \"ms\": %.6g, \"states\": %.6g, \"distinct\": %.6g, "
         "\"gflops\": %.6g, \"floor_ms\": %.6g, \"shares\": {",
         m.iterations, m.seconds / m.iterations * 1e3, m.states, m.distinct, rate * threads * 1e-9,
         bench_floor_ms(m.flops, rate, threads));
  for (int i = 0; i < BENCH_N_PARTS; i++)
    printf("%s\"%s\": %.4f", i ? ", " : "", bench_part_names[i], m.share[i]);
  printf("}}\n");
}

static void evaluate(flv_trainer *t) {
  flv_error err = {0};
  flv_evaluation e = {0};
  if (flv_trainer_evaluate(t, 0, &e, &err) != FLV_OK) die(err.text);
  if (!e.exact) die("this space cannot be enumerated");
  printf("{\"jsd\": %.9g, \"log_z\": %.9g}\n", e.jsd, e.log_z);
}

int main(int argc, char **argv) {
  flv_blas_restart(argv);
  const double begun = flv_clock();
  flv_blas_single();
  if (argc < 3) die("usage: race THREADS STATES.csv KEY=VALUE...");
  const int threads = atoi(argv[1]);
  flv_trainer *t = make(threads, argc - 3, argv + 3);
  introduce(t, argv[2], begun);
  fflush(stdout);
  bool warm = false;
  for (char line[256]; fgets(line, sizeof line, stdin); fflush(stdout)) {
    char word[32] = "";
    double number = 0.0;
    if (sscanf(line, "%31s %lf", word, &number) < 1 || strcmp(word, "quit") == 0) break;
    if (strcmp(word, "time") == 0) {
      time_iterations(t, number, warm);
      warm = true;
    } else if (strcmp(word, "train") == 0)
      train(t, (long)number);
    else if (strcmp(word, "profile") == 0)
      profile(t, threads, number);
    else if (strcmp(word, "evaluate") == 0)
      evaluate(t);
    else if (strcmp(word, "uniform") == 0) {
      memset(t->policy.params, 0, t->policy.n_params * sizeof *t->policy.params);
      evaluate(t);
    } else
      die("commands: time SECONDS, train N, profile SECONDS, evaluate, uniform, quit");
  }
  flv_trainer_free(t);
  return 0;
}
