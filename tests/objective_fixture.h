// What the tests of objectives share: an objective with its options, ragged batches, the naive
// sums.
#ifndef FLUVIAL_TESTS_OBJECTIVE_FIXTURE_H
#define FLUVIAL_TESTS_OBJECTIVE_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_values.h"
#include "base/rng.h"
#include "learn/objective.h"

static inline double uniform(int item, int step) {
  const flv_rng rng = {.seed = 11, .purpose = FLV_RNG_TEST, .iteration = 0};
  return flv_rng_uniform(rng, (uint32_t)item, (uint32_t)step);
}

static inline void near(double a, double b, double tolerance) {
  if (fabs(a - b) <= tolerance * (1.0 + fabs(b))) return;
  print_error("%.17g is not %.17g\n", a, b);
  fail();
}

// ---- a component with its values ----

typedef struct chosen {
  const flv_component *component;
  const flv_objective *objective;
  _Alignas(16) unsigned char cfg[256];
} chosen;

static inline void set(chosen *c, const char *name, const char *text) {
  flv_error err = {0};
  const flv_param *p = flv_param_find(c->component, name);
  if (!p || flv_param_parse(p, text, c->cfg, &err) != FLV_OK)
    fail_msg("%s: %s: %s: %s", c->component->name, name, text, p ? err.text : "no such parameter");
}

static inline void set_real(chosen *c, const char *name, double value) {
  char text[FLV_REAL_TEXT];
  flv_real_format(value, text);
  set(c, name, text);
}

static inline bool has(const chosen *c, const char *name) {
  return flv_param_find(c->component, name) != NULL;
}

// What it is set to: the number of a REAL, the index of a CHOICE.
static inline double number_of(const chosen *c, const char *name) {
  return *(const double *)(const void *)(c->cfg + flv_param_find(c->component, name)->offset);
}
static inline int word_of(const chosen *c, const char *name) {
  return *(const int *)(const void *)(c->cfg + flv_param_find(c->component, name)->offset);
}
static inline bool is_set(const chosen *c, const char *name) {
  return *(const bool *)(const void *)(c->cfg + flv_param_find(c->component, name)->offset);
}

static inline chosen choose(const char *name) {
  chosen c = {0};
  for (int i = 0; flv_objective_list[i]; i++)
    if (strcmp(flv_objective_list[i]->name, name) == 0) c.component = flv_objective_list[i];
  assert_non_null(c.component);
  assert_true(c.component->size <= sizeof c.cfg);
  c.objective = c.component->impl;
  assert_int_equal(flv_params_default(c.component, c.cfg, NULL), FLV_OK);
  return c;
}

static inline chosen choose_with(const char *name, const char *weights, const char *baseline) {
  chosen c = choose(name);
  set(&c, "weights", weights);
  if (has(&c, "baseline")) set(&c, "baseline", baseline);
  return c;
}

// ---- batches ----

enum { MAX_N = 24, MAX_P = 128 };

typedef struct inputs { // what an objective reads, all of it writable
  int n;
  int32_t offset[MAX_N + 1];
  double log_pf[MAX_P], log_pb[MAX_P], log_f[MAX_P], exit[MAX_P], r_state[MAX_P];
  double inflow[MAX_P], pf_target[MAX_P], f_target[MAX_P], exit_target[MAX_P];
  double log_r[MAX_N], log_pi[MAX_N], log_z;
  uint8_t open[MAX_N];
  bool exits;
} inputs;

typedef struct outputs {
  double loss, log_pf[MAX_P], log_pb[MAX_P], log_f[MAX_P], exit[MAX_P];
  double inflow[MAX_P], log_z, ess;
} outputs;

