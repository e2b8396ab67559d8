#include "learn/backward.h"

#include <string.h>

static const flv_component objective = {
    .name = "objective",
    .help = "P_B follows the objective's own gradient",
    .size = 1,
};
static const flv_component tlm = {
    .name = "tlm",
    .help = "trajectory likelihood: P_B follows -mean log P_B(tau|x); the objective sees the "
            "target's P_B",
    .size = 1,
};

#define PESSIMISTIC_KEYS(X)                                                                        \
  X(INT, batches, "20", 1, 100000, "", "batches whose trajectories are remembered")
typedef struct pessimistic_cfg {
  PESSIMISTIC_KEYS(FLV_FIELD)
} pessimistic_cfg;
#define FLV_STRUCT pessimistic_cfg
static const flv_param pessimistic_params[] = {PESSIMISTIC_KEYS(FLV_PARAM)};
#undef FLV_STRUCT
static const flv_component pessimistic = {
    .name = "pessimistic",
    .help = "trajectory likelihood of P_B over the trajectories of the last batches",
    .params = pessimistic_params,
    .n_params = sizeof pessimistic_params / sizeof *pessimistic_params,
    .size = sizeof(pessimistic_cfg),
};

static const flv_component max_entropy = {
    .name = "max_entropy",
    .help = "P_B learns to be n(s)/n(s'), n the number of ways; for spaces that cannot be "
            "enumerated",
    .size = 1,
};

const flv_component *const flv_backward_list[] = {&objective, &tlm, &pessimistic, &max_entropy,
                                                  NULL};

unsigned flv_backward_needs(const flv_component *component) {
  return component == &max_entropy ? FLV_NEEDS_WAYS : 0;
}

flv_status flv_backward_init(flv_backward *backward, const flv_component *component,
                             const void *cfg, const flv_policy *policy, int batch, flv_error *err) {
  flv_backward b = {0};
  while (flv_backward_list[b.rule] != component) b.rule++;
  if (b.rule != FLV_BACKWARD_OBJECTIVE && policy->pb < 0)
    return flv_fail(err, FLV_EINVAL,
                    "backward: %s needs a P_B that learns (policy.p_b: learned or tied)",
                    component->name);
  if (b.rule == FLV_BACKWARD_PESSIMISTIC)
    FLV_TRY(flv_replay_create(&b.past, ((const pessimistic_cfg *)cfg)->batches * (int64_t)batch,
                              policy->env, batch, err));
  *backward = b;
  return FLV_OK;
}

void flv_backward_free(flv_backward *backward) { flv_replay_free(&backward->past); }

int flv_backward_extra(const flv_backward *backward, int batch) {
  return backward->rule == FLV_BACKWARD_PESSIMISTIC ? batch : 0;
}

void flv_backward_draw(flv_backward *backward, flv_sampler *sampler, flv_batch *batch,
                       const flv_policy *policy, flv_rng rng, int n, int batch_size) {
  const int extra = flv_backward_extra(backward, batch_size);
  if (extra == 0) return;
  flv_replay_push(&backward->past, batch, n);
  flv_replay_draw(&backward->past, sampler, batch, policy, rng, extra, 1);
}

// Over trajectories [first, n).
static void likelihood(flv_score *score, const flv_batch *batch, int first) {
  const int n = batch->n;
  for (int i = first; i < n; i++)
    for (int p = batch->offset[i] + 1; p < batch->offset[i + 1]; p++)
      score->out.log_pb[p] = -1.0 / (n - first);
}

static void count_ways(flv_score *score, const flv_batch *batch, const float *log_n) {
  const int32_t *offset = batch->offset, *row = batch->row;
  const int n = batch->n, steps = offset[n] - n;
  memset(score->d_log_n, 0, (size_t)batch->rows.n * sizeof *score->d_log_n);
  for (int i = 0; i < n; i++)
    for (int p = offset[i] + 1; p < offset[i + 1]; p++) {
      const bool from_s0 = p == offset[i] + 1 && !(batch->open[i] & FLV_OPEN_START);
      const double before = from_s0 ? 0.0 : (double)log_n[row[p - 1]];
      const double d = 2.0 * ((double)log_n[row[p]] + score->log_pb[p] - before) / steps;
      score->out.log_pb[p] = d;
      score->d_log_n[row[p]] += d;
      if (!from_s0) score->d_log_n[row[p - 1]] -= d;
    }
}

void flv_backward_apply(const flv_backward *backward, flv_score *score, const flv_batch *batch,
                        const flv_policy *policy) {
  if (backward->rule == FLV_BACKWARD_OBJECTIVE) return;
  memset(score->out.log_pb, 0, (size_t)batch->offset[batch->n] * sizeof *score->out.log_pb);
  if (backward->rule == FLV_BACKWARD_MAX_ENTROPY)
    count_ways(score, batch, batch->acts.value[policy->log_n]);
  else
    likelihood(score, batch, backward->rule == FLV_BACKWARD_TLM ? 0 : score->in.n);
}
