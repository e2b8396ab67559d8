// EMBED: y = act(b + sum_k W[hot_k]), W [n_features, n]: a LINEAR layer on k-hot rows, at
// k/n_features of its cost; a row with fewer than n_hot features ends with -1. Backward: dW[hot_k]
// += dv for every row, and db = sum over rows of dv; nothing to differentiate below.
#include <assert.h>
#include <string.h>

#include "base/simd.h"
#include "nn/activation.h"
#include "nn/ops.h"

// y[j] (+)= w0[j] + .. + w3[j]
static inline void gather_4(int n, bool add, const float *w0, const float *w1, const float *w2,
                            const float *w3, float *restrict y) {
  for (int j = 0; j < n; j++) y[j] = (add ? y[j] : 0.0f) + ((w0[j] + w1[j]) + (w2[j] + w3[j]));
}

static inline void gather_2(int n, bool add, const float *w0, const float *w1, float *restrict y) {
  for (int j = 0; j < n; j++) y[j] = (add ? y[j] : 0.0f) + (w0[j] + w1[j]);
}

static inline void gather_1(int n, bool add, const float *w, float *restrict y) {
  for (int j = 0; j < n; j++) y[j] = (add ? y[j] : 0.0f) + w[j];
}

// Features before the padding.
static inline int count_hot(int n_hot, const int32_t *hot) {
  if (hot[n_hot - 1] >= 0) return n_hot;
  int n = 0;
  while (hot[n] >= 0) n++;
  return n;
}

static inline void gather_row(int n, int n_hot, const int32_t *hot, const float *w,
                              float *restrict y) {
  const size_t width = (size_t)n;
  const int count = count_hot(n_hot, hot);
  if (count == 0) memset(y, 0, width * sizeof *y);
  int k = 0;
  for (; k + 4 <= count; k += 4)
    gather_4(n, k > 0, w + (size_t)hot[k] * width, w + (size_t)hot[k + 1] * width,
             w + (size_t)hot[k + 2] * width, w + (size_t)hot[k + 3] * width, y);
  for (; k + 2 <= count; k += 2)
    gather_2(n, k > 0, w + (size_t)hot[k] * width, w + (size_t)hot[k + 1] * width, y);
  if (k < count) gather_1(n, k > 0, w + (size_t)hot[k] * width, y);
}

FLV_SIMD static void embed_gather(int rows, int n, int n_hot, const int32_t *hot, const float *w,
                                  float *restrict y) {
  for (int r = 0; r < rows; r++, hot += n_hot, y += n) gather_row(n, n_hot, hot, w, y);
}

FLV_SIMD static void embed_scatter(int rows, int n, int n_hot, const int32_t *hot,
                                   const float *restrict dv, float *restrict dw) {
  const size_t width = (size_t)n;
  for (int r = 0; r < rows; r++, hot += n_hot, dv += width)
    for (int k = 0; k < n_hot && hot[k] >= 0; k++) {
      float *row = dw + (size_t)hot[k] * width;
      for (int j = 0; j < n; j++) row[j] += dv[j];
    }
}

// sum = that of another row + the rows of w that are added - those that are removed; y = sum
static inline void gather_change(int n, const flv_change *change, const int32_t *hot,
                                 const int32_t *hot_from, const float *restrict sum_from,
                                 const float *w, float *restrict sum) {
  const size_t width = (size_t)n;
  if (change->added == 1 && change->removed == 1) {
    const float *in = w + (size_t)change->in * width, *out = w + (size_t)change->out * width;
    for (int j = 0; j < n; j++) sum[j] = sum_from[j] + (in[j] - out[j]);
    return;
  }
  memcpy(sum, sum_from, width * sizeof *sum);
  for (int k = 0; k < change->added; k++) {
    const float *in = w + (size_t)hot[change->at + k] * width;
    for (int j = 0; j < n; j++) sum[j] += in[j];
  }
  for (int k = 0; k < change->removed; k++) {
    const float *out = w + (size_t)hot_from[change->at + k] * width;
    for (int j = 0; j < n; j++) sum[j] -= out[j];
  }
}

// From the sum of the row that a row is linked to, where that exists: it was there before the
// call's pass began, or it is an earlier row of the call. Other rows of that pass may be under way.
FLV_SIMD static void embed_follow(const flv_call *c) {
  const size_t width = (size_t)c->n, k = (size_t)c->n_hot;
  for (int r = 0; r < c->rows; r++) {
    const flv_change *change = &c->change[c->row0 + r];
    const int from = change->from;
    const int32_t *hot = c->hot + (size_t)r * k;
    float *sum = c->sum + (size_t)(c->row0 + r) * width;
    if (from >= 0 && (from < c->known || from >= c->row0))
      gather_change(c->n, change, hot, c->hot + (ptrdiff_t)(from - c->row0) * c->n_hot,
                    c->sum + (size_t)from * width, c->w, sum);
    else
      gather_row(c->n, c->n_hot, hot, c->w, sum);
    memcpy(c->y + (size_t)r * width, sum, width * sizeof *sum);
  }
}

void flv_embed_forward(const flv_call *c) {
  for (int i = 0; i < c->rows * c->n_hot; i++) {
    assert(c->hot[i] >= -1 && c->hot[i] < c->n_features);
    assert(c->hot[i] == -1 || i % c->n_hot == 0 || c->hot[i - 1] >= 0);
  }
  if (c->change)
    embed_follow(c);
  else
    embed_gather(c->rows, c->n, c->n_hot, c->hot, c->w, c->y);
  flv_act_forward(c->act, c->rows, c->n, c->b, c->y);
}

void flv_embed_backward(const flv_call *c) {
  flv_act_backward(c->act, c->rows, c->n, c->y, c->dy, c->db, c->add_w);
  if (c->swept) return; // dv stays where it is until all rows have theirs
  if (!c->add_w) memset(c->dw, 0, (size_t)c->n_features * (size_t)c->n * sizeof *c->dw);
  embed_scatter(c->rows, c->n, c->n_hot, c->hot, c->dy, c->dw);
}
