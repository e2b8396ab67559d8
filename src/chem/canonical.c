// Canonical labelling by refinement and search (McKay, Practical graph isomorphism, 1981).
//
// A colouring puts the atoms in cells, cells in a row; the colour of an atom is where its cell
// begins. Refinement splits cells by the colours and bond orders of neighbours until nothing
// splits. If a cell of several atoms is left, each of them in turn is put before the others and
// refined again: a tree, whose leaves are numberings. The key is the smallest list of bonds over
// the leaves that have the smallest trace, a hash of how the refinements went; nothing in it
// depends on the numbering of the input.
//
// Two leaves with the same list give an automorphism. An atom that one of them carries to an atom
// tried before, leaving the path to this node in place, is not tried; so k phenyl groups, which
// have at least 2^k symmetries, cost some k leaves.

#include "chem/canonical.h"

#include <stdbool.h>
#include <string.h>

#include "base/memory.h"
#include "base/mix.h"
#include "chem/perceive.h"

typedef struct signed_atom {
  uint64_t signature;
  int32_t atom;
} signed_atom;

struct flv_canon {
  const flv_molecule *m;
  const flv_labels *labels;
  flv_perception p;
  int n, depth;
  // of each level of the path, 0 to n; rows of n_max
  uint16_t *colours; // [n_max + 1][n_max]
  uint64_t *trace, *best_trace;
  int32_t *path, *best_path; // the atom put first in the cell of the level
  int32_t *cell;             // where that cell begins
  uint8_t *tried;            // [n_max + 1][n_max] atoms of the cell
  int8_t *against;           // traces so far against the best leaf's: -1 smaller, 0 equal
  // the best leaf
  bool any;
  int best_depth;
  uint16_t *best_colour;        // [n_max]
  uint64_t *bonds, *best_bonds; // [n_bonds] position, position, order, label
  // automorphisms, the latest n_max of them
  uint16_t *automorphisms; // [n_max][n_max]
  long n_automorphisms;
  // scratch
  int32_t *order, *orbit; // [n_max]
  signed_atom *sorted;    // [n_max]
  int max_atoms;
  void *block;
};

flv_status flv_canon_new(flv_canon **canon, int max_atoms, int max_bonds, flv_error *err) {
  if (max_atoms < 0 || max_atoms > FLV_CANON_MAX_ATOMS)
    return flv_fail(err, FLV_EINVAL, "canonical keys are for molecules of up to %d atoms, not %d",
                    FLV_CANON_MAX_ATOMS, max_atoms);
  flv_canon made = {.max_atoms = max_atoms};
  flv_canon *self = NULL;
  const size_t n = (size_t)max_atoms, rows = n + 1, bonds = (size_t)max_bonds;
  const flv_slot slots[] = {FLV_SLOT(self, 1),
                            FLV_SLOT(made.colours, rows * n),
                            FLV_SLOT(made.trace, rows),
                            FLV_SLOT(made.best_trace, rows),
                            FLV_SLOT(made.path, rows),
                            FLV_SLOT(made.best_path, rows),
                            FLV_SLOT(made.cell, rows),
                            FLV_SLOT(made.tried, rows * n),
                            FLV_SLOT(made.against, rows),
                            FLV_SLOT(made.best_colour, n),
                            FLV_SLOT(made.bonds, bonds),
                            FLV_SLOT(made.best_bonds, bonds),
                            FLV_SLOT(made.automorphisms, n * n),
                            FLV_SLOT(made.order, n),
                            FLV_SLOT(made.orbit, n),
                            FLV_SLOT(made.sorted, n)};
  FLV_TRY(flv_perception_init(&made.p, max_atoms, max_bonds, err));
  made.block = flv_bind((int)(sizeof slots / sizeof slots[0]), slots);
  if (!made.block) {
    flv_perception_free(&made.p);
    return flv_fail(err, FLV_ENOMEM, "out of memory for canonical keys");
  }
  *self = made;
  *canon = self;
  return FLV_OK;
}

void flv_canon_free(flv_canon *canon) {
  if (!canon) return;
  flv_perception_free(&canon->p);
  flv_free(canon->block);
}

// ---- refinement

static uint64_t bond_kind(const flv_canon *c, int k) {
  const unsigned label = c->labels && c->labels->bond ? c->labels->bond[k] : 0;
  return (uint64_t)c->m->bond[k].order << 8 | label;
}

