// What a shared library with a reward for molecules is written against (reward: molecule_library).
//
// Such a library has one function, of type flv_molecule_reward_fn and any name (key `symbol`), and
// says which version of this header it was made with:
//
//   #include "fluvial/molecule_reward.h"
//
//   FLV_MOLECULE_REWARD_LIBRARY;
//
//   int reward(const char *config, int n, const flv_reward_molecule *molecule, double *reward,
//              char *error, size_t error_size) {
//     for (int i = 0; i < n; i++) reward[i] = 1.0 / molecule[i].n_atoms;
//     return 0;
//   }
//
//   cc -shared -fPIC reward.c -o reward.so
//
// It is C, needs nothing else of fluvial and links to nothing of it. In C++ the function is
// `extern "C"` and lets no exception out.
#ifndef FLUVIAL_MOLECULE_REWARD_H
#define FLUVIAL_MOLECULE_REWARD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Grows when anything below changes its layout or meaning. Libraries of other versions are refused.
enum { FLV_MOLECULE_REWARD_VERSION = 1 };

typedef struct flv_reward_atom {
  uint8_t z;         // atomic number; hydrogens are counts, never atoms
  int8_t charge;     // formal
  uint8_t hydrogens; // all that it bears
  uint8_t aromatic;  // 0 or 1
} flv_reward_atom;

typedef struct flv_reward_bond {
  int32_t a, b;  // places in the list of atoms, a < b
  int32_t order; // 1 single, 2 double, 3 triple, 4 aromatic
} flv_reward_bond;

// The same molecule, however it was built, is the same record, atoms and bonds in the same order.
typedef struct flv_reward_molecule {
  const char *smiles; // canonical, by fluvial's rules; ended by a zero byte
  int32_t n_atoms, n_bonds;
  const flv_reward_atom *atom; // [n_atoms]
  const flv_reward_bond *bond; // [n_bonds]
} flv_reward_molecule;

// Writes R(x), not its logarithm, of n >= 1 different molecules to reward [n]: finite numbers that
// are not negative, a function of the molecule alone. What is pointed to lives until it returns.
// `config` is the text of reward.config, the same at every call. Calls come one at a time, from any
// thread.
//
// 0: done. Anything else: it could not, and wrote why, one line, to error [error_size]; the run
// stops with that line and its last checkpoint.
typedef int (*flv_molecule_reward_fn)(const char *config, int n,
                                      const flv_reward_molecule *molecule, double *reward,
                                      char *error, size_t error_size);

#define FLV_MOLECULE_REWARD_EXPORT __attribute__((visibility("default")))

// Once in the library, with a semicolon.
#define FLV_MOLECULE_REWARD_LIBRARY                                                                \
  FLV_MOLECULE_REWARD_EXPORT extern const int32_t flv_molecule_reward_version;                     \
  const int32_t flv_molecule_reward_version = FLV_MOLECULE_REWARD_VERSION

#ifdef __cplusplus
}
#endif
#endif
