// The parts of the laboratory: what is sampled lies within its errors of what is enumerated, the
// spaces of logits and of parameters agree, behaviours are the sampler's.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "estimators_fixture.h"
#include "learn/logits.h"
#include "learn/objective.h"

// The space of logits at a trained policy, its pool drawn.
typedef struct bench {
  flv_trainer *t;
  flv_problem *p;
  flv_lab_space logits, parameters;
  flv_lab_behaviour behaviour[FLV_LAB_BEHAVIOURS];
} bench;

static void open_bench(bench *b, const flv_config *cfg, const char *behaviour, int large,
                       int chunks) {
  flv_error err = {0};
  int n;
  *b = (bench){.t = flv_trainer_new(cfg, NULL, NULL, 1, &err)};
  assert_non_null(b->t);
  for (int i = 0; i < AT_7; i++) step(b->t, NULL);
  b->p = flv_problem_new(cfg, "", &err);
  assert_non_null(b->p);
  const flv_policy *policy = &b->t->policy;
  assert_int_equal(flv_lab_behaviours(b->behaviour, &n, behaviour, &err), FLV_OK);
  assert_int_equal(n, 1);
  assert_int_equal(flv_lab_space_logits(&b->logits, b->p, policy, large, chunks, 1, &err), FLV_OK);
  assert_int_equal(flv_lab_space_parameters(&b->parameters, b->t, 0, large, chunks, 1, &err),
                   FLV_OK);
  const flv_rng rng = {.seed = 3, .purpose = FLV_RNG_LAB, .iteration = 1 << 20};
  flv_lab_space *const both[2] = {&b->logits, &b->parameters};
  for (int k = 0; k < 2; k++) {
    both[k]->place(both[k]->self, policy->params, policy->params, &b->behaviour[0]);
    both[k]->draw(both[k]->self, rng, chunks);
  }
}

static void close_bench(bench *b) {
  b->logits.free_self(b->logits.self);
  b->parameters.free_self(b->parameters.self);
  flv_problem_free(b->p);
  flv_trainer_free(b->t);
}

static void choose(flv_lab_specs *specs, const bench *b, const char *objective, const char *weights,
                   const char *baseline) {
  flv_error err = {0};
  const flv_estimators_options o = {
      .objectives = objective, .weights = weights, .baselines = baseline};
  if (flv_lab_specs_init(specs, b->t->cfg, &o, &b->t->policy, &err) != FLV_OK)
    fail_msg("%s", err.text);
}

// Estimates of mean, trace, bias and angle against exact ones, in units of their errors.
static void estimates_within_errors(void **state) {
  (void)state;
  enum { LARGE = 256, CHUNKS = 16, B = 2 };
  static const char *const which[][3] = {{"tb", "none", "none"},
                                         {"reverse_kl", "self_normalised", "leave_one_out"},
                                         {"reverse_kl", "plain", "global"},
                                         {"forward_kl", "self_normalised", "global"}};
  flv_config *cfg = configure(SETTINGS(SMALL_GRID));
  bench b;
  world w;
  open_bench(&b, cfg, "epsilon=0.3", LARGE, CHUNKS);
  open_world(&w, cfg, AT_7, 0.3);
  flv_lab_measure m;
  flv_error err = {0};
  assert_int_equal(flv_lab_measure_init(&m, &b.logits, 0, LARGE, &err), FLV_OK);
  double *g = calloc(b.logits.size, sizeof *g);
  assert_non_null(g);
  for (int k = 0; k < 4; k++) {
    flv_lab_specs specs;
    choose(&specs, &b, which[k][0], which[k][1], which[k][2]);
    const flv_chosen chosen = flv_lab_chosen(specs.spec, &specs.spec->cfg);
    const flv_lab_true truth = {.g = g, .exact = true};
    const estimator e = {which[k][0], which[k][1], which[k][2], 0.0};
    moments x[2];
    for (int side = 0; side < 2; side++) {
      enumerate(&w, &e, side, B, &x[side]);
      true_gradient(&w, e.objective, side, g + side * w.moves);
    }
    flv_lab_measure_run(&m, &chosen, 0, CHUNKS, B, &truth);
    for (int side = 0; side < 2; side++) {
      const flv_lab_numbers *r = &m.side[side];
      double gap[MAX_MOVES];
      for (int j = 0; j < w.moves; j++) gap[j] = x[side].mean[j] - g[side * w.moves + j];
      assert_true(r->trace_error > 0.0 && r->trace_error < 0.3 * x[side].trace);
      assert_true(fabs(r->trace - x[side].trace) < 4.0 * r->trace_error);
      assert_true(fabs(r->mean_norm - norm(x[side].mean, w.moves)) < 4.0 * r->bias_error);
      assert_true(fabs(r->bias - norm(gap, w.moves)) < 4.0 * r->bias_error);
      near(r->bias_error, sqrt(r->trace / (CHUNKS * LARGE / B)), 1e-12);
      assert_true(r->cosine > -1.0 && r->cosine < 1.0 && r->cosine_error < 0.2);
      assert_true(r->cosine_true > -1.0 && r->cosine_true < 1.0 && r->cosine_true_error < 0.05);
    }
    flv_lab_true large = {.g = g};
    flv_lab_measure_large(&m, &chosen, 0, CHUNKS, &large);
    assert_true(!large.exact && large.noise[0] > 0.0);
    flv_lab_specs_free(&specs);
  }
  free(g);
  flv_lab_measure_free(&m);
  close_world(&w);
  close_bench(&b);
  flv_config_free(cfg);
}

