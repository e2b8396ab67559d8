// Positions filled with words of bits, in any order.
//
// From all positions empty, action p * 2^k + w writes the word w of k bits into the empty position
// p; the exit, action P * 2^k, is legal when all P positions are full, and then it is the only
// one. So full states are the objects, each reached by P! ways, and every trajectory has P + 1
// actions. Backward action p empties the full position p: a word needs no naming to be taken away,
// so there are P of them.
//
// The observation is one hot index per position, p * (2^k + 1) + value with value 0 for empty and
// 1 + w for a word: always P of them, so rows of a batch are alike, an empty position has weights
// of its own instead of being silence, and words have no order between them, which the raw number
// of a word would claim. The first layer of a network is then a sum of P rows, whatever 2^k is.
//
// The index of a state reads its values as digits in base 2^k + 1, position 0 first. A step raises
// a digit from 0, so it leads to a larger index.
#include "env/fill.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ENV flv_fill
#define STATE uint64_t
#define ENV_OPS fill_ops
#define ENV_ENUMERABLE
#define ENV_COLUMNS

static inline int get(const flv_fill *e, const uint64_t *s, int p) {
  return (int)(s[p / e->per] >> p % e->per * (e->word + 1) & e->field);
}

static inline void put(const flv_fill *e, uint64_t *s, int p, int value) {
  const int shift = p % e->per * (e->word + 1);
  s[p / e->per] = (s[p / e->per] & ~(e->field << shift)) | (uint64_t)value << shift;
}

static inline void env_reset(const flv_fill *e, uint64_t *s) { (void)e, (void)s; }

static inline void env_step(const flv_fill *e, uint64_t *s, int action) {
  put(e, s, action >> e->word, 1 + (action & ((1 << e->word) - 1)));
}

static inline void env_unstep(const flv_fill *e, uint64_t *s, int back) { put(e, s, back, 0); }

static inline void env_mask(const flv_fill *e, const uint64_t *s, uint8_t *mask) {
  flv_fill_cursor at = flv_fill_begin(s);
  const size_t words = (size_t)1 << e->word;
  bool full = true;
  for (size_t p = 0; p < (size_t)e->positions; p++) {
    if (flv_fill_next(e, &at)) continue;
    memset(mask + p * words, 1, words);
    full = false;
  }
  mask[(size_t)e->positions * words] = full;
}

static inline void env_mask_back(const flv_fill *e, const uint64_t *s, uint8_t *mask) {
  flv_fill_cursor at = flv_fill_begin(s);
  for (int p = 0; p < e->positions; p++) mask[p] = flv_fill_next(e, &at) > 0;
}

static inline int env_back_of(const flv_fill *e, const uint64_t *parent, int action) {
  (void)parent;
  return action >> e->word;
}

static inline int env_action_of(const flv_fill *e, const uint64_t *child, int back) {
  return (back << e->word) + get(e, child, back) - 1;
}

static inline void env_observe(const flv_fill *e, const uint64_t *s, int32_t *hot, float *x) {
  (void)x;
  flv_fill_cursor at = flv_fill_begin(s);
  const int values = (1 << e->word) + 1;
  for (int p = 0; p < e->positions; p++) hot[p] = p * values + flv_fill_next(e, &at);
}

static inline int64_t env_index(const flv_fill *e, const uint64_t *s) {
  flv_fill_cursor at = flv_fill_begin(s);
  int64_t index = 0;
  for (int p = 0; p < e->positions; p++)
    index = index * ((1 << e->word) + 1) + flv_fill_next(e, &at);
  return index;
}

static inline void env_at(const flv_fill *e, int64_t index, uint64_t *s) {
  const int values = (1 << e->word) + 1;
  for (int p = e->positions - 1; p >= 0; p--, index /= values) put(e, s, p, (int)(index % values));
}

// Bits of a word from the most significant down.
static inline void env_columns(const flv_fill *e, const uint64_t *s, int32_t *cell) {
  flv_fill_cursor at = flv_fill_begin(s);
  for (int p = 0; p < e->positions; p++) {
    const int value = flv_fill_next(e, &at);
    for (int bit = e->word - 1; bit >= 0; bit--)
      *cell++ = e->cell[value == 0 ? 0 : 1 + ((value - 1) >> bit & 1)];
  }
}

static inline bool env_from_columns(const flv_fill *e, const int32_t *cell, uint64_t *s) {
  for (int p = 0; p < e->positions; p++) {
    int word = 0, empty = 0;
    for (int i = 0; i < e->word; i++, cell++) {
      if (*cell != e->cell[0] && *cell != e->cell[1] && *cell != e->cell[2]) return false;
      empty += *cell == e->cell[0];
      word = 2 * word + (*cell == e->cell[2]);
    }
    if (empty != 0 && empty != e->word) return false;
    if (empty == 0) put(e, s, p, 1 + word);
  }
  return true;
}

#include "fluvial/env_template.h"

// (2^k + 1)^P; 0 when there are more than 2^62.
static int64_t count_states(const flv_fill *e) {
  const int64_t values = (1 << e->word) + 1;
  int64_t n = 1;
  for (int p = 0; p < e->positions; p++) {
    if (n > (INT64_C(1) << 62) / values) return 0;
    n *= values;
  }
  return n;
}

flv_status flv_fill_create(flv_env *env, const char *name, flv_fill shape, flv_error *err) {
  if (shape.positions < 1 || shape.word < 1 || shape.word > FLV_FILL_WORD ||
      shape.positions > FLV_FILL_BITS / shape.word)
    return flv_fail(err, FLV_EINVAL, "%s: %d positions of %d bits; at most %d bits in all", name,
                    shape.positions, shape.word, (int)FLV_FILL_BITS);
  if (shape.positions > FLV_FILL_ACTIONS >> shape.word)
    return flv_fail(err, FLV_EINVAL, "%s: %d positions with %d words each are more than %d actions",
                    name, shape.positions, 1 << shape.word, (int)FLV_FILL_ACTIONS);
  flv_fill *fill = malloc(sizeof *fill);
  if (!fill) return flv_fail(err, FLV_ENOMEM, "out of memory for environment '%s'", name);
  *fill = shape;
  fill->per = 64 / (shape.word + 1);
  fill->field = (UINT64_C(1) << (shape.word + 1)) - 1;
  const int actions = shape.positions << shape.word;
  *env = (flv_env){.name = name,
                   .ops = &fill_ops,
                   .self = fill,
                   .state_size = 8 * (size_t)((shape.positions + fill->per - 1) / fill->per),
                   .n_actions = actions + 1,
                   .n_back = shape.positions,
                   .exit_action = actions,
                   .restricted_exit = true,
                   .max_length = shape.positions + 1,
                   .n_hot = shape.positions,
                   .n_features = actions + shape.positions,
                   .n_positions = shape.positions,
                   .n_symbols = (1 << shape.word) + 1,
                   .n_columns = flv_fill_bits(fill),
                   .n_states = count_states(fill),
                   .free_self = free};
  return FLV_OK;
}

const flv_fill *flv_fill_of(const flv_env *env) { return env->ops == &fill_ops ? env->self : NULL; }
