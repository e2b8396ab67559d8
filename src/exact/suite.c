#include "exact/suite.h"

#include <stddef.h>

#include "learn/objective.h"

// Parameters are random (problem.h), so networks stay small: single precision has to carry 1e-4
// through them.
const flv_suite_problem flv_suite[] = {
    {"grid 3x3, table policy",
     {{"env.sides", "[3, 3]"}, {"reward.r0", "0.1"}, {"policy", "tabular"}}},
    {"grid 4x3, network",
     {{"env.sides", "[4, 3]"},
      {"reward", "cosine"},
      {"policy.hidden", "[8]"},
      {"policy.activation", "tanh"}}},
    {"grid 3x4 with a table of values, tied network",
     {{"env.sides", "[3, 4]"},
      {"reward", "values"},
      {"reward.r", "[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]"},
      {"policy.hidden", "[8, 8]"},
      {"policy.p_b", "tied"}}},
    {"grid 3x2x2, network",
     {{"env.sides", "[3, 2, 2]"},
      {"reward", "cosine"},
      {"reward.exponent", "2"},
      {"policy.hidden", "[6]"}}},
    {"grid 3x2, network, gated exit",
     {{"env.sides", "[3, 2]"},
      {"reward", "cosine"},
      {"policy.exit", "gated"},
      {"policy.hidden", "[6]"},
      {"policy.activation", "tanh"}}},
    {"grid 2x2x2x2, table policy",
     {{"env.sides", "[2, 2, 2, 2]"},
      {"reward", "values"},
      {"reward.log_r", "[0, -1, 1, 2, -2, 0.5, 0, 1, 1, -1, 0, 3, 1, 0, -1, 2]"},
      {"policy", "tabular"}}},
    {"grid 5x5, table policy, uniform P_B",
     {{"env.sides", "[5, 5]"}, {"policy", "tabular"}, {"policy.p_b", "uniform"}}},
    {"grid 10x10, by dynamic programming", {{"env.side", "10"}, {"policy", "tabular"}}},
    {"graded state graph, table policy",
     {{"env", "graph"},
      {"env.edges", "[0,1, 0,2, 0,3, 1,4, 1,5, 2,4, 2,5, 2,6, 3,6, 4,7, 4,8, 5,8, 5,9, 6,7, 6,9]"},
      {"reward", "values"},
      {"reward.r", "[2, 0.5, 1]"},
      {"policy", "tabular"}}},
    {"graded state graph, network",
     {{"env", "graph"},
      {"env.edges", "[0,1, 0,2, 1,3, 1,4, 2,4, 2,5, 3,6, 4,6, 4,7, 5,7]"},
      {"reward", "values"},
      {"reward.r", "[1, 3]"},
      {"policy.hidden", "[8]"},
      {"policy.activation", "tanh"}}},
    {"non-graded state graph, table policy",
     {{"env", "graph"},
      {"env.edges", "[0,1, 0,2, 0,5, 1,2, 1,5, 2,3, 2,5, 3,5, 3,6, 1,4, 4,6]"},
      {"reward", "values"},
      {"reward.r", "[1, 2.5]"},
      {"policy", "tabular"}}},
    {"non-graded state graph, network",
     {{"env", "graph"},
      {"env.edges", "[0,1, 0,2, 0,3, 1,3, 1,6, 2,3, 2,4, 3,5, 3,6, 4,5, 4,7, 5,7, 5,8]"},
      {"reward", "values"},
      {"reward.r", "[1, 0.3, 4]"},
      {"policy.hidden", "[8]"},
      {"policy.log_f", "learned"}}},
    {0},
};

flv_config *flv_suite_config(const flv_suite_problem *problem, flv_error *err) {
  flv_config *cfg = flv_config_new(err);
  for (int k = 0; cfg && k < FLV_SUITE_KEYS && problem->set[k][0]; k++) {
    if (flv_config_set(cfg, problem->set[k][0], problem->set[k][1], err) == FLV_OK) continue;
    flv_config_free(cfg);
    return NULL;
  }
  return cfg;
}

flv_check flv_suite_check(flv_problem *problem, int k, const flv_component *const *objectives) {
  flv_check c = {.p = problem, .objectives = objectives, .residual = -1.0, .parameters = -1.0};
  flv_problem_reset(problem);
  flv_statement_list[k].run(&c, flv_statement_list[k].objective);
  return c;
}

int flv_gradients_count(void) {
  int n = 0;
  while (flv_statement_list[n].text) n++;
  return n;
}

static void check_all(flv_problem *p, int seed, flv_gradients_report report, void *user) {
  for (int k = 0; flv_statement_list[k].text; k++) {
    const flv_check c = flv_suite_check(p, k, flv_objective_list);
    const flv_gradients_row row = {.number = k,
                                   .statement = flv_statement_list[k].text,
                                   .source = flv_statement_list[k].source,
                                   .problem = p->name,
                                   .seed = seed,
                                   .checked = !(c.residual < 0.0) || !(c.parameters < 0.0),
                                   .logits = c.residual,
                                   .parameters = c.parameters,
                                   .note = c.why};
    report(user, &row);
  }
}

flv_status flv_gradients_problem(const flv_config *cfg, const char *name, int seeds,
                                 flv_gradients_report report, void *user, flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  flv_problem *p = flv_problem_new(cfg, name, err);
  if (!p) return err->status;
  for (int seed = 1; seed <= seeds; seed++) {
    flv_problem_draw(p, (uint64_t)seed);
    check_all(p, seed, report, user);
  }
  flv_problem_free(p);
  return FLV_OK;
}

flv_status flv_gradients_suite(int seeds, flv_gradients_report report, void *user, flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  for (const flv_suite_problem *s = flv_suite; s->name; s++) {
    flv_config *cfg = flv_suite_config(s, err);
    if (!cfg) return err->status;
    const flv_status status = flv_gradients_problem(cfg, s->name, seeds, report, user, err);
    flv_config_free(cfg);
    if (status != FLV_OK) return flv_error_prefix(err, "%s", s->name);
  }
  return FLV_OK;
}
