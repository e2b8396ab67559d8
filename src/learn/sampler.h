// Sampling: trajectories into a batch, forwards from the behaviour policy, backwards from P_B, or
// as they were recorded. All are stored forwards and may be mixed in one batch.
//
// Only states not yet seen in the batch are evaluated, and their activations are kept for the
// backward pass.
#ifndef FLUVIAL_LEARN_SAMPLER_H
#define FLUVIAL_LEARN_SAMPLER_H

#include "base/rng.h"
#include "learn/batch.h"
#include "learn/explore.h"

typedef struct flv_sampler { // working memory of one step of all trajectories
  const flv_env *env;
  unsigned char *state;           // [max_n * state_size] of the active ones
  int32_t *active;                // [max_n] their trajectories
  int32_t *action, *back, *count; // [max_n]; count: positions so far
  uint8_t *terminal;              // [max_n]
  double *pi;                     // [max_rows, n_actions] behaviour, when it differs from P_F
  int explored;                   // rows of pi that are filled
  uint64_t filling;               // of the batch, to which they belong
  int32_t *head;                  // [max_n] of P_F that samples the trajectory, if there are any
  int32_t *stop;                  // [max_n] actions after which it is made to end
  // [n_actions] at one state: of a head, or given that the exit is not taken; behaviour of that, or
  // uniform; legal actions
  double *log_one, *pi_one;
  uint8_t *mask_one;
  void *block;
} flv_sampler;

flv_status flv_sampler_init(flv_sampler *sampler, const flv_batch *batch, flv_error *err);
void flv_sampler_free(flv_sampler *sampler);

// One action of the behaviour policy at an evaluated row of the batch, from two uniform numbers,
// and its log-probability. head: of P_F, where they sample.
int flv_sampler_choose(flv_sampler *sampler, const flv_batch *batch, const flv_policy *policy,
                       const flv_explore *explore, int head, int row, const double u[2],
                       double *log_pi);
// The same of the uniform policy, at a state that need not be in a batch.
int flv_sampler_choose_uniformly(flv_sampler *sampler, const flv_explore *explore,
                                 const uint8_t *mask, const double u[2], double *log_pi);

// Appends n trajectories from the behaviour policy; trajectory i draws at item i of rng (its head,
// where there are any, at that of FLV_RNG_HEAD, and an early stop at that of FLV_RNG_STOP).
void flv_sampler_run(flv_sampler *sampler, flv_batch *batch, const flv_policy *policy,
                     const flv_explore *explore, flv_rng rng, int n, int threads);

// Appends n trajectories that begin as [first, first + n) of the batch do, up to the state where
// action number cut[i] was taken (a legal one: 0 <= cut[i] < actions), and go on from there by the
// behaviour policy; the i-th draws at item i of rng. log_pi becomes that of the new part.
void flv_sampler_regrow(flv_sampler *sampler, flv_batch *batch, const flv_policy *policy,
                        const flv_explore *explore, flv_rng rng, int first, const int32_t *cut,
                        int n, int threads);

// Appends n trajectories tau ~ P_B(. | x_i) to the objects x_i, states [n * state_size]; trajectory
// i draws at item i of rng. log_pi becomes log P_B(tau | x_i): where x_i itself was drawn with
// probability q, the behaviour policy's is that plus log q(x_i). Afterwards all rows are evaluated,
// P_B's too. An x_i that cannot be reached from s0 gives a trajectory that does not begin there.
void flv_sampler_run_back(flv_sampler *sampler, flv_batch *batch, const flv_policy *policy,
                          const void *states, flv_rng rng, int n, int threads);

// Appends one known trajectory: length actions and the log-probability recorded with them. Its new
// rows wait for flv_batch_evaluate_pf. A fragment begins at `state` and says in batch->open what it
// lacks.
void flv_sampler_append(flv_sampler *sampler, flv_batch *batch, int length, const int32_t *action,
                        double log_pi);
void flv_sampler_append_fragment(flv_sampler *sampler, flv_batch *batch, const void *state,
                                 int length, const int32_t *action, double log_pi);

#endif
