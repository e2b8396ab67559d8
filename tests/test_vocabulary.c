// Vocabularies: both formats, blocks and stem types, what is refused; the published file against
// the table that was made of it independently.

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <cjson/cJSON.h>

#include "alloc.h"
#include "chem/vocabulary.h"
#include "io/file.h"
#include "molecule_fixture.h"

static flv_vocabulary accept(const char *text, flv_stem_rule rule) {
  flv_vocabulary v = {0};
  flv_error err = {0};
  if (flv_vocabulary_parse(&v, text, strlen(text), rule, &err) != FLV_OK) fail_msg("%s", err.text);
  return v;
}

static void expect_block(const flv_vocabulary *v, int block, const char *smiles,
                         const char *attach) {
  char text[256] = "";
  for (int k = 0; k < v->block[block].n_attach; k++)
    sprintf(text + strlen(text), "%s%d", k ? " " : "", v->block[block].attach[k]);
  assert_string_equal(v->fragment[v->block[block].fragment].smiles, smiles);
  assert_string_equal(text, attach);
}

// A block for every attachment atom, one for atoms alike, in the order of the list.
static void ours(void **state) {
  (void)state;
  flv_vocabulary v =
      accept("{\"fragments\": [{\"smiles\": \"CO\", \"attach\": [1, 0, 0], \"name\": \"methanol\"},"
             " {\"attach\": [1, 5, 2, 4, 0], \"smiles\": \"c1ccncc1\"},"
             " {\"smiles\": \"C\", \"attach\": [0, 0]}]}\n ",
             FLV_STEMS_DISTINCT);
  assert_int_equal(v.n_blocks, 6);
  assert_int_equal(v.n_fragments, 3);
  expect_block(&v, 0, "CO", "1 0 0");
  expect_block(&v, 1, "CO", "0 1 0");
  expect_block(&v, 2, "c1ccncc1", "1 5 2 4 0");
  expect_block(&v, 3, "c1ccncc1", "2 1 5 4 0");
  expect_block(&v, 4, "c1ccncc1", "0 1 5 2 4");
  expect_block(&v, 5, "C", "0 0");
  assert_string_equal(v.block[1].name, "methanol");
  assert_null(v.block[2].name);
  assert_string_equal(v.fragment[0].smiles, "C"); // in byte order
  assert_int_equal(v.block[5].fragment, 0);
  static const int joining[] = {4, 2, 3, -1, 3, 2};
  for (int x = 0; x < 6; x++) assert_int_equal(v.fragment[2].joining[x], joining[x]);
  assert_int_equal(flv_block_joining(&v, 4, 5), 2);
  static const int same[] = {0, 1, 2, 3, 2, 1};
  for (int x = 0; x < 6; x++) assert_int_equal(v.fragment[2].same[x], same[x]);
  assert_int_equal(v.n_stem_types, 1 + 2 + 6);
  assert_int_equal(flv_stem_type(&v, 5, 0), 0);
  assert_int_equal(flv_stem_type(&v, 0, 1), 2);
  assert_int_equal(flv_stem_type(&v, 3, 5), 8);
  assert_true(v.max_atoms == 6 && v.max_bonds == 6);
  flv_vocabulary_free(&v);
}

// The published format, entry by entry, and its rule for stem types: cyclohexene's first block
// lists atom 0 alone, so that its atoms 2 and 3 run into the types of the next fragment.
static const char published_text[] =
    "{\"block_name\": {\"0\": \"x\"}, \"block_smi\": {\"0\": \"C1=CCCCC1\", \"1\": \"C1=CCCCC1\", "
    "\"2\": \"C1=CCCCC1\", \"3\": \"C1=CNC=CC1\", \"4\": \"C1=CNC=CC1\", \"5\": \"Br\"},"
    "\"block_r\": {\"0\": [0], \"2\": [3, 0], \"1\": [2, 0], \"3\": [0, 2], \"4\": [2, 0], "
    "\"5\": [0]}}";

static void published(void **state) {
  (void)state;
  flv_vocabulary v = accept(published_text, FLV_STEMS_PUBLISHED);
  assert_int_equal(v.n_blocks, 6);
  assert_int_equal(v.n_fragments, 3);
  assert_int_equal(v.n_stem_types, 1 + 1 + 3);
  expect_block(&v, 2, "C1=CCCCC1", "3 0");
  assert_int_equal(flv_stem_type(&v, 2, 3), 4);
  assert_int_equal(flv_stem_type(&v, 3, 2), 4); // the collision
  flv_vocabulary_free(&v);
  v = accept(published_text, FLV_STEMS_DISTINCT);
  assert_int_equal(v.n_stem_types, 1 + 4 + 3);
  assert_int_equal(flv_stem_type(&v, 2, 3), 4);
  assert_int_equal(flv_stem_type(&v, 3, 2), 7);
  flv_vocabulary_free(&v);
}

