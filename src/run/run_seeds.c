// Runs that differ in their seed, trained side by side.
//
// A worker takes the run that is furthest behind and that nobody has, trains it for a slice of
// time, and puts it back: no barrier, all runs end within a slice of each other, and no thread
// waits. Bits do not depend on who trains what, when or on how many threads. Workers are threads of
// POSIX, not of OpenMP: a run that is given several threads opens its own parallel regions, which
// inside another region would be serial.
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parallel.h"
#include "exact/evaluate.h"
#include "run/seeds_dir.h"

static const double slice = 0.05; // seconds

typedef struct crew crew;

typedef struct member { // what one run's progress is told to
  crew *crew;
  int k;
} member;

struct crew {
  const flv_seeds_options *options;
  flv_seeds *seeds;
  char path[FLV_SEEDS_PATH]; // of all runs
  flv_env *env;
  flv_reward *reward;
  flv_session *session; // [n]
  member *member;       // [n]
  pthread_mutex_t lock; // of everything below, and of seeds->run
  bool *taken, *over;   // [n]
  int active;           // not over
  int workers, threads;
  flv_seeds_progress progress;
  bool evaluated; // since the last call of options->progress
  double begun, shown, rated;
  int64_t rated_trajectories;
};

// ---- progress ----

static void add_stats(flv_seeds_progress *all, const flv_stats *one) {
  flv_stats *s = &all->all.stats;
  s->loss += one->loss;
  s->log_z += one->log_z;
  s->mean_length += one->mean_length;
  all->loss_low = fmin(all->loss_low, one->loss);
  all->loss_high = fmax(all->loss_high, one->loss);
}

static void add_evaluation(flv_seeds_progress *all, const flv_evaluation *one) {
  flv_evaluation *e = &all->all.evaluation;
  if (e->n == 0) *e = (flv_evaluation){.exact = true, .log_z_exact = true};
  e->exact &= one->exact;
  e->log_z_exact &= one->log_z_exact;
  e->n = one->n;
  e->jsd += one->jsd;
  e->log_z_true += one->log_z_true;
  all->jsd_low = fmin(all->jsd_low, one->jsd);
  all->jsd_high = fmax(all->jsd_high, one->jsd);
}

static void add_found(flv_seeds_progress *all, const flv_found *one) {
  flv_found *f = &all->all.found;
  f->archived = one->archived;
  f->objects += one->objects;
  f->above += one->above;
  f->modes += one->modes;
  f->low += one->low;
  f->median += one->median;
  f->high += one->high;
  f->best = fmax(f->best, one->best);
  f->best_log_r = fmax(f->best_log_r, one->best_log_r);
}

// From sums to means over the runs that have something to say.
static void divide(flv_progress *all, int begun, int measured) {
  flv_found *f = &all->found;
  const int64_t runs = begun > 0 ? begun : 1;
  f->objects /= runs;
  f->above /= runs;
  f->modes /= runs;
  f->low /= (double)runs;
  f->median /= (double)runs;
  f->high /= (double)runs;
  all->stats.loss /= begun > 0 ? begun : 1;
  all->stats.log_z /= begun > 0 ? begun : 1;
  all->stats.mean_length /= begun > 0 ? begun : 1;
  all->evaluation.jsd /= measured > 0 ? measured : 1;
  all->evaluation.log_z_true /= measured > 0 ? measured : 1;
}

// With the lock.
static void sum_up(crew *c) {
  flv_seeds_progress *all = &c->progress;
  const double rate = all->all.trajectories_per_s, unknown = (double)NAN;
  *all = (flv_seeds_progress){
      .all = {.trajectories_per_s = rate, .found = {.best = unknown, .best_log_r = unknown}},
      .loss_low = unknown,
      .loss_high = unknown,
      .jsd_low = unknown,
      .jsd_high = unknown,
      .runs = c->seeds->n};
  int begun = 0, measured = 0;
  for (int k = 0; k < c->seeds->n; k++) {
    const flv_seed_run *run = &c->seeds->run[k];
    const flv_progress *p = &run->progress;
    const bool failed = run->status != FLV_OK && run->status != FLV_ESTOPPED;
    all->ended += c->over[k];
    all->failed += failed;
    all->all.iterations += p->iterations;
    all->all.before += p->before;
    all->all.stats.iteration += p->stats.iteration;
    all->all.stats.trajectories += p->stats.trajectories;
    if (!failed && p->stats.states > 0) {
      add_stats(all, &p->stats);
      add_found(all, &p->found);
      begun++;
    }
    if (!failed && p->evaluation.n > 0) {
      add_evaluation(all, &p->evaluation);
      measured++;
    }
  }
  divide(&all->all, begun, measured);
}

