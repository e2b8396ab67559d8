// Hamming distance to the nearest of several modes, for strings of bits. [Malkin et al. 2022,
// arXiv:2201.13259, section 5.3]
//
//   log R(x) = -beta min_m d(x, m) / n        unit: length     (n bits, beta the exponent)
//   log R(x) = -beta min_m d(x, m)            unit: bit
//
// gfnx's BitseqRewardModule and torchgfn's NonAutoregressiveBitSequence have the first with beta
// their reward_exponent; torchgfn's BitSequence the second with beta one over its temperature.
//
// Modes come from a file, or are made of the paper's blocks of 8 bits,
//   00000000  11111111  11110000  00001111  00111100,
// drawn independently, the last one cut where n is no multiple of 8. They are made for the longest
// strings, and shorter ones use their beginnings, so one seed has the same modes at every length.
// To be different at all of these lengths, M modes differ in their first b = ceil(log_5 M) blocks,
// which are drawn without replacement; fewer than 8 b bits are refused. (gfnx draws all blocks
// independently; torchgfn likewise, and again where all are equal.)
//
// States that are not full are compared where they are, which forward-looking objectives ask for.
#include <stdlib.h>
#include <string.h>

#include "env/fill.h"
#include "fluvial/reward.h"
#include "reward/bit_modes.h"
#include "reward/reward_list.h"

enum { UNIT_LENGTH, UNIT_BIT };

#define HAMMING_MODES_KEYS(X)                                                                      \
  X(INT, modes, "60", 1, 4096, "", "modes to make, where no file has them")                        \
  X(LONG, seed, "0", 0, 9e18, "", "of the modes that are made")                                    \
  X(TEXT, path, "", 0, 0, "",                                                                      \
    "file of modes: in each line the same number of 0 and 1, with commas or blanks between or "    \
    "without")                                                                                     \
  X(CHOICE, unit, "length", 0, 0, "length|bit",                                                    \
    "distances are shares of the length (gfnx), or numbers of bits")                               \
  X(INT, delta, "-1", -1, FLV_FILL_BITS, "",                                                       \
    "an object at most so many bits away has found a mode; -1: fewer than a quarter of the bits")  \
  FLV_EXPONENT_KEY(X)