// ---- what is refused

#define F(smiles, attach) "{\"fragments\":[{\"smiles\":\"" smiles "\",\"attach\":" attach "}]}"
#define P(smi, r) "{\"block_smi\":" smi ",\"block_r\":" r "}"

static void refused(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"", "line 1: not JSON, expected an object with \"fragments\""},
      {"{\"fragments\":[\n\n}", "line 3: not JSON"},
      {"{} {}", "line 1: not JSON"},
      {"[]", "expected an object with \"fragments\", or with \"block_smi\""},
      {"{}", "expected an object with \"fragments\", or with \"block_smi\""},
      {"3", "expected an object with"},
      {"{\"fragments\":3}", "fragments: 3, expected a list"},
      {"{\"fragments\":[]}", "fragments: 0 entries, expected 1 to 1024"},
      {"{\"fragments\":[3]}", "fragments[0]: expected an object with \"smiles\" and \"attach\""},
      {"{\"fragments\":[{}]}", "fragments[0]: expected the key \"smiles\""},
      {"{\"fragments\":[{\"smiles\":\"C\"}]}", "fragments[0]: expected the key \"attach\""},
      {"{\"fragments\":[],\"x\\ny\":1}", "unknown key \"x?y\" beside \"fragments\""},
      {"{\"fragments\":[{\"smiles\":\"C\",\"atach\":[0]}]}",
       "fragments[0]: unknown key \"atach\", expected \"smiles\", \"attach\" or \"name\""},
      {"{\"fragments\":[{\"smiles\":\"C\",\"smiles\":\"N\"}]}",
       "fragments[0]: key \"smiles\" twice"},
      {"{\"fragments\":[{\"smiles\":\"C\",\"attach\":[0],\"name\":1}]}",
       "fragments[0].name: expected a text"},
      {"{\"fragments\":[{\"smiles\":6,\"attach\":[0]}]}",
       "fragments[0].smiles: 6, expected SMILES as a text"},
      {F("C", "0"), "fragments[0].attach: 0, expected a list of 1 to 32 atoms"},
      {F("C", "[]"), "fragments[0].attach: a list of 0, expected a list of 1 to 32 atoms"},
      {F("C", "[\"0\"]"), "fragments[0].attach[0]: \"0\", expected the number of an atom, from 0"},
      {F("C", "[0,0.5]"), "fragments[0].attach[1]: 0.5, expected the number of an atom, from 0"},
      {F("C", "[-1]"), "fragments[0].attach[0]: -1, expected the number of an atom, from 0"},
      {F("C", "[1e300]"), "fragments[0].attach[0]: 1e+300, expected the number of an atom, from 0"},
      {F("C", "[99999999999999999999]"), "fragments[0].attach[0]: 1e+20, expected the number"},
      {F("C", "[true]"), "fragments[0].attach[0]: true, expected the number of an atom, from 0"},
      {F("C", "[null]"), "fragments[0].attach[0]: null, expected the number of an atom, from 0"},
      {F("C", "[[0]]"), "fragments[0].attach[0]: a list of 1, expected the number of an atom"},
      {F("C", "[\"a text that is much too long for a message\"]"),
       "fragments[0].attach[0]: \"a text that is much too long..\", expected the number"},
      {F("C", "{}"), "fragments[0].attach: an object of 0, expected a list of 1 to 32 atoms"},
      {F("C", "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]"),
       "fragments[0].attach: a list of 33, expected a list of 1 to 32 atoms"},
      {F("C", "[NaN]"), "line 1: not JSON"},
      {F("C", "[0x0]"), "line 1: not JSON"},
      {F("C", "[0"), "line 1: not JSON"},
      {F("C\\u0000!", "[0]"), "line 1: a text with the character \\u0000"},
      {F("C\\\\u0000", "[0]"), "fragments[0].smiles: column 2: "}, // not that character
      {"{\"fragments\":null}", "fragments: null, expected a list"},
      {"{\"fragments\":[{\"smiles\":null,\"attach\":[0]}]}",
       "fragments[0].smiles: null, expected SMILES as a text"},
      {"{\"fragments\":[],\"fragments\":[]}", "key \"fragments\" twice"},
      {"{\"block_smi\":{},\"block_smi\":{},\"block_r\":{}}", "key \"block_smi\" twice"},
      {"{\"block_smi\":{},\"block_r\":{},\"block_r\":{}}", "key \"block_r\" twice"},
      {F("CCO", "[0,3]"), "fragments[0].attach[1]: there is no atom 3, expected 0 to 2"},
      {F("CC(C)(C)C", "[1]"),
       "fragments[0].attach[0]: atom 1 (C) has no free valence for 1 attachments"},
      {F("CO", "[1,1]"),
       "fragments[0].attach[1]: atom 1 (O) has no free valence for 2 attachments"},
      {F("c1ccncc1", "[0,3]"), "fragments[0].attach[1]: atom 3 (N) has no free valence"},
      {F("C[O-]", "[1]"), "fragments[0].attach[0]: atom 1 (O) has no free valence"},
      {F("c1ccsc1", "[3]"), "fragments[0].attach[0]: atom 3 (S) has no free valence"},
      {F("c1cc[nH]c1", "[3,3]"), "fragments[0].attach[1]: atom 3 (N) has no free valence"},
      {F("CC(", "[0]"), "fragments[0].smiles: column 3: '(' is never closed"},
      {F("C.C", "[0]"), "fragments[0].smiles: column 2: '.', expected a molecule in one piece"},
      {F("", "[0]"), "fragments[0].smiles: column 1: the end, expected an atom"},
      {F("CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC", "[0]"),
       "fragments[0].smiles: 65 atoms and 64 bonds, expected at most 64 and 128"},
      {"{\"fragments\":[{\"smiles\":\"CCO\",\"attach\":[0]},{\"smiles\":\"N\",\"attach\":[0]},"
       "{\"smiles\":\"OCC\",\"attach\":[0]}]}",
       "fragments[2].smiles: the same molecule as fragments[0], expected each once"},
      {"{\"block_smi\":{\"0\":\"C\"}}", "block_r: expected an object with keys \"0\""},
      {"{\"block_r\":{\"0\":[0]}}", "block_smi: expected an object with keys \"0\""},
      {P("{}", "{}"), "block_smi: 0 entries, expected 1 to 1024"},
      {P("{\"0\":\"C\"}", "{}"), "block_r: 0 entries, expected 1 as in block_smi"},
      {P("{\"1\":\"C\"}", "{\"0\":[0]}"),
       "block_smi: key \"1\", expected each of \"0\" to \"0\" once"},
      {P("{\"00\":\"C\"}", "{\"0\":[0]}"), "block_smi: key \"00\", expected each"},
      {P("{\"0\":\"C\",\"0\":\"C\"}", "{\"0\":[0],\"1\":[0]}"),
       "block_smi: key \"0\" twice, expected"},
      {P("{\"0\":\"C\"}", "{\"0\":[1]}"), "block_r[0][0]: there is no atom 1, expected 0 to 0"},
      {P("{\"0\":\"C!\"}", "{\"0\":[0]}"), "block_smi[0]: column 2: '!'"},
      {P("{\"0\":\"CO\",\"1\":\"CO\"}", "{\"0\":[0],\"1\":[0,1]}"),
       "block_r[1]: joined by atom 0 of CO as block 0 is, expected one block for each"},
      {P("{\"0\":\"CO\",\"1\":\"N\"}", "{\"0\":[0,1],\"1\":[0]}"),
       "block_r[0][1]: no block of CO is joined by atom 1 or one like it, expected one"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    flv_vocabulary v = {.n_blocks = -7};
    flv_error err = {0};
    const char *text = cases[i][0];
    const flv_status status =
        flv_vocabulary_parse(&v, text, strlen(text), FLV_STEMS_DISTINCT, &err);
    if (status != FLV_EINVAL || !strstr(err.text, cases[i][1]))
      fail_msg("%s: \"%s\" does not say \"%s\"", text, err.text, cases[i][1]);
    assert_int_equal(v.n_blocks, -7);
  }
}

