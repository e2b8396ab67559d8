// A policy beside the naive network that a test has written for it in double, with the type `naive`
// for its shape and state, before it includes this. The same parameters go to both.
#ifndef FLUVIAL_TESTS_POLICY_BENCH_H
#define FLUVIAL_TESTS_POLICY_BENCH_H

#include "base/memory.h"
#include "base/mix.h"
#include "learn/trainer_impl.h"
#include "train_setup.h"

typedef struct bench {
  flv_trainer *t;
  flv_acts acts;
  double *param; // the naive network's, [n_params]
  naive naive;
} bench;

static flv_trainer *make_rewarded(const flv_reward *reward, int threads, int n,
                                  const setting *settings) {
  flv_error err = {0};
  flv_config *cfg = configure(n, settings);
  flv_trainer *t = flv_trainer_new(cfg, NULL, reward, threads, &err);
  if (!t) fail_msg("%s", err.text);
  flv_config_free(cfg);
  return t;
}

// Takes the trainer. The naive network is left to the caller but for net and param.
static bench bench_over(flv_trainer *t, int rows) {
  bench b = {.t = t};
  const flv_net *net = t->policy.net;
  assert_int_equal(flv_acts_init(&b.acts, net, rows, true, false), FLV_OK);
  b.param = flv_alloc(net->n_params * sizeof *b.param);
  assert_non_null(b.param);
  b.naive.net = net;
  b.naive.param = b.param;
  return b;
}

static void bench_free(bench *b) {
  flv_acts_free(&b->acts);
  flv_free(b->param);
  flv_trainer_free(b->t);
}

static void copy_params(bench *b) {
  for (size_t i = 0; i < b->naive.net->n_params; i++) b->param[i] = (double)b->t->policy.params[i];
}

// Entry k of tensor i where logits are golden, in [-1, 1): splitmix64(i 2^32 + k) made uniform.
static double golden_entry(int i, int k) {
  return 2.0 * ((double)(flv_mix(((uint64_t)i << 32) + (uint64_t)k) >> 11) * 0x1p-53) - 1.0;
}

// Central difference of a function of the naive network by parameter `at`.
static double slope_at(bench *b, size_t at, double (*f)(bench *b, const void *context),
                       const void *context) {
  const double h = 1e-6, keep = b->param[at];
  b->param[at] = keep + h;
  const double up = f(b, context);
  b->param[at] = keep - h;
  const double slope = (up - f(b, context)) / (2.0 * h);
  b->param[at] = keep;
  return slope;
}

#endif
