// What a checkpoint holds, and drawing objects from a trained policy.
#include <math.h>
#include <stddef.h>
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

// size: of a state, in bytes.
static void add_replay(list *l, const char *name, const flv_replay *replay, int64_t size) {
  const flv_replay *r = replay;
  if (r->capacity == 0) return;
  const int64_t n = r->capacity, nodes = 2 * (int64_t)r->tree.leaves;
  const bool weighted = r->by != FLV_PRIORITY_UNIFORM, whole = !r->objects && !r->steps;
  const struct {
    const char *name;
    int64_t rows, cols;
    void *data;
    flv_dtype dtype;
    bool held;
  } part[] = {{"pushed", 1, 0, r->pushed, FLV_I64, true},
              {"length", n, 0, r->length, FLV_I32, whole},
              {"action", n, r->width, r->action, FLV_I32, !r->objects},
              {"log_pi", n, 0, r->log_pi, FLV_F64, whole},
              {"state", n, size, r->state, FLV_U8, r->steps},
              {"object", n, (int64_t)r->recent.record_size, r->recent.records, FLV_U8, r->objects},
              {"slot", r->recent.slots, 0, r->recent.slot, FLV_I32, r->objects},
              {"log_sum", nodes, 0, r->tree.log_sum, FLV_F64, weighted},
              {"log_max", nodes, 0, r->tree.log_max, FLV_F64, weighted}};
  for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
    char full[48];
    snprintf(full, sizeof full, "%s.%s", name, part[i].name);
    if (part[i].held) add(l, full, part[i].dtype, part[i].rows, part[i].cols, part[i].data);
  }
}

static void add_stepwise(list *l, const flv_stepwise *s, int64_t size) {
  if (s->n == 0) return;
  add(l, "collect.steps", FLV_I64, 1, 0, s->steps);
  add(l, "collect.episode", FLV_I64, s->n, 0, s->episode);
  add(l, "collect.length", FLV_I32, s->n, 0, s->length);
  add(l, "collect.action", FLV_I32, s->n, s->width, s->action);
  add(l, "collect.log_pi", FLV_F64, s->n, 0, s->log_pi);
  add(l, "collect.state", FLV_U8, s->n, size, s->state);
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
  const int64_t n = (int64_t)t->policy.n_params, size = (int64_t)t->env->state_size;
  add(&l, "optimiser.m", FLV_F32, n, 0, t->optim.m);
  add(&l, "optimiser.v", FLV_F32, n, 0, t->optim.v);
  add(&l, "optimiser.step", FLV_I64, 1, 0, &t->optim.step);
  add(&l, "schedule.factor", FLV_F64, 1, 0, &t->schedule.factor);
  add(&l, "schedule.best", FLV_F64, 1, 0, &t->schedule.best);
  add(&l, "schedule.best_at", FLV_I64, 1, 0, &t->schedule.best_at);
  add(&l, "schedule.metric", FLV_F64, 1, 0, &t->schedule.metric);
  add(&l, "iteration", FLV_I64, 1, 0, &t->iteration);
  add(&l, "trajectories", FLV_I64, 1, 0, &t->trajectories);
  if (t->has_target) add(&l, "target_network", FLV_F32, n, 0, t->target.policy.params);
  add_replay(&l, "replay", &t->collector.replay, size);
  add_replay(&l, "backward", &t->backward.past, size);
  add_stepwise(&l, &t->collector.stepwise, size);
  return l.n;
}

// What a plateau schedule can watch: columns of metrics.csv, smaller is better.
typedef struct metrics {
  double jsd, tv, kl_pq, kl_qp, l1, log_z_error, loss, grad_norm;
} metrics;

static const struct {
  const char *name;
  size_t offset;
} metric_table[] = {
#define METRIC(name)                                                                               \
  { #name, offsetof(metrics, name) }
    METRIC(jsd), METRIC(tv),          METRIC(kl_pq), METRIC(kl_qp),
    METRIC(l1),  METRIC(log_z_error), METRIC(loss),  METRIC(grad_norm),
#undef METRIC
};
enum {
  METRICS = sizeof metric_table / sizeof *metric_table,
  PER_STEP = 6
}; // from loss on: every step

static int metric_of(const flv_trainer *t) {
  const char *name = flv_schedule_metric(&t->schedule);
  for (int i = 0; name && i < METRICS; i++)
    if (strcmp(name, metric_table[i].name) == 0) return i;
  return name ? METRICS : -1;
}

flv_status flv_trainer_check_metric(const flv_trainer *t, flv_error *err) {
  if (metric_of(t) < METRICS) return FLV_OK;
  char names[200] = "";
  for (int i = 0; i < METRICS; i++) {
    const size_t used = strlen(names);
    snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", metric_table[i].name);
  }
  return flv_fail(err, FLV_EINVAL, "schedule.metric: there is no metric '%s' (one of: %s)",
                  flv_schedule_metric(&t->schedule), names);
}

static void report(flv_trainer *t, int metric, const metrics *m) {
  flv_schedule_report(&t->schedule,
                      *(const double *)((const char *)m + metric_table[metric].offset));
}

void flv_trainer_report(flv_trainer *trainer, const flv_evaluation *evaluation) {
  const flv_evaluation *e = evaluation;
  const int metric = metric_of(trainer);
  if (metric < 0 || metric >= PER_STEP) return;
  const metrics m = {.jsd = e->jsd,
                     .tv = e->tv,
                     .kl_pq = e->kl_pq,
                     .kl_qp = e->kl_qp,
                     .l1 = e->l1,
                     .log_z_error = fabs(e->log_z - e->log_z_true)};
  report(trainer, metric, &m);
}

void flv_trainer_report_step(flv_trainer *trainer, double loss, double grad_norm) {
  const int metric = metric_of(trainer);
  if (metric < PER_STEP) return;
  const metrics m = {.loss = loss, .grad_norm = grad_norm};
  report(trainer, metric, &m);
}

// An odd factor is a bijection of 64 bits: no two streams share a key.
uint64_t flv_trainer_seed(const flv_trainer *trainer, uint64_t stream) {
  return (uint64_t)trainer->train->seed ^ stream * UINT64_C(0x9E3779B97F4A7C15);
}

flv_status flv_trainer_sample(flv_trainer *trainer, uint64_t stream, int n, void *states,
                              double *log_r, flv_error *err) {
  flv_trainer *t = trainer;
  flv_batch *b = &t->batch;
  const size_t size = t->env->state_size;
  const flv_explore on_policy = {.temperature = 1.0};
  const uint64_t seed = flv_trainer_seed(t, stream);
  for (int done = 0, group = 0; done < n; group++) {
    const int take = n - done < b->max_n ? n - done : b->max_n;
    const flv_rng rng = {seed, FLV_RNG_SAMPLE, (uint64_t)group};
    flv_batch_clear(b);
    flv_sampler_run(&t->sampler, b, &t->policy, &on_policy, rng, take, t->threads);
    for (int i = 0; i < take; i++)
      memcpy((unsigned char *)states + (size_t)(done + i) * size,
             flv_batch_state(b, flv_batch_last(b, i)), size);
    done += take;
  }
  return log_r ? flv_reward_log(t->reward, t->env, n, states, log_r, err) : FLV_OK;
}
