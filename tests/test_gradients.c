// Exact expected gradients: the statements hold on every problem of the suite; dynamic programming
// and complex derivatives against enumeration written out here; a wrong objective is caught.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "exact/suite.h"
#include "learn/objective.h"

static void near(double a, double b, double tolerance) {
  if (fabs(a - b) <= tolerance * (1.0 + fabs(b))) return;
  print_error("%.17g is not %.17g\n", a, b);
  fail();
}

static flv_problem *open_problem(const flv_suite_problem *s) {
  flv_error err = {0};
  flv_config *cfg = flv_suite_config(s, &err);
  flv_problem *p = cfg ? flv_problem_new(cfg, s->name, &err) : NULL;
  if (!p) fail_msg("%s: %s", s->name, err.text);
  flv_config_free(cfg);
  return p;
}

static flv_problem *open_settings(const char *const set[][2]) {
  flv_suite_problem s = {.name = "given"};
  for (int k = 0; k < FLV_SUITE_KEYS && set[k][0]; k++) memcpy(s.set[k], set[k], sizeof s.set[k]);
  return open_problem(&s);
}

static const char *const small_grid[][2] = {
    {"env.sides", "[3, 2]"}, {"reward", "cosine"}, {"policy", "tabular"}, {NULL, NULL}};
static const char *const web[][2] = {
    {"env", "graph"},      {"env.edges", "[0,1, 0,2, 0,5, 1,2, 1,5, 2,3, 2,5, 3,5, 3,6, 1,4, 4,6]"},
    {"reward", "values"},  {"reward.r", "[1, 2.5]"},
    {"policy", "tabular"}, {NULL, NULL}};

// ---- the suite ----

static void suite_holds(void **state) {
  (void)state;
  const int n = flv_gradients_count();
  int *checked = calloc((size_t)n, sizeof *checked);
  assert_non_null(checked);
  for (const flv_suite_problem *s = flv_suite; s->name; s++) {
    flv_problem *p = open_problem(s);
    for (int k = 0; k < n; k++) {
      const flv_check c = flv_suite_check(p, k, flv_objective_list);
      if (!(c.residual <= FLV_GRADIENTS_LOGITS) || !(c.parameters <= FLV_GRADIENTS_PARAMETERS))
        fail_msg("%s: %s: %g, %g", s->name, flv_statement_list[k].text, c.residual, c.parameters);
      checked[k] += c.residual >= 0.0 || c.parameters >= 0.0;
    }
    flv_problem_free(p);
  }
  for (int k = 0; k < n; k++) // what was checked nowhere is about an objective that is not there
    for (int i = 0; checked[k] == 0 && flv_objective_list[i]; i++)
      assert_string_not_equal(flv_objective_list[i]->name, flv_statement_list[k].objective);
  free(checked);
}

typedef struct count {
  int rows, skipped;
  double worst;
} count;

static void add_row(void *user, const flv_gradients_row *row) {
  count *c = user;
  c->rows++;
  c->skipped += !row->checked;
  if (row->logits > c->worst) c->worst = row->logits;
  assert_true(row->number >= 0 && row->number < flv_gradients_count());
  assert_true(row->checked || *row->note);
  assert_string_equal(row->problem, "mine");
}

