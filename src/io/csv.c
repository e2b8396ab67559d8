// Numbers in rows: .csv and its relatives. The field separator is the first of ; tab , that occurs
// outside quotes in the first two lines, else runs of blanks.
#include <limits.h>
#include <locale.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/table_format.h"

typedef struct csv_line {
  const char *begin, *end;
  int64_t number; // from 1
} csv_line;

typedef struct csv_field {
  const char *begin, *end; // without quotes and the blanks around it
} csv_field;

typedef struct csv_cut { // a line being cut into fields
  const char *at, *end;
  char separator; // ' ' stands for runs of blanks
  bool done;
} csv_cut;

static bool blank(char c) { return c == ' ' || c == '\t'; }

// The next line that is neither blank nor a comment. *line starts as {text, text, 0}.
static bool next_line(csv_line *line, const char *end) {
  const char *at = line->end;
  while (at < end) {
    if (line->number > 0) at += *at == '\r' && at + 1 < end && at[1] == '\n' ? 2 : 1;
    line->number++;
    line->begin = at;
    while (at < end && *at != '\n' && *at != '\r') at++;
    line->end = at;
    const char *first = line->begin;
    while (first < at && blank(*first)) first++;
    if (first < at && *first != '#') return true;
  }
  return false;
}

static char find_separator(csv_line line, const char *end) {
  static const char order[] = ";\t,";
  bool seen[sizeof order] = {false};
  for (int i = 0; i < 2 && next_line(&line, end); i++) {
    bool quoted = false;
    for (const char *p = line.begin; p < line.end; p++) {
      if (*p == '"') quoted = !quoted;
      const char *which = quoted || *p == '\0' ? NULL : strchr(order, *p);
      if (which) seen[which - order] = true;
    }
  }
  for (size_t k = 0; order[k]; k++)
    if (seen[k]) return order[k];
  return ' ';
}

static csv_cut cut_line(const csv_line *line, char separator) {
  csv_cut cut = {line->begin, line->end, separator, false};
  if (separator == ' ')
    while (cut.end > cut.at && blank(cut.end[-1])) cut.end--;
  return cut;
}

static bool next_field(csv_cut *cut, csv_field *field) {
  if (cut->done) return false;
  const char separator = cut->separator, *p = cut->at;
  while (p < cut->end && blank(*p) && (*p != separator || separator == ' ')) p++;
  const bool quoted = p < cut->end && *p == '"';
  const char *const begin = p, *close = NULL;
  for (bool inside = false; p < cut->end; p++) {
    if (*p == '"' && quoted) {
      inside = !inside;
      if (!inside) close = p;
    } else if (!inside && (*p == separator || (separator == ' ' && *p == '\t'))) {
      break;
    }
  }
  cut->done = p >= cut->end;
  cut->at = p + 1;
  while (p > begin && blank(p[-1])) p--;
  const bool whole = quoted && close && close + 1 == p; // "..." and nothing after
  *field = whole ? (csv_field){begin + 1, close} : (csv_field){begin, p};
  return true;
}

static bool number(csv_field field, double *value) {
  if (field.begin == field.end) return false;
  char *end = NULL;
  *value = strtod(field.begin, &end); // stops at every separator and at the zero after the text
  return end == field.end;
}

// The text of a field, cut and without control characters, for messages.
enum { SHOWN = 24 };
static const char *shown(csv_field field, char text[SHOWN]) {
  size_t n = (size_t)(field.end - field.begin);
  if (n > SHOWN - 1) n = SHOWN - 1;
  for (size_t i = 0; i < n; i++) {
    const unsigned char c = (unsigned char)field.begin[i];
    text[i] = (char)(c < 32 || c > 126 ? '?' : c);
  }
  text[n] = '\0';
  return text;
}

static int64_t count_fields(const csv_line *line, char separator) {
  csv_cut cut = cut_line(line, separator);
  csv_field field;
  int64_t n = 0;
  while (next_field(&cut, &field)) n++;
  return n;
}

