// SMILES: what is read, what is refused and with which words, and the fragments of the paper
// against the table that RDKit made of them.

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "chem/perceive.h"
#include "io/file.h"
#include "molecule_fixture.h"

// "Z:q:aromatic:eh:no_implicit ..." and "a-b:order ..." in the order of the molecule.
static void expect(const char *text, const char *atoms, const char *bonds) {
  char a[4096] = "", b[4096] = "";
  flv_molecule m = smiles(text);
  for (int i = 0; i < m.n_atoms; i++) {
    const flv_atom *t = &m.atom[i];
    sprintf(a + strlen(a), "%s%d:%d:%d:%d:%d", i ? " " : "", t->z, t->q, t->aromatic, t->eh,
            t->no_implicit);
  }
  for (int k = 0; k < m.n_bonds; k++)
    sprintf(b + strlen(b), "%s%d-%d:%d", k ? " " : "", m.bond[k].a, m.bond[k].b, m.bond[k].order);
  assert_string_equal(a, atoms);
  assert_string_equal(b, bonds);
  assert_true(m.max_atoms == m.n_atoms && m.max_bonds == m.n_bonds);
  flv_molecule_free(&m);
}

static void what_is_read(void **state) {
  (void)state;
  expect("C", "6:0:0:0:0", "");
  expect("CO", "6:0:0:0:0 8:0:0:0:0", "0-1:1");
  expect("C#N", "6:0:0:0:0 7:0:0:0:0", "0-1:3");
  expect("Cl", "17:0:0:0:0", "");
  expect("BrC=O", "35:0:0:0:0 6:0:0:0:0 8:0:0:0:0", "0-1:1 1-2:2");
  expect("[Cl-]", "17:-1:0:0:1", "");
  expect("[CH4]", "6:0:0:4:1", "");
  expect("[NH4+]", "7:1:0:4:1", "");
  expect("[NH4+1]", "7:1:0:4:1", "");
  expect("[BH4-]", "5:-1:0:4:1", "");
  expect("[SiH3][AsH2]", "14:0:0:3:1 33:0:0:2:1", "0-1:1");
  expect("[O--]", "8:-2:0:0:1", "");
  expect("[O-2]", "8:-2:0:0:1", "");
  expect("CC(N)=O", "6:0:0:0:0 6:0:0:0:0 7:0:0:0:0 8:0:0:0:0", "0-1:1 1-2:1 1-3:2");
  expect("C(=O)(N)C", "6:0:0:0:0 8:0:0:0:0 7:0:0:0:0 6:0:0:0:0", "0-1:2 0-2:1 0-3:1");
  expect("C1CC1", "6:0:0:0:0 6:0:0:0:0 6:0:0:0:0", "0-1:1 1-2:1 2-0:1");
  expect("C%10CC%10", "6:0:0:0:0 6:0:0:0:0 6:0:0:0:0", "0-1:1 1-2:1 2-0:1");
  expect("C0CC0", "6:0:0:0:0 6:0:0:0:0 6:0:0:0:0", "0-1:1 1-2:1 2-0:1");
  expect("C=1CC1", "6:0:0:0:0 6:0:0:0:0 6:0:0:0:0", "0-1:1 1-2:1 2-0:2");
  expect("C1CC=1", "6:0:0:0:0 6:0:0:0:0 6:0:0:0:0", "0-1:1 1-2:1 2-0:2");
  expect("C=1CC=1", "6:0:0:0:0 6:0:0:0:0 6:0:0:0:0", "0-1:1 1-2:1 2-0:2");
  expect("C12CC1C2", "6:0:0:0:0 6:0:0:0:0 6:0:0:0:0 6:0:0:0:0", "0-1:1 1-2:1 2-0:1 2-3:1 3-0:1");
}

static int count(const flv_molecule *m, int order) {
  int n = 0;
  for (int k = 0; k < m->n_bonds; k++) n += m->bond[k].order == order;
  return n;
}

