// Walks over molecules joined from fragments, forward and back, with parents: molecule: beside a
// naive twin that keeps lists of blocks, bonds and stems, as the literature describes the states.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "env/molecules.h"
#include "env_fixture.h"
#include "molecule_fixture.h"

enum { WALKS = 10000, MOST_ACTIONS = 1 << 14 };

static int below(int n) {
  static uint32_t next;
  const flv_rng rng = {11, FLV_RNG_TEST, 0};
  return (int)(flv_rng_uniform(rng, next++, 0) * n);
}

// ---- the twin: tests/molecule_fixture.h has how it grows ----

static int degree(const design *d, int b) {
  int n = 0;
  for (int k = 0; k < d->n - 1; k++)
    n += d->junction[k].block[0] == b || d->junction[k].block[1] == b;
  return n;
}

static int parents(const design *d) {
  int n = 0;
  for (int b = 0; b < d->n; b++) n += degree(d, b) == 1;
  return d->n == 1 ? 1 : n;
}

// Takes away a block of degree one; the stem that this frees is the last. *atom: the one by which
// the block was bonded.
static void design_remove(design *d, int b, int *atom) {
  int k = 0, n = 0;
  while (d->junction[k].block[0] != b && d->junction[k].block[1] != b) k++;
  const flv_junction bond = d->junction[k];
  const int end = bond.block[1] == b;
  *atom = bond.atom[end];
  d->n--;
  memmove(d->junction + k, d->junction + k + 1, sizeof bond * (size_t)(d->n - k));
  memmove(d->block + b, d->block + b + 1, sizeof *d->block * (size_t)(d->n - b));
  for (int i = 0; i < d->n - 1; i++)
    for (int j = 0; j < 2; j++) {
      int16_t *end_block = &d->junction[i].block[j];
      *end_block = (int16_t)(*end_block - (*end_block > b));
    }
  for (int i = 0; i < d->n_stems; i++) {
    flv_stem s = d->stem[i];
    if (s.block == b) continue;
    s.block = (int16_t)(s.block - (s.block > b));
    d->stem[n++] = s;
  }
  d->stem[n] = (flv_stem){(int16_t)(bond.block[!end] - (bond.block[!end] > b)), bond.atom[!end]};
  d->n_stems = n + 1;
}

static int stems_at(const design *d, int b, int atom) {
  int n = 0;
  for (int i = 0; i < d->n_stems; i++) n += d->stem[i].block == b && d->stem[i].atom == atom;
  return n;
}

// ---- both together ----

typedef struct walker {
  flv_env env;
  const flv_fragments *e;
  flv_molecules molecules;
  unsigned tell; // what a step back and forward keeps
  design d;
  flv_fragments_state s;
  int place[DESIGN_BLOCKS]; // of the twin's blocks in the state
} walker;

static void open_walker(walker *w, const char *path, const char *keys, const char *values,
                        unsigned tell) {
  flv_error err = {0};
  char text[1100];
  memset(w, 0, sizeof *w);
  snprintf(text, sizeof text, "%s%s", path, values);
  if (create("fragments", keys, text, NULL, &w->env, &err)) fail_msg("%s", err.text);
  w->e = flv_fragments_of(&w->env);
  if (flv_molecules_init(&w->molecules, w->e, &err)) fail_msg("%s", err.text);
  w->tell = tell;
}

static void close_walker(walker *w) {
  flv_molecules_free(&w->molecules);
  close_env(&w->env);
}

static void key_of(walker *w, const flv_fragments_state *s, uint64_t key[2]) {
  flv_molecules_assemble(&w->molecules, s);
  flv_molecules_key(&w->molecules, w->tell, key);
}

static void check_mask(const walker *w) {
  static uint8_t mask[MOST_ACTIONS];
  const int k = w->e->vocabulary.n_blocks, n = w->d.n;
  const bool full = n == w->e->max_blocks;
  int rows = 0;
  assert_true(w->env.n_actions <= MOST_ACTIONS);
  w->env.ops->mask(&w->env, 1, &w->s, mask);
  for (int b = 0; b < n; b++) {
    const flv_block *block = &w->e->vocabulary.block[w->d.block[b]];
    assert_int_equal(w->s.block[w->place[b]], w->d.block[b]);
    for (int x = 0; x < w->e->vocabulary.fragment[block->fragment].molecule.n_atoms; x++) {
      int open = 0;
      for (int j = 0; j < block->n_attach && !full; j++) {
        if (block->attach[j] != x) continue;
        const uint8_t *row = mask + flv_fragments_action(w->e, w->place[b], j, 0);
        for (int i = 1; i < k; i++) assert_int_equal(row[i], row[0]);
        open += row[0];
      }
      if (!full) assert_int_equal(open, stems_at(&w->d, b, x));
      rows += open;
    }
  }
  if (n == 0) rows = 1;
  const bool exit = n >= 2 || full || (n > 0 && w->d.n_stems == 0);
  int legal = 0;
  for (int a = 0; a < w->env.n_actions; a++) legal += mask[a];
  assert_int_equal(mask[w->env.exit_action], exit);
  assert_int_equal(legal, rows * k + exit);
}

