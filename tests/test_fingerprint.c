// Circular fingerprints: features of small molecules counted by hand, and nothing of how atoms are
// numbered; sets in which no two are similar, against plain loops.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/mix.h"
#include "chem/fingerprint.h"
#include "metrics/diverse.h"
#include "molecule_fixture.h"

enum { WORDS = FLV_FINGERPRINT_WORDS };

typedef struct print {
  uint64_t bits[WORDS];
} print;

static print print_of(const flv_molecule *m) {
  print p;
  flv_error err = {0};
  memset(&p, 0xff, sizeof p);
  if (flv_fingerprint(p.bits, m, &err) != FLV_OK) fail_msg("%s", err.text);
  return p;
}

static print print_smiles(const char *text) {
  flv_molecule m = smiles(text);
  const print p = print_of(&m);
  flv_molecule_free(&m);
  return p;
}

static int count(const uint64_t *bits, int words) {
  int n = 0;
  for (int i = 0; i < 64 * words; i++) n += (int)(bits[i / 64] >> i % 64 & 1);
  return n;
}

static int common(const uint64_t *a, const uint64_t *b, int words) {
  int n = 0;
  for (int i = 0; i < 64 * words; i++) n += (int)((a[i / 64] & b[i / 64]) >> i % 64 & 1);
  return n;
}

static void features_by_hand(void **unused) {
  (void)unused;
  static const struct {
    const char *text;
    int features;
  } known[] = {
      {"C", 1},        // an atom
      {"CC", 2},       // CH3; a bond: around both ends the same, so once
      {"CO", 3},       // CH3, OH; around both ends the same bond, so one of two
      {"CCC", 4},      // CH3, CH2; around an end, around the middle; wider: the middle again
      {"CCCC", 5},     // CH3, CH2; around an end, around CH2; around CH2, wider; an end, wider: CH2
      {"c1ccccc1", 3}, // one of each radius
      {"C1CC1", 3},    // radius 2 has the third bond
      {"CC(C)C", 4},   // CH3, CH; around both
      {"ClC(Cl)(Cl)Cl", 4},
      {"C=C", 2},
      {"[NH4+]", 1},
      {"CCCCC", 7}, // CH3, CH2; around an end, the next, the middle; wider: the next, the middle
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    const print p = print_smiles(known[i].text);
    if (count(p.bits, WORDS) != known[i].features)
      fail_msg("%s: %d features, not %d", known[i].text, count(p.bits, WORDS), known[i].features);
  }
  const flv_molecule nothing = {0};
  assert_int_equal(count(print_of(&nothing).bits, WORDS), 0);
}

static void similarities_by_hand(void **unused) {
  (void)unused;
  static const struct {
    const char *a, *b;
    double similarity;
  } known[] = {
      {"CC", "CCC", 1.0 / 5.0},      // CH3
      {"CCC", "CCCC", 3.0 / 6.0},    // CH3, CH2, around an end
      {"C1CCCCC1", "c1ccccc1", 0.0}, // aromatic atoms have fewer hydrogens
      {"C1CCCCC1", "CCCCCC", 0.0},   // no atom of a chain is on a ring
      {"CN", "C[NH3+]", 1.0 / 5.0},  // charge; CH3 is in both
      {"C=C", "C#C", 0.0},           {"CCO", "OCC", 1.0},
      {"C1CC1", "C1CCC1", 1.0}, // a ring of like atoms looks the same from each, whatever its size
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    const print a = print_smiles(known[i].a), b = print_smiles(known[i].b);
    const double s = flv_tanimoto(WORDS, a.bits, b.bits);
    if (s != known[i].similarity)
      fail_msg("%s and %s: %g, not %g", known[i].a, known[i].b, s, known[i].similarity);
  }
}

static int below(uint64_t *state, int n) { return (int)(flv_mix((*state)++) % (uint64_t)n); }

// The same molecule with its atoms and bonds in another order, bonds turned around at random.
static flv_molecule shuffled(const flv_molecule *m, uint64_t *state) {
  flv_molecule out;
  flv_error err = {0};
  int *at = calloc((size_t)m->n_atoms + (size_t)m->n_bonds, sizeof *at), *bond = at + m->n_atoms;
  assert_int_equal(flv_molecule_init(&out, m->n_atoms, m->n_bonds, &err), FLV_OK);
  for (int i = 0; i < m->n_atoms; i++) at[i] = i;
  for (int k = 0; k < m->n_bonds; k++) bond[k] = k;
  for (int i = m->n_atoms - 1; i > 0; i--) {
    const int j = below(state, i + 1), moved = at[i];
    at[i] = at[j], at[j] = moved;
  }
  for (int k = m->n_bonds - 1; k > 0; k--) {
    const int j = below(state, k + 1), moved = bond[k];
    bond[k] = bond[j], bond[j] = moved;
  }
  out.n_atoms = m->n_atoms;
  for (int i = 0; i < m->n_atoms; i++) out.atom[at[i]] = m->atom[i];
  for (int k = 0; k < m->n_bonds; k++) {
    const flv_bond *b = &m->bond[bond[k]];
    const bool turned = below(state, 2) != 0;
    flv_molecule_add_bond(&out, at[turned ? b->b : b->a], at[turned ? b->a : b->b],
                          (flv_bond_order)b->order);
  }
  free(at);
  return out;
}

