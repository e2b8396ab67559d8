// Exact terminating distribution and target of an enumerable environment.
#include "exact/terminating.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/logmath.h"
#include "base/memory.h"
#include "base/parallel.h"

enum { CHUNK = FLV_EXACT_CHUNK };
static const double log_0 = -HUGE_VAL;

static flv_status check_enumerable(const flv_env *env, flv_error *err) {
  if (env->n_states > 0 && env->ops->at && env->ops->index) return FLV_OK;
  return flv_fail(err, FLV_EINVAL, "environment %s cannot be enumerated", env->name);
}

// ---- chunks of states ----

typedef struct chunk { // states of indices begin .. begin+n-1
  int64_t begin;
  int n;
  int64_t *index;  // [CHUNK]
  void *states;    // [CHUNK * state_size]
  uint8_t *object; // [CHUNK] is it an object?
  uint8_t *mask;   // [CHUNK * n_actions]
} chunk;

static void chunk_load(chunk *c, const flv_env *env, int64_t begin) {
  const int64_t left = env->n_states - begin;
  c->begin = begin;
  c->n = left < CHUNK ? (int)left : CHUNK;
  for (int i = 0; i < c->n; i++) c->index[i] = begin + i;
  env->ops->at(env, c->n, c->index, c->states);
  env->ops->mask(env, c->n, c->states, c->mask);
  if (env->exit_action < 0) {
    env->ops->terminal(env, c->n, c->states, c->object);
    return;
  }
  for (int i = 0; i < c->n; i++)
    c->object[i] = c->mask[(size_t)i * (size_t)env->n_actions + (size_t)env->exit_action];
}

// ---- target ----

// Chunks are dealt out to workers, each with a chunk of its own; what is written does not depend on
// how many.
typedef struct target_job {
  const flv_env *env;
  const flv_reward *reward;
  double *log_r; // [n_states]
  int workers;
  chunk *chunk;   // [workers]
  flv_error *err; // [workers]
} target_job;

// Only objects are asked for: they move to the front, and their rewards back to where they stood.
static flv_status chunk_rewards(chunk *c, const target_job *job, double *log_r, flv_error *err) {
  const size_t size = job->env->state_size;
  unsigned char *states = c->states;
  int n = 0;
  for (int i = 0; i < c->n; i++) {
    if (!c->object[i]) continue;
    if (i > n) memcpy(states + (size_t)n * size, states + (size_t)i * size, size);
    n++;
  }
  if (n > 0) FLV_TRY(flv_reward_log(job->reward, job->env, n, states, log_r, err));
  for (int i = c->n - 1; i >= 0; i--) log_r[i] = c->object[i] ? log_r[--n] : log_0;
  return FLV_OK;
}

static void target_work(void *context, int worker) {
  const target_job *job = context;
  chunk *c = &job->chunk[worker];
  for (int64_t begin = (int64_t)worker * CHUNK; begin < job->env->n_states;
       begin += (int64_t)job->workers * CHUNK) {
    flv_error *err = &job->err[worker];
    chunk_load(c, job->env, begin);
    err->status = chunk_rewards(c, job, job->log_r + begin, err);
    if (err->status != FLV_OK) return;
  }
}

enum { CHUNK_SLOTS = 4 };
static void chunk_slots(chunk *c, const flv_env *env, flv_slot slot[CHUNK_SLOTS]) {
  slot[0] = (flv_slot)FLV_SLOT(c->index, CHUNK);
  slot[1] = (flv_slot){&c->states, CHUNK * env->state_size};
  slot[2] = (flv_slot)FLV_SLOT(c->object, CHUNK);
  slot[3] = (flv_slot)FLV_SLOT(c->mask, (size_t)CHUNK * (size_t)env->n_actions);
}

static flv_status target_rewards(const flv_env *env, const flv_reward *reward, int threads,
                                 double *log_r, flv_error *err) {
  const int64_t chunks = (env->n_states + CHUNK - 1) / CHUNK;
  int workers = threads > 0 ? threads : flv_cores();
  if (workers > chunks) workers = (int)chunks;
  chunk *const list = calloc((size_t)workers, sizeof *list);
  flv_slot *const slot = calloc((size_t)workers * CHUNK_SLOTS, sizeof *slot);
  flv_error *const failed = calloc((size_t)workers, sizeof *failed);
  void *block = NULL;
  if (list && slot && failed) {
    for (int i = 0; i < workers; i++) chunk_slots(&list[i], env, slot + (size_t)i * CHUNK_SLOTS);
    block = flv_bind(workers * CHUNK_SLOTS, slot);
  }
  flv_status status =
      block ? FLV_OK : flv_fail(err, FLV_ENOMEM, "out of memory for the target distribution");
  if (block) {
    target_job job = {.env = env,
                      .reward = reward,
                      .log_r = log_r,
                      .workers = workers,
                      .chunk = list,
                      .err = failed};
    flv_parallel(workers, workers, target_work, &job);
  }
  for (int i = 0; block && i < workers && status == FLV_OK; i++)
    if (failed[i].status != FLV_OK) status = flv_fail(err, failed[i].status, "%s", failed[i].text);
  flv_free(block);
  free(failed);
  free(slot);
  free(list);
  return status;
}

