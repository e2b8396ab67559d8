// Elements that SMILES may name here: symbols, valences, outer electrons.
#ifndef FLUVIAL_CHEM_ELEMENT_H
#define FLUVIAL_CHEM_ELEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chem/molecule.h"

typedef struct flv_element {
  char symbol[3];
  uint8_t z, outer;   // outer electrons
  uint8_t valence[3]; // allowed when neutral, rising; the first is the usual one; 0: no more
  bool organic;       // may stand without brackets
  uint8_t aromatic;   // may be lower case: 1 without brackets too, 2 only in them
} flv_element;

// NULL if it is not in the table.
const flv_element *flv_element_of(int z);
// By its symbol of n letters, the first upper case. NULL if it is not in the table.
const flv_element *flv_element_named(const char *symbol, size_t n);

// Valence of an atom, without its implicit hydrogens. acc2 is twice the sum of its bond orders, an
// aromatic bond counting 3, plus 2 eh. An aromatic atom whose bonds claim more than its usual
// valence gets the largest allowed one that they fill: c with three aromatic bonds has 4, not 4.5.
int flv_explicit_valence(const flv_atom *atom, int acc2);
// Hydrogens that SMILES does not write.
int flv_implicit_hydrogens(const flv_atom *atom, int explicit_valence);

// Is a total valence one that the charged atom can have without an unpaired electron? A charge adds
// to the valences of nitrogen and what lies right of it, takes from those of carbon and silicon
// whatever its sign, and subtracts for boron.
bool flv_valence_allowed(const flv_atom *atom, int total_valence);
int flv_valence_most(const flv_atom *atom); // the largest allowed one, 0 if there is none

#endif
