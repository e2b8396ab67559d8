// Directed acyclic graphs over d variables, one edge at a time, for Bayesian structure learning.
// [Deleu et al. 2022, arXiv:2202.13903; Malkin et al. 2023, arXiv:2210.00580, section 4.3]
//
// From the required edges, of which there are none by default, action i*d + j adds the edge i -> j
// and action d^2 ends; ending is legal everywhere, so every graph is an object. Backward action
// i*d + j removes an edge that is not required. The observation is the list of edges: feature
// i*d + j is i -> j.
//
// A state is 2d rows of d bits, packed: row j holds P_j, the parents of j, and row d+j holds D_j,
// the descendants of j and j itself. That is one word up to 5 variables, two for 6 to 8, 13 for 20.
// D is a function of P; it is kept because a step changes it by d row operations,
//   i -> j:  D_u |= D_j for every u whose D_u has i,
// and with it legal actions are a row operation each (env/dag_rules.h).
#include "env/dag.h"

#include <stdlib.h>
#include <string.h>

#include "env/dag_rules.h"
#include "env/dag_table.h"
#include "env/env_list.h"

struct flv_dag_env {
  flv_dag_rules rules;
  int n_hot;
  flv_dag_table table; // without codes when there are too many variables
};

// ---- rows ----

static inline uint64_t get_row(const flv_dag_env *e, const uint64_t *s, int r) {
  const int d = e->rules.d, bit = r * d, at = bit / 64, shift = bit % 64;
  uint64_t row = s[at] >> shift;
  if (shift + d > 64) row |= s[at + 1] << (64 - shift);
  return row & e->rules.all;
}

static inline void put_row(const flv_dag_env *e, uint64_t *s, int r, uint64_t row) {
  const int d = e->rules.d, bit = r * d, at = bit / 64, shift = bit % 64;
  s[at] = (s[at] & ~(e->rules.all << shift)) | row << shift;
  if (shift + d > 64)
    s[at + 1] = (s[at + 1] & ~(e->rules.all >> (64 - shift))) | row >> (64 - shift);
}

// Writes the whole state.
static inline void put_graph(const flv_dag_env *e, uint64_t *s, const uint64_t *parents,
                             const uint64_t *descendants) {
  for (int j = 0; j < e->rules.d; j++) {
    put_row(e, s, j, parents[j]);
    put_row(e, s, e->rules.d + j, descendants[j]);
  }
}

// ---- one state ----

#define ENV flv_dag_env
#define STATE uint64_t
#define ENV_OPS dag_ops
#define ENV_ENUMERABLE

static inline void env_reset(const flv_dag_env *e, uint64_t *s) {
  uint64_t descendants[FLV_DAG_MAX_VARIABLES];
  flv_dag_closure(e->rules.d, e->rules.required, descendants);
  put_graph(e, s, e->rules.required, descendants);
}

static inline void env_step(const flv_dag_env *e, uint64_t *s, int action) {
  const int d = e->rules.d, i = action / d, j = action % d;
  const uint64_t reached = get_row(e, s, d + j);
  put_row(e, s, j, get_row(e, s, j) | UINT64_C(1) << i);
  for (int u = 0; u < d; u++) {
    const uint64_t before = get_row(e, s, d + u);
    if (before >> i & 1) put_row(e, s, d + u, before | reached);
  }
}

// Only what reaches i can lose descendants. These are renewed from their children, those of fewer
// descendants first, which is an order in which children come before parents; i is the first, and
// if it loses none, neither do the others.
static inline void env_unstep(const flv_dag_env *e, uint64_t *s, int back) {
  const int d = e->rules.d, i = back / d, j = back % d;
  uint64_t parents[FLV_DAG_MAX_VARIABLES], descendants[FLV_DAG_MAX_VARIABLES], left = 0;
  put_row(e, s, j, get_row(e, s, j) & ~(UINT64_C(1) << i));
  for (int u = 0; u < d; u++) {
    parents[u] = get_row(e, s, u);
    descendants[u] = get_row(e, s, d + u);
    left |= (descendants[u] >> i & 1) << u;
  }
  for (int u = i; left; left &= ~(UINT64_C(1) << u)) {
    int fewest = FLV_DAG_MAX_VARIABLES + 1;
    for (uint64_t others = left; others; others &= others - 1) {
      const int k = flv_bits_lowest(others), n = flv_bits_count(descendants[k]);
      if (n < fewest) fewest = n, u = k;
    }
    uint64_t now = UINT64_C(1) << u;
    for (int v = 0; v < d; v++)
      if (parents[v] >> u & 1) now |= descendants[v];
    if (u == i && now == descendants[i]) return;
    descendants[u] = now;
    put_row(e, s, d + u, now);
  }
}

