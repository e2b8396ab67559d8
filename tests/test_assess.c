// Assessments against exact values: every trajectory of a small problem enumerated, with the
// policy's own probabilities; repeated draws for the errors.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exact/evaluate.h"
#include "assess_fixture.h"
#include "metrics/correlation.h"
#include "subsets.h"

// ---- the truth ----

enum { MAX_STATES = 64, MAX_ACTIONS = 8 };

typedef struct truth {
  const flv_env *env;
  int n;
  double log_pf[MAX_STATES][MAX_ACTIONS], log_pb[MAX_STATES][MAX_ACTIONS];
  double log_r[MAX_STATES], log_z;
  bool object[MAX_STATES];
  double p_t[MAX_STATES], target[MAX_STATES];
  double elbo, elbo_var;                    // of log w under P_F
  double w2;                                // E_PF (w/Z)^2
  double mean[MAX_STATES], var[MAX_STATES]; // of log w under P_B(.|x)
  double eubo;                              // under x ~ R/Z too
  double ratio2[MAX_STATES];                // E_PB (P_F / P_B)^2
} truth;

// One trajectory, from its end x back to state s so far.
static void walk_back(truth *g, int64_t x, int64_t s, double log_pf, double log_pb) {
  const flv_env *env = g->env;
  uint64_t state = 0;
  uint8_t mask[MAX_ACTIONS];
  env->ops->at(env, 1, &s, &state);
  env->ops->mask_back(env, 1, &state, mask);
  if (s == 0) {
    const double log_w = g->log_r[x] + log_pb - log_pf, pf = exp(log_pf), pb = exp(log_pb);
    g->p_t[x] += pf;
    g->elbo += pf * log_w;
    g->elbo_var += pf * log_w * log_w;
    g->w2 += pf * exp(2.0 * (log_w - g->log_z));
    g->mean[x] += pb * log_w;
    g->var[x] += pb * log_w * log_w;
    g->ratio2[x] += pb * exp(2.0 * (log_pf - log_pb));
    return;
  }
  for (int32_t b = 0; b < env->n_back; b++) {
    if (!mask[b]) continue;
    uint64_t parent = state;
    int32_t action;
    int64_t index;
    env->ops->action_of(env, 1, &state, &b, &action);
    env->ops->unstep(env, 1, &parent, &b);
    env->ops->index(env, 1, &parent, &index);
    walk_back(g, x, index, log_pf + g->log_pf[index][action], log_pb + g->log_pb[s][b]);
  }
}

static truth *find_truth(flv_trainer *t, const flv_env *env, const flv_reward *reward) {
  truth *g = calloc(1, sizeof *g);
  flv_batch *b = &t->batch;
  g->env = env;
  g->n = (int)env->n_states;
  assert_true(g->n <= MAX_STATES && g->n <= b->max_rows && env->state_size == 8);
  flv_batch_clear(b);
  uint64_t states[MAX_STATES];
  uint8_t ends[MAX_STATES];
  for (int64_t s = 0; s < g->n; s++) {
    env->ops->at(env, 1, &s, &states[s]);
    assert_int_equal(flv_batch_row(b, &states[s], -1), s);
  }
  flv_batch_evaluate_rest(b, &t->policy, 1);
  env->ops->terminal(env, g->n, states, ends);
  assert_int_equal(flv_reward_log(reward, env, g->n, states, g->log_r, NULL), FLV_OK);
  double z = 0.0;
  for (int s = 0; s < g->n; s++) {
    const int a = env->n_actions, k = env->n_back;
    memcpy(g->log_pf[s], b->log_pf + s * a, (size_t)a * sizeof(double));
    memcpy(g->log_pb[s], b->log_pb + s * k, (size_t)k * sizeof(double));
    g->object[s] = env->exit_action >= 0 ? b->mask[s * a + env->exit_action] : ends[s];
    if (g->object[s]) z += exp(g->log_r[s]);
  }
  g->log_z = log(z);
  double total = 0.0;
  for (int s = 0; s < g->n; s++) {
    if (!g->object[s]) continue;
    walk_back(g, s, s, env->exit_action >= 0 ? g->log_pf[s][env->exit_action] : 0.0, 0.0);
    g->target[s] = exp(g->log_r[s]) / z;
    g->var[s] -= g->mean[s] * g->mean[s];
    g->eubo += g->target[s] * g->mean[s];
    total += g->p_t[s];
  }
  g->elbo_var -= g->elbo * g->elbo;
  assert_close(total, 1.0, 1e-9, "sum of P_T");
  return g;
}

