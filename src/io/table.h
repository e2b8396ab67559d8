// Arrays from and to files: .npy (all little-endian numeric types in, C and Fortran order) and .csv.
#ifndef FLUVIAL_IO_TABLE_H
#define FLUVIAL_IO_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "fluvial/env.h"
#include "fluvial/status.h"

// Reads a numeric array of 1 to FLV_MAX_DIMS dimensions into doubles, C order (*data is freed by the caller).
// By ending: .npy or .csv (rows of numbers, an optional header line of names; comma, semicolon, tab or spaces;
// byte-order mark and CRLF accepted). Errors name file, line, column and what was found.
flv_status flv_table_read(const char *path, flv_shape *shape, double **data, flv_error *err);

// Writes an array as .npy, version 1.0. dtype "<f8", "<i4" or "<i8".
flv_status flv_npy_write(const char *path, const char *dtype, int n_dims, const int64_t *dim, const void *data,
                         flv_error *err);
#endif
