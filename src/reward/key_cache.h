// Values by 128-bit key, for rewards that are dear: a table of fixed size in which a new key takes
// the place of an older one when its slots are full. Threads take turns. What it holds never
// changes a value, since a value is a function of its key.
#ifndef FLUVIAL_REWARD_KEY_CACHE_H
#define FLUVIAL_REWARD_KEY_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct flv_key_cache flv_key_cache;

// NULL when out of memory. bytes 0: nothing is kept.
flv_key_cache *flv_key_cache_new(size_t bytes);
void flv_key_cache_free(flv_key_cache *cache); // accepts NULL

bool flv_key_cache_get(flv_key_cache *cache, const uint64_t key[2], double *value);
void flv_key_cache_put(flv_key_cache *cache, const uint64_t key[2], double value);

#endif
