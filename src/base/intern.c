#define XXH_INLINE_ALL
#include "base/intern.h"

#include <limits.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"

int flv_intern_init(flv_intern *table, size_t state_size, int capacity) {
  *table = (flv_intern){.state_size = state_size, .capacity = capacity, .slots = 16};
  while (table->slots < 2u * (uint32_t)capacity) table->slots *= 2;
  const flv_slot slots[] = {FLV_SLOT(table->states, (size_t)capacity * state_size),
                            FLV_SLOT(table->slot, table->slots)};
  table->block = flv_bind(2, slots);
  table->now = 1;
  return table->block ? 0 : -1;
}

void flv_intern_free(flv_intern *table) {
  flv_free(table->block);
  *table = (flv_intern){0};
}

int flv_intern_reserve(flv_intern *table, int capacity) {
  flv_intern larger;
  const int twice = table->capacity < INT_MAX / 4 ? 2 * table->capacity : table->capacity;
  if (capacity <= table->capacity) return 0;
  if (flv_intern_init(&larger, table->state_size, capacity > twice ? capacity : twice) != 0)
    return -1;
  for (int i = 0; i < table->n; i++)
    flv_intern_row(&larger, table->states + (size_t)i * table->state_size);
  flv_intern_free(table);
  *table = larger;
  return 0;
}

void flv_intern_clear(flv_intern *table) {
  table->n = 0;
  if (++table->now == 0) { // stamps wrapped round: start over
    memset(table->slot, 0, table->slots * sizeof *table->slot);
    table->now = 1;
  }
}

// The slot of a state, or the free one where it belongs.
static flv_intern_slot *slot_of(const flv_intern *table, const void *state) {
  const uint32_t mask = table->slots - 1;
  uint32_t i = (uint32_t)XXH3_64bits(state, table->state_size) & mask;
  for (; table->slot[i].stamp == table->now; i = (i + 1) & mask) {
    const size_t row = (size_t)table->slot[i].row;
    if (memcmp(table->states + row * table->state_size, state, table->state_size) == 0) break;
  }
  return &table->slot[i];
}

int flv_intern_find(const flv_intern *table, const void *state) {
  const flv_intern_slot *slot = slot_of(table, state);
  return slot->stamp == table->now ? slot->row : -1;
}

int flv_intern_row(flv_intern *table, const void *state) {
  flv_intern_slot *slot = slot_of(table, state);
  if (slot->stamp == table->now) return slot->row;
  *slot = (flv_intern_slot){table->now, table->n};
  memcpy(table->states + (size_t)table->n * table->state_size, state, table->state_size);
  return table->n++;
}
