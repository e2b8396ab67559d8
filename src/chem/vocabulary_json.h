// The files of vocabularies, as they are written: nothing is known of chemistry here.
#ifndef FLUVIAL_CHEM_VOCABULARY_JSON_H
#define FLUVIAL_CHEM_VOCABULARY_JSON_H

#include "chem/vocabulary.h"

typedef struct flv_draft { // one entry; the texts belong to the tree
  const char *name, *smiles;
  int n_attach;
  int attach[FLV_BLOCK_MAX_ATTACH]; // not negative
} flv_draft;

typedef struct flv_drafts {
  int n;
  bool published;
  flv_draft *draft; // [n]
  void *tree;
} flv_drafts;

flv_status flv_drafts_parse(flv_drafts *drafts, const char *text, size_t size, flv_error *err);
void flv_drafts_free(flv_drafts *drafts); // accepts a zeroed one

// How messages call entry i, or one of its keys: "fragments[3].attach", "block_r[3]".
typedef enum flv_draft_key { FLV_DRAFT_SMILES, FLV_DRAFT_ATTACH } flv_draft_key;
const char *flv_draft_place(char text[48], const flv_drafts *drafts, int i, flv_draft_key key);

#endif
