#include "base/key_table.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_SLOTS = 1024 };

void flv_key_table_free(flv_key_table *table) {
  free(table->slot);
  *table = (flv_key_table){0};
}

// Where a key is, or the empty slot where it would be.
static flv_key_value *slot_of(const flv_key_table *t, const uint64_t key[2]) {
  for (size_t at = (size_t)key[0] & (t->slots - 1);; at = (at + 1) & (t->slots - 1)) {
    flv_key_value *s = &t->slot[at];
    if ((s->key[0] == key[0] && s->key[1] == key[1]) || (s->key[0] | s->key[1]) == 0) return s;
  }
}

double *flv_key_table_find(const flv_key_table *table, const uint64_t key[2]) {
  assert(key[0] | key[1]);
  if (table->slots == 0) return NULL;
  flv_key_value *s = slot_of(table, key);
  return s->key[0] | s->key[1] ? &s->value : NULL;
}

static bool grow(flv_key_table *t) {
  flv_key_table larger = {.n = t->n, .slots = t->slots > 0 ? 2 * t->slots : FIRST_SLOTS};
  larger.slot = calloc(larger.slots, sizeof *larger.slot);
  if (!larger.slot) return false;
  for (size_t i = 0; i < t->slots; i++)
    if (t->slot[i].key[0] | t->slot[i].key[1]) *slot_of(&larger, t->slot[i].key) = t->slot[i];
  free(t->slot);
  t->slot = larger.slot;
  t->slots = larger.slots;
  return true;
}

bool flv_key_table_add(flv_key_table *table, const uint64_t key[2], double value) {
  flv_key_table *t = table;
  if (4 * (t->n + 1) > 3 * t->slots && !grow(t)) return false;
  *slot_of(t, key) = (flv_key_value){{key[0], key[1]}, value};
  t->n++;
  return true;
}
