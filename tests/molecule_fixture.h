// Molecules for tests. cmocka is included before.
#ifndef FLUVIAL_TESTS_MOLECULE_FIXTURE_H
#define FLUVIAL_TESTS_MOLECULE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

#endif
