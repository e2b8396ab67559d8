// Hydrogens, hybridisation, conjugation, features.
//
// For each atom with charge q, usual valence dv, outer electrons NO, deg bonds and H hydrogens:
//   ev  explicit valence and H as in element.h;  tv = ev + implicit H;  td = deg + H
//   pi electrons  e = dv - td + max(NO - dv - q, 0), none if dv <= 1 or td > 3; at most 1 of them
//     counts where a double bond is there already (ev - deg > 1)
//   candidate     e > 0, not beyond its usual valence if neutral, and of the first row, or one
//     whose lone pairs do not hold it in a tetrahedron
//   conjugated    aromatic bonds; and at every candidate with 2 <= td <= 3, each pair of a multiple
//     bond and another bond, both to candidates
//   orbitals      td + trunc((NO - tv - q)/2), which name the hybridisation; with 4 of them an atom
//     of conjugated bonds is SP2 unless td > 3

#include "chem/perceive.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "chem/element.h"

flv_status flv_perception_init(flv_perception *p, int max_atoms, int max_bonds, flv_error *err) {
  flv_perception made = {.max_atoms = max_atoms, .max_bonds = max_bonds};
  const flv_slot slots[] = {
      FLV_SLOT(made.hydrogens, max_atoms),        FLV_SLOT(made.valence, max_atoms),
      FLV_SLOT(made.hybrid, max_atoms),           FLV_SLOT(made.conjugated, max_bonds),
      FLV_SLOT(made.at, max_atoms + 1),           FLV_SLOT(made.of, 2 * max_bonds),
      FLV_SLOT(made.explicit_valence, max_atoms), FLV_SLOT(made.candidate, max_atoms)};
  made.block = flv_bind((int)(sizeof slots / sizeof slots[0]), slots);
  if (!made.block) return flv_fail(err, FLV_ENOMEM, "out of memory for the features of molecules");
  *p = made;
  return FLV_OK;
}

void flv_perception_free(flv_perception *p) {
  if (!p) return;
  flv_free(p->block);
  memset(p, 0, sizeof *p);
}

static void count_hydrogens(flv_perception *p, const flv_molecule *m) {
  for (int i = 0; i < m->n_atoms; i++) {
    const flv_atom *atom = &m->atom[i];
    int acc2 = 2 * atom->eh;
    for (int k = p->at[i]; k < p->at[i + 1]; k++) {
      const int order = m->bond[p->of[k]].order;
      acc2 += order == FLV_BOND_AROMATIC ? 3 : 2 * order;
    }
    const int ev = flv_explicit_valence(atom, acc2), implicit = flv_implicit_hydrogens(atom, ev);
    p->explicit_valence[i] = ev;
    p->hydrogens[i] = atom->eh + implicit;
    p->valence[i] = ev + implicit;
  }
}

static int total_degree(const flv_perception *p, int i) {
  return p->at[i + 1] - p->at[i] + p->hydrogens[i];
}

static int pi_electrons(const flv_perception *p, const flv_atom *atom, const flv_element *e,
                        int i) {
  const int dv = e->valence[0], td = total_degree(p, i), pairs = e->outer - dv - atom->q;
  if (dv <= 1 || td > 3) return -1;
  const int electrons = dv - td + (pairs > 0 ? pairs : 0);
  const bool multiple = p->explicit_valence[i] - (p->at[i + 1] - p->at[i]) > 1;
  return electrons > 1 && multiple ? 1 : electrons;
}

static bool is_candidate(const flv_perception *p, const flv_atom *atom, int i) {
  const flv_element *e = flv_element_of(atom->z);
  if (atom->q == 0 && p->valence[i] > e->valence[0]) return false;
  const bool planar = atom->z <= 10 || (e->outer != 5 && e->outer != 6) ||
                      (e->outer == 6 && total_degree(p, i) < 2);
  return planar && pi_electrons(p, atom, e, i) > 0;
}

