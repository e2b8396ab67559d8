// Hypergrids and explicit graphs by their numbers, shapes and limits; environments from a
// configuration.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "env/graph.h"
#include "env/hypergrid.h"
#include "env_fixture.h"
#include "fluvial/env.h"

static void hypergrid_numbers(void **state) {
  (void)state;
  flv_env env;
  flv_error err = {0};
  assert_int_equal(create("hypergrid", NULL, NULL, NULL, &env, &err), FLV_OK);
  assert_int_equal(env.n_actions, 3);
  assert_int_equal(env.exit_action, 2);
  assert_int_equal(env.state_size, 8);
  assert_int_equal(env.max_length, 15);
  assert_int_equal(env.n_features, 16);
  assert_int_equal(env.n_states, 64);
  assert_ptr_equal(flv_hypergrid_of(&env), env.self);
  _Alignas(8) uint16_t s[4] = {3, 5, 0, 0};
  int64_t index = -1;
  env.ops->index(&env, 1, s, &index);
  assert_int_equal(index, 3 * 8 + 5); // the last coordinate is fastest
  int32_t hot[2];
  env.ops->observe(&env, 1, s, hot, NULL);
  assert_true(hot[0] == 3 && hot[1] == 8 + 5);
  close_env(&env);

  assert_int_equal(create("hypergrid", "sides", "[4, 9, 2, 3, 5]", NULL, &env, &err), FLV_OK);
  assert_int_equal(env.state_size, 16);
  assert_int_equal(env.n_states, 4 * 9 * 2 * 3 * 5);
  assert_int_equal(env.max_length, 23 - 5 + 1);
  assert_int_equal(env.shape.n, 5);
  assert_int_equal(env.shape.side[1], 9);
  close_env(&env);

  assert_int_equal(create("hypergrid", "dim", "16", NULL, &env, &err), FLV_OK);
  assert_int_equal(env.n_states, 1LL << 48);
  assert_int_equal(env.state_size, 32);
  close_env(&env);

  assert_int_equal(create("graph", NULL, NULL, NULL, &env, &err), FLV_OK);
  assert_null(flv_hypergrid_of(&env));
  close_env(&env);
}

// A shape from the reward sets the sides; sides that say otherwise are an error.
static void hypergrid_shapes(void **state) {
  (void)state;
  flv_env env;
  flv_error err = {0};
  const flv_shape shape = {2, {64, 32}}, none = {0};
  assert_int_equal(create("hypergrid", "side", "16", &shape, &env, &err), FLV_OK);
  assert_true(env.shape.n == 2 && env.shape.side[0] == 64 && env.shape.side[1] == 32);
  close_env(&env);
  assert_int_equal(create("hypergrid", "sides", "[64, 32]", &shape, &env, &err), FLV_OK);
  close_env(&env);
  assert_int_equal(create("hypergrid", "side", "16", &none, &env, &err), FLV_OK);
  assert_int_equal(env.n_states, 256);
  close_env(&env);
  static const char *const wrong[] = {"[32, 64]", "[64]", "[64, 32, 1]"};
  for (int k = 0; k < 3; k++) {
    err = (flv_error){0};
    assert_int_equal(create("hypergrid", "sides", wrong[k], &shape, &env, &err), FLV_EINVAL);
    assert_non_null(strstr(err.text, "env.sides"));
  }
  const flv_shape bad[] = {{1, {0}}, {2, {5, 65536}}, {17, {2}}};
  for (int k = 0; k < 3; k++) {
    err = (flv_error){0};
    assert_int_equal(create("hypergrid", NULL, NULL, &bad[k], &env, &err), FLV_EINVAL);
    assert_non_null(strstr(err.text, "hypergrid"));
  }
}

