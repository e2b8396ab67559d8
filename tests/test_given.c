// Given objects: what is no object is refused by its row, draws have the density that is recorded,
// and training on them finds the distribution of the file.
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
#include "learn/trainer_impl.h"
#include "scratch.h"
#include "subsets.h"
#include "train_setup.h"

// Objects of a 4x4 grid, nine rows, six of them distinct.
static const char nine[] = "x0,x1,log_r\n0,0,1\n3,1,0\n3,1,0\n2,2,0\n0,0,5\n1,3,0\n0,0,5\n2,0,1\n"
                           "0,1,1\n";
static const struct {
  int x, y;
  double q;
} rows[] = {{0, 0, 3.0 / 9}, {3, 1, 2.0 / 9}, {2, 2, 1.0 / 9},
            {1, 3, 1.0 / 9}, {2, 0, 1.0 / 9}, {0, 1, 1.0 / 9}};
enum { DISTINCT = sizeof rows / sizeof *rows };

static void assert_refused(const flv_env *env, const flv_reward *reward, int n,
                           const setting *settings, const char *text) {
  flv_error err = {0};
  flv_config *cfg = configure(n, settings);
  assert_null(flv_trainer_new(cfg, env, reward, 1, &err));
  assert_true(err.status == FLV_EINVAL || err.status == FLV_EIO);
  if (!strstr(err.text, text)) fail_msg("'%s' without '%s'", err.text, text);
  flv_config_free(cfg);
}

// One object from which no way leads back.
static bool broken(const subset *s) { return s->items == 0x2a; }
static void broken_mask_back(const flv_env *env, int n, const void *states, uint8_t *mask) {
  subsets_ops.mask_back(env, n, states, mask);
  for (int i = 0; i < n; i++)
    if (broken((const subset *)states + i)) memset(mask + i * ITEMS, 0, ITEMS);
}

static void what_is_no_object(void **unused) {
  (void)unused;
  assert_refused(NULL, NULL, SETTINGS({"data.path", "no/such.csv"}), "no/such.csv");
  assert_refused(NULL, NULL,
                 SETTINGS({"env.side", "4"}, {"data.path", write_text("a.csv", "0,1\n0,4\n")}),
                 "row 2, column 2: 4 is not a whole number from 0 to 3");
  assert_refused(
      NULL, NULL,
      SETTINGS({"env.side", "4"}, {"data.path", write_text("b.csv", "1,1,1,1\n1,1,1,1\n")}),
      "4 numbers in a row");
  const flv_env env = subsets_env(true);
  const flv_reward reward = subsets_reward();
  assert_refused(&env, &reward,
                 SETTINGS({"data.path", write_text("c.csv", "1,1,1,0,0,0\n0,0,1,1,0,0\n")}),
                 "c.csv: row 2 is a state of 'subsets', but no object: it goes on");
  assert_refused(&env, &reward,
                 SETTINGS({"data.path", write_text("d.csv", "1,1,1,0,0,0\n1,0,1,1,1,0\n")}),
                 "d.csv: row 2 is a state of 'subsets', but no object");
  flv_env_ops ops = subsets_ops;
  ops.mask_back = broken_mask_back;
  flv_env other = env;
  other.ops = &ops;
  assert_refused(&other, &reward,
                 SETTINGS({"data.path", write_text("e.csv", "1,1,1,0,0,0\n0,1,0,1,0,1\n")}),
                 "data.path: ");
  assert_refused(&other, &reward,
                 SETTINGS({"data.path", write_text("e.csv", "1,1,1,0,0,0\n0,1,0,1,0,1\n")}),
                 "e.csv: row 2: no trajectory of 'subsets' leads to it from the initial state");
  other = env;
  other.max_length = SIZE - 1; // there is a way, but longer than any trajectory
  assert_refused(&other, &reward,
                 SETTINGS({"data.path", write_text("k.csv", "1,1,1,0,0,0\n0,1,0,1,0,1\n")}),
                 "k.csv: row 1: no trajectory of 'subsets' leads to it");
  assert_refused(NULL, NULL, SETTINGS({"objective", "mle"}),
                 "objective: 'mle' learns from objects: it needs data.path, or replay: terminal");
  assert_refused(NULL, NULL,
                 SETTINGS({"objective", "mle"}, {"replay", "terminal"}, {"replay.capacity", "0"}),
                 "it needs data.path");
  assert_refused(NULL, NULL,
                 SETTINGS({"env.side", "4"}, {"backward", "pessimistic"},
                          {"data.path", write_text("f.csv", nine)}),
                 "backward: pessimistic learns from fresh trajectories; with data.fraction 1");
}

