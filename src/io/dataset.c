#include "io/dataset.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "io/csv_fields.h"
#include "io/file.h"
#include "io/table_format.h"

// A category: a whole number, or a text.
typedef struct category {
  bool whole;
  double value;
  const char *begin;
  size_t size;
} category;

typedef struct reader {
  flv_csv_text csv;
  flv_data_kind kind;
  flv_csv_record header; // line 0: there is none
  flv_dataset data;
  category *known; // [columns][FLV_DATA_MAX_CATEGORIES]; NULL for numbers
} reader;

static bool missing(flv_csv_field field) {
  static const char *const words[] = {"", "NA", "N/A", "NaN", "null", "?"};
  const size_t n = (size_t)(field.end - field.begin);
  for (size_t k = 0; k < sizeof words / sizeof *words; k++)
    if (strlen(words[k]) == n && strncasecmp(words[k], field.begin, n) == 0) return true;
  return false;
}

// ---- shape ----

static flv_status check_size(int64_t rows, int64_t columns, flv_error *err) {
  if (columns < 2)
    return flv_fail(err, FLV_EINVAL,
                    "expected 2 or more columns (between commas, semicolons or tabs), found %lld",
                    (long long)columns);
  if (columns > FLV_DATA_MAX_COLUMNS)
    return flv_fail(err, FLV_EINVAL, "expected at most %d columns, found %lld",
                    (int)FLV_DATA_MAX_COLUMNS, (long long)columns);
  if (rows < FLV_DATA_MIN_ROWS)
    return flv_fail(err, FLV_EINVAL, "expected %d or more rows of data, found %lld",
                    (int)FLV_DATA_MIN_ROWS, (long long)rows);
  if (rows > INT_MAX / FLV_DATA_MAX_COLUMNS)
    return flv_fail(err, FLV_EINVAL, "expected at most %d rows, found %lld",
                    INT_MAX / FLV_DATA_MAX_COLUMNS, (long long)rows);
  return FLV_OK;
}

static bool is_header(const flv_csv_text *csv, const flv_csv_record *record) {
  flv_csv_cut cut = flv_csv_cut_record(csv, record);
  flv_csv_field field;
  int64_t n = 0, numbers = 0, absent = 0;
  for (double unused; flv_csv_next_field(&cut, &field); n++) {
    if (missing(field))
      absent++;
    else
      numbers += flv_csv_number(field, &unused);
  }
  return numbers == 0 || numbers + absent < n;
}

// How many fields a record has. A quote that is never closed takes all the rest of the file.
static flv_status measure_record(const reader *r, const flv_csv_record *record, int64_t *columns,
                                 flv_error *err) {
  flv_csv_cut cut = flv_csv_cut_record(&r->csv, record);
  flv_csv_field field;
  *columns = 0;
  while (flv_csv_next_field(&cut, &field)) {
    ++*columns;
    if (field.unclosed)
      return flv_fail(err, FLV_EINVAL, "line %lld, column %lld: expected a closing quote",
                      (long long)record->line, (long long)*columns);
  }
  return FLV_OK;
}

// The header if there is one, and how many rows and columns follow; all records of equal width.
static flv_status measure(reader *r, int64_t *rows, int64_t *columns, flv_error *err) {
  flv_csv_record record = {0};
  if (!flv_csv_next(&r->csv, &record))
    return flv_fail(err, FLV_EINVAL, "expected a table, found nothing");
  const int64_t first = record.line;
  FLV_TRY(measure_record(r, &record, columns, err));
  if (is_header(&r->csv, &record)) r->header = record;
  *rows = r->header.line == 0;
  while (flv_csv_next(&r->csv, &record)) {
    int64_t found = 0;
    FLV_TRY(measure_record(r, &record, &found, err));
    if (found != *columns)
      return flv_fail(
          err, FLV_EINVAL, "line %lld: expected %lld columns as in line %lld, found %lld",
          (long long)record.line, (long long)*columns, (long long)first, (long long)found);
    ++*rows;
  }
  return FLV_OK;
}

static flv_status allocate(flv_dataset *data, int64_t rows, int64_t columns, flv_data_kind kind,
                           size_t text, flv_error *err) {
  FLV_TRY(check_size(rows, columns, err));
  const bool numbers = kind == FLV_DATA_NUMBERS;
  const size_t cells = (size_t)rows * (size_t)columns;
  *data = (flv_dataset){.rows = (int)rows, .columns = (int)columns};
  const flv_slot slots[] = {FLV_SLOT(data->name, columns), FLV_SLOT(data->x, numbers ? cells : 0),
                            FLV_SLOT(data->code, numbers ? 0 : cells),
                            FLV_SLOT(data->levels, numbers ? 0 : columns)};
  data->block = flv_bind(4, slots);
  data->text = calloc(text + 16 * (size_t)columns, 1);
  if (!data->block || !data->text) {
    flv_dataset_free(data);
    return flv_fail(err, FLV_ENOMEM, "out of memory for %lld rows of %lld columns", (long long)rows,
                    (long long)columns);
  }
  if (numbers)
    data->code = NULL, data->levels = NULL;
  else
    data->x = NULL;
  return FLV_OK;
}

