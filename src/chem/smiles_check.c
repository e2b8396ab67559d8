// Checks of a molecule read from SMILES.

#include "chem/smiles_check.h"

#include <stddef.h>
#include <string.h>

#include "base/memory.h"
#include "chem/element.h"
#include "chem/kekule.h"
#include "chem/perceive.h"

typedef struct checked {
  flv_molecule *m;
  const int *column;
  flv_perception p;
  int *queue;    // [n_atoms]
  uint8_t *seen; // [n_atoms]
  uint8_t *ring; // [n_bonds] lies on a ring of lower-case atoms
  flv_error *err;
} checked;

static bool both_aromatic(const flv_molecule *m, const flv_bond *bond) {
  return m->atom[bond->a].aromatic && m->atom[bond->b].aromatic;
}

// May it belong to an aromatic ring? Order 0: no symbol.
static bool may_be_aromatic(const flv_molecule *m, const flv_bond *bond) {
  return both_aromatic(m, bond) && (bond->order == 0 || bond->order == FLV_BOND_AROMATIC);
}

// Does bond k lie on a cycle of bonds that may be aromatic? Are its ends joined without it?
static bool on_ring(checked *c, int k) {
  const flv_molecule *m = c->m;
  int head = 0, tail = 0;
  memset(c->seen, 0, (size_t)m->n_atoms);
  c->queue[tail++] = m->bond[k].a;
  c->seen[m->bond[k].a] = 1;
  while (head < tail && !c->seen[m->bond[k].b]) {
    const int i = c->queue[head++];
    for (int l = c->p.at[i]; l < c->p.at[i + 1]; l++) {
      const flv_bond *bond = &m->bond[c->p.of[l]];
      const int j = flv_bond_other(bond, i);
      if (c->p.of[l] == k || c->seen[j] || !may_be_aromatic(m, bond)) continue;
      c->seen[j] = 1;
      c->queue[tail++] = j;
    }
  }
  return c->seen[m->bond[k].b];
}

static flv_status resolve_bonds(checked *c) {
  flv_molecule *m = c->m;
  flv_molecule_incidence(c->p.at, c->p.of, m);
  for (int k = 0; k < m->n_bonds; k++)
    c->ring[k] = may_be_aromatic(m, &m->bond[k]) && on_ring(c, k);
  memset(c->seen, 0, (size_t)m->n_atoms);
  for (int k = 0; k < m->n_bonds; k++) {
    flv_bond *bond = &m->bond[k];
    if (bond->order == FLV_BOND_AROMATIC && !c->ring[k])
      return flv_fail(c->err, FLV_EINVAL,
                      "column %d: bond ':' outside of a ring of lower-case atoms",
                      c->column[bond->b]);
    if (bond->order == 0) bond->order = c->ring[k] ? FLV_BOND_AROMATIC : FLV_BOND_SINGLE;
    if (c->ring[k]) c->seen[bond->a] = c->seen[bond->b] = 1;
  }
  for (int i = 0; i < m->n_atoms; i++)
    if (m->atom[i].aromatic && !c->seen[i])
      return flv_fail(c->err, FLV_EINVAL,
                      "column %d: a lower-case atom outside of a ring of lower-case atoms",
                      c->column[i]);
  return FLV_OK;
}

static flv_status check_valences(const checked *c) {
  for (int i = 0; i < c->m->n_atoms; i++) {
    const flv_atom *atom = &c->m->atom[i];
    const int valence = c->p.valence[i], most = flv_valence_most(atom);
    if (flv_valence_allowed(atom, valence)) continue;
    const char *symbol = flv_element_of(atom->z)->symbol;
    if (valence > most)
      return flv_fail(c->err, FLV_EINVAL,
                      "column %d: %s with charge %+d and valence %d, expected "
                      "at most %d",
                      c->column[i], symbol, atom->q, valence, most);
    return flv_fail(c->err, FLV_EINVAL,
                    "column %d: %s with charge %+d and valence %d has an unpaired electron, "
                    "expected another number of hydrogens",
                    c->column[i], symbol, atom->q, valence);
  }
  return FLV_OK;
}

