#include "reward/parent_cache.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/mix.h"

// A sequence lock: `turn` is odd while a writer is inside, and has changed when one was. A writer
// who finds another inside goes away; a reader then takes it for a miss.
typedef struct slot {
  _Atomic uint64_t turn;
  _Atomic uint64_t family; // parents and bit j, so never 0; 0: empty
  _Atomic uint64_t value;  // bits of the double
} slot;

struct flv_parent_cache {
  int d;
  uint64_t slots;         // of each variable
  _Atomic uint64_t *full; // [d][2^(d-1)] bits of the double; 0: unknown (0.0 is computed anew)
  slot *slot;             // [d][slots]
  size_t bytes;
};

flv_parent_cache *flv_parent_cache_new(int d, size_t bytes) {
  flv_parent_cache *cache = calloc(1, sizeof *cache);
  if (!cache) return NULL;
  cache->d = d;
  const size_t cell = sizeof *cache->full, most = bytes / cell / (size_t)d;
  if (d <= 40 && most >> (d - 1) > 0) {
    cache->bytes = cell * (size_t)d << (d - 1);
    cache->full = flv_alloc(cache->bytes);
  } else {
    cache->slots = bytes / sizeof *cache->slot / (size_t)d;
    cache->bytes = (size_t)d * cache->slots * sizeof *cache->slot;
    cache->slot = flv_alloc(cache->bytes);
  }
  if (cache->full || cache->slot) return cache;
  free(cache);
  return NULL;
}

void flv_parent_cache_free(flv_parent_cache *cache) {
  if (!cache) return;
  flv_free(cache->full);
  flv_free(cache->slot);
  free(cache);
}

size_t flv_parent_cache_bytes(const flv_parent_cache *cache) { return cache->bytes; }
bool flv_parent_cache_complete(const flv_parent_cache *cache) { return cache->full != NULL; }

// The place of a parent set among the 2^(d-1) that leave j out.
static _Atomic uint64_t *cell_of(const flv_parent_cache *cache, int j, uint64_t parents) {
  const uint64_t below = parents & ((UINT64_C(1) << j) - 1), above = parents >> j >> 1 << j;
  return cache->full + ((uint64_t)j << (cache->d - 1)) + (above | below);
}

static slot *slot_of(const flv_parent_cache *cache, int j, uint64_t parents) {
  return cache->slot + (uint64_t)j * cache->slots + flv_mix(parents) % cache->slots;
}

bool flv_parent_cache_get(const flv_parent_cache *cache, int j, uint64_t parents, double *value) {
  uint64_t bits = 0;
  if (cache->full) {
    bits = atomic_load_explicit(cell_of(cache, j, parents), memory_order_relaxed);
    memcpy(value, &bits, sizeof bits);
    return bits != 0;
  }
  if (cache->slots == 0) return false;
  slot *s = slot_of(cache, j, parents);
  const uint64_t turn = atomic_load_explicit(&s->turn, memory_order_acquire);
  if (turn & 1) return false;
  // Acquire, so that the second look at `turn` comes after them.
  const uint64_t family = atomic_load_explicit(&s->family, memory_order_acquire);
  bits = atomic_load_explicit(&s->value, memory_order_acquire);
  if (family != (parents | UINT64_C(1) << j)) return false;
  if (atomic_load_explicit(&s->turn, memory_order_relaxed) != turn) return false;
  memcpy(value, &bits, sizeof bits);
  return true;
}

void flv_parent_cache_put(flv_parent_cache *cache, int j, uint64_t parents, double value) {
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof bits);
  if (cache->full) {
    atomic_store_explicit(cell_of(cache, j, parents), bits, memory_order_relaxed);
    return;
  }
  if (cache->slots == 0) return;
  slot *s = slot_of(cache, j, parents);
  uint64_t turn = atomic_load_explicit(&s->turn, memory_order_relaxed);
  if (turn & 1) return;
  if (!atomic_compare_exchange_strong_explicit(&s->turn, &turn, turn + 1, memory_order_acquire,
                                               memory_order_relaxed))
    return;
  // Release, so that whoever sees one of them sees the odd turn before it.
  atomic_store_explicit(&s->family, parents | UINT64_C(1) << j, memory_order_release);
  atomic_store_explicit(&s->value, bits, memory_order_release);
  atomic_store_explicit(&s->turn, turn + 2, memory_order_release);
}
