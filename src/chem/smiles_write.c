// Writing SMILES: the depth-first tree of the graph from its first atom, with a ring number for
// every bond that the tree leaves out. The number is free again once the ring is closed.

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "chem/element.h"
#include "chem/perceive.h"
#include "chem/smiles.h"

enum { FIRST_RING = 1, N_RINGS = 100, UNSEEN = -2, ROOT = -1, CLOSED = -1 };

typedef struct frame { // an atom that has been written
  int atom, next;      // next: of its bonds, the first not looked at
  bool branch;         // between parentheses
} frame;

typedef struct writer {
  const flv_molecule *m;
  flv_perception p;
  char *text;
  size_t size, used;
  int *reached;   // [n_atoms] bond of the tree by which it was reached, ROOT, or UNSEEN
  int *number_of; // [n_bonds] ring number while open, 0 before, CLOSED after
  frame *stack;   // [n_atoms]
  bool taken[N_RINGS];
  flv_error *err;
} writer;

static void put(writer *w, const char *piece) {
  for (; *piece; piece++, w->used++)
    if (w->used + 1 < w->size) w->text[w->used] = *piece;
}

// Would the atom have its hydrogens without brackets?
static bool plain(const writer *w, int i) {
  const flv_atom *atom = &w->m->atom[i];
  if (!flv_element_of(atom->z)->organic || atom->q != 0) return false;
  const flv_atom bare = {.z = atom->z, .aromatic = atom->aromatic};
  int acc2 = 0;
  for (int k = w->p.at[i]; k < w->p.at[i + 1]; k++) {
    const int order = w->m->bond[w->p.of[k]].order;
    acc2 += order == FLV_BOND_AROMATIC ? 3 : 2 * order;
  }
  return flv_implicit_hydrogens(&bare, flv_explicit_valence(&bare, acc2)) == w->p.hydrogens[i];
}

static void put_atom(writer *w, int i) {
  const flv_atom *atom = &w->m->atom[i];
  const int h = w->p.hydrogens[i], q = (int)atom->q;
  char symbol[3], hydrogens[16], charge[16];
  memcpy(symbol, flv_element_of(atom->z)->symbol, sizeof symbol);
  if (atom->aromatic) symbol[0] = (char)(symbol[0] - 'A' + 'a');
  if (plain(w, i)) {
    put(w, symbol);
    return;
  }
  snprintf(hydrogens, sizeof hydrogens, "H%d", h);
  snprintf(charge, sizeof charge, "%+d", q);
  put(w, "[");
  put(w, symbol);
  if (h > 0) put(w, h == 1 ? "H" : hydrogens);
  if (q != 0) put(w, q == 1 ? "+" : q == -1 ? "-" : charge);
  put(w, "]");
}

// No symbol means single, and between two aromatic atoms aromatic.
static void put_bond(writer *w, const flv_bond *bond) {
  const bool aromatic = w->m->atom[bond->a].aromatic && w->m->atom[bond->b].aromatic;
  if (bond->order == FLV_BOND_SINGLE && aromatic) put(w, "-");
  if (bond->order == FLV_BOND_DOUBLE) put(w, "=");
  if (bond->order == FLV_BOND_TRIPLE) put(w, "#");
}

static void put_number(writer *w, int number) {
  char piece[16];
  snprintf(piece, sizeof piece, number < 10 ? "%d" : "%%%d", number);
  put(w, piece);
}

static bool in_tree(const writer *w, int bond) {
  return w->reached[w->m->bond[bond].a] == bond || w->reached[w->m->bond[bond].b] == bond;
}

