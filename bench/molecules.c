// Molecules: how long assembly, features, canonical keys, SMILES and fingerprints take; or the
// molecules themselves, for tools/check_molecules.py and check_fingerprints.py to compare with
// RDKit.
//
//   build/bench/molecules time VOCABULARY [N]
//   build/bench/molecules dump VOCABULARY [N]    random ones, of up to 9 blocks
//   build/bench/molecules fingerprint VOCABULARY [N]  random ones: SMILES <tab> bits, 2047 first
//   build/bench/molecules list VOCABULARY < file blocks <tab> junctions <tab> stems, a line each
//   build/bench/molecules read VOCABULARY < file SMILES, a line each
//
// Lines of dump and list: blocks, junctions, stems as they were, then SMILES, the canonical key,
// atoms (Z,charge,aromatic,hydrogens,hybridisation of each), bonds (a,b,order,conjugated), and the
// canonical form's SMILES, between tabs. Of read: the SMILES in place of the blocks, and nothing
// else but the message where it is refused.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chem/assemble.h"
#include "chem/canonical.h"
#include "chem/fingerprint.h"
#include "chem/perceive.h"
#include "chem/smiles.h"

enum { MAX_BLOCKS = 16, MAX_STEMS = MAX_BLOCKS * FLV_BLOCK_MAX_ATTACH, TEXT = 8192 };

typedef struct design {
  int n, n_junctions, n_stems;
  int16_t block[MAX_BLOCKS];
  flv_junction junction[MAX_BLOCKS];
  flv_stem stem[MAX_STEMS];
} design;

typedef struct work {
  flv_vocabulary v;
  flv_molecule molecule, form;
  flv_perception p;
  flv_canon *canon;
  int32_t first[MAX_BLOCKS + 1];
  uint8_t *stem, *key;
  double *x;
  flv_edge *edge;
  char text[TEXT];
} work;

static void must(flv_status status, const flv_error *err) {
  if (status == FLV_OK) return;
  fprintf(stderr, "molecules: %s\n", err->text);
  exit(1);
}

static uint64_t next_state = 1;

static int below(int n) { // splitmix64
  uint64_t z = next_state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return (int)((z ^ z >> 31) % (uint64_t)n);
}

static void draw(design *d, const flv_vocabulary *v) {
  const int most = 1 + below(9);
  memset(d, 0, sizeof *d);
  do {
    const int k = below(v->n_blocks), position = d->n++;
    const flv_block *b = &v->block[k];
    d->block[position] = (int16_t)k;
    if (position > 0) {
      const int s = below(d->n_stems);
      const flv_stem at = d->stem[s];
      d->junction[d->n_junctions++] =
          (flv_junction){{at.block, (int16_t)position}, {at.atom, b->attach[0]}};
      memmove(&d->stem[s], &d->stem[s + 1], sizeof *d->stem * (size_t)(d->n_stems - s - 1));
      d->n_stems--;
    }
    for (int l = 1; l < b->n_attach; l++)
      d->stem[d->n_stems++] = (flv_stem){(int16_t)position, b->attach[l]};
    if (position == 0) d->stem[d->n_stems++] = (flv_stem){0, b->attach[0]};
  } while (d->n < most && d->n_stems > 0);
}

static void setup(work *w, const char *path) {
  flv_error err = {0};
  must(flv_vocabulary_read(&w->v, path, FLV_STEMS_PUBLISHED, &err), &err);
  const int atoms = MAX_BLOCKS * w->v.max_atoms, bonds = MAX_BLOCKS * (w->v.max_bonds + 1);
  must(flv_molecule_init(&w->molecule, atoms, bonds, &err), &err);
  must(flv_molecule_init(&w->form, atoms, bonds, &err), &err);
  must(flv_perception_init(&w->p, atoms, bonds, &err), &err);
  must(flv_canon_new(&w->canon, atoms, bonds, &err), &err);
  w->stem = calloc((size_t)atoms, 1);
  w->key = calloc(flv_canonical_size(atoms, bonds), 1);
  w->x = calloc((size_t)atoms * FLV_ATOM_FEATURES, sizeof *w->x);
  w->edge = calloc((size_t)bonds * 2 + 1, sizeof *w->edge);
  if (!w->stem || !w->key || !w->x || !w->edge) must(FLV_ENOMEM, &(flv_error){.text = "memory"});
}

