// Rewards for molecules from the user's own shared library or program: their numbers against the
// molecules' own SMILES, how often they are asked, several threads, and libraries that fail.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "chem/perceive.h"
#include "chem/smiles.h"
#include "molecule_reward_fixture.h"

// ---- numbers ----

static void numbers(void **unused) {
  (void)unused;
  problem *p = open_problem("molecule_program", "4", 200, PROGRAM(COUNT, DEFAULTS));
  assert_lengths(p, 1e-6, 1.0, 1.0);
  close_problem(p);
  p = open_problem("molecule_library", "4", 200, LIBRARY("behaves", "lengths", DEFAULTS));
  assert_lengths(p, 1e-6, 1.0, 1.0);
  close_problem(p);
  p = open_problem(
      "molecule_program", "3", 100,
      PROGRAM(COUNT, {"reward.r_min", "9"}, {"reward.norm", "4"}, {"reward.exponent", "3"}));
  assert_lengths(p, 9.0, 4.0, 3.0);
  close_problem(p);
  // Zero is a number: R is 0 where there is no least one.
  flv_error err;
  p = open_problem("molecule_program", "3", 20,
                   PROGRAM("while read -r s; do echo 0; done", {"reward.r_min", "0"}));
  must(ask(p, &err), &err);
  for (int i = 0; i < p->n; i++) assert_true(p->log_r[i] == -HUGE_VAL);
  close_problem(p);
}

// What a library is told is the molecule, in one order however it was built.
static void atoms_and_bonds(void **unused) {
  (void)unused;
  flv_error err;
  problem *p = open_problem("molecule_library", "3", 600, LIBRARY("behaves", "sums", DEFAULTS));
  must(ask(p, &err), &err);
  int again = 0;
  static char text[600][TEXT];
  for (int i = 1; i < p->n; i++) {
    text_of(p, i, text[i]);
    // By the same text: the molecule that it gives when it is read, put in canonical order.
    flv_molecule read = {0}, m = {0};
    must(flv_smiles_read(&read, text[i], strlen(text[i]), &err), &err);
    must(flv_molecule_init(&m, read.n_atoms, read.n_bonds, &err), &err);
    flv_perception seen = {0};
    must(flv_perception_init(&seen, read.n_atoms, read.n_bonds, &err), &err);
    flv_canonical_form(p->molecules.canon, &m, &read);
    flv_perceive(&seen, &m);
    double sum = 0.0;
    for (int k = 0; k < m.n_atoms; k++)
      sum += (k + 1) * (m.atom[k].z + 0.5 * m.atom[k].q + 0.25 * seen.hydrogens[k] +
                        0.125 * m.atom[k].aromatic);
    for (int k = 0; k < m.n_bonds; k++) {
      const int a = m.bond[k].a, b = m.bond[k].b;
      sum += (k + 1) * ((a < b ? a : b) + 3.0 * (a < b ? b : a) + 7.0 * m.bond[k].order);
    }
    assert_near(p->log_r[i], log(sum), 1e-14);
    flv_perception_free(&seen);
    flv_molecule_free(&m);
    flv_molecule_free(&read);
    for (int j = 1; j < i; j++)
      again += strcmp(text[i], text[j]) == 0 &&
               memcmp(&p->state[i], &p->state[j], sizeof p->state[i]) != 0;
  }
  assert_true(again > 0); // the same molecule, built in another way
  close_problem(p);
}

// Distinct SMILES among the states; asserts that the file has each of them once, and no others, in
// groups (ended by an empty line) of at most `batch`.
static int assert_asked_once(problem *p, const char *path, int batch) {
  static char text[MOST][TEXT];
  static int seen[MOST];
  int n = 0, lines = 0, group = 0;
  memset(seen, 0, sizeof seen);
  for (int i = 1; i < p->n; i++) {
    text_of(p, i, text[n]);
    int k = 0;
    while (k < n && strcmp(text[k], text[n]) != 0) k++;
    n += k == n;
  }
  FILE *f = fopen(path, "r");
  assert_non_null(f);
  for (char line[TEXT]; fgets(line, sizeof line, f);) {
    line[strcspn(line, "\n")] = '\0';
    group = line[0] ? group + 1 : 0;
    assert_true(group <= batch);
    if (!line[0]) continue;
    int k = 0;
    while (k < n && strcmp(text[k], line) != 0) k++;
    assert_true(k < n);
    assert_int_equal(seen[k]++, 0);
    lines++;
  }
  fclose(f);
  assert_int_equal(lines, n);
  return n;
}