static void public_calls(void **state) {
  (void)state;
  flv_error err = {0};
  count c = {0};
  flv_config *cfg = flv_config_new(&err);
  assert_int_equal(flv_config_set(cfg, "env.sides", "[4, 2]", &err), FLV_OK);
  assert_int_equal(flv_config_set(cfg, "policy.hidden", "[8]", &err), FLV_OK);
  assert_int_equal(flv_gradients_problem(cfg, "mine", 2, add_row, &c, &err), FLV_OK);
  assert_int_equal(c.rows, 2 * flv_gradients_count());
  assert_true(c.worst > 0.0 && c.worst <= FLV_GRADIENTS_LOGITS);
  flv_gradients_estimate one, three, many;
  assert_int_equal(flv_gradients_estimator(cfg, 1, 1, &one, &err), FLV_OK);
  assert_int_equal(flv_gradients_estimator(cfg, 1, 3, &three, &err), FLV_OK);
  assert_int_equal(flv_gradients_estimator(cfg, 1, 100, &many, &err), FLV_OK);
  assert_true(one.enumerated && three.enumerated && !many.enumerated);
  for (int side = 0; side < 2; side++) { // TB's is a mean of independent ones
    near(three.mean[side], one.mean[side], 1e-12);
    near(many.mean[side], one.mean[side], 1e-12);
    near(three.deviation[side] * sqrt(3.0), one.deviation[side], 1e-12);
    near(many.deviation[side] * 10.0, one.deviation[side], 1e-10);
  }
  assert_int_equal(flv_config_set(cfg, "objective", "flow_matching", &err), FLV_OK);
  assert_int_equal(flv_gradients_estimator(cfg, 1, 2, &one, &err), FLV_OK);
  assert_true(one.mean[0] > 0.0 && one.mean[1] == 0.0); // its logits are flows; it has no P_B
  assert_int_equal(flv_config_set(cfg, "objective", "soft_dqn", &err), FLV_OK);
  assert_int_equal(flv_gradients_estimator(cfg, 1, 2, &one, &err), FLV_OK);
  assert_true(one.mean[0] > 0.0 && one.mean[1] == 0.0);
  assert_int_equal(flv_gradients_estimator(cfg, 1, 100, &one, &err), FLV_EINVAL);
  assert_int_equal(flv_config_set(cfg, "env.sides", "[300, 300, 300, 300]", &err), FLV_OK);
  assert_int_equal(flv_gradients_problem(cfg, "mine", 1, add_row, &c, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "exact gradients take up to"));
  assert_int_equal(flv_config_set(cfg, "env", "graph", &err), FLV_OK);
  assert_int_equal(flv_gradients_problem(cfg, "mine", 1, add_row, &c, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "hypergrid")); // the default reward
  assert_int_equal(flv_config_set(cfg, "reward", "values", &err), FLV_OK);
  assert_int_equal(flv_config_set(cfg, "reward.r", "[1, 0]", &err), FLV_OK);
  assert_int_equal(flv_gradients_problem(cfg, "mine", 1, add_row, &c, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "R is 0 at state 4"));
  flv_config_free(cfg);
}

// ---- state graphs and trajectories ----

static void graph_of_a_grid(void **state) {
  (void)state;
  flv_problem *p = open_settings(small_grid);
  const flv_graph *g = p->graph;
  assert_true(g->n_states == 6 && g->n_moves == 7 + 6 && g->n_objects == 6 && g->length == 4);
  assert_true(g->exits && g->graded);
  assert_int_equal(p->paths.n, 9); // binomial(5, 2) - 1
  near(flv_graph_trajectories(g), 9.0, 0.0);
  double z = 0.0;
  for (int s = 0; s < 6; s++) {
    z += exp(g->log_r[s]);
    assert_int_equal(g->depth[s], s / 2 + s % 2);
    const int end = g->dag.first[s + 1] - 1;
    assert_true(flv_move_ends(g, end) && g->action[end] == 2 && g->back[end] == -1);
    for (int k = g->first_into[s]; k < g->first_into[s + 1]; k++) {
      const int m = g->into[k], from = g->dag.from[m];
      assert_true(g->dag.to[m] == s && s - from == (g->action[m] == 0 ? 2 : 1));
      assert_int_equal(g->back[m], g->action[m]);
    }
  }
  near(g->log_z, log(z), 1e-14);
  for (int i = 0; i < p->paths.n; i++) {
    int at = 0;
    for (int k = p->paths.offset[i]; k < p->paths.offset[i + 1]; k++) {
      assert_int_equal(g->dag.from[p->paths.move[k]], at);
      at = g->dag.to[p->paths.move[k]];
    }
    assert_int_equal(at, g->n_states);
  }
  flv_paths few = {0};
  flv_error err = {0};
  assert_int_equal(flv_paths_init(&few, g, 8, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "9 trajectories; at most 8"));
  flv_problem_free(p);
  p = open_settings(web);
  assert_true(!p->graph->exits && !p->graph->graded && p->graph->length == 5);
  assert_true(p->graph->n_objects == 2 && p->graph->n_moves == 11 + 2);
  flv_problem_free(p);
}

