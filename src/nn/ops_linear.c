// LINEAR: y = act(sum_t x_t W_t + sum_t gathered x_t + b), W_t [in_t, n]. With v the argument of
// act and dv = dy act'(v):
//   dW_t = x_t' dv    db = sum over rows of dv    dx_t = dv W_t', or dv, back where it came from
#include <string.h>

#include "base/simd.h"
#include "nn/activation.h"
#include "nn/blas.h"
#include "nn/small_products.h"
#include "nn/ops.h"

static void product(const flv_call *c, const flv_arg *a, bool add) {
  if (!flv_small_product(c->rows, a->in, c->n, add, a->x, a->w, c->y))
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, c->rows, c->n, a->in, 1.0f, a->x, a->in,
                a->w, c->n, add ? 1.0f : 0.0f, c->y, c->n);
}

void flv_linear_forward(const flv_call *c) {
  bool begun = false;
  for (int k = 0; k < c->n_args; k++) {
    if (!c->arg[k].w) continue;
    product(c, &c->arg[k], begun);
    begun = true;
  }
  if (!begun) memset(c->y, 0, (size_t)c->rows * (size_t)c->n * sizeof *c->y);
  for (int k = 0; k < c->n_args; k++)
    if (!c->arg[k].w) flv_gather_forward(c, &c->arg[k]);
  if (c->b) flv_act_forward(c->act, c->rows, c->n, c->b, c->y);
}

// Heads of a few actions. BLAS pads dW's few columns to the width of its tiles, and takes two to
// seven times as long (OpenBLAS 0.3.21, 256 inputs, 16 down to 1 columns) as this sum of outer
// products, kept transposed so that its inner loop runs over the input.
enum { NARROW = 12, NARROW_FLOATS = 8192 };
enum { TURNED_FLOATS = 1 << 16, TURNED_ROWS = 96, SQUARE = 16 };

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

static void weights_narrow(const flv_call *c, const flv_arg *a) {
  _Alignas(64) float gt[NARROW_FLOATS];
  memset(gt, 0, (size_t)a->in * (size_t)c->n * sizeof *gt);
  linear_narrow(c->rows, a->in, c->n, a->x, c->dy, gt);
  for (int i = 0; i < a->in; i++)
    for (int j = 0; j < c->n; j++) {
      float *g = &a->dw[i * c->n + j];
      *g = (c->add_w ? *g : 0.0f) + gt[j * a->in + i];
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

static void inputs_narrow(const flv_call *c, const flv_arg *a) {
  _Alignas(64) float wt[NARROW_FLOATS];
  for (int i = 0; i < a->in; i++)
    for (int j = 0; j < c->n; j++) wt[j * a->in + i] = a->w[i * c->n + j];
  linear_spread(c->rows, a->in, c->n, a->add_dx, c->dy, wt, a->dx);
}

// wt[n, in] = w'[in, n], square by square.
FLV_SIMD static void linear_turn(int in, int n, const float *restrict w, float *restrict wt) {
  for (int i0 = 0; i0 < in; i0 += SQUARE)
    for (int j0 = 0; j0 < n; j0 += SQUARE) {
      const int i1 = i0 + SQUARE < in ? i0 + SQUARE : in, j1 = j0 + SQUARE < n ? j0 + SQUARE : n;
      for (int j = j0; j < j1; j++)
        for (int i = i0; i < i1; i++) wt[j * in + i] = w[i * n + j];
    }
}

// dx by the kernels of the forward product, on transposed weights. False: not of this shape.
static bool inputs_turned(const flv_call *c, const flv_arg *a) {
  _Alignas(64) float wt[TURNED_FLOATS];
  if (a->in * c->n > TURNED_FLOATS || c->rows < TURNED_ROWS) return false;
  linear_turn(a->in, c->n, a->w, wt);
  return flv_small_product(c->rows, c->n, a->in, a->add_dx, c->dy, wt, a->dx);
}

static void product_backward(const flv_call *c, const flv_arg *a) {
  const bool narrow = c->n <= NARROW && a->in * c->n <= NARROW_FLOATS;
  if (narrow)
    weights_narrow(c, a);
  else if (!flv_small_gradient(c->rows, a->in, c->n, c->add_w, a->x, c->dy, a->dw))
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, a->in, c->n, c->rows, 1.0f, a->x, a->in,
                c->dy, c->n, c->add_w ? 1.0f : 0.0f, a->dw, c->n);
  if (!a->dx) return;
  if (narrow)
    inputs_narrow(c, a);
  else if (!inputs_turned(c, a))
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, c->rows, a->in, c->n, 1.0f, c->dy, c->n,
                a->w, c->n, a->add_dx ? 1.0f : 0.0f, a->dx, a->in);
}

void flv_linear_backward(const flv_call *c) {
  if (c->b) flv_act_backward(c->act, c->rows, c->n, c->y, c->dy, c->db, c->add_w);
  for (int k = 0; k < c->n_args; k++) {
    if (c->arg[k].w)
      product_backward(c, &c->arg[k]);
    else if (c->arg[k].dx)
      flv_gather_backward(c, &c->arg[k]);
  }
}