static inline void env_mask(const flv_dag_env *e, const uint64_t *s, uint8_t *mask) {
  const int d = e->rules.d;
  uint64_t open[FLV_DAG_MAX_VARIABLES];
  for (int j = 0; j < d; j++)
    open[j] = flv_dag_open(&e->rules, j, get_row(e, s, j), get_row(e, s, d + j));
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++) mask[i * d + j] = open[j] >> i & 1;
  mask[d * d] = 1;
}

static inline void env_mask_back(const flv_dag_env *e, const uint64_t *s, uint8_t *mask) {
  const int d = e->rules.d;
  for (int j = 0; j < d; j++)
    for (uint64_t left = get_row(e, s, j) & ~e->rules.required[j]; left; left &= left - 1)
      mask[flv_bits_lowest(left) * d + j] = 1;
}

static inline int env_back_of(const flv_dag_env *e, const uint64_t *parent, int action) {
  (void)e, (void)parent;
  return action;
}

static inline int env_action_of(const flv_dag_env *e, const uint64_t *child, int back) {
  (void)e, (void)child;
  return back;
}

// The edges in ascending order: counted by where they begin, then dealt out column by column.
static inline void env_observe(const flv_dag_env *e, const uint64_t *s, int32_t *hot, float *x) {
  (void)x;
  const int d = e->rules.d;
  int place[FLV_DAG_MAX_VARIABLES + 1] = {0};
  for (int j = 0; j < d; j++)
    for (uint64_t left = get_row(e, s, j); left; left &= left - 1)
      place[flv_bits_lowest(left) + 1]++;
  for (int i = 0; i < d; i++) place[i + 1] += place[i];
  for (int k = place[d]; k < e->n_hot; k++) hot[k] = -1;
  for (int j = 0; j < d; j++)
    for (uint64_t left = get_row(e, s, j); left; left &= left - 1) {
      const int i = flv_bits_lowest(left);
      hot[place[i]++] = i * d + j;
    }
}

static inline int64_t env_index(const flv_dag_env *e, const uint64_t *s) {
  uint64_t parents[FLV_DAG_TABLE_VARIABLES];
  for (int j = 0; j < e->table.d; j++) parents[j] = get_row(e, s, j);
  return flv_dag_table_index(&e->table, parents);
}

static inline void env_at(const flv_dag_env *e, int64_t index, uint64_t *s) {
  uint64_t parents[FLV_DAG_TABLE_VARIABLES], descendants[FLV_DAG_TABLE_VARIABLES];
  flv_dag_table_at(&e->table, index, parents);
  flv_dag_closure(e->table.d, parents, descendants);
  put_graph(e, s, parents, descendants);
}

#include "fluvial/env_template.h"

// ---- configuration ----

enum { DEFAULT_VARIABLES = 3 };

#define DAG_KEYS(X)                                                                                \
  X(INT, variables, "0", 0, FLV_DAG_MAX_VARIABLES, "",                                             \
    "number of variables, at least 2; 0: as many as the reward scores, or 3")                      \
  X(INT, max_parents, "0", 0, FLV_DAG_MAX_VARIABLES, "", "most parents of a variable; 0: any")     \
  X(INTS, required, "[]", 0, FLV_DAG_MAX_VARIABLES - 1, "",                                        \
    "edges that every graph has: from, to, from, to, ..., variables counted from 0")               \
  X(INTS, forbidden, "[]", 0, FLV_DAG_MAX_VARIABLES - 1, "", "edges that no graph has, likewise")
