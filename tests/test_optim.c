// Optimisers against naive twins in double over 50 updates; schedules against values worked out by
// hand.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_values.h"
#include "base/memory.h"
#include "base/rng.h"
#include "nn/optim.h"

static const flv_component *find(const flv_component *const *list, const char *name) {
  for (; *list; list++)
    if (strcmp((*list)->name, name) == 0) return *list;
  fail_msg("no component '%s'", name);
  return NULL;
}

static const flv_param *param(const flv_component *c, const char *name) {
  for (int i = 0; i < c->n_params; i++)
    if (strcmp(c->params[i].name, name) == 0) return &c->params[i];
  fail_msg("%s has no key '%s'", c->name, name);
  return NULL;
}

static void set(const flv_component *c, void *cfg, const char *name, double value) {
  const flv_param *p = param(c, name);
  char *at = (char *)cfg + p->offset;
  if (p->kind == FLV_REAL)
    memcpy(at, &value, sizeof value);
  else if (p->kind == FLV_LONG)
    memcpy(at, &(int64_t){(int64_t)value}, sizeof(int64_t));
  else if (p->kind == FLV_BOOL)
    memcpy(at, &(bool){value > 0.0}, sizeof(bool));
  else
    fail_msg("%s is no number", name);
}

static double get(const flv_component *c, const void *cfg, const char *name) {
  double value;
  memcpy(&value, (const char *)cfg + param(c, name)->offset, sizeof value);
  return value;
}

// A component's struct with its numbers at their defaults.
static void *defaults(const flv_component *c) {
  void *cfg = calloc(1, c->size);
  assert_non_null(cfg);
  for (int i = 0; i < c->n_params; i++) {
    const flv_param *p = &c->params[i];
    if (p->kind == FLV_REAL || p->kind == FLV_LONG) {
      const double value = strtod(p->def, NULL);
      assert_true(value >= p->lo && value <= p->hi);
      set(c, cfg, p->name, value);
    }
    if (p->kind == FLV_BOOL) set(c, cfg, p->name, strcmp(p->def, "true") == 0);
    if (p->kind == FLV_TEXT) strcpy((char *)cfg + p->offset, p->def);
  }
  return cfg;
}

// ---- optimisers ----

static double uniform(uint32_t item, uint32_t step) {
  return 2.0 * flv_rng_uniform((flv_rng){9, FLV_RNG_TEST, 0}, item, step) - 1.0;
}

static flv_net *three_groups(void) { // the first tensor is longer than one task of the update
  flv_net *net = flv_net_new();
  assert_non_null(net);
  const int x = flv_net_input(net, 0, 130);
  flv_net_layer(net, x, 131, FLV_ACT_RELU, FLV_GROUP_PF, "p_f");
  flv_net_layer(net, x, 3, FLV_ACT_RELU, FLV_GROUP_PB, "p_b");
  flv_net_layer(net, x, 5, FLV_ACT_RELU, FLV_GROUP_LOG_F, "log_f");
  assert_false(net->failed);
  return net;
}

typedef struct run {
  flv_net *net;
  flv_optim optim;
  float *p, *g;         // what is tested
  double *dp, *dm, *dv; // the twin
  int *group;           // of each float; -1 padding
} run;

static run run_new(const flv_component *c, const void *cfg) {
  run r = {.net = three_groups()};
  assert_int_equal(flv_optim_init(&r.optim, c, cfg, r.net, NULL), FLV_OK);
  const size_t n = r.optim.n;
  assert_int_equal(n, r.net->n_params + 16);
  r.p = calloc(n, sizeof *r.p);
  r.g = calloc(n, sizeof *r.g);
  r.dp = calloc(n, sizeof *r.dp);
  r.dm = calloc(n, sizeof *r.dm);
  r.dv = calloc(n, sizeof *r.dv);
  r.group = calloc(n, sizeof *r.group);
  assert_true(r.p && r.g && r.dp && r.dm && r.dv && r.group);
  for (size_t i = 0; i < n; i++) r.group[i] = -1;
  for (int t = 0; t < r.net->n_weights; t++) {
    const flv_weight *w = &r.net->weight[t];
    for (size_t i = 0; i < (size_t)w->rows * (size_t)w->cols; i++)
      r.group[w->offset + i] = w->group;
  }
  r.group[r.net->n_params] = FLV_GROUP_LOG_Z;
  for (size_t i = 0; i < n; i++)
    if (r.group[i] >= 0) r.dp[i] = (double)(r.p[i] = (float)uniform((uint32_t)i, 1000));
  return r;
}

