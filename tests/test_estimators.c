// The result of the laboratory of gradient estimators: what is exact, against enumeration of all
// batches; its rows, options and errors.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "estimators_fixture.h"

static flv_estimators *measure(const flv_config *cfg, const flv_estimators_options *o) {
  flv_error err = {0};
  flv_estimators *e = flv_estimators_new(cfg, o, &err);
  if (!e) fail_msg("%s", err.text);
  return e;
}

static const flv_estimator *row_of(const flv_estimators *e, int64_t at, const char *objective,
                                   const char *weights, const char *baseline, const char *behaviour,
                                   int batch, const char *policy) {
  const flv_estimator *found = NULL;
  for (int i = 0; i < e->n; i++) {
    const flv_estimator *r = &e->row[i];
    if (r->iteration != at || r->batch != batch || strcmp(r->objective, objective) != 0 ||
        strcmp(r->weights, weights) != 0 || strcmp(r->baseline, baseline) != 0 ||
        strcmp(r->behaviour, behaviour) != 0 || strcmp(r->policy, policy) != 0)
      continue;
    assert_null(found);
    found = r;
  }
  if (!found)
    fail_msg("no row %s %s %s %s %d %s", objective, weights, baseline, behaviour, batch, policy);
  return found;
}

static void compare(const world *w, const estimator *e, const flv_estimator *r) {
  const int side = is(r->policy, "P_B");
  moments x;
  double g[MAX_MOVES], gap[MAX_MOVES];
  enumerate(w, e, side, r->batch, &x);
  true_gradient(w, e->objective, side, g);
  for (int m = 0; m < w->moves; m++) gap[m] = x.mean[m] - g[m];
  assert_true(r->exact);
  near(r->mean_norm, norm(x.mean, w->moves), 1e-10);
  near(r->true_norm, norm(g, w->moves), 1e-10);
  near(r->bias, norm(gap, w->moves), 1e-10);
  near(r->trace, x.trace, 1e-10);
  if (x.trace > 1e-12) near(r->snr, norm(x.mean, w->moves) / sqrt(x.trace), 1e-9);
}

static const int64_t points[] = {0, 7};
static const char *const weights_words[] = {"none", "plain", "self_normalised", "clipped"};
static const char *const baseline_words[] = {"none", "local", "global", "leave_one_out"};

static void exact_is_enumeration(void **state) {
  (void)state;
  static const int sizes[] = {1, 2, 3};
  static const struct {
    const char *name;
    double epsilon;
  } behaviours[] = {{"on_policy", 0.0}, {"epsilon=0.3", 0.3}};
  flv_config *cfg = configure(SETTINGS(SMALL_GRID));
  const flv_estimators_options o = {.at = points,
                                    .n_at = 2,
                                    .batch = sizes,
                                    .n_batch = 3,
                                    .large = 32,
                                    .repeats = 2,
                                    .objectives = "tb,reverse_kl,forward_kl",
                                    .baselines = "none,local,global,leave_one_out",
                                    .behaviours = "on_policy, epsilon=0.3"};
  flv_estimators *e = measure(cfg, &o);
  assert_true(e->logits && e->true_exact);
  for (int b = 0; b < 2; b++) {
    world w;
    open_world(&w, cfg, AT_7, behaviours[b].epsilon);
    for (int n = 1; n <= 3; n++) {
      for (int side = 0; side < 2; side++) {
        const char *policy = side == 0 ? "P_F" : "P_B", *pi = behaviours[b].name;
        const estimator tb = {"tb", "-", "-", 0.0};
        compare(&w, &tb, row_of(e, AT_7, "tb", "-", "-", pi, n, policy));
        for (int k = 0; k < 4; k++) {
          for (int l = 0; l < 4; l++) { // one policy of each has a score term
            const estimator r = {"reverse_kl", weights_words[k], baseline_words[l], 0.0};
            const estimator f = {"forward_kl", weights_words[k], baseline_words[l], 0.0};
            if (side == 0 || l == 0)
              compare(&w, &r,
                      row_of(e, AT_7, "reverse_kl", r.weights, side == 0 ? r.baseline : "-", pi, n,
                             policy));
            if (side == 1 || l == 0)
              compare(&w, &f,
                      row_of(e, AT_7, "forward_kl", f.weights, side == 1 ? f.baseline : "-", pi, n,
                             policy));
          }
        }
      }
    }
    close_world(&w);
  }
  flv_estimators_free(e);
  flv_config_free(cfg);
}

