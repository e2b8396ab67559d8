// Local search (Kim et al. 2023, "Local search GFlowNets", arXiv 2310.02710): fresh trajectories
// are improved before they are trained on, by going some steps back and forward again.
//
// A Markov chain on trajectories (x, tau), one for each of the batch, with the target
// R(x) P_B(tau | x) / Z. A step of it:
//   1. tau ~ P_B(. | x): the exact conditional, so the target stays invariant (Gibbs).
//   2. tau takes the actions a_1 .. a_A (an exit is one). Cut it before action k + 1, k uniform in
//      0 .. A - 1, and let P_F go on from there: tau' with A' actions, ending in x'. Accept it with
//      probability min(1, r),
//
//             R(x') P_B(after' | x') P_F(after)  A
//        r = -------------------------------------- ,
//             R(x)  P_B(after  | x)  P_F(after') A'
//
//      P_F(after), P_B(after | x) being those of the steps after the cut. (k is part of the
//      proposal: q(tau', k | tau) = P_F(after') / A, and k < A' too, so that the same k leads back
//      with q(tau, k | tau') = P_F(after) / A'. Steps before the cut have the same P_B on both
//      sides. So each k is in detailed balance with the target.)
// rule: metropolis_hastings is this; greedy accepts what has R(x') > R(x), and has no invariant
// distribution (the paper's deterministic filter).
//
// What is trained on is the trajectory where the chain has come to: of each fresh one, whether
// anything was accepted or not, so that a batch has the same number of them. Its log_pi is
// log P_F(tau). The density of what the chain makes is not known: somewhere between P_F and the
// target. Balance objectives do not read log_pi; importance weights take it to be on-policy.
#ifndef FLUVIAL_LEARN_SEARCH_H
#define FLUVIAL_LEARN_SEARCH_H

#include "learn/rewards.h"
#include "learn/sampler.h"

typedef struct flv_search {
  int steps; // 0: no search
  bool greedy;
  flv_batch batch; // its own: [0, n) where the chains are, [n, 2 n) where they might go
  flv_sampler sampler;
  flv_rewards rewards;
  unsigned char *state;  // [n * state_size] objects
  double *log_r;         // [n] of them
  int32_t *cut, *chosen; // [n] action to cut before; trajectory of the batch where the chain is
  int64_t proposed, accepted; // of the latest run
  void *block;
} flv_search;

extern const flv_component *const flv_search_list[];

// cfg: values of section `local_search`; n: most chains.
flv_status flv_search_init(flv_search *search, const void *cfg, const flv_policy *policy, int n,
                           bool interned, flv_error *err);
void flv_search_free(flv_search *search);

// log r, for trajectories `now` and `next` of an evaluated batch that share their first `cut`
// actions. Infinite where R(x) = 0: what has no probability is left at once.
double flv_search_log_ratio(const flv_batch *batch, int now, int next, int cut);

// Runs n chains, `steps` steps each, from trajectories of the behaviour policy. Fails where the
// reward does.
flv_status flv_search_run(flv_search *search, const flv_policy *policy, const flv_reward *reward,
                          const flv_explore *explore, uint64_t seed, int64_t iteration, int n,
                          int threads, flv_error *err);
// Appends the trajectories where they ended to a batch.
void flv_search_append(const flv_search *search, flv_sampler *sampler, flv_batch *batch, int n);
// Share of the proposals of the latest run that were accepted; NaN if there were none.
double flv_search_accepted(const flv_search *search);

#endif