static void run_free(run *r) {
  flv_optim_free(&r->optim);
  flv_net_free(r->net);
  free(r->p);
  free(r->g);
  free(r->dp);
  free(r->dm);
  free(r->dv);
  free(r->group);
}

static void run_gradient(run *r, int t) {
  for (size_t i = 0; i < r->optim.n; i++)
    if (r->group[i] >= 0) r->g[i] = (float)(uniform((uint32_t)i, (uint32_t)t) + 0.3);
  r->g[r->net->n_params] *= 1e3f; // log Z must not decide what is clipped
}

// What the component does, written the textbook way.
typedef struct twin {
  double lr[FLV_GROUPS]; // by group; 0: frozen
  double beta1, beta2, eps, decay, momentum, clip;
  double momentum_log_z; // log_z: sgd; 0: as the others
  bool sgd;
} twin;

static void twin_step(run *r, const twin *w, int t, double lr_factor) {
  double square = 0.0;
  for (size_t i = 0; i < r->net->n_params; i++) square += (double)r->g[i] * (double)r->g[i];
  const double shrink = w->clip > 0.0 && sqrt(square) > w->clip ? w->clip / sqrt(square) : 1.0;
  for (size_t i = 0; i < r->optim.n; i++) {
    if (r->group[i] < 0) continue;
    const bool log_z = r->group[i] == FLV_GROUP_LOG_Z;
    const double lr = w->lr[r->group[i]] * lr_factor, g = (double)r->g[i] * (log_z ? 1.0 : shrink);
    if (lr <= 0.0) continue;
    const bool own = log_z && w->momentum_log_z > 0.0;
    if (w->sgd || own) {
      r->dm[i] = (own ? w->momentum_log_z : w->momentum) * r->dm[i] + g;
      r->dp[i] -= lr * r->dm[i];
      continue;
    }
    r->dm[i] = w->beta1 * r->dm[i] + (1.0 - w->beta1) * g;
    r->dv[i] = w->beta2 * r->dv[i] + (1.0 - w->beta2) * g * g;
    const double m = r->dm[i] / (1.0 - pow(w->beta1, t)), v = r->dv[i] / (1.0 - pow(w->beta2, t));
    if (!log_z) r->dp[i] -= lr * w->decay * r->dp[i];
    r->dp[i] -= lr * m / (sqrt(v) + w->eps);
  }
}

static void check_updates(const flv_component *c, const void *cfg, const twin *w) {
  run r = run_new(c, cfg);
  assert_true(r.optim.lr_factor >= 1.0 && r.optim.lr_factor <= 1.0);
  for (int t = 1; t <= 50; t++) {
    r.optim.lr_factor = t < 25 ? 1.0 : 0.5;
    run_gradient(&r, t);
    flv_optim_step(&r.optim, r.p, r.g, flv_grad_norm(r.net->n_params, r.g), 2);
    twin_step(&r, w, t, r.optim.lr_factor);
  }
  assert_int_equal(r.optim.step, 50);
  bool moved = false;
  for (size_t i = 0; i < r.optim.n; i++) {
    if (!(fabs((double)r.p[i] - r.dp[i]) <= 2e-5 * (1.0 + fabs(r.dp[i]))))
      fail_msg("%s: parameter %zu of group %d: %g, twin %g", c->name, i, r.group[i], (double)r.p[i],
               r.dp[i]);
    moved |= fabs(r.dp[i] - (double)(float)uniform((uint32_t)i, 1000)) > 1e-3;
  }
  assert_true(moved);
  run_free(&r);
}

