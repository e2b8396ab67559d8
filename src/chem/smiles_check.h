// What a molecule read from SMILES must satisfy beyond the grammar.
#ifndef FLUVIAL_CHEM_SMILES_CHECK_H
#define FLUVIAL_CHEM_SMILES_CHECK_H

#include "chem/molecule.h"

// Bonds of order 0 (no symbol) become aromatic or single. Then aromatic bonds have to lie on rings,
// valences be allowed, aromatic rings admit alternating double bonds, and no other ring have them.
// column[i]: where atom i stands in the text, named in messages. FLV_EINVAL, FLV_ENOMEM.
flv_status flv_smiles_check(flv_molecule *m, const int *column, flv_error *err);

#endif
