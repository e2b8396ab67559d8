// Given objects: terminal states x from a file (section `data`), to be trained on.
//
// An object is drawn from the file, q(x) = (how often it is there) / (rows), and a trajectory to it
// from P_B. log_pi is log q(x) + log P_B(tau | x), exactly the density of the draw.
#ifndef FLUVIAL_LEARN_GIVEN_H
#define FLUVIAL_LEARN_GIVEN_H

#include "base/rng.h"
#include "learn/batch.h"
#include "learn/sampler.h"

typedef struct flv_given {
  double fraction;       // of the batch
  int64_t n;             // rows of the file; 0: no file
  unsigned char *states; // [n * state_size]
  double *log_q;         // [n]
  int32_t *row;          // [batch] drawn
  unsigned char *object; // [batch * state_size] drawn
  void *block;
} flv_given;

extern const flv_component *const flv_given_list[];

// cfg: values of section `data`. FLV_EINVAL where a row is no object of env, or cannot be reached
// from s0; the message says which. batch: most drawn at once.
flv_status flv_given_init(flv_given *given, const void *cfg, const flv_env *env, int batch,
                          flv_error *err);
void flv_given_free(flv_given *given);

// How many trajectories of a batch are drawn to given objects.
int flv_given_count(const flv_given *given, int batch);

// Appends n of them to a batch; the i-th draws at item i.
void flv_given_draw(flv_given *given, flv_sampler *sampler, flv_batch *batch,
                    const flv_policy *policy, uint64_t seed, int64_t iteration, int n, int threads);

#endif