static uint64_t atom_kind(const flv_canon *c, int i) {
  const flv_atom *atom = &c->m->atom[i];
  const unsigned label = c->labels && c->labels->atom ? c->labels->atom[i] : 0;
  return (uint64_t)label << 32 | (uint64_t)atom->z << 24 |
         (uint64_t)(uint8_t)(atom->q + 128) << 16 | (uint64_t)(uint8_t)c->p.hydrogens[i] << 8 |
         atom->aromatic;
}

// By signature; Shell's sort, which allocates nothing.
static void sort_signed(signed_atom *a, int n) {
  int gap = 1;
  while (gap < n / 3) gap = 3 * gap + 1;
  for (; gap > 0; gap /= 3)
    for (int i = gap; i < n; i++) {
      const signed_atom moved = a[i];
      int j = i;
      for (; j >= gap && a[j - gap].signature > moved.signature; j -= gap) a[j] = a[j - gap];
      a[j] = moved;
    }
}

// Splits the cell [begin, end) of c->order by the signatures in c->sorted; into how many.
static int split(flv_canon *c, uint16_t *colour, int begin, int end, uint64_t *trace) {
  const int size = end - begin;
  int parts = 0, start = 0;
  sort_signed(c->sorted, size);
  for (int k = 0; k < size; k++) {
    if (k == 0 || c->sorted[k].signature != c->sorted[k - 1].signature) {
      start = begin + k;
      parts++;
      *trace = flv_mix(*trace ^ c->sorted[k].signature ^ (uint64_t)start << 40);
    }
    c->order[begin + k] = c->sorted[k].atom;
    colour[c->sorted[k].atom] = (uint16_t)start;
  }
  return parts;
}

static int cell_end(const flv_canon *c, const uint16_t *colour, int begin) {
  int end = begin + 1;
  while (end < c->n && colour[c->order[end]] == begin) end++;
  return end;
}

// Sums over neighbours do not depend on their order, and equal hashes of different neighbourhoods
// would only split less: the same for every numbering.
static uint64_t signature(const flv_canon *c, const uint16_t *colour, int i) {
  uint64_t sum = 0;
  for (int k = c->p.at[i]; k < c->p.at[i + 1]; k++) {
    const int bond = c->p.of[k], other = flv_bond_other(&c->m->bond[bond], i);
    sum += flv_mix((uint64_t)colour[other] << 16 | bond_kind(c, bond));
  }
  return sum;
}

// Refines the colouring, whose cells stand in c->order. The trace holds the number of cells on top,
// so that equal traces end in leaves at the same depth.
static uint64_t refine(flv_canon *c, uint16_t *colour) {
  uint64_t trace = 0;
  int cells = 0;
  for (bool again = true; again;) {
    again = false;
    cells = 0;
    for (int begin = 0, end; begin < c->n; begin = end) {
      end = cell_end(c, colour, begin);
      int parts = 1;
      if (end - begin > 1) {
        for (int k = begin; k < end; k++)
          c->sorted[k - begin] = (signed_atom){signature(c, colour, c->order[k]), c->order[k]};
        parts = split(c, colour, begin, end, &trace);
      }
      again |= parts > 1;
      cells += parts;
    }
  }
  return (uint64_t)cells << 48 | trace >> 16;
}

// Atoms in the order of their cells.
static void order_cells(flv_canon *c, const uint16_t *colour) {
  int32_t *next = c->orbit; // scratch: where the next atom of a cell goes
  for (int i = 0; i < c->n; i++) next[i] = i;
  for (int i = 0; i < c->n; i++) c->order[next[colour[i]]++] = i;
}

static uint16_t *colours_at(const flv_canon *c, int depth) {
  return c->colours + (size_t)depth * (size_t)c->max_atoms;
}

static uint8_t *tried_at(const flv_canon *c, int depth) {
  return c->tried + (size_t)depth * (size_t)c->max_atoms;
}

static void first_colours(flv_canon *c) {
  uint64_t trace = 0;
  for (int i = 0; i < c->n; i++) c->sorted[i] = (signed_atom){atom_kind(c, i), i};
  split(c, colours_at(c, 0), 0, c->n, &trace);
  c->trace[0] = refine(c, colours_at(c, 0));
}