static void higher_valences(void **state) {
  (void)state;
  flv_vocabulary v = accept(F("O=PO", "[1]"), FLV_STEMS_DISTINCT);
  flv_vocabulary_free(&v);
  v = accept(F("C[NH3+]", "[1,1,0]"), FLV_STEMS_DISTINCT);
  flv_vocabulary_free(&v);
}

static void too_many(void **state) {
  (void)state;
  char *text = malloc(1 << 17), *to = text;
  assert_non_null(text);
  to += sprintf(to, "{\"fragments\":[");
  for (int i = 0; i <= FLV_VOCABULARY_MAX_BLOCKS; i++)
    to += sprintf(to, "%s{\"smiles\":\"C\",\"attach\":[0]}", i ? "," : "");
  sprintf(to, "]}");
  flv_vocabulary v;
  flv_error err = {0};
  assert_int_equal(flv_vocabulary_parse(&v, text, strlen(text), FLV_STEMS_DISTINCT, &err),
                   FLV_EINVAL);
  assert_string_equal(err.text, "fragments: 1025 entries, expected 1 to 1024");
  // Chains of carbon and nitrogen, 2^6 of 12 atoms and more, each atom of which begins a block.
  to = text + sprintf(text, "{\"fragments\":[");
  for (int i = 0; i < 128; i++) {
    to += sprintf(to, "%s{\"smiles\":\"CS", i ? "," : "");
    for (int k = 0; k < 7; k++) to += sprintf(to, "C%c", i >> k & 1 ? 'N' : 'C');
    to += sprintf(to, "\",\"attach\":[2,3,4,5,6,7,8,9,10,11]}");
  }
  sprintf(to, "]}");
  assert_int_equal(flv_vocabulary_parse(&v, text, strlen(text), FLV_STEMS_DISTINCT, &err),
                   FLV_EINVAL);
  assert_string_equal(err.text,
                      "1280 blocks (fragments by attachment atoms), expected at most 1024");
  free(text);
}

