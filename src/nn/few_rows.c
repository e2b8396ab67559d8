// One tile of rows x two vectors of columns in registers (eight sums, which is what the latency of
// a fused multiply-add takes), for AVX-512, for AVX2 with FMA and for NEON.
#include "nn/few_rows.h"

#include <stddef.h>
#include <string.h>

enum { TILE = 4, UNIT = 16 }; // rows of a tile; floats of the narrowest strip

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__aarch64__))

#define INLINE __attribute__((always_inline)) static inline

typedef void (*kernel)(int rows, int in, int n, bool add, const float *x, const float *w, float *y);
typedef struct kernels {
  kernel narrow, wide; // n < UNIT, n >= UNIT
} kernels;

// A kernel for vectors of BYTES bytes, in strips of WIDE of them. What is left is done in strips of
// UNIT floats, the last of which ends at n and may overlap the one before (so not where it adds).
// Where n < UNIT, lanes from n on hold what follows in w and are dropped; the last rows of w, which
// nothing follows, are read from a copy.
#define FEW_ROWS(NAME, TARGET, BYTES, WIDE)                                                        \
  typedef float NAME##_vec __attribute__((vector_size(BYTES), aligned(4)));                        \
  enum { NAME##_unit = UNIT * 4 / BYTES, NAME##_high = TILE * WIDE / NAME##_unit };                \
  TARGET INLINE void NAME##_add(int rows, int vectors, int n_k, int in, const float *x,            \
                                const float *w, size_t stride, NAME##_vec *sum) {                  \
    for (int k = 0; k < n_k; k++, w += stride)                                                     \
      for (int r = 0; r < rows; r++)                                                               \
        for (int v = 0; v < vectors; v++)                                                          \
          sum[r * vectors + v] +=                                                                  \
              x[(size_t)r * (size_t)in + (size_t)k] * ((const NAME##_vec *)w)[v];                  \
  }                                                                                                \
  TARGET INLINE void NAME##_tile(int rows, int vectors, int in, size_t n, bool add,                \
                                 const float *x, const float *w, float *y) {                       \
    NAME##_vec sum[TILE * WIDE] = {{0}};                                                           \
    NAME##_add(rows, vectors, in, in, x, w, n, sum);                                               \
    for (int r = 0; r < rows; r++)                                                                 \
      for (int v = 0; v < vectors; v++) {                                                          \
        NAME##_vec *out = (NAME##_vec *)(y + (size_t)r * n) + v;                                   \
        *out = add ? *out + sum[r * vectors + v] : sum[r * vectors + v];                           \
      }                                                                                            \
  }                                                                                                \
  TARGET INLINE void NAME##_strip(int rows, int vectors, int in, size_t n, bool add,               \
                                  const float *x, const float *w, float *y) {                      \
    for (; rows >= TILE; rows -= TILE, x += TILE * in, y += TILE * n)                              \
      NAME##_tile(TILE, vectors, in, n, add, x, w, y);                                             \
    if (rows == 3)                                                                                 \
      NAME##_tile(3, vectors, in, n, add, x, w, y);                                                \
    else if (rows == 2)                                                                            \
      NAME##_tile(2, vectors, in, n, add, x, w, y);                                                \
    else if (rows == 1)                                                                            \
      NAME##_tile(1, vectors, in, n, add, x, w, y);                                                \
  }                                                                                                \
  TARGET INLINE void NAME##_narrow_tile(int rows, int in, int n, int tail, bool add,               \
                                        const float *x, const float *w, const float *last,         \
                                        float *y) {                                                \
    NAME##_vec sum[TILE * WIDE] = {{0}};                                                           \
    NAME##_add(rows, NAME##_unit, in - tail, in, x, w, (size_t)n, sum);                            \
    NAME##_add(rows, NAME##_unit, tail, in, x + (in - tail), last, UNIT, sum);                     \
    for (int r = 0; r < rows; r++)                                                                 \
      if (add)                                                                                     \
        for (int j = 0; j < n; j++) y[r * n + j] += ((const float *)(sum + r * NAME##_unit))[j];   \
      else                                                                                         \
        memcpy(y + r * n, sum + r * NAME##_unit, (size_t)n * sizeof *y);                           \
  }                                                                                                \
  TARGET static void NAME##_narrow(int rows, int in, int n, bool add, const float *x,              \
                                   const float *w, float *y) {                                     \
    enum { HIGH = NAME##_high };                                                                   \
    float last[UNIT * UNIT] = {0};                                                                 \
    const int overrun = (UNIT - 1) / n, tail = overrun < in ? overrun : in;                        \
    for (int k = 0; k < tail; k++)                                                                 \
      memcpy(last + k * UNIT, w + (size_t)(in - tail + k) * (size_t)n, (size_t)n * sizeof *last);  \
    for (; rows >= HIGH; rows -= HIGH, x += HIGH * in, y += HIGH * n)                              \
      NAME##_narrow_tile(HIGH, in, n, tail, add, x, w, last, y);                                   \
    if (rows >= TILE) {                                                                            \
      NAME##_narrow_tile(TILE, in, n, tail, add, x, w, last, y);                                   \
      rows -= TILE, x += TILE * in, y += TILE * n;                                                 \
    }                                                                                              \
    for (; rows > 0; rows--, x += in, y += n)                                                      \
      NAME##_narrow_tile(1, in, n, tail, add, x, w, last, y);                                      \
  }                                                                                                \
  TARGET static void NAME##_wide(int rows, int in, int n, bool add, const float *x,                \
                                 const float *w, float *y) {                                       \
    enum { STRIP = WIDE * BYTES / 4 };                                                             \
    int j = 0;                                                                                     \
    for (; j + STRIP <= n; j += STRIP)                                                             \
      NAME##_strip(rows, WIDE, in, (size_t)n, add, x, w + j, y + j);                               \
    for (; j < n; j += UNIT) {                                                                     \
      if (j + UNIT > n) j = n - UNIT;                                                              \
      NAME##_strip(rows, NAME##_unit, in, (size_t)n, add, x, w + j, y + j);                        \
    }                                                                                              \
  }                                                                                                \
  static const kernels NAME = {NAME##_narrow, NAME##_wide};

#ifdef __x86_64__
FEW_ROWS(few_rows_avx512, __attribute__((target("avx512f"))), 64, 2)
FEW_ROWS(few_rows_avx2, __attribute__((target("avx2,fma"))), 32, 2)

static const kernels *kernels_here(void) {
  if (__builtin_cpu_supports("avx512f")) return &few_rows_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &few_rows_avx2;
  return NULL;
}
#else
FEW_ROWS(few_rows_neon, , 16, 4)

static const kernels *kernels_here(void) { return &few_rows_neon; }
#endif

bool flv_few_rows(int rows, int in, int n, bool add, const float *x, const float *w, float *y) {
  const kernels *k = kernels_here();
  if (!k || (n >= UNIT && (rows > FLV_FEW_ROWS || (add && n % UNIT != 0)))) return false;
  (n < UNIT ? k->narrow : k->wide)(rows, in, n, add, x, w, y);
  return true;
}

#else

bool flv_few_rows(int rows, int in, int n, bool add, const float *x, const float *w, float *y) {
  (void)rows, (void)in, (void)n, (void)add, (void)x, (void)w, (void)y;
  return false;
}

#endif
