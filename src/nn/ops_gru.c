// GRU [Cho et al. 2014, arXiv:1406.1078, with the reset gate behind the product]: what is left of a
// gated recurrent unit when its products are made. With a = x = m W_i + b_i and b = x2 = h W_h +
// b_h, each in three parts r, z, n, and h = x3:
//   r = sigmoid(a_r + b_r)    z = sigmoid(a_z + b_z)    n = tanh(a_n + r b_n)    y = (1-z) n + z h
// Backward, with dn = dy (1-z) (1-n^2):
//   da_n = dn, db_n = dn r, da_r = db_r = dn b_n r (1-r), da_z = db_z = dy (h-n) z (1-z), dh = dy z
#include <string.h>

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

enum { BLOCK = 64 }; // columns at once: loops over arguments and local arrays are made of vectors

typedef struct cotangents {
  float r[BLOCK], z[BLOCK], n[BLOCK], b_n[BLOCK], h[BLOCK];
} cotangents;

// Of columns 0 .. m-1 of one row whose parts are n apart.
FLV_SIMD static void gru_block_back(size_t m, size_t n, const float *restrict a,
                                    const float *restrict b, const float *restrict h,
                                    const float *restrict dy, cotangents *restrict d) {
  for (size_t j = 0; j < m; j++) {
    const float r = flv_sigmoid(a[j] + b[j]), z = flv_sigmoid(a[n + j] + b[n + j]);
    const float v = tanh_of(a[2 * n + j] + r * b[2 * n + j]);
    const float dn = dy[j] * (1.0f - z) * (1.0f - v * v);
    d->r[j] = dn * b[2 * n + j] * r * (1.0f - r);
    d->z[j] = dy[j] * (h[j] - v) * z * (1.0f - z);
    d->n[j] = dn;
    d->b_n[j] = dn * r;
    d->h[j] = dy[j] * z;
  }
}

FLV_SIMD static void put(size_t m, bool add, const float *restrict v, float *restrict d) {
  if (add)
    for (size_t j = 0; j < m; j++) d[j] += v[j];
  else
    memcpy(d, v, m * sizeof *d);
}

static void gru_row_back(size_t n, const flv_call *c, size_t row) {
  const flv_arg *a = &c->arg[0], *b = &c->arg[1], *h = &c->arg[2];
  float *da = a->dx + row * 3 * n, *db = b->dx + row * 3 * n, *dh = h->dx + row * n;
  cotangents d;
  for (size_t j = 0; j < n; j += BLOCK) {
    const size_t m = n - j < BLOCK ? n - j : BLOCK;
    gru_block_back(m, n, a->x + row * 3 * n + j, b->x + row * 3 * n + j, h->x + row * n + j,
                   c->dy + row * n + j, &d);
    put(m, a->add_dx, d.r, da + j);
    put(m, a->add_dx, d.z, da + n + j);
    put(m, a->add_dx, d.n, da + 2 * n + j);
    put(m, b->add_dx, d.r, db + j);
    put(m, b->add_dx, d.z, db + n + j);
    put(m, b->add_dx, d.b_n, db + 2 * n + j);
    put(m, h->add_dx, d.h, dh + j);
  }
}

// All three are made by ops with weights, or no gradient is asked for at all.
void flv_gru_backward(const flv_call *c) {
  for (size_t row = 0; row < (size_t)c->rows; row++) gru_row_back((size_t)c->n, c, row);
}
