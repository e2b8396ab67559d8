// What a checkpoint holds, and drawing objects from a trained policy.
#include <stdio.h>
#include <string.h>

#include "learn/trainer_impl.h"

typedef struct list {
  flv_tensor *tensor;
  int n, max;
} list;

static void add(list *l, const char *name, flv_dtype dtype, int64_t rows, int64_t cols,
                void *data) {
  if (l->n < l->max) {
    flv_tensor *t = &l->tensor[l->n];
    *t =
        (flv_tensor){.dtype = dtype, .n_dims = cols > 0 ? 2 : 1, .dim = {rows, cols}, .data = data};
    snprintf(t->name, sizeof t->name, "%s", name);
  }
  l->n++;
}

int flv_trainer_tensors(flv_trainer *trainer, flv_tensor *tensors, int max) {
  flv_trainer *t = trainer;
  list l = {tensors, 0, max};
  const flv_net *net = t->policy.net;
  for (int i = 0; i < net->n_weights; i++) {
    const flv_weight *w = &net->weight[i];
    add(&l, w->name, FLV_F32, w->rows == 1 ? w->cols : w->rows, w->rows == 1 ? 0 : w->cols,
        t->policy.params + w->offset);
  }
  add(&l, "log_z", FLV_F32, 1, 0, flv_policy_log_z(&t->policy));
  const int64_t n = (int64_t)t->policy.n_params;
  add(&l, "optimiser.m", FLV_F32, n, 0, t->optim.m);
  add(&l, "optimiser.v", FLV_F32, n, 0, t->optim.v);
  add(&l, "optimiser.step", FLV_I64, 1, 0, &t->optim.step);
  add(&l, "schedule.factor", FLV_F64, 1, 0, &t->schedule.factor);
  add(&l, "schedule.best", FLV_F64, 1, 0, &t->schedule.best);
  add(&l, "schedule.best_at", FLV_I64, 1, 0, &t->schedule.best_at);
  add(&l, "schedule.metric", FLV_F64, 1, 0, &t->schedule.metric);
  add(&l, "iteration", FLV_I64, 1, 0, &t->iteration);
  add(&l, "trajectories", FLV_I64, 1, 0, &t->trajectories);
  if (t->replay.capacity > 0) {
    add(&l, "replay.pushed", FLV_I64, 1, 0, t->replay.pushed);
    add(&l, "replay.length", FLV_I32, t->replay.capacity, 0, t->replay.length);
    add(&l, "replay.action", FLV_I32, t->replay.capacity, t->replay.width, t->replay.action);
    add(&l, "replay.log_pi", FLV_F64, t->replay.capacity, 0, t->replay.log_pi);
  }
  return l.n;
}

void flv_trainer_report(flv_trainer *trainer, const flv_evaluation *evaluation) {
  const char *name = flv_schedule_metric(&trainer->schedule);
  if (!name) return;
  const flv_evaluation *e = evaluation;
  const struct {
    const char *name;
    double value;
  } metric[] = {
      {"jsd", e->jsd}, {"tv", e->tv}, {"kl_pq", e->kl_pq}, {"kl_qp", e->kl_qp}, {"l1", e->l1}};
  for (size_t i = 0; i < sizeof metric / sizeof *metric; i++)
    if (strcmp(name, metric[i].name) == 0) flv_schedule_report(&trainer->schedule, metric[i].value);
}

flv_status flv_trainer_sample(flv_trainer *trainer, uint64_t stream, int n, void *states,
                              double *log_r, flv_error *err) {
  (void)err; // memory is the trainer's own
  flv_trainer *t = trainer;
  flv_batch *b = &t->batch;
  const size_t size = t->env->state_size;
  const flv_explore on_policy = {.temperature = 1.0};
  for (int done = 0, group = 0; done < n; group++) {
    const int take = n - done < b->max_n ? n - done : b->max_n;
    const flv_rng rng = {(uint64_t)t->train->seed ^ stream << 32, FLV_RNG_SAMPLE, (uint64_t)group};
    flv_batch_clear(b);
    flv_sampler_run(&t->sampler, b, &t->policy, &on_policy, rng, take, t->threads);
    for (int i = 0; i < take; i++)
      memcpy((unsigned char *)states + (size_t)(done + i) * size,
             flv_batch_state(b, flv_batch_last(b, i)), size);
    done += take;
  }
  if (log_r) flv_reward_log(t->reward, t->env, n, states, log_r);
  return FLV_OK;
}
