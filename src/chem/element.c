// Elements: the valence model is that of the table below, read once, by every other file of the
// room.

#include "chem/element.h"

#include <stdlib.h>
#include <string.h>

static const flv_element elements[] = {
    {"B", 5, 3, {3}, true, 1},          {"C", 6, 4, {4}, true, 1},
    {"N", 7, 5, {3}, true, 1},          {"O", 8, 6, {2}, true, 1},
    {"F", 9, 7, {1}, true, 0},          {"Si", 14, 4, {4}, false, 0},
    {"P", 15, 5, {3, 5, 7}, true, 1},   {"S", 16, 6, {2, 4, 6}, true, 1},
    {"Cl", 17, 7, {1}, true, 0},        {"As", 33, 5, {3, 5, 7}, false, 2},
    {"Se", 34, 6, {2, 4, 6}, false, 2}, {"Br", 35, 7, {1}, true, 0},
    {"I", 53, 7, {1, 3, 5}, true, 0},
};

enum { N_ELEMENTS = (int)(sizeof elements / sizeof elements[0]), N_VALENCES = 3 };

const flv_element *flv_element_of(int z) {
  for (int i = 0; i < N_ELEMENTS; i++)
    if (elements[i].z == z) return &elements[i];
  return NULL;
}

const flv_element *flv_element_named(const char *symbol, size_t n) {
  for (int i = 0; i < N_ELEMENTS; i++)
    if (strlen(elements[i].symbol) == n && memcmp(elements[i].symbol, symbol, n) == 0)
      return &elements[i];
  return NULL;
}

static int charged(const flv_element *e, int i, int q) {
  if (e->outer == 3) return e->valence[i] - q;
  return e->outer == 4 ? e->valence[i] - abs(q) : e->valence[i] + q;
}

int flv_explicit_valence(const flv_atom *atom, int acc2) {
  const flv_element *e = flv_element_of(atom->z);
  const int usual = charged(e, 0, atom->q);
  if (!atom->aromatic || acc2 <= 2 * usual) return (acc2 + 1) / 2;
  int filled = usual;
  for (int i = 0; i < N_VALENCES && e->valence[i]; i++)
    if (2 * charged(e, i, atom->q) <= acc2) filled = charged(e, i, atom->q);
  return filled;
}

int flv_implicit_hydrogens(const flv_atom *atom, int explicit_valence) {
  const flv_element *e = flv_element_of(atom->z);
  if (atom->no_implicit) return 0;
  if (atom->aromatic)
    return e->valence[0] > explicit_valence ? e->valence[0] - explicit_valence : 0;
  for (int i = 0; i < N_VALENCES && e->valence[i]; i++)
    if (e->valence[i] >= explicit_valence) return e->valence[i] - explicit_valence;
  return 0;
}

bool flv_valence_allowed(const flv_atom *atom, int total_valence) {
  const flv_element *e = flv_element_of(atom->z);
  for (int i = 0; i < N_VALENCES && e->valence[i]; i++)
    if (charged(e, i, atom->q) == total_valence) return total_valence >= 0;
  return false;
}

int flv_valence_most(const flv_atom *atom) {
  const flv_element *e = flv_element_of(atom->z);
  int most = 0;
  for (int i = 0; i < N_VALENCES && e->valence[i]; i++)
    if (charged(e, i, atom->q) > most) most = charged(e, i, atom->q);
  return most;
}