static const char *const texts[] = {
    "CC(=O)Oc1ccccc1C(=O)O",
    "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "CC(C)Cc1ccc(C(C)C(=O)O)cc1",
    "O=C1CCCCC1c1ccc2[nH]ccc2c1",
    "C1CC2CCC1C2",
    "C[NH+](C)CC#N",
    "O=S(=O)(N)c1ccc(F)cc1",
    "C12C3C4C1C5C2C3C45",
    "c1ccc(-c2ccc(-c3ccccc3)cc2)cc1",
    "[O-][NH+](CC)CCBr",
};
enum { TEXTS = sizeof texts / sizeof *texts };

static void numbering_does_not_matter(void **unused) {
  (void)unused;
  uint64_t state = 1;
  for (int i = 0; i < TEXTS; i++) {
    flv_molecule m = smiles(texts[i]);
    const print p = print_of(&m);
    assert_true(count(p.bits, WORDS) > 2);
    for (int k = 0; k < 50; k++) {
      flv_molecule other = shuffled(&m, &state);
      const print q = print_of(&other);
      assert_memory_equal(&p, &q, sizeof p);
      flv_molecule_free(&other);
    }
    for (int k = 0; k < i; k++) {
      const print q = print_smiles(texts[k]);
      assert_true(flv_tanimoto(WORDS, p.bits, q.bits) < 0.6);
    }
    flv_molecule_free(&m);
  }
}

static void memory_may_be_short(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  flv_molecule m = smiles(texts[0]);
  const print good = print_of(&m);
  for (long k = 0;; k++) {
    print p = {{7}};
    flv_error err = {0};
    alloc_fail(k);
    const flv_status status = flv_fingerprint(p.bits, &m, &err);
    if (alloc_none_failed()) break;
    assert_int_equal(status, FLV_ENOMEM);
    assert_true(p.bits[0] == 7 && p.bits[1] == 0);
  }
  const print again = print_of(&m);
  assert_memory_equal(&good, &again, sizeof good);
  flv_molecule_free(&m);
}

// ---- sets ----

enum { N = 400, W = 3 };

// Twelve families, in which many are near each other.
static void draw_bits(uint64_t (*bits)[W]) {
  uint64_t state = 99, family[12][W];
  for (int f = 0; f < 12; f++)
    for (int w = 0; w < W; w++, state += 2) family[f][w] = flv_mix(state) & flv_mix(state + 1);
  for (int i = 0; i < N; i++) {
    memcpy(bits[i], family[below(&state, 12)], sizeof bits[i]);
    for (int k = below(&state, 14); k > 0; k--)
      bits[i][below(&state, W)] ^= UINT64_C(1) << below(&state, 64);
  }
  memset(bits[17], 0, sizeof bits[17]);
  memset(bits[61], 0, sizeof bits[61]);
}

static double similarity(const uint64_t *a, const uint64_t *b) {
  const int both = common(a, b, W), either = count(a, W) + count(b, W) - both;
  return either > 0 ? (double)both / either : 1.0;
}

static void sets_as_plain_loops_make_them(void **unused) {
  (void)unused;
  static uint64_t bits[N][W];
  draw_bits(bits);
  const double thresholds[] = {0.0, 0.3, 0.5, 0.7, 0.9, 1.0};
  for (int t = 0; t < 6; t++) {
    flv_diverse set;
    flv_error err = {0};
    int kept_by_hand[N], n = 0;
    flv_diverse_init(&set, W, thresholds[t]);
    for (int i = 0; i < N; i++) {
      double most = 0.0, nearest = -1.0;
      bool kept;
      for (int k = 0; k < n; k++) {
        const double s = similarity(bits[i], bits[kept_by_hand[k]]);
        assert_true(s == flv_tanimoto(W, bits[kept_by_hand[k]], bits[i]));
        if (s > most) most = s;
      }
      const bool keep = n == 0 || most < thresholds[t];
      assert_int_equal(flv_diverse_add(&set, bits[i], &kept, &nearest, &err), FLV_OK);
      assert_true(kept == keep);
      if (!keep) continue;
      kept_by_hand[n++] = i;
      assert_true(nearest == most);
    }
    assert_int_equal(set.n, n);
    for (int k = 0; k < n; k++)
      assert_memory_equal(set.bits + k * W, bits[kept_by_hand[k]], sizeof bits[0]);
    if (t == 0) assert_int_equal(n, 1);
    if (t == 3) assert_true(n > 12 && n < N / 2);
    flv_diverse_free(&set);
  }
}

static void sets_and_short_memory(void **unused) {
  (void)unused;
  ALLOC_OR_SKIP();
  static uint64_t bits[N][W];
  draw_bits(bits);
  flv_diverse set;
  flv_error err = {0};
  bool kept;
  int failures = 0, n = 0;
  flv_diverse_init(&set, W, 0.95);
  for (int i = 0; i < N; i++) {
    for (long k = 0;; k++) {
      alloc_fail(k);
      const flv_status status = flv_diverse_add(&set, bits[i], &kept, NULL, &err);
      if (alloc_none_failed()) break;
      failures++;
      assert_int_equal(status, FLV_ENOMEM);
      assert_int_equal(set.n, n);
    }
    n = set.n;
  }
  assert_true(failures >= 6 && n > 128);
  flv_diverse_free(&set);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(features_by_hand),
      cmocka_unit_test(similarities_by_hand),
      cmocka_unit_test(numbering_does_not_matter),
      cmocka_unit_test(memory_may_be_short),
      cmocka_unit_test(sets_as_plain_loops_make_them),
      cmocka_unit_test(sets_and_short_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
