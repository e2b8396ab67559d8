// Molecules in the order in which they grew, as text lists them.
#ifndef FLUVIAL_EXACT_MOLECULE_LIST_H
#define FLUVIAL_EXACT_MOLECULE_LIST_H

#include "env/fragments.h"
#include "fluvial/molecule_eval.h"

enum { FLV_GROWN_STEMS = FLV_FRAGMENTS_MAX * FLV_BLOCK_MAX_ATTACH };

typedef struct flv_grown {
  int n, n_stems;
  int16_t block[FLV_FRAGMENTS_MAX];
  // Block i > 0 is joined by its atom by[i] to atom at[i] of block to[i] < i.
  int16_t to[FLV_FRAGMENTS_MAX], at[FLV_FRAGMENTS_MAX], by[FLV_FRAGMENTS_MAX];
  // Stems in the order in which they are listed, which only exact/legacy_paths.h asks for: blocks
  // and atoms.
  uint8_t stem[FLV_GROWN_STEMS], stem_atom[FLV_GROWN_STEMS];
} flv_grown;

struct flv_molecule_list {
  const flv_env *env;
  int64_t n, room;
  flv_grown *grown;
  flv_fragments_state *state;
  int *line;
};

// Its state, and where the blocks stand in that, place [n]. Returns n, or the first block that
// cannot be joined so: it is not joined by that atom, or no slot there is free.
int flv_grown_state(const flv_env *env, const flv_grown *g, flv_fragments_state *s, uint8_t *place);

// How many stems blocks and bonds leave at an atom of block b.
int flv_grown_open(const flv_fragments *e, const flv_grown *g, int b, int atom);

// Lists them as if the blocks had been joined one after another: a block's own come last, and those
// of the first block end with that of its first atom.
void flv_grown_list_stems(const flv_fragments *e, flv_grown *g);

#endif
