// log P_T of molecules, exactly.
//
// A molecule x is not enumerable's object but has few ancestors. With W(x) all states that write it
// (env/writings.h),
//   u(s0) = 1,  u(s') = sum over leaves of s' of u(s) P_F(s' | s), s being s' without the leaf,
//   P_T(x) = sum over s in W(x) of u(s) P_F(exit | s).
// Every trajectory to a state takes away a leaf of it in its last step, never the root, so u(s')
// needs the states below W(x) alone. u(s) does not depend on x: states that several molecules share
// are evaluated once.
#ifndef FLUVIAL_EXACT_MOLECULE_PATHS_H
#define FLUVIAL_EXACT_MOLECULE_PATHS_H

#include <stdint.h>

#include "env/fragments.h"
#include "exact/terminating.h"

// Part of a longer computation: where it lies in the whole.
typedef struct flv_share {
  void (*progress)(void *user, double done); // may be NULL
  void *user;
  double from, to;
} flv_share;
static inline void flv_share_tell(const flv_share *share, double done) {
  if (share && share->progress)
    share->progress(share->user, share->from + (share->to - share->from) * done);
}

enum { FLV_PATHS_CHUNK = 256 }; // most states that are evaluated at once

typedef struct flv_molecule_paths flv_molecule_paths;

// FLV_ENOMEM. env, of trees of fragments, is kept.
flv_status flv_molecule_paths_new(flv_molecule_paths **paths, const flv_env *env, flv_error *err);
void flv_molecule_paths_free(flv_molecule_paths *paths); // accepts NULL
void flv_molecule_paths_clear(flv_molecule_paths *paths);

// Adds the molecule of a state. *writings: how many states write it. FLV_ENOMEM, FLV_EINVAL: too
// many.
flv_status flv_molecule_paths_add(flv_molecule_paths *paths, const flv_fragments_state *x,
                                  int *writings, flv_error *err);
int flv_molecule_paths_states(const flv_molecule_paths *paths); // so far, ancestors included

// log P_T of the molecules in the order in which they were added. log_pf is asked for at most
// FLV_PATHS_CHUNK states at once, those with the same root together. FLV_ENAN: it gives NaN.
flv_status flv_molecule_paths_log_p(flv_molecule_paths *paths, flv_log_pf_fn log_pf, void *user,
                                    const flv_share *share, double *log_p, flv_error *err);

// order [n]: the states by the numbers of their roots' blocks; of one root as they come, so that
// those of one molecule, which have paths from the root in common, stay together.
void flv_fragments_order(int n, const flv_fragments_state *state, int32_t *order);

#endif
