// log p of molecules as the code that was released with the paper computes it, faults included, so
// that its numbers can be compared with others that were computed so. (exact/molecule_paths.h has
// none of them.)
//
// A graph is grown from the molecule, depth first: what a block with one neighbour leaves when it
// is taken away, a root too, is a parent, and is looked up among the ancestors so far, the molecule
// itself excepted, as a tree without a root whose nodes are labelled by block and whose edges by
// the atoms at their ends. A pair of child and parent has one action, a block and a stem; a later
// one takes the place of an earlier one. Then the parent, as it was first found, has to become the
// child, labels being fragments, by joining that block to that stem, or to another, which then
// takes its place; if no stem will do, the molecule is left out. (That happens where a fragment was
// joined by an atom whose block is that of a symmetric one.) With log-softmax over all stems and
// the end,
//   lp(empty) = 0,
//   lp(s') = log(exp(-1000) + sum over parents s of exp(lp(s) + log p(action | s))),
//   log p(x) = lp(x), and + log p(end | x) where x has fewer than max_blocks.
// The end counts as improbable (logit -1000) below min_blocks, and as possible where no stem is
// left: there, and in the empty state, a stem of a type of its own at block 0 takes part.
//
// So paths are lost: those through a second action between one pair, and through a first block that
// is another of the same fragment; states that differ in their root are taken for one; and ends are
// charged for that have no alternative.
#ifndef FLUVIAL_EXACT_LEGACY_PATHS_H
#define FLUVIAL_EXACT_LEGACY_PATHS_H

#include "exact/molecule_list.h"
#include "exact/molecule_paths.h"

// Logits of n states (n <= FLV_PATHS_CHUNK) into logits [n, flv_legacy_width(e)]: at
// flv_legacy_action(e, p, j, k) of block k at slot j of position p, where slot n_attach of a block
// is the stem of a type of its own; the last is that of the end. The empty state has position 0
// with slot 0, of that type.
typedef void (*flv_slot_logits_fn)(void *user, int n, const void *states, float *logits);

static inline int flv_legacy_action(const flv_fragments *e, int p, int slot, int block) {
  return (p * (e->slots + 1) + slot) * e->vocabulary.n_blocks + block;
}
static inline int flv_legacy_width(const flv_fragments *e) {
  return flv_legacy_action(e, e->max_blocks - 1, 0, 0) + 1;
}

typedef struct flv_legacy flv_legacy;

typedef struct flv_legacy_graph {
  bool kept;
  int states;      // the molecule and its ancestors
  int overwritten; // actions, by different ones
} flv_legacy_graph;

// FLV_ENOMEM. env, of trees of fragments, is kept.
flv_status flv_legacy_new(flv_legacy **legacy, const flv_env *env, flv_error *err);
void flv_legacy_free(flv_legacy *legacy); // accepts NULL
void flv_legacy_clear(flv_legacy *legacy);

// Adds a molecule that flv_grown_state accepts. graph may be NULL. FLV_ENOMEM.
flv_status flv_legacy_add(flv_legacy *legacy, const flv_grown *molecule, flv_legacy_graph *graph,
                          flv_error *err);

// log p of the molecules in the order in which they were added; NaN where they are left out.
flv_status flv_legacy_log_p(flv_legacy *legacy, flv_slot_logits_fn logits, void *user,
                            const flv_share *share, double *log_p, flv_error *err);

#endif
