// Assessments: where objects come from, distances between them, the best k; threads, training,
// memory, progress.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "exact/evaluate.h"
#include "assess_fixture.h"
#include "metrics/mmd.h"
#include "subsets.h"

// ---- objects ----

static void must_draw(flv_trainer *t, uint64_t stream, int64_t n, const flv_drawn *out) {
  flv_error err = {0};
  if (flv_draw_forward(t, stream, n, out, NULL, &err) != FLV_OK) fail_msg("%s", err.text);
}

static void sources(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_assessment a, before = {.objects = -7};
  flv_trainer *t = half_trained(1, 5);
  const flv_assess_options replay = {.samples = 100, .source = FLV_SOURCE_REPLAY, .backward = 3};
  a = before;
  assert_int_equal(flv_trainer_assess(t, &replay, &a, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "replay buffer is empty"));
  assert_int_equal(a.objects, -7); // a failed call changes nothing
  const flv_assess_options given = {.source = FLV_SOURCE_GIVEN};
  assert_int_equal(flv_trainer_assess(t, &given, &a, &err), FLV_EINVAL);
  a = assess(t, &(flv_assess_options){
                    .samples = 100, .objects = 400, .source = FLV_SOURCE_SAMPLER, .backward = 3});
  assert_int_equal(a.source, FLV_SOURCE_SAMPLER);
  assert_int_equal(a.objects, 100); // not more than there are samples
  assert_true(isnan(a.eubo.value) && isnan(a.mmd2) && isnan(a.bandwidth));
  assert_true(isfinite(a.log_p.value) && isfinite(a.pearson.value) && isfinite(a.spearman.value));
  static const struct {
    flv_assess_options options;
    const char *text;
  } bad[] = {{{.samples = -1}, "samples: -1"},
             {{.samples = INT64_C(1) << 40}, "samples"},
             {{.objects = -1}, "objects"},
             {{.backward = -2}, "backward: -2"},
             {{.top_k = -2}, "top_k"},
             {{.bandwidth = -1.0}, "bandwidth: -1"},
             {{.objects = 1 << 20, .backward = 1 << 20}, "too many"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_equal(flv_trainer_assess(t, &bad[i].options, &a, &err), FLV_EINVAL);
    if (!strstr(err.text, bad[i].text)) fail_msg("'%s' without '%s'", err.text, bad[i].text);
  }
  flv_trainer_free(t);

  flv_trainer *r = make(1, SETTINGS({"env.side", "5"}, {"batch", "16"}, {"replay.capacity", "40"}));
  for (int i = 0; i < 6; i++) step(r, NULL);
  a = assess(r, &replay);
  assert_int_equal(a.source, FLV_SOURCE_REPLAY);
  assert_int_equal(a.objects, 40);
  assert_true(isnan(a.eubo.value) && isfinite(a.log_p.value));
  // every trajectory held, once: the exact mean is over their objects
  const flv_exact *exact;
  assert_int_equal(flv_exact_of(r, &exact, &err), FLV_OK);
  double sum = 0.0;
  for (int i = 0; i < 40; i++) {
    uint64_t state = 0;
    int64_t index;
    for (int j = 0; j < r->collector.replay.length[i]; j++)
      r->env->ops->step(r->env, 1, &state,
                        &r->collector.replay.action[i * r->collector.replay.width + j]);
    r->env->ops->index(r->env, 1, &state, &index);
    sum += exact->log_p[index] / 40.0;
  }
  assert_close(a.log_p.exact, sum, 1e-12, "replayed objects");
  flv_trainer_free(r);

  r = make(1, SETTINGS({"env.side", "5"}, {"batch", "16"}, {"replay", "terminal"}));
  for (int i = 0; i < 2; i++) step(r, NULL);
  a = assess(r, &replay);
  const flv_recent *held = &r->collector.replay.recent;
  assert_int_equal(a.objects, *held->added);
  assert_int_equal(flv_exact_of(r, &exact, &err), FLV_OK);
  sum = 0.0;
  for (int i = 0; i < a.objects; i++) {
    int64_t index;
    r->env->ops->index(r->env, 1, held->records + (size_t)i * held->record_size, &index);
    sum += exact->log_p[index] / (double)a.objects;
  }
  assert_close(a.log_p.exact, sum, 1e-12, "objects of the buffer");
  flv_trainer_free(r);
}

static void states_that_are_no_objects(void **unused) {
  (void)unused;
  const flv_reward reward = subsets_reward();
  flv_error err = {0};
  flv_config *cfg = configure(SETTINGS({"batch", "4"}));
  double log_p[4];
  for (int enumerable = 0; enumerable < 2; enumerable++) {
    const flv_env env = subsets_env(enumerable);
    flv_trainer *t = flv_trainer_new(cfg, &env, &reward, 1, &err);
    assert_non_null(t);
    const subset x[] = {{0x07}, {0x38}, {0x0f}}, few[] = {{0x03}};
    assert_int_equal(flv_trainer_log_p(t, 0, 2, x, 5, log_p, NULL, &err), FLV_OK);
    assert_int_equal(flv_trainer_log_p(t, 0, 3, x, 5, log_p, NULL, &err), FLV_EINVAL);
    assert_non_null(strstr(err.text, "object 3 "));
    assert_int_equal(flv_trainer_log_p(t, 0, 1, few, 5, log_p, NULL, &err), FLV_EINVAL);
    const flv_assess_options options = {.samples = 10, .states = x, .n_states = 3};
    flv_assessment a;
    assert_int_equal(flv_trainer_assess(t, &options, &a, &err), FLV_EINVAL);
    flv_trainer_free(t);
  }
  flv_config_free(cfg);
}

// ---- distances between objects, the best, modes ----

// Coordinates of a grid; indicators where hot indices are no coordinates.
static void mmd_in_coordinates(void **unused) {
  (void)unused;
  enum { M = 300 };
  flv_error err = {0};
  flv_trainer *maker = half_trained(1, 10);
  flv_env plain = *maker->env;
  plain.shape.n = 0;
  plain.n_states = 0;
  for (int grid = 0; grid < 2; grid++) {
    flv_config *cfg = configure(SETTINGS({"batch", "64"}));
    flv_trainer *t = flv_trainer_new(cfg, grid ? maker->env : &plain, maker->reward, 1, &err);
    if (!t) fail_msg("%s", err.text);
    uint64_t x[M], y[M];
    assert_int_equal(flv_trainer_sample(maker, 4, M, x, NULL, &err), FLV_OK);
    must_draw(t, 9, M, &(flv_drawn){.states = y});
    const int d = grid ? 2 : 2 * EDGE;
    double *points = calloc(2 * M * (size_t)d, sizeof *points);
    double *scratch = calloc(flv_mmd_pairs(M, M) + 6 * M, sizeof *scratch);
    for (int i = 0; i < 2 * M; i++) {
      int64_t index;
      maker->env->ops->index(maker->env, 1, i < M ? &x[i] : &y[i - M], &index);
      const int at[2] = {(int)(index / EDGE), (int)(index % EDGE)};
      for (int k = 0; k < 2; k++)
        points[i * d + (grid ? k : k * EDGE + at[k])] = grid ? (double)at[k] : 1.0;
    }
    for (int fixed = 0; fixed < 2; fixed++) {
      const flv_assessment a = assess(t, &(flv_assess_options){.samples = M,
                                                               .backward = 1,
                                                               .states = x,
                                                               .n_states = M,
                                                               .bandwidth = fixed ? 2.5 : 0.0,
                                                               .stream = 9});
      const double h = fixed ? 2.5 : flv_mmd_bandwidth(M, points, M, points + M * d, d, scratch);
      const flv_mmd m = flv_mmd_gaussian(M, points, M, points + M * d, d, h, 1, scratch);
      assert_close(a.bandwidth, h, 0.0, "bandwidth");
      assert_close(a.mmd2, m.unbiased, 0.0, "MMD^2");
      assert_close(a.mmd2_biased, m.biased, 0.0, "MMD^2, biased");
      assert_close(a.mmd2_noise, m.noise, 0.0, "noise");
    }
    free(points);
    free(scratch);
    flv_config_free(cfg);
    flv_trainer_free(t);
  }
  flv_trainer_free(maker);
}

// Against another draw from the sampler itself, nothing is to be seen; against the target, an
// untrained sampler is caught.
static void mmd_sees_a_difference(void **unused) {
  (void)unused;
  enum { M = 1500 };
  flv_error err = {0};
  flv_trainer *t = half_trained(1, 0);
  uint64_t *x = calloc(M, sizeof *x);
  assert_int_equal(flv_trainer_sample(t, 4, M, x, NULL, &err), FLV_OK);
  const flv_assessment same =
      assess(t, &(flv_assess_options){.samples = M, .backward = 1, .states = x, .n_states = M});
  const flv_assessment other =
      assess(t, &(flv_assess_options){.samples = M, .backward = 1, .objects = M});
  assert_close(same.mmd2, 0.0, 4.0 * same.mmd2_noise, "MMD^2 of two draws");
  assert_true(other.mmd2 > 20.0 * other.mmd2_noise);
  free(x);
  flv_trainer_free(t);
}

static void the_best_and_the_modes(void **unused) {
  (void)unused;
  enum { N = 40 };
  flv_trainer *t = half_trained(1, 5);
  uint64_t y[N];
  double log_r[N];
  must_draw(t, 3, N, &(flv_drawn){.states = y, .log_r = log_r});
  const flv_assessment a =
      assess(t, &(flv_assess_options){.samples = N, .backward = 1, .top_k = 6, .stream = 3});
  int distinct = 0, found = 0, modes = 0;
  double best[N], all[SPACE];
  uint64_t space[SPACE];
  int64_t index[SPACE];
  for (int i = 0; i < SPACE; i++) index[i] = i;
  t->env->ops->at(t->env, SPACE, index, space);
  assert_int_equal(flv_reward_log(t->reward, t->env, SPACE, space, all, NULL), FLV_OK);
  for (int i = 0; i < N; i++) {
    bool known = false;
    for (int j = 0; j < i; j++) known |= y[j] == y[i];
    if (!known) best[distinct++] = log_r[i];
  }
  for (int i = 0; i < distinct; i++) {
    int better = 0;
    for (int j = 0; j < SPACE; j++) better += all[j] > best[i] + 1e-12;
    found += better < 6;
  }
  for (int m = 0; m < 4; m++) {
    uint8_t seen[4] = {0};
    for (int i = 0; i < N; i++) t->reward->mark_modes(t->reward, t->env, &y[i], seen);
    modes += seen[m];
  }
  assert_int_equal(a.distinct, distinct);
  assert_close(a.top_found, found < 6 ? found : 6, 0.0, "the best found");
  assert_int_equal(a.modes_seen, modes);
  assert_int_equal(a.top_k, 6);
  flv_trainer_free(t);
}

// ---- threads, training, memory, progress ----

static void assert_same_estimate(flv_estimate a, flv_estimate b) {
  assert_memory_equal(&a.value, &b.value, sizeof a.value);
  assert_memory_equal(&a.error, &b.error, sizeof a.error);
  assert_memory_equal(&a.exact, &b.exact, sizeof a.exact);
}

static void threads_do_not_change_bits(void **unused) {
  (void)unused;
  flv_assessment a[3];
  for (int k = 0; k < 3; k++) {
    flv_trainer *t = make(k + 1, SETTINGS({"env.dim", "4"}, {"env.side", "6"}, {"batch", "400"}));
    step(t, NULL);
    a[k] = assess(t, &(flv_assess_options){.samples = 2000, .objects = 300, .backward = 20});
    flv_trainer_free(t);
  }
  for (int k = 1; k < 3; k++) {
    assert_same_estimate(a[0].elbo, a[k].elbo);
    assert_same_estimate(a[0].log_z, a[k].log_z);
    assert_same_estimate(a[0].eubo, a[k].eubo);
    assert_same_estimate(a[0].log_p, a[k].log_p);
    assert_same_estimate(a[0].pearson, a[k].pearson);
    assert_same_estimate(a[0].spearman, a[k].spearman);
    assert_true(a[0].log_p_error == a[k].log_p_error && a[0].mmd2 == a[k].mmd2);
    assert_true(a[0].mmd2_noise == a[k].mmd2_noise && a[0].ess == a[k].ess);
  }
}

static void training_goes_on_as_before(void **unused) {
  (void)unused;
  flv_trainer *t[2];
  for (int k = 0; k < 2; k++) {
    t[k] = make(1, SETTINGS({"env.side", "6"}, {"batch", "32"}, {"replay.capacity", "100"},
                            {"exploration.epsilon", "0.2"}, {"objective", "modified_db"}));
    for (int i = 0; i < 10; i++) {
      step(t[k], NULL);
      if (k == 1)
        assess(t[k],
               &(flv_assess_options){.samples = 50,
                                     .objects = 20,
                                     .backward = 3,
                                     .source = i % 2 ? FLV_SOURCE_REPLAY : FLV_SOURCE_TARGET});
    }
  }
  assert_same_state(t[0], t[1]);
  flv_trainer_free(t[0]);
  flv_trainer_free(t[1]);
}

static void every_allocation_may_fail(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  int failures = 0;
  for (long k = 0;; k++) {
    flv_error err = {0};
    flv_trainer *t = half_trained(1, 0);
    flv_assessment a = {.objects = -7};
    const flv_assess_options options = {.samples = 300, .objects = 40, .backward = 3};
    alloc_fail(k);
    const flv_status status = flv_trainer_assess(t, &options, &a, &err);
    const bool done = alloc_none_failed();
    flv_trainer_free(t);
    if (done) {
      assert_int_equal(status, FLV_OK);
      break;
    }
    if (status == FLV_OK) continue; // the C library's sort does without
    failures++;
    assert_int_equal(status, FLV_ENOMEM);
    assert_int_equal(err.status, FLV_ENOMEM);
    assert_int_equal(a.objects, -7);
  }
  assert_true(failures >= 6);
}

static void note(void *user, double done) {
  double *last = user;
  assert_true(done > last[0] && done <= 1.0);
  last[0] = done;
  last[1]++;
}

static void progress_is_told(void **unused) {
  (void)unused;
  double last[2] = {0};
  flv_trainer *t = half_trained(1, 0);
  assess(t, &(flv_assess_options){
                .samples = 2000, .objects = 100, .backward = 10, .progress = note, .user = last});
  assert_true(last[0] == 1.0 && last[1] == 8 + 4); // groups of 256
  assess(t, NULL);
  flv_trainer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sources),
      cmocka_unit_test(states_that_are_no_objects),
      cmocka_unit_test(mmd_in_coordinates),
      cmocka_unit_test(mmd_sees_a_difference),
      cmocka_unit_test(the_best_and_the_modes),
      cmocka_unit_test(threads_do_not_change_bits),
      cmocka_unit_test(training_goes_on_as_before),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(progress_is_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
