#include "reward/key_cache.h"

#include <pthread.h>
#include <stdlib.h>

enum { WAYS = 4 }; // slots of a key

typedef struct entry { // age 0: an empty slot
  uint64_t key[2];
  double value;
  uint64_t age;
} entry;

struct flv_key_cache {
  pthread_mutex_t lock;
  size_t sets;
  entry *entry; // [sets, WAYS]
  uint64_t now;
};

flv_key_cache *flv_key_cache_new(size_t bytes) {
  flv_key_cache *cache = calloc(1, sizeof *cache);
  if (!cache) return NULL;
  cache->sets = bytes / (WAYS * sizeof *cache->entry);
  if (cache->sets > 0) cache->entry = calloc(cache->sets * WAYS, sizeof *cache->entry);
  if (cache->sets > 0 && !cache->entry) {
    free(cache);
    return NULL;
  }
  pthread_mutex_init(&cache->lock, NULL);
  return cache;
}

void flv_key_cache_free(flv_key_cache *cache) {
  if (!cache) return;
  pthread_mutex_destroy(&cache->lock);
  free(cache->entry);
  free(cache);
}

// The slot of a key, or else the one that it may take.
static entry *find(const flv_key_cache *cache, const uint64_t key[2]) {
  entry *set = cache->entry + key[0] % cache->sets * WAYS, *oldest = set;
  for (int k = 0; k < WAYS; k++) {
    if (set[k].key[0] == key[0] && set[k].key[1] == key[1]) return &set[k];
    if (set[k].age < oldest->age) oldest = &set[k];
  }
  return oldest;
}

bool flv_key_cache_get(flv_key_cache *cache, const uint64_t key[2], double *value) {
  pthread_mutex_lock(&cache->lock);
  bool found = false;
  if (cache->sets > 0) {
    entry *e = find(cache, key);
    found = e->age > 0 && e->key[0] == key[0] && e->key[1] == key[1];
    if (found) {
      e->age = ++cache->now;
      *value = e->value;
    }
  }
  pthread_mutex_unlock(&cache->lock);
  return found;
}

void flv_key_cache_put(flv_key_cache *cache, const uint64_t key[2], double value) {
  pthread_mutex_lock(&cache->lock);
  if (cache->sets > 0) {
    entry *e = find(cache, key);
    *e = (entry){{key[0], key[1]}, value, ++cache->now};
  }
  pthread_mutex_unlock(&cache->lock);
}
