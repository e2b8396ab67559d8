// Molecules for tests. cmocka is included before.
#ifndef FLUVIAL_TESTS_MOLECULE_FIXTURE_H
#define FLUVIAL_TESTS_MOLECULE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chem/assemble.h"
#include "chem/smiles.h"

static inline flv_molecule smiles(const char *text) {
  flv_molecule m = {0};
  flv_error err = {0};
  if (flv_smiles_read(&m, text, strlen(text), &err) != FLV_OK) fail_msg("%s: %s", text, err.text);
  return m;
}

// A file of the data of the paper's molecules, which lie outside of the repository; NULL if
// FLUVIAL_DATA does not say where.
static inline const char *molecule_data(const char *name) {
  static char path[1024];
  const char *folder = getenv("FLUVIAL_DATA");
  if (!folder) return NULL;
  snprintf(path, sizeof path, "%s/molecules/%s", folder, name);
  FILE *f = fopen(path, "r");
  if (!f) return NULL;
  fclose(f);
  return path;
}

#define MOLECULE_DATA_OR_SKIP(name)                                                                \
  do {                                                                                             \
    if (!molecule_data(name)) {                                                                    \
      print_message("skipped: FLUVIAL_DATA has no molecules/%s\n", name);                          \
      skip();                                                                                      \
    }                                                                                              \
  } while (0)

// A list of joined blocks, as an environment would hold it.
enum { DESIGN_BLOCKS = 12, DESIGN_STEMS = DESIGN_BLOCKS * FLV_BLOCK_MAX_ATTACH };
typedef struct design {
  int n, n_stems;
  int16_t block[DESIGN_BLOCKS];
  flv_junction junction[DESIGN_BLOCKS];
  flv_stem stem[DESIGN_STEMS];
} design;

// Joins a block to a stem (of the first block: to none) by its first attachment atom.
static inline void design_add(design *d, const flv_vocabulary *v, int block, int stem) {
  const flv_block *b = &v->block[block];
  const int position = d->n++;
  d->block[position] = (int16_t)block;
  if (position > 0) {
    const flv_stem at = d->stem[stem];
    d->junction[position - 1] =
        (flv_junction){{at.block, (int16_t)position}, {at.atom, b->attach[0]}};
    memmove(&d->stem[stem], &d->stem[stem + 1], sizeof *d->stem * (size_t)(d->n_stems - stem - 1));
    d->n_stems--;
  }
  for (int k = 1; k < b->n_attach; k++)
    d->stem[d->n_stems++] = (flv_stem){(int16_t)position, b->attach[k]};
  if (position == 0) d->stem[d->n_stems++] = (flv_stem){0, b->attach[0]};
}

// A random one of at most n blocks; `below(k)` draws from 0 to k - 1.
static inline void design_random(design *d, const flv_vocabulary *v, int n, int (*below)(int)) {
  memset(d, 0, sizeof *d);
  do design_add(d, v, below(v->n_blocks), d->n_stems > 0 ? below(d->n_stems) : 0);
  while (d->n < n && d->n_stems > 0);
}

// The next line of eval_mols.tsv; false at its end.
static inline bool design_read(design *d, double *proxy, FILE *f) {
  char line[1024], *field[7] = {line};
  memset(d, 0, sizeof *d);
  do
    if (!fgets(line, sizeof line, f)) return false;
  while (line[0] == '#');
  int n = 1;
  for (char *p = line; *p; p++)
    if (*p == '\t' && n < 7) *p = '\0', field[n++] = p + 1;
  assert_int_equal(n, 7);
  *proxy = atof(field[1]);
  for (char *p = field[2]; *p; p += *p == ',') d->block[d->n++] = (int16_t)strtol(p, &p, 10);
  int junctions = 0;
  for (char *p = field[3]; *p; p += *p == ';') {
    int value[4];
    for (int k = 0; k < 4; k++, p += *p == ',') value[k] = (int)strtol(p, &p, 10);
    d->junction[junctions++] = (flv_junction){{(int16_t)value[0], (int16_t)value[1]},
                                              {(int16_t)value[2], (int16_t)value[3]}};
  }
  assert_int_equal(junctions, d->n - 1);
  for (char *p = field[4]; *p; p += *p == ';') {
    flv_stem *stem = &d->stem[d->n_stems++];
    stem->block = (int16_t)strtol(p, &p, 10);
    assert_true(*p == ',');
    stem->atom = (int16_t)strtol(p + 1, &p, 10);
  }
  return true;
}

#endif