static void check_parents(const walker *w) {
  uint8_t mask[FLV_FRAGMENTS_MAX] = {0};
  int n = 0;
  w->env.ops->mask_back(&w->env, 1, &w->s, mask);
  for (int b = 0; b < w->d.n; b++) {
    assert_int_equal(mask[w->place[b]], w->d.n == 1 || degree(&w->d, b) == 1);
    n += mask[w->place[b]];
  }
  assert_int_equal(n, w->d.n == 0 ? 0 : parents(&w->d));
}

static void grow(walker *w) {
  const int k = below(w->e->vocabulary.n_blocks), stem = w->d.n ? below(w->d.n_stems) : 0;
  int32_t action = k, at;
  if (w->d.n > 0) {
    const int p = w->place[w->d.stem[stem].block];
    action = flv_fragments_action(w->e, p,
                                  flv_fragments_free_slot(w->e, &w->s, p, w->d.stem[stem].atom), k);
  }
  w->env.ops->back_of(&w->env, 1, &w->s, &action, &at);
  w->env.ops->step(&w->env, 1, &w->s, &action);
  for (int b = 0; b < w->d.n; b++) w->place[b] += w->place[b] >= at;
  w->place[w->d.n] = at;
  design_add(&w->d, &w->e->vocabulary, k, stem);
}

static void shrink(walker *w) {
  const flv_vocabulary *v = &w->e->vocabulary;
  int b = 0, atom = v->block[w->d.block[0]].attach[0];
  while (w->d.n > 1 && degree(&w->d, b = below(w->d.n)) != 1) {
  }
  const int removed = w->d.block[b], n = w->d.n;
  int32_t back = w->place[b], action;
  uint64_t before[2], after[2];
  key_of(w, &w->s, before);
  w->env.ops->action_of(&w->env, 1, &w->s, &back, &action);
  w->env.ops->unstep(&w->env, 1, &w->s, &back);
  memmove(w->place + b, w->place + b + 1, sizeof *w->place * (size_t)(n - 1 - b));
  for (int i = 0; i < n - 1; i++) w->place[i] -= w->place[i] > back;
  if (n == 1) {
    memset(&w->d, 0, sizeof w->d);
    assert_int_equal(action, removed);
  } else {
    design_remove(&w->d, b, &atom);
    const flv_stem freed = w->d.stem[w->d.n_stems - 1];
    const int join = action / v->n_blocks, p = join / w->e->slots, slot = join % w->e->slots;
    assert_int_equal(p, w->place[freed.block]);
    assert_int_equal(v->block[w->s.block[p]].attach[slot], freed.atom);
    assert_int_equal(action % v->n_blocks, flv_block_joining(v, removed, atom));
  }
  flv_fragments_state again = w->s;
  w->env.ops->step(&w->env, 1, &again, &action);
  key_of(w, &again, after);
  assert_true(before[0] == after[0] && before[1] == after[1]);
}

static void walk(walker *w) {
  for (int i = 0; i < WALKS; i++) {
    static const flv_fragments_state none;
    const int length = 1 + i % w->e->max_blocks;
    memset(&w->d, 0, sizeof w->d);
    w->s = none;
    while (w->d.n < length && (w->d.n == 0 || w->d.n_stems > 0)) {
      grow(w);
      check_mask(w);
      check_parents(w);
    }
    while (w->d.n > 0) {
      shrink(w);
      check_mask(w);
      check_parents(w);
    }
    assert_memory_equal(&w->s, &none, sizeof none);
  }
}

static void demonstration(void **unused) {
  (void)unused;
  walker w;
  open_walker(&w, "examples/molecules/fragments.json", "path", "",
              FLV_TELL_STEMS | FLV_TELL_JOINTS);
  walk(&w);
  close_walker(&w);
}

// Blocks of one fragment have other lists of attachments there, so that a root that comes back may
// have other stems; the molecule is the same.
static void published(void **unused) {
  (void)unused;
  MOLECULE_DATA_OR_SKIP("blocks_PDB_105.json");
  walker w;
  open_walker(&w, molecule_data("blocks_PDB_105.json"), "path,stem_types", ";published",
              FLV_TELL_JOINTS);
  walk(&w);
  close_walker(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(demonstration),
      cmocka_unit_test(published),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
