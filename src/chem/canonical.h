// Canonical keys: one string of bytes for all drawings of the same molecule.
//
// Two molecules are the same when a renumbering of atoms carries one into the other and keeps
// element, charge, hydrogens, aromatic flags and bond orders, and labels where they are given. For
// molecules without stereochemistry this is the identity that RDKit's canonical SMILES express.
#ifndef FLUVIAL_CHEM_CANONICAL_H
#define FLUVIAL_CHEM_CANONICAL_H

#include <stddef.h>

#include "chem/molecule.h"

enum { FLV_CANON_MAX_ATOMS = 4096 };

typedef struct flv_canon flv_canon; // scratch for one thread

// For molecules of up to so many atoms and bonds. FLV_ENOMEM, FLV_EINVAL above the limit.
flv_status flv_canon_new(flv_canon **canon, int max_atoms, int max_bonds, flv_error *err);
void flv_canon_free(flv_canon *canon); // accepts NULL

// Labels by which atoms and bonds differ besides; either may be NULL: all zero.
typedef struct flv_labels {
  const uint8_t *atom, *bond; // [n_atoms], [n_bonds]
} flv_labels;

// Bytes of the key of a molecule of so many atoms and bonds.
size_t flv_canonical_size(int n_atoms, int n_bonds);

// Writes the key, of flv_canonical_size(m->n_atoms, m->n_bonds) bytes. labels may be NULL.
void flv_canonical_key(flv_canon *canon, uint8_t *key, const flv_molecule *m,
                       const flv_labels *labels);

// The same molecule with its atoms in canonical order and its bonds sorted: same molecules give
// the same text in flv_smiles_write. `out` must have room.
void flv_canonical_form(flv_canon *canon, flv_molecule *out, const flv_molecule *m);

// After flv_canonical_key of m: the place of an atom in canonical order; and m in that order,
// labels included in what decides it.
int flv_canonical_place(const flv_canon *canon, int atom);
void flv_canonical_reorder(const flv_canon *canon, flv_molecule *out, const flv_molecule *m);

#endif
