// The molecules of the paper, from the data that lie outside of the repository. cmocka is included
// before.
#ifndef FLUVIAL_TESTS_PUBLISHED_MOLECULES_H
#define FLUVIAL_TESTS_PUBLISHED_MOLECULES_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chem/assemble.h"
#include "chem/perceive.h"
#include "chem/vocabulary.h"
#include "reward/mpnn.h"

enum { PARTS = 8, STEMS = 64, PUBLISHED = 950, MOST_ATOMS = 128 };

typedef struct description { // of a molecule, as the file of evaluation molecules has it
  int n_blocks, n_bonds, n_stems;
  int16_t block[PARTS];
  flv_junction bond[PARTS];
  flv_stem stem[STEMS];
} description;

typedef struct published { // graphs with their memory
  flv_atom_graphs graphs;
  int first_atom[PUBLISHED + 1], first_edge[PUBLISHED + 1];
  double *x;
  flv_edge *edge;
} published;

static inline const char *data_path(const char *name) {
  static char path[2][1024];
  static int next;
  const char *folder = getenv("FLUVIAL_DATA");
  if (!folder) return NULL;
  char *p = path[next++ % 2];
  snprintf(p, sizeof path[0], "%s/molecules/%s", folder, name);
  FILE *f = fopen(p, "rb");
  if (!f) return NULL;
  fclose(f);
  return p;
}

// Graphs of n molecules. no_stems: the column of stems is zero.
static inline void make_graphs(published *g, int n, const description *d, bool no_stems) {
  flv_vocabulary v = {0};
  flv_molecule m;
  flv_perception perception;
  flv_error err = {0};
  int atoms = 0, edges = 0;
  if (flv_vocabulary_read(&v, data_path("blocks_PDB_105.json"), FLV_STEMS_PUBLISHED, &err) ||
      flv_molecule_init(&m, MOST_ATOMS, 2 * MOST_ATOMS, &err) ||
      flv_perception_init(&perception, MOST_ATOMS, 2 * MOST_ATOMS, &err))
    fail_msg("%s", err.text);
  *g = (published){.x = calloc((size_t)n * MOST_ATOMS * FLV_ATOM_FEATURES, sizeof *g->x),
                   .edge = calloc((size_t)n * MOST_ATOMS * 4, sizeof *g->edge)};
  assert_non_null(g->x);
  assert_non_null(g->edge);
  for (int i = 0; i < n; i++, d++) {
    int32_t first[PARTS + 1];
    uint8_t stem[MOST_ATOMS];
    flv_assemble(&m, first, &v, d->n_blocks, d->block, d->n_bonds, d->bond);
    flv_stem_counts(stem, m.n_atoms, first, d->n_stems, d->stem);
    flv_perceive(&perception, &m);
    flv_atom_features(g->x + (size_t)atoms * FLV_ATOM_FEATURES, &m, &perception,
                      no_stems ? NULL : stem);
    g->first_atom[i] = atoms;
    g->first_edge[i] = edges;
    edges += flv_atom_edges(g->edge + edges, &m);
    atoms += m.n_atoms;
  }
  g->first_atom[n] = atoms;
  g->first_edge[n] = edges;
  g->graphs = (flv_atom_graphs){n, g->first_atom, g->first_edge, g->x, g->edge};
  flv_perception_free(&perception);
  flv_molecule_free(&m);
  flv_vocabulary_free(&v);
}

static inline void free_graphs(published *g) {
  free(g->x);
  free(g->edge);
}

// Numbers of "1,2;3,4", `per` to a group: how many groups.
static inline int read_groups(const char *text, int per, int room, int16_t *number) {
  int n = 0;
  for (char *end; *text; text = *end ? end + 1 : end) {
    assert_true(n < per * room);
    number[n++] = (int16_t)strtol(text, &end, 10);
    assert_true(end != text);
  }
  assert_int_equal(n % per, 0);
  return n / per;
}

// The evaluation molecules, with the reward and the value that are stored with each.
static inline void read_published(description *d, double *reward, double *value) {
  FILE *f = fopen(data_path("eval_mols.tsv"), "rb");
  char line[4096], *field[7], *rest;
  int n = 0;
  assert_non_null(f);
  while (fgets(line, sizeof line, f)) {
    if (*line == '#') continue;
    assert_true(n < PUBLISHED);
    rest = line;
    for (int i = 0; i < 7; i++) assert_non_null(field[i] = strsep(&rest, "\t\n"));
    reward[n] = strtod(field[0], NULL);
    value[n] = strtod(field[1], NULL);
    d[n].n_blocks = read_groups(field[2], 1, PARTS, d[n].block);
    d[n].n_bonds = read_groups(field[3], 4, PARTS, (int16_t *)d[n].bond);
    d[n].n_stems = read_groups(field[4], 2, STEMS, (int16_t *)d[n].stem);
    n++;
  }
  fclose(f);
  assert_int_equal(n, PUBLISHED);
}

#endif