static void files(void **state) {
  (void)state;
  flv_vocabulary v = {.n_blocks = -7};
  flv_error err = {0};
  assert_int_equal(flv_vocabulary_read(&v, "no/such.json", FLV_STEMS_DISTINCT, &err), FLV_EIO);
  assert_non_null(strstr(err.text, "no/such.json"));
  assert_int_equal(flv_vocabulary_read(&v, "tests", FLV_STEMS_DISTINCT, &err), FLV_EIO);
  assert_string_equal(err.text, "tests: cannot read: Is a directory");
  assert_int_equal(flv_vocabulary_read(&v, "/dev/null", FLV_STEMS_DISTINCT, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "/dev/null: line 1: not JSON, expected an object"));
  assert_int_equal(flv_vocabulary_read(&v, "/dev/zero", FLV_STEMS_DISTINCT, &err), FLV_EIO);
  assert_non_null(strstr(err.text, "/dev/zero: too large: more than 1048576 bytes"));
  assert_int_equal(flv_vocabulary_read(&v, "README.md", FLV_STEMS_DISTINCT, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "README.md: line 1: not JSON"));
  assert_int_equal(v.n_blocks, -7);
  if (flv_vocabulary_read(&v, "examples/molecules/fragments.json", FLV_STEMS_DISTINCT, &err))
    fail_msg("%s", err.text);
  assert_int_equal(v.n_fragments, 21);
  flv_vocabulary_free(&v);
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  ALLOC_OR_SKIP();
  for (long k = 0;; k++) {
    flv_vocabulary v = {.n_blocks = -7};
    flv_error err = {0};
    alloc_fail(k);
    const flv_status status = flv_vocabulary_parse(&v, published_text, sizeof published_text - 1,
                                                   FLV_STEMS_DISTINCT, &err);
    const bool none = alloc_none_failed();
    if (none) {
      assert_int_equal(status, FLV_OK);
      flv_vocabulary_free(&v);
      break;
    }
    assert_true(status == FLV_ENOMEM || (status == FLV_EINVAL && strstr(err.text, "not JSON")));
    assert_int_equal(v.n_blocks, -7);
  }
}

// ---- the published file

static cJSON *tables(void) {
  char *text;
  size_t size;
  assert_int_equal(flv_file_read(molecule_data("mol_tables.json"), &text, &size, NULL), FLV_OK);
  cJSON *root = cJSON_Parse(text);
  free(text);
  assert_non_null(root);
  return root;
}

