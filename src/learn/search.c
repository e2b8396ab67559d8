#include "learn/search.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { METROPOLIS_HASTINGS, GREEDY };

#define SEARCH_KEYS(X)                                                                             \
  X(INT, steps, "0", 0, 10000, "",                                                                 \
    "times that each fresh trajectory is cut and grown again before training; 0: no search")       \
  X(CHOICE, rule, "metropolis_hastings", 0, 0, "metropolis_hastings|greedy",                       \
    "accept so that R(x) P_B is invariant, or what has the larger reward")
typedef struct search_cfg {
  SEARCH_KEYS(FLV_FIELD)
} search_cfg;
#define FLV_STRUCT search_cfg
static const flv_param params[] = {SEARCH_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static const flv_component component = {.name = "back_and_forth",
                                        .help = "some steps back by P_B, and forward again by P_F",
                                        .params = params,
                                        .n_params = sizeof params / sizeof *params,
                                        .size = sizeof(search_cfg)};
const flv_component *const flv_search_list[] = {&component, NULL};

flv_status flv_search_init(flv_search *search, const void *cfg, const flv_policy *policy, int n,
                           bool interned, flv_error *err) {
  const search_cfg *c = cfg;
  flv_search s = {.steps = c->steps, .greedy = c->rule == GREEDY};
  *search = s;
  if (s.steps == 0) return FLV_OK;
  const flv_slot slots[] = {FLV_SLOT(s.state, (size_t)n * policy->env->state_size),
                            FLV_SLOT(s.log_r, n), FLV_SLOT(s.cut, n), FLV_SLOT(s.chosen, n)};
  s.block = flv_bind(sizeof slots / sizeof *slots, slots);
  flv_status status = s.block ? flv_batch_init(&s.batch, policy, 2 * n, interned, false, err)
                              : flv_fail(err, FLV_ENOMEM, "out of memory for local search");
  if (status == FLV_OK) status = flv_sampler_init(&s.sampler, &s.batch, err);
  if (status == FLV_OK) status = flv_rewards_init(&s.rewards, &s.batch, err);
  if (status != FLV_OK)
    flv_search_free(&s);
  else
    *search = s;
  return status;
}

void flv_search_free(flv_search *search) {
  flv_rewards_free(&search->rewards);
  flv_sampler_free(&search->sampler);
  flv_batch_free(&search->batch);
  flv_free(search->block);
  *search = (flv_search){0};
}

// Actions of a trajectory, an exit among them; a terminal state takes none.
static int count_actions(const flv_batch *b, int i) {
  const int last = b->offset[i + 1] - 1;
  return last - b->offset[i] + (b->action[last] >= 0);
}

// log P_F, and log P_B, of what comes after the first `cut` actions.
static double log_pf_after(const flv_batch *b, int i, int cut) {
  double sum = 0.0;
  for (int p = b->offset[i] + cut; p < b->offset[i + 1]; p++)
    if (b->action[p] >= 0)
      sum += b->log_pf[(size_t)b->row[p] * (size_t)b->env->n_actions + (size_t)b->action[p]];
  return sum;
}

static double log_pb_after(const flv_batch *b, int i, int cut) {
  double sum = 0.0;
  for (int p = b->offset[i] + cut + 1; p < b->offset[i + 1]; p++)
    sum += b->log_pb[(size_t)b->row[p] * (size_t)b->env->n_back + (size_t)b->back[p]];
  return sum;
}

double flv_search_log_ratio(const flv_batch *batch, int now, int next, int cut) {
  const flv_batch *b = batch;
  if (!(b->log_r[now] > -HUGE_VAL)) return HUGE_VAL;
  return b->log_r[next] - b->log_r[now] + log_pb_after(b, next, cut) - log_pb_after(b, now, cut) +
         log_pf_after(b, now, cut) - log_pf_after(b, next, cut) +
         log((double)count_actions(b, now) / count_actions(b, next));
}

// The objects where the chains are, and their rewards.
static void take_objects(flv_search *s, int n) {
  const flv_batch *b = &s->batch;
  const size_t size = b->rows.state_size;
  for (int i = 0; i < n; i++) {
    memcpy(s->state + (size_t)i * size, flv_batch_state(b, flv_batch_last(b, s->chosen[i])), size);
    s->log_r[i] = b->log_r[s->chosen[i]];
  }
}

static void accept(flv_search *s, flv_rng rng, int n) {
  const flv_batch *b = &s->batch;
  for (int i = 0; i < n; i++) {
    double u[2];
    flv_rng_uniform2(rng, (uint32_t)i, 0, u);
    const bool yes = s->greedy ? b->log_r[n + i] > b->log_r[i]
                               : log(u[1]) < flv_search_log_ratio(b, i, n + i, s->cut[i]);
    s->chosen[i] = yes ? n + i : i;
    s->accepted += yes;
  }
  s->proposed += n;
}

static void propose(flv_search *s, const flv_policy *policy, flv_rng rng, int n, int threads) {
  const flv_explore on_policy = {.temperature = 1.0};
  flv_batch *b = &s->batch;
  flv_rng back = rng, forward = rng;
  back.purpose = FLV_RNG_SEARCH_BACK;
  forward.purpose = FLV_RNG_SEARCH_FORWARD;
  flv_batch_clear(b);
  flv_sampler_run_back(&s->sampler, b, policy, s->state, back, n, threads);
  memcpy(b->log_r, s->log_r, (size_t)n * sizeof *b->log_r);
  b->rewarded = n;
  for (int i = 0; i < n; i++) {
    double u[2];
    flv_rng_uniform2(rng, (uint32_t)i, 0, u);
    s->cut[i] = (int32_t)(u[0] * count_actions(b, i));
  }
  flv_sampler_regrow(&s->sampler, b, policy, &on_policy, forward, 0, s->cut, n, threads);
  flv_batch_evaluate_rest(b, policy, threads);
}

flv_status flv_search_run(flv_search *search, const flv_policy *policy, const flv_reward *reward,
                          const flv_explore *explore, uint64_t seed, int64_t iteration, int n,
                          int threads, flv_error *err) {
  flv_search *s = search;
  const flv_rng actions = {seed, FLV_RNG_ACTION, (uint64_t)iteration};
  flv_batch_clear(&s->batch);
  flv_sampler_run(&s->sampler, &s->batch, policy, explore, actions, n, threads);
  FLV_TRY(flv_rewards_objects(&s->rewards, &s->batch, reward, err));
  s->proposed = s->accepted = 0;
  for (int i = 0; i < n; i++) s->chosen[i] = i;
  for (int k = 0; k < s->steps; k++) {
    const flv_rng rng = {seed, FLV_RNG_SEARCH, (uint64_t)(iteration * s->steps + k)};
    take_objects(s, n);
    propose(s, policy, rng, n, threads);
    FLV_TRY(flv_rewards_objects(&s->rewards, &s->batch, reward, err));
    accept(s, rng, n);
  }
  return FLV_OK;
}

void flv_search_append(const flv_search *search, flv_sampler *sampler, flv_batch *batch, int n) {
  const flv_batch *b = &search->batch;
  for (int i = 0; i < n; i++) {
    const int from = search->chosen[i];
    flv_sampler_append(sampler, batch, count_actions(b, from), b->action + b->offset[from],
                       log_pf_after(b, from, 0));
  }
}

double flv_search_accepted(const flv_search *search) {
  return search->proposed > 0 ? (double)search->accepted / (double)search->proposed : (double)NAN;
}