// Batches of any size where the estimator is a mean over trajectories, and which have no bias.
static void large_batches(void **state) {
  (void)state;
  static const int sizes[] = {1, 16, 300};
  flv_config *cfg = configure(SETTINGS(SMALL_GRID));
  const flv_estimators_options o = {.at = points + 1,
                                    .n_at = 1,
                                    .batch = sizes,
                                    .n_batch = 3,
                                    .large = 300,
                                    .repeats = 2,
                                    .objectives = "tb,reverse_kl,tsallis:weighted_log_z=true",
                                    .weights = "none,plain,clipped",
                                    .behaviours = "on_policy,exit_bias=1"};
  flv_estimators *e = measure(cfg, &o);
  static const char *const behaviours[] = {"on_policy", "exit_bias=1"};
  for (int b = 0; b < 2; b++) {
    for (int k = 1; k < 3; k++) {
      const char *pi = behaviours[b];
      const flv_estimator *one = row_of(e, AT_7, "tb", "-", "-", pi, 1, "P_F");
      const flv_estimator *r = row_of(e, AT_7, "tb", "-", "-", pi, sizes[k], "P_F");
      assert_true(r->exact && r->bias < 1e-10);
      near(r->trace * sizes[k], one->trace, 1e-9);
      r = row_of(e, AT_7, "reverse_kl", "plain", "global", pi, sizes[k], "P_F");
      assert_true(r->exact && r->bias < 1e-10);
      near(r->trace * sizes[k],
           row_of(e, AT_7, "reverse_kl", "plain", "global", pi, 1, "P_F")->trace, 1e-9);
      r = row_of(e, AT_7, "reverse_kl", "clipped", "none", pi, sizes[k], "P_F");
      assert_true(r->exact);
      // not linear in log-ratios, yet a mean over trajectories
      r = row_of(e, AT_7, "tsallis:weighted_log_z=true", "plain", "none", pi, sizes[k], "P_B");
      assert_true(r->exact);
      near(r->trace * sizes[k],
           row_of(e, AT_7, "tsallis:weighted_log_z=true", "plain", "none", pi, 1, "P_B")->trace,
           1e-9);
    }
  }
  // the local baseline shrinks the gradient by (B-1)/B
  const flv_estimator *r = row_of(e, AT_7, "reverse_kl", "none", "local", "on_policy", 16, "P_F");
  near(r->bias, r->true_norm / 16.0, 1e-10);
  flv_estimators_free(e);
  flv_config_free(cfg);
}

// c* = E[f ||w h||^2] / E ||w h||^2 for batches that are means, and no other scalar does better.
static void optimal_scalar(void **state) {
  (void)state;
  static const int sizes[] = {1, 2};
  flv_config *cfg = configure(SETTINGS(SMALL_GRID));
  const flv_estimators_options o = {.at = points + 1,
                                    .n_at = 1,
                                    .batch = sizes,
                                    .n_batch = 2,
                                    .large = 32,
                                    .repeats = 2,
                                    .objectives = "reverse_kl,forward_kl",
                                    .baselines = "global,optimal",
                                    .behaviours = "epsilon=0.3"};
  flv_estimators *e = measure(cfg, &o);
  world w;
  open_world(&w, cfg, AT_7, 0.3);
  double top = 0.0, bottom = 0.0;
  for (int i = 0; i < w.n; i++) {
    const double h2 = pow(norm(w.h[0][i], w.moves), 2.0);
    const double weight = exp(2.0 * w.log_pf[i] - w.log_pi[i]); // pi u^2
    top += weight * h2 * w.c[i];
    bottom += weight * h2;
  }
  for (int n = 1; n <= 2; n++) {
    for (int k = 1; k < 3; k++) { // plain, self_normalised
      const flv_estimator *best =
          row_of(e, AT_7, "reverse_kl", weights_words[k], "optimal", "epsilon=0.3", n, "P_F");
      const flv_estimator *global =
          row_of(e, AT_7, "reverse_kl", weights_words[k], "global", "epsilon=0.3", n, "P_F");
      if (k == 1) near(best->scalar, top / bottom, 1e-8);
      assert_true(best->trace < global->trace);
      estimator x = {"reverse_kl", weights_words[k], "constant", best->scalar};
      compare(&w, &x, best);
      for (int sign = -1; sign <= 1; sign += 2) {
        moments m;
        x.constant = best->scalar + 0.05 * sign;
        enumerate(&w, &x, 0, n, &m);
        assert_true(m.trace > best->trace);
      }
    }
    const flv_estimator *back =
        row_of(e, AT_7, "forward_kl", "plain", "optimal", "epsilon=0.3", n, "P_B");
    const estimator y = {"forward_kl", "plain", "constant", back->scalar};
    compare(&w, &y, back);
  }
  close_world(&w);
  flv_estimators_free(e);
  flv_config_free(cfg);
}