// An environment whose backward actions are not the inverses of its forward ones.
static void lying_mask_back(const flv_env *env, int n, const void *states, uint8_t *mask) {
  (void)states;
  memset(mask, 1, (size_t)n * (size_t)env->n_back);
}

static void refuses_wrong_environments(void **state) {
  (void)state;
  flv_problem *p = open_settings(web);
  flv_error err = {0};
  flv_env_ops ops = *p->env->ops;
  flv_env lying = *p->env;
  lying.ops = &ops;
  ops.mask_back = lying_mask_back;
  assert_null(flv_graph_new(&lying, p->reward, &err));
  assert_non_null(strstr(err.text, "the backward actions of state 0"));
  ops = *p->env->ops;
  ops.at = NULL;
  assert_null(flv_graph_new(&lying, p->reward, &err));
  assert_non_null(strstr(err.text, "cannot be enumerated"));
  flv_problem_free(p);
  flv_graph_free(NULL);
  flv_problem_free(NULL);
}

// ---- chains against sums over trajectories ----

static double draw(int item, int step) {
  const flv_rng rng = {.seed = 5, .purpose = FLV_RNG_TEST, .iteration = 0};
  return 2.0 * flv_rng_uniform(rng, (uint32_t)item, (uint32_t)step) - 1.0;
}

static void chain_is_a_sum(void **state) {
  (void)state;
  for (int which = 0; which < 2; which++) {
    flv_problem *p = open_settings(which == 0 ? small_grid : web);
    const flv_dag *dag = &p->graph->dag;
    double log_w[64], g[64], mass[64] = {0}, first[64] = {0}, second[64] = {0}, total = 0.0;
    for (int m = 0; m < dag->n_moves; m++) {
      log_w[m] = draw(m, 0);
      g[m] = 3.0 * draw(m, 1);
    }
    for (int i = 0; i < p->paths.n; i++) {
      double w = 0.0, sum = 0.0;
      for (int k = p->paths.offset[i]; k < p->paths.offset[i + 1]; k++) {
        w += log_w[p->paths.move[k]];
        sum += g[p->paths.move[k]];
      }
      total += exp(w);
      for (int k = p->paths.offset[i]; k < p->paths.offset[i + 1]; k++) {
        mass[p->paths.move[k]] += exp(w);
        first[p->paths.move[k]] += exp(w) * sum;
        second[p->paths.move[k]] += exp(w) * (sum + 0.7) * (sum + 0.7);
      }
    }
    flv_chain chain;
    flv_error err = {0};
    assert_int_equal(flv_chain_init(&chain, dag, &err), FLV_OK);
    flv_chain_run(&chain, log_w, g);
    near(chain.log_total, log(total), 1e-14);
    for (int m = 0; m < dag->n_moves; m++) {
      near(exp(chain.log_visit[m]), mass[m] / total, 1e-14);
      near(flv_chain_mean_at(&chain, m), first[m] / mass[m], 1e-13);
      near(flv_chain_square_at(&chain, m, 0.7), second[m] / mass[m], 1e-13);
    }
    flv_chain_free(&chain);
    flv_problem_free(p);
  }
}

// ---- functionals against sums over trajectories ----

typedef struct sums {
  double reverse, forward, power, mean, square;
} sums;

static sums naive(const flv_problem *p, double a) {
  sums s = {0};
  for (int i = 0; i < p->paths.n; i++) {
    double log_pf = 0.0, log_post = -p->graph->log_z, log_q = 0.0;
    for (int k = p->paths.offset[i]; k < p->paths.offset[i + 1]; k++) {
      const int m = p->paths.move[k];
      log_pf += p->tables.log_pf[m];
      log_post += p->tables.log_pb[m];
      log_q += p->log_move[FLV_FROM_OTHER][m];
      if (flv_move_ends(p->graph, m)) log_post += p->graph->log_r[p->graph->dag.from[m]];
    }
    const double c = log_pf - log_post - p->graph->log_z;
    s.reverse += exp(log_pf) * (log_pf - log_post);
    s.forward += exp(log_post) * (log_post - log_pf);
    s.power += exp((1.0 - a) * log_pf + a * log_post);
    s.mean += exp(log_q) * c;
    s.square += exp(log_q) * (c + p->tables.log_z) * (c + p->tables.log_z);
  }
  return s;
}

