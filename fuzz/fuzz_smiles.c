// libFuzzer target: any bytes as SMILES. What is accepted has allowed valences and is the same
// molecule, with the same fingerprint, when it is written and read back; what is refused leaves the
// output as it was, with one line of message.
//
//   clang -std=c17 -D_DEFAULT_SOURCE -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc \
//     fuzz/fuzz_smiles.c src/chem/canonical.c src/chem/element.c src/chem/fingerprint.c \
//     src/chem/kekule.c src/chem/molecule.c src/chem/perceive.c src/chem/smiles*.c \
//     src/base/memory.c src/base/status.c -o fuzz_smiles && ./fuzz_smiles -max_len=256

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "chem/canonical.h"
#include "chem/element.h"
#include "chem/fingerprint.h"
#include "chem/perceive.h"
#include "chem/smiles.h"

enum { ATOMS = 256, BONDS = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds) {
  if (!holds) abort();
}

static void check(const flv_molecule *m) {
  static flv_canon *canon;
  static flv_perception p;
  static uint8_t a[8192], b[8192];
  char text[FLV_SMILES_MAX + 1];
  uint64_t bits[2][FLV_FINGERPRINT_WORDS];
  size_t length;
  flv_molecule again;
  flv_error err = {0};
  if (m->n_atoms > ATOMS || m->n_bonds > BONDS) return;
  if (!canon) {
    must(flv_canon_new(&canon, ATOMS, BONDS, NULL) == FLV_OK);
    must(flv_perception_init(&p, ATOMS, BONDS, NULL) == FLV_OK);
  }
  flv_perceive(&p, m);
  for (int i = 0; i < m->n_atoms; i++) must(flv_valence_allowed(&m->atom[i], p.valence[i]));
  if (flv_smiles_write(text, sizeof text, &length, m, &err) != FLV_OK) {
    must(strstr(err.text, "rings open") != NULL);
    return;
  }
  if (length > FLV_SMILES_MAX) return;
  must(length == strlen(text));
  must(flv_smiles_read(&again, text, length, &err) == FLV_OK);
  must(again.n_atoms == m->n_atoms && again.n_bonds == m->n_bonds);
  flv_canonical_key(canon, a, m, NULL);
  flv_canonical_key(canon, b, &again, NULL);
  must(memcmp(a, b, flv_canonical_size(m->n_atoms, m->n_bonds)) == 0);
  must(flv_fingerprint(bits[0], m, NULL) == FLV_OK);
  must(flv_fingerprint(bits[1], &again, NULL) == FLV_OK);
  must(memcmp(bits[0], bits[1], sizeof bits[0]) == 0);
  flv_molecule_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  flv_molecule m = {.n_atoms = -7};
  flv_error err = {0};
  char *text = malloc(size + 1); // of just this size, so that reading beyond it is seen
  must(text != NULL);
  memcpy(text, data, size);
  const flv_status status = flv_smiles_read(&m, text, size, &err);
  free(text);
  if (status == FLV_OK) {
    check(&m);
    flv_molecule_free(&m);
  } else {
    must(err.status == status && err.text[0] && m.n_atoms == -7 && !m.block);
    for (const char *c = err.text; *c; c++) must(*c >= 32 && *c < 127);
  }
  return 0;
}
