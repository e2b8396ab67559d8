// Circular fingerprints: which neighbourhoods a molecule has, as bits; two molecules are as similar
// as they share bits (flv_tanimoto in metrics/diverse.h).
//
// The scheme of extended connectivity of radius 2, which is called ECFP4. [Rogers & Hahn 2010,
// doi:10.1021/ci100050t] With h a hash,
//   x_0(i) = h of atom i: element, charge, hydrogens, bonds (hydrogens included), whether on a ring
//   x_r(i) = h of r, x_{r-1}(i) and the multiset {(order of bond, x_{r-1}(j))} over the bonds i - j
// where aromatic is an order. x_r(i) speaks of the bonds that touch an atom within r - 1 of i.
// Every x_0(i) is a feature; every x_r(i), r > 0, that has bonds to speak of is one unless another
// feature speaks of the same bonds: one of a smaller radius, or of the same and with a smaller
// hash. Feature x sets bit x mod 2048.
//
// So nothing depends on how atoms are numbered. The hash is our own and so are the bits;
// similarities are close to those of other implementations, which also differ in which of several
// features with the same bonds is left out (docs/molecules.md has numbers).
#ifndef FLUVIAL_CHEM_FINGERPRINT_H
#define FLUVIAL_CHEM_FINGERPRINT_H

#include <stdint.h>

#include "chem/molecule.h"

enum { FLV_FINGERPRINT_RADIUS = 2, FLV_FINGERPRINT_BITS = 2048, FLV_FINGERPRINT_WORDS = 32 };

// FLV_ENOMEM. An empty molecule has no bits.
flv_status flv_fingerprint(uint64_t bits[FLV_FINGERPRINT_WORDS], const flv_molecule *m,
                           flv_error *err);

#endif
