// The latest distinct records: a first-in, first-out ring of fixed-size byte records in which none
// is held twice. A record that is held already stays where it is.
#ifndef FLUVIAL_BASE_RECENT_H
#define FLUVIAL_BASE_RECENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct flv_recent {
  size_t record_size;
  int capacity;
  int64_t *added;         // [1] so far; record k stood, or stands, at k mod capacity
  unsigned char *records; // [capacity * record_size]
  uint32_t slots;         // power of two, at least 2 capacity
  int32_t *slot;          // [slots] 1 + where the record is, 0: free (linear probing)
  void *block;
} flv_recent;

// 0, or -1 when out of memory.
int flv_recent_init(flv_recent *recent, size_t record_size, int capacity);
void flv_recent_free(flv_recent *recent);

// Where the record is now; *is_new: it was not there, and the oldest gave way if there was no room.
int flv_recent_put(flv_recent *recent, const void *record, bool *is_new);

int flv_recent_held(const flv_recent *recent);

#endif
