// Trees of fragments: what policies and rewards for molecules need to know of them.
#ifndef FLUVIAL_ENV_FRAGMENTS_H
#define FLUVIAL_ENV_FRAGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "chem/vocabulary.h"
#include "fluvial/env.h"

enum { FLV_FRAGMENTS_MAX = 16, FLV_FRAGMENTS_ACTIONS = 1 << 20 };

// A state is a tree of n blocks whose root was the first. Position p > 0 is joined, by the atom
// that is first in its block's list, to slot slot[p] of position parent[p] < p; a slot is a place
// in the list. Positions are sorted by (parent, slot), which makes one record of a tree, in
// whatever order its blocks were added.
typedef struct flv_fragments_state { // the whole record
  uint64_t n;
  uint16_t block[FLV_FRAGMENTS_MAX];
  uint8_t parent[FLV_FRAGMENTS_MAX], slot[FLV_FRAGMENTS_MAX];
} flv_fragments_state;

typedef struct flv_fragments {
  flv_vocabulary vocabulary;
  int max_blocks, min_blocks; // of a tree; of one that may be ended at
  int slots;                  // most of a block
  bool root_leaves;           // a root of degree one can be taken away
  // What networks read of blocks, by number: the fragment, how many slots, and their stem types,
  // [slots] a block. A state without blocks reads as one block of a kind of its own, n_blocks, of
  // fragment n_fragments, with one slot of type n_stem_types.
  int32_t *fragment, *n_slots, *stem_type;
  struct fragments_scratch *scratch; // the environment's own
} flv_fragments;

// What is behind env, or NULL if its states are no trees of fragments.
const flv_fragments *flv_fragments_of(const flv_env *env);

static inline const flv_fragments_state *flv_fragments_at(const void *states, int i) {
  return (const flv_fragments_state *)states + i;
}

// Slots of position p that hold a block or are joined by: bit j is slot j.
static inline uint32_t flv_fragments_used(const flv_fragments_state *s, int p) {
  uint32_t used = p > 0;
  for (int k = p + 1; k < (int)s->n; k++)
    if (s->parent[k] == p) used |= UINT32_C(1) << s->slot[k];
  return used;
}

// The action that joins `block` to slot `slot` of position p; in the empty state p and slot are 0.
static inline int flv_fragments_action(const flv_fragments *e, int p, int slot, int block) {
  return (p * e->slots + slot) * e->vocabulary.n_blocks + block;
}

// The first free slot of position p at that atom of its fragment; -1: there is none.
static inline int flv_fragments_free_slot(const flv_fragments *e, const flv_fragments_state *s,
                                          int p, int atom) {
  const flv_block *block = &e->vocabulary.block[s->block[p]];
  const uint32_t used = flv_fragments_used(s, p);
  for (int j = 0; j < block->n_attach; j++)
    if (block->attach[j] == atom && !(used >> j & 1)) return j;
  return -1;
}

#endif
