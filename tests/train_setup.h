// What tests of training share: trainers from settings, and the bits of their state.
#ifndef FLUVIAL_TESTS_TRAIN_SETUP_H
#define FLUVIAL_TESTS_TRAIN_SETUP_H

#include <stdlib.h>
#include <string.h>

#include "fluvial/fluvial.h"

typedef struct setting {
  const char *key, *value;
} setting;

static inline flv_config *configure(int n, const setting *settings) {
  flv_error err = {0};
  flv_config *cfg = flv_config_new(&err);
  assert_non_null(cfg);
  for (int i = 0; i < n; i++)
    if (flv_config_set(cfg, settings[i].key, settings[i].value, &err) != FLV_OK)
      fail_msg("%s", err.text);
  return cfg;
}

static inline flv_trainer *make(int threads, int n, const setting *settings) {
  flv_error err = {0};
  flv_config *cfg = configure(n, settings);
  flv_trainer *t = flv_trainer_new(cfg, NULL, NULL, threads, &err);
  if (!t) fail_msg("%s", err.text);
  flv_config_free(cfg);
  return t;
}
#define SETTINGS(...)                                                                              \
  (int)(sizeof((setting[]){__VA_ARGS__}) / sizeof(setting)), (setting[]) { __VA_ARGS__ }

static inline void step(flv_trainer *t, flv_stats *stats) {
  flv_error err = {0};
  if (flv_trainer_step(t, stats, &err) != FLV_OK) fail_msg("%s", err.text);
}

static inline size_t tensor_bytes(const flv_tensor *tensor) {
  static const size_t size[] = {
      [FLV_F32] = 4, [FLV_F64] = 8, [FLV_I32] = 4, [FLV_I64] = 8, [FLV_U8] = 1};
  size_t n = size[tensor->dtype];
  for (int d = 0; d < tensor->n_dims; d++) n *= (size_t)tensor->dim[d];
  return n;
}

// Fails unless both trainers' states are the same to the last bit.
static inline void assert_same_state(flv_trainer *a, flv_trainer *b) {
  enum { MAX = 192 };
  flv_tensor *x = calloc(MAX, sizeof *x), *y = calloc(MAX, sizeof *y);
  const int n = flv_trainer_tensors(a, x, MAX);
  assert_int_equal(n, flv_trainer_tensors(b, y, MAX));
  assert_true(n <= MAX);
  for (int i = 0; i < n; i++) {
    assert_string_equal(x[i].name, y[i].name);
    if (memcmp(x[i].data, y[i].data, tensor_bytes(&x[i])) != 0)
      fail_msg("tensor %s differs", x[i].name);
  }
  free(x);
  free(y);
}

// Copies what a checkpoint of `from` would hold into t, made with the same settings.
static inline void take_state(flv_trainer *t, flv_trainer *from) {
  enum { MAX = 192 };
  flv_tensor *x = calloc(MAX, sizeof *x), *y = calloc(MAX, sizeof *y);
  const int n = flv_trainer_tensors(from, x, MAX);
  assert_int_equal(flv_trainer_tensors(t, y, MAX), n);
  assert_true(n <= MAX);
  for (int i = 0; i < n; i++) memcpy(y[i].data, x[i].data, tensor_bytes(&x[i]));
  free(x);
  free(y);
}

// make_kind: a trainer of kind k on so many threads. After some steps, 1, 2 and 3 threads have come
// to the same bits.
static inline void assert_threads_do_not_change_bits(flv_trainer *(*make_kind)(int k, int threads),
                                                     int kinds) {
  for (int k = 0; k < kinds; k++) {
    flv_trainer *t[3];
    for (int n = 0; n < 3; n++) t[n] = make_kind(k, n + 1);
    for (int i = 0; i < 12; i++)
      for (int n = 0; n < 3; n++) step(t[n], NULL);
    for (int n = 1; n < 3; n++) assert_same_state(t[0], t[n]);
    for (int n = 0; n < 3; n++) flv_trainer_free(t[n]);
  }
}

// A trainer that takes over what another would save goes on as that one does.
static inline void assert_what_is_saved_is_enough(flv_trainer *(*make_kind)(int k, int threads),
                                                  int kinds) {
  for (int k = 0; k < kinds; k++) {
    flv_trainer *a = make_kind(k, 1), *b = make_kind(k, 1);
    for (int i = 0; i < 7; i++) step(a, NULL);
    take_state(b, a);
    for (int i = 0; i < 7; i++) step(a, NULL), step(b, NULL);
    assert_same_state(a, b);
    flv_trainer_free(a);
    flv_trainer_free(b);
  }
}

#endif