typedef struct dag_cfg {
  DAG_KEYS(FLV_FIELD)
} dag_cfg;
#define FLV_STRUCT dag_cfg
static const flv_param dag_params[] = {DAG_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static flv_status choose_variables(int *d, const dag_cfg *cfg, const flv_shape *shape,
                                   flv_error *err) {
  *d = cfg->variables > 0 ? cfg->variables : DEFAULT_VARIABLES;
  if (shape && shape->n > 0) {
    if (shape->n != 1)
      return flv_fail(err, FLV_EINVAL,
                      "dag: the reward's shape has %d dimensions; expected one, the number of "
                      "variables",
                      shape->n);
    if (cfg->variables > 0 && cfg->variables != shape->side[0])
      return flv_fail(err, FLV_EINVAL,
                      "env.variables is %d, but the reward scores %d variables; leave it out and "
                      "the graphs take that number",
                      cfg->variables, shape->side[0]);
    *d = shape->side[0];
  }
  if (*d < 2 || *d > FLV_DAG_MAX_VARIABLES)
    return flv_fail(err, FLV_EINVAL, "dag: %d variables; expected 2 to %d", *d,
                    (int)FLV_DAG_MAX_VARIABLES);
  return FLV_OK;
}

static flv_status read_edges(uint64_t *sources, int d, const flv_ints *edges, const char *key,
                             flv_error *err) {
  if (edges->n % 2 != 0)
    return flv_fail(err, FLV_EINVAL, "env.%s: %d numbers; expected pairs, from and to", key,
                    edges->n);
  for (int k = 0; k < edges->n; k += 2) {
    const int from = edges->v[k], to = edges->v[k + 1];
    if (from >= d || to >= d)
      return flv_fail(err, FLV_EINVAL,
                      "env.%s: edge %d leads from %d to %d; the variables are 0 to %d", key,
                      k / 2 + 1, from, to, d - 1);
    if (from == to)
      return flv_fail(err, FLV_EINVAL, "env.%s: edge %d leads from %d to itself", key, k / 2 + 1,
                      from);
    sources[to] |= UINT64_C(1) << from;
  }
  return FLV_OK;
}

static flv_status check_required(const flv_dag_rules *rules, flv_error *err) {
  uint64_t descendants[FLV_DAG_MAX_VARIABLES];
  flv_dag_closure(rules->d, rules->required, descendants);
  for (int j = 0; j < rules->d; j++) {
    const uint64_t both = rules->required[j] & rules->forbidden[j];
    if (both)
      return flv_fail(err, FLV_EINVAL, "env.required: the edge from %d to %d is forbidden too",
                      flv_bits_lowest(both), j);
    if (flv_bits_count(rules->required[j]) > rules->max_parents)
      return flv_fail(err, FLV_EINVAL,
                      "env.required: variable %d has %d parents; env.max_parents is %d", j,
                      flv_bits_count(rules->required[j]), rules->max_parents);
    if (rules->required[j] & descendants[j])
      return flv_fail(err, FLV_EINVAL, "env.required: these edges make a cycle through variable %d",
                      j);
  }
  return FLV_OK;
}

static flv_status read_rules(flv_dag_rules *rules, const dag_cfg *cfg, int d, flv_error *err) {
  *rules = (flv_dag_rules){.d = d, .all = UINT64_MAX >> (64 - d), .max_parents = d - 1};
  if (cfg->max_parents > 0 && cfg->max_parents < d) rules->max_parents = cfg->max_parents;
  FLV_TRY(read_edges(rules->required, d, &cfg->required, "required", err));
  FLV_TRY(read_edges(rules->forbidden, d, &cfg->forbidden, "forbidden", err));
  FLV_TRY(check_required(rules, err));
  for (int j = 0; j < d; j++) rules->n_required += flv_bits_count(rules->required[j]);
  return FLV_OK;
}

static int lesser(int a, int b) { return a < b ? a : b; }

// A bound on the edges of a graph: in the order of its variables the k-th, from 0, has at most
// min(k, max_parents) parents, which every maximal graph attains unless edges are forbidden; then
// it also has at most one edge for every pair that may be joined, and into every variable at most
// as many as may lead there.
static int most_edges(const flv_dag_rules *rules) {
  uint64_t descendants[FLV_DAG_MAX_VARIABLES], may[FLV_DAG_MAX_VARIABLES];
  int ordered = 0, pairs = 0, into = 0;
  flv_dag_closure(rules->d, rules->required, descendants);
  for (int j = 0; j < rules->d; j++) {
    may[j] = rules->all & ~rules->forbidden[j] & ~descendants[j];
    ordered += lesser(j, rules->max_parents);
    into += lesser(flv_bits_count(may[j]), rules->max_parents);
    for (int i = 0; i < j; i++) pairs += (may[j] >> i & 1) || (may[i] >> j & 1);
  }
  return lesser(ordered, lesser(pairs, into));
}

static void dag_free(void *self) {
  flv_dag_env *dag = self;
  flv_dag_table_free(&dag->table);
  free(dag);
}

static flv_status dag_create(flv_env *env, const void *values, const flv_shape *shape,
                             flv_error *err) {
  const dag_cfg *cfg = values;
  flv_dag_rules rules;
  int d;
  FLV_TRY(choose_variables(&d, cfg, shape, err));
  FLV_TRY(read_rules(&rules, cfg, d, err));
  flv_dag_env *dag = calloc(1, sizeof *dag);
  if (!dag) return flv_fail(err, FLV_ENOMEM, "out of memory for environment 'dag'");
  dag->rules = rules;
  int edges = most_edges(&rules);
  int64_t n_states = 0;
  if (d <= FLV_DAG_TABLE_VARIABLES) {
    const flv_status status = flv_dag_table_init(&dag->table, &rules, err);
    if (status != FLV_OK) {
      free(dag);
      return status;
    }
    edges = dag->table.n_layers - 1 + rules.n_required;
    n_states = dag->table.first[dag->table.n_layers];
  }
  dag->n_hot = edges > 0 ? edges : 1; // 0 would mean dense observations
  *env = (flv_env){.name = "dag",
                   .ops = &dag_ops,
                   .self = dag,
                   .state_size = (size_t)(2 * d * d + 63) / 64 * 8,
                   .n_actions = d * d + 1,
                   .n_back = d * d,
                   .exit_action = d * d,
                   .max_length = edges - rules.n_required + 1,
                   .n_hot = dag->n_hot,
                   .n_features = d * d,
                   .n_nodes = d,
                   .n_states = n_states,
                   .free_self = dag_free};
  return FLV_OK;
}

// ---- for others ----

const flv_dag_env *flv_dag_env_of(const flv_env *env) {
  return env->ops == &dag_ops ? env->self : NULL;
}

int flv_dag_variables(const flv_dag_env *dag) { return dag->rules.d; }

int flv_dag_max_parents(const flv_dag_env *dag) { return dag->rules.max_parents; }

uint64_t flv_dag_parents(const flv_dag_env *dag, const void *state, int j) {
  return get_row(dag, state, j);
}

bool flv_dag_from_parents(const flv_dag_env *dag, const uint64_t *parents, void *state) {
  const flv_dag_rules *rules = &dag->rules;
  uint64_t descendants[FLV_DAG_MAX_VARIABLES];
  for (int j = 0; j < rules->d; j++)
    if ((parents[j] & ~rules->all) || (parents[j] & rules->forbidden[j]) ||
        (rules->required[j] & ~parents[j]) || flv_bits_count(parents[j]) > rules->max_parents)
      return false;
  flv_dag_closure(rules->d, parents, descendants);
  if (!flv_dag_acyclic(rules->d, parents, descendants)) return false;
  memset(state, 0, (size_t)(2 * rules->d * rules->d + 63) / 64 * 8);
  put_graph(dag, state, parents, descendants);
  return true;
}

static const flv_env_impl dag_impl = {dag_create};
const flv_component flv_env_dag = {
    "dag",           "directed acyclic graphs over variables, one edge at a time",
    dag_params,      sizeof dag_params / sizeof *dag_params,
    sizeof(dag_cfg), &dag_impl};
