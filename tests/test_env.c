// Walks over every registered environment in several shapes, and over the example at the head of
// fluvial/env_template.h: what an environment promises, checked by brute force.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "env_fixture.h"
#include "base/rng.h"
#include "env/graph.h"
#include "env/hypergrid.h"
#include "fluvial/env.h"

// ---- the header's example, word for word ----

typedef struct bits {
  int n;
} bits;
typedef struct bits_state {
  uint32_t word, length;
} bits_state;

#define ENV bits
#define STATE bits_state
#define ENV_OPS bits_ops
#define ENV_TERMINAL

static inline void env_reset(const bits *e, bits_state *s) { (void)e, (void)s; }
static inline void env_step(const bits *e, bits_state *s, int action) {
  (void)e;
  s->word |= (uint32_t)action << s->length++;
}
static inline void env_unstep(const bits *e, bits_state *s, int back) {
  (void)e, (void)back;
  s->word &= (UINT32_C(1) << --s->length) - 1;
}
static inline void env_mask(const bits *e, const bits_state *s, uint8_t *mask) {
  mask[0] = mask[1] = s->length < (uint32_t)e->n;
}
static inline void env_mask_back(const bits *e, const bits_state *s, uint8_t *mask) {
  (void)e;
  mask[0] = s->length > 0;
}
static inline int env_back_of(const bits *e, const bits_state *parent, int action) {
  (void)e, (void)parent, (void)action;
  return 0;
}
static inline int env_action_of(const bits *e, const bits_state *child, int back) {
  (void)e, (void)back;
  return (int)(child->word >> (child->length - 1) & 1);
}
static inline void env_observe(const bits *e, const bits_state *s, int32_t *hot, float *x) {
  (void)hot;
  for (int i = 0; i < e->n; i++)
    x[i] = i >= (int)s->length ? 0.0f : s->word >> i & 1 ? 1.0f : -1.0f;
}
static inline bool env_terminal(const bits *e, const bits_state *s) {
  return s->length == (uint32_t)e->n;
}
#include "fluvial/env_template.h"

// ---- configurations ----

typedef struct setting {
  const char *env;        // NULL: the example above
  flv_shape shape;        // n = 0: the environment's defaults
  const char *key, *text; // a parameter that is not its default, or NULL
} setting;

// parents: molecule is not for these walks: a step back may lead where the same molecule is reached
// again, written in another way (test_molecule_env.c).
#define FRAGMENTS "examples/molecules/fragments.json"
static const setting settings[] = {
    {NULL, {0}, NULL, NULL},
    {"hypergrid", {0}, NULL, NULL},
    {"hypergrid", {1, {1}}, NULL, NULL},
    {"hypergrid", {1, {7}}, NULL, NULL},
    {"hypergrid", {2, {3, 5}}, NULL, NULL},
    {"hypergrid", {3, {4, 1, 6}}, NULL, NULL},
    {"hypergrid", {4, {3, 3, 3, 3}}, NULL, NULL},
    {"hypergrid", {5, {2, 3, 2, 4, 2}}, NULL, NULL},
    {"hypergrid", {8, {2, 2, 2, 2, 2, 2, 2, 2}}, NULL, NULL},
    {"hypergrid", {16, {2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1}}, NULL, NULL},
    {"hypergrid", {2, {65535, 3}}, NULL, NULL}, // sampled only
    {"hypergrid",
     {16, {99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99}},
     NULL,
     NULL}, // not enumerable
    {"graph", {0}, NULL, NULL},
    {"graph", {0}, "edges", "[0, 1]"},
    {"graph", {0}, "edges", "[0,1, 0,2, 1,3, 1,4, 2,4, 2,5, 3,6, 4,6, 4,7, 5,7]"}, // graded
    {"graph", {0}, "edges", "[3,5, 0,1, 0,5, 1,2, 0,2, 1,5, 2,5, 2,3, 3,6, 1,4, 4,6]"},
    {"dag", {0}, NULL, NULL},
    {"dag", {1, {2}}, NULL, NULL},
    {"dag", {1, {3}}, "forbidden", "[0, 1, 1, 0, 0, 2, 2, 0, 1, 2, 2, 1]"}, // nothing to add
    {"dag", {1, {4}}, NULL, NULL},
    {"dag", {1, {4}}, "max_parents", "1"},
    {"dag", {1, {4}}, "required", "[2, 0, 0, 3]"},
    {"dag", {1, {4}}, "forbidden", "[0, 1, 1, 0, 2, 3]"},
    {"dag", {1, {5}}, NULL, NULL}, // rows within one word; 6: in two, at a word's edge
    {"dag", {1, {6}}, "max_parents", "2"},
    {"dag", {1, {8}}, NULL, NULL},
    {"dag", {1, {11}}, "required", "[9, 10, 8, 9, 0, 9]"},
    {"dag", {1, {20}}, "max_parents", "3"},
    {"ising", {0}, NULL, NULL},
    {"ising", {0}, "side", "2"},
    {"ising", {0}, "side", "3"},
    {"ising", {0}, "side", "10"}, // not enumerable, as the next; fields in four words
    {"bit_sequence", {0}, NULL, NULL},
    {"bit_sequence", {1, {5}}, "word", "1"},
    {"bit_sequence", {1, {8}}, "word", "2"},
    {"bit_sequence", {1, {9}}, "word", "9"}, // a single position
    {"bit_sequence", {1, {60}}, "word", "2"},
    {"bit_sequence", {1, {22}}, "word", "11"},
    {"fragments", {0}, "path,parents,max_blocks", FRAGMENTS ";tree;3"},
    {"fragments", {0}, "path,parents", FRAGMENTS ";tree"},
    {"fragments", {0}, "path,parents,min_blocks,max_blocks", FRAGMENTS ";tree;1;16"},
};
enum { N_SETTINGS = sizeof settings / sizeof *settings };

