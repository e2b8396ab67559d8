// Memory: one zeroed, 64-byte aligned allocation call, and bind, which measures and then carves one
// block.
//
// Objects with many arrays allocate once: a list of flv_slot says what they want, flv_bind
// allocates the sum and points each array into it. Everything else (strings, small structs) uses
// plain calloc and free.
#ifndef FLUVIAL_BASE_MEMORY_H
#define FLUVIAL_BASE_MEMORY_H

#include <stddef.h>

typedef struct flv_slot {
  void **array; // where to put the pointer
  size_t bytes;
} flv_slot;

// Zeroed, aligned to 64 bytes; NULL when out of memory. bytes 0 gives a valid pointer. Large blocks
// come from the system as untouched pages, which take no memory until written.
void *flv_alloc(size_t bytes);
void flv_free(void *block); // accepts NULL

// Allocates all slots in one block and returns it (NULL when out of memory: arrays are then
// untouched).
void *flv_bind(int n, const flv_slot *slots);

#define FLV_SLOT(pointer, count)                                                                   \
  { (void **)&(pointer), (size_t)(count) * sizeof *(pointer) }

#endif