// A policy that is not old enough has no row; the age changes what is measured; ESS has its limit.
static void replayed(void **state) {
  (void)state;
  static const int one = 1;
  flv_config *cfg = configure(SETTINGS(SMALL_GRID));
  const flv_estimators_options o = {.at = points,
                                    .n_at = 2,
                                    .batch = &one,
                                    .n_batch = 1,
                                    .large = 64,
                                    .repeats = 2,
                                    .objectives = "reverse_kl,forward_kl",
                                    .weights = "plain,none",
                                    .baselines = "global",
                                    .behaviours = "on_policy,replay=3,replay=7"};
  flv_estimators *e = measure(cfg, &o);
  for (int i = 0; i < e->n; i++)
    assert_true(e->row[i].iteration == 7 || is(e->row[i].behaviour, "on_policy"));
  const flv_estimator *r3 = row_of(e, 7, "reverse_kl", "plain", "global", "replay=3", 1, "P_F");
  const flv_estimator *r7 = row_of(e, 7, "reverse_kl", "plain", "global", "replay=7", 1, "P_F");
  assert_true(r3->off_policy > 0.0 && r7->off_policy > r3->off_policy);
  assert_true(r7->bias < 1e-10 && r7->trace > r3->trace);
  // the policy of iteration 0 makes the trajectories
  world now, then;
  open_world(&now, cfg, 7, 0.0);
  open_world(&then, cfg, 0, 0.0);
  double pf = 0.0, pb = 0.0, squares = 0.0, sum = 0.0, kl = 0.0;
  for (int i = 0; i < now.n; i++) {
    const double q = exp(then.log_pf[i]);
    const double u = exp(now.log_pf[i] - then.log_pf[i]), w = exp(-now.c[i] - now.true_log_z);
    kl += q * (then.log_pf[i] - now.log_pf[i]);
    pf += q * u * u;
    pb += q * u * u * w * w;
    sum += q * w;
    squares += q * w * w;
  }
  near(r7->off_policy, kl, 1e-10);
  near(r7->ess_limit, 1.0 / pf, 1e-10);
  near(row_of(e, 7, "forward_kl", "plain", "-", "replay=7", 1, "P_F")->ess_limit, 1.0 / pb, 1e-10);
  near(row_of(e, 7, "forward_kl", "none", "-", "replay=7", 1, "P_F")->ess_limit,
       sum * sum / squares, 1e-10);
  near(row_of(e, 7, "reverse_kl", "none", "global", "replay=7", 1, "P_F")->ess_limit, 1.0, 1e-12);
  near(r7->ess, 1.0, 1e-12); // of one trajectory
  close_world(&now);
  close_world(&then);
  flv_estimators_free(e);
  flv_config_free(cfg);
}

// The number of threads changes no bit.
static void threads_agree(void **state) {
  (void)state;
  flv_config *cfg = configure(SETTINGS(SMALL_GRID));
  flv_estimators_options o = {
      .at = points + 1, .n_at = 1, .large = 64, .repeats = 2, .behaviours = "epsilon=0.3"};
  flv_estimators *e[2];
  for (int k = 0; k < 2; k++) {
    o.threads = 1 + 2 * k;
    e[k] = measure(cfg, &o);
  }
  assert_true(e[0]->n == e[1]->n && e[0]->n > 50);
  for (int i = 0; i < e[0]->n; i++) {
    const flv_estimator *a = &e[0]->row[i], *b = &e[1]->row[i];
    assert_string_equal(a->objective, b->objective);
    assert_string_equal(a->baseline, b->baseline);
    assert_memory_equal(&a->trace, &b->trace, sizeof a->trace);
    assert_memory_equal(&a->bias, &b->bias, sizeof a->bias);
    assert_memory_equal(&a->cosine, &b->cosine, sizeof a->cosine);
    assert_memory_equal(&a->cosine_true, &b->cosine_true, sizeof a->cosine_true);
    assert_memory_equal(&a->scalar, &b->scalar, sizeof a->scalar);
  }
  flv_estimators_free(e[0]);
  flv_estimators_free(e[1]);
  flv_config_free(cfg);
}