typedef struct hamming_modes_cfg {
  HAMMING_MODES_KEYS(FLV_FIELD)
} hamming_modes_cfg;
#define FLV_STRUCT hamming_modes_cfg
static const flv_param hamming_modes_params[] = {HAMMING_MODES_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

typedef struct hamming_modes {
  flv_bit_modes modes;
  int unit, delta;
} hamming_modes;

// ---- distances ----

typedef struct bits {                                              // of one state
  uint64_t value[FLV_BIT_MODES_WORDS], given[FLV_BIT_MODES_WORDS]; // given: where it has any
} bits;

// Writes `count` bits from bit `at` on, counted from the most significant of word 0.
static inline void put_bits(uint64_t *words, int at, int count, uint64_t value) {
  const int shift = 64 - count - at % 64;
  if (shift >= 0) {
    words[at / 64] |= value << shift;
    return;
  }
  words[at / 64] |= value >> -shift;
  words[at / 64 + 1] |= value << (64 + shift);
}

static void take_bits(const flv_env *env, const void *states, int i, bits *out) {
  const flv_fill *fill = env->self;
  flv_fill_cursor at = flv_fill_begin(flv_fill_state(env, states, i));
  const uint64_t all = (UINT64_C(1) << fill->word) - 1;
  memset(out, 0, sizeof *out);
  for (int p = 0; p < fill->positions; p++) {
    const int value = flv_fill_next(fill, &at);
    if (value == 0) continue;
    put_bits(out->value, p * fill->word, fill->word, (uint64_t)value - 1);
    put_bits(out->given, p * fill->word, fill->word, all);
  }
}

static inline int distance(const bits *x, const uint64_t *mode, int words) {
  int d = 0;
  for (int w = 0; w < words; w++) d += __builtin_popcountll((x->value[w] ^ mode[w]) & x->given[w]);
  return d;
}

static flv_status hamming_modes_log_reward(const flv_reward *reward, const flv_env *env, int n,
                                           const void *states, double *log_r, flv_error *err) {
  (void)err;
  const hamming_modes *self = reward->self;
  const int length = flv_fill_bits(env->self), words = (length + 63) / 64;
  const double scale = self->unit == UNIT_LENGTH ? 1.0 / length : 1.0;
  for (int i = 0; i < n; i++) {
    bits x;
    take_bits(env, states, i, &x);
    int nearest = length;
    for (int m = 0; m < self->modes.n; m++) {
      const int d = distance(&x, flv_bit_modes_at(&self->modes, m), words);
      if (d < nearest) nearest = d;
    }
    log_r[i] = -scale * nearest;
  }
  return FLV_OK;
}

// ---- modes ----

static int hamming_modes_count(const flv_reward *reward, const flv_env *env) {
  (void)env;
  return ((const hamming_modes *)reward->self)->modes.n;
}

static void hamming_modes_mark(const flv_reward *reward, const flv_env *env, const void *state,
                               uint8_t *seen) {
  const hamming_modes *self = reward->self;
  const int length = flv_fill_bits(env->self), words = (length + 63) / 64;
  const int delta = self->delta >= 0 ? self->delta : (length - 1) / 4;
  bits x;
  take_bits(env, state, 0, &x);
  for (int m = 0; m < self->modes.n; m++)
    if (distance(&x, flv_bit_modes_at(&self->modes, m), words) <= delta) seen[m] = 1;
}

// ---- making one ----

static flv_status hamming_modes_bind(const flv_reward *reward, const flv_env *env, flv_error *err) {
  const hamming_modes *self = reward->self;
  const flv_fill *fill = flv_fill_of(env);
  if (!fill)
    return flv_fail(err, FLV_EINVAL, "reward '%s' needs environment 'bit_sequence', not '%s'",
                    reward->name, env->name);
  const int length = flv_fill_bits(fill);
  if (self->modes.length > 0 && length != self->modes.length)
    return flv_fail(err, FLV_EINVAL, "reward '%s' has modes of %d bits, objects of '%s' have %d",
                    reward->name, self->modes.length, env->name, length);
  if (length < self->modes.least)
    return flv_fail(err, FLV_EINVAL,
                    "reward.modes: %d different modes are made of at least %d bits, and objects "
                    "of '%s' have %d; reward.path takes any modes",
                    self->modes.n, self->modes.least, env->name, length);
  return FLV_OK;
}

static void hamming_modes_free(void *self) {
  flv_bit_modes_free(&((hamming_modes *)self)->modes);
  free(self);
}

static flv_status hamming_modes_create(flv_reward *reward, const void *values, flv_error *err) {
  const hamming_modes_cfg *cfg = values;
  hamming_modes *self = calloc(1, sizeof *self);
  if (!self) return flv_fail(err, FLV_ENOMEM, "out of memory for reward 'hamming_modes'");
  const flv_status status =
      cfg->path[0] ? flv_bit_modes_read(&self->modes, cfg->path, err)
                   : flv_bit_modes_make(&self->modes, cfg->modes, (uint64_t)cfg->seed, err);
  if (status != FLV_OK) {
    free(self);
    return status;
  }
  self->unit = cfg->unit;
  self->delta = cfg->delta;
  *reward = (flv_reward){.name = "hamming_modes",
                         .self = self,
                         .exponent = cfg->exponent,
                         .log_reward = hamming_modes_log_reward,
                         .bind = hamming_modes_bind,
                         .modes = hamming_modes_count,
                         .mark_modes = hamming_modes_mark,
                         .free_self = hamming_modes_free};
  if (self->modes.length > 0) reward->shape = (flv_shape){1, {self->modes.length}};
  return FLV_OK;
}

static const flv_reward_impl hamming_modes_impl = {hamming_modes_create};
const flv_component flv_reward_hamming_modes = {
    "hamming_modes",           "bit_sequence: how many bits the nearest of several modes is away",
    hamming_modes_params,      sizeof hamming_modes_params / sizeof *hamming_modes_params,
    sizeof(hamming_modes_cfg), &hamming_modes_impl};
