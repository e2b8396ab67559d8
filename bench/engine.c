// Milliseconds per training iteration, and how close that comes to the floor of its matrix
// products.
//
//   engine            the next, then 8x8, 16^4, 32^4 at batch 32, 128, 512 on 1 and 2 threads: TB,
//                     P_B tied, 2 x 256
//   engine intern     interned against one row per visited state, 8x8, batch 32
//   engine full       a whole run: 128x128 off-policy TB, untied networks, 10^6 trajectories
//   engine graphs [K] graphs of 5 and 20 variables under a flat reward: TB, the graph network and a
//                     multilayer perceptron; only line K
//   engine molecules [VOCABULARY [WEIGHTS]]  molecules: TB, the published policy (256 wide, 10
//                     steps) and reward network; without WEIGHTS random ones of its shapes, without
//                     VOCABULARY examples/molecules/fragments.json
//
// common/floor.h says what the floor is; its rate is measured beside the iterations.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/parallel.h"
#include "fluvial/fluvial.h"
#include "base/lapack.h"
#include "common/floor.h"
#include "common/weights.h"
#include "reward/molecule_scores.h"

static int die(const flv_error *err) {
  fprintf(stderr, "bench: %s\n", err->text);
  exit(1);
}

// reward NULL: the configuration's.
static flv_trainer *make_for(const flv_reward *reward, int n, const char *const settings[][2],
                             int threads) {
  flv_error err = {0};
  flv_config *cfg = flv_config_new(&err);
  if (!cfg) die(&err);
  for (int i = 0; i < n; i++)
    if (flv_config_set(cfg, settings[i][0], settings[i][1], &err) != FLV_OK) die(&err);
  flv_trainer *t = flv_trainer_new(cfg, NULL, reward, threads, &err);
  if (!t) die(&err);
  flv_config_free(cfg);
  return t;
}

static flv_trainer *make(int n, const char *const settings[][2], int threads) {
  return make_for(NULL, n, settings, threads);
}

typedef struct timing {
  int n; // iterations measured
  double ms, states, distinct;
  double flops; // of the matrix products of an iteration
} timing;

// n iterations after the warm-up, or, with n = 0, as many as take `seconds`. From one iteration on
// the same n on any number of threads is the same work, to the last bit.
static timing measure(flv_trainer *t, int warm_up, int n, double seconds) {
  flv_error err = {0};
  flv_stats stats;
  timing m = {0};
  for (int i = 0; i < warm_up; i++)
    if (flv_trainer_step(t, &stats, &err) != FLV_OK) die(&err);
  const double begin = flv_clock();
  for (; n > 0 ? m.n < n : flv_clock() - begin < seconds || m.n < 10; m.n++) {
    if (flv_trainer_step(t, &stats, &err) != FLV_OK) die(&err);
    m.states += stats.states;
    m.distinct += stats.distinct;
    m.flops += bench_iteration_flops(t);
  }
  m.ms = (flv_clock() - begin) * 1e3 / m.n;
  m.states /= m.n;
  m.distinct /= m.n;
  m.flops /= m.n;
  return m;
}

static double floor_ms(const timing *m, double rate, int threads) {
  return bench_floor_ms(m->flops, rate, threads);
}

// One and two threads in turn, ROUNDS times over the same iterations, so that a change of the
// machine's speed meets both. Later rounds visit other states, so what counts is the time for a
// distinct row: the best round's, times the mean number of rows.
static void scenario(const char *grid, const char *batch, int n, const char *const settings[][2],
                     int cores, const double *rate) {
  enum { ROUNDS = 5 };
  flv_trainer *t[2];
  double ms_per_row[2] = {1e30, 1e30};
  timing mean = {0};
  for (int k = 0; k < cores; k++) t[k] = make(n, settings, k + 1);
  for (int round = 0; round < ROUNDS; round++) {
    timing m = {0};
    for (int k = 0; k < cores; k++) {
      m = measure(t[k], round == 0 ? 50 : 0, m.n, 1.0);
      if (m.ms / m.distinct < ms_per_row[k]) ms_per_row[k] = m.ms / m.distinct;
    }
    mean.flops += m.flops / ROUNDS;
    mean.states += m.states / ROUNDS;
    mean.distinct += m.distinct / ROUNDS;
  }
  for (int k = 0; k < cores; k++) {
    const double ms = ms_per_row[k] * mean.distinct, f = floor_ms(&mean, rate[k], k + 1);
    printf("%s,%s,%d,%.3f,%.0f,%.0f,%.3f,%.2f,%.2f\n", grid, batch, k + 1, ms, mean.states,
           mean.distinct, f, f / ms, ms_per_row[0] / ms_per_row[k]);
    fflush(stdout);
    flv_trainer_free(t[k]);
  }
}