// ---- values ----

// Within 4 errors of the truth, with errors that are the true ones within a tenth.
static void bounds_and_log_z(void **unused) {
  (void)unused;
  flv_trainer *t = half_trained(1, 40);
  truth *g = find_truth(t, t->env, t->reward);
  const int n = 40000, m = 5000, k = 6;
  const flv_assess_options options = {.samples = n, .objects = m, .backward = k};
  const flv_assessment a = assess(t, &options);
  print_message("log Z %.4f, ELBO %.4f, EUBO %.4f, ESS %.3f\n", g->log_z, g->elbo, g->eubo,
                1.0 / g->w2);
  assert_true(g->elbo < g->log_z - 0.05 && g->eubo > g->log_z + 0.05);
  assert_close(a.elbo.value, g->elbo, 4.0 * a.elbo.error, "ELBO");
  assert_close(a.elbo.error / sqrt(g->elbo_var / n), 1.0, 0.1, "error of the ELBO");
  assert_close(a.log_z.exact, g->log_z, 1e-12, "log Z, exact");
  assert_close(a.log_z.value, g->log_z, 4.0 * a.log_z.error, "log Z");
  assert_close(a.log_z.error / sqrt((g->w2 - 1.0) / n), 1.0, 0.1, "error of log Z");
  assert_close(a.ess * g->w2, 1.0, 0.1, "effective sample size");
  double within = 0.0, between = 0.0, log_p = 0.0;
  for (int x = 0; x < g->n; x++) {
    within += g->target[x] * g->var[x];
    between += g->target[x] * pow(g->mean[x] - g->eubo, 2.0);
    log_p += g->target[x] * log(g->p_t[x]);
  }
  assert_int_equal(a.source, FLV_SOURCE_TARGET);
  assert_int_equal(a.objects, m);
  assert_int_equal(a.backward, k);
  assert_close(a.eubo.value, g->eubo, 4.0 * a.eubo.error, "EUBO");
  assert_close(a.eubo.error / sqrt((between + within / k) / m), 1.0, 0.1, "error of the EUBO");
  assert_close(a.log_p.exact, log_p, 4.0 * a.log_p.error, "mean of log p(x), exact");
  assert_true(a.evaluation.exact && a.evaluation.jsd > 0.0);
  assert_int_equal(a.distinct, SPACE);
  assert_close(a.top_found, SPACE, 0.0, "top k"); // no more than there are
  assert_int_equal(a.top_k, SPACE);
  assert_close(a.top_log_r, g->log_z - log(SPACE), 1e-9, "mean R of the top k");
  assert_int_equal(a.evaluation.modes, a.modes_seen);
  free(g);
  flv_trainer_free(t);
}

static void log_p_of_every_object(void **unused) {
  (void)unused;
  enum { K = 3000 };
  flv_trainer *t = half_trained(2, 40);
  truth *g = find_truth(t, t->env, t->reward);
  uint64_t x[SPACE];
  int64_t index[SPACE];
  double log_p[SPACE], error[SPACE];
  flv_error err = {0};
  for (int i = 0; i < SPACE; i++) index[i] = i;
  t->env->ops->at(t->env, SPACE, index, x);
  if (flv_trainer_log_p(t, 0, SPACE, x, K, log_p, error, &err) != FLV_OK) fail_msg("%s", err.text);
  for (int i = 0; i < SPACE; i++) {
    const double truly = sqrt(fmax(g->ratio2[i] / (g->p_t[i] * g->p_t[i]) - 1.0, 0.0) / K);
    assert_close(log_p[i], log(g->p_t[i]), 4.0 * truly + 1e-6, "log p(x)"); // one way: exact
    assert_close(error[i], truly, 0.3 * truly + 1e-6, "error of log p(x)"); // 200 resamples
  }
  assert_int_equal(flv_trainer_log_p(t, 0, SPACE, x, 0, log_p, NULL, &err), FLV_EINVAL);
  assert_int_equal(flv_trainer_log_p(t, 0, INT64_C(1) << 40, x, 5, log_p, NULL, &err), FLV_EINVAL);
  assert_int_equal(flv_trainer_log_p(t, 0, 3, x, 1, log_p, error, &err), FLV_OK);
  assert_true(isfinite(log_p[2]) && isnan(error[2]));
  free(g);
  flv_trainer_free(t);
}