static flv_env open_setting(const setting *s) {
  static bits parameters = {.n = 8};
  flv_env env = {.name = "bits",
                 .ops = &bits_ops,
                 .self = &parameters,
                 .state_size = sizeof(bits_state),
                 .n_actions = 2,
                 .n_back = 1,
                 .exit_action = -1,
                 .max_length = 8,
                 .n_features = 8};
  flv_error err = {0};
  if (s->env && create(s->env, s->key, s->text, &s->shape, &env, &err) != FLV_OK)
    fail_msg("%s", err.text);
  return env;
}

// ---- one state ----

enum { MAX_ACTIONS = 4200, MAX_STATE = 264 };
typedef struct record {
  _Alignas(8) unsigned char bytes[MAX_STATE];
} record;

static int same(const flv_env *env, const record *a, const record *b) {
  return memcmp(a->bytes, b->bytes, env->state_size) == 0;
}

static int legal_actions(const flv_env *env, const record *s, int32_t *action) {
  uint8_t mask[MAX_ACTIONS];
  memset(mask, 2, sizeof mask);
  env->ops->mask(env, 1, s->bytes, mask);
  int n = 0;
  for (int a = 0; a < env->n_actions; a++) {
    assert_true(mask[a] <= 1);
    if (mask[a]) action[n++] = a;
  }
  assert_int_equal(mask[env->n_actions], 2);
  return n;
}

static int legal_backs(const flv_env *env, const record *s, int32_t *back) {
  uint8_t mask[MAX_ACTIONS];
  memset(mask, 2, sizeof mask);
  env->ops->mask_back(env, 1, s->bytes, mask);
  int n = 0;
  for (int b = 0; b < env->n_back; b++) {
    assert_true(mask[b] <= 1);
    if (mask[b]) back[n++] = b;
  }
  assert_int_equal(mask[env->n_back], 2);
  return n;
}

static int is_terminal(const flv_env *env, const record *s) {
  uint8_t terminal = 2;
  env->ops->terminal(env, 1, s->bytes, &terminal);
  assert_true(terminal <= 1);
  return terminal;
}