static void scenarios(void) {
  static const char *const grid[][3] = {
      {"8x8", "2", "8"}, {"16^4", "4", "16"}, {"32^4", "4", "32"}};
  static const char *const batches[] = {"32", "128", "512"};
  const int cores = flv_cores() > 1 ? 2 : 1;
  const double rate[2] = {bench_matrix_rate(1), bench_matrix_rate(cores)};
  printf("matrix product, one core: %.1f GFLOP/s alone, %.1f with %d at work\n", rate[0] / 1e9,
         rate[1] / 1e9, cores);
  printf(
      "grid,batch,threads,ms_per_iteration,states,distinct,floor_ms,fraction_of_floor,speed_up\n");
  for (int g = 0; g < 3; g++)
    for (int b = 0; b < 3; b++) {
      const char *const settings[][2] = {{"env.dim", grid[g][1]}, {"env.side", grid[g][2]},
                                         {"reward.r0", "0.1"},    {"batch", batches[b]},
                                         {"policy.p_b", "tied"},  {"iterations", "1000000"}};
      scenario(grid[g][0], batches[b], 6, settings, cores, rate);
    }
}

static void interning(void) {
  timing m[2] = {{0}};
  for (int round = 0; round < 3;
       round++) // in turn, so that a change of the machine's speed meets both
    for (int k = 0; k < 2; k++) {
      const char *const settings[][2] = {{"env.side", "8"},
                                         {"reward.r0", "0.1"},
                                         {"batch", "32"},
                                         {"policy.p_b", "tied"},
                                         {"intern", k ? "true" : "false"}};
      flv_trainer *t = make(5, settings, 1);
      const timing one = measure(t, 50, 0, 1.0);
      if (round == 0 || one.ms < m[k].ms) m[k] = one;
      flv_trainer_free(t);
    }
  printf(
      "8x8 batch 32: %.3f ms plain (%.0f rows), %.3f ms interned (%.0f rows): %.2f times faster\n",
      m[0].ms, m[0].distinct, m[1].ms, m[1].distinct, m[0].ms / m[1].ms);
}

static flv_status flat(const flv_reward *reward, const flv_env *env, int n, const void *states,
                       double *log_r, flv_error *err) {
  (void)reward, (void)env, (void)states, (void)err;
  for (int i = 0; i < n; i++) log_r[i] = 0.0;
  return FLV_OK;
}

// The states are those of a policy that has hardly been trained, every other action at random.
static void graphs(int only) {
  static const char *const which[][3] = {{"5", "256", "graph_network"},
                                         {"5", "256", "mlp"},
                                         {"20", "32", "graph_network"},
                                         {"20", "32", "mlp"}};
  const flv_reward reward = {.name = "flat", .exponent = 1.0, .log_reward = flat};
  const double rate = bench_matrix_rate(1);
  printf("matrix product, one core: %.1f GFLOP/s\n", rate / 1e9);
  printf("variables,batch,policy,ms_per_iteration,distinct,floor_ms,fraction_of_floor\n");
  for (size_t k = 0; k < sizeof which / sizeof *which; k++) {
    if (only > 0 && k + 1 != (size_t)only) continue;
    const char *const settings[][2] = {
        {"env", "dag"},           {"env.variables", which[k][0]},    {"batch", which[k][1]},
        {"policy", which[k][2]},  {"policy.p_b", "uniform"},         {"exploration.epsilon", "0.5"},
        {"optimiser.lr", "1e-5"}, {"exploration.epsilon_end", "0.5"}};
    flv_trainer *t = make_for(&reward, sizeof settings / sizeof *settings, settings, 1);
    const timing m = measure(t, 2, 0, 5.0);
    printf("%s,%s,%s,%.1f,%.0f,%.1f,%.2f\n", which[k][0], which[k][1], which[k][2], m.ms,
           m.distinct, floor_ms(&m, rate, 1), floor_ms(&m, rate, 1) / m.ms);
    fflush(stdout);
    flv_trainer_free(t);
  }
}

static double nodes_of(const flv_trainer *t) {
  const flv_batch *b = &t->batch;
  const int nodes = t->policy.net->tree.nodes;
  double n = 0.0;
  for (int i = 0; i < b->rows.n * nodes; i++) n += b->acts.trees.node[i] >= 0;
  return n;
}

