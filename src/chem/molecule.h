// Molecules as atom graphs: what the rest of src/chem reads and writes.
//
// An atom is an element, a formal charge, a flag for aromatic, and what SMILES says of its
// hydrogens: `eh` of them are written (inside brackets), and with `no_implicit` there are no others
// (element.h counts the rest). Hydrogens are counts, never atoms. There is no stereochemistry, no
// isotope and no radical. Atoms keep the order in which they were added: in a molecule read from
// SMILES that of the text, in an assembled one fragment after fragment.
#ifndef FLUVIAL_CHEM_MOLECULE_H
#define FLUVIAL_CHEM_MOLECULE_H

#include <stdbool.h>
#include <stdint.h>

#include "fluvial/status.h"

typedef struct flv_atom {
  uint8_t z; // atomic number
  int8_t q;  // formal charge
  uint8_t aromatic, eh, no_implicit;
} flv_atom;

typedef enum flv_bond_order {
  FLV_BOND_SINGLE = 1,
  FLV_BOND_DOUBLE,
  FLV_BOND_TRIPLE,
  FLV_BOND_AROMATIC
} flv_bond_order;

typedef struct flv_bond {
  int32_t a, b;  // atoms, different ones; no two bonds join the same pair
  uint8_t order; // flv_bond_order
} flv_bond;

// Transparent: read in place. Both arrays lie in one block of fixed size, so that nothing is
// allocated when a molecule is filled anew.
typedef struct flv_molecule {
  int n_atoms, n_bonds;
  flv_atom *atom; // [max_atoms]
  flv_bond *bond; // [max_bonds]
  int max_atoms, max_bonds;
  void *block;
} flv_molecule;

enum { FLV_MOLECULE_MAX_ATOMS = 1 << 16 }; // of any molecule, and its bonds

// Room for an empty molecule. FLV_ENOMEM; FLV_EINVAL if a number is negative or above the limit.
flv_status flv_molecule_init(flv_molecule *m, int max_atoms, int max_bonds, flv_error *err);
void flv_molecule_free(flv_molecule *m); // accepts NULL and a zeroed one

// Empty again, with the same room.
void flv_molecule_clear(flv_molecule *m);

// Index of the new atom or bond. There must be room, and the atoms of a bond must be there.
int flv_molecule_add_atom(flv_molecule *m, flv_atom atom);
int flv_molecule_add_bond(flv_molecule *m, int a, int b, flv_bond_order order);

// Appends a copy of `from`; the index of its first atom. There must be room.
int flv_molecule_append(flv_molecule *m, const flv_molecule *from);

// The bonds of every atom: those of atom i are of[k], at[i] <= k < at[i + 1], in rising order.
// at[n_atoms + 1] and of[2 n_bonds] are the caller's.
void flv_molecule_incidence(int32_t *at, int32_t *of, const flv_molecule *m);

// The atom at the other end.
static inline int flv_bond_other(const flv_bond *bond, int atom) {
  return bond->a == atom ? bond->b : bond->a;
}

#endif
