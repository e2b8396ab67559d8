// Molecules from blocks: the graph that a list of joined blocks stands for.
#ifndef FLUVIAL_CHEM_ASSEMBLE_H
#define FLUVIAL_CHEM_ASSEMBLE_H

#include "chem/molecule.h"
#include "chem/vocabulary.h"

typedef struct flv_junction { // a single bond between two blocks
  int16_t block[2];           // positions in the list, older first
  int16_t atom[2];            // atoms of their fragments
} flv_junction;

typedef struct flv_stem { // an open place
  int16_t block, atom;    // position in the list, atom of its fragment
} flv_stem;

// Atoms of the fragments of block[0], block[1], .. in this order, then their bonds, then one single
// bond for each junction; at both its ends an explicit hydrogen goes, if there is one (the implicit
// ones are counted anew by flv_perceive). first[i] is the first atom of position i, first[n] their
// number. `m` needs room: n * v->max_atoms atoms and n * v->max_bonds + n_junctions bonds suffice.
void flv_assemble(flv_molecule *m, int32_t *first, const flv_vocabulary *v, int n,
                  const int16_t *block, int n_junctions, const flv_junction *junction);

// stem[n_atoms]: how many stems are open at every atom, for flv_atom_features.
void flv_stem_counts(uint8_t *stem, int n_atoms, const int32_t *first, int n_stems,
                     const flv_stem *stems);

#endif
