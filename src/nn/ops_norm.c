// LAYERNORM [Ba et al. 2016]: y = g xhat + b, xhat = (x - mean) / sqrt(var + 1e-5), var the biased
// variance of the row. With h = dy g and s = 1 / sqrt(var + 1e-5), over the row's entries:
//   dx = s (h - mean(h) - xhat mean(h xhat))
//   dg = sum over rows of dy xhat
//   db = sum over rows of dy
// The statistics are computed again in the backward pass; that is cheaper than keeping them.
//
// ADD: y = x + x2.
#include <math.h>
#include <string.h>

#include "base/simd.h"
#include "nn/ops.h"

enum { LANES = 16 };

static inline float lanes_sum(const float *lane) {
  float sum = 0.0f;
  for (int k = 0; k < LANES; k++) sum += lane[k];
  return sum;
}

// sum_j (x_j - shift), sum_j (x_j - shift)^2, in 16 lanes.
static inline void row_moments(int n, const float *x, float shift, float *sum, float *square) {
  float s[LANES] = {0}, q[LANES] = {0};
  int j = 0;
  for (; j + LANES <= n; j += LANES)
    for (int k = 0; k < LANES; k++) {
      const float d = x[j + k] - shift;
      s[k] += d;
      q[k] += d * d;
    }
  for (int k = 0; j < n; j++, k++) {
    const float d = x[j] - shift;
    s[k] += d;
    q[k] += d * d;
  }
  *sum = lanes_sum(s);
  *square = lanes_sum(q);
}

// Two passes, so that a large mean does not eat the variance.
static inline void row_stats(int n, const float *x, float *mean, float *scale) {
  float sum, square, rest;
  row_moments(n, x, 0.0f, &sum, &square);
  *mean = sum / (float)n;
  row_moments(n, x, *mean, &rest, &square);
  *scale = 1.0f / sqrtf(square / (float)n + 1e-5f);
}

FLV_SIMD static void layernorm_rows(int rows, int n, const float *restrict x,
                                    const float *restrict g, const float *restrict b,
                                    float *restrict y) {
  for (int r = 0; r < rows; r++, x += n, y += n) {
    float mean, scale;
    row_stats(n, x, &mean, &scale);
    for (int j = 0; j < n; j++) y[j] = g[j] * ((x[j] - mean) * scale) + b[j];
  }
}

// sum_j h_j and sum_j h_j xhat_j, in 16 lanes.
static inline void row_dots(int n, const float *x, const float *g, const float *dy, float mean,
                            float scale, float *sum_h, float *sum_hx) {
  float s[LANES] = {0}, q[LANES] = {0};
  int j = 0;
  for (; j + LANES <= n; j += LANES)
    for (int k = 0; k < LANES; k++) {
      const float h = dy[j + k] * g[j + k];
      s[k] += h;
      q[k] += h * ((x[j + k] - mean) * scale);
    }
  for (int k = 0; j < n; j++, k++) {
    const float h = dy[j] * g[j];
    s[k] += h;
    q[k] += h * ((x[j] - mean) * scale);
  }
  *sum_h = lanes_sum(s);
  *sum_hx = lanes_sum(q);
}

FLV_SIMD static void layernorm_rows_back(int rows, int n, const float *restrict x,
                                         const float *restrict g, const float *restrict dy,
                                         float *restrict dg, float *restrict db, float *restrict dx,
                                         bool add) {
  for (int r = 0; r < rows; r++, x += n, dy += n) {
    float mean, scale, sum_h, sum_hx;
    row_stats(n, x, &mean, &scale);
    for (int j = 0; j < n; j++) {
      dg[j] += dy[j] * ((x[j] - mean) * scale);
      db[j] += dy[j];
    }
    if (!dx) continue;
    row_dots(n, x, g, dy, mean, scale, &sum_h, &sum_hx);
    const float mean_h = sum_h / (float)n, mean_hx = sum_hx / (float)n;
    for (int j = 0; j < n; j++) {
      const float xhat = (x[j] - mean) * scale;
      dx[j] = (add ? dx[j] : 0.0f) + scale * (dy[j] * g[j] - mean_h - xhat * mean_hx);
    }
    dx += n;
  }
}

void flv_layernorm_forward(const flv_call *c) {
  layernorm_rows(c->rows, c->n, c->arg[0].x, c->w, c->b, c->y);
}

void flv_layernorm_backward(const flv_call *c) {
  if (!c->add_w) {
    memset(c->dw, 0, (size_t)c->n * sizeof *c->dw);
    memset(c->db, 0, (size_t)c->n * sizeof *c->db);
  }
  const flv_arg *a = &c->arg[0];
  layernorm_rows_back(c->rows, c->n, a->x, c->w, c->dy, c->dw, c->db, a->dx, a->add_dx);
}

FLV_SIMD static void add_rows(size_t n, const float *x, const float *x2, float *restrict y) {
  for (size_t i = 0; i < n; i++) y[i] = x[i] + x2[i];
}

FLV_SIMD static void add_rows_back(size_t n, bool add, const float *restrict dy,
                                   float *restrict dx) {
  for (size_t i = 0; i < n; i++) dx[i] = (add ? dx[i] : 0.0f) + dy[i];
}

void flv_add_forward(const flv_call *c) {
  add_rows((size_t)c->rows * (size_t)c->n, c->arg[0].x, c->arg[1].x, c->y);
}

void flv_add_backward(const flv_call *c) {
  const size_t n = (size_t)c->rows * (size_t)c->n;
  for (int k = 0; k < 2; k++)
    if (c->arg[k].dx) add_rows_back(n, c->arg[k].add_dx, c->dy, c->arg[k].dx);
}
