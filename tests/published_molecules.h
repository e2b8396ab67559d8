// The molecules of the paper, from the data that lie outside of the repository: fragments from
// mol_tables.json, put together here, features by chem/perceive. cmocka is included before.
#ifndef FLUVIAL_TESTS_PUBLISHED_MOLECULES_H
#define FLUVIAL_TESTS_PUBLISHED_MOLECULES_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chem/perceive.h"
#include "reward/mpnn.h"

enum { BLOCKS = 105, PARTS = 8, STEMS = 64, PUBLISHED = 950, MOST_ATOMS = 128 };

typedef struct description { // of a molecule, as the file of evaluation molecules has it
  int n_blocks, n_bonds, n_stems;
  int block[PARTS], bond[PARTS][4], stem[STEMS][2]; // bond: parts b1, b2, their atoms a1, a2
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

static inline cJSON *read_tables(void) {
  FILE *f = fopen(data_path("mol_tables.json"), "rb");
  static char text[1 << 16];
  assert_non_null(f);
  const size_t n = fread(text, 1, sizeof text, f);
  assert_true(n < sizeof text);
  fclose(f);
  cJSON *tables = cJSON_ParseWithLength(text, n);
  assert_non_null(tables);
  return tables;
}

static inline int at(const cJSON *array, int i) { return cJSON_GetArrayItem(array, i)->valueint; }

static inline const cJSON *fragment(const cJSON *tables, int block) {
  const cJSON *blocks = cJSON_GetObjectItem(tables, "blocks");
  const cJSON *which = cJSON_GetObjectItem(cJSON_GetArrayItem(blocks, block), "true");
  return cJSON_GetArrayItem(cJSON_GetObjectItem(tables, "fragments"), which->valueint);
}

// Fragments one behind the other, joined by single bonds, each of which takes an explicit hydrogen
// of its ends.
static inline void put_together(flv_molecule *m, int first[PARTS + 1], const cJSON *tables,
                                const description *d) {
  const cJSON *item;
  flv_molecule_clear(m);
  for (int p = 0; p < d->n_blocks; p++) {
    const cJSON *part = fragment(tables, d->block[p]);
    first[p] = m->n_atoms;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(part, "atoms")) {
      const flv_atom atom = {(uint8_t)at(item, 0), (int8_t)at(item, 1), (uint8_t)at(item, 2),
                             (uint8_t)at(item, 3), (uint8_t)at(item, 4)};
      flv_molecule_add_atom(m, atom);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(part, "bonds")) flv_molecule_add_bond(
        m, first[p] + at(item, 0), first[p] + at(item, 1), (flv_bond_order)at(item, 2));
  }
  first[d->n_blocks] = m->n_atoms;
  for (int i = 0; i < d->n_bonds; i++) {
    const int *j = d->bond[i], a = first[j[0]] + j[2], b = first[j[1]] + j[3];
    flv_molecule_add_bond(m, a, b, FLV_BOND_SINGLE);
    if (m->atom[a].eh > 0) m->atom[a].eh--;
    if (m->atom[b].eh > 0) m->atom[b].eh--;
  }
}

// Graphs of n molecules. no_stems: the column of stems is zero.
static inline void make_graphs(published *g, int n, const description *d, bool no_stems) {
  cJSON *tables = read_tables();
  flv_molecule m;
  flv_perception perception;
  flv_error err = {0};
  int atoms = 0, edges = 0, first[PARTS + 1];
  if (flv_molecule_init(&m, MOST_ATOMS, 2 * MOST_ATOMS, &err) ||
      flv_perception_init(&perception, MOST_ATOMS, 2 * MOST_ATOMS, &err))
    fail_msg("%s", err.text);
  *g = (published){.x = calloc((size_t)n * MOST_ATOMS * FLV_ATOM_FEATURES, sizeof *g->x),
                   .edge = calloc((size_t)n * MOST_ATOMS * 4, sizeof *g->edge)};
  assert_non_null(g->x);
  assert_non_null(g->edge);
  for (int i = 0; i < n; i++, d++) {
    uint8_t stem[MOST_ATOMS] = {0};
    put_together(&m, first, tables, d);
    for (int s = 0; s < d->n_stems; s++) stem[first[d->stem[s][0]] + d->stem[s][1]] = 1;
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
  cJSON_Delete(tables);
}

static inline void free_graphs(published *g) {
  free(g->x);
  free(g->edge);
}

// Numbers of "1,2;3,4", `per` to a group: how many groups.
static inline int read_groups(const char *text, int per, int room, int *number) {
  int n = 0;
  for (char *end; *text; text = *end ? end + 1 : end) {
    assert_true(n < per * room);
    number[n++] = (int)strtol(text, &end, 10);
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
    d[n].n_bonds = read_groups(field[3], 4, PARTS, d[n].bond[0]);
    d[n].n_stems = read_groups(field[4], 2, STEMS, d[n].stem[0]);
    n++;
  }
  fclose(f);
  assert_int_equal(n, PUBLISHED);
}

#endif