static inline outputs evaluate(const chosen *c, const inputs *in) {
  // exactly as much scratch as promised, so that the sanitizer sees one double too many
  double *scratch = malloc(sizeof(double) * (size_t)(6 * in->n + 2 * in->offset[in->n]));
  assert_non_null(scratch);
  outputs out = {0};
  const unsigned needs = flv_objective_needs(c->objective, c->cfg);
  const flv_trajectories t = {
      .n = in->n,
      .offset = in->offset,
      .log_pf = in->log_pf,
      .log_pb = in->log_pb,
      .log_f = needs & (FLV_NEEDS_LOG_F | FLV_NEEDS_FLOWS) ? in->log_f : NULL,
      .log_pf_exit = needs & FLV_NEEDS_EXIT ? in->exit : NULL,
      .log_r_state = needs & FLV_NEEDS_STATE_REWARD ? in->r_state : NULL,
      .log_inflow = needs & FLV_NEEDS_INFLOW ? in->inflow : NULL,
      .log_pf_target = needs & FLV_NEEDS_TARGET ? in->pf_target : NULL,
      .log_f_target = needs & FLV_NEEDS_TARGET ? in->f_target : NULL,
      .log_pf_exit_target = needs & FLV_NEEDS_TARGET ? in->exit_target : NULL,
      .open = in->open,
      .log_r = in->log_r,
      .log_pi = in->log_pi,
      .log_z = in->log_z,
      .exits = in->exits,
      .scratch = scratch};
  flv_cotangents d = {.log_pf = out.log_pf,
                      .log_pb = out.log_pb,
                      .log_f = t.log_f ? out.log_f : NULL,
                      .log_pf_exit = t.log_pf_exit ? out.exit : NULL,
                      .log_inflow = t.log_inflow ? out.inflow : NULL};
  out.loss = c->objective->loss(c->cfg, &t, &d);
  out.log_z = d.log_z;
  out.ess = d.ess;
  free(scratch);
  return out;
}

// Five ragged trajectories, two of them a single position.
static inline inputs random_inputs(bool exits) {
  static const int positions[] = {3, 1, 5, 2, 1};
  inputs in = {.n = 5, .log_z = 0.7, .exits = exits};
  for (int i = 0; i < in.n; i++) in.offset[i + 1] = in.offset[i] + positions[i];
  for (int p = 0; p < in.offset[in.n]; p++) {
    in.log_pf[p] = -2.0 * uniform(p, 0) - 0.1;
    in.log_pb[p] = -2.0 * uniform(p, 1) - 0.1;
    in.log_f[p] = 3.0 * uniform(p, 2) - 1.0;
    in.exit[p] = -3.0 * uniform(p, 3) - 0.1;
    in.r_state[p] = 2.0 * uniform(p, 4) - 1.0;
    in.inflow[p] = 3.0 * uniform(p, 7) - 1.0;
    in.pf_target[p] = -2.0 * uniform(p, 8) - 0.1;
    in.f_target[p] = 3.0 * uniform(p, 9) - 1.0;
    in.exit_target[p] = -3.0 * uniform(p, 10) - 0.1;
  }
  for (int i = 0; i < in.n; i++) {
    in.log_pb[in.offset[i]] = 0.0;
    in.log_r[i] = 2.0 * uniform(i, 5) - 1.0;
    in.log_pi[i] = -3.0 * uniform(i, 6) - 0.5;
    if (!exits) in.log_pf[in.offset[i + 1] - 1] = 0.0;
  }
  return in;
}

static inline double sum_of(const inputs *in, const double *x, int i) {
  double s = 0.0;
  for (int p = in->offset[i]; p < in->offset[i + 1]; p++) s += x[p];
  return s;
}
static inline double log_ratio(const inputs *in, int i) {
  return sum_of(in, in->log_pf, i) - sum_of(in, in->log_pb, i) - in->log_r[i];
}

// ---- the regression losses of balance objectives, with both kinds of their parameters ----

static const struct {
  const char *loss, *alpha, *delta;
} regression[] = {{"squared", "1", "1"}, {"half_squared", "1", "1"}, {"huber", "1", "1"},
                  {"huber", "1", "2.5"}, {"shifted_cosh", "1", "1"}, {"linex", "1", "1"},
                  {"linex", "0.5", "1"}, {"linex", "-0.7", "1"},     {"linex", "0", "1"}};
enum { REGRESSIONS = sizeof regression / sizeof *regression };

static inline chosen with_loss(chosen c, int k) {
  set(&c, "loss", regression[k].loss);
  set(&c, "alpha", regression[k].alpha);
  set(&c, "delta", regression[k].delta);
  return c;
}

// ---- the divergences, and the words of their options ----

// total ((1-f) D(P_F||P_B) + f D(P_B||P_F)), with f its own for P_F and for P_B. The first N_PURE
// are all one or all the other; mixed_kl's f is an option.
static const struct {
  const char *name;
  double forward_pf, forward_pb, total;
} divergence[] = {{"reverse_kl", 0.0, 0.0, 1.0},       {"forward_kl", 1.0, 1.0, 1.0},
                  {"wake_sleep", 1.0, 0.0, 1.0},       {"reverse_wake_sleep", 0.0, 1.0, 1.0},
                  {"symmetric_cycles", 0.5, 0.5, 2.0}, {"mixed_kl", 0.5, 0.5, 1.0}};
