// One tile of rows x 16 columns in registers, compiled for AVX-512 and for AVX2 with FMA; the strip
// of w that it reads stays in the first cache for the next rows.
#include "nn/few_rows.h"

#include <stddef.h>

enum { STRIP = 16, TILE = 6 };

#if defined(__x86_64__) && defined(__GNUC__)

// A kernel for vectors of BYTES bytes: FOR_ROWS rows at a time, the last ones with a tile of their
// own height.
#define FEW_ROWS(NAME, TARGET, BYTES)                                                              \
  typedef float NAME##_vec __attribute__((vector_size(BYTES), aligned(4)));                        \
  __attribute__((target(TARGET), always_inline)) static inline void NAME##_tile(                   \
      int rows, int in, int stride, const float *x, const float *w, float *y) {                    \
    enum { PER_STRIP = STRIP * 4 / BYTES };                                                        \
    NAME##_vec sum[TILE][PER_STRIP] = {{{0}}};                                                     \
    for (int k = 0; k < in; k++, w += stride)                                                      \
      for (int r = 0; r < rows; r++)                                                               \
        for (int v = 0; v < PER_STRIP; v++)                                                        \
          sum[r][v] += x[(size_t)r * (size_t)in + (size_t)k] * ((const NAME##_vec *)w)[v];         \
    for (int r = 0; r < rows; r++)                                                                 \
      for (int v = 0; v < PER_STRIP; v++)                                                          \
        ((NAME##_vec *)(y + (size_t)r * (size_t)stride))[v] = sum[r][v];                           \
  }                                                                                                \
  __attribute__((target(TARGET))) static void NAME(int rows, int in, int stride, const float *x,   \
                                                   const float *w, float *y) {                     \
    for (; rows >= TILE; rows -= TILE, x += TILE * in, y += TILE * stride)                         \
      NAME##_tile(TILE, in, stride, x, w, y);                                                      \
    switch (rows) {                                                                                \
    case 5:                                                                                        \
      NAME##_tile(5, in, stride, x, w, y);                                                         \
      break;                                                                                       \
    case 4:                                                                                        \
      NAME##_tile(4, in, stride, x, w, y);                                                         \
      break;                                                                                       \
    case 3:                                                                                        \
      NAME##_tile(3, in, stride, x, w, y);                                                         \
      break;                                                                                       \
    case 2:                                                                                        \
      NAME##_tile(2, in, stride, x, w, y);                                                         \
      break;                                                                                       \
    case 1:                                                                                        \
      NAME##_tile(1, in, stride, x, w, y);                                                         \
      break;                                                                                       \
    default:                                                                                       \
      break;                                                                                       \
    }                                                                                              \
  }

FEW_ROWS(few_rows_avx512, "avx512f", 64)
FEW_ROWS(few_rows_avx2, "avx2,fma", 32)

typedef void (*kernel)(int rows, int in, int stride, const float *x, const float *w, float *y);

static kernel kernel_here(void) {
  if (__builtin_cpu_supports("avx512f")) return few_rows_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return few_rows_avx2;
  return NULL;
}

bool flv_few_rows(int rows, int in, int n, int stride, const float *x, const float *w, float *y) {
  const kernel run = kernel_here();
  if (!run || rows > FLV_FEW_ROWS || n % STRIP != 0) return false;
  for (int j = 0; j < n; j += STRIP) run(rows, in, stride, x, w + j, y + j);
  return true;
}

#else

bool flv_few_rows(int rows, int in, int n, int stride, const float *x, const float *w, float *y) {
  (void)rows, (void)in, (void)n, (void)stride, (void)x, (void)w, (void)y;
  return false;
}

#endif