static void assemble(work *w, const design *d) {
  flv_assemble(&w->molecule, w->first, &w->v, d->n, d->block, d->n_junctions, d->junction);
}

static void perceive(work *w, const design *d) {
  flv_perceive(&w->p, &w->molecule);
  flv_stem_counts(w->stem, w->molecule.n_atoms, w->first, d->n_stems, d->stem);
  flv_atom_features(w->x, &w->molecule, &w->p, w->stem);
  flv_atom_edges(w->edge, &w->molecule);
}

static void key(work *w) { flv_canonical_key(w->canon, w->key, &w->molecule, NULL); }

static void write(work *w, const flv_molecule *m) {
  flv_error err = {0};
  size_t length;
  must(flv_smiles_write(w->text, sizeof w->text, &length, m, &err), &err);
}

// ---- dump and list

static void print_design(const design *d) {
  for (int i = 0; i < d->n; i++) printf("%s%d", i ? "," : "", d->block[i]);
  for (int k = 0; k < d->n_junctions; k++) {
    const flv_junction *j = &d->junction[k];
    printf("%s%d,%d,%d,%d", k ? ";" : "\t", j->block[0], j->block[1], j->atom[0], j->atom[1]);
  }
  if (d->n_junctions == 0) putchar('\t');
  for (int k = 0; k < d->n_stems; k++)
    printf("%s%d,%d", k ? ";" : "\t", d->stem[k].block, d->stem[k].atom);
  if (d->n_stems == 0) putchar('\t');
}

static void print_molecule(work *w) {
  const flv_molecule *m = &w->molecule;
  write(w, m);
  printf("\t%s\t", w->text);
  const size_t size = flv_canonical_size(m->n_atoms, m->n_bonds);
  for (size_t i = 0; i < size; i++) printf("%02x", w->key[i]);
  for (int i = 0; i < m->n_atoms; i++)
    printf("%s%d,%d,%d,%d,%d", i ? ";" : "\t", m->atom[i].z, m->atom[i].q, m->atom[i].aromatic,
           w->p.hydrogens[i], w->p.hybrid[i]);
  for (int k = 0; k < m->n_bonds; k++)
    printf("%s%d,%d,%d,%d", k ? ";" : "\t", m->bond[k].a, m->bond[k].b, m->bond[k].order,
           w->p.conjugated[k]);
  if (m->n_bonds == 0) putchar('\t');
  flv_canonical_form(w->canon, &w->form, m);
  write(w, &w->form);
  printf("\t%s\n", w->text);
}

static void print(work *w, const design *d) {
  assemble(w, d);
  perceive(w, d);
  key(w);
  print_design(d);
  print_molecule(w);
}

// Numbers of a field, `each` at a time.
static int numbers(const char *field, int each, int16_t *to, int most) {
  int n = 0;
  for (char *end; *field && *field != '\t' && *field != '\n';
       field = end + (*end == ',' || *end == ';')) {
    const long value = strtol(field, &end, 10);
    if (end == field || n == most)
      must(FLV_EINVAL, &(flv_error){.text = "a line is not understood"});
    to[n++] = (int16_t)value;
  }
  return n / each;
}

static bool read_design(design *d, FILE *f) {
  char line[TEXT], *field[3] = {line, "", ""};
  memset(d, 0, sizeof *d);
  if (!fgets(line, sizeof line, f)) return false;
  int n = 1;
  for (char *c = line; *c && n < 3; c++)
    if (*c == '\t') field[n++] = c + 1;
  int16_t pair[2 * MAX_STEMS], four[4 * MAX_BLOCKS];
  d->n = numbers(field[0], 1, d->block, MAX_BLOCKS);
  d->n_junctions = numbers(field[1], 4, four, 4 * MAX_BLOCKS);
  d->n_stems = numbers(field[2], 2, pair, 2 * MAX_STEMS);
  for (int k = 0; k < d->n_junctions; k++)
    d->junction[k] =
        (flv_junction){{four[4 * k], four[4 * k + 1]}, {four[4 * k + 2], four[4 * k + 3]}};
  for (int k = 0; k < d->n_stems; k++) d->stem[k] = (flv_stem){pair[2 * k], pair[2 * k + 1]};
  return true;
}

