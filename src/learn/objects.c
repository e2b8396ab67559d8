// Objects from a file: rows of numbers become states.
//
// A hypergrid's states are their coordinates, a dag's its adjacency matrix; some environments read
// rows themselves (flv_env.n_columns). Of others only the way from a state to its row is known
// (env/columns.h), so all states are enumerated and met by their rows.
#include "fluvial/objects.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/intern.h"
#include "base/memory.h"
#include "env/columns.h"
#include "env/dag.h"
#include "env/hypergrid.h"
#include "fluvial/table.h"

enum { MAX_ENUMERATED = 1 << 24, CHUNK = 1024 };

typedef struct rows {
  const flv_env *env;
  const double *data; // [n, width]
  int64_t n;
  int width, columns; // numbers in a row of the file, and of an object
} rows;

static flv_status no_state(const rows *r, int64_t row, flv_error *err) {
  return flv_fail(err, FLV_EINVAL, "row %lld is no state of '%s'", (long long)row + 1,
                  r->env->name);
}

// A file with one column, or one row, is read as one dimension.
static flv_status find_rows(rows *r, const flv_shape *shape, flv_error *err) {
  r->columns = flv_columns_count(r->env);
  if (shape->n == 2)
    r->n = shape->side[0], r->width = shape->side[1];
  else if (shape->n == 1 && r->columns == 1)
    r->n = shape->side[0], r->width = 1;
  else if (shape->n == 1)
    r->n = 1, r->width = shape->side[0];
  if (r->n > 0 && (r->width == r->columns || r->width == r->columns + 1)) return FLV_OK;
  if (shape->n > 2)
    return flv_fail(err, FLV_EINVAL, "an array of %d dimensions; expected one row for each object",
                    shape->n);
  return flv_fail(err, FLV_EINVAL,
                  "%d numbers in a row; an object of '%s' has %d (and may be followed by log_r)",
                  r->width, r->env->name, r->columns);
}

// ---- grids ----

static flv_status take_coordinates(const rows *r, const flv_hypergrid *grid, unsigned char *states,
                                   flv_error *err) {
  for (int64_t i = 0; i < r->n; i++) {
    uint16_t *s = (uint16_t *)(void *)(states + (size_t)i * r->env->state_size);
    for (int d = 0; d < grid->dims; d++) {
      const double x = r->data[i * r->width + d];
      if (!(x >= 0.0 && x < grid->side[d] && floor(x) >= x))
        return flv_fail(err, FLV_EINVAL,
                        "row %lld, column %d: %g is not a whole number from 0 to %d",
                        (long long)i + 1, d + 1, x, grid->side[d] - 1);
      s[d] = (uint16_t)x;
    }
  }
  return FLV_OK;
}

// ---- directed acyclic graphs ----

static flv_status take_graphs(const rows *r, const flv_dag_env *dag, unsigned char *states,
                              flv_error *err) {
  const int d = flv_dag_variables(dag);
  for (int64_t i = 0; i < r->n; i++) {
    uint64_t parents[FLV_DAG_MAX_VARIABLES] = {0};
    for (int k = 0; k < d * d; k++) {
      const double x = r->data[i * r->width + k];
      if (!(x >= 0.0 && x <= 1.0 && floor(x) >= x))
        return flv_fail(err, FLV_EINVAL,
                        "row %lld, column %d: %g is neither 0 nor 1; a graph is its adjacency "
                        "matrix, row by row",
                        (long long)i + 1, k + 1, x);
      if (x > 0.0) parents[k % d] |= UINT64_C(1) << k / d;
    }
    if (!flv_dag_from_parents(dag, parents, states + (size_t)i * r->env->state_size))
      return no_state(r, i, err);
  }
  return FLV_OK;
}

// ---- environments that read rows themselves ----

static flv_status take_cells(const rows *r, unsigned char *states, flv_error *err) {
  int32_t *cell = calloc((size_t)r->columns, sizeof *cell);
  if (!cell) return flv_fail(err, FLV_ENOMEM, "out of memory for an object");
  flv_status status = FLV_OK;
  for (int64_t i = 0; i < r->n && status == FLV_OK; i++) {
    bool whole = true;
    for (int k = 0; k < r->columns; k++) {
      const double x = r->data[i * r->width + k];
      whole &= fabs(x) < 0x1p31 && floor(x) >= x;
      cell[k] = whole ? (int32_t)x : 0;
    }
    if (!whole || !r->env->ops->from_columns(r->env, cell, states + (size_t)i * r->env->state_size))
      status = no_state(r, i, err);
  }
  free(cell);
  return status;
}

// ---- other environments ----

