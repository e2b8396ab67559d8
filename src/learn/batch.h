// A batch of trajectories: ragged and interned.
//
// Rows: every distinct state of the batch once, in order of first appearance, each evaluated once.
// Positions: trajectory i passes through rows row[offset[i]] .. row[offset[i+1]-1]. At position p
// it takes forward action action[p] (-1 at a terminal state), and back[p] leads back to position
// p-1 (-1 at the first).
//
//        s0 --a--> s1 --b--> s2 --exit-->          row    0   1   2   0   3
//        s0 --b--> s3 --exit-->                    action a   b  exit b  exit       offset 0 3 5
#ifndef FLUVIAL_LEARN_BATCH_H
#define FLUVIAL_LEARN_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/intern.h"
#include "fluvial/env.h"
#include "fluvial/objective.h"
#include "learn/policy.h"

typedef struct flv_batch {
  const flv_env *env;
  bool interned;    // false: every position gets a row of its own (for comparison)
  int max_n, width; // most trajectories, most positions of one
  int max_rows;

  int n;                        // trajectories
  int32_t *offset;              // [max_n + 1]
  int32_t *row, *action, *back; // [max_n * width]
  double *log_pi; // [max_n] behaviour log-probability, recorded when the trajectory was made
  double *log_r;  // [max_n]
  uint8_t *open;  // [max_n] FLV_OPEN_* of fragments, 0 of whole trajectories

  flv_intern rows;    // the states; rows.n of them
  flv_acts acts;      // activations, one row per state
  uint8_t *mask;      // [max_rows, n_actions] what P_F is over
  uint8_t *shut;      // [max_rows] where unmasked: the exit is in mask, and not legal
  uint8_t *mask_back; // [max_rows, n_back]
  double *log_pf;     // [max_rows, n_actions]
  double *log_sum;    // [max_rows] logsumexp of P_F's legal logits
  double *log_pb;     // [max_rows, n_back]
  bool unmasked;      // rows that come are of a loss whose P_F is (learn/logits.h)
  int evaluated;      // rows whose P_F is known
  int rest_evaluated; // rows whose P_B and log F are known; at most `evaluated`
  int rewarded;       // trajectories whose log_r is known
  uint64_t filling;   // how often it has been cleared

  int64_t *index_scratch; // [max_rows]
  void *block;
} flv_batch;

// training false: no gradients will be asked for.
flv_status flv_batch_init(flv_batch *batch, const flv_policy *policy, int max_n, bool interned,
                          bool training, flv_error *err);
void flv_batch_free(flv_batch *batch);
void flv_batch_clear(flv_batch *batch); // and masked again

// Row of a state, new or known. from: row of a state that differs little from it, as the one before
// it on its trajectory; -1: none is known.
int flv_batch_row(flv_batch *batch, const void *state, int from);

static inline const unsigned char *flv_batch_state(const flv_batch *batch, int row) {
  return batch->rows.states + (size_t)row * batch->rows.state_size;
}
static inline int flv_batch_last(const flv_batch *batch, int i) {
  return batch->row[batch->offset[i + 1] - 1];
}

// Masks, observations, P_F's network and log P_F of the rows that are new since the last call.
void flv_batch_evaluate_pf(flv_batch *batch, const flv_policy *policy, int threads);
// The same, then everything after the mark, and log P_B; of rows that are new since the last call.
void flv_batch_evaluate_rest(flv_batch *batch, const flv_policy *policy, int threads);

#endif
