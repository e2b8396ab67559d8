#include "run/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "learn/trainer_impl.h"
#include "run/best.h"

double flv_session_rate(double before, int64_t trajectories, int64_t *shown, double *at) {
  const double t = flv_clock();
  if (t - *at <= 0.05 || trajectories <= *shown) return before;
  const double rate = (double)(trajectories - *shown) / (t - *at);
  *at = t;
  *shown = trajectories;
  return before > 0.0 ? 0.8 * before + 0.2 * rate : rate;
}

static int64_t long_value(const flv_trainer *t, const char *key) {
  char text[64] = "0";
  flv_config_get(flv_trainer_config(t), key, text, sizeof text, NULL);
  return strtoll(text, NULL, 10);
}

flv_status flv_session_begin(flv_session *session, flv_error *err) {
  flv_session *s = session;
  FLV_TRY(flv_archive_init(&s->archive, s->trainer, err));
  FLV_TRY(flv_archive_read(&s->archive, s->dir.path, err));
  s->eval_every = long_value(s->trainer, "eval_every");
  s->checkpoint_every = long_value(s->trainer, "checkpoint_every");
  s->eval_samples = long_value(s->trainer, "eval_samples");
  s->progress.iterations = long_value(s->trainer, "iterations");
  s->checkpointed = flv_trainer_iteration(s->trainer);
  s->progress.stats.iteration = s->progress.before = s->checkpointed;
  s->progress.stats.trajectories = s->shown_trajectories = flv_trainer_trajectories(s->trainer);
  s->progress.found = flv_archive_found(&s->archive, &s->tally);
  s->begun = s->shown = flv_clock();
  return FLV_OK;
}

// At most ten times a second, and whenever something happened.
static void show(flv_session *s, bool evaluated, bool finished) {
  const double t = flv_clock();
  flv_progress *p = &s->progress;
  if (!evaluated && !finished && t - s->shown < 0.1) return;
  p->found = flv_archive_found(&s->archive, &s->tally);
  p->trajectories_per_s = flv_session_rate(p->trajectories_per_s, p->stats.trajectories,
                                           &s->shown_trajectories, &s->shown);
  p->seconds = t - s->begun;
  p->evaluated = evaluated;
  p->finished = finished;
  if (s->show) s->show(s->user, p);
}

static flv_status evaluate(flv_session *s, flv_error *err) {
  flv_progress *p = &s->progress;
  FLV_TRY(flv_trainer_evaluate(s->trainer, s->eval_samples, &p->evaluation, err));
  flv_trainer_report(s->trainer, &p->evaluation);
  const double mean_loss = s->tally.n > 0 ? s->tally.loss / (double)s->tally.n : 0.0;
  const double seconds = flv_clock() - s->begun;
  p->found = flv_archive_found(&s->archive, &s->tally);
  FLV_TRY(flv_run_dir_row(&s->dir, &p->stats, &p->evaluation, &p->found, mean_loss, seconds,
                          p->trajectories_per_s, err));
  s->tally.loss = 0.0;
  s->tally.n = 0;
  show(s, true, false);
  return FLV_OK;
}

static flv_status checkpoint(flv_session *s, flv_error *err) {
  FLV_TRY(flv_run_dir_checkpoint(&s->dir, s->trainer, &s->tally, err));
  s->checkpointed = flv_trainer_iteration(s->trainer);
  return FLV_OK;
}

bool flv_session_done(const flv_session *session) {
  return flv_trainer_iteration(session->trainer) >= session->progress.iterations;
}

// What a run that stops here goes on from.
static void add_kept(const flv_session *s, flv_error *err) {
  if (!err) return;
  const size_t used = strlen(err->text);
  snprintf(err->text + used, sizeof err->text - used,
           "; the checkpoint of iteration %lld in %s is kept", (long long)s->checkpointed,
           s->dir.path);
}

static flv_status step(flv_session *s, flv_error *err) {
  FLV_TRY(flv_trainer_step(s->trainer, &s->progress.stats, err));
  s->tally.loss += s->progress.stats.loss;
  s->tally.n++;
  FLV_TRY(flv_archive_step(&s->archive, s->trainer, s->dir.objects, &s->tally, err));
  const int64_t done = flv_trainer_iteration(s->trainer), end = s->progress.iterations;
  if (done % s->eval_every == 0 || done == end)
    FLV_TRY(evaluate(s, err));
  else
    show(s, false, false);
  return FLV_OK;
}

static flv_status say_stopped(const flv_session *s, flv_error *err) {
  return flv_fail(err, FLV_ESTOPPED, "stopped at iteration %lld of %lld; go on with --resume %s",
                  (long long)s->checkpointed, (long long)s->progress.iterations, s->run);
}

// A reward gave up because it was asked to. An iteration without its evaluation is none to go on
// from: then the checkpoint before it, or the latest there is.
static flv_status stopped(flv_session *s, int64_t before, flv_error *err) {
  if (flv_trainer_iteration(s->trainer) == before && flv_trainer_repeatable(s->trainer))
    FLV_TRY(checkpoint(s, err));
  return say_stopped(s, err);
}

// Evaluation may be long where the reward has to wait: what comes before it is kept.
static flv_status keep_before(flv_session *s, int64_t before, flv_error *err) {
  const bool evaluates = (before + 1) % s->eval_every == 0 || before + 1 == s->progress.iterations;
  if (!evaluates || !flv_trainer_reward(s->trainer)->watch || before == s->checkpointed)
    return FLV_OK;
  return checkpoint(s, err);
}

flv_status flv_session_step(flv_session *session, flv_error *err) {
  flv_session *s = session;
  const int64_t before = flv_trainer_iteration(s->trainer);
  FLV_TRY(keep_before(s, before, err));
  const flv_status status = step(s, err);
  if (status == FLV_ESTOPPED) return stopped(s, before, err);
  if (status != FLV_OK) {
    add_kept(s, err);
    return status;
  }
  const int64_t done = flv_trainer_iteration(s->trainer);
  return done % s->checkpoint_every == 0 || flv_session_done(s) ? checkpoint(s, err) : FLV_OK;
}

flv_status flv_session_stop(flv_session *session, flv_error *err) {
  FLV_TRY(checkpoint(session, err));
  return say_stopped(session, err);
}

flv_status flv_session_end(flv_session *session, flv_error *err) {
  flv_session *s = session;
  if (s->progress.evaluation.n == 0)
    FLV_TRY(flv_trainer_evaluate(s->trainer, s->eval_samples, &s->progress.evaluation, err));
  if (s->archive.env) {
    const flv_best_options options = flv_best_configured(flv_trainer_config(s->trainer));
    FLV_TRY(flv_best_write(s->dir.path, s->archive.env, s->archive.reward, &options,
                           &s->progress.best, err));
  }
  show(s, false, true);
  return FLV_OK;
}

void flv_session_close(flv_session *session) {
  flv_run_dir_close(&session->dir);
  flv_archive_free(&session->archive);
  flv_trainer_free(session->trainer);
  session->trainer = NULL;
}
