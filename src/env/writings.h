// All the states that write one molecule.
//
// States of fragments are ways to write a molecule (fragments.c). The same one, with the same free
// slots at its atoms and the same bonds between its blocks, grows from each of its blocks as the
// root; a block then has to be one that is joined by another atom of its fragment; a fragment with
// symmetries may be turned; and an atom that is listed several times has several slots. P_T of a
// molecule is the sum over all of them.
//
// With the tree of the molecule's blocks given, these choices are independent: for every block, a
// block k of the same fragment and a slot of k for each of its joints, such that a symmetry of the
// fragment carries k's list of attachments and the places of the joints to the given ones. A root
// is free in that; any other block is joined to its parent by slot 0.
//
// (Two fragments that become the same molecule once a joint takes a hydrogen, such as one that is
// listed as S and as [SH4], still count as two.)
#ifndef FLUVIAL_ENV_WRITINGS_H
#define FLUVIAL_ENV_WRITINGS_H

#include "env/fragments.h"

enum { FLV_WRITINGS_MAX = 1 << 20 }; // tried for one molecule

typedef struct flv_writings flv_writings; // scratch for one thread

// FLV_ENOMEM. env is kept.
flv_status flv_writings_new(flv_writings **writings, const flv_fragments *env, flv_error *err);
void flv_writings_free(flv_writings *writings); // accepts NULL

// Told a state; anything but FLV_OK stops.
typedef flv_status flv_writing_fn(void *user, const flv_fragments_state *state, flv_error *err);

// Visits every state whose molecule has the key of s's (molecules.h: FLV_TELL_STEMS |
// FLV_TELL_JOINTS), s among them; one may come several times where the molecule has symmetries. The
// order depends on s alone. FLV_EINVAL: there are more than FLV_WRITINGS_MAX to try; FLV_ENOMEM.
flv_status flv_writings_visit(flv_writings *writings, const flv_fragments_state *s,
                              flv_writing_fn *visit, void *user, flv_error *err);

#endif