static void conjugate(flv_perception *p, const flv_molecule *m) {
  for (int k = 0; k < m->n_bonds; k++) p->conjugated[k] = m->bond[k].order == FLV_BOND_AROMATIC;
  for (int i = 0; i < m->n_atoms; i++) {
    const int td = total_degree(p, i);
    if (!p->candidate[i] || td < 2 || td > 3) continue;
    for (int k = p->at[i]; k < p->at[i + 1]; k++) {
      const flv_bond *first = &m->bond[p->of[k]];
      if (first->order == FLV_BOND_SINGLE || !p->candidate[flv_bond_other(first, i)]) continue;
      for (int l = p->at[i]; l < p->at[i + 1]; l++) {
        const int other = flv_bond_other(&m->bond[p->of[l]], i);
        if (l == k || !p->candidate[other] || total_degree(p, other) > 3) continue;
        p->conjugated[p->of[k]] = p->conjugated[p->of[l]] = 1;
      }
    }
  }
}

static flv_hybrid hybridisation(const flv_perception *p, const flv_atom *atom, int i) {
  const int td = total_degree(p, i);
  const int orbitals = td + (flv_element_of(atom->z)->outer - p->valence[i] - atom->q) / 2;
  if (orbitals <= 1) return FLV_HYBRID_S;
  if (orbitals >= 6) return FLV_HYBRID_SP3D2;
  if (orbitals == 4 && td <= 3)
    for (int k = p->at[i]; k < p->at[i + 1]; k++)
      if (p->conjugated[p->of[k]]) return FLV_HYBRID_SP2;
  return (flv_hybrid)(orbitals - 1);
}

void flv_perceive(flv_perception *p, const flv_molecule *m) {
  assert(m->n_atoms <= p->max_atoms && m->n_bonds <= p->max_bonds);
  flv_molecule_incidence(p->at, p->of, m);
  count_hydrogens(p, m);
  for (int i = 0; i < m->n_atoms; i++) p->candidate[i] = is_candidate(p, &m->atom[i], i);
  conjugate(p, m);
  for (int i = 0; i < m->n_atoms; i++) p->hybrid[i] = (uint8_t)hybridisation(p, &m->atom[i], i);
}

// ---- features

enum { OTHER = 5, AROMATIC = 9, SP = 10, HYDROGENS = 13, ELEMENT = 14, STEM = 70, MAX_Z = 56 };

void flv_atom_features(double *x, const flv_molecule *m, const flv_perception *p,
                       const uint8_t *stem) {
  memset(x, 0, sizeof *x * FLV_ATOM_FEATURES * (size_t)m->n_atoms);
  bool stems = stem == NULL;
  for (int i = 0; i < m->n_atoms; i++) {
    double *row = x + (size_t)i * FLV_ATOM_FEATURES;
    const flv_atom *atom = &m->atom[i];
    row[atom->z >= 6 && atom->z <= 9 ? atom->z - 5 : atom->z == 1 ? 0 : OTHER] = 1.0;
    row[AROMATIC] = atom->aromatic;
    if (p->hybrid[i] >= FLV_HYBRID_SP && p->hybrid[i] <= FLV_HYBRID_SP3)
      row[SP + p->hybrid[i] - FLV_HYBRID_SP] = 1.0;
    row[HYDROGENS] = p->hydrogens[i];
    if (atom->z <= MAX_Z) row[ELEMENT + atom->z - 1] = 1.0;
    if (stem && stem[i]) row[STEM] = 1.0, stems = true;
  }
  if (!stems && m->n_atoms > 0) x[STEM] = 1.0;
}

int flv_atom_edges(flv_edge *edge, const flv_molecule *m) {
  if (m->n_bonds == 0) {
    edge[0] = (flv_edge){0, 0, -1};
    return 1;
  }
  for (int k = 0; k < m->n_bonds; k++) {
    const flv_bond *b = &m->bond[k];
    edge[2 * k] = (flv_edge){b->a, b->b, b->order - 1};
    edge[2 * k + 1] = (flv_edge){b->b, b->a, b->order - 1};
  }
  return 2 * m->n_bonds;
}
