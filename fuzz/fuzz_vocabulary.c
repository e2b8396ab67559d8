// libFuzzer target: any bytes as a vocabulary. What is accepted keeps its promises; what is refused
// leaves the output as it was, with one line of message.
//
//   clang -std=c17 -D_DEFAULT_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc \
//     fuzz/fuzz_vocabulary.c src/chem/*.c src/io/file.c src/base/memory.c src/base/status.c \
//     -lcjson -o fuzz_vocabulary && ./fuzz_vocabulary -max_len=1024

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chem/assemble.h"
#include "chem/element.h"
#include "chem/perceive.h"
#include "chem/vocabulary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
  if (!holds) abort();
}

static void check_block(const flv_vocabulary *v, int k) {
  const flv_block *b = &v->block[k];
  must(b->fragment >= 0 && b->fragment < v->n_fragments);
  must(b->n_attach >= 1 && b->n_attach <= FLV_BLOCK_MAX_ATTACH);
  const flv_fragment *f = &v->fragment[b->fragment];
  for (int l = 0; l < b->n_attach; l++) {
    const int x = b->attach[l];
    must(x >= 0 && x < f->molecule.n_atoms);
    const int with = flv_block_joining(v, k, x);
    must(with >= 0 && with < v->n_blocks && v->block[with].fragment == b->fragment);
    must(f->same[v->block[with].attach[0]] == f->same[x]);
    must(flv_stem_type(v, k, x) >= 0);
  }
  must(flv_block_joining(v, k, b->attach[0]) == k);
}

// Two copies of a block joined by the first attachments of both: every valence is allowed.
static void check_join(const flv_vocabulary *v, int k) {
  const int16_t x = v->block[k].attach[0], block[2] = {(int16_t)k, (int16_t)k};
  const flv_junction junction = {{0, 1}, {x, x}};
  int32_t first[3];
  flv_molecule m;
  flv_perception p;
  const int atoms = 2 * v->max_atoms, bonds = 2 * v->max_bonds + 1;
  must(flv_molecule_init(&m, atoms, bonds, NULL) == FLV_OK);
  must(flv_perception_init(&p, atoms, bonds, NULL) == FLV_OK);
  flv_assemble(&m, first, v, 2, block, 1, &junction);
  flv_perceive(&p, &m);
  for (int i = 0; i < m.n_atoms; i++) must(flv_valence_allowed(&m.atom[i], p.valence[i]));
  flv_perception_free(&p);
  flv_molecule_free(&m);
}

static void check(const flv_vocabulary *v, flv_stem_rule rule) {
  must(v->n_blocks >= 1 && v->n_blocks <= FLV_VOCABULARY_MAX_BLOCKS);
  must(v->n_fragments >= 1 && v->n_fragments <= v->n_blocks);
  for (int k = 0; k < v->n_blocks; k++) {
    check_block(v, k);
    check_join(v, k);
  }
  for (int f = 0; f < v->n_fragments; f++) {
    must(f == 0 || strcmp(v->fragment[f - 1].smiles, v->fragment[f].smiles) < 0);
    must(f == 0 || v->fragment[f - 1].first_type < v->fragment[f].first_type);
    must(v->fragment[f].first_type < v->n_stem_types);
  }
  for (int k = 0; k < v->n_blocks && rule == FLV_STEMS_DISTINCT; k++)
    for (int l = 0; l < v->block[k].n_attach; l++) {
      const int f = v->block[k].fragment, type = flv_stem_type(v, k, v->block[k].attach[l]);
      must(type < (f + 1 < v->n_fragments ? v->fragment[f + 1].first_type : v->n_stem_types));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  for (int rule = 0; rule < 2; rule++) {
    flv_vocabulary v = {.n_blocks = -7};
    flv_error err = {0};
    const flv_status status =
        flv_vocabulary_parse(&v, (const char *)data, size, (flv_stem_rule)rule, &err);
    if (status == FLV_OK) {
      check(&v, (flv_stem_rule)rule);
      flv_vocabulary_free(&v);
    } else {
      must(err.status == status && err.text[0] && v.n_blocks == -7 && !v.memory);
      for (const char *c = err.text; *c; c++) must(*c >= 32 && *c < 127);
    }
  }
  return 0;
}
