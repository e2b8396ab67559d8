// Where an iteration's time goes, measured from outside: the linker sends calls of the trainer's
// phases (profile.c lists them) through functions that read the clock before and after. Outside of
// bench_profile() they cost a look at a pointer. The engine has to be linked statically.
//
// Every instant of the calling thread belongs to one part, so that shares add up to 1; of several
// threads, the time of the first one, its waiting included.
#ifndef FLUVIAL_BENCH_PROFILE_H
#define FLUVIAL_BENCH_PROFILE_H

#include "learn/trainer_impl.h"

// PRODUCTS are dense layers: their matrix products, biases and activations; LAYERS everything else
// of the network (the first layer's sum of rows, normalisation, attention, sums of the shards'
// gradients); while sampling, in what the sampler leaves to be evaluated (a head of P_B, a target
// network), and backward. SAMPLING is the environment, interning, log-softmax and drawing, replay;
// OPTIMISER the gradient's norm, the update, and the target
// network's; SCORES all the rest: log R, log P_B, the objective, its cotangents down to the logits.
#define BENCH_PARTS(X)                                                                             \
  X(PRODUCTS_SAMPLING, products_sampling)                                                          \
  X(PRODUCTS_FORWARD, products_forward)                                                            \
  X(PRODUCTS_BACKWARD, products_backward)                                                          \
  X(LAYERS_SAMPLING, layers_sampling)                                                              \
  X(LAYERS_FORWARD, layers_forward)                                                                \
  X(LAYERS_BACKWARD, layers_backward)                                                              \
  X(SAMPLING, sampling)                                                                            \
  X(SCORES, scores)                                                                                \
  X(OPTIMISER, optimiser)

#define BENCH_PART_ID(ID, name) BENCH_##ID,
typedef enum bench_part { BENCH_PARTS(BENCH_PART_ID) BENCH_N_PARTS } bench_part;
#undef BENCH_PART_ID

extern const char *const bench_part_names[BENCH_N_PARTS];

typedef struct bench_parts {
  int iterations;
  double seconds;                 // of all of them
  double share[BENCH_N_PARTS];    // of the seconds
  double states, distinct, flops; // means of an iteration; flops: bench_iteration_flops()
} bench_parts;

// Trains for that long, three iterations at least. An error is the trainer's, or says that nothing
// was seen of its phases.
flv_status bench_profile(flv_trainer *t, double seconds, bench_parts *parts, flv_error *err);

#endif
