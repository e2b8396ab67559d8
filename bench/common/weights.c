#include "weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "io/safetensors.h"
#include "reward/mpnn.h"

static void must(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "bench: %s\n", what);
  exit(1);
}

static double draw(int tensor, int entry) {
  return flv_rng_uniform((flv_rng){1, FLV_RNG_TEST, 0}, (uint32_t)tensor, (uint32_t)entry);
}

enum { D = 64, E = 128 };

const char *bench_weights(char path[BENCH_WEIGHTS_PATH]) {
  snprintf(path, BENCH_WEIGHTS_PATH, "/tmp/fluvial_weights_XXXXXX");
  const int fd = mkstemp(path);
  must(fd >= 0, "cannot make a temporary file");
  close(fd);
  static flv_tensor t[] = {{"lin0.weight", FLV_F32, 2, {D, FLV_ATOM_FEATURES}, NULL},
                           {"lin0.bias", FLV_F32, 1, {D}, NULL},
                           {"conv.root", FLV_F32, 2, {D, D}, NULL},
                           {"conv.bias", FLV_F32, 1, {D}, NULL},
                           {"conv.nn.0.weight", FLV_F32, 2, {E, FLV_BOND_FEATURES}, NULL},
                           {"conv.nn.0.bias", FLV_F32, 1, {E}, NULL},
                           {"conv.nn.2.weight", FLV_F32, 2, {D * D, E}, NULL},
                           {"conv.nn.2.bias", FLV_F32, 1, {D * D}, NULL},
                           {"gru.weight_ih_l0", FLV_F32, 2, {3 * D, D}, NULL},
                           {"gru.weight_hh_l0", FLV_F32, 2, {3 * D, D}, NULL},
                           {"gru.bias_ih_l0", FLV_F32, 1, {3 * D}, NULL},
                           {"gru.bias_hh_l0", FLV_F32, 1, {3 * D}, NULL},
                           {"set2set.lstm.weight_ih_l0", FLV_F32, 2, {4 * D, 2 * D}, NULL},
                           {"set2set.lstm.weight_hh_l0", FLV_F32, 2, {4 * D, D}, NULL},
                           {"set2set.lstm.bias_ih_l0", FLV_F32, 1, {4 * D}, NULL},
                           {"set2set.lstm.bias_hh_l0", FLV_F32, 1, {4 * D}, NULL},
                           {"lin3.weight", FLV_F32, 2, {1, 2 * D}, NULL},
                           {"lin3.bias", FLV_F32, 1, {1}, NULL}};
  enum { N = sizeof t / sizeof *t };
  flv_error err = {0};
  for (int i = 0; i < N; i++) {
    const int n = (int)(t[i].dim[0] * (t[i].n_dims > 1 ? t[i].dim[1] : 1));
    float *value = t[i].data = malloc((size_t)n * sizeof *value);
    must(value != NULL, "out of memory");
    for (int k = 0; k < n; k++) value[k] = (float)(draw(i, k) - 0.5) * 0.2f;
  }
  must(flv_safetensors_write(path, N, t, 0, NULL, &err) == FLV_OK, err.text);
  for (int i = 0; i < N; i++) free(t[i].data);
  return path;
}