// Moves from the first line to the first row of numbers. A first line without a single number is a
// header.
static flv_status skip_header(csv_line *line, const char *end, char separator, flv_error *err) {
  const csv_line first = *line;
  csv_cut cut = cut_line(&first, separator);
  csv_field field;
  int64_t names = 0, numbers = 0, empty = 0;
  for (double unused; next_field(&cut, &field);) {
    names++;
    numbers += number(field, &unused);
    if (field.begin == field.end && empty == 0) empty = names;
  }
  if (numbers == names) return FLV_OK;
  if (empty > 0)
    return flv_fail(
        err, FLV_EINVAL,
        "line %lld, column %lld is empty (if it stands above row numbers, leave those out)",
        (long long)first.number, (long long)empty);
  if (numbers > 0) return FLV_OK; // a row, and what is wrong with it comes out when it is read
  if (!next_line(line, end))
    return flv_fail(err, FLV_EINVAL, "there are no numbers after the header in line %lld",
                    (long long)first.number);
  const int64_t columns = count_fields(line, separator);
  const bool one_name = separator == ' ' && columns == 1; // of several words
  if (names != columns && !one_name)
    return flv_fail(err, FLV_EINVAL, "columns: %lld in line %lld (the header), %lld in line %lld",
                    (long long)names, (long long)first.number, (long long)columns,
                    (long long)line->number);
  return FLV_OK;
}

// How many rows there are from `line` on, all of them of the same width.
static flv_status count_rows(csv_line line, const char *end, char separator, int64_t columns,
                             int64_t *rows, flv_error *err) {
  const int64_t first = line.number;
  *rows = 1;
  while (next_line(&line, end)) {
    ++*rows;
    const int64_t found = count_fields(&line, separator);
    if (found != columns)
      return flv_fail(err, FLV_EINVAL, "columns: %lld in line %lld, %lld in line %lld",
                      (long long)found, (long long)line.number, (long long)columns,
                      (long long)first);
  }
  if (*rows > INT_MAX || columns > INT_MAX) return flv_fail(err, FLV_EINVAL, "it is too large");
  return FLV_OK;
}

static flv_status read_row(const csv_line *line, char separator, double *row, flv_error *err) {
  csv_cut cut = cut_line(line, separator);
  csv_field field;
  for (int64_t k = 0; next_field(&cut, &field); k++) {
    char text[SHOWN];
    if (!number(field, &row[k]))
      return flv_fail(err, FLV_EINVAL, "line %lld, column %lld: expected a number, found '%s'",
                      (long long)line->number, (long long)k + 1, shown(field, text));
  }
  return FLV_OK;
}

static flv_status parse(const char *text, const char *end, flv_shape *shape, double **data,
                        flv_error *err) {
  csv_line line = {text, text, 0};
  const char separator = find_separator(line, end);
  if (!next_line(&line, end)) return flv_fail(err, FLV_EINVAL, "there are no numbers in it");
  FLV_TRY(skip_header(&line, end, separator, err));
  const int64_t columns = count_fields(&line, separator);
  int64_t rows = 0;
  FLV_TRY(count_rows(line, end, separator, columns, &rows, err));
  double *values = calloc((size_t)rows * (size_t)columns, sizeof *values); // no larger than 8 files
  if (!values) return flv_fail(err, FLV_ENOMEM, "out of memory for %lld rows", (long long)rows);
  for (int64_t r = 0; r < rows; r++) {
    const flv_status status = read_row(&line, separator, values + r * columns, err);
    if (status != FLV_OK) {
      free(values);
      return status;
    }
    next_line(&line, end);
  }
  *shape = rows == 1 || columns == 1 ? (flv_shape){1, {(int)(rows * columns)}}
                                     : (flv_shape){2, {(int)rows, (int)columns}};
  *data = values;
  return FLV_OK;
}

flv_status flv_csv_parse(const char *text, size_t size, flv_shape *shape, double **data,
                         flv_error *err) {
  const char *const end = text + size;
  if (size >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
    return flv_fail(err, FLV_EINVAL, "it is UTF-16; save it as UTF-8");
  if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3;
  // Numbers have a decimal point whatever the host program's locale says.
  const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  const locale_t host = c ? uselocale(c) : (locale_t)0;
  const flv_status status = parse(text, end, shape, data, err);
  if (c) {
    uselocale(host);
    freelocale(c);
  }
  return status;
}
