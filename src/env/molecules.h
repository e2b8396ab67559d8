// The molecules that trees of fragments stand for: atom graphs, identities, texts. One at a time,
// by one thread.
#ifndef FLUVIAL_ENV_MOLECULES_H
#define FLUVIAL_ENV_MOLECULES_H

#include <stddef.h>
#include <stdint.h>

#include "chem/assemble.h"
#include "chem/canonical.h"
#include "env/fragments.h"

typedef struct flv_molecules {
  const flv_fragments *env;
  flv_molecule molecule, ordered; // of the latest state; the same in canonical order
  int32_t *first;                 // [max_blocks + 1] first atom of every position
  flv_stem *stem;                 // [max_blocks * slots] free slots
  int n_stems;
  uint8_t *open; // [atoms] free slots of every atom of `ordered`
  flv_canon *canon;
  uint8_t *key; // [key_room]
  void *block;
} flv_molecules;

// FLV_ENOMEM. env is kept.
flv_status flv_molecules_init(flv_molecules *m, const flv_fragments *env, flv_error *err);
void flv_molecules_free(flv_molecules *m); // accepts a zeroed one

// Most atoms and bonds of a molecule of env.
int flv_molecules_max_atoms(const flv_fragments *env);
int flv_molecules_max_bonds(const flv_fragments *env);

// m->molecule, m->first and m->stem of a state with at least one block.
void flv_molecules_assemble(flv_molecules *m, const flv_fragments_state *s);

// What tells molecules apart besides atoms and bonds.
enum {
  FLV_TELL_STEMS = 1, // how many free slots every atom has
  FLV_TELL_JOINTS = 2 // which bonds join blocks; with stems: what the futures of a state depend on
};

// 128 bits of the canonical key of the assembled molecule: equal for the same molecules and, but
// for a chance of 2^-64 among four billion, for no others.
void flv_molecules_key(flv_molecules *m, unsigned tell, uint64_t key[2]);
// After that: m->ordered and m->open, the same for all states with that key.
void flv_molecules_order(flv_molecules *m);

// Canonical SMILES of the assembled molecule: the same molecules give the same text.
flv_status flv_molecules_smiles(flv_molecules *m, char *text, size_t room, flv_error *err);

#endif
