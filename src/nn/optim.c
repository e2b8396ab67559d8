// Optimisers. With gradient g, learning rate a, and t counting updates from 1:
//
//   adam    m = b1 m + (1 - b1) g    v = b2 v + (1 - b2) g^2                   [Kingma & Ba 2015]
//           p -= a / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps)
//   adamw   p *= 1 - a weight_decay first, then the same                 [Loshchilov & Hutter 2019]
//   sgd     m = momentum m + g       p -= a m
//
// log_z: sgd gives log Z the last rule with a momentum of its own, whatever the networks have. (The
// released code for graphs: Adam, and for log Z sgd with rate 0.1 and momentum 0.8.)
//
// One pass over the block, cut into fixed ranges; every entry is its own, so threads change no bit.
#include "nn/optim.h"

#include <math.h>

#include "base/memory.h"
#include "base/parallel.h"
#include "base/simd.h"

#define RATE_KEYS(X)                                                                               \
  X(REAL, lr, "1e-3", 0, 1e6, "", "learning rate of P_F, and of whatever has none of its own")     \
  X(REAL, lr_pb, "-1", -1, 1e6, "", "learning rate of P_B's own network; negative: as lr")         \
  X(REAL, lr_log_f, "-1", -1, 1e6, "", "learning rate of log F's own network; negative: as lr")    \
  X(REAL, lr_log_z, "0.1", 0, 1e6, "", "learning rate of log Z")                                   \
  X(CHOICE, log_z, "same", 0, 0, "same|sgd", "rule for log Z: this optimiser's, or sgd")           \
  X(REAL, momentum_log_z, "0.8", 0, 0.999999, "", "log_z: sgd; decay of its velocity")             \
  X(BOOL, freeze_pb, "false", 0, 1, "",                                                            \
    "never update P_B: the released code did so when it had no schedule; this reproduces it")      \
  X(REAL, clip_norm, "0", 0, 1e30, "", "largest gradient norm, log Z apart; 0: never clip")
#define MOMENT_KEYS(X)                                                                             \
  X(REAL, beta1, "0.9", 0, 0.999999, "", "decay of the mean gradient")                             \
  X(REAL, beta2, "0.999", 0, 0.9999999, "", "decay of the mean squared gradient")                  \
  X(REAL, eps, "1e-8", 1e-30, 1, "", "added to the root of the mean squared gradient")
#define DECAY_KEYS(X)                                                                              \
  X(REAL, weight_decay, "0.01", 0, 1e3, "",                                                        \
    "decoupled weight decay, per unit of learning rate; not on log Z")
#define MOMENTUM_KEYS(X) X(REAL, momentum, "0.9", 0, 0.999999, "", "decay of the velocity")

// All three share one struct; each lists the keys that it reads.
typedef struct optim_cfg {
  RATE_KEYS(FLV_FIELD)
  MOMENT_KEYS(FLV_FIELD)
  DECAY_KEYS(FLV_FIELD)
  MOMENTUM_KEYS(FLV_FIELD)
} optim_cfg;

enum { LOG_Z_SAME, LOG_Z_SGD };

#define FLV_STRUCT optim_cfg
static const flv_param adam_params[] = {RATE_KEYS(FLV_PARAM) MOMENT_KEYS(FLV_PARAM)};
static const flv_param adamw_params[] = {RATE_KEYS(FLV_PARAM) MOMENT_KEYS(FLV_PARAM)
                                             DECAY_KEYS(FLV_PARAM)};
static const flv_param sgd_params[] = {RATE_KEYS(FLV_PARAM) MOMENTUM_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

#define COMPONENT(name, help)                                                                      \
  static const flv_component name = {                                                              \
      #name, help, name##_params, sizeof name##_params / sizeof *name##_params, sizeof(optim_cfg), \
      NULL};
COMPONENT(adam, "Adam (Kingma & Ba 2015)")
COMPONENT(adamw, "Adam with decoupled weight decay (Loshchilov & Hutter 2019)")
COMPONENT(sgd, "stochastic gradient descent with momentum")
#undef COMPONENT
const flv_component *const flv_optim_list[] = {&adam, &adamw, &sgd, NULL};

flv_status flv_optim_init(flv_optim *optim, const flv_component *component, const void *cfg,
                          const flv_net *net, flv_error *err) {
  flv_optim o = {
      .component = component, .cfg = cfg, .n = net->n_params + 16, .net = net, .lr_factor = 1.0};
  const flv_slot slots[] = {FLV_SLOT(o.m, o.n), FLV_SLOT(o.v, o.n)};
  if (!flv_bind(2, slots))
    return flv_fail(err, FLV_ENOMEM, "out of memory for the optimiser's %zu moments", 2 * o.n);
  *optim = o;
  return FLV_OK;
}

void flv_optim_free(flv_optim *optim) {
  flv_free(optim->m); // where the block begins
  *optim = (flv_optim){0};
}

enum { LANES = 16 };

// Entry i is summed in lane i mod 16, then the lanes in order.
FLV_SIMD static double squares_sum(size_t n, const float *x) {
  double lane[LANES] = {0}, sum = 0.0;
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int k = 0; k < LANES; k++) lane[k] += (double)x[i + (size_t)k] * (double)x[i + (size_t)k];
  for (int k = 0; i < n; i++, k++) lane[k] += (double)x[i] * (double)x[i];
  for (int k = 0; k < LANES; k++) sum += lane[k];
  return sum;
}

double flv_grad_norm(size_t n, const float *grad) { return sqrt(squares_sum(n, grad)); }

