// Addressed random numbers: Philox4x32-10 (Random123) keyed by (seed, purpose), at the counter
// (iteration, item, step). Nothing is consumed, so whoever asks, in whatever order, on however many
// threads, the same address gives the same bits.
#ifndef FLUVIAL_BASE_RNG_H
#define FLUVIAL_BASE_RNG_H

#include <stdint.h>

// What a draw is for; one stream each. Append only: the numbers are part of what a seed means.
typedef enum flv_purpose {
  FLV_RNG_INIT = 1,     // initial weights: item = tensor, step = entry / 2
  FLV_RNG_ACTION = 2,   // forward actions: item = trajectory, step = step
  FLV_RNG_REPLAY = 3,   // which trajectories come out of the buffer
  FLV_RNG_SAMPLE = 4,   // flv_trainer_sample: iteration = stream
  FLV_RNG_EVALUATE = 5, // samples of an evaluation: iteration = samples before
  FLV_RNG_TEST = 6,
  FLV_RNG_BACKWARD = 7,    // backward actions: item = trajectory, step = steps before
  FLV_RNG_TARGET = 8,      // objects from R/Z: item = object
  FLV_RNG_BOOTSTRAP = 9,   // resamples: item = resample, step = draw / 2
  FLV_RNG_PAST = 10,       // which past trajectories P_B learns from
  FLV_RNG_REDRAW = 11,     // steps back from objects of the buffer: item = trajectory
  FLV_RNG_GIVEN = 12,      // which given objects: item = trajectory
  FLV_RNG_GIVEN_BACK = 13, // steps back from them
  // local search: iteration = iteration times steps of the search, plus step; item = trajectory
  FLV_RNG_SEARCH = 14,         // where to cut, and whether to accept
  FLV_RNG_SEARCH_BACK = 15,    // steps back
  FLV_RNG_SEARCH_FORWARD = 16, // steps forward
  FLV_RNG_HEAD = 17,           // which head of P_F samples: item = trajectory
  FLV_RNG_HEAD_DATA = 18,      // what a head learns from: item = trajectory, step = head
  FLV_RNG_LAB = 19,            // trajectories of src/lab: item = trajectory, step = step
  FLV_RNG_SYNTH = 20,          // synthetic problems: iteration = what is drawn
  FLV_RNG_MODES = 21,          // modes of a target: iteration = mode, item = attempt, step = block
  FLV_RNG_STOP = 22            // where a trajectory is made to end: item = trajectory
} flv_purpose;

typedef struct flv_rng { // one address; pass by value
  uint64_t seed;
  uint32_t purpose;
  uint64_t iteration;
} flv_rng;

// Two independent uniform doubles in [0, 1), 53 bits each.
void flv_rng_uniform2(flv_rng rng, uint32_t item, uint32_t step, double u[2]);
double flv_rng_uniform(flv_rng rng, uint32_t item, uint32_t step);
// Two independent standard normals (Box-Muller).
void flv_rng_normal2(flv_rng rng, uint32_t item, uint32_t step, double z[2]);

#endif