static void functionals_are_sums(void **state) {
  (void)state;
  const double a = 0.3;
  for (int which = 0; which < 2; which++) {
    flv_problem *p = open_settings(which == 0 ? small_grid : web);
    const sums s = naive(p, a);
    const flv_fixed q = {.log_q = p->log_move[FLV_FROM_OTHER],
                         .paths = &p->paths,
                         .log_path = p->log_path[FLV_FROM_OTHER],
                         .lambda = 1.0};
    near(flv_model_value(&p->model, flv_reverse_kl, NULL), s.reverse, 1e-13);
    near(flv_model_value(&p->model, flv_forward_kl, NULL), s.forward, 1e-13);
    near(flv_model_value(&p->model, flv_power_sum, &a), s.power, 1e-13);
    near(flv_model_value(&p->model, flv_mean_ratio, &q), s.mean, 1e-13);
    near(flv_model_value(&p->model, flv_tb_loss, &q), s.square, 1e-13);
    // the complex step against differences of the naive sums
    const int size = flv_layout_of(p->graph).size;
    double *grad = calloc((size_t)size, sizeof *grad);
    assert_non_null(grad);
    flv_model_gradient(grad, &p->model, flv_forward_kl, NULL, FLV_PART_POLICY);
    double most = 0.0;
    for (int k = 0; k < size; k++) {
      const double x = p->x[k], h = 1e-5;
      p->x[k] = x + h;
      flv_problem_refresh(p);
      const double up = naive(p, a).forward;
      p->x[k] = x - h;
      flv_problem_refresh(p);
      const double down = naive(p, a).forward;
      p->x[k] = x;
      near(grad[k], (up - down) / (2.0 * h), 1e-8);
      most = fmax(most, fabs(grad[k]));
    }
    assert_true(most > 0.05); // not vacuous
    flv_problem_refresh(p);
    double along = 0.0;
    for (int k = 0; k < size; k++) along += grad[k] * grad[k];
    near(flv_model_along(&p->model, flv_forward_kl, NULL, grad), along, 1e-13);
    free(grad);
    flv_problem_free(p);
  }
}

// ---- means and covariances of estimators ----

// Of TB's single-trajectory gradient for P_F, 2 (log Z + c) grad log P_F(tau), written out.
static void covariance_by_hand(void **state) {
  (void)state;
  flv_problem *p = open_settings(web);
  const flv_graph *g = p->graph;
  double mean[64] = {0}, square = 0.0, norm = 0.0;
  for (int i = 0; i < p->paths.n; i++) {
    double slope[64] = {0}, c = -g->log_r[g->dag.from[p->paths.move[p->paths.offset[i + 1] - 1]]];
    for (int k = p->paths.offset[i]; k < p->paths.offset[i + 1]; k++) {
      const int m = p->paths.move[k], s = g->dag.from[m];
      c += p->tables.log_pf[m] - p->tables.log_pb[m];
      for (int a = g->dag.first[s]; a < g->dag.first[s + 1]; a++)
        slope[a] += (a == m) - exp(p->tables.log_pf[a]);
    }
    const double q = exp(p->log_path[FLV_FROM_PF][i]);
    for (int m = 0; m < g->n_moves; m++) {
      slope[m] *= 2.0 * (p->tables.log_z + c);
      mean[m] += q * slope[m];
      square += q * slope[m] * slope[m];
    }
  }
  for (int m = 0; m < g->n_moves; m++) norm += mean[m] * mean[m];
  flv_choice tb;
  flv_check c = {.p = p, .objectives = flv_objective_list};
  flv_linear linear;
  assert_true(flv_check_choose(&c, &tb, "tb", ""));
  for (int batch = 1; batch <= 3; batch++) {
    flv_expect_run(&p->expect, &tb.chosen, &p->tables, p->log_path[FLV_FROM_PF], batch, true);
    near(p->expect.trace[0], (square - norm) / batch, 1e-12);
    assert_true(flv_linear_probe(&linear, &tb.chosen, batch, p->tables.log_z, false, true));
    near(linear.side[0].beta, 2.0 / batch, 1e-13);
    near(linear.side[0].gamma, 0.0, 1e-13);
    flv_moments_run(&p->moments, &linear, &p->tables, p->log_move[FLV_FROM_PF], batch, true);
    near(p->moments.trace[0], (square - norm) / batch, 1e-12);
    for (int m = 0; m < g->n_moves; m++) {
      near(p->expect.mean[m], mean[m], 1e-13);
      near(p->moments.mean[m], mean[m], 1e-13);
    }
  }
  flv_problem_free(p);
}

