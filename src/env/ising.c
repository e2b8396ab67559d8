// Spins on a periodic square lattice, one site a step in any order (env/fill.c: one bit a
// position). [Zhang et al. 2022, arXiv:2202.01361, section 4.2]
//
// Action 2 i + b gives site i = row * side + column the spin 2 b - 1; when all sites have one, the
// exit is all there is. Files write spins as -1 and 1, sites without as 0.
#include "env/env_list.h"
#include "env/fill.h"

#define ISING_KEYS(X)                                                                              \
  X(INT, side, "6", 2, 32, "", "sites along each side of the lattice, which is periodic")
typedef struct ising_cfg {
  ISING_KEYS(FLV_FIELD)
} ising_cfg;
#define FLV_STRUCT ising_cfg
static const flv_param ising_params[] = {ISING_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static flv_status ising_create(flv_env *env, const void *values, const flv_shape *shape,
                               flv_error *err) {
  (void)shape; // a reward that has one says so itself if it is not this one
  const int side = ((const ising_cfg *)values)->side;
  const flv_fill lattice = {.positions = side * side, .word = 1, .side = side, .cell = {0, -1, 1}};
  return flv_fill_create(env, "ising", lattice, err);
}

static const flv_env_impl ising_impl = {ising_create};
const flv_component flv_env_ising = {
    "ising",           "spins on a periodic square lattice, one site at a time in any order",
    ising_params,      sizeof ising_params / sizeof *ising_params,
    sizeof(ising_cfg), &ising_impl};