static void each_molecule_is_asked_for_once(void **unused) {
  (void)unused;
  char command[256];
  flv_error err;
  const char *asked = in("asked");
  snprintf(command, sizeof command, "while read -r s; do echo \"$s\" >>%s; echo ${#s}; done",
           asked);
  static const char *const batches[] = {"1", "7", "4096"};
  for (int k = 0; k < 3; k++) {
    unlink(in("asked"));
    problem *p =
        open_problem("molecule_program", "2", 600, PROGRAM(command, {"reward.batch", batches[k]}));
    for (int i = 0; i < 3; i++) must(ask(p, &err), &err);
    assert_lengths(p, 1e-6, 1.0, 1.0);
    assert_true(assert_asked_once(p, in("asked"), MOST) < 590);
    close_problem(p);
    unlink(in("asked"));
    p = open_problem("molecule_library", "2", 600,
                     LIBRARY("behaves", "lengths", {"reward.batch", batches[k]},
                             {"reward.config", in("asked")}));
    for (int i = 0; i < 3; i++) must(ask(p, &err), &err);
    assert_lengths(p, 1e-6, 1.0, 1.0);
    assert_asked_once(p, in("asked"), atoi(batches[k]));
    close_problem(p);
  }
  // Without memory for them, numbers are asked for anew, and come out the same.
  problem *p = open_problem("molecule_program", "2", 100, PROGRAM(COUNT, {"reward.cache_mb", "0"}));
  for (int i = 0; i < 2; i++) assert_lengths(p, 1e-6, 1.0, 1.0);
  close_problem(p);
}

// The examples: from atoms in C, from the text in Python.
static void examples_agree(void **unused) {
  (void)unused;
  flv_error err;
  problem *a = open_problem("molecule_library", "5", 300,
                            LIBRARY("reward", "reward", {"reward.config", "size=18"}));
  problem *b = open_problem("molecule_program", "5", 300,
                            PROGRAM("python3 examples/molecules/reward.py 18", DEFAULTS));
  must(ask(a, &err), &err);
  must(ask(b, &err), &err);
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (int i = 0; i < a->n; i++) {
    assert_near(a->log_r[i], b->log_r[i], 1e-12);
    low = fmin(low, a->log_r[i]);
    high = fmax(high, a->log_r[i]);
  }
  assert_true(high - low > 5.0);
  close_problem(a);
  close_problem(b);
}

static flv_status log_reward_nan(const flv_reward *reward, const flv_env *env, int n,
                                 const void *states, double *log_r, flv_error *err) {
  (void)reward, (void)env, (void)states, (void)err;
  for (int i = 0; i < n; i++) log_r[i] = (double)NAN;
  return FLV_OK;
}

// Any reward's: the object that has none is named as people write it.
static void molecules_are_named(void **unused) {
  (void)unused;
  const flv_reward bad = {.name = "bad", .log_reward = log_reward_nan};
  problem *p = open_problem("molecule_program", "4", 20, PROGRAM(COUNT, DEFAULTS));
  for (int i = 1; i < p->n; i++) {
    flv_error err = {0};
    char text[TEXT], expected[TEXT + 64];
    double log_r;
    text_of(p, i, text);
    snprintf(expected, sizeof expected, "reward 'bad': log R is nan for the object %s", text);
    assert_int_equal(flv_reward_log(&bad, p->env, 1, &p->state[i], &log_r, &err), FLV_ENAN);
    assert_string_equal(err.text, expected);
  }
  close_problem(p);
}

// ---- several threads ----

typedef struct asker {
  problem *p;
  pthread_t thread;
  double log_r[MOST];
  flv_status status;
} asker;

static void *ask_alone(void *context) {
  asker *a = context;
  problem *p = a->p;
  for (int i = 0; i < 3 && a->status == FLV_OK; i++)
    a->status = flv_reward_log(p->reward, p->env, p->n, p->state, a->log_r, NULL);
  return NULL;
}

