// GELU [Hendrycks & Gimpel 2016, arXiv:1606.08415]: y = x Phi(x) with their approximation
//   Phi(x) ~ (1 + tanh(u/2)) / 2 = sigmoid(u),   u = 2 sqrt(2/pi) (x + 0.044715 x^3)
//   dy/dx = sigmoid(u) + x sigmoid(u) (1 - sigmoid(u)) du/dx
// An op and not one of FLV_ACTS, whose gradients follow from y: x Phi(x) takes values twice.
#include "base/simd.h"
#include "nn/ops.h"
#include "nn/vector_exp.h"

static inline float sigmoid_of(float x) {
  return flv_sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
}

FLV_SIMD static void gelu_rows(size_t n, const float *restrict x, float *restrict y) {
  for (size_t i = 0; i < n; i++) y[i] = x[i] * sigmoid_of(x[i]);
}

FLV_SIMD static void gelu_rows_back(size_t n, bool add, const float *restrict x,
                                    const float *restrict dy, float *restrict dx) {
  for (size_t i = 0; i < n; i++) {
    const float s = sigmoid_of(x[i]), du = 1.59576912f * (1.0f + 0.134145f * x[i] * x[i]);
    const float slope = s + x[i] * s * (1.0f - s) * du;
    dx[i] = (add ? dx[i] : 0.0f) + slope * dy[i];
  }
}

void flv_gelu_forward(const flv_call *c) {
  gelu_rows((size_t)c->rows * (size_t)c->n, c->arg[0].x, c->y);
}

void flv_gelu_backward(const flv_call *c) {
  const flv_arg *a = &c->arg[0];
  if (a->dx) gelu_rows_back((size_t)c->rows * (size_t)c->n, a->add_dx, a->x, c->dy, a->dx);
}
