// The molecules behind trees of fragments, as files and people see them: rows of numbers that are
// read back, identities, SMILES, fingerprints.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "chem/fingerprint.h"
#include "chem/smiles.h"
#include "env/columns.h"
#include "env/molecules.h"
#include "molecule_run_fixture.h"

enum { N = 600, WORDS = FLV_FINGERPRINT_WORDS };

typedef struct drawn {
  flv_trainer *trainer;
  const flv_env *env;
  flv_fragments_state state[N];
} drawn;

static drawn *draw(const char *max_blocks) {
  flv_error err = {0};
  drawn *d = calloc(1, sizeof *d);
  flv_config *cfg = molecules("3");
  put(cfg, "env.max_blocks", max_blocks);
  d->trainer = flv_trainer_new(cfg, NULL, NULL, 1, &err);
  if (!d->trainer) fail_msg("%s", err.text);
  d->env = flv_trainer_env(d->trainer);
  assert_int_equal(d->env->state_size, sizeof d->state[0]);
  assert_int_equal(flv_trainer_sample(d->trainer, 1, N, d->state, NULL, &err), FLV_OK);
  flv_config_free(cfg);
  return d;
}

static void drop(drawn *d) {
  flv_trainer_free(d->trainer);
  free(d);
}

static const char *text_of(const flv_env *env, const void *state) {
  static char text[2][FLV_OBJECT_TEXT];
  static int next;
  flv_error err = {0};
  char *t = text[next++ % 2];
  if (env->ops->text(env, state, t, sizeof text[0], &err) != FLV_OK) fail_msg("%s", err.text);
  return t;
}

// Two states have the same key exactly if they have the same text, and some do.
static void keys_and_texts(void **unused) {
  (void)unused;
  drawn *d = draw("2");
  static char text[N][256];
  static uint64_t key[N][2];
  int same = 0, same_state = 0;
  d->env->ops->identify(d->env, N, d->state, key[0]);
  for (int i = 0; i < N; i++)
    snprintf(text[i], sizeof text[i], "%s", text_of(d->env, &d->state[i]));
  for (int i = 0; i < N; i++) {
    assert_true((key[i][0] | key[i][1]) != 0);
    assert_int_equal(strcspn(text[i], ", \"'\n"), strlen(text[i]));
    for (int k = 0; k < i; k++) {
      const bool equal = strcmp(text[i], text[k]) == 0;
      assert_int_equal(memcmp(key[i], key[k], sizeof key[i]) == 0, equal);
      same += equal;
      same_state += memcmp(&d->state[i], &d->state[k], sizeof d->state[i]) == 0;
    }
  }
  print_message("%d pairs of the same molecule, %d of the same state\n", same, same_state);
  assert_true(same > same_state && same_state > 0);
  drop(d);
}

// The text is the molecule: read again it has its canonical key, and the fingerprint is that of the
// molecule as it was assembled.
static void texts_are_the_molecules(void **unused) {
  (void)unused;
  drawn *d = draw("8");
  flv_molecules m, again;
  flv_error err = {0};
  assert_int_equal(flv_molecules_init(&m, flv_fragments_of(d->env), &err), FLV_OK);
  assert_int_equal(flv_molecules_init(&again, flv_fragments_of(d->env), &err), FLV_OK);
  for (int i = 0; i < N; i++) {
    const char *text = text_of(d->env, &d->state[i]);
    flv_molecule read;
    if (flv_smiles_read(&read, text, strlen(text), &err) != FLV_OK) fail_msg("%s", err.text);
    flv_molecules_assemble(&m, &d->state[i]);
    flv_canonical_key(m.canon, m.key, &m.molecule, NULL);
    flv_canonical_key(again.canon, again.key, &read, NULL);
    assert_int_equal(read.n_atoms, m.molecule.n_atoms);
    assert_memory_equal(m.key, again.key, flv_canonical_size(read.n_atoms, read.n_bonds));
    uint64_t a[WORDS], b[WORDS];
    assert_int_equal(d->env->n_fingerprint, WORDS);
    assert_int_equal(d->env->ops->fingerprint(d->env, text, a, &err), FLV_OK);
    assert_int_equal(flv_fingerprint(b, &m.molecule, &err), FLV_OK);
    assert_memory_equal(a, b, sizeof a);
    flv_molecule_free(&read);
  }
  flv_molecules_free(&again);
  flv_molecules_free(&m);
  drop(d);
}

