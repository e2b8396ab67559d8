// Canonical keys: against all permutations on small graphs, and the same under random renumberings
// of graphs whose symmetries would blow up a naive search.

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc.h"
#include "chem/canonical.h"
#include "molecule_fixture.h"
#include "splitmix.h"

enum { MOST = 512, KEY = 8192 };

static flv_canon *canon;
static uint64_t next = 1;

static int below(int n) { return (int)(splitmix(&next) % (uint64_t)n); }

static int start(void **state) {
  (void)state;
  return flv_canon_new(&canon, MOST, MOST, NULL);
}

static int stop(void **state) {
  (void)state;
  flv_canon_free(canon);
  return 0;
}

static flv_molecule room(void) {
  flv_molecule m;
  assert_int_equal(flv_molecule_init(&m, MOST, MOST, NULL), FLV_OK);
  return m;
}

static const flv_atom carbon = {.z = 6, .no_implicit = 1};

static void shuffle(int *a, int n) {
  for (int i = 0; i < n; i++) a[i] = i;
  for (int i = n - 1; i > 0; i--) {
    const int j = below(i + 1), t = a[i];
    a[i] = a[j];
    a[j] = t;
  }
}

// The same molecule with atoms, bonds and ends of bonds in another order; labels go with it.
static void renumber(flv_molecule *out, uint8_t *out_label, const flv_molecule *m,
                     const uint8_t *label) {
  int to[MOST], which[MOST];
  shuffle(to, m->n_atoms);
  shuffle(which, m->n_bonds);
  flv_molecule_clear(out);
  out->n_atoms = m->n_atoms;
  for (int i = 0; i < m->n_atoms; i++) {
    out->atom[to[i]] = m->atom[i];
    if (label) out_label[to[i]] = label[i];
  }
  for (int k = 0; k < m->n_bonds; k++) {
    const flv_bond b = m->bond[which[k]];
    const int a = to[b.a], c = to[b.b], turn = below(2);
    flv_molecule_add_bond(out, turn ? c : a, turn ? a : c, (flv_bond_order)b.order);
  }
}

static size_t key_of(uint8_t *key, const flv_molecule *m, const uint8_t *label) {
  const size_t size = flv_canonical_size(m->n_atoms, m->n_bonds);
  assert_true(size < KEY);
  const flv_labels labels = {.atom = label};
  flv_canonical_key(canon, key, m, &labels);
  return size;
}

static bool same_key(const flv_molecule *a, const flv_molecule *b) {
  static uint8_t x[KEY], y[KEY];
  const size_t n = key_of(x, a, NULL), k = key_of(y, b, NULL);
  return n == k && memcmp(x, y, n) == 0;
}

static void same_under_renumbering(const flv_molecule *m, int times) {
  flv_molecule other = room();
  for (int t = 0; t < times; t++) {
    renumber(&other, NULL, m, NULL);
    assert_true(same_key(m, &other));
  }
  flv_molecule_free(&other);
}

// ---- all permutations

static int order_of(const flv_molecule *m, int a, int b) {
  for (int k = 0; k < m->n_bonds; k++)
    if ((m->bond[k].a == a && m->bond[k].b == b) || (m->bond[k].a == b && m->bond[k].b == a))
      return m->bond[k].order;
  return 0;
}

static bool maps(const flv_molecule *a, const flv_molecule *b, const int *to) {
  for (int i = 0; i < a->n_atoms; i++) {
    if (memcmp(&a->atom[i], &b->atom[to[i]], sizeof(flv_atom)) != 0) return false;
    for (int j = 0; j < i; j++)
      if (order_of(a, i, j) != order_of(b, to[i], to[j])) return false;
  }
  return true;
}

static bool isomorphic(const flv_molecule *a, const flv_molecule *b, int *to, int placed) {
  const int n = a->n_atoms;
  if (placed == n) return maps(a, b, to);
  for (int i = placed; i < n; i++) {
    const int x = to[placed], y = to[i];
    to[placed] = y, to[i] = x;
    const bool found = isomorphic(a, b, to, placed + 1);
    to[placed] = x, to[i] = y;
    if (found) return true;
  }
  return false;
}

// Few kinds of atoms and bonds, so that many pairs are isomorphic and many nearly.
static void random_graph(flv_molecule *m, int n, int kinds, int orders) {
  flv_molecule_clear(m);
  for (int i = 0; i < n; i++) {
    flv_atom atom = carbon;
    if (kinds > 1 && below(kinds) == 0) atom.q = 1;
    if (kinds > 2 && below(kinds) == 0) atom.eh = 1;
    flv_molecule_add_atom(m, atom);
  }
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++)
      if (below(2)) flv_molecule_add_bond(m, i, j, (flv_bond_order)(1 + below(orders)));
}

