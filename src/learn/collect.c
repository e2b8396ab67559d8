#include "learn/collect.h"

#include "learn/trainer_impl.h"

static flv_status init_parts(flv_collector *c, const flv_trainer *t, unsigned needs,
                             flv_error *err) {
  const flv_config *cfg = t->cfg;
  const int batch = t->train->batch;
  FLV_TRY(flv_explore_check(flv_config_values(cfg, "exploration"), t->env, err));
  FLV_TRY(flv_replay_init(&c->replay, flv_config_component(cfg, "replay"),
                          flv_config_values(cfg, "replay"), t->env, needs, batch, err));
  FLV_TRY(flv_given_init(&c->given, flv_config_values(cfg, "data"), t->env, batch, err));
  FLV_TRY(flv_search_init(&c->search, flv_config_values(cfg, "local_search"), &t->policy, batch,
                          t->train->intern, err));
  return flv_stepwise_init(&c->stepwise, flv_config_component(cfg, "collect"),
                           flv_config_values(cfg, "collect"), &t->policy, t->train->intern, err);
}

// What cannot be done with steps alone.
static flv_status check_stepwise(const flv_collector *c, const flv_trainer *t, flv_error *err) {
  if (c->stepwise.n == 0) return FLV_OK;
  if (c->replay.capacity == 0)
    return flv_fail(err, FLV_EINVAL,
                    "collect: steps go into a replay buffer, and there is none (replay.capacity)");
  if (c->replay.prefill > 0)
    return flv_fail(err, FLV_EINVAL,
                    "replay.prefill: with collect: steps it is collect.prefill that says when "
                    "learning begins");
  if (c->replay.steps && !c->replay.exits && t->env->max_length < 2)
    return flv_fail(err, FLV_EINVAL,
                    "replay: transitions would hold none: every trajectory of "
                    "'%s' exits at once",
                    t->env->name);
  if (c->search.steps > 0)
    return flv_fail(err, FLV_EINVAL,
                    "local_search: it is around fresh trajectories, of which "
                    "collect: steps makes none");
  const flv_explore explore = flv_explore_at(flv_config_values(t->cfg, "exploration"), 0, 1);
  if (explore.early_stop > 0.0)
    return flv_fail(err, FLV_EINVAL,
                    "exploration.early_stop: it is of whole trajectories, of which collect: steps "
                    "makes none");
  if (t->backward.rule == FLV_BACKWARD_PESSIMISTIC)
    return flv_fail(err, FLV_EINVAL,
                    "backward: pessimistic learns from fresh trajectories, of "
                    "which collect: steps makes none");
  return FLV_OK;
}

