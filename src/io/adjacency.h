// A directed graph of named variables from a file.
#ifndef FLUVIAL_IO_ADJACENCY_H
#define FLUVIAL_IO_ADJACENCY_H

#include <stdint.h>

#include "fluvial/status.h"

// Reads the adjacency matrix of a graph over the d <= 64 variables names [d] into parents [d] (bit
// i of parents[j]: the edge i -> j): a table of text (csv_fields.h) whose header names the
// variables in any order, with a row for each in that same order, or in any if the rows begin with
// a name. Entry (row i, column j) is 0 where there is no edge i -> j, any other finite number where
// there is one. Without a header, d rows of d numbers in the order of names.
//
// FLV_EIO: it cannot be read. FLV_EINVAL: another number of rows or columns, a name that is
// unknown, missing or repeated, an entry that is no number, a cycle; parents are then as before.
flv_status flv_adjacency_read(uint64_t *parents, const char *path, int d, const char *const *names,
                              flv_error *err);

#endif
