// Activation functions fused with what stands beside them: the bias in front, the bias gradient
// behind.
#ifndef FLUVIAL_NN_ACTIVATION_H
#define FLUVIAL_NN_ACTIVATION_H

#include <stddef.h>

#include "nn/net.h"

// y[r*n + j] = act(y[r*n + j] + b[j]) for r < rows, j < n.
void flv_act_forward(flv_act act, int rows, int n, const float *b, float *y);

// dy[rows, n] becomes the gradient in front of the activation that gave y[rows, n]; db[n] = its sum
// over rows (in row order), added to db if `add`.
void flv_act_backward(flv_act act, int rows, int n, const float *y, float *dy, float *db, bool add);

#endif