static void threads_agree(void **unused) {
  (void)unused;
  enum { THREADS = 4 };
  for (int k = 0; k < 2; k++) {
    problem *p = k == 0 ? open_problem("molecule_program", "4", 300, PROGRAM(COUNT, DEFAULTS))
                        : open_problem("molecule_library", "4", 300,
                                       LIBRARY("behaves", "lengths", {"reward.batch", "10"}));
    asker *a = calloc(THREADS, sizeof *a);
    for (int t = 0; t < THREADS; t++) {
      a[t].p = p;
      assert_int_equal(pthread_create(&a[t].thread, NULL, ask_alone, &a[t]), 0);
    }
    for (int t = 0; t < THREADS; t++) assert_int_equal(pthread_join(a[t].thread, NULL), 0);
    assert_lengths(p, 1e-6, 1.0, 1.0);
    for (int t = 0; t < THREADS; t++) {
      assert_int_equal(a[t].status, FLV_OK);
      assert_memory_equal(a[t].log_r, p->log_r, (size_t)p->n * sizeof(double));
    }
    free(a);
    close_problem(p);
  }
}

// ---- libraries that fail ----

static void refused_library(const char *path, const char *symbol, flv_status status,
                            const char *text) {
  flv_error err = {0};
  problem *p = calloc(1, sizeof *p);
  try_open(p, "molecule_library", "3", 2,
           (setting[]){{"reward.path", path}, {"reward.symbol", symbol}}, &err);
  assert_null(p->reward);
  assert_int_equal(err.status, status);
  if (!strstr(err.text, text) || strchr(err.text, '\n'))
    fail_msg("'%s' does not say '%s'", err.text, text);
  flv_config_free(p->cfg);
  free(p);
}

static void libraries_are_refused(void **unused) {
  (void)unused;
  refused_library("", "reward", FLV_EINVAL, "reward.path: a shared library");
  refused_library(in("none.so"), "reward", FLV_EIO, "none.so: cannot open shared object file");
  refused_library("none.so", "reward", FLV_EIO, "./none.so: cannot open"); // not the system's
  refused_library(write_text("text.so", "hello"), "reward", FLV_EIO, "text.so: ");
  refused_library(library_here("foreign"), "reward", FLV_EINVAL,
                  "foreign.so: not made with fluvial/molecule_reward.h");
  refused_library(library_here("newer"), "reward", FLV_EINVAL,
                  "newer.so: made with version 2 of fluvial/molecule_reward.h, expected 1");
  refused_library(library_here("behaves"), "reward", FLV_EINVAL,
                  "behaves.so: has no function 'reward' (reward.symbol)");
}

static void libraries_fail(void **unused) {
  (void)unused;
  static const struct {
    const char *config, *text;
    flv_status status;
  } cases[] = {
      {"fails", "behaves.so: 'behaves' failed (7): no licence for this", FLV_EIO},
      {"says nothing", "failed (-3): it did not say why", FLV_EIO},
      {"says too much", "failed (1): !!!!", FLV_EIO},
      {"nan", "reward 'molecule_library': nan for ", FLV_ENAN},
      {"nothing", "reward 'molecule_library': nan for ", FLV_ENAN},
      {"negative", "reward 'molecule_library': -0.5 for ", FLV_EINVAL},
      {"infinite", "reward 'molecule_library': inf for ", FLV_EINVAL},
      {"zero", NULL, FLV_OK},
      {"", NULL, FLV_OK},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    flv_error err;
    problem *p = open_problem("molecule_library", "3", 20,
                              LIBRARY("behaves", "behaves", {"reward.config", cases[k].config}));
    for (int i = 0; i < 2; i++) { // what failed is asked for again
      assert_int_equal(ask(p, &err), cases[k].status);
      if (cases[k].text && !strstr(err.text, cases[k].text))
        fail_msg("'%s' does not say '%s'", err.text, cases[k].text);
    }
    if (cases[k].status == FLV_ENAN) { // of the molecule it names
      char name[TEXT] = "";
      assert_int_equal(sscanf(strstr(err.text, " for ") + 5, "%1023[^,]", name), 1);
      bool found = false;
      for (int i = 1; i < p->n; i++) {
        char text[TEXT];
        text_of(p, i, text);
        found |= strcmp(text, name) == 0;
      }
      assert_true(found);
    }
    close_problem(p);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers),
      cmocka_unit_test(atoms_and_bonds),
      cmocka_unit_test(each_molecule_is_asked_for_once),
      cmocka_unit_test(examples_agree),
      cmocka_unit_test(molecules_are_named),
      cmocka_unit_test(threads_agree),
      cmocka_unit_test(libraries_are_refused),
      cmocka_unit_test(libraries_fail),
  };
  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
