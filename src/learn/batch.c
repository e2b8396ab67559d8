#include "learn/batch.h"

#include <limits.h>
#include <string.h>

#include "base/logmath.h"
#include "base/memory.h"
#include "base/parallel.h"
#include "learn/logits.h"

enum { ROWS_PER_TASK = 512 };

flv_status flv_batch_init(flv_batch *batch, const flv_policy *policy, int max_n, bool interned,
                          bool training, flv_error *err) {
  const flv_env *env = policy->env;
  flv_batch b = {.env = env, .interned = interned, .max_n = max_n};
  // With an exit action the last position is where it is taken; without, the terminal state adds
  // one.
  b.width = env->max_length + (env->exit_action < 0);
  const int64_t positions = (int64_t)max_n * b.width;
  int64_t rows = positions;
  if (policy->needs & FLV_NEEDS_INFLOW) rows *= 1 + env->n_back; // parents besides
  if (interned && env->n_states > 0 && env->n_states < rows) rows = env->n_states;
  if (positions > INT_MAX / 64 || rows > INT_MAX / 64)
    return flv_fail(err, FLV_EINVAL, "a batch of %d trajectories of up to %d states is too large",
                    max_n, b.width);
  b.max_rows = (int)rows;
  const size_t p = (size_t)positions, r = (size_t)rows, n = (size_t)max_n;
  const size_t a = (size_t)env->n_actions, k = (size_t)env->n_back;
  const flv_slot slots[] = {
      FLV_SLOT(b.offset, n + 1), FLV_SLOT(b.row, p),           FLV_SLOT(b.action, p),
      FLV_SLOT(b.back, p),       FLV_SLOT(b.log_pi, n),        FLV_SLOT(b.log_r, n),
      FLV_SLOT(b.mask, r * a),   FLV_SLOT(b.mask_back, r * k), FLV_SLOT(b.log_pf, r * a),
      FLV_SLOT(b.log_pb, r * k), FLV_SLOT(b.log_sum, r),       FLV_SLOT(b.index_scratch, r),
      FLV_SLOT(b.open, n),       FLV_SLOT(b.shut, r)};
  b.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!b.block || flv_intern_init(&b.rows, env->state_size, b.max_rows) != 0 ||
      flv_acts_init(&b.acts, policy->net, b.max_rows, training, true) != FLV_OK) {
    flv_batch_free(&b);
    return flv_fail(err, FLV_ENOMEM, "out of memory for a batch of %d trajectories, %lld states",
                    max_n, (long long)rows);
  }
  *batch = b;
  return FLV_OK;
}

void flv_batch_free(flv_batch *batch) {
  flv_acts_free(&batch->acts);
  flv_intern_free(&batch->rows);
  flv_free(batch->block);
  *batch = (flv_batch){0};
}

void flv_batch_clear(flv_batch *batch) {
  batch->n = 0;
  batch->offset[0] = 0;
  batch->evaluated = batch->rest_evaluated = batch->rewarded = 0;
  batch->unmasked = false;
  batch->filling++;
  flv_intern_clear(&batch->rows);
}

static int add_row(flv_batch *b, const void *state) {
  if (b->interned) return flv_intern_row(&b->rows, state);
  flv_intern *rows = &b->rows;
  memcpy(rows->states + (size_t)rows->n * rows->state_size, state, rows->state_size);
  return rows->n++;
}

int flv_batch_row(flv_batch *batch, const void *state, int from) {
  const int known = batch->rows.n, row = add_row(batch, state);
  if (row == known) flv_acts_link(&batch->acts, row, from);
  return row;
}

typedef struct range {
  flv_batch *batch;
  const flv_policy *policy;
  int row0, n;
} range;