// With the lock.
static void show(crew *c, bool finished) {
  const double t = flv_clock();
  if (!c->options->progress || (!finished && t - c->shown < 0.1)) return;
  sum_up(c);
  flv_progress *all = &c->progress.all;
  all->trajectories_per_s = flv_session_rate(all->trajectories_per_s, all->stats.trajectories,
                                             &c->rated_trajectories, &c->rated);
  all->seconds = t - c->begun;
  all->evaluated = c->evaluated;
  all->finished = finished;
  c->shown = t;
  c->evaluated = false;
  c->options->progress(c->options->user, &c->progress);
}

static void hear(void *user, const flv_progress *progress) {
  const member *m = user;
  crew *c = m->crew;
  pthread_mutex_lock(&c->lock);
  c->seeds->run[m->k].progress = *progress;
  c->evaluated |= progress->evaluated;
  show(c, false);
  pthread_mutex_unlock(&c->lock);
}

// ---- workers ----

// With the lock: the run furthest behind that nobody has, and its share of the threads; -1 if there
// is none. Active runs only become fewer, so there will be none later either.
static int take(crew *c, int *threads) {
  int best = -1;
  for (int k = 0; k < c->seeds->n; k++) {
    if (c->over[k] || c->taken[k]) continue;
    if (best < 0 || flv_trainer_iteration(c->session[k].trainer) <
                        flv_trainer_iteration(c->session[best].trainer))
      best = k;
  }
  if (best < 0) return -1;
  c->taken[best] = true;
  *threads = c->threads / (c->active < c->workers ? c->active : c->workers);
  return best;
}

static bool stopped(const crew *c) {
  return c->options->stop && __atomic_load_n(c->options->stop, __ATOMIC_RELAXED);
}

// FLV_OK: the slice is over, or the run (flv_session_done).
static flv_status train_slice(flv_session *s, const crew *c, flv_error *err) {
  const double begun = flv_clock();
  while (!flv_session_done(s)) {
    if (stopped(c)) return flv_session_stop(s, err);
    FLV_TRY(flv_session_step(s, err));
    if (flv_clock() - begun > slice) break;
  }
  return flv_session_done(s) ? flv_session_end(s, err) : FLV_OK;
}

static void put_back(crew *c, int k, bool over, flv_status status, const flv_error *err) {
  flv_seed_run *run = &c->seeds->run[k];
  pthread_mutex_lock(&c->lock);
  c->taken[k] = false;
  if (over) {
    run->status = status;
    run->err = *err;
    run->progress = c->session[k].progress;
    c->over[k] = true;
    c->active--;
    show(c, c->active == 0);
  }
  pthread_mutex_unlock(&c->lock);
}

static void *work(void *context) {
  crew *c = context;
  for (;;) {
    int threads = 1;
    pthread_mutex_lock(&c->lock);
    const int k = take(c, &threads);
    pthread_mutex_unlock(&c->lock);
    if (k < 0) return NULL;
    flv_error err = {0};
    flv_session *s = &c->session[k];
    flv_trainer_use_threads(s->trainer, threads);
    const flv_status status = train_slice(s, c, &err);
    const bool over = status != FLV_OK || flv_session_done(s);
    if (over) flv_run_dir_close(&s->dir);
    put_back(c, k, over, status, &err);
    if (over && status == FLV_OK && c->options->ended)
      c->options->ended(c->options->user, &c->seeds->run[k]);
  }
}

