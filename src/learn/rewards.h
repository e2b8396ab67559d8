// Rewards of a batch's objects. They may be expensive: each distinct object of a batch is asked for
// once, however often the batch has grown in between.
#ifndef FLUVIAL_LEARN_REWARDS_H
#define FLUVIAL_LEARN_REWARDS_H

#include "fluvial/reward.h"
#include "learn/batch.h"

typedef struct flv_rewards {
  uint64_t filling;     // of the batch, to which what follows belongs
  int n;                // distinct objects that are known
  int32_t *row;         // [max_n] their rows
  unsigned char *state; // [max_n * state_size]
  double *log_r;        // [max_n]
  uint8_t *known;       // [max_rows]
  double *log_r_row;    // [max_rows] log R where known
  void *block;
} flv_rewards;

flv_status flv_rewards_init(flv_rewards *rewards, const flv_batch *batch, flv_error *err);
void flv_rewards_free(flv_rewards *rewards);

// log R of the objects of trajectories batch->rewarded and on, into batch->log_r; NaN for fragments
// that do not end in one. Where the reward fails, its status: the objects are asked for again when
// the batch is.
flv_status flv_rewards_objects(flv_rewards *rewards, flv_batch *batch, const flv_reward *reward,
                               flv_error *err);
// The same, and log R of every state of the batch, into log_r_row.
flv_status flv_rewards_states(flv_rewards *rewards, flv_batch *batch, const flv_reward *reward,
                              flv_error *err);

#endif
