// Vocabularies: the fragments that molecules are built of, and where they may be joined.
//
// A block is a fragment with a list of attachment atoms. A new block is joined by the first of
// them; the others become stems, places where later blocks may be joined. An atom that is listed k
// times is joined up to k times. Blocks with the same SMILES share a fragment.
//
// Two formats, both JSON:
//   {"fragments": [{"smiles": "C1CCNCC1", "attach": [0, 3], "name": "piperidine"}, ...]}
//     ours. A fragment gives one block for each of its attachment atoms, first in the list, but
//     only one for atoms that a symmetry of the fragment carries into each other. "name" is
//     optional. No two fragments may be the same molecule.
//   {"block_smi": {"0": "C1CCNCC1", ...}, "block_r": {"0": [0, 3], ...}}
//     the published one (blocks_PDB_105.json), block for block; other keys are ignored.
#ifndef FLUVIAL_CHEM_VOCABULARY_H
#define FLUVIAL_CHEM_VOCABULARY_H

#include <stddef.h>

#include "chem/molecule.h"

enum {
  FLV_VOCABULARY_MAX_BLOCKS = 1024, // and fragments
  FLV_FRAGMENT_MAX_ATOMS = 64,
  FLV_FRAGMENT_MAX_BONDS = 128,
  FLV_BLOCK_MAX_ATTACH = 32,
  FLV_VOCABULARY_MAX_BYTES = 1 << 20 // of the file
};

// Stem types number the pairs (fragment, atom): the offset of the fragment plus the atom.
typedef enum flv_stem_rule {
  FLV_STEMS_DISTINCT, // a fragment takes 1 + its largest attachment atom: no two pairs share a type
  FLV_STEMS_PUBLISHED // the published rule: only the first of its blocks is asked for that atom, so
                      // that atoms of other blocks may run into the next fragments' types
} flv_stem_rule;

typedef struct flv_fragment {
  const char *smiles;
  flv_molecule molecule;
  int first_type;      // stem type of its atom 0
  const int16_t *same; // [n_atoms] the least atom that a symmetry carries to this one
  int16_t *joining;    // [n_atoms] the block to join it by this atom or by one like it; -1: none
} flv_fragment;

typedef struct flv_block {
  const char *name; // NULL: none
  int fragment;     // which, in byte order of the SMILES: the "true block"
  int n_attach;
  const int16_t *attach; // [n_attach]
} flv_block;

typedef struct flv_vocabulary { // read-only once read
  int n_blocks, n_fragments, n_stem_types;
  flv_block *block;         // [n_blocks]
  flv_fragment *fragment;   // [n_fragments]
  int max_atoms, max_bonds; // of any fragment
  void *memory;
} flv_vocabulary;

// FLV_EIO: it cannot be read. FLV_EINVAL, with file, entry and key, and what was expected:
//   - it is not JSON or in neither format; a missing, unknown or misplaced key; no or too many
//     fragments;
//   - SMILES that are refused, with the column (smiles.h); a fragment of more than 64 atoms
//     or 128 bonds;
//   - an attachment that is no atom of the fragment, or is listed more often than the atom has
//     valences free; none or too many of them;
//   - ours: two fragments that are one molecule. Published: an attachment atom by which no block of
//     the same SMILES can be joined, or two blocks that are joined by the same atom.
// *v is then as before; else it is the caller's to free.
flv_status flv_vocabulary_read(flv_vocabulary *v, const char *path, flv_stem_rule rule,
                               flv_error *err);
// The same from memory; messages do not name the file.
flv_status flv_vocabulary_parse(flv_vocabulary *v, const char *text, size_t size,
                                flv_stem_rule rule, flv_error *err);
void flv_vocabulary_free(flv_vocabulary *v); // accepts NULL and a zeroed one

// Stem type of an atom of a block.
static inline int flv_stem_type(const flv_vocabulary *v, int block, int atom) {
  return v->fragment[v->block[block].fragment].first_type + atom;
}

// The block to use for joining a copy of a block's fragment by another of its attachment atoms.
static inline int flv_block_joining(const flv_vocabulary *v, int block, int atom) {
  return v->fragment[v->block[block].fragment].joining[atom];
}

#endif
