// Numbers in rows: .csv and its relatives, as an array.
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>

#include "io/csv_fields.h"
#include "io/table_format.h"

// Moves from the first record to the first row of numbers. A first record without a single number
// is a header.
static flv_status skip_header(const flv_csv_text *csv, flv_csv_record *record, flv_error *err) {
  const flv_csv_record first = *record;
  flv_csv_cut cut = flv_csv_cut_record(csv, &first);
  flv_csv_field field;
  int64_t names = 0, numbers = 0, empty = 0;
  for (double unused; flv_csv_next_field(&cut, &field);) {
    names++;
    numbers += flv_csv_number(field, &unused);
    if (field.begin == field.end && empty == 0) empty = names;
  }
  if (numbers == names) return FLV_OK;
  if (empty > 0)
    return flv_fail(
        err, FLV_EINVAL,
        "line %lld, column %lld is empty (if it stands above row numbers, leave those out)",
        (long long)first.line, (long long)empty);
  if (numbers > 0) return FLV_OK; // a row, and what is wrong with it comes out when it is read
  if (!flv_csv_next(csv, record))
    return flv_fail(err, FLV_EINVAL, "there are no numbers after the header in line %lld",
                    (long long)first.line);
  const int64_t columns = flv_csv_count(csv, record);
  const bool one_name = csv->separator == ' ' && columns == 1; // of several words
  if (names != columns && !one_name)
    return flv_fail(err, FLV_EINVAL, "columns: %lld in line %lld (the header), %lld in line %lld",
                    (long long)names, (long long)first.line, (long long)columns,
                    (long long)record->line);
  return FLV_OK;
}

// How many rows there are from `record` on, all of them of the same width.
static flv_status count_rows(const flv_csv_text *csv, flv_csv_record record, int64_t columns,
                             int64_t *rows, flv_error *err) {
  const int64_t first = record.line;
  *rows = 1;
  while (flv_csv_next(csv, &record)) {
    ++*rows;
    const int64_t found = flv_csv_count(csv, &record);
    if (found != columns)
      return flv_fail(err, FLV_EINVAL, "columns: %lld in line %lld, %lld in line %lld",
                      (long long)found, (long long)record.line, (long long)columns,
                      (long long)first);
  }
  if (*rows > INT_MAX || columns > INT_MAX) return flv_fail(err, FLV_EINVAL, "it is too large");
  return FLV_OK;
}

static flv_status read_row(const flv_csv_text *csv, const flv_csv_record *record, double *row,
                           flv_error *err) {
  flv_csv_cut cut = flv_csv_cut_record(csv, record);
  flv_csv_field field;
  for (int64_t k = 0; flv_csv_next_field(&cut, &field); k++) {
    char text[FLV_CSV_SHOWN];
    if (!flv_csv_number(field, &row[k]))
      return flv_fail(err, FLV_EINVAL, "line %lld, column %lld: expected a number, found '%s'",
                      (long long)record->line, (long long)k + 1, flv_csv_shown(field, text));
  }
  return FLV_OK;
}

static flv_status parse(const flv_csv_text *csv, flv_shape *shape, double **data, flv_error *err) {
  flv_csv_record record = {0};
  if (!flv_csv_next(csv, &record)) return flv_fail(err, FLV_EINVAL, "there are no numbers in it");
  FLV_TRY(skip_header(csv, &record, err));
  const int64_t columns = flv_csv_count(csv, &record);
  int64_t rows = 0;
  FLV_TRY(count_rows(csv, record, columns, &rows, err));
  double *values = calloc((size_t)rows * (size_t)columns, sizeof *values); // no larger than 8 files
  if (!values) return flv_fail(err, FLV_ENOMEM, "out of memory for %lld rows", (long long)rows);
  for (int64_t r = 0; r < rows; r++) {
    const flv_status status = read_row(csv, &record, values + r * columns, err);
    if (status != FLV_OK) {
      free(values);
      return status;
    }
    flv_csv_next(csv, &record);
  }
  *shape = rows == 1 || columns == 1 ? (flv_shape){1, {(int)(rows * columns)}}
                                     : (flv_shape){2, {(int)rows, (int)columns}};
  *data = values;
  return FLV_OK;
}

flv_status flv_csv_parse(const char *text, size_t size, flv_shape *shape, double **data,
                         flv_error *err) {
  flv_csv_text csv;
  FLV_TRY(flv_csv_open(&csv, text, size, err));
  const flv_csv_locale locale = flv_csv_locale_enter();
  const flv_status status = parse(&csv, shape, data, err);
  flv_csv_locale_leave(locale);
  return status;
}
