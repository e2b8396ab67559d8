// Molecules assembled from blocks: by hand, at random, and the evaluation set of the paper. What is
// checked against RDKit is in tools/check_molecules.py.

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "alloc.h"
#include "chem/assemble.h"
#include "chem/canonical.h"
#include "chem/element.h"
#include "chem/perceive.h"
#include "molecule_fixture.h"
#include "splitmix.h"

enum { ATOMS = 1024, KEY = 12 * 1024 };

static flv_molecule m;
static flv_perception p;
static flv_canon *canon;
static int32_t first[DESIGN_BLOCKS + 1];
static uint8_t stem[ATOMS];
static double x[ATOMS * FLV_ATOM_FEATURES];
static uint64_t next = 1;

static int below(int n) { return (int)(splitmix(&next) % (uint64_t)n); }

static int start(void **state) {
  (void)state;
  return flv_molecule_init(&m, ATOMS, ATOMS, NULL) | flv_perception_init(&p, ATOMS, ATOMS, NULL) |
         flv_canon_new(&canon, ATOMS, ATOMS, NULL);
}

static int stop(void **state) {
  (void)state;
  flv_molecule_free(&m);
  flv_perception_free(&p);
  flv_canon_free(canon);
  return 0;
}

static void assemble(const flv_vocabulary *v, const design *d) {
  flv_assemble(&m, first, v, d->n, d->block, d->n - 1, d->junction);
  flv_perceive(&p, &m);
  flv_stem_counts(stem, m.n_atoms, first, d->n_stems, d->stem);
}

static flv_vocabulary vocabulary(const char *path) {
  flv_vocabulary v = {0};
  flv_error err = {0};
  if (flv_vocabulary_read(&v, path, FLV_STEMS_PUBLISHED, &err) != FLV_OK) fail_msg("%s", err.text);
  return v;
}

static flv_vocabulary small(void) {
  static const char text[] =
      "{\"fragments\":[{\"smiles\":\"c1ccccc1\",\"attach\":[0,1,2]},"
      "{\"smiles\":\"CO\",\"attach\":[1,0,0]},{\"smiles\":\"C[NH3+]\",\"attach\":[1,1]},"
      "{\"smiles\":\"c1cc[nH]c1\",\"attach\":[3,0]},{\"smiles\":\"F\",\"attach\":[0]}]}";
  flv_vocabulary v = {0};
  assert_int_equal(flv_vocabulary_parse(&v, text, sizeof text - 1, FLV_STEMS_DISTINCT, NULL),
                   FLV_OK);
  return v;
}

enum { BENZENE, METHANOL_O, METHANOL_C, METHYLAMMONIUM, PYRROLE_N, PYRROLE_C, FLUORINE };

static void expect_same(const char *text) {
  static uint8_t a[KEY], b[KEY];
  flv_molecule expected = smiles(text);
  assert_int_equal(m.n_atoms, expected.n_atoms);
  assert_int_equal(m.n_bonds, expected.n_bonds);
  flv_canonical_key(canon, a, &m, NULL);
  flv_canonical_key(canon, b, &expected, NULL);
  if (memcmp(a, b, flv_canonical_size(m.n_atoms, m.n_bonds)) != 0) fail_msg("is not %s", text);
  flv_molecule_free(&expected);
}

static void by_hand(void **state) {
  (void)state;
  flv_vocabulary v = small();
  design d = {0};
  design_add(&d, &v, BENZENE, 0); // stems 1, 2, 0
  assemble(&v, &d);
  assert_true(d.n_stems == 3 && d.stem[2].atom == 0);
  expect_same("c1ccccc1");
  design_add(&d, &v, METHANOL_O, 0);
  assemble(&v, &d);
  expect_same("COc1ccccc1");
  assert_true(first[0] == 0 && first[1] == 6 && first[2] == 8);
  assert_true(m.bond[m.n_bonds - 1].a == 1 && m.bond[m.n_bonds - 1].b == 7);
  assert_true(d.n_stems == 4 && d.stem[3].block == 1 && d.stem[3].atom == 0);
  assert_true(stem[2] == 1 && stem[0] == 1 && stem[6] == 2 && stem[1] == 0 && stem[7] == 0);
  design_add(&d, &v, METHYLAMMONIUM, 3);
  assemble(&v, &d);
  expect_same("c1ccccc1OC[NH2+]C"); // one of the written hydrogens is gone
  design_add(&d, &v, FLUORINE, 3);
  assemble(&v, &d);
  expect_same("c1ccccc1OC[NH+](F)C"); // by the second attachment of the same atom, so another one
  memset(&d, 0, sizeof d);
  design_add(&d, &v, BENZENE, 0);
  design_add(&d, &v, PYRROLE_N, 2);
  assemble(&v, &d);
  expect_same("c1ccccc1-n1cccc1");
  memset(&d, 0, sizeof d);
  design_add(&d, &v, BENZENE, 0);
  design_add(&d, &v, PYRROLE_C, 1);
  assemble(&v, &d);
  expect_same("c1ccccc1-c1cc[nH]c1");
  flv_vocabulary_free(&v);
}