// log sum exp, chunk by chunk, so that rounding grows with the number of chunks and not of states.
static double log_total(int64_t n, const double *x) {
  double top = log_0, total = 0.0;
  for (int64_t i = 0; i < n; i++)
    if (x[i] > top) top = x[i];
  if (top == log_0) return log_0;
  for (int64_t begin = 0; begin < n; begin += CHUNK) {
    double sum = 0.0;
    for (int64_t i = begin; i < n && i < begin + CHUNK; i++) sum += exp(x[i] - top);
    total += sum;
  }
  return top + log(total);
}

flv_status flv_target(const flv_env *env, const flv_reward *reward, int threads, double *log_target,
                      double *log_z, flv_error *err) {
  FLV_TRY(check_enumerable(env, err));
  FLV_TRY(target_rewards(env, reward, threads, log_target, err));
  const double total = log_total(env->n_states, log_target);
  if (total == log_0)
    return flv_fail(err, FLV_EINVAL, "reward %s: R is 0 at every object of %s", reward->name,
                    env->name);
  for (int64_t i = 0; i < env->n_states; i++) log_target[i] -= total;
  if (log_z) *log_z = total;
  return FLV_OK;
}

// ---- flows ----

typedef struct flv_exact_work {
  chunk now;
  double *log_pf;  // [CHUNK * n_actions]
  int64_t *child;  // [CHUNK * n_actions] index of the state each action leads to, -1 where illegal
  void *next;      // [CHUNK * state_size] states after one action
  int *row;        // [CHUNK] which of the chunk's states they come from
  int32_t *action; // [CHUNK]
  int64_t *index;  // [CHUNK]
} flv_exact_work;

enum { WORK_SLOTS = CHUNK_SLOTS + 6 };
static void work_slots(flv_exact_work *w, const flv_env *env, flv_slot slot[WORK_SLOTS]) {
  const size_t pairs = (size_t)CHUNK * (size_t)env->n_actions;
  chunk_slots(&w->now, env, slot);
  slot[CHUNK_SLOTS + 0] = (flv_slot)FLV_SLOT(w->log_pf, pairs);
  slot[CHUNK_SLOTS + 1] = (flv_slot)FLV_SLOT(w->child, pairs);
  slot[CHUNK_SLOTS + 2] = (flv_slot){&w->next, CHUNK * env->state_size};
  slot[CHUNK_SLOTS + 3] = (flv_slot)FLV_SLOT(w->row, CHUNK);
  slot[CHUNK_SLOTS + 4] = (flv_slot)FLV_SLOT(w->action, CHUNK);
  slot[CHUNK_SLOTS + 5] = (flv_slot)FLV_SLOT(w->index, CHUNK);
}

// Where action a leads from the chunk's states, one batched step over those where it is legal.
static void children_of(flv_exact_work *w, const flv_env *env, int a) {
  const size_t size = env->state_size, actions = (size_t)env->n_actions;
  int n = 0;
  for (int i = 0; i < w->now.n; i++) {
    const size_t pair = (size_t)i * actions + (size_t)a;
    w->child[pair] = -1;
    if (!w->now.mask[pair] || a == env->exit_action) continue;
    memcpy((unsigned char *)w->next + (size_t)n * size,
           (unsigned char *)w->now.states + (size_t)i * size, size);
    w->row[n] = i;
    w->action[n++] = a;
  }
  if (n == 0) return;
  env->ops->step(env, n, w->next, w->action);
  env->ops->index(env, n, w->next, w->index);
  for (int k = 0; k < n; k++) w->child[(size_t)w->row[k] * actions + (size_t)a] = w->index[k];
}