static void log_pf_rows(void *context, int task) {
  const range *c = context;
  flv_batch *b = c->batch;
  const int a = b->env->n_actions;
  const float *logits = b->acts.value[c->policy->pf];
  const int end = c->row0 + flv_chunk_begin(c->n, ROWS_PER_TASK, task + 1);
  for (int r = c->row0 + flv_chunk_begin(c->n, ROWS_PER_TASK, task); r < end; r++) {
    const size_t at = (size_t)r * (size_t)a;
    b->log_sum[r] = flv_policy_log_pf(c->policy, logits + at, b->mask + at, b->log_pf + at);
  }
}

static void open_exits(flv_batch *b, const range *c) {
  const flv_env *env = b->env;
  for (int r = c->row0; r < c->row0 + c->n; r++) {
    uint8_t *legal = &b->mask[(size_t)r * (size_t)env->n_actions + (size_t)env->exit_action];
    b->shut[r] = !*legal;
    *legal = 1;
  }
}

void flv_batch_evaluate_pf(flv_batch *batch, const flv_policy *policy, int threads) {
  const flv_env *env = batch->env;
  range c = {batch, policy, batch->evaluated, batch->rows.n - batch->evaluated};
  if (c.n == 0) return;
  const void *states = flv_batch_state(batch, c.row0);
  env->ops->mask(env, c.n, states, batch->mask + (size_t)c.row0 * (size_t)env->n_actions);
  if (batch->unmasked) open_exits(batch, &c);
  flv_policy_observe(policy, &batch->acts, c.row0, c.n, states, batch->index_scratch);
  flv_net_forward(policy->net, policy->params, &batch->acts, 0, policy->net->mark, c.row0,
                  c.row0 + c.n, threads);
  flv_parallel(threads, flv_chunk_count(c.n, ROWS_PER_TASK), log_pf_rows, &c);
  batch->evaluated = batch->rows.n;
  // What follows P_F in the program reads its activations.
  if (batch->rest_evaluated > c.row0) batch->rest_evaluated = c.row0;
}

static void log_pb_rows(void *context, int task) {
  const range *c = context;
  flv_batch *b = c->batch;
  const int k = b->env->n_back;
  const int begin = c->row0 + flv_chunk_begin(c->n, ROWS_PER_TASK, task);
  const int end = c->row0 + flv_chunk_begin(c->n, ROWS_PER_TASK, task + 1);
  const size_t first = (size_t)begin * (size_t)k;
  b->env->ops->mask_back(b->env, end - begin, flv_batch_state(b, begin), b->mask_back + first);
  const float *logits = c->policy->pb >= 0 ? b->acts.value[c->policy->pb] : NULL;
  for (int r = begin; r < end; r++) {
    const size_t at = (size_t)r * (size_t)k;
    if (c->policy->fixed_log_pb)
      memcpy(b->log_pb + at, c->policy->fixed_log_pb + (size_t)b->index_scratch[r] * (size_t)k,
             (size_t)k * sizeof *b->log_pb);
    else if (logits)
      flv_log_softmax(k, logits + at, b->mask_back + at, b->log_pb + at);
    else
      flv_log_uniform(k, b->mask_back + at, b->log_pb + at);
  }
}

void flv_batch_evaluate_rest(flv_batch *batch, const flv_policy *policy, int threads) {
  flv_batch_evaluate_pf(batch, policy, threads);
  const flv_net *net = policy->net;
  range c = {batch, policy, batch->rest_evaluated, batch->rows.n - batch->rest_evaluated};
  if (c.n == 0) return;
  flv_net_forward(net, policy->params, &batch->acts, net->mark, net->n_ops, c.row0, c.row0 + c.n,
                  threads);
  if (policy->fixed_log_pb)
    batch->env->ops->index(batch->env, c.n, flv_batch_state(batch, c.row0),
                           batch->index_scratch + c.row0);
  flv_parallel(threads, flv_chunk_count(c.n, ROWS_PER_TASK), log_pb_rows, &c);
  batch->rest_evaluated = batch->rows.n;
}