static void expect_row(int atom, const char *nonzero) {
  char text[256] = "";
  const double *row = x + atom * FLV_ATOM_FEATURES;
  for (int c = 0; c < FLV_ATOM_FEATURES; c++)
    if (row[c] < 0.0 || row[c] > 0.0) sprintf(text + strlen(text), " %d=%g", c, row[c]);
  if (strcmp(text, nonzero) != 0) fail_msg("atom %d: \"%s\", not \"%s\"", atom, text, nonzero);
}

static void features(void **state) {
  (void)state;
  flv_vocabulary v = small();
  flv_edge edge[2 * ATOMS];
  design d = {0};
  design_add(&d, &v, FLUORINE, 0);
  d.n_stems = 0;
  assemble(&v, &d);
  memset(x, 0xff, sizeof x);
  flv_atom_features(x, &m, &p, stem);
  expect_row(0, " 4=1 12=1 13=1 22=1 70=1"); // no stems: the first atom stands for them
  assert_int_equal(flv_atom_edges(edge, &m), 1);
  assert_true(edge[0].from == 0 && edge[0].to == 0 && edge[0].type == -1);
  flv_atom_features(x, &m, &p, NULL);
  expect_row(0, " 4=1 12=1 13=1 22=1");

  memset(&d, 0, sizeof d);
  design_add(&d, &v, METHYLAMMONIUM, 0);
  design_add(&d, &v, METHANOL_C, 0);
  assemble(&v, &d); // C-[NH2+]-C-O, stems: the ammonium's second, methanol's O and C
  flv_atom_features(x, &m, &p, stem);
  expect_row(0, " 1=1 12=1 13=3 19=1");
  expect_row(1, " 2=1 12=1 13=2 20=1 70=1");
  expect_row(2, " 1=1 12=1 13=2 19=1 70=1");
  expect_row(3, " 3=1 12=1 13=1 21=1 70=1");
  assert_int_equal(flv_atom_edges(edge, &m), 6);
  static const int expected[6][3] = {{0, 1, 0}, {1, 0, 0}, {2, 3, 0},
                                     {3, 2, 0}, {1, 2, 0}, {2, 1, 0}};
  for (int k = 0; k < 6; k++) {
    assert_int_equal(edge[k].from, expected[k][0]);
    assert_int_equal(edge[k].to, expected[k][1]);
    assert_int_equal(edge[k].type, expected[k][2]);
  }
  flv_molecule kept = m;
  m = smiles("BrC#CC(=O)c1cc[nH]c1");
  flv_perceive(&p, &m);
  flv_atom_features(x, &m, &p, NULL);
  expect_row(0, " 5=1 12=1 48=1");
  expect_row(1, " 1=1 10=1 19=1");
  expect_row(3, " 1=1 11=1 19=1");
  expect_row(4, " 3=1 11=1 21=1");
  expect_row(8, " 2=1 9=1 11=1 13=1 20=1");
  assert_int_equal(flv_atom_edges(edge, &m), 20);
  assert_true(edge[2].type == 2 && edge[3].type == 2 && edge[6].type == 1 && edge[10].type == 3);
  flv_molecule_free(&m);
  m = kept;
  flv_vocabulary_free(&v);
}

