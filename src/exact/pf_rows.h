// P_F of any states by a trained network, outside of the trainer's batch.
#ifndef FLUVIAL_EXACT_PF_ROWS_H
#define FLUVIAL_EXACT_PF_ROWS_H

#include "learn/policy.h"

typedef struct flv_pf_rows {
  const flv_policy *policy;
  int most;    // states at once
  int threads; // no bit depends on it
  flv_acts acts;
  uint8_t *mask;  // [most, n_actions]
  int64_t *index; // [most]
  void *block;
} flv_pf_rows;

// FLV_ENOMEM. policy is kept.
flv_status flv_pf_rows_init(flv_pf_rows *rows, const flv_policy *policy, int most, int threads,
                            flv_error *err);
void flv_pf_rows_free(flv_pf_rows *rows); // accepts a zeroed one

// Logits of n states as the network gives them, [n, n_actions], until the next call.
const float *flv_pf_rows_logits(flv_pf_rows *rows, int n, const void *states);

// A flv_log_pf_fn (terminating.h) of it: log P_F of n states into log_pf [n, n_actions].
void flv_pf_rows_log_pf(void *rows, int n, const void *states, double *log_pf);

#endif
