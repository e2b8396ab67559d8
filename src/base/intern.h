// Interning: every distinct state of a batch once. States are fixed-size byte records, compared
// whole; row numbers count up from 0 in the order of first appearance.
#ifndef FLUVIAL_BASE_INTERN_H
#define FLUVIAL_BASE_INTERN_H

#include <stddef.h>
#include <stdint.h>

typedef struct flv_intern_slot { // together, so that a probe touches one cache line of the table
  uint32_t stamp;
  int32_t row; // valid where stamp is the table's
} flv_intern_slot;

typedef struct flv_intern {
  size_t state_size;
  int capacity;          // most rows
  int n;                 // rows so far
  unsigned char *states; // [capacity * state_size]
  uint32_t slots;        // power of two, at least 2 capacity
  flv_intern_slot *slot;
  uint32_t now;
  void *block;
} flv_intern;

// 0, or -1 when out of memory.
int flv_intern_init(flv_intern *table, size_t state_size, int capacity);
void flv_intern_free(flv_intern *table);

// Room for at least so many rows: those there are stay, states may move. 0, or -1 when out of
// memory.
int flv_intern_reserve(flv_intern *table, int capacity);

// Forgets all rows, in constant time.
void flv_intern_clear(flv_intern *table);

// Row of a state, added if new. The table must have room.
int flv_intern_row(flv_intern *table, const void *state);
// Row of a state, or -1.
int flv_intern_find(const flv_intern *table, const void *state);

#endif