// A step and back again, both ways of naming it; returns the child.
static record check_step(const flv_env *env, const record *parent, int32_t action) {
  record child = *parent, again;
  int32_t back = -2, forward = -2;
  env->ops->back_of(env, 1, parent->bytes, &action, &back);
  assert_in_range(back, 0, env->n_back - 1);
  env->ops->step(env, 1, child.bytes, &action);
  assert_false(same(env, parent, &child));
  env->ops->action_of(env, 1, child.bytes, &back, &forward);
  assert_int_equal(forward, action);
  int32_t backs[MAX_ACTIONS];
  int listed = 0;
  for (int k = legal_backs(env, &child, backs); k-- > 0;) listed |= backs[k] == back;
  assert_true(listed);
  again = child;
  env->ops->unstep(env, 1, again.bytes, &back);
  assert_true(same(env, &again, parent));
  if (env->n_states > 0) {
    int64_t at[2];
    env->ops->index(env, 1, parent->bytes, &at[0]);
    env->ops->index(env, 1, child.bytes, &at[1]);
    assert_true(at[0] >= 0 && at[0] < at[1] && at[1] < env->n_states);
  }
  return child;
}

// Every backward action leads to a parent of its own, from which its forward action leads here.
static void check_parents(const flv_env *env, const record *child) {
  int32_t backs[MAX_ACTIONS], actions[MAX_ACTIONS];
  record parents[MAX_ACTIONS];
  const int n = legal_backs(env, child, backs);
  for (int k = 0; k < n; k++) {
    parents[k] = *child;
    int32_t action = -2, back = -2;
    env->ops->action_of(env, 1, child->bytes, &backs[k], &action);
    env->ops->unstep(env, 1, parents[k].bytes, &backs[k]);
    int listed = 0;
    for (int j = legal_actions(env, &parents[k], actions); j-- > 0;) listed |= actions[j] == action;
    assert_true(listed && action != env->exit_action);
    env->ops->back_of(env, 1, parents[k].bytes, &action, &back);
    assert_int_equal(back, backs[k]);
    record again = parents[k];
    env->ops->step(env, 1, again.bytes, &action);
    assert_true(same(env, &again, child));
    for (int j = 0; j < k; j++) assert_false(same(env, &parents[j], &parents[k]));
  }
}

// What files write of a state is read back to it.
static void check_columns(const flv_env *env, const record *s) {
  if (env->n_columns == 0) return;
  int32_t *cells = malloc((size_t)env->n_columns * sizeof *cells);
  assert_non_null(cells);
  record again;
  memset(again.bytes, 0xab, sizeof again.bytes);
  env->ops->columns(env, 1, s->bytes, cells);
  assert_true(env->ops->from_columns(env, cells, again.bytes));
  assert_true(same(env, s, &again));
  assert_int_equal(again.bytes[env->state_size], 0xab);
  free(cells);
}

// Where states have texts: those of s0 alone are empty, and the same is said twice.
static void check_object(const flv_env *env, const record *s, bool first) {
  const flv_env_ops *ops = env->ops;
  if (!env->text_name) {
    assert_true(!ops->identify && !ops->text && !ops->fingerprint && env->n_fingerprint == 0);
    return;
  }
  static char text[2][FLV_OBJECT_TEXT];
  uint64_t key[2][2] = {{1, 2}, {3, 4}}, print[FLV_FINGERPRINT_MAX];
  flv_error err = {0};
  assert_in_range(env->n_fingerprint, 1, FLV_FINGERPRINT_MAX);
  for (int k = 0; k < 2; k++) {
    ops->identify(env, 1, s->bytes, key[k]);
    assert_int_equal(ops->text(env, s->bytes, text[k], sizeof text[k], &err), FLV_OK);
  }
  assert_memory_equal(key[0], key[1], sizeof key[0]);
  assert_string_equal(text[0], text[1]);
  assert_int_equal((key[0][0] | key[0][1]) == 0, first);
  assert_int_equal(text[0][0] == '\0', first);
  if (!first) assert_int_equal(ops->fingerprint(env, text[0], print, &err), FLV_OK);
}

// An exit that is not restricted is legal everywhere; positions to fill end when there is nothing
// left to do.
static void check_exit(const flv_env *env, int n, const int32_t *actions) {
  if (env->exit_action < 0) return;
  int legal = 0;
  for (int k = 0; k < n; k++) legal |= actions[k] == env->exit_action;
  assert_true(legal || env->restricted_exit);
  assert_true(!legal || env->n_positions == 0 || !env->restricted_exit || n == 1);
}