static void expect_aromatic(const char *text, int aromatic, int single) {
  flv_molecule m = smiles(text);
  if (count(&m, FLV_BOND_AROMATIC) != aromatic || count(&m, FLV_BOND_SINGLE) != single)
    fail_msg("%s: %d aromatic and %d single bonds", text, count(&m, FLV_BOND_AROMATIC),
             count(&m, FLV_BOND_SINGLE));
  flv_molecule_free(&m);
}

static void aromatic_bonds(void **state) {
  (void)state;
  expect_aromatic("c1ccccc1", 6, 0);
  expect_aromatic("c:1:c:c:c:c:c1", 6, 0);
  expect_aromatic("c1ccccc1c1ccccc1", 12, 1);           // the bond between two rings is single
  expect_aromatic("c1ccc2c(c1)Cc1ccccc12", 12, 3);      // fluorene: so is one on a ring with CH2
  expect_aromatic("c1ccc2c(c1)-c1ccccc1-2", 12, 2);     // biphenylene, as RDKit writes it
  expect_aromatic("c1ccc2ccccc2c1", 11, 0);             // naphthalene
  expect_aromatic("c1cc2ccc3cccc4ccc(c1)c2c34", 19, 0); // pyrene
  expect_aromatic("c1cc[nH]c1", 5, 0);
  expect_aromatic("c1ccn(C)c1", 5, 1);
  expect_aromatic("c1ccoc1", 5, 0);
  expect_aromatic("c1ccsc1", 5, 0);
  expect_aromatic("c1cc[se]c1", 5, 0);
  expect_aromatic("O=c1cc[nH]c(=O)[nH]1", 6, 0);
  expect_aromatic("[O-][n+]1ccccc1", 6, 1);
  expect_aromatic("c1cc[nH+]cc1", 6, 0);
  expect_aromatic("c1cc[cH-]c1", 5, 0);
  expect_aromatic("c1ccc2cccc2cc1", 11, 0);  // azulene
  expect_aromatic("c1ccc2cccc-2cc1", 10, 1); // azulene, as RDKit writes it
  expect_aromatic("[o+]1ccccc1", 6, 0);
  expect_aromatic("[cH+]1cccccc1", 7, 0); // tropylium
}

static void expect_refused(const char *text, const char *words) {
  flv_molecule m = {.n_atoms = -7};
  flv_error err = {0};
  assert_int_equal(flv_smiles_read(&m, text, strlen(text), &err), FLV_EINVAL);
  if (!strstr(err.text, words)) fail_msg("%s: \"%s\" does not say \"%s\"", text, err.text, words);
  assert_int_equal(m.n_atoms, -7);
}