// Pushes the flow of one state, whose parents have all been seen, to its children; then turns it
// into P_T.
static flv_status push(const flv_exact_work *w, const flv_env *env, int i, double *log_u,
                       flv_error *err) {
  const int64_t s = w->now.begin + i;
  const size_t pair = (size_t)i * (size_t)env->n_actions;
  const double here = log_u[s];
  double stop = log_0;
  for (int a = 0; a < env->n_actions; a++) {
    const double log_pf = w->log_pf[pair + (size_t)a];
    const int64_t child = w->child[pair + (size_t)a];
    if (!w->now.mask[pair + (size_t)a]) continue;
    if (isnan(log_pf) || log_pf > 1e-6)
      return flv_fail(err, FLV_ENAN, "log P_F of action %d is %g at state %lld of %s", a, log_pf,
                      (long long)s, env->name);
    if (a == env->exit_action) {
      stop = log_pf;
      continue;
    }
    if (child <= s || child >= env->n_states)
      return flv_fail(err, FLV_EINVAL, "%s: action %d leads from state %lld to state %lld of %lld",
                      env->name, a, (long long)s, (long long)child, (long long)env->n_states);
    log_u[child] = flv_logaddexp(log_u[child], here + log_pf);
  }
  if (env->exit_action < 0) stop = w->now.object[i] ? 0.0 : log_0;
  log_u[s] = here + stop;
  return FLV_OK;
}

// log_p [n_states]: flows first, then, state by state, log P_T.
static flv_status propagate(flv_exact_work *w, const flv_env *env, flv_log_pf_fn log_pf, void *user,
                            double *log_p, flv_error *err) {
  for (int64_t i = 0; i < env->n_states; i++) log_p[i] = i == 0 ? 0.0 : log_0;
  for (int64_t begin = 0; begin < env->n_states; begin += CHUNK) {
    chunk_load(&w->now, env, begin);
    log_pf(user, w->now.n, w->now.states, w->log_pf);
    for (int a = 0; a < env->n_actions; a++) children_of(w, env, a);
    for (int i = 0; i < w->now.n; i++) FLV_TRY(push(w, env, i, log_p, err));
  }
  return FLV_OK;
}

flv_status flv_terminating(const flv_env *env, flv_log_pf_fn log_pf, void *user, double *p_t,
                           flv_error *err) {
  FLV_TRY(check_enumerable(env, err));
  flv_exact_work work;
  flv_slot slot[WORK_SLOTS];
  work_slots(&work, env, slot);
  void *block = flv_bind(WORK_SLOTS, slot);
  if (!block) return flv_fail(err, FLV_ENOMEM, "out of memory for the terminating distribution");
  const flv_status status = propagate(&work, env, log_pf, user, p_t, err);
  flv_free(block);
  for (int64_t i = 0; i < env->n_states; i++) p_t[i] = exp(p_t[i]);
  return status;
}

// ---- workspace ----

typedef struct whole { // what one block holds; freeing it frees all
  flv_exact exact;
  flv_exact_work work;
} whole;

// Memory of a workspace, of the target too where it is the workspace's own.
static flv_exact *make_workspace(flv_exact e, bool own_target, flv_error *err) {
  flv_exact_work work;
  whole *all = NULL;
  flv_slot slot[WORK_SLOTS + 5] = {FLV_SLOT(all, 1), FLV_SLOT(e.log_p, e.n), FLV_SLOT(e.p, e.n)};
  work_slots(&work, e.env, slot + 3);
  int n = WORK_SLOTS + 3;
  if (own_target) {
    slot[n++] = (flv_slot)FLV_SLOT(e.log_target, e.n);
    slot[n++] = (flv_slot)FLV_SLOT(e.target, e.n);
  }
  if (!flv_bind(n, slot)) {
    flv_fail(err, FLV_ENOMEM, "out of memory: exact evaluation of %s needs %lld MB", e.env->name,
             (long long)(e.n / (own_target ? 32768 : 65536)));
    return NULL;
  }
  all->work = work;
  all->exact = e;
  all->exact.work = &all->work;
  return &all->exact;
}

flv_exact *flv_exact_new(const flv_env *env, const flv_reward *reward, int threads,
                         flv_error *err) {
  if (check_enumerable(env, err) != FLV_OK) return NULL;
  flv_exact *e = make_workspace((flv_exact){.env = env, .n = env->n_states}, true, err);
  if (!e) return NULL;
  if (flv_target(env, reward, threads, e->log_target, &e->log_z, err) != FLV_OK) {
    flv_exact_free(e);
    return NULL;
  }
  for (int64_t i = 0; i < e->n; i++) {
    e->target[i] = exp(e->log_target[i]);
    e->n_objects += e->log_target[i] > log_0;
  }
  return e;
}

flv_exact *flv_exact_share(const flv_exact *first, flv_error *err) {
  return make_workspace(*first, false, err);
}

void flv_exact_free(flv_exact *exact) { flv_free(exact); }

flv_status flv_exact_terminating(flv_exact *exact, flv_log_pf_fn log_pf, void *user,
                                 flv_error *err) {
  FLV_TRY(propagate(exact->work, exact->env, log_pf, user, exact->log_p, err));
  for (int64_t i = 0; i < exact->n; i++) exact->p[i] = exp(exact->log_p[i]);
  return FLV_OK;
}