static void check_observation(const flv_env *env, const record *s) {
  if (env->n_hot == 0) {
    float *x =
        malloc((size_t)env->n_features * sizeof *x); // exactly: a sanitizer sees one too many
    assert_non_null(x);
    for (int k = 0; k < env->n_features; k++) x[k] = 1e30f;
    env->ops->observe(env, 1, s->bytes, NULL, x);
    for (int k = 0; k < env->n_features; k++) assert_true(x[k] > -1e6f && x[k] < 1e6f);
    free(x);
    return;
  }
  int32_t *hot = malloc((size_t)env->n_hot * sizeof *hot);
  assert_non_null(hot);
  for (int k = 0; k < env->n_hot; k++) hot[k] = -2;
  env->ops->observe(env, 1, s->bytes, hot, NULL);
  for (int k = 0; k < env->n_hot; k++) {
    assert_true(hot[k] >= -1 && hot[k] < env->n_features);
    if (k > 0) assert_true(hot[k] == -1 || hot[k - 1] >= 0); // -1 only at the end
    if (k > 0 && env->n_nodes > 0) assert_true(hot[k] == -1 || hot[k - 1] < hot[k]); // ascending
    if (env->n_symbols > 0) assert_true(hot[k] / env->n_symbols == k);
    if (env->n_positions > 0) assert_true(hot[k] >= 0);
  }
  free(hot);
}

// -1 and the exit leave a state as it is, and have no backward action.
static void check_stay(const flv_env *env, const record *s) {
  const int32_t stays[] = {-1, env->exit_action};
  for (int k = 0; k < 2; k++) {
    record after = *s;
    int32_t back = -2, action = -2;
    env->ops->step(env, 1, after.bytes, &stays[k]);
    env->ops->back_of(env, 1, s->bytes, &stays[k], &back);
    assert_int_equal(back, -1);
    env->ops->unstep(env, 1, after.bytes, &back);
    env->ops->action_of(env, 1, s->bytes, &back, &action);
    assert_int_equal(action, -1);
    assert_true(same(env, s, &after));
  }
}

// ---- tests ----

static void tables_make_sense(void **state) {
  (void)state;
  for (int k = 0; flv_env_list[k]; k++) { // every registered environment is in the settings
    int listed = 0;
    for (int i = 0; i < N_SETTINGS; i++)
      listed |= settings[i].env && strcmp(settings[i].env, flv_env_list[k]->name) == 0;
    if (!listed) fail_msg("tests/test_env.c has no setting for '%s'", flv_env_list[k]->name);
  }
  for (int i = 0; i < N_SETTINGS; i++) {
    flv_env env = open_setting(&settings[i]);
    assert_true(env.state_size > 0 && env.state_size % 8 == 0 && env.state_size <= MAX_STATE);
    assert_in_range(env.n_actions, 1, MAX_ACTIONS - 1);
    assert_in_range(env.n_back, 1, MAX_ACTIONS - 1);
    assert_true(env.exit_action >= -1 && env.exit_action < env.n_actions);
    assert_true(env.max_length >= 1 && env.n_features >= 1 && env.n_hot >= 0 && env.n_states >= 0);
    if (env.n_states > 0) assert_true(env.ops->index && env.ops->at);
    if (env.n_positions != 0) assert_int_equal(env.n_positions, env.n_hot);
    if (env.n_symbols != 0) assert_int_equal(env.n_positions * env.n_symbols, env.n_features);
    if (env.n_nodes != 0) assert_true(env.n_hot > 0 && env.n_nodes * env.n_nodes == env.n_features);
    if (!settings[i].env) assert_true(!flv_hypergrid_of(&env) && !flv_graph_env_of(&env));
    close_env(&env);
  }
}

