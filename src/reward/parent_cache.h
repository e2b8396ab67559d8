// Numbers of (variable, parent set), remembered in bounded memory by many threads at once.
//
// Where d 2^(d-1) doubles fit there is a place for every parent set; else each variable has a
// direct-mapped table, in which a newer parent set takes the place of an older one. Numbers are
// computed from their key alone, so which of them are remembered changes the time and no bit.
#ifndef FLUVIAL_REWARD_PARENT_CACHE_H
#define FLUVIAL_REWARD_PARENT_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct flv_parent_cache flv_parent_cache;

// For d variables, 1 to 64, in at most `bytes` of memory (0: remembers nothing), which the system
// hands out page by page as it is first used. NULL when out of memory.
flv_parent_cache *flv_parent_cache_new(int d, size_t bytes);
void flv_parent_cache_free(flv_parent_cache *cache); // accepts NULL

size_t flv_parent_cache_bytes(const flv_parent_cache *cache); // of its tables
bool flv_parent_cache_complete(const flv_parent_cache *cache);

// Bit i of parents: variable i is a parent of j; bit j is 0.
bool flv_parent_cache_get(const flv_parent_cache *cache, int j, uint64_t parents, double *value);
void flv_parent_cache_put(flv_parent_cache *cache, int j, uint64_t parents, double value);

#endif