// Objectives that are not linear in log-ratios of whole trajectories are not taken for such.
static void knows_what_is_linear(void **state) {
  (void)state;
  static const struct {
    const char *name, *options;
    int batch;
    bool on_policy, linear;
  } rows[] = {
      {"tb", "", 3, false, true},
      {"db", "", 1, true, false},
      {"forward_kl", "", 2, true, false}, // self-normalised
      {"forward_kl", "weights=plain", 2, false, true},
      {"reverse_kl", "weights=plain", 2, false, true},
      {"reverse_kl", "", 2, false, false},
      {"reverse_kl", "", 64, true, true},
      {"reverse_kl", "weights=plain baseline=leave_one_out", 2, false, true}, // one other
      {"reverse_kl", "weights=plain baseline=leave_one_out", 3, false, false},
      {"reverse_kl", "baseline=leave_one_out", 2, true, true},
      {"reverse_kl", "", 257, true, false}, // too large
  };
  flv_problem *p = open_settings(web);
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
    flv_choice choice;
    flv_linear linear;
    flv_check c = {.p = p, .objectives = flv_objective_list};
    assert_true(flv_check_choose(&c, &choice, rows[k].name, rows[k].options));
    const bool found =
        flv_linear_probe(&linear, &choice.chosen, rows[k].batch, 0.4, false, rows[k].on_policy);
    if (found != rows[k].linear) fail_msg("%s %s", rows[k].name, rows[k].options);
  }
  flv_choice choice;
  flv_check c = {.p = p, .objectives = flv_objective_list};
  assert_false(flv_check_choose(&c, &choice, "no_such", ""));
  assert_non_null(strstr(c.why, "there is no objective 'no_such'"));
  assert_false(flv_check_choose(&c, &choice, "tb", "colour=red"));
  assert_false(flv_check_choose(&c, &choice, "modified_db", ""));
  assert_non_null(strstr(c.why, "needs an exit from every state"));
  flv_problem_free(p);
}

// ---- flows of edges ----

// The gradient of flow matching's loss on one trajectory, s0 -> s -> object, written out: log F is
// the logsumexp of logits, and every logit into s moves its inflow.
static void flows_by_hand(void **state) {
  (void)state;
  flv_problem *p = open_settings(small_grid);
  const flv_graph *g = p->graph;
  const flv_layout at = flv_layout_of(g);
  double log_q[9], want[64] = {0};
  int path = 0;
  while (p->paths.offset[path + 1] - p->paths.offset[path] != 2) path++; // one step, then the exit
  for (int i = 0; i < 9; i++) log_q[i] = i == path ? 0.0 : -HUGE_VAL;
  const int32_t *move = p->paths.move + p->paths.offset[path];
  const int s = g->dag.to[move[0]];
  double in = 0.0, out = 0.0;
  for (int k = g->first_into[s]; k < g->first_into[s + 1]; k++) in += exp(p->x[g->into[k]]);
  for (int m = g->dag.first[s]; m < g->dag.first[s + 1]; m++) out += exp(p->x[m]);
  const double d = log(in) - log(out), e = p->x[move[1]] - g->log_r[s];
  for (int k = g->first_into[s]; k < g->first_into[s + 1]; k++)
    want[g->into[k]] += d * exp(p->x[g->into[k]]) / in; // 2 d, of two terms
  for (int m = g->dag.first[s]; m < g->dag.first[s + 1]; m++) want[m] -= d * exp(p->x[m]) / out;
  want[move[1]] += e;
  flv_choice choice;
  flv_check c = {.p = p, .objectives = flv_objective_list};
  assert_true(flv_check_choose(&c, &choice, "flow_matching", ""));
  flv_expect_run(&p->expect, &choice.chosen, &p->tables, log_q, 1, true);
  near(p->expect.loss, 0.5 * (d * d + e * e), 1e-13);
  for (int m = 0; m < g->n_moves; m++) near(p->expect.mean[m], want[m], 1e-13);
  for (int n = 0; n < g->n_states; n++) near(p->expect.mean[at.log_f + n], 0.0, 0.0);
  near(p->expect.trace[0], 0.0, 1e-12); // always the same trajectory
  flv_problem_free(p);
}