static void what_is_refused(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"", "column 1: the end, expected an atom"},
      {"C C", "column 2: byte 0x20, expected an atom"},
      {"C\xc3\xa9", "column 2: byte 0xc3"},
      {"=C", "column 1: '=', expected an atom before the first bond"},
      {"C=", "column 3: the end, expected an atom after the bond symbol"},
      {"C==C", "column 3: '=', expected an atom or a ring number"},
      {"(C)C", "column 1: '(', expected an atom before the first branch"},
      {"C()C", "column 3: ')', expected an atom of the branch"},
      {"C(1CC1)", "column 3: '1', expected an atom of the branch"},
      {"C(C", "column 2: '(' is never closed"},
      {"CC)C", "column 3: ')', expected a '(' before it"},
      {"C(C=)C", "column 5: ')', expected an atom or a ring number"},
      {"C1CC", "column 2: ring 1 is never closed"},
      {"1CC1", "column 1: '1', expected an atom before the first ring"},
      {"C11", "column 3: ring 1 opens and closes at the same atom"},
      {"C1C1", "column 4: ring 1 joins two atoms that are bonded already"},
      {"C12CC12", "column 7: ring 2 joins two atoms that are bonded already"},
      {"C=1CC#1", "column 7: ring 1 closes with bond '#' and was opened at column 3 with '='"},
      {"C%1CC%1", "column 4: 'C', expected two digits of a ring number"},
      {"C%", "column 3: the end, expected two digits"},
      {"C.C", "column 2: '.', expected a molecule in one piece"},
      {"C/C=C/C", "column 2: '/', expected no stereo marks"},
      {"C[C@H](N)O", "column 4: '@', expected no stereo marks"},
      {"[13CH4]", "column 2: '1', expected an element: isotopes"},
      {"[CH3:1]C", "column 5: ':', expected ']': atom classes"},
      {"[Na]", "column 2: element 'Na', expected one of B C N"},
      {"[H]C", "column 2: element 'H', expected one of B C N"},
      {"[C", "column 3: the end, expected hydrogens, a charge or ']'"},
      {"C[fe]", "column 3: element 'fe', expected one of B C N"},
      {"[]", "column 2: ']', expected an element after '['"},
      {"[CH99]", "column 4: a number of hydrogens above 9"},
      {"[C+5]", "column 4: a charge above 4"},
      {"[C+++++]", "column 3: a charge above 4"},
      {"Xe", "column 1: 'X', expected an atom of B C N O P S F Cl Br I"},
      {"C*", "column 2: '*', expected an atom, a bond"},
      {"CSi", "column 3: 'i', expected an atom of B C N"},
      {"C$C", "column 2: '$', expected"},
      {"FC(F)(F)(F)F", "column 2: C with charge +0 and valence 5, expected at most 4"},
      {"[CH5]", "column 1: C with charge +0 and valence 5"},
      {"O=N(=O)C", "column 3: N with charge +0 and valence 5, expected at most 3"},
      {"C[CH2]", "column 2: C with charge +0 and valence 3 has an unpaired electron"},
      {"[O]C", "column 1: O with charge +0 and valence 1 has an unpaired electron"},
      {"c1cccn1", "column 6: no alternating double bonds for this aromatic ring"},
      {"Cc1cccc1", "column 7: no alternating double bonds"},
      {"cC", "column 1: a lower-case atom outside of a ring"},
      {"c1CCCCC1", "column 1: a lower-case atom outside of a ring"},
      {"C:C", "column 3: bond ':' outside of a ring"},
      {"C1=CC=CC=C1", "column 1: a ring of alternating double bonds, expected it in lower case"},
      {"OC1=CC=CC=C1", "column 2: a ring of alternating double bonds"},
      {"C1=CNC=C1", "a ring of alternating double bonds"},
      {"C1=COC=C1C", "a ring of alternating double bonds"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    expect_refused(cases[i][0], cases[i][1]);
  flv_molecule left = smiles("O=C1C=CC(=O)C=C1"); // quinone does not alternate
  flv_molecule_free(&left);
  left = smiles("C1=CNC=CC1");
  flv_molecule_free(&left);
  left = smiles("C1=CC=CS1(=O)=O"); // no pair left to give
  flv_molecule_free(&left);
  left = smiles("N1=PN=PN=P1"); // not of carbon and nitrogen
  flv_molecule_free(&left);
}

static void long_texts(void **state) {
  (void)state;
  char text[FLV_SMILES_MAX + 2];
  memset(text, 'C', sizeof text);
  flv_molecule m;
  flv_error err = {0};
  assert_int_equal(flv_smiles_read(&m, text, FLV_SMILES_MAX, &err), FLV_OK);
  assert_int_equal(m.n_atoms, FLV_SMILES_MAX);
  flv_molecule_free(&m);
  assert_int_equal(flv_smiles_read(&m, text, FLV_SMILES_MAX + 1, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "4097 bytes, expected at most 4096"));
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  ALLOC_OR_SKIP();
  static const char text[] = "O=c1nc2[nH]c3ccccc3nc-2c(=O)[nH]1";
  for (long k = 0;; k++) {
    flv_molecule m = {.n_atoms = -7};
    flv_error err = {0};
    alloc_fail(k);
    const flv_status status = flv_smiles_read(&m, text, strlen(text), &err);
    const bool none = alloc_none_failed();
    if (status == FLV_OK) flv_molecule_free(&m);
    assert_int_equal(status, none ? FLV_OK : FLV_ENOMEM);
    if (none) break;
    assert_int_equal(m.n_atoms, -7);
  }
}

