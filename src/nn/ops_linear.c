// LINEAR: y = act(x W + b), W [in, n]. With v the argument of act and dv = dy act'(v):
//   dW = x' dv    db = sum over rows of dv    dx = dv W'
#include <string.h>

#include "base/simd.h"
#include "nn/activation.h"
#include "nn/blas.h"
#include "nn/few_rows.h"
#include "nn/ops.h"

void flv_linear_forward(const flv_call *c) {
  if (!flv_few_rows(c->rows, c->in, c->n, c->x, c->w, c->y))
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, c->rows, c->n, c->in, 1.0f, c->x, c->in,
                c->w, c->n, 0.0f, c->y, c->n);
  flv_act_forward(c->act, c->rows, c->n, c->b, c->y);
}

// Heads of a few actions. BLAS pads dW's few columns to the width of its tiles, and takes two to
// seven times as long (OpenBLAS 0.3.21, 256 inputs, 16 down to 1 columns) as this sum of outer
// products, kept transposed so that its inner loop runs over the input.
enum { NARROW = 12, NARROW_FLOATS = 8192 };

// gt[n, in] += dv' x, four rows at a time.
FLV_SIMD static void linear_narrow(int rows, int in, int n, const float *restrict x,
                                   const float *restrict dv, float *restrict gt) {
  int r = 0;
  for (; r + 4 <= rows; r += 4, x += 4 * in, dv += 4 * n)
    for (int j = 0; j < n; j++) {
      const float *x1 = x + in, *x2 = x1 + in, *x3 = x2 + in;
      const float d0 = dv[j], d1 = dv[n + j], d2 = dv[2 * n + j], d3 = dv[3 * n + j];
      float *g = gt + j * in;
      for (int i = 0; i < in; i++) g[i] += (d0 * x[i] + d1 * x1[i]) + (d2 * x2[i] + d3 * x3[i]);
    }
  for (; r < rows; r++, x += in, dv += n)
    for (int j = 0; j < n; j++)
      for (int i = 0; i < in; i++) gt[j * in + i] += dv[j] * x[i];
}

static void weights_narrow(const flv_call *c) {
  _Alignas(64) float gt[NARROW_FLOATS];
  memset(gt, 0, (size_t)c->in * (size_t)c->n * sizeof *gt);
  linear_narrow(c->rows, c->in, c->n, c->x, c->dy, gt);
  for (int i = 0; i < c->in; i++)
    for (int j = 0; j < c->n; j++) {
      float *g = &c->dw[i * c->n + j];
      *g = (c->add_w ? *g : 0.0f) + gt[j * c->in + i];
    }
}

// dx[in] (+)= dv w' for each row; wt[n, in].
FLV_SIMD static void linear_spread(int rows, int in, int n, bool add, const float *restrict dv,
                                   const float *restrict wt, float *restrict dx) {
  for (int r = 0; r < rows; r++, dv += n, dx += in)
    for (int j = 0; j < n; j++) {
      const float d = dv[j], *w = wt + j * in;
      if (add || j > 0)
        for (int i = 0; i < in; i++) dx[i] += d * w[i];
      else
        for (int i = 0; i < in; i++) dx[i] = d * w[i];
    }
}

static void inputs_narrow(const flv_call *c) {
  _Alignas(64) float wt[NARROW_FLOATS];
  for (int i = 0; i < c->in; i++)
    for (int j = 0; j < c->n; j++) wt[j * c->in + i] = c->w[i * c->n + j];
  linear_spread(c->rows, c->in, c->n, c->add_dx, c->dy, wt, c->dx);
}

void flv_linear_backward(const flv_call *c) {
  flv_act_backward(c->act, c->rows, c->n, c->y, c->dy, c->db, c->add_w);
  if (c->n <= NARROW && c->n_w <= NARROW_FLOATS)
    weights_narrow(c);
  else
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, c->in, c->n, c->rows, 1.0f, c->x, c->in,
                c->dy, c->n, c->add_w ? 1.0f : 0.0f, c->dw, c->n);
  if (!c->dx) return;
  if (c->n <= NARROW && c->n_w <= NARROW_FLOATS)
    inputs_narrow(c);
  else
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, c->rows, c->in, c->n, 1.0f, c->dy, c->n,
                c->w, c->n, c->add_dx ? 1.0f : 0.0f, c->dx, c->in);
}
