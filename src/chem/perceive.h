// What a molecule's graph implies: hydrogens, hybridisation, conjugation; and the features that the
// reward network reads. The rules are those of RDKit 2022.09 for molecules without radicals.
#ifndef FLUVIAL_CHEM_PERCEIVE_H
#define FLUVIAL_CHEM_PERCEIVE_H

#include "chem/molecule.h"

typedef enum flv_hybrid {
  FLV_HYBRID_S,
  FLV_HYBRID_SP,
  FLV_HYBRID_SP2,
  FLV_HYBRID_SP3,
  FLV_HYBRID_SP3D,
  FLV_HYBRID_SP3D2
} flv_hybrid;

typedef struct flv_perception { // of one molecule at a time; read-only outside
  int32_t *hydrogens;           // [n_atoms] explicit and implicit
  int32_t *valence;             // [n_atoms] orders of all bonds, hydrogens included
  uint8_t *hybrid;              // [n_atoms] flv_hybrid
  uint8_t *conjugated;          // [n_bonds] 0 or 1
  int32_t *at, *of;             // bonds of every atom, as flv_molecule_incidence gives them
  int32_t *explicit_valence;    // [n_atoms] without implicit hydrogens
  uint8_t *candidate;           // [n_atoms] may take part in conjugation
  int max_atoms, max_bonds;
  void *block;
} flv_perception;

// Room for molecules of up to so many atoms and bonds. FLV_ENOMEM.
flv_status flv_perception_init(flv_perception *p, int max_atoms, int max_bonds, flv_error *err);
void flv_perception_free(flv_perception *p); // accepts NULL and a zeroed one

// Total for every molecule that fits and whose elements are in the table of element.h.
void flv_perceive(flv_perception *p, const flv_molecule *m);

// ---- features of the reward network

enum { FLV_ATOM_FEATURES = 71, FLV_BOND_FEATURES = 4 };

// x[n_atoms][71], all of it written, from a molecule and its perception (p is of m). Columns:
//   0-4 H C N O F, 5 another element; 6-8 zero; 9 aromatic; 10-12 SP SP2 SP3; 13 hydrogens;
//   14-69 element Z = 1..56; 70 stem[i] != 0, and atom 0 if no atom has a stem.
// stem[n_atoms] may be NULL: column 70 is zero then.
void flv_atom_features(double *x, const flv_molecule *m, const flv_perception *p,
                       const uint8_t *stem);

typedef struct flv_edge {
  int32_t from, to;
  int32_t type; // which of the 4 bond features is 1: order - 1; -1: none, all are zero
} flv_edge;

// Directed edges: both directions of bond k are edges 2k and 2k + 1. A molecule without bonds has
// one self-loop of atom 0, of type -1. Returns their number, at most max(1, 2 n_bonds).
int flv_atom_edges(flv_edge *edge, const flv_molecule *m);

#endif