// 50,000 iterations of 4 are the published training. How many rows stand for how many nodes of
// distinct states is that of the last iteration; how often a reward was known, of all.
static void molecules(const char *vocabulary, const char *weights) {
  static const char *const batches[] = {"4", "64"};
  const int cores = flv_cores() > 1 ? 2 : 1;
  const double rate[2] = {bench_matrix_rate(1), bench_matrix_rate(cores)};
  printf("matrix product, one core: %.1f GFLOP/s alone, %.1f with %d at work\n", rate[0] / 1e9,
         rate[1] / 1e9, cores);
  printf("batch,threads,ms_per_iteration,states,distinct,nodes,paths,floor_ms,fraction_of_floor,"
         "states_per_s,rewards_asked,rewards_computed\n");
  for (int k = 0; k < 2 * cores; k++) {
    const int threads = k % cores + 1;
    const char *const settings[][2] = {{"env", "fragments"},
                                       {"env.path", vocabulary},
                                       {"env.stem_types", "published"},
                                       {"reward", "molecule_network"},
                                       {"reward.path", weights},
                                       {"reward.precision", "single"},
                                       {"reward.exponent", "10"},
                                       {"policy", "fragment_network"},
                                       {"batch", batches[k / cores]},
                                       {"optimiser.lr", "5e-4"}};
    flv_trainer *t = make(sizeof settings / sizeof *settings, settings, threads);
    const timing m = measure(t, 20, 0, 10.0);
    const flv_molecule_counts counts = flv_molecule_scores_counts(t->reward);
    printf("%s,%d,%.2f,%.0f,%.0f,%.0f,%d,%.2f,%.2f,%.0f,%lld,%lld\n", batches[k / cores], threads,
           m.ms, m.states, m.distinct, nodes_of(t), t->batch.acts.trees.n,
           floor_ms(&m, rate[threads - 1], threads),
           floor_ms(&m, rate[threads - 1], threads) / m.ms, 1e3 * m.states / m.ms,
           (long long)counts.asked, (long long)counts.scored);
    fflush(stdout);
    flv_trainer_free(t);
  }
}

// The rate is measured every PROBE iterations, outside the run's time, as the machine's speed
// changes over minutes.
static void full_run(int iterations) {
  enum { PROBE = 500 };
  const int cores = flv_cores() > 1 ? 2 : 1;
  char count[32];
  snprintf(count, sizeof count, "%d", iterations);
  const char *const settings[][2] = {{"env.side", "128"},          {"batch", "64"},
                                     {"iterations", count},        {"exploration.exit_bias", "1"},
                                     {"exploration.until", "0.2"}, {"optimiser.lr", "5e-3"},
                                     {"optimiser.lr_pb", "1e-3"},  {"optimiser.lr_log_z", "0.05"},
                                     {"schedule", "cosine"}};
  flv_trainer *t = make(9, settings, cores);
  flv_error err = {0};
  flv_stats stats;
  flv_evaluation e = {0};
  double rows = 0.0, flops = 0.0, seconds = 0.0,
         product = 0.0; // product: seconds of a flop, summed over probes
  int probes = 0;
  for (int i = 0; i < iterations;) {
    product += 1.0 / bench_matrix_rate(cores);
    probes++;
    const double begin = flv_clock();
    for (const int end = i + PROBE < iterations ? i + PROBE : iterations; i < end;) {
      if (flv_trainer_step(t, &stats, &err) != FLV_OK) die(&err);
      rows += stats.distinct;
      flops += bench_iteration_flops(t);
      if (++i % 200 == 0 && flv_trainer_evaluate(t, 0, &e, &err) != FLV_OK) die(&err);
    }
    seconds += flv_clock() - begin;
  }
  const double rate = probes / product;
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const double least = flops / (rate * cores);
  printf("128x128, %d iterations of 64, %d threads: %.1f s; floor %.1f s (%.0f distinct rows an "
         "iteration, "
         "%.1f GFLOP/s a core); %.2f times the floor; JSD %.2e; peak memory %.0f MB\n",
         iterations, cores, seconds, least, rows / iterations, rate / 1e9, seconds / least, e.jsd,
         (double)usage.ru_maxrss / 1024.0);
  flv_trainer_free(t);
}

int main(int argc, char **argv) {
  flv_blas_restart(argv);
  flv_blas_single(); // before anything is measured
  if (argc > 1 && strcmp(argv[1], "intern") == 0)
    interning();
  else if (argc > 1 && strcmp(argv[1], "graphs") == 0)
    graphs(argc > 2 ? atoi(argv[2]) : 0);
  else if (argc > 1 && strcmp(argv[1], "molecules") == 0) {
    char temporary[BENCH_WEIGHTS_PATH] = "";
    molecules(argc > 2 ? argv[2] : "examples/molecules/fragments.json",
              argc > 3 ? argv[3] : bench_weights(temporary));
    if (temporary[0]) unlink(temporary);
  } else if (argc > 1 && strcmp(argv[1], "full") == 0)
    full_run(argc > 2 ? atoi(argv[2]) : 15625);
  else {
    interning();
    scenarios();
  }
  return 0;
}
