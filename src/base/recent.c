#define XXH_INLINE_ALL
#include "base/recent.h"

#include <string.h>
#include <xxhash.h>

#include "base/memory.h"

int flv_recent_init(flv_recent *recent, size_t record_size, int capacity) {
  flv_recent r = {.record_size = record_size, .capacity = capacity, .slots = 16};
  while (r.slots < 2u * (uint32_t)capacity) r.slots *= 2;
  const flv_slot slots[] = {FLV_SLOT(r.added, 1),
                            FLV_SLOT(r.records, (size_t)capacity * record_size),
                            FLV_SLOT(r.slot, r.slots)};
  r.block = flv_bind(3, slots);
  if (!r.block) return -1;
  *recent = r;
  return 0;
}

void flv_recent_free(flv_recent *recent) {
  flv_free(recent->block);
  *recent = (flv_recent){0};
}

int flv_recent_held(const flv_recent *recent) {
  return *recent->added < recent->capacity ? (int)*recent->added : recent->capacity;
}

static unsigned char *record_at(const flv_recent *r, int at) {
  return r->records + (size_t)at * r->record_size;
}

static uint32_t home_of(const flv_recent *r, const void *record) {
  return (uint32_t)XXH3_64bits(record, r->record_size) & (r->slots - 1);
}

// The slot of a record, or the free one where it belongs.
static uint32_t slot_of(const flv_recent *r, const void *record) {
  uint32_t i = home_of(r, record);
  for (; r->slot[i] != 0; i = (i + 1) & (r->slots - 1))
    if (memcmp(record_at(r, r->slot[i] - 1), record, r->record_size) == 0) break;
  return i;
}

// Frees a slot, and moves those behind it up that would not be found past the gap: those whose home
// is not cyclically in (gap, i].
static void free_slot(flv_recent *r, uint32_t gap) {
  const uint32_t mask = r->slots - 1;
  for (uint32_t i = (gap + 1) & mask; r->slot[i] != 0; i = (i + 1) & mask) {
    const uint32_t home = home_of(r, record_at(r, r->slot[i] - 1));
    if (((i - home) & mask) < ((i - gap) & mask)) continue;
    r->slot[gap] = r->slot[i];
    gap = i;
  }
  r->slot[gap] = 0;
}

int flv_recent_put(flv_recent *recent, const void *record, bool *is_new) {
  flv_recent *r = recent;
  const uint32_t found = slot_of(r, record);
  *is_new = r->slot[found] == 0;
  if (!*is_new) return r->slot[found] - 1;
  const int at = (int)(*r->added % r->capacity);
  if (*r->added >= r->capacity) free_slot(r, slot_of(r, record_at(r, at)));
  memcpy(record_at(r, at), record, r->record_size);
  r->slot[slot_of(r, record)] = at + 1;
  ++*r->added;
  return at;
}
