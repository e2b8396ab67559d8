// The rewards, one line each; the first is the default. A new one is a file that defines
// flv_reward_<name>, a flv_component whose impl is a flv_reward_impl, and a line here.
#ifndef FLUVIAL_REWARD_LIST_H
#define FLUVIAL_REWARD_LIST_H

#include "fluvial/config.h"

#define FLV_REWARDS(X)                                                                             \
  X(corners)                                                                                       \
  X(cosine)                                                                                        \
  X(table)                                                                                         \
  X(values)                                                                                        \
  X(bge)                                                                                           \
  X(linear_gaussian)                                                                               \
  X(bdeu)                                                                                          \
  X(ising)                                                                                         \
  X(hamming_modes)                                                                                 \
  X(molecule_network)                                                                              \
  X(molecule_library)                                                                              \
  X(molecule_program)

#define FLV_REWARD_DECLARE(name) extern const flv_component flv_reward_##name;
FLV_REWARDS(FLV_REWARD_DECLARE)
#undef FLV_REWARD_DECLARE

extern const flv_component *const flv_reward_list[]; // NULL-terminated

// The key every built-in reward has.
#define FLV_EXPONENT_KEY(X)                                                                        \
  X(REAL, exponent, "1", 1e-6, 1e6, "", "beta: the target is R to this power (tempering)")

#endif
