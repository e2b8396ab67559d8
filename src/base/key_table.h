// Numbers by 128-bit key, as many as there come: a table that grows. For keys that are hashes.
#ifndef FLUVIAL_BASE_KEY_TABLE_H
#define FLUVIAL_BASE_KEY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct flv_key_value {
  uint64_t key[2]; // both 0: an empty slot
  double value;
} flv_key_value;

typedef struct flv_key_table { // zeroed: empty
  size_t n, slots;             // keys; a power of two, more than 4/3 n, or 0
  flv_key_value *slot;
} flv_key_table;

void flv_key_table_free(flv_key_table *table); // accepts a zeroed one

// The value of a key, not both 0; NULL if it is not there. Valid until the next that is added.
double *flv_key_table_find(const flv_key_table *table, const uint64_t key[2]);
// Adds a key that is not there; false when out of memory, and the table is as before.
bool flv_key_table_add(flv_key_table *table, const uint64_t key[2], double value);

#endif