static const char *const weights_word[] = {"self_normalised", "plain", "none", "clipped"};
static const char *const baseline_word[] = {"none", "local", "global", "leave_one_out"};
enum { N_PURE = 4, MIXED_KL = 5, N_DIVERGENCES = 6 };
enum { PLAIN = 1, UNCORRECTED = 2, CLIPPED = 3, N_WEIGHTS = 4 };
enum { LOCAL = 1, GLOBAL = 2, LEAVE_ONE_OUT = 3, N_BASELINES = 4 };

// ---- cotangents against finite differences of naive losses ----

// A naive loss: f(in, still) where every quantity with a stopped gradient is read from `still`.
typedef double (*naive)(const chosen *c, const inputs *in, const inputs *still);

static inline double slope(naive f, const chosen *c, const inputs *in, size_t offset) {
  const double h = 1e-3;
  double value[4];
  static const int step[4] = {-2, -1, 1, 2};
  for (int k = 0; k < 4; k++) {
    inputs moved = *in;
    *(double *)(void *)((unsigned char *)&moved + offset) += step[k] * h;
    value[k] = f(c, &moved, in);
  }
  return (value[0] - 8.0 * value[1] + 8.0 * value[2] - value[3]) / (12.0 * h);
}

static inline void check_slopes(naive f, const chosen *c, const inputs *in) {
  const outputs out = evaluate(c, in);
  for (int i = 0; i < in->n; i++) {
    for (int p = in->offset[i]; p < in->offset[i + 1]; p++) {
      const size_t at = (size_t)p * sizeof(double);
      near(out.log_pf[p], slope(f, c, in, offsetof(inputs, log_pf) + at), 1e-9);
      near(out.log_f[p], slope(f, c, in, offsetof(inputs, log_f) + at), 1e-9);
      near(out.exit[p], slope(f, c, in, offsetof(inputs, exit) + at), 1e-9);
      near(out.inflow[p], slope(f, c, in, offsetof(inputs, inflow) + at), 1e-9);
      if (p == in->offset[i])
        assert_true(out.log_pb[p] == 0.0); // no step leads there
      else
        near(out.log_pb[p], slope(f, c, in, offsetof(inputs, log_pb) + at), 1e-9);
    }
  }
  near(out.log_z, slope(f, c, in, offsetof(inputs, log_z)), 1e-9);
}

// What a naive reader of the paper's Table 1, of the released code and of Ionides would write. w:
// weights of E_PF and E_PB; share: the same with sum 1.
typedef struct reading {
  double c[MAX_N], w_pf[MAX_N], w_pb[MAX_N], share_pf[MAX_N], share_pb[MAX_N];
} reading;

static inline reading read_weights(const inputs *in, int weights, bool released, double cap) {
  reading r;
  double v[MAX_N], u[MAX_N], sum_v = 0.0, sum_u = 0.0, sum_e = 0.0, sum_pf = 0.0, sum_pb = 0.0;
  for (int i = 0; i < in->n; i++) {
    r.c[i] = log_ratio(in, i);
    v[i] = weights == UNCORRECTED ? 1.0 : exp(sum_of(in, in->log_pf, i) - in->log_pi[i]);
    u[i] = v[i] * exp(-r.c[i]);
    sum_v += v[i], sum_u += u[i], sum_e += exp(-r.c[i]);
  }
  for (int i = 0; i < in->n; i++) {
    r.w_pf[i] = v[i] / sum_v, r.w_pb[i] = u[i] / sum_u;
    if (weights == PLAIN) r.w_pf[i] = v[i] / in->n, r.w_pb[i] = u[i] / (in->n * exp(in->log_z));
    if (weights == CLIPPED) {
      r.w_pf[i] = fmin(v[i], cap) / in->n;
      r.w_pb[i] = fmin(u[i] / exp(in->log_z), cap) / in->n;
    }
    if (released) r.w_pf[i] = v[i] / in->n, r.w_pb[i] = v[i] * (exp(-r.c[i]) / sum_e) / in->n;
    sum_pf += r.w_pf[i], sum_pb += r.w_pb[i];
  }
  for (int i = 0; i < in->n; i++) {
    r.share_pf[i] = r.w_pf[i] / sum_pf;
    r.share_pb[i] = r.w_pb[i] / sum_pb;
  }
  return r;
}

static inline double inverse_square(int n, const double *share) {
  double squares = 0.0;
  for (int i = 0; i < n; i++) squares += share[i] * share[i];
  return 1.0 / squares;
}

#endif