// ---- hydrogens, hybridisation and conjugation of molecules that every textbook has

static void expect_perceived(const char *text, const char *hydrogens, const char *hybrids) {
  flv_molecule m = smiles(text);
  flv_perception p;
  assert_int_equal(flv_perception_init(&p, m.n_atoms, m.n_bonds, NULL), FLV_OK);
  flv_perceive(&p, &m);
  for (int i = 0; i < m.n_atoms; i++)
    if (p.hydrogens[i] != hydrogens[i] - '0' || p.hybrid[i] != hybrids[i] - '0')
      fail_msg("%s: atom %d: %d hydrogens, SP%d", text, i, p.hydrogens[i], p.hybrid[i]);
  flv_perception_free(&p);
  flv_molecule_free(&m);
}

static void perception(void **state) {
  (void)state;
  expect_perceived("C", "4", "3");
  expect_perceived("C#N", "10", "11");
  expect_perceived("C=C=C", "202", "212");
  expect_perceived("CNC=O", "3110", "3222");           // the amide's nitrogen is flat
  expect_perceived("CNCC", "3123", "3333");            // the amine's is not
  expect_perceived("c1ccccc1O", "1111101", "2222222"); // the phenol's oxygen is flat
  expect_perceived("C1CCCCC1O", "2222211", "3333333");
  expect_perceived("c1cc[nH]c1", "11111", "22222");
  expect_perceived("C[NH3+]", "33", "33");
  expect_perceived("OS(=O)(=O)C", "10003", "33223");
  expect_perceived("C=CCC=C", "21212", "22322");
}

// ---- the paper's fragments

static int number(const cJSON *row, int i) { return cJSON_GetArrayItem(row, i)->valueint; }

// The table lists bonds that close rings after the others.
static bool has_bond(const flv_molecule *m, int a, int b, int order) {
  for (int k = 0; k < m->n_bonds; k++) {
    const flv_bond *bond = &m->bond[k];
    if (bond->order == order && ((bond->a == a && bond->b == b) || (bond->a == b && bond->b == a)))
      return true;
  }
  return false;
}

static void fragments_as_in_the_table(void **state) {
  (void)state;
  MOLECULE_DATA_OR_SKIP("mol_tables.json");
  char *text;
  size_t size;
  assert_int_equal(flv_file_read(molecule_data("mol_tables.json"), &text, &size, NULL), FLV_OK);
  cJSON *root = cJSON_Parse(text);
  const cJSON *fragments = cJSON_GetObjectItem(root, "fragments"), *f, *row;
  assert_int_equal(cJSON_GetArraySize(fragments), 72);
  cJSON_ArrayForEach(f, fragments) {
    const cJSON *atoms = cJSON_GetObjectItem(f, "atoms"), *bonds = cJSON_GetObjectItem(f, "bonds");
    flv_molecule m = smiles(cJSON_GetObjectItem(f, "smiles")->valuestring);
    assert_int_equal(m.n_atoms, cJSON_GetArraySize(atoms));
    assert_int_equal(m.n_bonds, cJSON_GetArraySize(bonds));
    for (int i = 0; i < m.n_atoms; i++) {
      const flv_atom *atom = &m.atom[i];
      row = cJSON_GetArrayItem(atoms, i);
      assert_true(atom->z == number(row, 0) && atom->q == number(row, 1));
      assert_true(atom->aromatic == number(row, 2) && atom->eh == number(row, 3));
      assert_int_equal(atom->no_implicit, number(row, 4));
    }
    cJSON_ArrayForEach(row, bonds)
        assert_true(has_bond(&m, number(row, 0), number(row, 1), number(row, 2)));
    flv_molecule_free(&m);
  }
  cJSON_Delete(root);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_read),
      cmocka_unit_test(aromatic_bonds),
      cmocka_unit_test(what_is_refused),
      cmocka_unit_test(long_texts),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(perception),
      cmocka_unit_test(fragments_as_in_the_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