// ---- too many states; errors ----

static void parameters_where_states_are_too_many(void **state) {
  (void)state;
  static const int size = 8;
  static const int64_t end = 2;
  flv_config *cfg =
      configure(SETTINGS({"env.dim", "7"}, {"env.side", "32"}, {"policy.hidden", "[8]"},
                         {"batch", "4"}, {"objective", "subtb"}));
  flv_estimators_options o = {.at = &end,
                              .n_at = 1,
                              .batch = &size,
                              .n_batch = 1,
                              .large = 16,
                              .repeats = 2,
                              .objectives = "subtb,reverse_kl,renyi:alpha=0.9",
                              .weights = "self_normalised",
                              .baselines = "global,optimal",
                              .behaviours = "on_policy,epsilon=0.1,replay=2"};
  flv_estimators *e = measure(cfg, &o);
  assert_true(!e->logits && !e->true_exact);
  assert_int_equal(e->n, 3 * (2 + 3 + 4));
  for (int i = 0; i < e->n; i++) {
    const flv_estimator *r = &e->row[i];
    assert_true(!r->exact && r->trace > 0.0 && isfinite(r->trace) && r->true_norm > 0.0);
    assert_true(r->cosine >= -1.0 && r->cosine <= 1.0 && r->ess > 0.0 && r->ess <= 1.0);
    assert_true(is(r->behaviour, "on_policy") ? fabs(r->off_policy) < 1e-9
                                              : isfinite(r->off_policy));
  }
  flv_estimators_free(e);
  o.space = FLV_SPACE_LOGITS;
  flv_error err = {0};
  assert_null(flv_estimators_new(cfg, &o, &err));
  assert_non_null(strstr(err.text, "gradients of logits: "));
  flv_config_free(cfg);
}

static void refuses(const flv_config *cfg, flv_estimators_options o, const char *text) {
  flv_error err = {0};
  assert_null(flv_estimators_new(cfg, &o, &err));
  assert_int_equal(err.status, FLV_EINVAL);
  if (!strstr(err.text, text)) fail_msg("'%s' does not say '%s'", err.text, text);
}

static void errors(void **state) {
  (void)state;
  static const int big = 65;
  static const int64_t twice[] = {5, 5};
  flv_config *cfg = configure(SETTINGS(SMALL_GRID));
  const flv_estimators_options ok = {.large = 64, .repeats = 2};
#define REFUSES(text, ...)                                                                         \
  do {                                                                                             \
    flv_estimators_options o = ok;                                                                 \
    __VA_ARGS__;                                                                                   \
    refuses(cfg, o, text);                                                                         \
  } while (0)
  REFUSES("there is no 'xyzzy'", o.objectives = "tb,xyzzy");
  REFUSES("'db' reads log F", o.objectives = "db");
  REFUSES("'soft_dqn' reads flows", o.objectives = "soft_dqn");
  REFUSES("expected tb:KEY=VALUE", o.objectives = "tb:colour=red");
  REFUSES("tb:loss=cubed", o.objectives = "tb:loss=cubed");
  REFUSES("baselines: 'best': expected none|local|global|leave_one_out|constant or optimal",
          o.baselines = "best");
  REFUSES("weights: 'heavy'", o.weights = "heavy");
  REFUSES("behaviours: 'epsilon=2': expected", o.behaviours = "on_policy,epsilon=2");
  REFUSES("behaviours: 'replay=0.5'", o.behaviours = "replay=0.5");
  REFUSES("behaviours: none is named", o.behaviours = ",");
  REFUSES("none is named", o.objectives = "");
  REFUSES("batch: 65: expected 1 to 64", o.batch = &big; o.n_batch = 1);
  REFUSES("at: expected increasing", o.at = twice; o.n_at = 2);
  REFUSES("repeats: 1", o.repeats = 1);
  REFUSES("no point", o.at = points; o.n_at = 2; o.behaviours = "replay=100");
#undef REFUSES
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exact_is_enumeration),
      cmocka_unit_test(large_batches),
      cmocka_unit_test(optimal_scalar),
      cmocka_unit_test(replayed),
      cmocka_unit_test(threads_agree),
      cmocka_unit_test(parameters_where_states_are_too_many),
      cmocka_unit_test(errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