// s0, texts that are too long for their room, texts that are none.
static void at_the_edges(void **unused) {
  (void)unused;
  drawn *d = draw("4");
  const flv_fragments_state nothing = {0};
  uint64_t key[2] = {5, 5}, bits[WORDS] = {7};
  char text[256] = "x", tight[256];
  flv_error err = {0};
  d->env->ops->identify(d->env, 1, &nothing, key);
  assert_true(key[0] == 0 && key[1] == 0);
  assert_int_equal(d->env->ops->text(d->env, &nothing, text, sizeof text, &err), FLV_OK);
  assert_string_equal(text, "");
  snprintf(text, sizeof text, "%s", text_of(d->env, &d->state[0]));
  const size_t length = strlen(text);
  assert_int_equal(d->env->ops->text(d->env, &d->state[0], tight, length + 1, &err), FLV_OK);
  assert_string_equal(tight, text);
  assert_int_equal(d->env->ops->text(d->env, &d->state[0], tight, length, &err), FLV_EINVAL);
  assert_true(err.text[0] != '\0');
  assert_int_equal(d->env->ops->fingerprint(d->env, "C(", bits, &err), FLV_EINVAL);
  assert_true(bits[0] == 7);
  drop(d);
}

// ---- rows of numbers ----

// A change of one number of a row gives another state, which is written as that row, or none.
static void rows_are_read_back(void **unused) {
  (void)unused;
  drawn *d = draw("5");
  enum { COLUMNS = 15 };
  int32_t cells[COLUMNS], again[COLUMNS];
  flv_fragments_state s;
  int others = 0, refused = 0;
  assert_int_equal(flv_columns_count(d->env), COLUMNS);
  const flv_fragments *e = flv_fragments_of(d->env);
  for (int i = 0; i < N; i++) {
    flv_columns_fill(d->env, 1, &d->state[i], cells);
    memset(&s, 0xab, sizeof s);
    assert_true(d->env->ops->from_columns(d->env, cells, &s));
    assert_memory_equal(&s, &d->state[i], sizeof s);
    for (int c = 0; c < COLUMNS; c++)
      for (int change = -2; change <= 2; change++) {
        cells[c] += change;
        if (change != 0 && d->env->ops->from_columns(d->env, cells, &s)) {
          flv_columns_fill(d->env, 1, &s, again);
          assert_memory_equal(cells, again, sizeof cells);
          uint32_t used[FLV_FRAGMENTS_MAX] = {0};
          for (int p = 1; p < (int)s.n; p++) { // every slot is there and used once
            const uint32_t bit = UINT32_C(1) << s.slot[p];
            assert_true(s.parent[p] < p && !(used[s.parent[p]] & bit));
            assert_true(s.slot[p] < e->vocabulary.block[s.block[s.parent[p]]].n_attach);
            assert_true(s.parent[p] == 0 || s.slot[p] > 0);
            used[s.parent[p]] |= bit;
          }
          others++;
        } else if (change != 0) {
          refused++;
        }
        cells[c] -= change;
      }
  }
  print_message("%d other states, %d rows refused\n", others, refused);
  assert_true(others > N && refused > N);
  drop(d);
}

static void rows_that_are_none(void **unused) {
  (void)unused;
  drawn *d = draw("3");
  // benzene is block 0, with 6 slots; the last block is chlorine, with one
  const int last = flv_fragments_of(d->env)->vocabulary.n_blocks - 1;
  const struct {
    int32_t cells[9];
    bool state;
  } rows[] = {
      {{-1, -1, -1, -1, -1, -1, -1, -1, -1}, true}, // s0
      {{0, 0, 0, -1, -1, -1, -1, -1, -1}, true},
      {{0, 0, 0, 0, 0, 5, -1, -1, -1}, true},
      {{0, 0, 0, 0, 0, 0, last, 1, 1}, true},
      {{0, 0, 0, 0, 0, 1, last, 0, 0}, false}, // not in order
      {{0, 0, 0, 0, 0, 1, last, 0, 1}, false}, // a slot twice
      {{0, 0, 0, 0, 0, 6, -1, -1, -1}, false}, // no such slot
      {{0, 0, 0, 0, 0, 0, last, 1, 0}, false}, // the slot it is joined by
      {{0, 0, 0, 0, 1, 1, -1, -1, -1}, false}, // its own parent
      {{0, 0, 1, -1, -1, -1, -1, -1, -1}, false},
      {{last + 1, 0, 0, -1, -1, -1, -1, -1, -1}, false},
      {{last, 0, 0, 0, 0, 0, 0, 0, 1}, false},
      {{-1, -1, -1, 0, 0, 0, -1, -1, -1}, false},
      {{0, 0, 0, -1, -1, 0, -1, -1, -1}, false},
      {{0, 0, 0, -2, -1, -1, -1, -1, -1}, false},
  };
  flv_fragments_state s;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (d->env->ops->from_columns(d->env, rows[i].cells, &s) != rows[i].state)
      fail_msg("row %zu of the test", i);
  drop(d);
}