static void as_all_permutations_say(void **state) {
  (void)state;
  flv_molecule a = room(), b = room();
  int same = 0, different = 0;
  for (int t = 0; t < 6000; t++) {
    const int n = 1 + below(6), kinds = 1 + below(3), orders = 1 + below(2);
    random_graph(&a, n, kinds, orders);
    random_graph(&b, n, kinds, orders);
    int to[6] = {0, 1, 2, 3, 4, 5};
    const bool truth = isomorphic(&a, &b, to, 0);
    if (same_key(&a, &b) != truth) fail_msg("graphs %d: isomorphic %d", t, truth);
    truth ? same++ : different++;
    same_under_renumbering(&a, 2);
  }
  assert_true(same > 500 && different > 500);
  flv_molecule_free(&a);
  flv_molecule_free(&b);
}

// ---- symmetric graphs

static void ring_of(flv_molecule *m, int n) {
  const int first = m->n_atoms;
  for (int i = 0; i < n; i++) flv_molecule_add_atom(m, carbon);
  for (int i = 0; i < n; i++)
    flv_molecule_add_bond(m, first + i, first + (i + 1) % n, FLV_BOND_SINGLE);
}

static void many_phenyls(void **state) {
  (void)state;
  flv_molecule star = room(), chain = room(), apart = room();
  flv_molecule_add_atom(&star, carbon);
  for (int k = 0; k < 30; k++) { // 2^30 30! symmetries around one centre
    ring_of(&star, 6);
    flv_molecule_add_bond(&star, 0, star.n_atoms - 6, FLV_BOND_SINGLE);
    flv_molecule_add_atom(&chain, carbon);
    if (k > 0) flv_molecule_add_bond(&chain, chain.n_atoms - 8, chain.n_atoms - 1, FLV_BOND_SINGLE);
    ring_of(&chain, 6);
    flv_molecule_add_bond(&chain, chain.n_atoms - 7, chain.n_atoms - 6, FLV_BOND_SINGLE);
    ring_of(&apart, 6);
  }
  same_under_renumbering(&star, 3);
  same_under_renumbering(&chain, 3);
  same_under_renumbering(&apart, 3);
  flv_molecule_free(&star);
  flv_molecule_free(&chain);
  flv_molecule_free(&apart);
}

// Vertices (i, j) of a 4 x 4 torus; rows, columns, and for the Shrikhande graph a diagonal. Both
// have 6 neighbours each, and refinement cannot tell one from the other.
static void torus(flv_molecule *m, bool shrikhande) {
  flv_molecule_clear(m);
  for (int i = 0; i < 16; i++) flv_molecule_add_atom(m, carbon);
  for (int a = 0; a < 16; a++)
    for (int b = 0; b < a; b++) {
      const int di = (a / 4 - b / 4 + 4) % 4, dj = (a % 4 - b % 4 + 4) % 4;
      const bool step = (di == 0 && dj % 2) || (dj == 0 && di % 2) || (di == dj && di % 2);
      if (shrikhande ? step : di == 0 || dj == 0) flv_molecule_add_bond(m, a, b, FLV_BOND_SINGLE);
    }
}

static void what_refinement_cannot_tell(void **state) {
  (void)state;
  flv_molecule a = room(), b = room();
  torus(&a, false);
  torus(&b, true);
  assert_int_equal(a.n_bonds, 48);
  assert_int_equal(b.n_bonds, 48);
  assert_false(same_key(&a, &b));
  same_under_renumbering(&a, 50);
  same_under_renumbering(&b, 50);
  flv_molecule_append(&a, &b); // both at once: cells with atoms that are not equivalent
  same_under_renumbering(&a, 20);
  flv_molecule_clear(&a);
  flv_molecule_clear(&b);
  ring_of(&a, 6);
  ring_of(&b, 3);
  ring_of(&b, 3);
  assert_false(same_key(&a, &b));
  flv_molecule_free(&a);
  flv_molecule_free(&b);
}

// Prisms, Moebius ladders, the dodecahedron (20 atoms, 120 symmetries) as generalised Petersen
// graphs: an outer ring, an inner one in steps of k, and spokes.
static void petersen(flv_molecule *m, int n, int k) {
  flv_molecule_clear(m);
  for (int i = 0; i < 2 * n; i++) flv_molecule_add_atom(m, carbon);
  for (int i = 0; i < n; i++) {
    flv_molecule_add_bond(m, i, (i + 1) % n, FLV_BOND_SINGLE);
    flv_molecule_add_bond(m, i, n + i, FLV_BOND_SINGLE);
    flv_molecule_add_bond(m, n + i, n + (i + k) % n, FLV_BOND_SINGLE);
  }
}