// How often intervals of 1.96 errors hold the truth, over independent streams.
static void errors_cover(void **unused) {
  (void)unused;
  enum { REPEATS = 400, K = 60 };
  flv_trainer *t = half_trained(1, 60);
  truth *g = find_truth(t, t->env, t->reward);
  const int64_t corner = SPACE - 2;
  uint64_t x = 0;
  t->env->ops->at(t->env, 1, &corner, &x);
  int elbo = 0, eubo = 0, log_z = 0, log_p = 0;
  for (uint64_t repeat = 0; repeat < REPEATS; repeat++) {
    flv_error err = {0};
    const flv_assess_options options = {
        .samples = 512, .objects = 128, .backward = 2, .stream = repeat + 1};
    const flv_assessment a = assess(t, &options);
    double p, error;
    assert_int_equal(flv_trainer_log_p(t, repeat, 1, &x, K, &p, &error, &err), FLV_OK);
    elbo += fabs(a.elbo.value - g->elbo) < 1.96 * a.elbo.error;
    eubo += fabs(a.eubo.value - g->eubo) < 1.96 * a.eubo.error;
    log_z += fabs(a.log_z.value - g->log_z) < 1.96 * a.log_z.error;
    log_p += fabs(p - log(g->p_t[corner])) < 1.96 * error;
  }
  print_message("of %d: ELBO %d, EUBO %d, log Z %d, log p(x) %d\n", REPEATS, elbo, eubo, log_z,
                log_p);
  const double slack = 4.0 * sqrt(0.95 * 0.05 * REPEATS);
  assert_close(elbo, 0.95 * REPEATS, slack, "ELBO");
  assert_close(eubo, 0.95 * REPEATS, slack, "EUBO");
  assert_close(log_z, 0.95 * REPEATS, slack, "log Z");
  assert_close(log_p, 0.95 * REPEATS, slack, "log p(x)");
  free(g);
  flv_trainer_free(t);
}

// Two objects of equal reward, of which the sampler makes one: its own trajectories see nothing
// wrong, the target's do.
static void a_lost_half(void **unused) {
  (void)unused;
  flv_trainer *t = make(1, SETTINGS({"env.dim", "1"}, {"env.side", "2"}, {"policy", "tabular"}));
  const flv_net *net = t->policy.net;
  for (int i = 0; i < net->n_weights; i++) {
    float *w = t->policy.params + net->weight[i].offset;
    if (strcmp(net->weight[i].name, "p_f.weight") == 0) w[0] = -30.0f; // state 0, action 0: go on
  }
  const flv_assessment a = assess(t, &(flv_assess_options){.samples = 5000, .backward = 2});
  assert_close(a.ess, 1.0, 1e-6, "effective sample size");
  assert_close(a.elbo.value, a.log_z.exact - log(2.0), 1e-6, "ELBO");
  assert_close(a.log_z.value, a.log_z.exact - log(2.0), 1e-6, "log Z");
  assert_true(a.log_z.error < 1e-6 && a.elbo.error < 1e-6);
  assert_true(a.eubo.value > a.log_z.exact + 10.0);
  assert_close(a.top_found, 1.0, 0.0, "the best found");
  flv_trainer_free(t);
}

// ---- correlation ----

static double weighted_pearson(int n, const double *w, const double *x, const double *y) {
  double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
  for (int i = 0; i < n; i++) mx += w[i] * x[i], my += w[i] * y[i];
  for (int i = 0; i < n; i++) {
    xx += w[i] * (x[i] - mx) * (x[i] - mx);
    yy += w[i] * (y[i] - my) * (y[i] - my);
    xy += w[i] * (x[i] - mx) * (y[i] - my);
  }
  return xy / sqrt(xx * yy);
}