flv_status flv_collector_init(flv_collector *collector, const flv_trainer *trainer,
                              flv_error *err) {
  const flv_trainer *t = trainer;
  const flv_config *cfg = t->cfg;
  flv_collector *c = collector;
  const int batch = t->train->batch;
  const unsigned needs = flv_objective_needs(t->objective, t->objective_cfg);
  FLV_TRY(init_parts(c, t, needs, err));
  FLV_TRY(check_stepwise(c, t, err));
  if (needs & FLV_NEEDS_OBJECTS && c->given.n == 0 &&
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
  flv_stepwise_free(&collector->stepwise);
  flv_search_free(&collector->search);
  flv_replay_free(&collector->replay);
  flv_given_free(&collector->given);
}

static flv_status sample_fresh(flv_trainer *t, int n, int threads, flv_error *err) {
  flv_search *search = &t->collector.search;
  const uint64_t seed = (uint64_t)t->train->seed;
  const flv_rng actions = {seed, FLV_RNG_ACTION, (uint64_t)t->iteration};
  const flv_explore explore =
      flv_explore_at(flv_config_values(t->cfg, "exploration"), t->iteration, t->train->iterations);
  search->proposed = search->accepted = 0;
  if (n == 0) return FLV_OK;
  if (search->steps > 0) {
    FLV_TRY(flv_search_run(search, &t->policy, t->reward, &explore, seed, t->iteration, n, threads,
                           err));
    flv_search_append(search, &t->sampler, &t->batch, n);
  } else {
    flv_sampler_run(&t->sampler, &t->batch, &t->policy, &explore, actions, n, threads);
  }
  t->trajectories += n + search->proposed;
  return FLV_OK;
}

// One step of every environment, into the buffer.
static flv_status take_step(flv_trainer *t, const flv_explore *explore, int threads,
                            flv_error *err) {
  flv_stepwise *s = &t->collector.stepwise;
  flv_replay *r = &t->collector.replay;
  flv_batch *b = &t->batch;
  flv_stepwise_step(s, &t->policy, explore, (uint64_t)t->train->seed, threads);
  for (int e = 0; e < s->n;) {
    flv_batch_clear(b);
    for (; e < s->n && b->n < b->max_n; e++) {
      if (r->steps)
        flv_stepwise_append_step(s, e, &t->sampler, b);
      else if (s->ended[e])
        flv_stepwise_append_episode(s, e, &t->sampler, b);
    }
    if (r->by == FLV_PRIORITY_REWARD) FLV_TRY(flv_score_rewards(&t->score, b, t->reward, err));
    flv_replay_push(r, b, b->n);
  }
  t->trajectories += flv_stepwise_restart(s);
  return FLV_OK;
}

// Before the first update the buffer is filled by the uniform policy.
static flv_status step_on(flv_trainer *t, int threads, flv_error *err) {
  const flv_stepwise *s = &t->collector.stepwise;
  const void *cfg = flv_config_values(t->cfg, "exploration");
  const flv_explore uniform = flv_explore_uniformly(cfg);
  while (*s->steps < s->prefill || flv_replay_held(&t->collector.replay) == 0)
    FLV_TRY(take_step(t, &uniform, threads, err));
  const flv_explore explore = flv_explore_at(cfg, t->iteration, t->train->iterations);
  return take_step(t, &explore, threads, err);
}

// An empty batch to train on: other uses of it, such as evaluation, mask as usual.
static void begin(flv_trainer *t) {
  flv_batch_clear(&t->batch);
  t->batch.unmasked = t->policy.unmasked;
}

static flv_status collect_fresh(flv_trainer *t, const flv_replay_plan *plan, int threads,
                                flv_error *err) {
  flv_batch *b = &t->batch;
  begin(t);
  FLV_TRY(sample_fresh(t, plan->fresh, threads, err));
  if (t->collector.replay.by == FLV_PRIORITY_REWARD)
    FLV_TRY(flv_score_rewards(&t->score, b, t->reward, err));
  flv_replay_push(&t->collector.replay, b, plan->fresh);
  if (plan->train == 0) begin(t); // fresh ones only fill the buffer
  return FLV_OK;
}

flv_status flv_collector_fill(flv_trainer *trainer, int threads, flv_error *err) {
  flv_trainer *t = trainer;
  flv_collector *c = &t->collector;
  flv_batch *b = &t->batch;
  const uint64_t seed = (uint64_t)t->train->seed;
  const flv_rng past = {seed, FLV_RNG_PAST, (uint64_t)t->iteration};
  const flv_rng replays = {seed, FLV_RNG_REPLAY, (uint64_t)t->iteration};
  const int given = flv_given_count(&c->given, t->train->batch);
  flv_replay_plan plan = {.replayed = t->train->batch - given};
  if (c->stepwise.n > 0) {
    FLV_TRY(step_on(t, threads, err));
    begin(t);
  } else {
    plan = flv_replay_plan_at(&c->replay, t->train->batch - given);
    FLV_TRY(collect_fresh(t, &plan, threads, err));
  }
  flv_replay_draw(&c->replay, &t->sampler, b, &t->policy, replays, plan.replayed, threads);
  flv_given_draw(&c->given, &t->sampler, b, &t->policy, seed, t->iteration, given, threads);
  t->trajectories += given;
  flv_backward_draw(&t->backward, &t->sampler, b, &t->policy, past, plan.train, t->train->batch);
  return FLV_OK;
}
