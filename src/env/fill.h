// Positions filled with words of bits, in any order: what the environments `ising` and
// `bit_sequence` share, and what their rewards need to know of a state.
#ifndef FLUVIAL_ENV_FILL_H
#define FLUVIAL_ENV_FILL_H

#include <stdint.h>

#include "fluvial/env.h"

enum {
  FLV_FILL_BITS = 1024,      // most bits of an object
  FLV_FILL_WORD = 16,        // most bits of a word
  FLV_FILL_ACTIONS = 1 << 20 // most actions but the exit
};

// A state is one field per position, of word + 1 bits: 0 is empty, 1 + w holds the word w. Fields
// fill 64-bit words from the lowest bit and never straddle two of them; what is left stays zero.
typedef struct flv_fill {
  int positions;
  int word;        // bits of a word, 1 .. 16: each position takes one of 2^word
  int side;        // positions are the sites of a side x side lattice, row by row; 0: they are not
  int32_t cell[3]; // how files write an empty place, a bit 0, a bit 1
  int per;         // fields in 64 bits
  uint64_t field;  // mask of one
} flv_fill;

// What is behind env, or NULL if it fills no positions.
const flv_fill *flv_fill_of(const flv_env *env);

// Fills *env from positions, word, side and cell; FLV_EINVAL where a limit above is exceeded.
flv_status flv_fill_create(flv_env *env, const char *name, flv_fill shape, flv_error *err);

static inline int flv_fill_bits(const flv_fill *e) { return e->positions * e->word; }

static inline const uint64_t *flv_fill_state(const flv_env *env, const void *states, int i) {
  return (const uint64_t *)(const void *)((const unsigned char *)states +
                                          (size_t)i * env->state_size);
}

// Fields one after another: cheaper than by number, which divides.
typedef struct flv_fill_cursor {
  const uint64_t *next;
  uint64_t rest;
  int left;
} flv_fill_cursor;

static inline flv_fill_cursor flv_fill_begin(const uint64_t *state) {
  return (flv_fill_cursor){.next = state};
}

// 0 where the next position is empty, else 1 + its word.
static inline int flv_fill_next(const flv_fill *e, flv_fill_cursor *c) {
  if (c->left == 0) {
    c->rest = *c->next++;
    c->left = e->per;
  }
  const int value = (int)(c->rest & e->field);
  c->rest >>= e->word + 1;
  c->left--;
  return value;
}

#endif