static void correlations(void **unused) {
  (void)unused;
  flv_trainer *t = half_trained(1, 15);
  truth *g = find_truth(t, t->env, t->reward);
  double log_p[SPACE], even[SPACE], ranks[2 * SPACE];
  flv_ranked work[SPACE];
  uint64_t x[SPACE];
  int64_t index[SPACE];
  for (int i = 0; i < SPACE; i++)
    log_p[i] = log(g->p_t[i]), even[i] = 1.0 / SPACE, index[i] = SPACE - 1 - i;
  t->env->ops->at(t->env, SPACE, index, x);
  // drawn from the target: the population's is that of the target
  const flv_assessment drawn =
      assess(t, &(flv_assess_options){.samples = 100, .objects = 3000, .backward = 100});
  assert_close(drawn.pearson.exact, weighted_pearson(SPACE, g->target, log_p, g->log_r),
               4.0 * drawn.pearson.error, "Pearson, drawn");
  assert_close(drawn.pearson.value, drawn.pearson.exact, 0.02, "Pearson, estimated log p");
  assert_close(drawn.spearman.value, drawn.spearman.exact, 0.03, "Spearman, estimated log p");
  assert_true(drawn.pearson.error > 0.0 && drawn.pearson.error < 0.05);
  assert_true(drawn.spearman.error > 0.0 && drawn.spearman.error < 0.05);
  // every object once
  const flv_assessment all = assess(
      t, &(flv_assess_options){.samples = 100, .backward = 500, .states = x, .n_states = SPACE});
  assert_int_equal(all.source, FLV_SOURCE_GIVEN);
  assert_int_equal(all.objects, SPACE);
  assert_close(all.pearson.exact, weighted_pearson(SPACE, even, log_p, g->log_r), 1e-6, "Pearson");
  assert_close(all.spearman.exact, flv_spearman(SPACE, log_p, g->log_r, work, ranks), 1e-6,
               "Spearman");
  assert_close(all.pearson.value, all.pearson.exact, 0.01, "Pearson, estimated log p");
  free(g);
  flv_trainer_free(t);
}

// ---- objects ----

static int64_t watched[1 << ITEMS], watched_n; // objects whose reward was asked for at once

static flv_status watched_log_reward(const flv_reward *reward, const flv_env *env, int n,
                                     const void *states, double *log_r, flv_error *err) {
  FLV_TRY(subsets_log_reward(reward, env, n, states, log_r, err));
  if (n != watched_n) return FLV_OK;
  for (int i = 0; i < n; i++) watched[((const subset *)states)[i].items]++;
  return FLV_OK;
}

// The objects drawn from the target have its frequencies.
static void target_is_drawn_exactly(void **unused) {
  (void)unused;
  const flv_env env = subsets_env(true);
  const flv_reward reward = {.name = "watched", .exponent = 1.0, .log_reward = watched_log_reward};
  flv_error err = {0};
  flv_config *cfg = configure(SETTINGS({"batch", "128"}));
  flv_trainer *t = flv_trainer_new(cfg, &env, &reward, 1, &err);
  assert_non_null(t);
  truth *g = find_truth(t, &env, &reward);
  memset(watched, 0, sizeof watched);
  watched_n = 20001;
  assess(t, &(flv_assess_options){.samples = 10, .objects = watched_n, .backward = 1});
  double chi = 0.0;
  int cells = 0;
  for (int s = 0; s < g->n; s++) {
    const double expected = g->target[s] * (double)watched_n;
    if (!g->object[s]) assert_int_equal(watched[s], 0);
    if (!g->object[s]) continue;
    cells++;
    chi += ((double)watched[s] - expected) * ((double)watched[s] - expected) / expected;
  }
  assert_int_equal(cells, 20); // 3 of 6
  assert_true(chi < 19.0 + 4.5 * sqrt(2.0 * 19.0));
  watched_n = 0;
  free(g);
  flv_config_free(cfg);
  flv_trainer_free(t);
}

// ---- too many states to enumerate, no exit action ----

