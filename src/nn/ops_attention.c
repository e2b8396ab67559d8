// ATTENTION [Vaswani et al. 2017], among the d nodes of a state, without mask. Per head, with t =
// 1/sqrt(key) and rows q_i, k_j, v_j of its columns:
//   p_ij = softmax_j(t q_i . k_j)        y_i = sum_j p_ij v_j
//   dv_j = sum_i p_ij dy_i               ds_ij = p_ij (dy_i . v_j - dy_i . y_i)
//   dq_i = t sum_j ds_ij k_j             dk_j = t sum_i ds_ij q_i
// p is computed again in the backward pass.
//
// PAIRS: y_ij = x_i . x2_j / T, T = softplus(theta) = log(1 + exp(theta)); then x3.
//   dx_i = sum_j dy_ij x2_j / T          dx2_j = sum_i dy_ij x_i / T
//   dtheta = -sigmoid(theta) / T sum_ij dy_ij y_ij
#include <math.h>
#include <string.h>

#include "base/simd.h"
#include "nn/ops.h"

enum { LANES = 16, MOST = FLV_NET_MAX_NODES };

static inline float dot(int n, const float *a, const float *b) {
  float lane[LANES] = {0}, sum = 0.0f;
  int j = 0;
  for (; j + LANES <= n; j += LANES)
    for (int k = 0; k < LANES; k++) lane[k] += a[j + k] * b[j + k];
  for (int k = 0; j < n; j++, k++) lane[k] += a[j] * b[j];
  for (int k = 0; k < LANES; k++) sum += lane[k];
  return sum;
}

// y += a x
static inline void axpy(int n, float a, const float *restrict x, float *restrict y) {
  for (int j = 0; j < n; j++) y[j] += a * x[j];
}

// p_i. of one head, at one node.
static inline void weights_of(int d, int width, int key, const float *q, const float *k, float *p) {
  const float t = 1.0f / sqrtf((float)key);
  float top = -HUGE_VALF, sum = 0.0f;
  for (int j = 0; j < d; j++) {
    p[j] = t * dot(key, q, k + j * width);
    if (p[j] > top) top = p[j];
  }
  for (int j = 0; j < d; j++) sum += p[j] = expf(p[j] - top);
  for (int j = 0; j < d; j++) p[j] /= sum;
}

FLV_SIMD static void attend(int states, int d, int width, int heads, const float *q, const float *k,
                            const float *v, float *restrict y) {
  const int key = width / heads, all = d * width;
  float p[MOST];
  for (int s = 0; s < states; s++, q += all, k += all, v += all, y += all)
    for (int h = 0; h < heads; h++)
      for (int i = 0; i < d; i++) {
        float *out = y + i * width + h * key;
        weights_of(d, width, key, q + i * width + h * key, k + h * key, p);
        memset(out, 0, (size_t)key * sizeof *out);
        for (int j = 0; j < d; j++) axpy(key, p[j], v + j * width + h * key, out);
      }
}

typedef struct attention {
  int d, width, key;
  const float *q, *k, *v, *y, *dy; // of one state and head
  float *dq, *dk, *dv;
} attention;

static inline void attend_back_head(const attention *a) {
  const float t = 1.0f / sqrtf((float)a->key);
  const int d = a->d, width = a->width, key = a->key;
  float p[MOST];
  for (int i = 0; i < d; i++) {
    const float *q = a->q + i * width, *dy = a->dy + i * width;
    weights_of(d, width, key, q, a->k, p);
    const float mean = dot(key, dy, a->y + i * width);
    for (int j = 0; j < d; j++) {
      const int at = j * width;
      const float ds = t * p[j] * (dot(key, dy, a->v + at) - mean);
      axpy(key, p[j], dy, a->dv + at);
      axpy(key, ds, a->k + at, a->dq + i * width);
      axpy(key, ds, q, a->dk + at);
    }
  }
}

FLV_SIMD static void attend_back(int states, int d, int heads, const flv_call *c) {
  const int width = c->n, key = width / heads;
  for (int s = 0; s < states; s++)
    for (int h = 0; h < heads; h++) {
      const size_t at = (size_t)s * (size_t)d * (size_t)width + (size_t)(h * key);
      const attention a = {d,
                           width,
                           key,
                           c->arg[0].x + at,
                           c->arg[1].x + at,
                           c->arg[2].x + at,
                           c->y + at,
                           c->dy + at,
                           c->arg[0].dx + at,
                           c->arg[1].dx + at,
                           c->arg[2].dx + at};
      attend_back_head(&a);
    }
}

void flv_attention_forward(const flv_call *c) {
  attend(c->states, c->n_nodes, c->n, c->heads, c->arg[0].x, c->arg[1].x, c->arg[2].x, c->y);
}

static void clear_unless_added(const flv_arg *a) {
  if (a->dx && !a->add_dx) memset(a->dx, 0, (size_t)a->rows * (size_t)a->in * sizeof *a->dx);
}

void flv_attention_backward(const flv_call *c) {
  for (int k = 0; k < 3; k++) clear_unless_added(&c->arg[k]);
  attend_back(c->states, c->n_nodes, c->heads, c);
}

// ---- pairs ----

static float softplus(float x) { return x > 20.0f ? x : log1pf(expf(x)); }

FLV_SIMD static void pairs_rows(int states, int d, int in, int n, float scale, const float *x,
                                const float *x2, const float *x3, float *restrict y) {
  for (int s = 0; s < states; s++, x += d * in, x2 += d * in, y += n) {
    for (int i = 0; i < d; i++)
      for (int j = 0; j < d; j++) y[i * d + j] = scale * dot(in, x + i * in, x2 + j * in);
    if (x3) y[d * d] = x3[s];
  }
}

// Returns sum dy y over pairs.
FLV_SIMD static void pairs_rows_back(const flv_call *c, float scale, double *sum) {
  const int d = c->n_nodes, in = c->arg[0].in;
  const size_t all = (size_t)d * (size_t)in;
  for (size_t s = 0; s < (size_t)c->states; s++) {
    const float *x = c->arg[0].x + s * all, *x2 = c->arg[1].x + s * all;
    float *dx = c->arg[0].dx + s * all, *dx2 = c->arg[1].dx + s * all;
    const float *y = c->y + s * (size_t)c->n, *dy = c->dy + s * (size_t)c->n;
    for (int i = 0; i < d; i++)
      for (int j = 0; j < d; j++) {
        const float g = scale * dy[i * d + j];
        axpy(in, g, x2 + j * in, dx + i * in);
        axpy(in, g, x + i * in, dx2 + j * in);
        *sum += (double)dy[i * d + j] * (double)y[i * d + j];
      }
  }
}

void flv_pairs_forward(const flv_call *c) {
  const float *last = c->n_args > 2 ? c->arg[2].x : NULL;
  pairs_rows(c->states, c->n_nodes, c->arg[0].in, c->n, 1.0f / softplus(*c->w), c->arg[0].x,
             c->arg[1].x, last, c->y);
}

void flv_pairs_backward(const flv_call *c) {
  const float theta = *c->w, temperature = softplus(theta);
  double sum = 0.0;
  for (int k = 0; k < c->n_args; k++) clear_unless_added(&c->arg[k]);
  pairs_rows_back(c, 1.0f / temperature, &sum);
  for (int s = 0; c->n_args > 2 && s < c->states; s++)
    c->arg[2].dx[s] += c->dy[s * c->n + c->n - 1];
  *c->dw += (float)(-sum / ((1.0 + exp(-(double)theta)) * (double)temperature));
}
