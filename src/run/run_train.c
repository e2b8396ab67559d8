// Training a run directory from its beginning, or from its checkpoint, to its end.
#include <stdlib.h>

#include "fluvial/run.h"
#include "run/run_dir.h"
#include "run/session.h"

static flv_status loop(flv_session *s, const volatile int *stop, flv_error *err) {
  while (!flv_session_done(s)) {
    if (stop && *stop) return flv_session_stop(s, err);
    FLV_TRY(flv_session_step(s, err));
  }
  return flv_session_end(s, err);
}

static flv_status train(flv_session *s, const flv_config *cfg, const flv_run_options *o,
                        flv_error *err) {
  s->trainer = flv_trainer_new(cfg, NULL, NULL, o->threads, err);
  if (!s->trainer) return err ? err->status : FLV_EINVAL;
  flv_reward_watch(flv_trainer_reward(s->trainer), o->stop);
  FLV_TRY(o->resume ? flv_run_dir_resume(&s->dir, o->resume, s->trainer, &s->tally, err)
                    : flv_run_dir_create(&s->dir, o->out, cfg, s->trainer, err));
  FLV_TRY(flv_session_begin(s, err));
  return loop(s, o->stop, err);
}

flv_status flv_run_train(const flv_config *cfg, const flv_run_options *options, flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  if (!options->out == !options->resume)
    return flv_fail(err, FLV_EINVAL, "give either --out or --resume");
  flv_config *saved = NULL;
  if (options->resume && !(saved = flv_run_dir_config(options->resume, err))) return err->status;
  flv_session s = {.show = options->progress,
                   .user = options->user,
                   .run = options->resume ? options->resume : options->out,
                   .dir = {.lock = -1}};
  const flv_status status = train(&s, saved ? saved : cfg, options, err);
  flv_session_close(&s);
  flv_config_free(saved);
  return status;
}

flv_trainer *flv_run_open(const char *dir, int threads, flv_error *err) {
  flv_config *cfg = flv_run_dir_config(dir, err);
  if (!cfg) return NULL;
  flv_trainer *trainer = flv_trainer_new(cfg, NULL, NULL, threads, err);
  flv_config_free(cfg);
  flv_tally tally;
  if (trainer && flv_run_dir_load(dir, trainer, &tally, err) != FLV_OK) {
    flv_trainer_free(trainer);
    return NULL;
  }
  return trainer;
}

flv_status flv_run_evaluate(const char *dir, int threads, int64_t samples, flv_evaluation *out,
                            flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  flv_trainer *trainer = flv_run_open(dir, threads, err);
  if (!trainer) return err->status;
  const flv_status status = flv_trainer_evaluate(trainer, samples, out, err);
  flv_trainer_free(trainer);
  return status;
}

static flv_status assess(flv_trainer *trainer, const char *objects,
                         const flv_assess_options *options, flv_assessment *out, flv_error *err) {
  flv_assess_options o = options ? *options : (flv_assess_options){0};
  void *states = NULL;
  if (objects) {
    FLV_TRY(flv_objects_read(flv_trainer_env(trainer), objects, &o.n_states, &states, err));
    o.source = FLV_SOURCE_GIVEN;
    o.states = states;
  }
  const flv_status status = flv_trainer_assess(trainer, &o, out, err);
  free(states);
  return status;
}

flv_status flv_run_assess(const char *dir, int threads, const char *objects,
                          const flv_assess_options *options, flv_assessment *out, flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  flv_trainer *trainer = flv_run_open(dir, threads, err);
  if (!trainer) return err->status;
  const flv_status status = assess(trainer, objects, options, out, err);
  flv_trainer_free(trainer);
  return status;
}