typedef struct coefficients { // of one update in one group
  float scale;                // of the gradient: clipping
  float step;                 // learning rate, over 1 - b1^t
  float keep1, take1, keep2, take2;
  float root, eps; // root: 1 / sqrt(1 - b2^t)
  float decay;     // 1 - a weight_decay
} coefficients;

// Moments of weights that get no gradient fade, and would stay denormal, in which arithmetic is
// some twenty times slower; here the root of the second moment is far below any eps.
static inline float settled(float moment) { return fabsf(moment) < 1e-37f ? 0.0f : moment; }

FLV_SIMD static void adam_update(size_t n, const coefficients *coef, const float *restrict g,
                                 float *restrict m, float *restrict v, float *restrict p) {
  const coefficients c = *coef;
  for (size_t i = 0; i < n; i++) {
    const float d = c.scale * g[i];
    m[i] = settled(c.keep1 * m[i] + c.take1 * d);
    v[i] = settled(c.keep2 * v[i] + c.take2 * (d * d));
    p[i] = c.decay * p[i] - c.step * m[i] / (sqrtf(v[i]) * c.root + c.eps);
  }
}

FLV_SIMD static void sgd_update(size_t n, const coefficients *coef, const float *restrict g,
                                float *restrict m, float *restrict p) {
  const coefficients c = *coef;
  for (size_t i = 0; i < n; i++) {
    m[i] = c.keep1 * m[i] + c.scale * g[i];
    p[i] -= c.step * m[i];
  }
}

typedef struct update {
  const flv_optim *optim;
  const float *grad;
  float *params;
  coefficients group[FLV_GROUPS];
  bool frozen[FLV_GROUPS];
} update;

enum { RANGE_FLOATS = 1 << 14 };

static bool by_sgd(const flv_optim *o, int group) {
  const optim_cfg *cfg = o->cfg;
  return o->component == &sgd || (group == FLV_GROUP_LOG_Z && cfg->log_z == LOG_Z_SGD);
}

static void update_span(const update *u, int group, size_t begin, size_t end) {
  if (u->frozen[group] || begin >= end) return;
  const flv_optim *o = u->optim;
  const coefficients *c = &u->group[group];
  if (by_sgd(o, group))
    sgd_update(end - begin, c, u->grad + begin, o->m + begin, u->params + begin);
  else
    adam_update(end - begin, c, u->grad + begin, o->m + begin, o->v + begin, u->params + begin);
}

static void update_range(void *context, int task) {
  const update *u = context;
  const flv_net *net = u->optim->net;
  const size_t begin = (size_t)task * RANGE_FLOATS, end = begin + RANGE_FLOATS;
  for (int i = 0; i < net->n_weights; i++) {
    const flv_weight *w = &net->weight[i];
    const size_t w_end = w->offset + (size_t)w->rows * (size_t)w->cols;
    update_span(u, w->group, w->offset > begin ? w->offset : begin, w_end < end ? w_end : end);
  }
}

static double group_rate(const optim_cfg *cfg, int group) {
  if (group == FLV_GROUP_PB && cfg->freeze_pb) return 0.0;
  if (group == FLV_GROUP_LOG_Z) return cfg->lr_log_z;
  const double own = group == FLV_GROUP_PB      ? cfg->lr_pb
                     : group == FLV_GROUP_LOG_F ? cfg->lr_log_f
                                                : -1.0;
  return own < 0.0 ? cfg->lr : own;
}

static coefficients group_coefficients(const flv_optim *o, int group, double rate, double scale) {
  const optim_cfg *cfg = o->cfg;
  const double t = (double)o->step;
  coefficients c = {.scale = group == FLV_GROUP_LOG_Z ? 1.0f : (float)scale, .decay = 1.0f};
  if (by_sgd(o, group)) {
    const bool own = group == FLV_GROUP_LOG_Z && cfg->log_z == LOG_Z_SGD;
    c.keep1 = (float)(own ? cfg->momentum_log_z : cfg->momentum);
    c.step = (float)rate;
    return c;
  }
  c.keep1 = (float)cfg->beta1;
  c.take1 = (float)(1.0 - cfg->beta1);
  c.keep2 = (float)cfg->beta2;
  c.take2 = (float)(1.0 - cfg->beta2);
  c.step = (float)(rate / (1.0 - pow(cfg->beta1, t)));
  c.root = (float)(1.0 / sqrt(1.0 - pow(cfg->beta2, t)));
  c.eps = (float)cfg->eps;
  if (o->component == &adamw && group != FLV_GROUP_LOG_Z)
    c.decay = (float)(1.0 - rate * cfg->weight_decay);
  return c;
}

void flv_optim_step(flv_optim *optim, float *params, const float *grad, double grad_norm,
                    int threads) {
  const optim_cfg *cfg = optim->cfg;
  const size_t log_z = optim->net->n_params;
  const bool clip = cfg->clip_norm > 0.0 && grad_norm > cfg->clip_norm;
  const double scale = clip ? cfg->clip_norm / grad_norm : 1.0;
  optim->step++;
  update u = {.optim = optim, .grad = grad, .params = params};
  for (int group = 0; group < FLV_GROUPS; group++) {
    const double rate = optim->lr_factor * group_rate(cfg, group);
    u.frozen[group] = !(rate > 0.0);
    u.group[group] = group_coefficients(optim, group, rate, scale);
  }
  flv_parallel(threads, (int)((log_z + RANGE_FLOATS - 1) / RANGE_FLOATS), update_range, &u);
  update_span(&u, FLV_GROUP_LOG_Z, log_z, log_z + 1);
}