// With a table as policy the network's parameters are the logits: the two spaces, which share no
// code but the objective, agree on the trajectories that an address draws and on their gradients.
static void spaces_agree(void **state) {
  (void)state;
  static const char *const behaviours[] = {"on_policy", "epsilon=0.3", "exit_bias=1.5"};
  static const char *const which[][3] = {{"tb", "none", "none"},
                                         {"reverse_kl", "plain", "local"},
                                         {"forward_kl", "self_normalised", "leave_one_out"}};
  flv_config *cfg = configure(SETTINGS(SMALL_GRID));
  for (int k = 0; k < 3; k++) {
    bench b;
    open_bench(&b, cfg, behaviours[k], 64, 1);
    const flv_graph *graph = b.p->graph;
    const flv_net *net = b.t->policy.net;
    double *x = calloc(b.logits.size, sizeof *x), *y = calloc(b.parameters.size, sizeof *y);
    assert_true(x && y);
    flv_lab_specs specs;
    choose(&specs, &b, which[k][0], which[k][1], which[k][2]);
    const flv_chosen chosen = flv_lab_chosen(specs.spec, &specs.spec->cfg);
    const double ess = b.logits.gradient(b.logits.self, 0, &chosen, 5, 40, x);
    near(b.parameters.gradient(b.parameters.self, 0, &chosen, 5, 40, y), ess, 1e-5);
    int compared = 0;
    for (int i = 0; i < net->n_weights; i++) {
      const flv_weight *t = &net->weight[i];
      const bool pf = strcmp(t->name, "p_f.weight") == 0;
      if (!pf && strcmp(t->name, "p_b.weight") != 0) continue;
      for (int m = 0; m < graph->n_moves; m++) {
        const int s = pf ? graph->dag.from[m] : graph->dag.to[m];
        const int a = pf ? graph->action[m] : graph->back[m];
        if (a < 0) continue;
        const int at = pf ? m : graph->n_moves + m;
        near(y[t->offset + (size_t)(s * t->cols + a)], x[at], 1e-5);
        compared++;
      }
    }
    assert_true(compared > graph->n_moves);
    flv_lab_specs_free(&specs);
    free(x);
    free(y);
    close_bench(&b);
  }
  flv_config_free(cfg);
}

// log pi by moves is what the sampler's own exploration says of every state.
static void behaviours_are_the_samplers(void **state) {
  (void)state;
  flv_config *cfg = configure(SETTINGS(SMALL_GRID));
  static const char *const words[] = {"on_policy", "epsilon=0.3", "exit_bias=-2"};
  for (int k = 0; k < 3; k++) {
    bench b;
    open_bench(&b, cfg, words[k], 8, 1);
    const flv_graph *g = b.p->graph;
    double log_pi[MAX_MOVES], log_pf[16], pi[16], divergence = 0.0;
    float logits[16];
    uint8_t mask[16];
    const flv_explore explore = flv_lab_explore(&b.behaviour[0]);
    flv_lab_log_pi(log_pi, g, b.p->tables.log_pf, &b.behaviour[0]);
    flv_chain chain;
    flv_error err = {0};
    assert_int_equal(flv_chain_init(&chain, &g->dag, &err), FLV_OK);
    flv_chain_run(&chain, log_pi, NULL);
    for (int s = 0; s < g->n_states; s++) {
      memset(mask, 0, sizeof mask);
      for (int m = g->dag.first[s]; m < g->dag.first[s + 1]; m++) {
        mask[g->action[m]] = 1;
        logits[g->action[m]] = (float)b.p->x[m];
      }
      flv_policy_log_pf(&b.p->policy, logits, mask, log_pf);
      flv_explore_pi(&explore, b.p->policy.env, log_pf, mask, pi);
      for (int m = g->dag.first[s]; m < g->dag.first[s + 1]; m++) {
        near(log_pi[m], log(pi[g->action[m]]), 1e-6);
        divergence += exp(chain.log_visit[m]) * (log_pi[m] - b.p->tables.log_pf[m]);
      }
    }
    flv_chain_free(&chain);
    near(b.logits.off_policy, divergence, 1e-10);
    assert_true(k == 0 ? divergence == 0.0 : divergence > 0.01);
    close_bench(&b);
  }
  flv_config_free(cfg);
}

// Clipped weights are no linear form, on-policy either, and a Huber loss is none.
static void what_clips_is_not_linear(void **state) {
  (void)state;
  static const char *const which[][2] = {
      {"reverse_kl", "clipped"}, {"forward_kl", "clipped"}, {"tb:loss=huber:delta=40", "plain"}};
  flv_config *cfg = configure(SETTINGS(SMALL_GRID));
  bench b;
  open_bench(&b, cfg, "on_policy", 8, 1);
  for (int k = 0; k < 3; k++) {
    for (int on_policy = 0; on_policy < 2; on_policy++) {
      flv_lab_specs specs;
      flv_linear linear;
      choose(&specs, &b, which[k][0], which[k][1], "global");
      const flv_chosen chosen = flv_lab_chosen(specs.spec, &specs.spec->cfg);
      const bool trivial = k == 0 && on_policy; // P_F / pi is 1
      assert_true(flv_linear_probe(&linear, &chosen, 2, 0.3, true, on_policy) == trivial);
      flv_lab_specs_free(&specs);
    }
  }
  close_bench(&b);
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(estimates_within_errors),
      cmocka_unit_test(spaces_agree),
      cmocka_unit_test(behaviours_are_the_samplers),
      cmocka_unit_test(what_clips_is_not_linear),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
