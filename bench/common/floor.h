// The floor of an iteration: the time that its matrix products alone would take at the rate of
// large ones.
//
//   floor = flops of the products, every distinct row once / (rate of a core x cores)
//
// A row that is trained on costs three products of each dense layer: forward, gradient of the
// input, gradient of the weights; of an MLP, weights of the dense layers x 6 flops. A row that is
// only evaluated, as a target network does, costs one. Rows of trees of fragments are distinct
// paths (nn/tree.h). The k-hot first layer is a sum of rows and is not counted, nor are attention
// and a graph network's tables.
#ifndef FLUVIAL_BENCH_FLOOR_H
#define FLUVIAL_BENCH_FLOOR_H

#include "learn/trainer_impl.h"

// Single-precision flops per second of one core, while `threads` cores each multiply matrices of
// 2048^3; the best of four, as a floor should be, in processor time, so that other work of the
// machine does not raise it. Exits when there is no memory for them.
double bench_matrix_rate(int threads);

// Of the iteration that has just been made.
double bench_iteration_flops(const flv_trainer *t);

static inline double bench_floor_ms(double flops, double rate, int threads) {
  return flops / (rate * threads) * 1e3;
}

#endif
