// Molecules as atom graphs.

#include "chem/molecule.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

flv_status flv_molecule_init(flv_molecule *m, int max_atoms, int max_bonds, flv_error *err) {
  if (max_atoms < 0 || max_bonds < 0 || max_atoms > FLV_MOLECULE_MAX_ATOMS ||
      max_bonds > FLV_MOLECULE_MAX_ATOMS)
    return flv_fail(err, FLV_EINVAL, "a molecule has at most %d atoms and bonds, not %d and %d",
                    FLV_MOLECULE_MAX_ATOMS, max_atoms, max_bonds);
  flv_molecule made = {.max_atoms = max_atoms, .max_bonds = max_bonds};
  const flv_slot slots[] = {FLV_SLOT(made.atom, max_atoms), FLV_SLOT(made.bond, max_bonds)};
  made.block = flv_bind(2, slots);
  if (!made.block) return flv_fail(err, FLV_ENOMEM, "out of memory for a molecule");
  *m = made;
  return FLV_OK;
}

void flv_molecule_free(flv_molecule *m) {
  if (!m) return;
  flv_free(m->block);
  memset(m, 0, sizeof *m);
}

void flv_molecule_clear(flv_molecule *m) { m->n_atoms = m->n_bonds = 0; }

int flv_molecule_add_atom(flv_molecule *m, flv_atom atom) {
  assert(m->n_atoms < m->max_atoms);
  m->atom[m->n_atoms] = atom;
  return m->n_atoms++;
}

int flv_molecule_add_bond(flv_molecule *m, int a, int b, flv_bond_order order) {
  assert(m->n_bonds < m->max_bonds && a != b);
  assert(a >= 0 && a < m->n_atoms && b >= 0 && b < m->n_atoms);
  m->bond[m->n_bonds] = (flv_bond){.a = a, .b = b, .order = (uint8_t)order};
  return m->n_bonds++;
}

int flv_molecule_append(flv_molecule *m, const flv_molecule *from) {
  const int first = m->n_atoms;
  assert(first + from->n_atoms <= m->max_atoms && m->n_bonds + from->n_bonds <= m->max_bonds);
  if (from->n_atoms > 0)
    memcpy(m->atom + first, from->atom, sizeof *m->atom * (size_t)from->n_atoms);
  m->n_atoms += from->n_atoms;
  for (int k = 0; k < from->n_bonds; k++) {
    const flv_bond *bond = &from->bond[k];
    m->bond[m->n_bonds++] = (flv_bond){bond->a + first, bond->b + first, bond->order};
  }
  return first;
}

void flv_molecule_incidence(int32_t *at, int32_t *of, const flv_molecule *m) {
  memset(at, 0, sizeof *at * ((size_t)m->n_atoms + 1));
  for (int k = 0; k < m->n_bonds; k++) at[m->bond[k].a]++, at[m->bond[k].b]++;
  // Sums, then filled from the back: at[i] ends as the start of atom i.
  for (int i = 0; i < m->n_atoms; i++) at[i + 1] += at[i];
  for (int k = m->n_bonds - 1; k >= 0; k--) {
    of[--at[m->bond[k].a]] = k;
    of[--at[m->bond[k].b]] = k;
  }
}
