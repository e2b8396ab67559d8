// Adjacency matrices: names are matched first, then numbers fill in.
#include "io/adjacency.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "io/csv_fields.h"
#include "io/file.h"

enum { MOST = 64 };

typedef struct matrix {
  flv_csv_text csv;
  int d;
  const char *const *names;
  bool header, row_names;
  int column[MOST], row[MOST]; // variable of each
  uint64_t parents[MOST];
} matrix;

// Undoubles the quotes of a quoted field on the way.
static bool is_name(flv_csv_field field, const char *name) {
  const char *p = field.begin;
  for (; p < field.end && *name; p++, name++) {
    if (*p != *name) return false;
    if (field.quoted && *p == '"') p++;
  }
  return p >= field.end && !*name;
}

static flv_status find_name(const matrix *m, flv_csv_field field, int64_t line, int n,
                            const int *before, int *found, flv_error *err) {
  char text[FLV_CSV_SHOWN];
  *found = -1;
  for (int j = 0; j < m->d; j++)
    if (is_name(field, m->names[j])) *found = j;
  if (*found < 0)
    return flv_fail(err, FLV_EINVAL, "line %lld: '%s' is no variable of the data", (long long)line,
                    flv_csv_shown(field, text));
  for (int k = 0; k < n; k++)
    if (before[k] == *found)
      return flv_fail(err, FLV_EINVAL, "line %lld: '%s' stands there twice", (long long)line,
                      flv_csv_shown(field, text));
  return FLV_OK;
}

// The header is a first record that is not all numbers; one field more than variables is the corner
// above the names of the rows.
static flv_status read_header(matrix *m, flv_csv_record *first, flv_error *err) {
  if (!flv_csv_next(&m->csv, first)) return flv_fail(err, FLV_EINVAL, "it is empty");
  const int64_t n = flv_csv_count(&m->csv, first);
  flv_csv_cut cut = flv_csv_cut_record(&m->csv, first);
  flv_csv_field field;
  double unused;
  while (flv_csv_next_field(&cut, &field)) m->header |= !flv_csv_number(field, &unused);
  m->row_names = m->header && n == m->d + 1;
  if (n != m->d + m->row_names)
    return flv_fail(err, FLV_EINVAL, "line %lld has %lld fields; the data have %d variables",
                    (long long)first->line, (long long)n, m->d);
  for (int k = 0; k < m->d; k++) m->column[k] = m->row[k] = k;
  if (!m->header) {
    *first = (flv_csv_record){0}; // a row
    return FLV_OK;
  }
  cut = flv_csv_cut_record(&m->csv, first);
  if (m->row_names) flv_csv_next_field(&cut, &field);
  for (int k = 0; k < m->d && flv_csv_next_field(&cut, &field); k++) {
    FLV_TRY(find_name(m, field, first->line, k, m->column, &m->column[k], err));
    m->row[k] = m->column[k];
  }
  return FLV_OK;
}

static flv_status read_row(matrix *m, const flv_csv_record *record, int r, flv_error *err) {
  const int64_t n = flv_csv_count(&m->csv, record);
  if (n != m->d + m->row_names)
    return flv_fail(err, FLV_EINVAL, "line %lld has %lld fields; expected %d",
                    (long long)record->line, (long long)n, m->d + m->row_names);
  flv_csv_cut cut = flv_csv_cut_record(&m->csv, record);
  flv_csv_field field;
  if (m->row_names && flv_csv_next_field(&cut, &field))
    FLV_TRY(find_name(m, field, record->line, r, m->row, &m->row[r], err));
  for (int c = 0; c < m->d && flv_csv_next_field(&cut, &field); c++) {
    double value = 0.0;
    char text[FLV_CSV_SHOWN];
    if (!flv_csv_number(field, &value) || !isfinite(value))
      return flv_fail(err, FLV_EINVAL, "line %lld: expected a number (0: no edge), found '%s'",
                      (long long)record->line, flv_csv_shown(field, text));
    if (value != 0.0) m->parents[m->column[c]] |= UINT64_C(1) << m->row[r];
  }
  return FLV_OK;
}

// Variables without parents among those that are left are taken away until none is left.
static bool acyclic(int d, const uint64_t *parents) {
  uint64_t left = UINT64_MAX >> (64 - d);
  for (bool some = true; left && some;) {
    some = false;
    for (int j = 0; j < d; j++)
      if ((left >> j & 1) && !(parents[j] & left)) {
        left &= ~(UINT64_C(1) << j);
        some = true;
      }
  }
  return left == 0;
}

static flv_status parse(matrix *m, flv_error *err) {
  flv_csv_record record = {0};
  FLV_TRY(read_header(m, &record, err));
  int r = 0;
  for (; flv_csv_next(&m->csv, &record); r++) {
    if (r == m->d)
      return flv_fail(err, FLV_EINVAL, "there are more rows than the %d variables", m->d);
    FLV_TRY(read_row(m, &record, r, err));
  }
  if (r < m->d) return flv_fail(err, FLV_EINVAL, "%d rows for %d variables", r, m->d);
  if (!acyclic(m->d, m->parents))
    return flv_fail(err, FLV_EINVAL, "the graph has a cycle (is row i, column j the edge i -> j?)");
  return FLV_OK;
}

flv_status flv_adjacency_read(uint64_t *parents, const char *path, int d, const char *const *names,
                              flv_error *err) {
  char *text = NULL;
  size_t size = 0;
  if (d < 1 || d > MOST) return flv_fail(err, FLV_EINVAL, "%d variables; at most %d", d, (int)MOST);
  FLV_TRY(flv_file_read(path, &text, &size, err));
  matrix m = {.d = d, .names = names};
  flv_status status = flv_csv_open(&m.csv, text, size, err);
  if (status == FLV_OK) {
    const flv_csv_locale locale = flv_csv_locale_enter();
    status = parse(&m, err);
    flv_csv_locale_leave(locale);
  }
  free(text);
  if (status != FLV_OK) return flv_error_prefix(err, "%s", path);
  memcpy(parents, m.parents, (size_t)d * sizeof *parents);
  return FLV_OK;
}