static void the_published_file(void **state) {
  (void)state;
  MOLECULE_DATA_OR_SKIP("blocks_PDB_105.json");
  MOLECULE_DATA_OR_SKIP("mol_tables.json");
  flv_vocabulary v;
  flv_error err = {0};
  if (flv_vocabulary_read(&v, molecule_data("blocks_PDB_105.json"), FLV_STEMS_PUBLISHED, &err))
    fail_msg("%s", err.text);
  cJSON *root = tables();
  const cJSON *fragments = cJSON_GetObjectItem(root, "fragments");
  const cJSON *blocks = cJSON_GetObjectItem(root, "blocks"), *item;
  assert_int_equal(v.n_fragments, cJSON_GetArraySize(fragments));
  assert_int_equal(v.n_blocks, cJSON_GetArraySize(blocks));
  assert_true(v.n_blocks == 105 && v.n_fragments == 72 && v.n_stem_types == 214);
  int f = 0, k = 0, pairs = 0;
  cJSON_ArrayForEach(item, fragments) {
    assert_string_equal(v.fragment[f].smiles, cJSON_GetObjectItem(item, "smiles")->valuestring);
    assert_int_equal(v.fragment[f].first_type,
                     cJSON_GetObjectItem(item, "stem_type_offset")->valueint);
    f++;
  }
  cJSON_ArrayForEach(item, blocks) {
    const cJSON *r = cJSON_GetObjectItem(item, "r");
    assert_int_equal(v.block[k].fragment, cJSON_GetObjectItem(item, "true")->valueint);
    assert_int_equal(v.block[k].n_attach, cJSON_GetArraySize(r));
    for (int l = 0; l < v.block[k].n_attach; l++)
      assert_int_equal(v.block[k].attach[l], cJSON_GetArrayItem(r, l)->valueint);
    const cJSON *x;
    cJSON_ArrayForEach(x, cJSON_GetObjectItem(item, "translation")) {
      assert_int_equal(flv_block_joining(&v, k, atoi(x->string)), x->valueint);
      pairs++;
    }
    k++;
  }
  assert_true(pairs > 200);
  assert_int_equal(flv_stem_type(&v, 95, 3), 6); // the collisions of the published rule
  assert_int_equal(flv_stem_type(&v, 80, 2), 6);
  assert_int_equal(flv_stem_type(&v, 19, 2), 176);
  assert_int_equal(flv_stem_type(&v, 0, 1), 176);
  flv_vocabulary_free(&v);
  cJSON_Delete(root);
}

// The symmetric part of the table, as the specification writes it out.
static void symmetric_attachments(void **state) {
  (void)state;
  MOLECULE_DATA_OR_SKIP("blocks_PDB_105.json");
  static const struct {
    const char *smiles;
    int atom, block;
  } extras[] = {{"C1CCCCC1", 1, 38}, {"C1CCCCC1", 2, 38}, {"C1CCCCC1", 3, 38}, {"C1CCCCC1", 4, 38},
                {"C1CCCCC1", 5, 38}, {"c1ccccc1", 1, 0},  {"c1ccccc1", 2, 0},  {"c1ccccc1", 3, 0},
                {"c1ccccc1", 4, 0},  {"c1ccccc1", 5, 0},  {"C1CCNC1", 4, 44},  {"C1CCOC1", 1, 30},
                {"C1CCOC1", 4, 31},  {"C1CCOCC1", 4, 71}, {"C1CCOCC1", 5, 70}, {"C1CNCCN1", 5, 64},
                {"C=C", 1, 68},      {"CC", 1, 14},       {"c1ccncc1", 4, 11}, {"c1ccncc1", 5, 10},
                {"c1ccsc1", 4, 52},  {"c1cncnc1", 5, 61}};
  enum { N = (int)(sizeof extras / sizeof extras[0]) };
  flv_vocabulary v;
  assert_int_equal(
      flv_vocabulary_read(&v, molecule_data("blocks_PDB_105.json"), FLV_STEMS_DISTINCT, NULL),
      FLV_OK);
  int found = 0;
  for (int f = 0; f < v.n_fragments; f++)
    for (int x = 0; x < v.fragment[f].molecule.n_atoms; x++) {
      const int block = v.fragment[f].joining[x];
      if (block < 0 || v.block[block].attach[0] == x) continue;
      int k = 0;
      while (k < N && (strcmp(extras[k].smiles, v.fragment[f].smiles) != 0 || extras[k].atom != x))
        k++;
      if (k == N || extras[k].block != block)
        fail_msg("%s, atom %d: block %d", v.fragment[f].smiles, x, block);
      found++;
    }
  assert_int_equal(found, N);
  flv_vocabulary_free(&v);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(ours),
      cmocka_unit_test(published),
      cmocka_unit_test(refused),
      cmocka_unit_test(higher_valences),
      cmocka_unit_test(too_many),
      cmocka_unit_test(files),
      cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(the_published_file),
      cmocka_unit_test(symmetric_attachments),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