// What `sample` writes: SMILES with rewards, or numbers that are read back.
static void sampled_files(void **unused) {
  (void)unused;
  enum { ROWS = 300 };
  flv_error err = {0};
  flv_config *cfg = molecules("3");
  const char *const run = in("run"), *const csv = in("some.csv"), *const npy = in("some.npy");
  const flv_run_options options = {.out = run, .threads = 1};
  if (flv_run_train(cfg, &options, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_int_equal(flv_run_sample(run, 1, 0, ROWS, csv, &err), FLV_OK);
  assert_int_equal(flv_run_sample(run, 1, 0, ROWS, npy, &err), FLV_OK);
  flv_trainer *t = flv_run_open(run, 1, &err);
  assert_non_null(t);
  const flv_env *env = flv_trainer_env(t);
  int64_t n;
  void *states;
  if (flv_objects_read(env, npy, &n, &states, &err) != FLV_OK) fail_msg("%s", err.text);
  assert_int_equal(n, ROWS);
  double log_r[ROWS];
  assert_int_equal(flv_reward_log(flv_trainer_reward(t), env, ROWS, states, log_r, NULL), FLV_OK);
  FILE *f = fopen(csv, "r");
  assert_non_null(f);
  char line[512], expected[512];
  assert_non_null(fgets(line, sizeof line, f));
  assert_string_equal(line, "smiles,log_r,reward\n");
  for (int i = 0; i < ROWS; i++) {
    assert_non_null(fgets(line, sizeof line, f));
    snprintf(expected, sizeof expected, "%s,%.10g,%.6g\n",
             text_of(env, flv_fragments_at(states, i)), log_r[i], 2.0 * exp(log_r[i] / 3.0));
    assert_string_equal(line, expected);
  }
  assert_null(fgets(line, sizeof line, f));
  fclose(f);
  free(states);
  assert_int_equal(flv_objects_read(env, csv, &n, &states, &err),
                   FLV_EINVAL); // these are no numbers
  assert_non_null(strstr(err.text, "some.csv: line 2, column 1: expected a number"));
  flv_trainer_free(t);
  flv_config_free(cfg);
}

static void rewards_and_their_environment(void **unused) {
  (void)unused;
  flv_error err = {0};
  flv_config *cfg = molecules("3"), *grid = configure(0, NULL);
  flv_reward *reward = flv_reward_new(cfg, &err);
  flv_env *right = flv_env_new(cfg, NULL, &err), *wrong = flv_env_new(grid, NULL, &err);
  assert_true(reward && right && wrong);
  assert_true(reward->scale == 2.0);
  assert_int_equal(reward->bind(reward, right, &err), FLV_OK);
  assert_int_equal(reward->bind(reward, wrong, &err), FLV_EINVAL);
  assert_non_null(strstr(err.text, "'molecule_network' needs environment 'fragments', not 'hyper"));
  flv_env_free(wrong);
  flv_env_free(right);
  flv_reward_free(reward);
  flv_config_free(grid);
  flv_config_free(cfg);
}

// ---- several threads, which share the environment ----

typedef struct asking {
  const drawn *d;
  const uint64_t (*key)[2];
  int wrong;
} asking;

static void *ask(void *context) {
  asking *a = context;
  const flv_env *env = a->d->env;
  for (int i = 0; i < N; i++) {
    uint64_t key[2];
    char text[FLV_OBJECT_TEXT], again[FLV_OBJECT_TEXT];
    env->ops->identify(env, 1, &a->d->state[i], key);
    a->wrong += memcmp(key, a->key[i], sizeof key) != 0;
    a->wrong += env->ops->text(env, &a->d->state[i], text, sizeof text, NULL) != FLV_OK;
    a->wrong += env->ops->text(env, &a->d->state[i], again, sizeof again, NULL) != FLV_OK;
    a->wrong += strcmp(text, again) != 0;
  }
  return NULL;
}

static void threads_share_it(void **unused) {
  (void)unused;
  enum { THREADS = 4 };
  drawn *d = draw("4");
  static uint64_t key[N][2];
  d->env->ops->identify(d->env, N, d->state, key[0]);
  pthread_t thread[THREADS];
  asking a[THREADS];
  for (int k = 0; k < THREADS; k++) {
    a[k] = (asking){d, (const uint64_t(*)[2])key, 0};
    assert_int_equal(pthread_create(&thread[k], NULL, ask, &a[k]), 0);
  }
  for (int k = 0; k < THREADS; k++) {
    pthread_join(thread[k], NULL);
    assert_int_equal(a[k].wrong, 0);
  }
  drop(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(keys_and_texts),
      cmocka_unit_test(texts_are_the_molecules),
      cmocka_unit_test(at_the_edges),
      cmocka_unit_test(rows_are_read_back),
      cmocka_unit_test(rows_that_are_none),
      cmocka_unit_test(sampled_files),
      cmocka_unit_test(rewards_and_their_environment),
      cmocka_unit_test(threads_share_it),
  };
  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