static void random_walks(void **state) {
  (void)state;
  for (int i = 0; i < N_SETTINGS; i++) {
    flv_env env = open_setting(&settings[i]);
    const int walks = env.max_length > 10000 ? 1 : 50;
    for (int w = 0; w < walks; w++) {
      record s;
      memset(s.bytes, 0xab, sizeof s.bytes);
      env.ops->reset(&env, 1, s.bytes);
      int32_t actions[MAX_ACTIONS];
      assert_int_equal(legal_backs(&env, &s, actions), 0);
      for (int length = 1;; length++) {
        check_parents(&env, &s);
        check_observation(&env, &s);
        check_columns(&env, &s);
        check_object(&env, &s, length == 1);
        check_stay(&env, &s);
        int n = legal_actions(&env, &s, actions);
        assert_true((n == 0) == is_terminal(&env, &s));
        check_exit(&env, n, actions);
        if (n == 0) {
          assert_true(env.exit_action < 0);
          break;
        }
        const flv_rng rng = {.seed = 5, .purpose = FLV_RNG_TEST, .iteration = (uint64_t)i};
        int pick = (int)(flv_rng_uniform(rng, (uint32_t)w, (uint32_t)length) * n);
        // Exit seldom, so that walks get long; when nothing else is left it is the only choice.
        if (actions[pick] == env.exit_action && w % 4 > 0 && n > 1) pick = (pick + 1) % n;
        assert_true(length <= env.max_length);
        if (actions[pick] == env.exit_action) break;
        s = check_step(&env, &s, actions[pick]);
        assert_int_equal(s.bytes[env.state_size], 0xab); // nothing is written beyond the record
      }
    }
    close_env(&env);
  }
}

// Always the first action but the exit: on a grid no walk is longer.
static int greedy_length(const flv_env *env) {
  record s;
  memset(&s, 0, sizeof s);
  env->ops->reset(env, 1, s.bytes);
  int32_t actions[MAX_ACTIONS];
  for (int n, length = 0;; length++) {
    n = legal_actions(env, &s, actions);
    int pick = 0;
    while (pick < n && actions[pick] == env->exit_action) pick++;
    if (pick == n) return length + (n > 0);
    env->ops->step(env, 1, s.bytes, &actions[pick]);
  }
}

// From every state in turn, last to first, one more than the longest of its children.
static int exact_length(const flv_env *env) {
  int length[1000];
  for (int64_t i = env->n_states - 1; i >= 0; i--) {
    record s = {{0}};
    int32_t actions[MAX_ACTIONS];
    env->ops->at(env, 1, &i, s.bytes);
    length[i] = 0;
    for (int n = legal_actions(env, &s, actions); n-- > 0;) {
      record next = s;
      int64_t child;
      env->ops->step(env, 1, next.bytes, &actions[n]);
      env->ops->index(env, 1, next.bytes, &child);
      const int here = actions[n] == env->exit_action ? 1 : 1 + length[child];
      if (here > length[i]) length[i] = here;
    }
  }
  return length[0];
}

// The longest walk there is has exactly max_length actions.
static void longest_walk(void **state) {
  (void)state;
  for (int i = 0; i < N_SETTINGS; i++) {
    flv_env env = open_setting(&settings[i]);
    const bool small = env.n_states > 0 && env.n_states <= 1000;
    assert_int_equal(small ? exact_length(&env) : greedy_length(&env), env.max_length);
    close_env(&env);
  }
}

// All states at once: index and at are inverse, parents by brute force, distinct observations.
static void enumerate(const flv_env *env) {
  const size_t n = (size_t)env->n_states, size = env->state_size;
  const size_t hot = env->n_hot > 0 ? (size_t)env->n_hot : 1, width = (size_t)env->n_features;
  unsigned char *states = malloc(n * size);
  int64_t *index = malloc(n * sizeof *index);
  int32_t *observed = malloc(n * hot * sizeof *observed);
  float *x = malloc(n * width * sizeof *x);
  int *parents = calloc(n, sizeof *parents);
  assert_true(states && index && observed && x && parents);
  for (size_t i = 0; i < n; i++) index[i] = (int64_t)i;
  memset(states, 0xab, n * size);
  env->ops->at(env, (int)n, index, states);
  memset(index, 0xff, n * sizeof *index);
  env->ops->index(env, (int)n, states, index);
  for (size_t i = 0; i < n; i++) assert_int_equal(index[i], i);
  record s0 = {{0}};
  env->ops->reset(env, 1, s0.bytes);
  assert_memory_equal(s0.bytes, states, size); // s0 has index 0, and no stray bytes
  env->ops->observe(env, (int)n, states, env->n_hot > 0 ? observed : NULL,
                    env->n_hot > 0 ? NULL : x);
  for (size_t i = 0; i < n; i++) {
    record s = {{0}};
    memcpy(s.bytes, states + i * size, size);
    int32_t actions[MAX_ACTIONS];
    for (int k = legal_actions(env, &s, actions); k-- > 0;) {
      if (actions[k] == env->exit_action) continue;
      const record child = check_step(env, &s, actions[k]);
      int64_t at = -1;
      env->ops->index(env, 1, child.bytes, &at);
      assert_memory_equal(child.bytes, states + (size_t)at * size,
                          size); // the same bytes whatever the way
      parents[at]++;
    }
    for (size_t j = 0; j < i; j++) {
      const int equal =
          env->n_hot > 0
              ? memcmp(observed + i * hot, observed + j * hot, hot * sizeof *observed) == 0
              : memcmp(x + i * width, x + j * width, width * sizeof *x) == 0;
      assert_false(equal);
    }
  }
  for (size_t i = 0; i < n; i++) {
    record s = {{0}};
    memcpy(s.bytes, states + i * size, size);
    int32_t backs[MAX_ACTIONS];
    assert_int_equal(legal_backs(env, &s, backs), parents[i]);
    if (i > 0) assert_true(parents[i] > 0); // everything can be reached
    check_parents(env, &s);
  }
  free(parents);
  free(x);
  free(observed);
  free(index);
  free(states);
}