// This thread is a worker too; where the system gives no more threads, there are fewer workers.
static void train_all(crew *c) {
  pthread_t *thread = calloc((size_t)c->workers, sizeof *thread);
  int made = 1;
  pthread_mutex_lock(&c->lock);
  while (thread && made < c->workers && pthread_create(&thread[made], NULL, work, c) == 0) made++;
  c->workers = made;
  pthread_mutex_unlock(&c->lock);
  work(c);
  for (int i = 1; i < made; i++) pthread_join(thread[i], NULL);
  free(thread);
}

// ---- setting up ----

static flv_status make_trainer(crew *c, const flv_config *cfg, int k, flv_error *err) {
  flv_config *own = flv_config_clone(cfg, err);
  char seed[32];
  snprintf(seed, sizeof seed, "%lld", (long long)c->seeds->run[k].seed);
  flv_status status = own ? flv_config_set(own, "seed", seed, err) : FLV_ENOMEM;
  if (status == FLV_OK) {
    c->session[k].trainer = flv_trainer_new(own, c->env, c->reward, c->threads, err);
    if (!c->session[k].trainer) status = err->status;
  }
  flv_config_free(own);
  if (status == FLV_OK && k > 0)
    status = flv_exact_share_target(c->session[k].trainer, c->session[0].trainer, err);
  return status;
}

static flv_status make_problem(crew *c, const flv_config *cfg, flv_error *err) {
  if (!(c->reward = flv_reward_new(cfg, err))) return err->status;
  flv_reward_watch(c->reward, c->options->stop);
  return (c->env = flv_env_new(cfg, &c->reward->shape, err)) ? FLV_OK : err->status;
}

static flv_status open_runs(crew *c, const int64_t *seeds, flv_error *err) {
  const int n = c->seeds->n;
  if (!c->options->resume) return flv_seeds_create(c->path, n, seeds, c->session, err);
  for (int k = 0; k < n; k++)
    FLV_TRY(flv_run_dir_resume(&c->session[k].dir, c->seeds->run[k].dir, c->session[k].trainer,
                               &c->session[k].tally, err));
  return FLV_OK;
}

static flv_status set_up(crew *c, const flv_config *cfg, const int64_t *seeds, flv_error *err) {
  const int n = c->seeds->n;
  c->seeds->run = calloc((size_t)n, sizeof *c->seeds->run);
  c->session = calloc((size_t)n, sizeof *c->session);
  c->member = calloc((size_t)n, sizeof *c->member);
  c->taken = calloc(2 * (size_t)n, sizeof *c->taken);
  if (!c->seeds->run || !c->session || !c->member || !c->taken)
    return flv_fail(err, FLV_ENOMEM, "out of memory for %d runs", n);
  c->over = c->taken + n;
  for (int k = 0; k < n; k++) {
    c->member[k] = (member){c, k};
    c->session[k] =
        (flv_session){.dir = {.lock = -1}, .run = c->path, .show = hear, .user = &c->member[k]};
    c->seeds->run[k].seed = seeds[k];
    FLV_TRY(flv_seeds_path(c->seeds->run[k].dir, c->path, seeds[k], err));
  }
  FLV_TRY(make_problem(c, cfg, err));
  for (int k = 0; k < n; k++) FLV_TRY(make_trainer(c, cfg, k, err));
  return open_runs(c, seeds, err);
}

static flv_status begin(crew *c, flv_error *err) {
  const int n = c->seeds->n;
  for (int k = 0; k < n; k++) FLV_TRY(flv_session_begin(&c->session[k], err));
  c->active = n;
  c->workers = c->threads < n ? c->threads : n;
  c->seeds->threads = c->threads;
  for (int k = 0; k < n; k++) {
    c->seeds->run[k].progress = c->session[k].progress;
    c->rated_trajectories += c->session[k].progress.stats.trajectories;
  }
  c->begun = c->shown = c->rated = flv_clock();
  return FLV_OK;
}

// ---- the end ----

