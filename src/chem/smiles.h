// SMILES: molecules as one line of text, read and written.
//
// Read: the organic subset B C N O P S F Cl Br I and lower case b c n o p s; brackets with an
// element of element.h (Si, As, Se, se, as besides), hydrogens and charge; bonds - = # : or none;
// branches; rings 0 to 9 and %10 to %99. One piece only. Not represented here, so refused rather
// than dropped: isotopes, stereo marks (@ / \), atom classes, wildcards, pieces ('.'), radicals.
//
// Between two lower-case atoms no symbol means aromatic where the bond lies on a ring of lower-case
// atoms, else single. Aromaticity is taken as written: a six- or five-membered ring written with
// alternating double bonds, which other programs would make aromatic, is refused. Lower-case rings
// have to admit alternating double bonds (c1cccn1 does not, c1ccc[nH]1 does).
#ifndef FLUVIAL_CHEM_SMILES_H
#define FLUVIAL_CHEM_SMILES_H

#include <stddef.h>

#include "chem/molecule.h"

enum { FLV_SMILES_MAX = 4096 }; // bytes

// Reads n bytes into a new molecule with room for just its atoms, in the order of the text.
// FLV_EINVAL with one line, "column C: what is there and what was expected"; *m is then as before.
flv_status flv_smiles_read(flv_molecule *m, const char *text, size_t n, flv_error *err);

// The text of a connected molecule, ended by a zero byte. Reading it gives the same molecule, its
// atoms in another order; which of its many texts is written depends on the order of its atoms.
// Returns the length; if that is `size` or more, text was too short and is cut. Allocates.
// FLV_ENOMEM; FLV_EINVAL if the molecule is empty, in pieces, or has more than 99
// rings open at once.
flv_status flv_smiles_write(char *text, size_t size, size_t *length, const flv_molecule *m,
                            flv_error *err);

#endif