static void small_ones_enumerated(void **state) {
  (void)state;
  int done = 0;
  for (int i = 0; i < N_SETTINGS; i++) {
    flv_env env = open_setting(&settings[i]);
    if (env.n_states > 0 && env.n_states <= 1000) {
      enumerate(&env);
      done++;
    }
    close_env(&env);
  }
  assert_true(done >= 13);
}

// A batch of different states does what its states do one by one.
static void batches_agree(void **state) {
  (void)state;
  enum { N = 37 };
  for (int i = 0; i < N_SETTINGS; i++) {
    flv_env env = open_setting(&settings[i]);
    const size_t size = env.state_size, n_actions = (size_t)env.n_actions,
                 n_back = (size_t)env.n_back;
    unsigned char *batch = malloc(N * size), *before = malloc(N * size);
    uint8_t *mask = malloc(N * n_actions), *mask_back = malloc(N * n_back), one[MAX_ACTIONS];
    uint8_t terminal[N];
    int32_t action[N], back[N];
    assert_true(batch && before && mask && mask_back);
    env.ops->reset(&env, N, batch);
    for (int t = 0; t < 6; t++) {
      memcpy(before, batch, N * size);
      env.ops->mask(&env, N, batch, mask);
      env.ops->mask_back(&env, N, batch, mask_back);
      env.ops->terminal(&env, N, batch, terminal);
      for (size_t k = 0; k < N; k++) {
        record s;
        memcpy(s.bytes, batch + k * size, size);
        env.ops->mask(&env, 1, s.bytes, one);
        assert_memory_equal(mask + k * n_actions, one, n_actions);
        env.ops->mask_back(&env, 1, s.bytes, one);
        assert_memory_equal(mask_back + k * n_back, one, n_back);
        assert_int_equal(terminal[k], is_terminal(&env, &s));
        int32_t legal[MAX_ACTIONS];
        const int n = legal_actions(&env, &s, legal);
        action[k] = n > 0 ? legal[(k + (size_t)t) % (size_t)n] : -1;
      }
      env.ops->back_of(&env, N, batch, action, back);
      env.ops->step(&env, N, batch, action);
      for (size_t k = 0; k < N; k++) {
        record s;
        memcpy(s.bytes, before + k * size, size);
        env.ops->step(&env, 1, s.bytes, &action[k]);
        assert_memory_equal(s.bytes, batch + k * size, size);
      }
      unsigned char *undone = malloc(N * size);
      assert_non_null(undone);
      memcpy(undone, batch, N * size);
      env.ops->unstep(&env, N, undone, back);
      assert_memory_equal(undone, before, N * size);
      free(undone);
    }
    free(mask_back);
    free(mask);
    free(before);
    free(batch);
    close_env(&env);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tables_make_sense), cmocka_unit_test(random_walks),
      cmocka_unit_test(longest_walk),      cmocka_unit_test(small_ones_enumerated),
      cmocka_unit_test(batches_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
