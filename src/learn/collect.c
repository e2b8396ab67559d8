#include "learn/collect.h"

#include "learn/trainer_impl.h"

flv_status flv_collector_init(flv_collector *collector, const flv_trainer *trainer,
                              flv_error *err) {
  const flv_trainer *t = trainer;
  const flv_config *cfg = t->cfg;
  flv_collector *c = collector;
  const int batch = t->train->batch;
  FLV_TRY(flv_replay_init(&c->replay, flv_config_component(cfg, "replay"),
                          flv_config_values(cfg, "replay"), t->env, batch, err));
  FLV_TRY(flv_given_init(&c->given, flv_config_values(cfg, "data"), t->env, batch, err));
  FLV_TRY(flv_search_init(&c->search, flv_config_values(cfg, "local_search"), &t->policy, batch,
                          t->train->intern, err));
  if (t->objective->needs & FLV_NEEDS_OBJECTS && c->given.n == 0 &&
      !(c->replay.objects && c->replay.capacity > 0))
    return flv_fail(err, FLV_EINVAL,
                    "objective: '%s' learns from objects: it needs data.path, or replay: terminal",
                    flv_config_component(cfg, "objective")->name);
  if (t->backward.rule == FLV_BACKWARD_PESSIMISTIC && flv_given_count(&c->given, batch) == batch)
    return flv_fail(err, FLV_EINVAL,
                    "backward: pessimistic learns from fresh trajectories; with data.fraction %g "
                    "there are none",
                    c->given.fraction);
  return FLV_OK;
}

void flv_collector_free(flv_collector *collector) {
  flv_search_free(&collector->search);
  flv_replay_free(&collector->replay);
  flv_given_free(&collector->given);
}

static void sample_fresh(flv_trainer *t, int n, int threads) {
  flv_search *search = &t->collector.search;
  const uint64_t seed = (uint64_t)t->train->seed;
  const flv_rng actions = {seed, FLV_RNG_ACTION, (uint64_t)t->iteration};
  const flv_explore explore =
      flv_explore_at(flv_config_values(t->cfg, "exploration"), t->iteration, t->train->iterations);
  search->proposed = search->accepted = 0;
  if (n == 0) return;
  if (search->steps > 0) {
    flv_search_run(search, &t->policy, t->reward, &explore, seed, t->iteration, n, threads);
    flv_search_append(search, &t->sampler, &t->batch, n);
  } else {
    flv_sampler_run(&t->sampler, &t->batch, &t->policy, &explore, actions, n, threads);
  }
  t->trajectories += n + search->proposed;
}

void flv_collector_fill(flv_trainer *trainer, int threads) {
  flv_trainer *t = trainer;
  flv_collector *c = &t->collector;
  flv_batch *b = &t->batch;
  const uint64_t seed = (uint64_t)t->train->seed;
  const flv_rng past = {seed, FLV_RNG_PAST, (uint64_t)t->iteration};
  const flv_rng replays = {seed, FLV_RNG_REPLAY, (uint64_t)t->iteration};
  const int given = flv_given_count(&c->given, t->train->batch);
  const flv_replay_plan plan = flv_replay_plan_at(&c->replay, t->train->batch - given);
  flv_batch_clear(b);
  sample_fresh(t, plan.fresh, threads);
  if (c->replay.by == FLV_PRIORITY_REWARD) flv_score_rewards(&t->score, b, t->reward);
  flv_replay_push(&c->replay, b, plan.fresh);
  if (plan.train == 0) flv_batch_clear(b); // fresh ones only fill the buffer
  flv_replay_draw(&c->replay, &t->sampler, b, &t->policy, replays, plan.replayed, threads);
  flv_given_draw(&c->given, &t->sampler, b, &t->policy, seed, t->iteration, given, threads);
  t->trajectories += given;
  flv_backward_draw(&t->backward, &t->sampler, b, &t->policy, past, plan.train, t->train->batch);
}