static void walker_takes_every_object(void **unused) {
  (void)unused;
  const flv_env env = subsets_env(true);
  const flv_reward reward = subsets_reward();
  flv_config *cfg =
      configure(SETTINGS({"data.path", write_text("g.csv", "1,1,1,0,0,0\n0,1,0,1,0,1\n")}));
  flv_error err = {0};
  flv_trainer *t = flv_trainer_new(cfg, &env, &reward, 1, &err);
  if (!t) fail_msg("%s", err.text);
  step(t, NULL);
  flv_trainer_free(t);
  flv_config_free(cfg);
}

// Which objects are drawn how often, and with which log_pi; fresh and replayed ones before them.
static void draws_and_their_density(void **unused) {
  (void)unused;
  const char *path = write_text("nine.csv", nine);
  flv_trainer *t = make(1, SETTINGS({"env.side", "4"}, {"batch", "40"}, {"data.path", path},
                                    {"data.fraction", "0.75"}, {"replay.capacity", "100"},
                                    {"objective", "mixed_kl"}, {"optimiser.lr", "1e-5"}));
  double count[DISTINCT] = {0}, chi = 0.0;
  const int batches = 500;
  for (int k = 0; k < batches; k++) {
    step(t, NULL);
    const flv_batch *b = &t->batch;
    assert_int_equal(b->n, 40);
    assert_int_equal(t->collector.replay.drawn, k == 0 ? 0 : 5);
    for (int i = 10; i < 40; i++) {
      const flv_trajectories *in = &t->score.in;
      const uint16_t *x = (const void *)flv_batch_state(b, flv_batch_last(b, i));
      double log_pi = 0.0;
      int at = 0;
      while (at < DISTINCT && (rows[at].x != x[0] || rows[at].y != x[1])) at++;
      assert_true(at < DISTINCT);
      for (int p = b->offset[i] + 1; p < b->offset[i + 1]; p++) log_pi += in->log_pb[p];
      assert_true(fabs(b->log_pi[i] - log(rows[at].q) - log_pi) < 1e-12);
      count[at] += 1.0;
    }
  }
  assert_int_equal(t->trajectories, 40 + (batches - 1) * 35);
  for (int i = 0; i < DISTINCT; i++) {
    const double expected = rows[i].q * 30 * batches;
    chi += (count[i] - expected) * (count[i] - expected) / expected;
  }
  if (chi > 5 + 4.5 * sqrt(10.0)) fail_msg("chi-square %g", chi);
  flv_trainer_free(t);
}

// Total variation between what is sampled and the file's distribution.
static double distance(flv_trainer *t) {
  double p[16], tv = 0.0;
  flv_error err = {0};
  assert_int_equal(flv_trainer_distribution(t, p, NULL, &err), FLV_OK);
  for (int s = 0; s < 16; s++) {
    double q = 0.0;
    for (int i = 0; i < DISTINCT; i++)
      if (rows[i].x * 4 + rows[i].y == s) q = rows[i].q;
    tv += 0.5 * fabs(p[s] - q);
  }
  return tv;
}

// The reward is another one (corners), and makes no difference. The loss comes down to the entropy
// of the file where P_B can become P_F's posterior.
static void likelihood_finds_the_file(void **unused) {
  (void)unused;
  static const char *const p_b[] = {"uniform", "learned", "tied"};
  const char *path = write_text("nine.csv", nine);
  double entropy = 0.0;
  for (int i = 0; i < DISTINCT; i++) entropy -= rows[i].q * log(rows[i].q);
  for (int k = 0; k < 3; k++) {
    flv_trainer *t =
        make(1, SETTINGS({"env.side", "4"}, {"objective", "mle"}, {"data.path", path},
                         {"policy.p_b", p_b[k]}, {"policy.hidden", "[32]"},
                         {"optimiser.lr", "0.01"}, {"schedule", "cosine"}, {"iterations", "1500"}));
    double loss = 0.0;
    flv_stats stats;
    for (int i = 0; i < 1500; i++) {
      step(t, &stats);
      if (i >= 1300) loss += stats.loss / 200.0;
    }
    printf("P_B %s: total variation %.4f, loss %.4f, entropy %.4f\n", p_b[k], distance(t), loss,
           entropy);
    assert_true(distance(t) < 0.02);
    assert_true(fabs(loss - entropy) < 0.05);
    assert_true(stats.log_z == 0.0);
    flv_trainer_free(t);
  }
}