// Every state is a molecule: valences hold, it is connected, and its SMILES reads back as the same.
static void check_design(const flv_vocabulary *v, const design *d) {
  char text[4096];
  size_t length;
  flv_error err = {0};
  assemble(v, d);
  for (int i = 0; i < m.n_atoms; i++) assert_true(flv_valence_allowed(&m.atom[i], p.valence[i]));
  if (flv_smiles_write(text, sizeof text, &length, &m, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_int_equal(length, strlen(text));
  expect_same(text);
}

static void at_random(void **state) {
  (void)state;
  flv_vocabulary v = vocabulary("examples/molecules/fragments.json");
  design d;
  for (int t = 0; t < 2000; t++) {
    design_random(&d, &v, 1 + below(DESIGN_BLOCKS), below);
    check_design(&v, &d);
  }
  flv_vocabulary_free(&v);
}

static void at_random_of_the_published(void **state) {
  (void)state;
  MOLECULE_DATA_OR_SKIP("blocks_PDB_105.json");
  design d;
  flv_vocabulary v = vocabulary(molecule_data("blocks_PDB_105.json"));
  for (int t = 0; t < 2000; t++) {
    design_random(&d, &v, 1 + below(9), below);
    check_design(&v, &d);
  }
  flv_vocabulary_free(&v);
}

static void cut_text(void **state) {
  (void)state;
  char text[8] = "xxxxxxx";
  size_t length;
  flv_molecule alcohol = smiles("CC(C)CO");
  assert_int_equal(flv_smiles_write(text, 4, &length, &alcohol, NULL), FLV_OK);
  assert_int_equal(length, 7);
  assert_string_equal(text, "CC(");
  assert_int_equal(text[4], 'x');
  assert_int_equal(flv_smiles_write(NULL, 0, &length, &alcohol, NULL), FLV_OK);
  alcohol.n_bonds--;
  flv_error err = {0};
  assert_int_equal(flv_smiles_write(text, 8, &length, &alcohol, &err), FLV_EINVAL);
  assert_string_equal(err.text, "a molecule in pieces has no SMILES here");
  alcohol.n_atoms = 0;
  assert_int_equal(flv_smiles_write(text, 8, &length, &alcohol, &err), FLV_EINVAL);
  flv_molecule_free(&alcohol);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  ALLOC_OR_SKIP();
  char text[8];
  size_t length;
  flv_error err = {0};
  flv_molecule ring = smiles("C1CC1");
  for (long k = 0;; k++) {
    alloc_fail(k);
    const flv_status status = flv_smiles_write(text, 8, &length, &ring, &err);
    const bool good = alloc_none_failed();
    assert_int_equal(status, good ? FLV_OK : FLV_ENOMEM);
    if (good) break;
  }
  flv_molecule_free(&ring);
}

static void rings_reuse_numbers(void **state) {
  (void)state;
  static const char *const same[] = {"C1CC1C1CC1",
                                     "c1ccc(-c2ccccc2)cc1",
                                     "C12CC1C2",
                                     "[CH3-]",
                                     "[nH]1cccc1",
                                     "[O-][n+]1ccccc1",
                                     "C[SiH2][AsH]c1ccc[se]1",
                                     "O=[PH](O)C",
                                     "C[PH4]",
                                     "[BH4-]",
                                     "[SH+]1CC1",
                                     "[Cl-]",
                                     "C[N+](C)(C)C",
                                     "C=[O+]C",
                                     "[O-2]",
                                     "[N-]=[N+]=CC"};
  for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
    flv_molecule read = smiles(same[i]), kept = m;
    char text[64];
    size_t length;
    assert_int_equal(flv_smiles_write(text, sizeof text, &length, &read, NULL), FLV_OK);
    m = read;
    expect_same(text);
    m = kept;
    if (i == 0) assert_string_equal(text, "C1CC1C1CC1");
    flv_molecule_free(&read);
  }
}

// ---- the paper's evaluation set: 950 lists of blocks, 891 molecules

static int compare_keys(const void *a, const void *b) {
  return memcmp(*(uint8_t *const *)a, *(uint8_t *const *)b, KEY);
}

static void evaluation_set(void **state) {
  (void)state;
  MOLECULE_DATA_OR_SKIP("blocks_PDB_105.json");
  MOLECULE_DATA_OR_SKIP("eval_mols.tsv");
  flv_vocabulary v = vocabulary(molecule_data("blocks_PDB_105.json"));
  FILE *f = fopen(molecule_data("eval_mols.tsv"), "r");
  assert_non_null(f);
  static uint8_t *keys[1000];
  design d;
  double proxy;
  int n = 0, closed = 0, distinct = 0;
  for (; design_read(&d, &proxy, f); n++) {
    check_design(&v, &d);
    closed += d.n_stems == 0;
    keys[n] = calloc(1, KEY);
    assert_non_null(keys[n]);
    flv_canonical_key(canon, keys[n], &m, NULL);
  }
  fclose(f);
  assert_int_equal(n, 950);
  assert_int_equal(closed, 188);
  qsort(keys, (size_t)n, sizeof *keys, compare_keys);
  for (int i = 0; i < n; i++) distinct += i == 0 || memcmp(keys[i - 1], keys[i], KEY) != 0;
  assert_int_equal(distinct, 891);
  for (int i = 0; i < n; i++) free(keys[i]);
  flv_vocabulary_free(&v);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(by_hand),
      cmocka_unit_test(features),
      cmocka_unit_test(at_random),
      cmocka_unit_test(at_random_of_the_published),
      cmocka_unit_test(cut_text),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(rings_reuse_numbers),
      cmocka_unit_test(evaluation_set),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
