// Numbers p(x) of molecules joined from fragments, and what becomes of them: the part that rewards
// of molecules share.
//
//   log R = log(max(r_min, p) / norm)
// [Bengio et al. 2021, arXiv:2106.04399; Malkin et al. 2023, arXiv:2210.00580, section 4.4]
//
// p is a function of the molecule (and, where the rule says so, of which atoms have slots left). It
// is kept by canonical key, and asked for in canonical order of atoms, so that its bits depend on
// nothing that was asked before. p of no blocks is 0.
#ifndef FLUVIAL_REWARD_MOLECULE_SCORES_H
#define FLUVIAL_REWARD_MOLECULE_SCORES_H

#include "env/molecules.h"
#include "fluvial/reward.h"

typedef struct flv_scored {
  flv_molecule molecule; // in canonical order
  uint8_t *open;         // [n_atoms] free slots; of use only if the rule tells them
} flv_scored;

typedef struct flv_scoring {
  const char *name; // of the reward
  void *self;
  void (*free_self)(void *self);
  unsigned tell;       // FLV_TELL_*: what p depends on besides atoms and bonds
  bool signed_numbers; // p may be negative
  int batch;           // most molecules asked for at once
  int cache_mb;
  double r_min, norm; // norm > 0; r_min 0: p = 0 makes R = 0
  // Scratch of one thread, for molecules of up to so many atoms and bonds. NULL: out of memory.
  void *(*scratch_new)(void *self, int batch, int atoms, int bonds);
  void (*scratch_free)(void *scratch);
  // p of n different molecules. Called by several threads, each with scratch of its own.
  flv_status (*score)(void *self, void *scratch, int n, const flv_scored *x, double *p,
                      flv_error *err);
  // Where it may have to wait (flv_reward.watch); else NULL.
  void (*watch)(void *self, const volatile int *stop);
} flv_scoring;

// Makes *reward by the rule, which is copied; the reward then owns the rule's self. On failure that
// has been freed. The reward's log R fails with what the rule fails with, with FLV_ENAN if it gives
// NaN, and with FLV_EINVAL if it gives an infinity or a negative number that it may not; the
// message has the SMILES.
flv_status flv_molecule_scores_reward(flv_reward *reward, const flv_scoring *rule, double exponent,
                                      flv_error *err);

// How often such a reward was asked for p of a molecule, and how often the rule was: the rest was
// kept, or the same molecule of one call. Not while it is being asked.
typedef struct flv_molecule_counts {
  int64_t asked, scored;
} flv_molecule_counts;
flv_molecule_counts flv_molecule_scores_counts(const flv_reward *reward);

// Keys of rewards whose numbers come from the user.
#define FLV_MOLECULE_SCORE_KEYS(X)                                                                 \
  X(REAL, r_min, "1e-6", 0, 1e9, "",                                                               \
    "least number, to which smaller ones are raised; 0: none, and R may be 0")                     \
  X(REAL, norm, "1", 1e-9, 1e9, "", "number at which R is 1")                                      \
  X(INT, cache_mb, "64", 0, 65536, "", "memory for numbers already known, MiB")

// ---- texts

// Canonical SMILES, one after another, each ended by `end`.
typedef struct flv_smiles_list {
  char *text;
  size_t used, room;
} flv_smiles_list;

// Appends that of a molecule in canonical order. FLV_ENOMEM.
flv_status flv_smiles_list_add(flv_smiles_list *list, const flv_molecule *m, char end,
                               flv_error *err);
void flv_smiles_list_free(flv_smiles_list *list); // accepts a zeroed one

#endif