// Rings that close here, then those that open. A number closed here is free from the next atom on.
static flv_status put_rings(writer *w, int i) {
  const int *of = w->p.of, begin = w->p.at[i], end = w->p.at[i + 1];
  bool freed[N_RINGS] = {false};
  for (int k = begin; k < end; k++) {
    int *number = &w->number_of[of[k]];
    if (in_tree(w, of[k]) || *number == 0) continue;
    put_number(w, *number);
    freed[*number] = true;
    *number = CLOSED;
  }
  for (int k = begin; k < end; k++) {
    if (in_tree(w, of[k]) || w->number_of[of[k]] != 0) continue;
    int number = FIRST_RING;
    while (number < N_RINGS && w->taken[number]) number++;
    if (number == N_RINGS)
      return flv_fail(w->err, FLV_EINVAL, "more than %d rings open at once", N_RINGS - FIRST_RING);
    put_bond(w, &w->m->bond[of[k]]);
    put_number(w, number);
    w->taken[number] = true;
    w->number_of[of[k]] = number;
  }
  for (int number = FIRST_RING; number < N_RINGS; number++)
    if (freed[number]) w->taken[number] = false;
  return FLV_OK;
}

// Depth first from atom 0; how many atoms it reaches.
static int grow_tree(writer *w) {
  int depth = 0, n = 1;
  for (int i = 0; i < w->m->n_atoms; i++) w->reached[i] = UNSEEN;
  w->reached[0] = ROOT;
  w->stack[depth++] = (frame){0, w->p.at[0], false};
  while (depth > 0) {
    frame *top = &w->stack[depth - 1];
    if (top->next == w->p.at[top->atom + 1]) {
      depth--;
      continue;
    }
    const int bond = w->p.of[top->next++], other = flv_bond_other(&w->m->bond[bond], top->atom);
    if (w->reached[other] != UNSEEN) continue;
    w->reached[other] = bond;
    w->stack[depth++] = (frame){other, w->p.at[other], false};
    n++;
  }
  return n;
}

// The next bond of the tree that leads away from the atom of a frame; -1 if there is none.
static int next_child(const writer *w, frame *f) {
  while (f->next < w->p.at[f->atom + 1]) {
    const int bond = w->p.of[f->next++];
    if (w->reached[flv_bond_other(&w->m->bond[bond], f->atom)] == bond) return bond;
  }
  return -1;
}

static flv_status put_tree(writer *w) {
  int depth = 0;
  put_atom(w, 0);
  FLV_TRY(put_rings(w, 0));
  w->stack[depth++] = (frame){0, w->p.at[0], false};
  while (depth > 0) {
    frame *top = &w->stack[depth - 1];
    const int bond = next_child(w, top);
    if (bond < 0) {
      if (top->branch) put(w, ")");
      depth--;
      continue;
    }
    frame ahead = *top;
    const bool branch = next_child(w, &ahead) >= 0; // the last child goes on without
    const int child = flv_bond_other(&w->m->bond[bond], top->atom);
    if (branch) put(w, "(");
    put_bond(w, &w->m->bond[bond]);
    put_atom(w, child);
    FLV_TRY(put_rings(w, child));
    w->stack[depth++] = (frame){child, w->p.at[child], branch};
  }
  return FLV_OK;
}

flv_status flv_smiles_write(char *text, size_t size, size_t *length, const flv_molecule *m,
                            flv_error *err) {
  if (m->n_atoms == 0) return flv_fail(err, FLV_EINVAL, "an empty molecule has no SMILES");
  writer w = {.m = m, .text = text, .size = size, .err = err};
  const flv_slot slots[] = {FLV_SLOT(w.reached, m->n_atoms), FLV_SLOT(w.number_of, m->n_bonds),
                            FLV_SLOT(w.stack, m->n_atoms)};
  FLV_TRY(flv_perception_init(&w.p, m->n_atoms, m->n_bonds, err));
  void *block = flv_bind(3, slots);
  flv_status status = FLV_OK;
  if (!block) {
    status = flv_fail(err, FLV_ENOMEM, "out of memory for a SMILES");
  } else {
    flv_perceive(&w.p, m);
    status = grow_tree(&w) == m->n_atoms
                 ? put_tree(&w)
                 : flv_fail(err, FLV_EINVAL, "a molecule in pieces has no SMILES here");
  }
  flv_free(block);
  flv_perception_free(&w.p);
  if (status != FLV_OK) return status;
  if (size > 0) text[w.used < size ? w.used : size - 1] = '\0';
  *length = w.used;
  return FLV_OK;
}
