// Enumeration of directed acyclic graphs.
//
// Every set of edges out of an acyclic graph is acyclic and has no more parents, so each reachable
// graph is met exactly once by adding its edges in descending order of code bits. And so they come
// sorted: from the codes of layer k in ascending order, each extended by every legal bit below its
// lowest one in ascending order, come the codes of layer k+1 in ascending order (two of them differ
// first, from the top, where their k-edge prefixes do, or else in the bit added last).
#include "env/dag_table.h"

#include <assert.h>

#include "base/memory.h"

// Group j of a code: the set without j, whose bit is never set.
static inline uint32_t pack(uint64_t set, int j) {
  const uint32_t bits = (uint32_t)set, below = (UINT32_C(1) << j) - 1;
  return (bits & below) | (bits >> 1 & ~below);
}

static inline uint64_t unpack(uint32_t group, int j) {
  const uint32_t below = (UINT32_C(1) << j) - 1;
  return (group & below) | (uint64_t)(group & ~below) << 1;
}

static inline uint32_t code_of(int d, const uint64_t *parents) {
  uint32_t code = 0;
  for (int j = 0; j < d; j++) code |= pack(parents[j], j) << (j * (d - 1));
  return code;
}

static inline void parents_of(int d, uint32_t code, uint64_t *parents) {
  const uint32_t group = (UINT32_C(1) << (d - 1)) - 1;
  for (int j = 0; j < d; j++) parents[j] = unpack(code >> (j * (d - 1)) & group, j);
}

// The k variables without parents can be chosen in C(n, k) ways; inclusion and exclusion over them
// gives a_n = sum_{k=1..n} (-1)^(k+1) C(n,k) 2^(k(n-k)) a_(n-k), a_0 = 1.   [Robinson 1973]
int64_t flv_dag_count(int d) {
  int64_t a[FLV_DAG_TABLE_VARIABLES + 1] = {1};
  for (int n = 1; n <= d; n++) {
    int64_t choose = 1;
    for (int k = 1; k <= n; k++) {
      choose = choose * (n - k + 1) / k;
      const int64_t term = choose * (INT64_C(1) << (k * (n - k))) * a[n - k];
      a[n] += k % 2 == 1 ? term : -term;
    }
  }
  return a[d];
}

// The edges that may be added to a graph, as bits of its code.
static uint32_t open_bits(const flv_dag_rules *rules, uint32_t code) {
  uint64_t parents[FLV_DAG_TABLE_VARIABLES], descendants[FLV_DAG_TABLE_VARIABLES],
      open[FLV_DAG_TABLE_VARIABLES];
  parents_of(rules->d, code, parents);
  flv_dag_closure(rules->d, parents, descendants);
  for (int j = 0; j < rules->d; j++) open[j] = flv_dag_open(rules, j, parents[j], descendants[j]);
  return code_of(rules->d, open);
}

flv_status flv_dag_table_init(flv_dag_table *table, const flv_dag_rules *rules, flv_error *err) {
  assert(rules->d <= FLV_DAG_TABLE_VARIABLES);
  flv_dag_table t = {.d = rules->d, .n_required = rules->n_required};
  const int64_t most = flv_dag_count(rules->d); // pages that constraints leave over stay untouched
  t.code = flv_alloc((size_t)most * sizeof *t.code);
  if (!t.code)
    return flv_fail(err, FLV_ENOMEM, "out of memory for a table of %lld graphs", (long long)most);
  const uint32_t required = code_of(rules->d, rules->required);
  int64_t n = 0;
  t.code[n++] = required;
  while (t.first[t.n_layers] < n) {
    const int64_t end = n;
    for (int64_t i = t.first[t.n_layers]; i < end; i++) {
      const uint32_t code = t.code[i], added = code & ~required;
      uint32_t bits = open_bits(rules, code);
      if (added) bits &= (added & (0u - added)) - 1;
      for (; bits; bits &= bits - 1) {
        assert(n < most);
        t.code[n++] = code | (bits & (0u - bits));
      }
    }
    t.first[++t.n_layers] = end;
  }
  *table = t;
  return FLV_OK;
}

void flv_dag_table_free(flv_dag_table *table) {
  flv_free(table->code);
  table->code = NULL;
}

int64_t flv_dag_table_index(const flv_dag_table *table, const uint64_t *parents) {
  const uint32_t code = code_of(table->d, parents);
  const int layer = flv_bits_count(code) - table->n_required;
  const uint32_t *at = table->code + table->first[layer];
  // Without branches: code is among at[0 .. n-1].
  for (int64_t n = table->first[layer + 1] - table->first[layer]; n > 1;) {
    const int64_t half = n / 2;
    at += at[half] <= code ? half : 0;
    n -= half;
  }
  return at - table->code;
}

void flv_dag_table_at(const flv_dag_table *table, int64_t index, uint64_t *parents) {
  parents_of(table->d, table->code[index], parents);
}
