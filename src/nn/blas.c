#include "nn/blas.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "fluvial/blas.h"

// Weak: other CBLAS libraries do not have it.
extern char *openblas_get_corename(void) __attribute__((weak));

enum { M = 61, N = 67, K = 71 };

// Small integers: products and sums are exact in float, so right results are equal, whatever the
// order.
static float entry(int i) { return (float)((i * 7919 + 13) % 17 - 8); }

// a is [M,K] or, transposed, [K,M]; b is [K,N] or [N,K]. Returns whether op(a) op(b) came out
// exactly.
static bool product_right(bool ta, bool tb, const float *a, const float *b, float *c) {
  cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, M, N,
              K, 1.0f, a, ta ? M : K, b, tb ? K : N, 0.0f, c, N);
  for (int i = 0; i < M; i++) {
    for (int j = 0; j < N; j++) {
      float sum = 0.0f;
      for (int k = 0; k < K; k++)
        sum += (ta ? a[k * M + i] : a[i * K + k]) * (tb ? b[j * K + k] : b[k * N + j]);
      if (!(fabsf(c[i * N + j] - sum) < 0.5f)) return false;
    }
  }
  return true;
}

flv_status flv_blas_check(flv_error *err) {
  flv_blas_single();
  float *a = calloc((size_t)(M * K + K * N + M * N), sizeof *a);
  if (!a) return flv_fail(err, FLV_ENOMEM, "out of memory to check the BLAS library");
  float *b = a + M * K, *c = b + K * N;
  for (int i = 0; i < M * K; i++) a[i] = entry(i);
  for (int i = 0; i < K * N; i++) b[i] = entry(i + 5);
  const bool right = product_right(false, false, a, b, c) && product_right(true, false, a, b, c) &&
                     product_right(false, true, a, b, c);
  free(a);
  if (right) return FLV_OK;
  return flv_fail(
      err, FLV_EINVAL,
      "the BLAS library computes wrong matrix products on this processor; try another BLAS, or "
      "set the environment variable OPENBLAS_CORETYPE=Haswell");
}

#if defined(__linux__) && defined(__x86_64__)
// Of OpenBLAS, for processors without AVX2.
static bool generic(const char *core) {
  static const char *const names[] = {"Generic",      "Prescott", "Core2",     "Penryn",
                                      "Dunnington",   "Nehalem",  "Atom",      "Opteron",
                                      "Opteron_SSE3", "Nano",     "Barcelona", "Sandybridge"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcasecmp(core, names[i]) == 0) return true;
  return false;
}

static const char *best_kernels(void) {
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl"))
    return "SkylakeX";
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? "Haswell" : NULL;
}

void flv_blas_restart(char **argv) {
  static const char variable[] = "OPENBLAS_CORETYPE";
  if (!openblas_get_corename || getenv(variable) || !generic(openblas_get_corename())) return;
  const char *kernels = best_kernels();
  if (kernels && setenv(variable, kernels, 0) == 0) execv("/proc/self/exe", argv);
}
#else
void flv_blas_restart(char **argv) { (void)argv; }
#endif
