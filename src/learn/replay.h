// Replay: what was sampled before, used again. First in, first out; drawn with replacement.
//
//   fifo         whole trajectories, drawn uniformly
//   prioritised  whole trajectories, drawn by priority
//   terminal     distinct objects x, drawn uniformly or by priority; the trajectory is drawn anew
//                at each use, tau ~ P_B(. | x)
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
  bool objects;        // items are objects, else trajectories
  flv_priority by;
  double alpha, epsilon, beta;

  int64_t *pushed;   // [1] so far, distinct ones where items are objects
  int32_t *length;   // [capacity] actions
  int32_t *action;   // [capacity, width]
  double *log_pi;    // [capacity]
  flv_recent recent; // objects
  flv_sum_tree tree; // log w, unless drawn uniformly

  int first, drawn;      // of this iteration: place in the batch of the first one drawn, how many
  int32_t *item;         // [most drawn at once] where they came from
  double *log_p;         // [..] log P(i)
  unsigned char *object; // [.. * state_size]
  void *block;
} flv_replay;

extern const flv_component *const flv_replay_list[];

// A plain buffer of trajectories drawn uniformly, without a plan; drawn: most at once.
flv_status flv_replay_create(flv_replay *replay, int64_t capacity, const flv_env *env, int drawn,
                             flv_error *err);
// component, cfg: of section `replay`.
flv_status flv_replay_init(flv_replay *replay, const flv_component *component, const void *cfg,
                           const flv_env *env, int drawn, flv_error *err);
void flv_replay_free(flv_replay *replay);

int flv_replay_held(const flv_replay *replay);
flv_replay_plan flv_replay_plan_at(const flv_replay *replay, int batch);

// Stores trajectories [0, n) of a batch; the oldest give way. By reward, their log_r must be known.
void flv_replay_push(flv_replay *replay, const flv_batch *batch, int n);
// Appends n drawn trajectories to a batch.
void flv_replay_draw(flv_replay *replay, flv_sampler *sampler, flv_batch *batch,
                     const flv_policy *policy, flv_rng rng, int n, int threads);
// Renews the priorities of what was drawn, from what the objective saw.
void flv_replay_learn(flv_replay *replay, const flv_trajectories *seen);

#endif