// ---- names ----

static void number_names(flv_dataset *data) {
  for (int c = 0; c < data->columns; c++) {
    data->name[c] = data->text + 16 * c;
    snprintf(data->name[c], 16, "X%d", c + 1);
  }
}

// The field's text with doubled quotes made single and control characters made blanks; returns its
// end.
static char *copy_name(char *to, flv_csv_field field) {
  for (const char *p = field.begin; p < field.end; p++) {
    if (field.quoted && *p == '"' && p + 1 < field.end && p[1] == '"') p++;
    *to++ = (char)((unsigned char)*p < 32 || *p == 127 ? ' ' : *p);
  }
  *to++ = '\0';
  return to;
}

static flv_status read_names(reader *r, flv_error *err) {
  flv_dataset *data = &r->data;
  if (r->header.line == 0) {
    number_names(data);
    return FLV_OK;
  }
  flv_csv_cut cut = flv_csv_cut_record(&r->csv, &r->header);
  flv_csv_field field;
  const long long line = (long long)r->header.line;
  char *to = data->text;
  for (int c = 0; flv_csv_next_field(&cut, &field); c++) {
    if (field.begin == field.end)
      return flv_fail(err, FLV_EINVAL,
                      "line %lld, column %d: expected a name, found nothing (if it stands above "
                      "row numbers, leave those out)",
                      line, c + 1);
    if (field.end - field.begin > FLV_DATA_MAX_NAME)
      return flv_fail(err, FLV_EINVAL, "line %lld, column %d: expected a name of at most %d bytes",
                      line, c + 1, (int)FLV_DATA_MAX_NAME);
    data->name[c] = to;
    to = copy_name(to, field);
    for (int k = 0; k < c; k++)
      if (strcmp(data->name[k], data->name[c]) == 0)
        return flv_fail(err, FLV_EINVAL,
                        "line %lld, column %d: expected another name than column %d's, found '%s' "
                        "again (the first line is read as names unless it is all numbers)",
                        line, c + 1, k + 1, data->name[c]);
  }
  return FLV_OK;
}

// ---- cells ----

// The code of a category, which is made known; -1 when there are too many.
static int find_category(reader *r, int column, category wanted) {
  category *known = r->known + (size_t)column * FLV_DATA_MAX_CATEGORIES;
  int *n = &r->data.levels[column];
  for (int k = 0; k < *n; k++) {
    if (known[k].whole != wanted.whole) continue;
    if (wanted.whole ? known[k].value == wanted.value
                     : known[k].size == wanted.size &&
                           memcmp(known[k].begin, wanted.begin, wanted.size) == 0)
      return k;
  }
  if (*n == FLV_DATA_MAX_CATEGORIES) return -1;
  known[*n] = wanted;
  return (*n)++;
}

// One cell that is a number or, with field, a text. Returns what was expected instead, or NULL.
static const char *put_cell(reader *r, int row, int column, bool is_number, double value,
                            const flv_csv_field *field) {
  flv_dataset *data = &r->data;
  const size_t at = (size_t)column * (size_t)data->rows + (size_t)row;
  if (is_number && !isfinite(value)) return "a finite number";
  if (r->kind == FLV_DATA_NUMBERS) {
    if (!is_number) return "a number";
    data->x[at] = value;
    return NULL;
  }
  category wanted = {is_number, value, NULL, 0};
  if (is_number && (floor(value) < value || fabs(value) > 9007199254740992.0))
    return "a category (a whole number or a text)";
  if (!is_number)
    wanted = (category){false, 0.0, field->begin, (size_t)(field->end - field->begin)};
  const int code = find_category(r, column, wanted);
  if (code < 0) return "at most 256 categories (is it a number that identifies the row?)";
  data->code[at] = (unsigned char)code;
  return NULL;
}

static flv_status read_rows(reader *r, flv_error *err) {
  flv_csv_record record = r->header;
  for (int row = 0; row < r->data.rows && flv_csv_next(&r->csv, &record); row++) {
    flv_csv_cut cut = flv_csv_cut_record(&r->csv, &record);
    flv_csv_field field;
    for (int c = 0; c < r->data.columns && flv_csv_next_field(&cut, &field); c++) {
      double value = 0.0;
      const char *expected = "a value (no missing ones)";
      if (!missing(field)) {
        const bool is_number = flv_csv_number(field, &value);
        expected = put_cell(r, row, c, is_number, value, &field);
      }
      if (!expected) continue;
      char text[FLV_CSV_SHOWN];
      return flv_fail(err, FLV_EINVAL, "line %lld, column %d ('%s'): expected %s, found '%s'",
                      (long long)record.line, c + 1, r->data.name[c], expected,
                      flv_csv_shown(field, text));
    }
  }
  return FLV_OK;
}

// ---- columns ----

