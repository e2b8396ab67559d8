// Do the aromatic rings of a molecule admit alternating double bonds?
#ifndef FLUVIAL_CHEM_KEKULE_H
#define FLUVIAL_CHEM_KEKULE_H

#include "chem/perceive.h"

// An aromatic atom needs a double bond within its ring if its other bonds and hydrogens fill one
// less than an allowed valence, and has none if they fill one. *fault: an atom that needs one and
// cannot have it, -1 if every one can. Valences have to be allowed. FLV_ENOMEM.
flv_status flv_kekule(int *fault, const flv_molecule *m, const flv_perception *p, flv_error *err);

#endif
