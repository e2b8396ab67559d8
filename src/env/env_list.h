// The environments, one line each; the first is the default. A new one is a file that defines
// flv_env_<name>, a flv_component whose impl is a flv_env_impl, and a line here.
#ifndef FLUVIAL_ENV_LIST_H
#define FLUVIAL_ENV_LIST_H

#include "fluvial/config.h"

#define FLV_ENVS(X)                                                                                \
  X(hypergrid)                                                                                     \
  X(graph)                                                                                         \
  X(dag)                                                                                           \
  X(ising)                                                                                         \
  X(bit_sequence)                                                                                  \
  X(fragments)

#define FLV_ENV_DECLARE(name) extern const flv_component flv_env_##name;
FLV_ENVS(FLV_ENV_DECLARE)
#undef FLV_ENV_DECLARE

extern const flv_component *const flv_env_list[]; // NULL-terminated

#endif