static void by_sampling_with_terminal_states(void **unused) {
  (void)unused;
  const flv_env all = subsets_env(true), some = subsets_env(false);
  const flv_reward reward = subsets_reward();
  flv_error err = {0};
  flv_config *cfg = configure(SETTINGS({"batch", "200"}));
  flv_trainer *t = flv_trainer_new(cfg, &all, &reward, 1, &err),
              *u = flv_trainer_new(cfg, &some, &reward, 1, &err);
  assert_true(t && u);
  const flv_rng rng = {.seed = 2, .purpose = FLV_RNG_TEST, .iteration = 0};
  for (size_t i = 0; i < t->policy.net->n_params; i++) {
    double z[2];
    flv_rng_normal2(rng, (uint32_t)i, 0, z);
    t->policy.params[i] = u->policy.params[i] += (float)(0.06 * z[0]);
  }
  truth *g = find_truth(t, &all, &reward);
  const flv_assess_options options = {.samples = 40000, .objects = 3000, .backward = 40};
  const flv_assessment a = assess(t, &options), b = assess(u, &options);
  print_message("log Z %.4f, ELBO %.4f, EUBO %.4f, ESS %.3f\n", g->log_z, g->elbo, g->eubo,
                1.0 / g->w2);
  assert_true(g->w2 > 1.1 && g->w2 < 20.0);
  assert_true(isnan(b.log_z.exact) && isnan(b.log_p.exact) && isnan(b.top_found));
  assert_int_equal(b.source, FLV_SOURCE_SAMPLER);
  assert_false(b.evaluation.exact);
  assert_close(a.elbo.value, b.elbo.value, 0.0, "the same trajectories");
  assert_close(b.elbo.value, g->elbo, 4.0 * b.elbo.error, "ELBO");
  assert_close(b.log_z.value, g->log_z, 4.0 * b.log_z.error, "log Z");
  assert_close(b.evaluation.log_z_true, b.log_z.value, 1e-12, "log Z of the evaluation");
  assert_close(b.evaluation.kl_qp, b.log_z.value - b.elbo.value, 1e-9, "KL of the evaluation");
  assert_close(a.eubo.value, g->eubo, 4.0 * a.eubo.error, "EUBO");
  flv_evaluation e;
  assert_int_equal(flv_trainer_evaluate(u, 40000, &e, &err), FLV_OK);
  assert_close(e.jsd, b.evaluation.jsd, 0.0, "JSD of the same trajectories");
  double log_p = 0.0;
  for (int s = 0; s < g->n; s++)
    if (g->object[s]) log_p += g->p_t[s] * log(g->p_t[s]);
  assert_close(b.log_p.value, log_p, 4.0 * b.log_p.error + 0.01, "mean of log p(x)");
  free(g);
  flv_config_free(cfg);
  flv_trainer_free(t);
  flv_trainer_free(u);
}

static flv_status log_reward_with_zeros(const flv_reward *reward, const flv_env *env, int n,
                                        const void *states, double *log_r, flv_error *err) {
  FLV_TRY(subsets_log_reward(reward, env, n, states, log_r, err));
  for (int i = 0; i < n; i++)
    if (((const subset *)states)[i].items & 1) log_r[i] = -HUGE_VAL;
  return FLV_OK;
}

static void rewards_of_zero(void **unused) {
  (void)unused;
  const flv_env env = subsets_env(true);
  const flv_reward reward = {.name = "zeros", .exponent = 1.0, .log_reward = log_reward_with_zeros};
  flv_error err = {0};
  flv_config *cfg = configure(SETTINGS({"batch", "100"}));
  flv_trainer *t = flv_trainer_new(cfg, &env, &reward, 1, &err);
  assert_non_null(t);
  const flv_assessment a = assess(
      t, &(flv_assess_options){.samples = 20000, .source = FLV_SOURCE_SAMPLER, .backward = 5});
  assert_true(a.elbo.value == -HUGE_VAL && isnan(a.elbo.error)); // some w are 0
  assert_close(a.log_z.value, a.log_z.exact, 4.0 * a.log_z.error, "log Z");
  assert_true(isnan(a.pearson.value) && isfinite(a.spearman.value));
  const flv_assessment b = assess(t, &(flv_assess_options){.samples = 100, .backward = 5});
  assert_true(isfinite(b.eubo.value) && isfinite(b.pearson.value)); // the target has none of them
  flv_config_free(cfg);
  flv_trainer_free(t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bounds_and_log_z),
      cmocka_unit_test(log_p_of_every_object),
      cmocka_unit_test(errors_cover),
      cmocka_unit_test(a_lost_half),
      cmocka_unit_test(correlations),
      cmocka_unit_test(target_is_drawn_exactly),
      cmocka_unit_test(by_sampling_with_terminal_states),
      cmocka_unit_test(rewards_of_zero),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