static bool same_column(const flv_dataset *data, int a, int b) {
  const size_t n = (size_t)data->rows, i = (size_t)a * n, j = (size_t)b * n;
  if (data->code) return memcmp(data->code + i, data->code + j, n) == 0;
  for (size_t r = 0; r < n; r++)
    if (data->x[i + r] < data->x[j + r] || data->x[i + r] > data->x[j + r]) return false;
  return true;
}

static bool constant(const flv_dataset *data, int c) {
  if (data->code) return data->levels[c] == 1;
  const double *x = data->x + (size_t)c * (size_t)data->rows;
  for (int r = 1; r < data->rows; r++)
    if (x[r] < x[0] || x[r] > x[0]) return false;
  return true;
}

static flv_status check_columns(const flv_dataset *data, flv_error *err) {
  for (int c = 0; c < data->columns; c++) {
    if (constant(data, c))
      return flv_fail(err, FLV_EINVAL,
                      "column %d ('%s'): expected values that differ, found one only", c + 1,
                      data->name[c]);
    for (int k = 0; k < c; k++)
      if (same_column(data, k, c))
        return flv_fail(err, FLV_EINVAL,
                        "column %d ('%s'): expected another variable, found a copy of column %d "
                        "('%s')",
                        c + 1, data->name[c], k + 1, data->name[k]);
  }
  return FLV_OK;
}

// ---- files ----

static flv_status start(reader *r, int64_t rows, int64_t columns, size_t text, flv_error *err) {
  FLV_TRY(allocate(&r->data, rows, columns, r->kind, text, err));
  if (r->kind == FLV_DATA_NUMBERS) return FLV_OK;
  r->known = calloc((size_t)columns * FLV_DATA_MAX_CATEGORIES, sizeof *r->known);
  return r->known ? FLV_OK : flv_fail(err, FLV_ENOMEM, "out of memory for categories");
}

static flv_status finish(reader *r, flv_dataset *data, flv_status status, flv_error *err) {
  if (status == FLV_OK) status = check_columns(&r->data, err);
  free(r->known);
  if (status == FLV_OK)
    *data = r->data;
  else
    flv_dataset_free(&r->data);
  return status;
}

flv_status flv_dataset_parse(flv_dataset *data, const char *text, size_t size, flv_data_kind kind,
                             flv_error *err) {
  reader r = {.kind = kind};
  FLV_TRY(flv_csv_open(&r.csv, text, size, err));
  const flv_csv_locale locale = flv_csv_locale_enter();
  int64_t rows = 0, columns = 0;
  flv_status status = measure(&r, &rows, &columns, err);
  const size_t header = (size_t)(r.header.end - r.header.begin);
  if (status == FLV_OK) status = start(&r, rows, columns, header, err);
  if (status == FLV_OK) status = read_names(&r, err);
  if (status == FLV_OK) status = read_rows(&r, err);
  flv_csv_locale_leave(locale);
  return finish(&r, data, status, err);
}

static flv_status copy_array(reader *r, const double *x, flv_error *err) {
  for (int row = 0; row < r->data.rows; row++)
    for (int c = 0; c < r->data.columns; c++) {
      const double value = x[(size_t)row * (size_t)r->data.columns + (size_t)c];
      const char *expected = put_cell(r, row, c, true, value, NULL);
      if (expected)
        return flv_fail(err, FLV_EINVAL, "row %d, column %d: expected %s, found %g", row + 1, c + 1,
                        expected, value);
    }
  return FLV_OK;
}

static flv_status parse_npy(flv_dataset *data, const char *bytes, size_t size, flv_data_kind kind,
                            flv_error *err) {
  flv_shape shape = {0};
  double *x = NULL;
  FLV_TRY(flv_npy_parse(bytes, size, &shape, &x, err));
  reader r = {.kind = kind};
  flv_status status = shape.n == 2 ? FLV_OK
                                   : flv_fail(err, FLV_EINVAL,
                                              "expected an array of 2 dimensions, rows and "
                                              "columns, found %d",
                                              shape.n);
  if (status == FLV_OK) status = start(&r, shape.side[0], shape.side[1], 0, err);
  if (status == FLV_OK) {
    number_names(&r.data);
    status = copy_array(&r, x, err);
  }
  free(x);
  return finish(&r, data, status, err);
}

flv_status flv_dataset_read(flv_dataset *data, const char *path, flv_data_kind kind,
                            flv_error *err) {
  char *bytes = NULL;
  size_t size = 0;
  FLV_TRY(flv_file_read(path, &bytes, &size, err));
  const size_t n = strlen(path);
  const bool npy = n >= 4 && strcasecmp(path + n - 4, ".npy") == 0;
  const flv_status status = npy ? parse_npy(data, bytes, size, kind, err)
                                : flv_dataset_parse(data, bytes, size, kind, err);
  if (status != FLV_OK) flv_error_prefix(err, "%s", path);
  free(bytes);
  return status;
}

void flv_dataset_free(flv_dataset *data) {
  flv_free(data->block);
  free(data->text);
  *data = (flv_dataset){0};
}