// Where all trajectories are too many for one batch, the statements that want that are left out.
static void says_what_is_too_large(void **state) {
  (void)state;
  static const char *const large[][2] = {
      {"env.sides", "[7, 7]"}, {"reward", "cosine"}, {"policy", "tabular"}, {NULL, NULL}};
  flv_problem *p = open_settings(large); // binomial(14, 7) - 1 trajectories
  flv_choice choice;
  flv_check c = {.p = p, .objectives = flv_objective_list};
  assert_true(p->enumerated && flv_check_choose(&c, &choice, "renyi", ""));
  assert_false(flv_expect_all(&p->expect, &choice.chosen, &p->tables, p->log_path[FLV_FROM_PF]));
  for (int k = 0; k < flv_gradients_count(); k++) {
    const flv_statement *s = &flv_statement_list[k];
    if (s->run != flv_state_order && s->run != flv_state_estimator) continue;
    c = flv_suite_check(p, k, flv_objective_list);
    assert_true(c.residual < 0.0);
    assert_non_null(strstr(c.why, "3431 trajectories do not fit into a batch"));
  }
  flv_problem_free(p);
}

// ---- graded graphs ----

// Every way to the last layer has as many edges as there are layers, P_F and P_B of a way are those
// of its trajectory, and there are as many ways as trajectories.
static void layers_keep_trajectories(void **state) {
  (void)state;
  for (int which = 0; which < 2; which++) {
    flv_problem *p = open_settings(which == 0 ? small_grid : web);
    const flv_layers *l = &p->layers;
    const flv_graph *g = p->graph;
    assert_true(p->layered);
    assert_int_equal(l->last, g->length - !g->exits);
    double ways[256] = {0}, pf[256] = {0}, pb[256] = {0}, total = 0.0, mass = 0.0, target = 0.0;
    assert_true(l->dag.n_nodes <= 256 && l->begin[l->last + 1] == l->dag.n_nodes);
    ways[0] = pf[0] = 1.0;
    for (int layer = 0; layer < l->last; layer++)
      for (int e = l->dag.first[l->begin[layer]]; e < l->dag.first[l->begin[layer + 1]]; e++) {
        const int s = l->dag.from[e], t = l->dag.to[e];
        assert_true(s >= l->begin[layer] && s < l->begin[layer + 1]);
        assert_true(t >= l->begin[layer + 1] && t < l->begin[layer + 2]);
        ways[t] += ways[s];
        pf[t] += pf[s] * (l->pf[e] >= 0 ? exp(p->tables.log_pf[l->pf[e]]) : 1.0);
      }
    for (int s = l->begin[l->last]; s < l->dag.n_nodes; s++) {
      assert_true(l->object[s] >= 0);
      total += ways[s];
      mass += pf[s];
      pb[s] = exp(g->log_r[l->object[s]] - g->log_z);
      target += pb[s];
    }
    for (int e = l->dag.n_moves - 1; e >= 0; e--)
      pb[l->dag.from[e]] +=
          pb[l->dag.to[e]] * (l->pb[e] >= 0 ? exp(p->tables.log_pb[l->pb[e]]) : 1.0);
    near(total, p->paths.n, 0.0);
    near(mass, 1.0, 1e-14);
    near(target, 1.0, 1e-14);
    near(pb[0], 1.0, 1e-14);
    flv_problem_free(p);
  }
}

