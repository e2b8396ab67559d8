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

enum { LANES = 16, GROUP = 8 }; // GROUP: rows at a time

// Sum over lanes, in pairs.
static inline float lanes_sum(const float *lane) {
  float h[LANES / 2], q[LANES / 4];
  for (int k = 0; k < LANES / 2; k++) h[k] = lane[k] + lane[k + LANES / 2];
  for (int k = 0; k < LANES / 4; k++) q[k] = h[k] + h[k + LANES / 4];
  return (q[0] + q[2]) + (q[1] + q[3]);
}

// sum_j (x_j - shift)^power, in 16 lanes; power 1 or 2.
static inline float row_moment(int n, int power, const float *x, float shift) {
  float s[LANES] = {0};
  const int whole = n / LANES * LANES;
  for (int j = 0; j < whole; j += LANES)
    for (int k = 0; k < LANES; k++) {
      const float d = x[j + k] - shift;
      s[k] += power == 1 ? d : d * d;
    }
  for (int k = 0; k < n - whole; k++) {
    const float d = x[whole + k] - shift;
    s[k] += power == 1 ? d : d * d;
  }
  return lanes_sum(s);
}

// Of a group of rows, whose sums do not wait for each other. Two passes over each, so that a large
// mean does not eat the variance.
static inline void group_stats(int rows, int n, const float *x, float *mean, float *scale) {
  const float part = 1.0f / (float)n;
  for (int r = 0; r < rows; r++) mean[r] = row_moment(n, 1, x + (size_t)r * (size_t)n, 0.0f) * part;
  for (int r = 0; r < rows; r++) scale[r] = row_moment(n, 2, x + (size_t)r * (size_t)n, mean[r]);
  for (int r = 0; r < rows; r++) scale[r] = 1.0f / sqrtf(scale[r] * part + 1e-5f);
}

FLV_SIMD static void layernorm_rows(int rows, int n, const float *restrict x,
                                    const float *restrict g, const float *restrict b,
                                    float *restrict y) {
  float mean[GROUP] = {0}, scale[GROUP] = {0};
  for (int r0 = 0; r0 < rows; r0 += GROUP) {
    const int m = rows - r0 < GROUP ? rows - r0 : GROUP;
    group_stats(m, n, x, mean, scale);
    for (int r = 0; r < m; r++, x += n, y += n)
      for (int j = 0; j < n; j++) y[j] = g[j] * ((x[j] - mean[r]) * scale[r]) + b[j];
  }
}

// dg_j += dy_j xhat_j and db_j += dy_j; sum_j h_j and sum_j h_j xhat_j, in 16 lanes.
static inline void row_sums(int n, const float *restrict x, const float *restrict g,
                            const float *restrict dy, float mean, float scale, float *restrict dg,
                            float *restrict db, float *sum_h, float *sum_hx) {
  float s[LANES] = {0}, q[LANES] = {0};
  const int whole = n / LANES * LANES;
  for (int j = 0; j < whole; j += LANES)
    for (int k = 0; k < LANES; k++) {
      const float d = dy[j + k], dx = d * ((x[j + k] - mean) * scale);
      dg[j + k] += dx;
      db[j + k] += d;
      s[k] += d * g[j + k];
      q[k] += dx * g[j + k];
    }
  for (int k = 0; k < n - whole; k++) {
    const int j = whole + k;
    const float d = dy[j], dx = d * ((x[j] - mean) * scale);
    dg[j] += dx;
    db[j] += d;
    s[k] += d * g[j];
    q[k] += dx * g[j];
  }
  *sum_h = lanes_sum(s);
  *sum_hx = lanes_sum(q);
}

FLV_SIMD static void layernorm_rows_back(int rows, int n, const float *restrict x,
                                         const float *restrict g, const float *restrict dy,
                                         float *restrict dg, float *restrict db, float *restrict dx,
                                         bool add) {
  float mean[GROUP] = {0}, scale[GROUP] = {0}, h[GROUP] = {0}, hx[GROUP] = {0};
  const float part = 1.0f / (float)n;
  for (int r0 = 0; r0 < rows; r0 += GROUP, x += GROUP * n, dy += GROUP * n) {
    const int m = rows - r0 < GROUP ? rows - r0 : GROUP;
    group_stats(m, n, x, mean, scale);
    for (int r = 0; r < m; r++)
      row_sums(n, x + r * n, g, dy + r * n, mean[r], scale[r], dg, db, &h[r], &hx[r]);
    for (int r = 0; dx && r < m; r++, dx += n) {
      const float *xr = x + r * n, *dyr = dy + r * n;
      const float mean_h = h[r] * part, mean_hx = hx[r] * part, s = scale[r], shift = mean[r];
      if (add)
        for (int j = 0; j < n; j++)
          dx[j] += s * (dyr[j] * g[j] - mean_h - (xr[j] - shift) * s * mean_hx);
      else
        for (int j = 0; j < n; j++)
          dx[j] = s * (dyr[j] * g[j] - mean_h - (xr[j] - shift) * s * mean_hx);
    }
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