// The status of all runs together: failures are named, a stop goes first.
static flv_status conclude(const crew *c, flv_error *err) {
  const flv_seeds *s = c->seeds;
  const flv_seed_run *failed = NULL;
  int failures = 0, stops = 0;
  for (int k = 0; k < s->n; k++) {
    const flv_status status = s->run[k].status;
    stops += status == FLV_ESTOPPED;
    if (status == FLV_OK || status == FLV_ESTOPPED) continue;
    if (failures++ == 0) failed = &s->run[k];
  }
  if (stops)
    flv_fail(err, FLV_ESTOPPED,
             "stopped at iteration %lld of %lld, all %d runs together; go on "
             "with --resume %s",
             (long long)c->progress.all.stats.iteration, (long long)c->progress.all.iterations,
             s->n, c->path);
  else if (failed)
    flv_fail(err, failed->status, "%d of %d runs failed:", failures, s->n);
  for (int k = 0; !stops && k < s->n; k++) {
    const size_t used = strlen(err->text);
    if (s->run[k].status == FLV_OK) continue;
    snprintf(err->text + used, sizeof err->text - used, "%s seed %lld: %s",
             &s->run[k] == failed ? "" : ";", (long long)s->run[k].seed, s->run[k].err.text);
  }
  return stops ? FLV_ESTOPPED : failed ? failed->status : FLV_OK;
}

static flv_status check(const flv_seeds_options *o, flv_error *err) {
  if (!o->out == !o->resume) return flv_fail(err, FLV_EINVAL, "give either --out or --resume");
  if (o->resume) return FLV_OK;
  if (o->n < 1 || o->n > FLV_SEEDS_MAX)
    return flv_fail(err, FLV_EINVAL, "%d seeds: expected 1 to %d", o->n, (int)FLV_SEEDS_MAX);
  for (int k = 0; k < o->n; k++)
    for (int j = 0; j < k; j++)
      if (o->seeds[j] == o->seeds[k])
        return flv_fail(err, FLV_EINVAL, "seed %lld is there twice", (long long)o->seeds[k]);
  return FLV_OK;
}

// The directory without a slash at its end.
static flv_status name_it(crew *c, flv_error *err) {
  const char *path = c->options->resume ? c->options->resume : c->options->out;
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') length--;
  if (length == 0 || length > sizeof c->path - 128)
    return flv_fail(err, FLV_EINVAL, "%.80s: not a usable path", path);
  snprintf(c->path, sizeof c->path, "%.*s", (int)length, path);
  return FLV_OK;
}

static void dismiss(crew *c) {
  for (int k = 0; c->session && k < c->seeds->n; k++) flv_session_close(&c->session[k]);
  flv_env_free(c->env);
  flv_reward_free(c->reward);
  free(c->taken);
  free(c->member);
  free(c->session);
  pthread_mutex_destroy(&c->lock);
}

static flv_status train(crew *c, const flv_config *cfg, const int64_t *seeds, flv_error *err) {
  FLV_TRY(set_up(c, cfg, seeds, err));
  FLV_TRY(begin(c, err));
  train_all(c);
  sum_up(c);
  return conclude(c, err);
}

flv_status flv_seeds_train(flv_seeds *out, const flv_config *cfg, const flv_seeds_options *options,
                           flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  *out = (flv_seeds){.n = options->n};
  crew c = {.options = options,
            .seeds = out,
            .threads = options->threads > 0 ? options->threads : flv_cores(),
            .lock = PTHREAD_MUTEX_INITIALIZER};
  flv_config *saved = NULL;
  int64_t *found = NULL;
  flv_status status = check(options, err);
  if (status == FLV_OK) status = name_it(&c, err);
  if (status == FLV_OK && options->resume) {
    char first[FLV_SEEDS_PATH];
    status = flv_seeds_list(c.path, &out->n, &found, err);
    if (status == FLV_OK) status = flv_seeds_path(first, c.path, found[0], err);
    if (status == FLV_OK && !(saved = flv_run_dir_config(first, err))) status = err->status;
  }
  if (status == FLV_OK)
    status = train(&c, saved ? saved : cfg, found ? found : options->seeds, err);
  dismiss(&c);
  flv_config_free(saved);
  free(found);
  if (out->threads == 0) flv_seeds_free(out); // nothing began
  return status;
}

void flv_seeds_free(flv_seeds *seeds) {
  free(seeds->run);
  *seeds = (flv_seeds){0};
}