static void cages(void **state) {
  (void)state;
  flv_molecule a = room(), b = room();
  static const int cases[][2] = {{4, 1},  {5, 2},  {8, 3},  {10, 2},
                                 {10, 3}, {12, 5}, {60, 1}, {61, 11}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    petersen(&a, cases[i][0], cases[i][1]);
    same_under_renumbering(&a, 10);
  }
  petersen(&a, 10, 2); // the dodecahedron and the Desargues graph
  petersen(&b, 10, 3);
  assert_false(same_key(&a, &b));
  petersen(&a, 7, 2); // 2 * 3 = -1 mod 7: isomorphic
  petersen(&b, 7, 3);
  assert_true(same_key(&a, &b));
  flv_molecule_free(&a);
  flv_molecule_free(&b);
}

// ---- molecules

static void molecules(void **state) {
  (void)state;
  static const char *const same[][2] = {{"OCC", "CCO"},
                                        {"Cc1ccccc1O", "Oc1c(C)cccc1"},
                                        {"c1ccccc1-c1ccccc1", "c1ccc(c2ccccc2)cc1"},
                                        {"[CH4]", "C"}};
  static const char *const different[][2] = {{"OCC", "COC"},        {"C=CC", "CCC"},
                                             {"C[NH3+]", "CN"},     {"Cc1ccccc1O", "Cc1cccc(O)c1"},
                                             {"C1CCCCC1", "C1CC1"}, {"c1ccncc1", "c1ccccc1"}};
  for (size_t i = 0; i < 4; i++) {
    flv_molecule a = smiles(same[i][0]), b = smiles(same[i][1]);
    assert_true(same_key(&a, &b));
    flv_molecule_free(&a);
    flv_molecule_free(&b);
  }
  for (size_t i = 0; i < 6; i++) {
    flv_molecule a = smiles(different[i][0]), b = smiles(different[i][1]);
    assert_false(same_key(&a, &b));
    flv_molecule_free(&a);
    flv_molecule_free(&b);
  }
}

// Labelled atoms of toluene: ortho equals ortho, not meta.
static void labels(void **state) {
  (void)state;
  static uint8_t keys[7][KEY];
  size_t size[7];
  flv_molecule m = smiles("Cc1ccccc1");
  for (int i = 0; i < 7; i++) {
    uint8_t label[7] = {0};
    label[i] = 3;
    size[i] = key_of(keys[i], &m, label);
  }
  for (int i = 0; i < 7; i++)
    for (int j = 0; j < i; j++) {
      const bool truth = (i == 6 && j == 2) || (i == 5 && j == 3);
      assert_int_equal(memcmp(keys[i], keys[j], size[i]) == 0, truth);
    }
  uint8_t one[KEY], two[KEY], three[KEY], bond[7] = {0, 0, 1}, end[7] = {1};
  flv_canonical_key(canon, one, &m, &(flv_labels){.bond = bond});
  flv_canonical_key(canon, two, &m, NULL);
  flv_canonical_key(canon, three, &m, &(flv_labels){.bond = end});
  assert_memory_not_equal(one, two, size[0]);
  assert_memory_not_equal(one, three, size[0]);
  flv_molecule_free(&m);
}

static void canonical_form(void **state) {
  (void)state;
  flv_molecule m = smiles("O=c1nc2[nH]c3ccccc3nc-2c(=O)[nH]1"), other = room(), form = room();
  char text[200] = "", again[200];
  size_t length;
  for (int t = 0; t < 50; t++) {
    renumber(&other, NULL, &m, NULL);
    flv_canonical_form(canon, &form, &other);
    assert_true(same_key(&form, &m));
    assert_int_equal(flv_smiles_write(again, sizeof again, &length, &form, NULL), FLV_OK);
    if (t > 0) assert_string_equal(text, again);
    strcpy(text, again);
  }
  flv_molecule_free(&m);
  flv_molecule_free(&other);
  flv_molecule_free(&form);
}

static void limits(void **state) {
  (void)state;
  flv_canon *none = NULL;
  flv_error err = {0};
  assert_int_equal(flv_canon_new(&none, FLV_CANON_MAX_ATOMS + 1, 3, &err), FLV_EINVAL);
  assert_null(none);
  flv_molecule m = room();
  uint8_t key[8];
  flv_canonical_key(canon, key, &m, NULL);
  flv_canonical_form(canon, &m, &m);
  flv_molecule_free(&m);
  ALLOC_OR_SKIP();
  for (long k = 0;; k++) {
    alloc_fail(k);
    const flv_status status = flv_canon_new(&none, 10, 10, &err);
    const bool good = alloc_none_failed();
    assert_int_equal(status, good ? FLV_OK : FLV_ENOMEM);
    if (!good) continue;
    flv_canon_free(none);
    break;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(as_all_permutations_say),
      cmocka_unit_test(many_phenyls),
      cmocka_unit_test(what_refinement_cannot_tell),
      cmocka_unit_test(cages),
      cmocka_unit_test(molecules),
      cmocka_unit_test(labels),
      cmocka_unit_test(canonical_form),
      cmocka_unit_test(limits),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