// 2^62 states can be counted, 2^63 are more than can be.
static void hypergrid_limits(void **state) {
  (void)state;
  flv_env env;
  flv_error err = {0};
  flv_shape shape = {16, {0}};
  for (int d = 0; d < 16; d++) shape.side[d] = d < 14 ? 16 : 8; // 2^(56+6)
  assert_int_equal(create("hypergrid", NULL, NULL, &shape, &env, &err), FLV_OK);
  assert_int_equal(env.n_states, 1LL << 62);
  const int64_t last = env.n_states - 1;
  _Alignas(8) uint16_t s[16] = {0};
  int64_t index = -1;
  env.ops->at(&env, 1, &last, s);
  env.ops->index(&env, 1, s, &index);
  assert_int_equal(index, last);
  close_env(&env);
  shape.side[15] = 9;
  assert_int_equal(create("hypergrid", NULL, NULL, &shape, &env, &err), FLV_OK);
  assert_int_equal(env.n_states, 0);
  close_env(&env);
}

static void graph_numbers(void **state) {
  (void)state;
  flv_env env;
  flv_error err = {0};
  const char *edges = "[3,5, 0,1, 0,5, 1,2, 0,2, 1,5, 2,5, 2,3, 3,6, 1,4, 4,6]";
  assert_int_equal(create("graph", "edges", edges, NULL, &env, &err), FLV_OK);
  assert_true(env.n_states == 7 && env.n_actions == 3 && env.n_back == 4);
  assert_true(env.exit_action == -1 && env.max_length == 4 && env.n_hot == 1);
  const flv_graph_env *graph = flv_graph_env_of(&env);
  assert_ptr_equal(graph, env.self);
  assert_true(graph->n_edges == 11 && graph->n_objects == 2);
  assert_true(graph->object[5] == 0 && graph->object[6] == 1 && graph->object[4] == -1);
  flv_graph_state s = {0};
  const int32_t second = 1; // the second edge out of 0 that was given
  env.ops->step(&env, 1, &s, &second);
  assert_int_equal(s.number, 5);
  close_env(&env);
  assert_int_equal(create("hypergrid", NULL, NULL, NULL, &env, &err), FLV_OK);
  assert_null(flv_graph_env_of(&env));
  close_env(&env);
}

static void graph_refusals(void **state) {
  (void)state;
  static const char *const rows[][2] = {
      {"[]", "env.edges: 0 numbers; expected one or more pairs"},
      {"[0, 1, 2]", "env.edges: 3 numbers; expected one or more pairs"},
      {"[0, 1, 2, 1]", "env.edges: edge 2 leads from 2 to 1; states must be numbered"},
      {"[0, 1, 1, 1]", "env.edges: edge 2 leads from 1 to 1; states must be numbered"},
      {"[0, 1, 0, 2, 0, 1]", "env.edges: the edge from 0 to 1 is given twice"},
      {"[0, 1, 1, 3, 2, 3]", "env.edges: nothing leads to state 2 of 0 to 3"},
      {"[1, 2]", "env.edges: nothing leads to state 1 of 0 to 2"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    flv_env env;
    flv_error err = {0};
    assert_int_equal(create("graph", "edges", rows[i][0], NULL, &env, &err), FLV_EINVAL);
    if (!strstr(err.text, rows[i][1])) fail_msg("'%s' does not say '%s'", err.text, rows[i][1]);
  }
}

static void from_configuration(void **state) {
  (void)state;
  static const flv_section sections[] = {{"env", "", flv_env_list}, {NULL, NULL, NULL}};
  flv_error err = {0};
  flv_config *cfg = flv_config_create(sections, &err);
  assert_non_null(cfg);
  assert_int_equal(flv_config_set(cfg, "env.side", "5", &err), FLV_OK);
  flv_env *env = flv_env_new(cfg, NULL, &err);
  assert_non_null(env);
  assert_int_equal(env->n_states, 25);
  flv_env_free(env);
  const flv_shape shape = {1, {3}};
  assert_int_equal(flv_config_set(cfg, "env.sides", "[4]", &err), FLV_OK);
  assert_null(flv_env_new(cfg, &shape, &err));
  assert_int_equal(err.status, FLV_EINVAL);
  flv_env_free(NULL);
  flv_config_free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hypergrid_numbers), cmocka_unit_test(hypergrid_shapes),
      cmocka_unit_test(hypergrid_limits),  cmocka_unit_test(graph_numbers),
      cmocka_unit_test(graph_refusals),    cmocka_unit_test(from_configuration),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