// ---- rings of alternating double bonds in upper case

static int order_between(const checked *c, int a, int b) {
  for (int k = c->p.at[a]; k < c->p.at[a + 1]; k++)
    if (flv_bond_other(&c->m->bond[c->p.of[k]], a) == b) return c->m->bond[c->p.of[k]].order;
  return 0;
}

// Neutral nitrogen, oxygen and sulphur of the usual valence: pyrrole, furan, thiophene.
static bool gives_pair(const checked *c, int i) {
  const flv_atom *atom = &c->m->atom[i];
  return !atom->aromatic && atom->q == 0 && (atom->z == 7 || atom->z == 8 || atom->z == 16) &&
         c->p.valence[i] == flv_element_of(atom->z)->valence[0];
}

static bool may_alternate(const flv_atom *atom) {
  return !atom->aromatic && (atom->z == 6 || atom->z == 7);
}

// Continues the path walk[0]=walk[1]-walk[2]=.. by one atom and closes it where that makes a ring:
// of six atoms, or of five when the last gives a pair of electrons. Depth at most six.
static bool alternates(const checked *c, int *walk, int n) { // NOLINT(misc-no-recursion)
  const flv_molecule *m = c->m;
  const int last = walk[n - 1], wanted = n % 2 ? FLV_BOND_DOUBLE : FLV_BOND_SINGLE;
  if (n == 6) return order_between(c, last, walk[0]) == FLV_BOND_SINGLE;
  if (n == 5 && gives_pair(c, last) && order_between(c, last, walk[0]) == FLV_BOND_SINGLE)
    return true;
  for (int k = c->p.at[last]; k < c->p.at[last + 1]; k++) {
    const flv_bond *bond = &m->bond[c->p.of[k]];
    const int next = flv_bond_other(bond, last);
    bool visited = false;
    for (int i = 0; i < n; i++) visited |= walk[i] == next;
    if (bond->order != wanted || visited) continue;
    if (!may_alternate(&m->atom[next]) && !(n == 4 && gives_pair(c, next))) continue;
    walk[n] = next;
    if (alternates(c, walk, n + 1)) return true;
  }
  return false;
}

static flv_status check_upper_case(const checked *c) {
  int walk[6];
  for (int i = 0; i < c->m->n_atoms; i++) {
    walk[0] = i;
    if (may_alternate(&c->m->atom[i]) && alternates(c, walk, 1))
      return flv_fail(c->err, FLV_EINVAL,
                      "column %d: a ring of alternating double bonds, expected it in lower case "
                      "(c1ccccc1, not C1=CC=CC=C1)",
                      c->column[i]);
  }
  return FLV_OK;
}

static flv_status check_all(checked *c) {
  FLV_TRY(resolve_bonds(c));
  flv_perceive(&c->p, c->m);
  FLV_TRY(check_valences(c));
  int fault;
  FLV_TRY(flv_kekule(&fault, c->m, &c->p, c->err));
  if (fault >= 0)
    return flv_fail(c->err, FLV_EINVAL,
                    "column %d: no alternating double bonds for this aromatic ring, expected "
                    "another number of hydrogens (as in c1cc[nH]c1)",
                    c->column[fault]);
  return check_upper_case(c);
}

flv_status flv_smiles_check(flv_molecule *m, const int *column, flv_error *err) {
  checked c = {.m = m, .column = column, .err = err};
  const flv_slot slots[] = {FLV_SLOT(c.queue, m->n_atoms), FLV_SLOT(c.seen, m->n_atoms),
                            FLV_SLOT(c.ring, m->n_bonds)};
  FLV_TRY(flv_perception_init(&c.p, m->n_atoms, m->n_bonds, err));
  void *block = flv_bind(3, slots);
  const flv_status status =
      block ? check_all(&c) : flv_fail(err, FLV_ENOMEM, "out of memory for a molecule");
  flv_free(block);
  flv_perception_free(&c.p);
  return status;
}