static void adam(void **state) {
  (void)state;
  const flv_component *c = find(flv_optim_list, "adam");
  void *cfg = defaults(c);
  twin w = {.lr = {1e-3, 1e-3, 1e-3, 0.1}, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
  check_updates(c, cfg, &w);
  set(c, cfg, "lr_pb", 2e-3);
  set(c, cfg, "lr_log_f", 0.0);
  set(c, cfg, "lr_log_z", 0.02);
  set(c, cfg, "beta1", 0.8);
  set(c, cfg, "beta2", 0.9);
  set(c, cfg, "eps", 0.1);
  const twin w2 = {.lr = {1e-3, 2e-3, 0.0, 0.02}, .beta1 = 0.8, .beta2 = 0.9, .eps = 0.1};
  check_updates(c, cfg, &w2);
  free(cfg);
}

// v = g + 0.8 v, log Z -= 0.1 v beside every rule for the networks.
static void log_z_by_sgd(void **state) {
  (void)state;
  static const char *const names[] = {"adam", "adamw", "sgd"};
  for (int k = 0; k < 3; k++) {
    const flv_component *c = find(flv_optim_list, names[k]);
    void *cfg = defaults(c);
    flv_error err = {0};
    assert_int_equal(flv_param_parse(param(c, "log_z"), "sgd", cfg, &err), FLV_OK);
    twin w = {.lr = {1e-3, 1e-3, 1e-3, 0.1}, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
    w.momentum_log_z = 0.8;
    w.decay = k == 1 ? 0.01 : 0.0;
    w.momentum = 0.9;
    w.sgd = k == 2;
    check_updates(c, cfg, &w);
    set(c, cfg, "momentum_log_z", 0.3);
    set(c, cfg, "lr_log_z", 0.02);
    w.momentum_log_z = 0.3;
    w.lr[FLV_GROUP_LOG_Z] = 0.02;
    check_updates(c, cfg, &w);
    free(cfg);
  }
}

static void adam_frozen_and_clipped(void **state) {
  (void)state;
  const flv_component *c = find(flv_optim_list, "adam");
  void *cfg = defaults(c);
  set(c, cfg, "freeze_pb", 1.0);
  set(c, cfg, "clip_norm", 2.0);
  set(c, cfg, "eps", 0.1); // else Adam would hide the clipping
  const twin w = {
      .lr = {1e-3, 0.0, 1e-3, 0.1}, .beta1 = 0.9, .beta2 = 0.999, .eps = 0.1, .clip = 2.0};
  check_updates(c, cfg, &w);
  free(cfg);
}

static void adamw(void **state) {
  (void)state;
  const flv_component *c = find(flv_optim_list, "adamw");
  void *cfg = defaults(c);
  set(c, cfg, "weight_decay", 3.0);
  const twin w = {
      .lr = {1e-3, 1e-3, 1e-3, 0.1}, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 3.0};
  check_updates(c, cfg, &w);
  free(cfg);
}

static void sgd(void **state) {
  (void)state;
  const flv_component *c = find(flv_optim_list, "sgd");
  void *cfg = defaults(c);
  set(c, cfg, "clip_norm", 5.0);
  const twin w = {.lr = {1e-3, 1e-3, 1e-3, 0.1}, .momentum = 0.9, .clip = 5.0, .sgd = true};
  check_updates(c, cfg, &w);
  free(cfg);
}

// Adam's first step is lr in the direction of -sign(g), whatever the gradient's size.
static void first_step_is_lr(void **state) {
  (void)state;
  const flv_component *c = find(flv_optim_list, "adam");
  void *cfg = defaults(c);
  run r = run_new(c, cfg);
  run_gradient(&r, 1);
  flv_optim_step(&r.optim, r.p, r.g, flv_grad_norm(r.net->n_params, r.g), 1);
  for (size_t i = 0; i < r.optim.n; i++) {
    if (r.group[i] < 0) continue;
    const double lr = r.group[i] == FLV_GROUP_LOG_Z ? 0.1 : 1e-3,
                 before = (double)(float)uniform((uint32_t)i, 1000);
    assert_true(fabs((double)r.p[i] - (before - copysign(lr, (double)r.g[i]))) < 1e-5);
  }
  run_free(&r);
  free(cfg);
}

static void threads_change_no_bit(void **state) {
  (void)state;
  for (int o = 0; flv_optim_list[o]; o++) {
    void *cfg = defaults(flv_optim_list[o]);
    set(flv_optim_list[o], cfg, "clip_norm", 1.0);
    run one = run_new(flv_optim_list[o], cfg);
    for (int threads = 2; threads <= 3; threads++) {
      run many = run_new(flv_optim_list[o], cfg);
      for (int t = 1; t <= 5; t++) {
        run_gradient(&one, t);
        run_gradient(&many, t);
        if (threads == 2)
          flv_optim_step(&one.optim, one.p, one.g, flv_grad_norm(one.net->n_params, one.g), 1);
        flv_optim_step(&many.optim, many.p, many.g, flv_grad_norm(many.net->n_params, many.g),
                       threads);
      }
      assert_memory_equal(one.p, many.p, one.optim.n * sizeof *one.p);
      assert_memory_equal(one.optim.m, many.optim.m, one.optim.n * sizeof *one.p);
      assert_memory_equal(one.optim.v, many.optim.v, one.optim.n * sizeof *one.p);
      run_free(&many);
    }
    run_free(&one);
    free(cfg);
  }
}

static void gradient_norm(void **state) {
  (void)state;
  float x[100];
  for (size_t n = 0; n <= 100; n++) {
    double square = 0.0;
    for (size_t i = 0; i < n; i++) {
      x[i] = (float)uniform((uint32_t)i, 2000);
      square += (double)x[i] * (double)x[i];
    }
    assert_true(fabs(flv_grad_norm(n, x) - sqrt(square)) < 1e-12);
  }
  x[70] = NAN;
  assert_true(isnan(flv_grad_norm(100, x)));
  x[70] = INFINITY;
  assert_true(isinf(flv_grad_norm(100, x)));
}

static void optimiser_out_of_memory(void **state) {
  (void)state;
  const flv_component *c = flv_optim_list[0];
  void *cfg = defaults(c);
  flv_net *net = flv_net_new();
  net->n_params = SIZE_MAX / 16;
  flv_optim optim = {.step = 42};
  flv_error err = {0};
  assert_int_equal(flv_optim_init(&optim, c, cfg, net, &err), FLV_ENOMEM);
  assert_int_equal(err.status, FLV_ENOMEM);
  assert_int_equal(optim.step, 42);
  flv_net_free(net);
  free(cfg);
}

// ---- schedules ----

static void assert_near(double got, double want) {
  if (!(fabs(got - want) < 1e-12)) fail_msg("%.15g, expected %.15g", got, want);
}

static void constant(void **state) {
  (void)state;
  flv_schedule s;
  const flv_component *c = find(flv_schedule_list, "constant");
  assert_ptr_equal(c, flv_schedule_list[0]); // the default
  void *cfg = defaults(c);
  flv_schedule_init(&s, c, cfg);
  flv_schedule_report(&s, 1.0);
  for (int t = 0; t < 10; t++) assert_near(flv_schedule_at(&s, t, 10), 1.0);
  assert_null(flv_schedule_metric(&s));
  free(cfg);
}

static void cosine(void **state) {
  (void)state;
  const flv_component *c = find(flv_schedule_list, "cosine");
  void *cfg = defaults(c);
  set(c, cfg, "end", 0.2);
  flv_schedule s;
  flv_schedule_init(&s, c, cfg);
  assert_near(flv_schedule_at(&s, 0, 120), 1.0);
  assert_near(flv_schedule_at(&s, 40, 120), 0.2 + 0.8 * 0.75); // cos(60 degrees) = 1/2
  assert_near(flv_schedule_at(&s, 60, 120), 0.6);
  assert_near(flv_schedule_at(&s, 80, 120), 0.2 + 0.8 * 0.25);
  assert_near(flv_schedule_at(&s, 120, 120), 0.2);
  assert_near(flv_schedule_at(&s, 500, 120), 0.2);
  assert_near(flv_schedule_at(&s, 60, 120), 0.6); // no memory: a resumed run goes on where it was
  free(cfg);
}

static void multistep(void **state) {
  (void)state;
  const flv_component *c = find(flv_schedule_list, "multistep");
  void *cfg = defaults(c);
  set(c, cfg, "factor", 0.5);
  const flv_reals milestones = {3, {0.25, 0.75, 0.9}};
  memcpy((char *)cfg + param(c, "milestones")->offset, &milestones, sizeof milestones);
  flv_schedule s;
  flv_schedule_init(&s, c, cfg);
  static const struct {
    int at;
    double factor;
  } want[] = {{0, 1},     {24, 1},    {25, 0.5},   {74, 0.5},
              {75, 0.25}, {89, 0.25}, {90, 0.125}, {99, 0.125}};
  for (size_t i = 0; i < sizeof want / sizeof *want; i++)
    assert_near(flv_schedule_at(&s, want[i].at, 100), want[i].factor);
  free(cfg);
}

static void plateau(void **state) {
  (void)state;
  const flv_component *c = find(flv_schedule_list, "plateau");
  void *cfg = defaults(c);
  assert_near(get(c, cfg, "threshold"), 1e-3);
  set(c, cfg, "patience", 10);
  set(c, cfg, "factor", 0.5);
  set(c, cfg, "threshold", 0.1);
  set(c, cfg, "min_factor", 0.2);
  flv_schedule s;
  flv_schedule_init(&s, c, cfg);
  assert_string_equal(flv_schedule_metric(&s), "jsd");
  static const struct {
    int at;
    double metric, factor;
  } want[] = {
      {0, (double)NAN, 1.0},                    // nothing reported
      {30, 1.0, 1.0},                           // the first value is the best, however late
      {35, 0.95, 1.0},                          // not 10 % better, but patience lasts
      {36, 0.89, 1.0},                          // better: counts from here
      {45, 0.85, 1.0},                          // 9 iterations
      {46, 0.85, 0.5},                          // 10
      {50, 0.85, 0.5},                          // counts from the reduction
      {100, (double)NAN, 0.5},                  // no report, no reduction
      {101, 0.1, 0.5},                          // better
      {111, 0.1, 0.25},        {121, 0.1, 0.2}, // the floor
      {131, 0.1, 0.2},
  };
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    flv_schedule_report(&s, want[i].metric);
    assert_near(flv_schedule_at(&s, want[i].at, 1000), want[i].factor);
    assert_near(flv_schedule_at(&s, want[i].at, 1000), want[i].factor); // one report counts once
  }
  free(cfg);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(adam),
      cmocka_unit_test(log_z_by_sgd),
      cmocka_unit_test(adam_frozen_and_clipped),
      cmocka_unit_test(adamw),
      cmocka_unit_test(sgd),
      cmocka_unit_test(first_step_is_lr),
      cmocka_unit_test(threads_change_no_bit),
      cmocka_unit_test(gradient_norm),
      cmocka_unit_test(optimiser_out_of_memory),
      cmocka_unit_test(constant),
      cmocka_unit_test(cosine),
      cmocka_unit_test(multistep),
      cmocka_unit_test(plateau),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
