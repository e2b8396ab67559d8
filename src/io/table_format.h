// The two formats behind flv_table_read, on a file already in memory. Messages do not name the
// file.
#ifndef FLUVIAL_IO_TABLE_FORMAT_H
#define FLUVIAL_IO_TABLE_FORMAT_H

#include <stddef.h>

#include "fluvial/table.h"

flv_status flv_npy_parse(const char *bytes, size_t size, flv_shape *shape, double **data,
                         flv_error *err);

// text[size] must be 0.
flv_status flv_csv_parse(const char *text, size_t size, flv_shape *shape, double **data,
                         flv_error *err);

#endif
