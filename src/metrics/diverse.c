#include "metrics/diverse.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/simd.h"

FLV_SIMD static int count_common_bits(int words, const uint64_t *a, const uint64_t *b) {
  int n = 0;
  for (int w = 0; w < words; w++) n += __builtin_popcountll(a[w] & b[w]);
  return n;
}

static double ratio(int common, int a, int b) {
  return a + b > 0 ? (double)common / (a + b - common) : 1.0;
}

double flv_tanimoto(int words, const uint64_t *a, const uint64_t *b) {
  return ratio(count_common_bits(words, a, b), count_common_bits(words, a, a),
               count_common_bits(words, b, b));
}

void flv_diverse_init(flv_diverse *set, int words, double below) {
  *set = (flv_diverse){.words = words, .below = below};
}

void flv_diverse_free(flv_diverse *set) {
  free(set->bits);
  free(set->size);
  free(set->order);
  *set = (flv_diverse){0};
}

static flv_status make_room(flv_diverse *s, flv_error *err) {
  if (s->n < s->room) return FLV_OK;
  const size_t room = s->room > 0 ? 2 * (size_t)s->room : 64, width = (size_t)s->words;
  uint64_t *bits = room <= INT_MAX ? realloc(s->bits, room * width * sizeof *bits) : NULL;
  if (bits) s->bits = bits;
  int32_t *size = bits ? realloc(s->size, room * sizeof *size) : NULL;
  if (size) s->size = size;
  int32_t *order = size ? realloc(s->order, room * sizeof *order) : NULL;
  if (!order) return flv_fail(err, FLV_ENOMEM, "out of memory for %zu fingerprints", room);
  s->order = order;
  s->room = (int)room;
  return FLV_OK;
}

// Those like many others turn down most of what comes, so one that has just done so moves half the
// way to the front. The answer does not depend on the order.
static void move_up(flv_diverse *s, int at) {
  const int32_t moved = s->order[at];
  s->order[at] = s->order[at / 2];
  s->order[at / 2] = moved;
}

flv_status flv_diverse_add(flv_diverse *set, const uint64_t *bits, bool *kept, double *nearest,
                           flv_error *err) {
  flv_diverse *s = set;
  const int size = count_common_bits(s->words, bits, bits);
  const size_t width = (size_t)s->words;
  double most = 0.0;
  for (int k = 0; k < s->n; k++) {
    const int other = s->order[k];
    const int common = count_common_bits(s->words, bits, s->bits + (size_t)other * width);
    const double similarity = ratio(common, size, s->size[other]);
    if (!(similarity < s->below)) {
      move_up(s, k);
      *kept = false;
      return FLV_OK;
    }
    if (similarity > most) most = similarity;
  }
  FLV_TRY(make_room(s, err));
  memcpy(s->bits + (size_t)s->n * width, bits, width * sizeof *bits);
  s->size[s->n] = size;
  s->order[s->n] = s->n;
  s->n++;
  *kept = true;
  if (nearest) *nearest = most;
  return FLV_OK;
}
