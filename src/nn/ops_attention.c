// ATTENTION [Vaswani et al. 2017], among the d nodes of a state. Per head, with t =
// 1/sqrt(key) and rows q_i, k_j, v_j of its columns:
//   p_ij = softmax_j(t q_i . k_j)        y_i = sum_j p_ij v_j
//   dv_j = sum_i p_ij dy_i               ds_ij = p_ij (a_ij - sum_l p_il a_il), a_ij = dy_i . v_j
//   dq_i = t sum_j ds_ij k_j             dk_j = t sum_i ds_ij q_i
// With a mask, p_ij of masked i is 1/d and constant, of other i and masked j 0.
// p is computed again in the backward pass. Heads are narrow and nodes few, so that neither a
// head's columns nor BLAS fill vectors: lanes are 16 nodes i, whose q_i stand side by side, and k_j
// and v_j are read one number at a time, for all lanes. No sum is across lanes but those of dv and
// dk, whose rows are written anyway.
//
// PAIRS: y_ij = x_i . x2_j / T, T = softplus(theta) = log(1 + exp(theta)); then x3.
//   dx_i = sum_j dy_ij x2_j / T          dx2_j = sum_i dy_ij x_i / T
//   dtheta = -sigmoid(theta) / T sum_ij dy_ij y_ij
#include <math.h>
#include <string.h>

#include "base/simd.h"
#include "nn/ops.h"
#include "nn/vector_exp.h"

enum { LANES = 16, COLUMNS = 8, GROUP = 8, MOST = FLV_NET_MAX_NODES };

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

// The q, k and v of one state and head; y, dy of the same.
typedef struct head {
  int d, key;
  size_t in, out; // between rows of q, k, v, and of y
  const float *q, *k, *v, *dy;
  float *dq, *dk, *dv;
  bool add;          // to dq, dk, dv, instead of overwriting them
  const float *seen; // [d, and up to a multiple of LANES]: 0 of masked nodes, else 1; NULL: no mask
} head;

// Vectors by name: compilers asked to find them in loops over lanes shuffle instead.
typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef float octet __attribute__((vector_size(4 * COLUMNS), aligned(4)));

typedef struct tile { // of nodes i0 .. i0 + m - 1 and all j
  int m;
  lanes qt[FLV_NET_MAX_KEY]; // t q
  lanes dyt[FLV_NET_MAX_KEY];
  lanes p[MOST], ds[MOST];
  lanes seen;
} tile;

// Score of what is masked: e to it is 0, nearly enough.
static const float HIDDEN = -1e9f;

static inline void find_seen(const flv_call *c, size_t state, float *seen) {
  const int32_t *hot = c->hot + state * (size_t)c->n_hot;
  const int start = c->n_nodes - c->n_hot;
  for (int i = 0; i < MOST; i++) {
    const int p = i - start;
    seen[i] = p < 0 || p >= c->n_hot || hot[p] != p * c->symbols;
  }
}

// q, k and v are three operands, or parts of the rows of one.
static inline head head_of(const flv_call *c, size_t state, int number, const float *seen) {
  const int key = c->n / c->heads;
  const size_t d = (size_t)c->n_nodes, width = (size_t)c->n, column = (size_t)(number * key);
  const flv_arg *a = c->arg;
  const size_t in = (size_t)a->in, row = state * d * in + column, out = state * d * width + column;
  const bool one = c->n_args == 1;
  const flv_arg *k = one ? a : a + 1, *v = one ? a : a + 2;
  const size_t k0 = one ? width : 0, v0 = one ? 2 * width : 0;
  head h = {.d = c->n_nodes, .key = key, .in = in, .out = width};
  h.seen = c->symbols > 0 ? seen : NULL;
  h.q = a->x + row;
  h.k = k->x + row + k0;
  h.v = v->x + row + v0;
  if (!c->dy) return h;
  h.dy = c->dy + out;
  h.dq = a->dx + row;
  h.dk = k->dx + row + k0;
  h.dv = v->dx + row + v0;
  h.add = !one || a->add_dx;
  return h;
}

#define TARGET
#define NAME(x) x##_baseline
#include "nn/attention_tile.h"

#if defined(__x86_64__)
// Without vl and fma, products of vectors of 8 are neither fused nor take numbers from memory.
#define TARGET __attribute__((target("avx512f,avx512vl,fma")))
#define NAME(x) x##_avx512
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE __builtin_shufflevector
#endif
#include "nn/attention_tile.h"
#define TARGET __attribute__((target("avx2,fma")))
#define NAME(x) x##_avx2
#include "nn/attention_tile.h"
#endif

typedef struct kernels {
  void (*forward)(const flv_call *c);
  void (*backward)(const flv_call *c);
} kernels;

static kernels kernels_here(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
    return (kernels){attend_avx512, attend_back_avx512};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return (kernels){attend_avx2, attend_back_avx2};
#endif
  return (kernels){attend_baseline, attend_back_baseline};
}

void flv_attention_forward(const flv_call *c) { kernels_here().forward(c); }

static void clear_unless_added(const flv_arg *a) {
  if (a->dx && !a->add_dx) memset(a->dx, 0, (size_t)a->rows * (size_t)a->in * sizeof *a->dx);
}

void flv_attention_backward(const flv_call *c) {
  for (int k = 0; c->n_args > 1 && k < c->n_args; k++) clear_unless_added(&c->arg[k]);
  kernels_here().backward(c);
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