// ---- wrong objectives ----

enum family { PF, PB, LOG_F, LOG_Z, EXIT, INFLOW, FAMILIES, NONE = FAMILIES };
static const char *const family_name[] = {"log P_F", "log P_B", "log F", "log Z",
                                          "exit",    "inflow",  "none"};
static const flv_objective *right; // what is made wrong, and how
static enum family wrong;

static void negate(double *x, int n) {
  for (int k = 0; x && k < n; k++) x[k] = -x[k];
}

static double wrong_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  const double loss = right->loss(cfg, t, d);
  const int n = t->offset[t->n];
  if (wrong == PF) negate(d->log_pf, n);
  if (wrong == PB) negate(d->log_pb, n);
  if (wrong == LOG_F) negate(d->log_f, n);
  if (wrong == EXIT) negate(d->log_pf_exit, n);
  if (wrong == INFLOW) negate(d->log_inflow, n);
  if (wrong == LOG_Z) d->log_z = -d->log_z;
  return loss;
}

// Statements that do not hold on a problem, with objective number k of the list replaced.
static int count_faults(flv_problem *p, const flv_component *const *list) {
  int faults = 0;
  for (int k = 0; k < flv_gradients_count(); k++) {
    const flv_check c = flv_suite_check(p, k, list);
    faults += !(c.residual <= FLV_GRADIENTS_LOGITS) || !(c.parameters <= FLV_GRADIENTS_PARAMETERS);
  }
  return faults;
}

static bool has_family(const flv_component *c, enum family f) {
  const flv_objective *o = c->impl;
  if (f == LOG_F) return o->needs & (FLV_NEEDS_LOG_F | FLV_NEEDS_FLOWS);
  if (f == PB) return !(o->needs & FLV_NEEDS_FLOWS); // which teach no P_B
  if (f == INFLOW) return o->needs & FLV_NEEDS_INFLOW;
  if (f == EXIT) return o->needs & FLV_NEEDS_EXIT;
  return f != LOG_Z || strcmp(c->name, "modified_db") != 0; // which learns none
}

static void wrong_objectives_are_caught(void **state) {
  (void)state;
  enum { MAX = 64 };
  const flv_component *list[MAX] = {NULL};
  flv_problem *p = open_settings(small_grid);
  int n = 0;
  for (; flv_objective_list[n]; n++) list[n] = flv_objective_list[n];
  assert_true(n < MAX);
  for (int i = 0; i < n; i++) {
    if (strcmp(flv_objective_list[i]->name, "mle") == 0) continue; // test_objective_exact.c has it
    right = flv_objective_list[i]->impl;
    const flv_objective flipped = {
        .needs = right->needs, .loss = wrong_loss, .needs_also = right->needs_also};
    flv_component component = *flv_objective_list[i];
    component.impl = &flipped;
    list[i] = &component;
    for (wrong = 0; wrong <= NONE; wrong++) {
      if (wrong != NONE && !has_family(&component, wrong)) continue;
      const int faults = count_faults(p, list);
      if ((faults > 0) != (wrong != NONE))
        fail_msg("%s with the sign of %s flipped: %d statements fail", component.name,
                 family_name[wrong], faults);
    }
    list[i] = flv_objective_list[i];
  }
  flv_problem_free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(suite_holds),
      cmocka_unit_test(public_calls),
      cmocka_unit_test(graph_of_a_grid),
      cmocka_unit_test(refuses_wrong_environments),
      cmocka_unit_test(chain_is_a_sum),
      cmocka_unit_test(functionals_are_sums),
      cmocka_unit_test(covariance_by_hand),
      cmocka_unit_test(knows_what_is_linear),
      cmocka_unit_test(flows_by_hand),
      cmocka_unit_test(says_what_is_too_large),
      cmocka_unit_test(layers_keep_trajectories),
      cmocka_unit_test(wrong_objectives_are_caught),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
