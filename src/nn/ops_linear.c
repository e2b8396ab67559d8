// LINEAR: y = act(x W + b), W [in, n]. With v the argument of act and dv = dy act'(v):
//   dW = x' dv    db = sum over rows of dv    dx = dv W'
#include "nn/activation.h"
#include "nn/blas.h"
#include "nn/ops.h"

void flv_linear_forward(const flv_call *c) {
  const int n = c->col1 - c->col0;
  float *y = c->y + c->col0;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, c->rows, n, c->in, 1.0f, c->x, c->in,
              c->w + c->col0, c->n, 0.0f, y, c->n);
  flv_act_forward(c->act, c->rows, n, (size_t)c->n, c->b + c->col0, y);
}

void flv_linear_backward(const flv_call *c) {
  flv_act_backward(c->act, c->rows, c->n, c->y, c->dy, c->db, c->add_w);
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, c->in, c->n, c->rows, 1.0f, c->x, c->in,
              c->dy, c->n, c->add_w ? 1.0f : 0.0f, c->dw, c->n);
  if (c->dx)
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, c->rows, c->in, c->n, 1.0f, c->dy, c->n,
                c->w, c->n, c->add_dx ? 1.0f : 0.0f, c->dx, c->in);
}
