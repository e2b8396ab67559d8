// The logits that exact/legacy_paths.h asks for, by a trainer's fragment_network: those of slots as
// they are, and of one slot more on every block, of the type that the empty state's slot has.
#ifndef FLUVIAL_EXACT_LEGACY_POLICY_H
#define FLUVIAL_EXACT_LEGACY_POLICY_H

#include "env/fragments.h"
#include "exact/pf_rows.h"
#include "learn/trainer_impl.h"

typedef struct flv_legacy_policy { // not to be moved: env and policy point into it
  flv_fragments fragments;         // the trainer's, with that slot
  flv_env env;
  flv_policy policy; // the trainer's network, recorded for them, with a copy of its parameters
  flv_pf_rows rows;
  int32_t *kinds;
} flv_legacy_policy;

// Is the trainer's policy such a network, and its end one action among the others?
bool flv_legacy_possible(const flv_trainer *trainer);

// FLV_ENOMEM. Needs flv_legacy_possible.
flv_status flv_legacy_policy_init(flv_legacy_policy *policy, const flv_trainer *trainer,
                                  flv_error *err);
void flv_legacy_policy_free(flv_legacy_policy *policy); // accepts a zeroed one

// A flv_slot_logits_fn of it.
void flv_legacy_policy_logits(void *policy, int n, const void *states, float *logits);

#endif
