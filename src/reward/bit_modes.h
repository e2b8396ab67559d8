// Sets of different bit strings, made from a seed or read from a file.
#ifndef FLUVIAL_REWARD_BIT_MODES_H
#define FLUVIAL_REWARD_BIT_MODES_H

#include <stdint.h>

#include "env/fill.h"
#include "fluvial/status.h"

enum { FLV_BIT_MODES_WORDS = FLV_FILL_BITS / 64 };

typedef struct flv_bit_modes {
  int n;
  int length;     // bits of each; 0: they serve every length from `least` to FLV_FILL_BITS
  int least;      // bits after which they differ, where length is 0
  uint64_t *bits; // [n, FLV_BIT_MODES_WORDS] bit i is bit 63 - i % 64 of word i / 64
} flv_bit_modes;

static inline const uint64_t *flv_bit_modes_at(const flv_bit_modes *modes, int m) {
  return modes->bits + (size_t)m * FLV_BIT_MODES_WORDS;
}
static inline int flv_bit_modes_bit(const flv_bit_modes *modes, int m, int i) {
  return (int)(flv_bit_modes_at(modes, m)[i / 64] >> (63 - i % 64) & 1);
}

// n <= 4096 different strings of blocks, as reward/hamming_modes.c says.
flv_status flv_bit_modes_make(flv_bit_modes *modes, int n, uint64_t seed, flv_error *err);

// Lines of 0 and 1, with commas, semicolons, blanks or tabs between them or without; empty lines
// and those that begin with # do not count, and a string that comes again counts once. FLV_EIO if
// it cannot be read, FLV_EINVAL: what is wrong in which line.
flv_status flv_bit_modes_read(flv_bit_modes *modes, const char *path, flv_error *err);

void flv_bit_modes_free(flv_bit_modes *modes);

#endif
