// All states of a small dag environment in order of edge count.
//
// A graph's code has one bit for every ordered pair: group j, of d-1 bits from bit j(d-1) on, holds
// the parents of j with j itself left out. Codes are sorted by their number of edges and then by
// value, 4 bytes each: index -> state is one load, and back a binary search.
#ifndef FLUVIAL_ENV_DAG_TABLE_H
#define FLUVIAL_ENV_DAG_TABLE_H

#include <stdint.h>

#include "env/dag_rules.h"
#include "fluvial/status.h"

enum {
  FLV_DAG_TABLE_VARIABLES = 6,
  FLV_DAG_TABLE_LAYERS = FLV_DAG_TABLE_VARIABLES * (FLV_DAG_TABLE_VARIABLES - 1) / 2 + 1
};

typedef struct flv_dag_table {
  int d, n_layers;                         // layer k: graphs of k edges beside the required ones
  int n_required;                          // required edges
  int64_t first[FLV_DAG_TABLE_LAYERS + 1]; // layer k is code[first[k]] .. code[first[k+1] - 1]
  uint32_t *code;                          // [first[n_layers]]
} flv_dag_table;

// All graphs that can be reached from the required edges; rules->d <= FLV_DAG_TABLE_VARIABLES.
// FLV_ENOMEM leaves nothing to free.
flv_status flv_dag_table_init(flv_dag_table *table, const flv_dag_rules *rules, flv_error *err);
void flv_dag_table_free(flv_dag_table *table);

// The number of all directed acyclic graphs over d <= FLV_DAG_TABLE_VARIABLES variables.
int64_t flv_dag_count(int d);

// parents [d]; the graph must be in the table.
int64_t flv_dag_table_index(const flv_dag_table *table, const uint64_t *parents);
void flv_dag_table_at(const flv_dag_table *table, int64_t index, uint64_t *parents);

#endif