// Objectives that aim at R/Z do so from given objects too, if these are everywhere.
static void others_find_the_target(void **unused) {
  (void)unused;
  static const char *const objective[] = {"tb", "db", "forward_kl", "log_variance"};
  char all[600] = "";
  for (int s = 0; s < 25; s++) {
    char line[16];
    snprintf(line, sizeof line, "%d,%d\n", s / 5, s % 5);
    strcat(all, line);
  }
  const char *path = write_text("all.csv", all);
  for (int k = 0; k < 4; k++) {
    flv_trainer *t =
        make(1, SETTINGS({"env.side", "5"}, {"reward.r0", "0.1"}, {"objective", objective[k]},
                         {"data.path", path}, {"policy.hidden", "[32]"}, {"optimiser.lr", "0.005"},
                         {"schedule", "cosine"}, {"iterations", "1200"}));
    for (int i = 0; i < 1200; i++) step(t, NULL);
    flv_error err = {0};
    flv_evaluation e;
    assert_int_equal(flv_trainer_evaluate(t, 0, &e, &err), FLV_OK);
    printf("%s from all objects: JSD %.1e\n", objective[k], e.jsd);
    if (!(e.jsd < 2e-3)) fail_msg("%s: JSD %g", objective[k], e.jsd);
    flv_trainer_free(t);
  }
}

static void the_same_bits(void **unused) {
  (void)unused;
  enum { MAX = 192 };
  const char *path = write_text("nine.csv", nine);
  flv_trainer *t[3];
  for (int k = 0; k < 3; k++)
    t[k] = make(k + 1, SETTINGS({"env.side", "4"}, {"batch", "300"}, {"data.path", path},
                                {"objective", "mle"}, {"data.fraction", "0.7"},
                                {"replay", "terminal"}, {"policy.p_b", "tied"}));
  for (int i = 0; i < 8; i++)
    for (int k = 0; k < 2; k++) step(t[k], NULL);
  assert_same_state(t[0], t[1]);
  flv_tensor from[MAX], to[MAX]; // and a third takes over
  const int n = flv_trainer_tensors(t[0], from, MAX);
  flv_trainer_tensors(t[2], to, MAX);
  for (int i = 0; i < n; i++) memcpy(to[i].data, from[i].data, tensor_bytes(&from[i]));
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < 3; k++) step(t[k], NULL);
  assert_same_state(t[0], t[1]);
  assert_same_state(t[0], t[2]);
  for (int k = 0; k < 3; k++) flv_trainer_free(t[k]);
}

static void every_allocation_may_fail(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  const flv_env env = subsets_env(true);
  flv_config *cfg = configure(
      SETTINGS({"data.path", write_text("h.csv", "1,1,1,0,0,0\n0,1,0,1,0,1\n1,1,1,0,0,0\n")}));
  int failures = 0;
  for (long k = 0;; k++) {
    flv_error err = {0};
    flv_given given = {0};
    alloc_fail(k);
    const flv_status status = flv_given_init(&given, flv_config_values(cfg, "data"), &env, 4, &err);
    const bool done = alloc_none_failed();
    if (status == FLV_OK) assert_int_equal(given.n, 3);
    failures += status != FLV_OK;
    assert_true(status == FLV_OK || (err.text[0] && given.block == NULL));
    flv_given_free(&given);
    if (done) break;
  }
  assert_true(failures >= 6);
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_no_object),         cmocka_unit_test(walker_takes_every_object),
      cmocka_unit_test(draws_and_their_density),   cmocka_unit_test(likelihood_finds_the_file),
      cmocka_unit_test(others_find_the_target),    cmocka_unit_test(the_same_bits),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
