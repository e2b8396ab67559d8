// Replay: what was sampled before, used again. First in, first out.
//
//   fifo         whole trajectories, drawn uniformly
//   transitions  single steps s -> s', drawn uniformly, for objectives that are sums over them
//                (fragments, fluvial/objective.h). Exits are stored where they add something
//   prioritised  whole trajectories, drawn by priority
//   terminal     distinct objects x, drawn uniformly or by priority; the trajectory is drawn anew
//                at each use, tau ~ P_B(. | x)
//
// Uniform draws are with replacement, or without: then no item comes twice in a batch, and of fewer
// items than are asked for each comes as often as any other, give or take one.
//
// Priorities: item i is drawn with probability P(i) = w_i / sum_j w_j, where
//   by loss    w = (|d| + epsilon)^alpha, d = log Z + log P_F - log P_B - log R, the residual of
//              trajectory balance, whatever the objective; renewed each time the item has been
//              trained on. New items enter with the largest weight held (1 if there is none), so
//              that each is seen soon. (Schaul et al. 2016, "Prioritized experience replay", arXiv
//              1511.05952, the proportional variant; alpha 0.6 is theirs.)
//   by reward  w = R(x)^alpha, as the softmax of alpha log R over what is stored.
//
// log_pi of a drawn trajectory. What made the trajectory is not what draws it: the density of a
// mixture of past policies is not known.
//   of trajectories  the log_pi recorded when it was made, plus beta log(N P(i)), N the number
//                    held. beta = 1 divides importance weights by N P(i), so that objectives which
//                    have them estimate what they would from uniform replay (PER's correction);
//                    beta = 0 leaves log_pi as recorded, and the priorities are then a reweighting
//                    of the data. Balance objectives do not read log_pi: to them priorities always
//                    are one, which moves no optimum.
//   of transitions   0: nothing that takes fragments reads it.
//   of objects       log P(x) + log P_B(tau | x): exactly the density of the draw, given what is
//                    stored (no object is stored twice).
#ifndef FLUVIAL_LEARN_REPLAY_H
#define FLUVIAL_LEARN_REPLAY_H

#include "base/recent.h"
#include "base/rng.h"
#include "base/sum_tree.h"
#include "learn/batch.h"
#include "learn/sampler.h"

typedef enum flv_priority {
  FLV_PRIORITY_UNIFORM,
  FLV_PRIORITY_LOSS,
  FLV_PRIORITY_REWARD
} flv_priority;

typedef struct flv_replay_plan { // of one iteration
  int fresh;                     // trajectories to sample
  int train;                     // of them, how many are trained on
  int replayed;                  // trajectories to draw
} flv_replay_plan;

typedef struct flv_replay {
  int capacity, width; // capacity 0: no buffer
  double fraction;     // of the batch that is drawn from the buffer
  int prefill;         // items it must hold before it is used
  bool objects;        // items are objects
  bool steps, exits;   // items are steps; exits among them. Else trajectories
  bool distinct;       // drawn without replacement
  flv_priority by;
  double alpha, epsilon, beta;

  int64_t *pushed;      // [1] so far, distinct ones where items are objects
  int32_t *length;      // [capacity] actions
  int32_t *action;      // [capacity, width]; of steps, width is 1
  double *log_pi;       // [capacity]
  unsigned char *state; // [capacity * state_size] where steps begin
  uint8_t *taken;       // [capacity] drawn already, while drawing without replacement; else 0
  flv_recent recent;    // objects
  flv_sum_tree tree;    // log w, unless drawn uniformly

  int first, drawn;      // of this iteration: place in the batch of the first one drawn, how many
  int32_t *item;         // [most drawn at once] where they came from
  double *log_p;         // [..] log P(i)
  unsigned char *object; // [.. * state_size]
  void *block;
} flv_replay;

extern const flv_component *const flv_replay_list[];

// What items of the kind are called.
const char *flv_replay_noun(const flv_replay *replay);

// A plain buffer of trajectories drawn uniformly, without a plan; drawn: most at once.
flv_status flv_replay_create(flv_replay *replay, int64_t capacity, const flv_env *env, int drawn,
                             flv_error *err);
// component, cfg: of section `replay`. needs: FLV_NEEDS_* of the objective; FLV_EINVAL where it is
// no sum over steps and items would be.
flv_status flv_replay_init(flv_replay *replay, const flv_component *component, const void *cfg,
                           const flv_env *env, unsigned needs, int drawn, flv_error *err);
void flv_replay_free(flv_replay *replay);

int flv_replay_held(const flv_replay *replay);
flv_replay_plan flv_replay_plan_at(const flv_replay *replay, int batch);

// Stores trajectories [0, n) of a batch, or their steps; the oldest give way. By reward, their
// log_r must be known.
void flv_replay_push(flv_replay *replay, const flv_batch *batch, int n);
// Appends n drawn trajectories to a batch.
void flv_replay_draw(flv_replay *replay, flv_sampler *sampler, flv_batch *batch,
                     const flv_policy *policy, flv_rng rng, int n, int threads);
// Renews the priorities of what was drawn, from what the objective saw.
void flv_replay_learn(flv_replay *replay, const flv_trajectories *seen);

#endif
