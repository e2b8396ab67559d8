#include "io/csv_fields.h"

#include <stdlib.h>
#include <string.h>

static bool blank(char c) { return c == ' ' || c == '\t'; }
static bool line_end(char c) { return c == '\n' || c == '\r'; }

// Behind a line end, which CRLF is one of.
static const char *skip_line_end(const char *p, const char *end) {
  return p + (*p == '\r' && p + 1 < end && p[1] == '\n' ? 2 : 1);
}

// Reads one field from p on; returns the separator, line end or text end behind it.
static const char *scan_field(const char *p, const char *end, char separator,
                              flv_csv_field *field) {
  while (p < end && blank(*p) && (*p != separator || separator == ' ')) p++;
  const bool quoted = p < end && *p == '"';
  const char *const begin = p, *close = NULL;
  bool inside = false;
  for (; p < end; p++) {
    if (*p == '"' && quoted) {
      inside = !inside;
      if (!inside) close = p;
    } else if (!inside && (*p == separator || line_end(*p) || (separator == ' ' && *p == '\t'))) {
      break;
    }
  }
  const char *last = p;
  while (last > begin && blank(last[-1])) last--;
  const bool whole = quoted && close && close + 1 == last; // "..." and nothing after
  *field = whole ? (flv_csv_field){begin + 1, close, true, false}
                 : (flv_csv_field){begin, last, false, inside};
  return p;
}

static int64_t count_lines(const char *p, const char *end) {
  int64_t n = 1;
  while (p < end) {
    if (line_end(*p)) {
      p = skip_line_end(p, end);
      n++;
    } else {
      p++;
    }
  }
  return n;
}

bool flv_csv_next(const flv_csv_text *csv, flv_csv_record *record) {
  const char *at = record->begin ? record->end : csv->begin;
  while (at < csv->end) {
    if (record->begin) {
      at = skip_line_end(at, csv->end);
      record->line += record->lines;
    } else {
      record->line = 1;
    }
    record->begin = at;
    record->lines = 1;
    const char *first = at;
    while (first < csv->end && blank(*first)) first++;
    const bool empty = first == csv->end || line_end(*first);
    if (empty || *first == '#') {
      while (at < csv->end && !line_end(*at)) at++;
      record->end = at;
      continue;
    }
    flv_csv_field unused;
    do {
      at = scan_field(at, csv->end, csv->separator, &unused);
      record->end = at;
    } while (at < csv->end && !line_end(*at++));
    record->lines = count_lines(record->begin, record->end);
    return true;
  }
  return false;
}

flv_csv_cut flv_csv_cut_record(const flv_csv_text *csv, const flv_csv_record *record) {
  flv_csv_cut cut = {record->begin, record->end, csv->separator, false};
  if (cut.separator == ' ')
    while (cut.end > cut.at && blank(cut.end[-1])) cut.end--;
  return cut;
}

bool flv_csv_next_field(flv_csv_cut *cut, flv_csv_field *field) {
  if (cut->done) return false;
  const char *p = scan_field(cut->at, cut->end, cut->separator, field);
  cut->done = p >= cut->end;
  cut->at = p + 1;
  return true;
}

int64_t flv_csv_count(const flv_csv_text *csv, const flv_csv_record *record) {
  flv_csv_cut cut = flv_csv_cut_record(csv, record);
  flv_csv_field field;
  int64_t n = 0;
  while (flv_csv_next_field(&cut, &field)) n++;
  return n;
}

static char find_separator(flv_csv_text csv) {
  static const char order[] = ";\t,";
  char fallback = ' ';
  for (const char *separator = order; *separator; separator++) {
    csv.separator = *separator;
    flv_csv_record record = {0};
    int64_t n[2] = {0, 0};
    for (int i = 0; i < 2 && flv_csv_next(&csv, &record); i++) n[i] = flv_csv_count(&csv, &record);
    if (n[0] > 1 && n[0] == n[1]) return *separator;
    if (fallback == ' ' && (n[0] > 1 || n[1] > 1)) fallback = *separator;
  }
  return fallback;
}

flv_status flv_csv_open(flv_csv_text *csv, const char *text, size_t size, flv_error *err) {
  if (size >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0))
    return flv_fail(err, FLV_EINVAL, "it is UTF-16; save it as UTF-8");
  const bool marked = size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
  *csv = (flv_csv_text){text + (marked ? 3 : 0), text + size, ' '};
  csv->separator = find_separator(*csv);
  return FLV_OK;
}

bool flv_csv_number(flv_csv_field field, double *value) {
  if (field.begin == field.end) return false;
  char *end = NULL;
  *value = strtod(field.begin, &end); // stops at every separator and at the zero after the text
  return end == field.end;
}

flv_csv_locale flv_csv_locale_enter(void) {
  const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  return (flv_csv_locale){c, c ? uselocale(c) : (locale_t)0};
}

void flv_csv_locale_leave(flv_csv_locale locale) {
  if (!locale.c) return;
  uselocale(locale.host);
  freelocale(locale.c);
}

const char *flv_csv_shown(flv_csv_field field, char text[FLV_CSV_SHOWN]) {
  size_t n = (size_t)(field.end - field.begin);
  if (n > FLV_CSV_SHOWN - 1) n = FLV_CSV_SHOWN - 1;
  for (size_t i = 0; i < n; i++) {
    const unsigned char c = (unsigned char)field.begin[i];
    text[i] = (char)(c < 32 || c > 126 ? '?' : c);
  }
  text[n] = '\0';
  return text;
}
