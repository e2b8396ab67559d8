// GRU [Cho et al. 2014, arXiv:1406.1078, with the reset gate behind the product]: what is left of a
// gated recurrent unit when its products are made. With a = x = m W_i + b_i and b = x2 = h W_h +
// b_h, each in three parts r, z, n, and h = x3:
//   r = sigmoid(a_r + b_r)    z = sigmoid(a_z + b_z)    n = tanh(a_n + r b_n)    y = (1-z) n + z h
// Backward, with dn = dy (1-z) (1-n^2):
//   da_n = dn, db_n = dn r, da_r = db_r = dn b_n r (1-r), da_z = db_z = dy (h-n) z (1-z), dh = dy z
#include "base/simd.h"
#include "nn/ops.h"
#include "nn/vector_exp.h"

static inline float tanh_of(float x) { return 2.0f * flv_sigmoid(2.0f * x) - 1.0f; }

FLV_SIMD static void gru_rows(size_t rows, size_t n, const float *restrict a,
                              const float *restrict b, const float *restrict h, float *restrict y) {
  for (size_t s = 0; s < rows; s++, a += 3 * n, b += 3 * n, h += n, y += n)
    for (size_t j = 0; j < n; j++) {
      const float r = flv_sigmoid(a[j] + b[j]), z = flv_sigmoid(a[n + j] + b[n + j]);
      const float v = tanh_of(a[2 * n + j] + r * b[2 * n + j]);
      y[j] = (1.0f - z) * v + z * h[j];
    }
}

void flv_gru_forward(const flv_call *c) {
  gru_rows((size_t)c->rows, (size_t)c->n, c->arg[0].x, c->arg[1].x, c->arg[2].x, c->y);
}

// Writes d over [rows, 3 n] or adds to it.
static inline void put(float *d, bool add, float value) { *d = (add ? *d : 0.0f) + value; }

FLV_SIMD static void gru_rows_back(const flv_call *c, bool add_a, bool add_b, bool add_h) {
  const size_t n = (size_t)c->n;
  const float *restrict a = c->arg[0].x, *restrict b = c->arg[1].x, *restrict h = c->arg[2].x;
  const float *restrict dy = c->dy;
  float *restrict da = c->arg[0].dx, *restrict db = c->arg[1].dx, *restrict dh = c->arg[2].dx;
  for (size_t s = 0; s < (size_t)c->rows; s++) {
    for (size_t j = 0; j < n; j++) {
      const float r = flv_sigmoid(a[j] + b[j]), z = flv_sigmoid(a[n + j] + b[n + j]);
      const float v = tanh_of(a[2 * n + j] + r * b[2 * n + j]);
      const float dn = dy[j] * (1.0f - z) * (1.0f - v * v);
      const float dr = dn * b[2 * n + j] * r * (1.0f - r), dz = dy[j] * (h[j] - v) * z * (1.0f - z);
      put(&da[j], add_a, dr), put(&da[n + j], add_a, dz), put(&da[2 * n + j], add_a, dn);
      put(&db[j], add_b, dr), put(&db[n + j], add_b, dz), put(&db[2 * n + j], add_b, dn * r);
      put(&dh[j], add_h, dy[j] * z);
    }
    a += 3 * n, b += 3 * n, h += n, dy += n, da += 3 * n, db += 3 * n, dh += n;
  }
}

// All three are made by ops with weights, or no gradient is asked for at all.
void flv_gru_backward(const flv_call *c) {
  gru_rows_back(c, c->arg[0].add_dx, c->arg[1].add_dx, c->arg[2].add_dx);
}
