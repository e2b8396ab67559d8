// Data tables: named columns of measurements or categories, one row for each observation.
#ifndef FLUVIAL_IO_DATASET_H
#define FLUVIAL_IO_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include "fluvial/status.h"

enum {
  FLV_DATA_MAX_COLUMNS = 64,
  FLV_DATA_MIN_ROWS = 3,
  FLV_DATA_MAX_CATEGORIES = 256,
  FLV_DATA_MAX_NAME = 127 // bytes
};

typedef enum flv_data_kind {
  FLV_DATA_NUMBERS,   // finite numbers
  FLV_DATA_CATEGORIES // whole numbers (equal by value) or texts (equal by their bytes)
} flv_data_kind;

typedef struct flv_dataset { // read-only once read
  int rows, columns;
  char **name;         // [columns]
  double *x;           // [columns][rows] numbers; NULL for categories
  unsigned char *code; // [columns][rows] 0, 1, .. in order of appearance; NULL for numbers
  int *levels;         // [columns] how many categories; NULL for numbers
  void *block;         // holds the arrays
  char *text;          // holds the names
} flv_dataset;

// Reads .npy (two dimensions; the names are X1, X2, ..) or, whatever else the name ends with, a
// table of text as csv_fields.h describes. Its first record is the header, unless all its fields
// are numbers or missing values, at least one of them a number: then the names are X1, X2, ..
//
// FLV_EIO: it cannot be read. FLV_EINVAL, naming file, line, column and what was expected:
//   - a missing value (empty, NA, N/A, NaN, null or ?), one that is not finite, a text among
//     numbers, a number that is not whole among categories; more than 256 categories;
//   - a row whose number of fields is not the header's; an empty, repeated or too long name;
//   - fewer than 2 columns, more than 64, fewer than 3 rows;
//   - a constant column, two equal ones (of categories: equal but for their names).
// *data is then as before; else it is the caller's to free.
flv_status flv_dataset_read(flv_dataset *data, const char *path, flv_data_kind kind,
                            flv_error *err);
// The same for a table of text in memory; text[size] must be 0. Messages do not name the file.
flv_status flv_dataset_parse(flv_dataset *data, const char *text, size_t size, flv_data_kind kind,
                             flv_error *err);
void flv_dataset_free(flv_dataset *data); // accepts {0}

#endif
