// Ops of states that are rows of positions: P of them, and d = P + 1 nodes behind a start token, or
// d = P.
//
// TOKENS: y_p = W[hot_p - p symbols], the start token's row at its node; backward: dW[..] += dy_p
// MEAN: y = 1/d sum_i x_i; dx_i = dy / d
// JOIN: y = [x_p of the positions; x2]; backward: dy, cut up again
#include <assert.h>
#include <string.h>

#include "base/simd.h"
#include "nn/ops.h"

static int start_of(const flv_call *c) { return c->n_nodes - c->n_hot; }

static size_t token_at(const flv_call *c, int state, int p) {
  return (size_t)(c->hot[state * c->n_hot + p] - p * c->symbols);
}

void flv_tokens_forward(const flv_call *c) {
  const size_t n = (size_t)c->n, bytes = n * sizeof *c->y;
  float *y = c->y;
  for (int s = 0; s < c->states; s++) {
    if (start_of(c)) {
      memcpy(y, c->b, bytes);
      y += n;
    }
    for (int p = 0; p < c->n_hot; p++, y += n) {
      assert(c->hot[s * c->n_hot + p] >= p * c->symbols);
      memcpy(y, c->w + token_at(c, s, p) * n, bytes);
    }
  }
}

static inline void add_row(size_t n, bool add, const float *x, float *restrict y) {
  for (size_t j = 0; j < n; j++) y[j] = (add ? y[j] : 0.0f) + x[j];
}

FLV_SIMD static void tokens_rows_back(const flv_call *c) {
  const size_t n = (size_t)c->n;
  const float *dy = c->dy;
  for (int s = 0; s < c->states; s++) {
    if (start_of(c)) {
      add_row(n, true, dy, c->db);
      dy += n;
    }
    for (int p = 0; p < c->n_hot; p++, dy += n) add_row(n, true, dy, c->dw + token_at(c, s, p) * n);
  }
}

void flv_tokens_backward(const flv_call *c) { tokens_rows_back(c); } // adds to what is there

FLV_SIMD static void mean_rows(const flv_call *c) {
  const size_t n = (size_t)c->n, d = (size_t)c->n_nodes;
  const float *x = c->arg[0].x;
  const float scale = 1.0f / (float)d;
  for (float *y = c->y; y < c->y + (size_t)c->rows * n; y += n) {
    for (size_t i = 0; i < d; i++, x += n) add_row(n, i > 0, x, y);
    for (size_t j = 0; j < n; j++) y[j] *= scale;
  }
}

FLV_SIMD static void mean_rows_back(const flv_call *c) {
  const size_t n = (size_t)c->n, d = (size_t)c->n_nodes;
  const bool add = c->arg[0].add_dx;
  const float scale = 1.0f / (float)d;
  float *dx = c->arg[0].dx;
  for (const float *dy = c->dy; dy < c->dy + (size_t)c->rows * n; dy += n)
    for (size_t i = 0; i < d; i++, dx += n)
      for (size_t j = 0; j < n; j++) dx[j] = (add ? dx[j] : 0.0f) + scale * dy[j];
}

void flv_mean_forward(const flv_call *c) {
  if (c->tree)
    flv_tree_mean_forward(c);
  else
    mean_rows(c);
}

void flv_mean_backward(const flv_call *c) {
  if (!c->arg[0].dx) return;
  if (c->tree)
    flv_tree_mean_backward(c);
  else
    mean_rows_back(c);
}

// Floats of a state in y that come from x, and where they begin in x.
typedef struct part {
  size_t n, all, skip, n2;
} part;

static part part_of(const flv_call *c) {
  const size_t in = (size_t)c->arg[0].in;
  return (part){.n = (size_t)c->n_hot * in,
                .all = (size_t)c->n_nodes * in,
                .skip = (size_t)start_of(c) * in,
                .n2 = c->n_args > 1 ? (size_t)c->arg[1].in : 0};
}

void flv_join_forward(const flv_call *c) {
  const part p = part_of(c);
  for (size_t s = 0; s < (size_t)c->rows; s++) {
    float *y = c->y + s * (p.n + p.n2);
    memcpy(y, c->arg[0].x + s * p.all + p.skip, p.n * sizeof *y);
    if (p.n2 > 0) memcpy(y + p.n, c->arg[1].x + s * p.n2, p.n2 * sizeof *y);
  }
}

FLV_SIMD static void join_rows_back(const flv_call *c, const part *p) {
  const flv_arg *a = &c->arg[0], *b = &c->arg[1];
  for (size_t s = 0; s < (size_t)c->rows; s++) {
    const float *dy = c->dy + s * (p->n + p->n2);
    if (a->dx && !a->add_dx) memset(a->dx + s * p->all, 0, p->skip * sizeof *a->dx);
    if (a->dx) add_row(p->n, a->add_dx, dy, a->dx + s * p->all + p->skip);
    if (b->dx) add_row(p->n2, b->add_dx, dy + p->n, b->dx + s * p->n2);
  }
}

void flv_join_backward(const flv_call *c) {
  const part p = part_of(c);
  join_rows_back(c, &p);
}