typedef struct match {
  flv_intern table;      // the file's distinct rows, as flv_columns_fill writes them
  int32_t *id;           // [n] of each row of the file
  unsigned char *states; // [n * state_size] of each distinct row
  uint8_t *found;        // [n]
  int64_t *index;        // [CHUNK]
  unsigned char *chunk;  // [CHUNK * state_size]
  unsigned char *cells;  // [CHUNK, columns], 4 bytes each
  void *block;
} match;

static flv_status intern_rows(const rows *r, match *m, flv_error *err) {
  const bool whole = flv_columns_whole(r->env);
  for (int64_t i = 0; i < r->n; i++) {
    for (int k = 0; k < r->columns; k++) {
      const double x = r->data[i * r->width + k];
      if (whole && !(fabs(x) < 0x1p31 && floor(x) >= x)) return no_state(r, i, err);
      if (whole)
        ((int32_t *)(void *)m->cells)[k] = (int32_t)x;
      else
        ((float *)(void *)m->cells)[k] = (float)x + 0.0f; // -0 is 0
    }
    m->id[i] = flv_intern_row(&m->table, m->cells);
  }
  return FLV_OK;
}

static void sweep(const rows *r, match *m) {
  const flv_env *env = r->env;
  const size_t size = env->state_size, row = m->table.state_size;
  for (int64_t begin = 0; begin < env->n_states; begin += CHUNK) {
    const int n = env->n_states - begin < CHUNK ? (int)(env->n_states - begin) : CHUNK;
    for (int i = 0; i < n; i++) m->index[i] = begin + i;
    env->ops->at(env, n, m->index, m->chunk);
    flv_columns_fill(env, n, m->chunk, m->cells);
    for (int i = 0; i < n; i++) {
      const int id = flv_intern_find(&m->table, m->cells + (size_t)i * row);
      if (id < 0) continue;
      memcpy(m->states + (size_t)id * size, m->chunk + (size_t)i * size, size);
      m->found[id] = 1;
    }
  }
}

static flv_status match_states(const rows *r, unsigned char *states, flv_error *err) {
  const flv_env *env = r->env;
  const size_t size = env->state_size, row = (size_t)r->columns * 4, n = (size_t)r->n;
  if (env->n_states <= 0 || env->n_states > MAX_ENUMERATED)
    return flv_fail(err, FLV_EINVAL,
                    "objects of '%s' cannot be read from a file: it has too many states",
                    env->name);
  match m = {0};
  const flv_slot slots[] = {
      FLV_SLOT(m.id, n),        FLV_SLOT(m.states, n * size),    FLV_SLOT(m.found, n),
      FLV_SLOT(m.index, CHUNK), FLV_SLOT(m.chunk, CHUNK * size), FLV_SLOT(m.cells, CHUNK * row)};
  m.block = flv_bind(6, slots);
  flv_status status = FLV_OK;
  if (!m.block || flv_intern_init(&m.table, row, (int)r->n) != 0)
    status = flv_fail(err, FLV_ENOMEM, "out of memory for %lld objects", (long long)r->n);
  if (status == FLV_OK) status = intern_rows(r, &m, err);
  if (status == FLV_OK) sweep(r, &m);
  for (int64_t i = 0; i < r->n && status == FLV_OK; i++) {
    if (!m.found[m.id[i]]) status = no_state(r, i, err);
    memcpy(states + (size_t)i * size, m.states + (size_t)m.id[i] * size, size);
  }
  flv_intern_free(&m.table);
  flv_free(m.block);
  return status;
}

static flv_status read_states(rows *r, const flv_shape *shape, unsigned char **states,
                              flv_error *err) {
  FLV_TRY(find_rows(r, shape, err));
  *states = calloc((size_t)r->n, r->env->state_size);
  if (!*states) return flv_fail(err, FLV_ENOMEM, "out of memory for %lld objects", (long long)r->n);
  const flv_hypergrid *grid = flv_hypergrid_of(r->env);
  if (grid) return take_coordinates(r, grid, *states, err);
  const flv_dag_env *dag = flv_dag_env_of(r->env);
  if (dag) return take_graphs(r, dag, *states, err);
  return r->env->n_columns > 0 ? take_cells(r, *states, err) : match_states(r, *states, err);
}

flv_status flv_objects_read(const flv_env *env, const char *path, int64_t *n, void **states,
                            flv_error *err) {
  flv_shape shape = {0};
  double *data = NULL;
  FLV_TRY(flv_table_read(path, &shape, &data, err));
  rows r = {.env = env, .data = data};
  unsigned char *made = NULL;
  const flv_status status = read_states(&r, &shape, &made, err);
  free(data);
  if (status != FLV_OK) {
    free(made);
    flv_error_prefix(err, "%s", path);
    return status;
  }
  *n = r.n;
  *states = made;
  return FLV_OK;
}
