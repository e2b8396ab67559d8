#include "learn/rewards.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

flv_status flv_rewards_init(flv_rewards *rewards, const flv_batch *batch, flv_error *err) {
  flv_rewards w = {0};
  const size_t n = (size_t)batch->max_n, r = (size_t)batch->max_rows;
  const flv_slot slots[] = {FLV_SLOT(w.row, n), FLV_SLOT(w.state, n * batch->env->state_size),
                            FLV_SLOT(w.log_r, n), FLV_SLOT(w.known, r), FLV_SLOT(w.log_r_row, r)};
  w.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!w.block)
    return flv_fail(err, FLV_ENOMEM, "out of memory for the rewards of %d objects", batch->max_n);
  *rewards = w;
  return FLV_OK;
}

void flv_rewards_free(flv_rewards *rewards) {
  flv_free(rewards->block);
  *rewards = (flv_rewards){0};
}

static void take_rows(const flv_rewards *w, flv_batch *batch, bool all) {
  for (; batch->rewarded < batch->n; batch->rewarded++) {
    const int i = batch->rewarded;
    const bool known = all || !(batch->open[i] & FLV_OPEN_END);
    batch->log_r[i] = known ? w->log_r_row[flv_batch_last(batch, i)] : (double)NAN;
  }
}

// Forgets objects from number n on.
static void forget(flv_rewards *w, int n) {
  while (w->n > n) w->known[w->row[--w->n]] = 0;
}

flv_status flv_rewards_objects(flv_rewards *rewards, flv_batch *batch, const flv_reward *reward,
                               flv_error *err) {
  flv_rewards *w = rewards;
  const size_t size = batch->rows.state_size;
  if (w->filling != batch->filling) forget(w, 0);
  w->filling = batch->filling;
  const int before = w->n;
  for (int i = batch->rewarded; i < batch->n; i++) {
    const int r = flv_batch_last(batch, i);
    if (w->known[r] || batch->open[i] & FLV_OPEN_END) continue;
    w->known[r] = 1;
    memcpy(w->state + (size_t)w->n * size, flv_batch_state(batch, r), size);
    w->row[w->n++] = r;
  }
  const flv_status status = flv_reward_log(
      reward, batch->env, w->n - before, w->state + (size_t)before * size, w->log_r + before, err);
  if (status != FLV_OK) {
    forget(w, before);
    return status;
  }
  for (int k = before; k < w->n; k++) w->log_r_row[w->row[k]] = w->log_r[k];
  take_rows(w, batch, false);
  return FLV_OK;
}

flv_status flv_rewards_states(flv_rewards *rewards, flv_batch *batch, const flv_reward *reward,
                              flv_error *err) {
  FLV_TRY(flv_reward_log(reward, batch->env, batch->rows.n, batch->rows.states, rewards->log_r_row,
                         err));
  batch->rewarded = 0;
  take_rows(rewards, batch, true);
  return FLV_OK;
}
