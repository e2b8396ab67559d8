// Assembly of molecules.

#include "chem/assemble.h"

#include <string.h>

void flv_assemble(flv_molecule *m, int32_t *first, const flv_vocabulary *v, int n,
                  const int16_t *block, int n_junctions, const flv_junction *junction) {
  flv_molecule_clear(m);
  for (int i = 0; i < n; i++)
    first[i] = flv_molecule_append(m, &v->fragment[v->block[block[i]].fragment].molecule);
  first[n] = m->n_atoms;
  for (int k = 0; k < n_junctions; k++) {
    int end[2];
    for (int side = 0; side < 2; side++) {
      end[side] = first[junction[k].block[side]] + junction[k].atom[side];
      if (m->atom[end[side]].eh > 0) m->atom[end[side]].eh--;
    }
    flv_molecule_add_bond(m, end[0], end[1], FLV_BOND_SINGLE);
  }
}

void flv_stem_counts(uint8_t *stem, int n_atoms, const int32_t *first, int n_stems,
                     const flv_stem *stems) {
  memset(stem, 0, (size_t)n_atoms);
  for (int k = 0; k < n_stems; k++) stem[first[stems[k].block] + stems[k].atom]++;
}