// The colouring one level down, in which an atom stands before the others of its cell.
static void put_first(flv_canon *c, int atom) {
  const uint16_t *colour = colours_at(c, c->depth);
  uint16_t *below = colours_at(c, c->depth + 1);
  const int cell = c->cell[c->depth];
  for (int i = 0; i < c->n; i++)
    below[i] = (uint16_t)(colour[i] + (colour[i] == cell && i != atom));
  order_cells(c, below);
  c->trace[c->depth + 1] = refine(c, below);
}

// ---- search

// The first of the smallest cells with several atoms; -1 if all have one.
static int choose_cell(flv_canon *c) {
  const uint16_t *colour = colours_at(c, c->depth);
  order_cells(c, colour);
  int chosen = -1, least = c->n + 1;
  for (int begin = 0, end; begin < c->n; begin = end) {
    end = cell_end(c, colour, begin);
    if (end - begin > 1 && end - begin < least) chosen = begin, least = end - begin;
  }
  return chosen;
}

static int root_of(int32_t *orbit, int i) {
  while (orbit[i] != i) i = orbit[i] = orbit[orbit[i]];
  return i;
}

// Orbits of the known automorphisms that leave the path to this level in place.
static void find_orbits(flv_canon *c) {
  const long stored = c->n_automorphisms < c->n ? c->n_automorphisms : c->n;
  for (int i = 0; i < c->n; i++) c->orbit[i] = i;
  for (long g = 0; g < stored; g++) {
    const uint16_t *image = c->automorphisms + (size_t)g * (size_t)c->max_atoms;
    bool fixes = true;
    for (int d = 0; d < c->depth && fixes; d++) fixes = image[c->path[d]] == c->path[d];
    for (int i = 0; fixes && i < c->n; i++)
      if (image[i] != i) c->orbit[root_of(c->orbit, i)] = root_of(c->orbit, image[i]);
  }
}

// The next atom of the cell to try; -1 if none is left.
static int next_atom(flv_canon *c) {
  const uint16_t *colour = colours_at(c, c->depth);
  uint8_t *tried = tried_at(c, c->depth);
  const int cell = c->cell[c->depth];
  find_orbits(c);
  for (int i = 0; i < c->n; i++) {
    if (colour[i] != cell || tried[i]) continue;
    bool known = false;
    for (int j = 0; j < c->n && !known; j++)
      known = tried[j] && root_of(c->orbit, j) == root_of(c->orbit, i);
    if (known) continue;
    tried[i] = 1;
    return i;
  }
  return -1;
}

// The bonds as the leaf numbers the atoms, sorted.
static void list_bonds(flv_canon *c, const uint16_t *colour) {
  int n = 0;
  for (int i = 0; i < c->n; i++) c->order[colour[i]] = i;
  for (int position = 0; position < c->n; position++) {
    const int i = c->order[position], from = n;
    for (int k = c->p.at[i]; k < c->p.at[i + 1]; k++) {
      const int bond = c->p.of[k], other = colour[flv_bond_other(&c->m->bond[bond], i)];
      if (other < position) continue;
      const uint64_t entry = (uint64_t)position << 48 | (uint64_t)other << 32 | bond_kind(c, bond);
      int at = n++;
      for (; at > from && c->bonds[at - 1] > entry; at--) c->bonds[at] = c->bonds[at - 1];
      c->bonds[at] = entry;
    }
  }
}

static int compare_bonds(const flv_canon *c) {
  for (int k = 0; k < c->m->n_bonds; k++)
    if (c->bonds[k] != c->best_bonds[k]) return c->bonds[k] < c->best_bonds[k] ? -1 : 1;
  return 0;
}

static void keep_leaf(flv_canon *c, const uint16_t *colour) {
  c->any = true;
  c->best_depth = c->depth;
  memcpy(c->best_colour, colour, sizeof *colour * (size_t)c->n);
  memcpy(c->best_trace, c->trace, sizeof *c->trace * ((size_t)c->depth + 1));
  memcpy(c->best_path, c->path, sizeof *c->path * (size_t)c->depth);
  memcpy(c->best_bonds, c->bonds, sizeof *c->bonds * (size_t)c->m->n_bonds);
  memset(c->against, 0, (size_t)c->depth + 1);
}

