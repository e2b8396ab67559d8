// Sets of fingerprints in which no two are similar.
#ifndef FLUVIAL_METRICS_DIVERSE_H
#define FLUVIAL_METRICS_DIVERSE_H

#include <stdbool.h>
#include <stdint.h>

#include "fluvial/status.h"

// Tanimoto (Jaccard) similarity |a and b| / |a or b| of two sets of 64 `words` bits; 1 if both are
// empty.
double flv_tanimoto(int words, const uint64_t *a, const uint64_t *b);

// Transparent: read in place.
typedef struct flv_diverse {
  int words;      // of a fingerprint
  double below;   // every two kept have a similarity below this
  int n;          // kept
  int room;       // for so many
  uint64_t *bits; // [room, words]
  int32_t *size;  // [room] bits that are set
  int32_t *order; // [room] in which they are looked at: those that were similar to many first
} flv_diverse;

void flv_diverse_init(flv_diverse *set, int words, double below); // empty, without memory
void flv_diverse_free(flv_diverse *set);                          // accepts a zeroed one

// Keeps a fingerprint unless one that is there is not below. *kept says which; *nearest is then its
// largest similarity to those before it, 0 for the first; it may be NULL. Costs n * words.
// FLV_ENOMEM: the set is as before.
flv_status flv_diverse_add(flv_diverse *set, const uint64_t *bits, bool *kept, double *nearest,
                           flv_error *err);

#endif
