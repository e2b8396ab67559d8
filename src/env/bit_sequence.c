// Strings of n bits, cut into words of k, one word a step at any empty place (env/fill.c). [Malkin
// et al. 2022, arXiv:2201.13259, section 5.3, where words are appended; in any order as in gfnx and
// torchgfn's NonAutoregressiveBitSequence]
//
// Action p * 2^k + w writes word w, most significant bit first, at bits p k .. p k + k - 1; when
// the string is full, the exit is all there is. Files write a column of 0 or 1 for each bit, -1
// where there is none.
#include "env/env_list.h"
#include "env/fill.h"

enum { DEFAULT_LENGTH = 120 };

#define BIT_SEQUENCE_KEYS(X)                                                                       \
  X(INT, length, "0", 0, FLV_FILL_BITS, "",                                                        \
    "n, bits of the string; 0: as many as the reward's modes have, or 120")                        \
  X(INT, word, "8", 1, FLV_FILL_WORD, "", "k, bits written by a step; divides the length")
typedef struct bit_sequence_cfg {
  BIT_SEQUENCE_KEYS(FLV_FIELD)
} bit_sequence_cfg;
#define FLV_STRUCT bit_sequence_cfg
static const flv_param bit_sequence_params[] = {BIT_SEQUENCE_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static flv_status bit_sequence_create(flv_env *env, const void *values, const flv_shape *shape,
                                      flv_error *err) {
  const bit_sequence_cfg *cfg = values;
  const bool given = shape && shape->n == 1;
  if (given && cfg->length > 0 && cfg->length != shape->side[0])
    return flv_fail(err, FLV_EINVAL,
                    "env.length is %d, and the reward's modes have %d bits; leave it out and the "
                    "strings have as many",
                    cfg->length, shape->side[0]);
  const int length = given ? shape->side[0] : cfg->length > 0 ? cfg->length : DEFAULT_LENGTH;
  if (length % cfg->word != 0)
    return flv_fail(err, FLV_EINVAL, "env.word: %d bits are not whole words of %d", length,
                    cfg->word);
  const flv_fill string = {.positions = length / cfg->word, .word = cfg->word, .cell = {-1, 0, 1}};
  return flv_fill_create(env, "bit_sequence", string, err);
}

static const flv_env_impl bit_sequence_impl = {bit_sequence_create};
const flv_component flv_env_bit_sequence = {
    "bit_sequence",           "strings of bits, one word at a time at any empty place",
    bit_sequence_params,      sizeof bit_sequence_params / sizeof *bit_sequence_params,
    sizeof(bit_sequence_cfg), &bit_sequence_impl};