// Looks at a leaf; the level at which to go on. If it equals the best one, an automorphism carries
// all of that one's branch, which was searched before, to this one's: on where the two paths part.
static int visit_leaf(flv_canon *c) {
  const uint16_t *colour = colours_at(c, c->depth);
  list_bonds(c, colour);
  const int order = !c->any || c->against[c->depth] < 0 ? -1 : compare_bonds(c);
  if (order < 0) keep_leaf(c, colour);
  if (order != 0) return c->depth - 1;
  uint16_t *image = c->automorphisms + (size_t)(c->n_automorphisms++ % c->n) * (size_t)c->max_atoms;
  for (int i = 0; i < c->n; i++) image[i] = (uint16_t)c->order[c->best_colour[i]];
  int level = 0;
  while (c->path[level] == c->best_path[level]) level++;
  return level;
}

// Compares the trace of the level just made with the best leaf's; false if it is larger.
static bool promising(flv_canon *c) {
  const int below = c->depth + 1;
  c->against[below] = c->against[c->depth];
  if (!c->any || c->against[below] < 0 || c->trace[below] == c->best_trace[below]) return true;
  c->against[below] = -1;
  return c->trace[below] < c->best_trace[below];
}

static void search(flv_canon *c) {
  c->any = false;
  c->n_automorphisms = 0;
  c->depth = 0;
  c->against[0] = 0;
  first_colours(c);
  for (bool fresh = true; c->depth >= 0;) {
    if (fresh) {
      c->cell[c->depth] = choose_cell(c);
      memset(tried_at(c, c->depth), 0, (size_t)c->n);
    }
    fresh = false;
    if (c->cell[c->depth] < 0) {
      c->depth = visit_leaf(c);
      continue;
    }
    const int atom = next_atom(c);
    if (atom < 0) {
      c->depth--;
      continue;
    }
    c->path[c->depth] = atom;
    put_first(c, atom);
    if (!promising(c)) continue;
    c->depth++;
    fresh = true;
  }
}

static void canonize(flv_canon *c, const flv_molecule *m, const flv_labels *labels) {
  c->m = m;
  c->labels = labels;
  c->n = m->n_atoms;
  flv_perceive(&c->p, m);
  search(c);
}

// ---- keys

enum { KEY_HEAD = 2, KEY_ATOM = 5, KEY_BOND = 6 };

size_t flv_canonical_size(int n_atoms, int n_bonds) {
  return KEY_HEAD + (size_t)n_atoms * KEY_ATOM + (size_t)n_bonds * KEY_BOND;
}

static uint8_t *put_number(uint8_t *to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; i++) *to++ = (uint8_t)(value >> 8 * i);
  return to;
}

void flv_canonical_key(flv_canon *canon, uint8_t *key, const flv_molecule *m,
                       const flv_labels *labels) {
  key = put_number(key, (uint64_t)m->n_atoms, KEY_HEAD);
  if (m->n_atoms == 0) return;
  canonize(canon, m, labels);
  for (int i = 0; i < m->n_atoms; i++)
    put_number(key + (size_t)canon->best_colour[i] * KEY_ATOM, atom_kind(canon, i), KEY_ATOM);
  key += (size_t)m->n_atoms * KEY_ATOM;
  for (int k = 0; k < m->n_bonds; k++) {
    const uint64_t entry = canon->best_bonds[k];
    key = put_number(key, entry >> 48, 2);
    key = put_number(key, entry >> 32 & 0xffff, 2);
    key = put_number(key, entry & 0xffff, 2);
  }
}

void flv_canonical_form(flv_canon *canon, flv_molecule *out, const flv_molecule *m) {
  if (m->n_atoms > 0) canonize(canon, m, NULL);
  flv_canonical_reorder(canon, out, m);
}

int flv_canonical_place(const flv_canon *canon, int atom) { return (int)canon->best_colour[atom]; }

void flv_canonical_reorder(const flv_canon *canon, flv_molecule *out, const flv_molecule *m) {
  flv_molecule_clear(out);
  out->n_atoms = m->n_atoms;
  for (int i = 0; i < m->n_atoms; i++) out->atom[canon->best_colour[i]] = m->atom[i];
  for (int k = 0; k < m->n_bonds; k++) {
    const uint64_t entry = canon->best_bonds[k];
    flv_molecule_add_bond(out, (int)(entry >> 48), (int)(entry >> 32 & 0xffff),
                          (flv_bond_order)(entry >> 8 & 0xff));
  }
}
