// Gradients with respect to the network's parameters, as training makes them: batches of
// trajectories, evaluated, scored and sent backwards by the trainer's own parts.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "lab/space.h"

typedef struct parameters {
  flv_trainer *t;
  flv_lab_space *space;
  int large, threads;
  flv_policy past; // the policy that behaves: the trainer's with other parameters
  flv_explore explore;
  flv_batch batch;
  flv_sampler sampler;
  flv_score score;
  int64_t *offset;    // [pool + 1]
  int32_t *action;    // [pool * max_length]
  double *log_pi;     // [pool]
  float *past_params; // [n_params]
  float *grad;        // [n_params]
  void *block;
} parameters;

static void place(void *self, const float *now, const float *past,
                  const flv_lab_behaviour *behaviour) {
  parameters *s = self;
  const size_t bytes = s->t->policy.n_params * sizeof *now;
  memcpy(s->t->policy.params, now, bytes);
  memcpy(s->past_params, past, bytes);
  s->explore = flv_lab_explore(behaviour);
  if (!s->explore.active) s->explore.temperature = 1.0;
}

// Copies trajectory i of the batch behind the pool's trajectory `at`.
static void keep(parameters *s, int at, int i) {
  const flv_batch *b = &s->batch;
  int length = b->offset[i + 1] - b->offset[i];
  if (b->action[b->offset[i + 1] - 1] < 0) length--; // a terminal state takes no action
  memcpy(s->action + s->offset[at], b->action + b->offset[i], (size_t)length * sizeof *s->action);
  s->offset[at + 1] = s->offset[at] + length;
  s->log_pi[at] = b->log_pi[i];
}

// Fills the batch with pool trajectories and evaluates them under the present policy. false: the
// reward has failed.
static bool fill(parameters *s, int first, int n) {
  flv_batch *b = &s->batch;
  flv_batch_clear(b);
  for (int i = first; i < first + n; i++)
    flv_sampler_append(&s->sampler, b, (int)(s->offset[i + 1] - s->offset[i]),
                       s->action + s->offset[i], s->log_pi[i]);
  flv_batch_evaluate_pf(b, &s->t->policy, s->threads);
  flv_batch_evaluate_rest(b, &s->t->policy, s->threads);
  if (flv_score_rewards(&s->score, b, s->t->reward, &s->space->failure) != FLV_OK) return false;
  flv_score_gather(&s->score, b, &s->t->policy, b->n, NULL, false);
  return true;
}

static void draw(void *self, flv_rng rng, int chunks) {
  parameters *s = self;
  const uint64_t iteration = rng.iteration;
  double sum = 0.0;
  if (s->space->failure.status != FLV_OK) return;
  for (int k = 0; k < chunks; k++) {
    rng.iteration = iteration + (uint64_t)k;
    flv_batch_clear(&s->batch);
    flv_sampler_run(&s->sampler, &s->batch, &s->past, &s->explore, rng, s->large, s->threads);
    for (int i = 0; i < s->large; i++) keep(s, k * s->large + i, i);
    if (!fill(s, k * s->large, s->large)) return;
    for (int i = 0; i < s->large; i++)
      for (int p = s->batch.offset[i]; p < s->batch.offset[i + 1]; p++) sum -= s->score.log_pf[p];
    for (int i = 0; i < s->large; i++) sum += s->batch.log_pi[i];
  }
  s->space->off_policy = sum / ((double)chunks * s->large);
}

static double gradient(void *self, int worker, const flv_chosen *chosen, int first, int n,
                       double *g) {
  (void)worker;
  parameters *s = self;
  if (s->space->failure.status != FLV_OK || !fill(s, first, n)) {
    memset(g, 0, s->space->size * sizeof *g);
    return 0.0;
  }
  chosen->objective->loss(chosen->cfg, &s->score.in, &s->score.out);
  flv_score_scatter(&s->score, &s->batch, &s->t->policy, s->threads);
  flv_net_backward(s->t->policy.net, s->t->policy.params, &s->batch.acts, s->batch.rows.n, s->grad,
                   s->threads);
  for (size_t k = 0; k < s->space->size; k++) g[k] = (double)s->grad[k];
  return s->score.out.ess;
}

static void free_self(void *self) {
  parameters *s = self;
  flv_score_free(&s->score);
  flv_sampler_free(&s->sampler);
  flv_batch_free(&s->batch);
  flv_free(s->block);
  free(s);
}

static flv_status make_memory(parameters *s, unsigned needs, int chunks, flv_error *err) {
  const flv_policy *policy = &s->t->policy;
  const size_t pool = (size_t)chunks * (size_t)s->large;
  const flv_slot slots[] = {FLV_SLOT(s->offset, pool + 1),
                            FLV_SLOT(s->action, pool * (size_t)s->t->env->max_length),
                            FLV_SLOT(s->log_pi, pool), FLV_SLOT(s->past_params, policy->n_params),
                            FLV_SLOT(s->grad, policy->n_params)};
  s->block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!s->block) return flv_fail(err, FLV_ENOMEM, "out of memory for %zu trajectories", pool);
  FLV_TRY(flv_batch_init(&s->batch, policy, s->large, true, true, err));
  FLV_TRY(flv_sampler_init(&s->sampler, &s->batch, err));
  if (policy->log_f >= 0) needs |= FLV_NEEDS_LOG_F; // its cotangents are sent back, if only zeros
  return flv_score_init(&s->score, &s->batch, needs, err);
}

flv_status flv_lab_space_parameters(flv_lab_space *space, flv_trainer *trainer, unsigned needs,
                                    int large, int chunks, int threads, flv_error *err) {
  parameters *s = calloc(1, sizeof *s);
  if (!s) return flv_fail(err, FLV_ENOMEM, "out of memory for the laboratory");
  *s = (parameters){.t = trainer, .space = space, .large = large, .threads = threads};
  const flv_status status = make_memory(s, needs, chunks, err);
  if (status != FLV_OK) {
    free_self(s);
    return status;
  }
  s->past = trainer->policy;
  s->past.params = s->past_params;
  const flv_net *net = trainer->policy.net;
  *space = (flv_lab_space){.self = s,
                           .workers = 1,
                           .size = net->n_params,
                           .place = place,
                           .draw = draw,
                           .gradient = gradient,
                           .free_self = free_self};
  for (int i = 0; i < net->n_weights; i++) {
    const flv_weight *w = &net->weight[i];
    if (w->group != FLV_GROUP_PF && w->group != FLV_GROUP_PB) continue;
    space->tensor[space->n_tensors++] = (flv_lab_tensor){
        w->offset, w->offset + (size_t)w->rows * (size_t)w->cols, w->group == FLV_GROUP_PB};
  }
  return FLV_OK;
}
