// Records and fields of delimited text: what arrays (csv.c) and data tables (dataset.c) share.
//
// A record is a line, or several where a quoted field holds line ends. Lines that are blank or
// begin with # are skipped. Fields lie between separators; blanks around them do not count. A field
// that begins with " ends with the next single one; a doubled one inside stands for one. Lines end
// with LF, CRLF or CR. A UTF-8 byte-order mark is skipped.
#ifndef FLUVIAL_IO_CSV_FIELDS_H
#define FLUVIAL_IO_CSV_FIELDS_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fluvial/status.h"

typedef struct flv_csv_text {
  const char *begin, *end;
  char separator; // ; tab , or ' ', which stands for runs of blanks
} flv_csv_text;

typedef struct flv_csv_record {
  const char *begin, *end;
  int64_t line;  // of its first character, from 1
  int64_t lines; // that it takes
} flv_csv_record;

typedef struct flv_csv_field {
  const char *begin, *end; // without quotes and the blanks around it
  bool quoted;             // stood in quotes; doubled ones inside are still doubled
  bool unclosed;           // begins with a quote that nothing closes
} flv_csv_field;

typedef struct flv_csv_cut { // a record being cut into fields
  const char *at, *end;
  char separator;
  bool done;
} flv_csv_cut;

// text[size] must be 0. The separator is the first of ; tab , that cuts the first two records into
// the same number of fields, more than one; else the first that cuts either of them; else blanks.
// FLV_EINVAL: it is UTF-16.
flv_status flv_csv_open(flv_csv_text *csv, const char *text, size_t size, flv_error *err);

// The next record; *record starts as {0}.
bool flv_csv_next(const flv_csv_text *csv, flv_csv_record *record);

flv_csv_cut flv_csv_cut_record(const flv_csv_text *csv, const flv_csv_record *record);
bool flv_csv_next_field(flv_csv_cut *cut, flv_csv_field *field);
int64_t flv_csv_count(const flv_csv_text *csv, const flv_csv_record *record);

// The whole field as one number, NaN and infinities included; false if it is not one. Call it
// between flv_csv_locale_enter and _leave: numbers have a decimal point whatever the host program's
// locale says.
bool flv_csv_number(flv_csv_field field, double *value);
typedef struct flv_csv_locale {
  locale_t c, host;
} flv_csv_locale;
flv_csv_locale flv_csv_locale_enter(void);
void flv_csv_locale_leave(flv_csv_locale locale);

// The text of a field, cut and without control characters, for messages. Returns text.
enum { FLV_CSV_SHOWN = 24 };
const char *flv_csv_shown(flv_csv_field field, char text[FLV_CSV_SHOWN]);

#endif