static void read_lines(work *w, FILE *f) {
  char line[TEXT];
  while (fgets(line, sizeof line, f)) {
    flv_error err = {0};
    flv_molecule read;
    line[strcspn(line, "\r\n")] = '\0';
    if (flv_smiles_read(&read, line, strlen(line), &err) != FLV_OK) {
      printf("%s\t%s\n", line, err.text);
      continue;
    }
    if (read.n_atoms <= w->molecule.max_atoms && read.n_bonds <= w->molecule.max_bonds) {
      flv_molecule_clear(&w->molecule);
      flv_molecule_append(&w->molecule, &read);
      flv_perceive(&w->p, &w->molecule);
      key(w);
      printf("%s\t\t", line);
      print_molecule(w);
    }
    flv_molecule_free(&read);
  }
}

static void fingerprint(work *w, uint64_t bits[FLV_FINGERPRINT_WORDS]) {
  flv_error err = {0};
  must(flv_fingerprint(bits, &w->molecule, &err), &err);
}

static void print_fingerprint(work *w, const design *d) {
  uint64_t bits[FLV_FINGERPRINT_WORDS];
  assemble(w, d);
  fingerprint(w, bits);
  flv_canonical_form(w->canon, &w->form, &w->molecule);
  write(w, &w->form);
  printf("%s\t", w->text);
  for (int k = FLV_FINGERPRINT_WORDS - 1; k >= 0; k--)
    printf("%016llx", (unsigned long long)bits[k]);
  putchar('\n');
}

// ---- time

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void measure(work *w, int n) {
  design *d = calloc((size_t)n, sizeof *d);
  if (!d) must(FLV_ENOMEM, &(flv_error){.text = "memory"});
  double spent[5] = {0};
  uint64_t bits[FLV_FINGERPRINT_WORDS];
  long atoms = 0;
  for (int i = 0; i < n; i++) draw(&d[i], &w->v);
  for (int i = 0; i < n; i++) {
    double t[6];
    t[0] = seconds(), assemble(w, &d[i]);
    t[1] = seconds(), perceive(w, &d[i]);
    t[2] = seconds(), key(w);
    t[3] = seconds(), write(w, &w->molecule);
    t[4] = seconds(), fingerprint(w, bits);
    t[5] = seconds();
    for (int k = 0; k < 5; k++) spent[k] += t[k + 1] - t[k];
    atoms += w->molecule.n_atoms;
  }
  static const char *const what[] = {"assembly", "features", "canonical key", "SMILES",
                                     "fingerprint"};
  printf("%d random molecules, %.1f atoms on average; microseconds of CPU for each:\n", n,
         (double)atoms / n);
  for (int k = 0; k < 5; k++) printf("  %-14s %8.2f\n", what[k], 1e6 * spent[k] / n);
  free(d);
}

int main(int argc, char **argv) {
  const int n = argc > 3 ? atoi(argv[3]) : 10000;
  static work w;
  design d;
  if (argc < 3 || n < 1 || !strchr("tdlrf", argv[1][0])) {
    fprintf(stderr, "usage: molecules time|dump|fingerprint|list|read VOCABULARY [N]\n");
    return 2;
  }
  setup(&w, argv[2]);
  if (argv[1][0] == 't') measure(&w, n);
  for (int i = 0; i < n && argv[1][0] == 'd'; i++) draw(&d, &w.v), print(&w, &d);
  for (int i = 0; i < n && argv[1][0] == 'f'; i++) draw(&d, &w.v), print_fingerprint(&w, &d);
  while (argv[1][0] == 'l' && read_design(&d, stdin)) print(&w, &d);
  if (argv[1][0] == 'r') read_lines(&w, stdin);
  flv_canon_free(w.canon);
  flv_perception_free(&w.p);
  flv_molecule_free(&w.form);
  flv_molecule_free(&w.molecule);
  flv_vocabulary_free(&w.v);
  free(w.stem), free(w.key), free(w.x), free(w.edge);
  return 0;
}
