// One tile of rows x two vectors of columns in registers (eight sums, which is what the latency of
// a fused multiply-add takes), for AVX-512, for AVX2 with FMA and for NEON.
#include "nn/small_products.h"

#include <stddef.h>
#include <string.h>

// Rows of a tile; floats of the narrowest strip; rows, with whose sums all of w is read once; terms
// of a sum while whose rows of w stay in cache.
enum { TILE = 4, UNIT = 16, BLOCK = 32, TERMS = 256 };

#if defined(__GNUC__) && (defined(__x86_64__) || defined(__aarch64__))

#define INLINE __attribute__((always_inline)) static inline

typedef void (*kernel)(int rows, int in, int n, bool add, const float *x, const float *w, float *y);
typedef void (*across_kernel)(int rows, int in, int n, size_t stride, bool add, const float *x,
                              const float *w, float *y);
typedef struct kernels {
  bool any_rows;        // faster than BLAS for any number of rows
  kernel narrow, wide;  // n < UNIT, n >= UNIT
  across_kernel across; // n >= UNIT; x is [in, stride], of which rows columns are read
} kernels;

typedef struct job { // y[rows, n] (+)= sum_k x[r x_row + k x_k] w[k, n], k < in
  int in;
  size_t n, x_row, x_k;
  bool add;
} job;

// Kernels for vectors of BYTES bytes, in strips of WIDE of them and tiles of TALL rows, or fewer.
// What is left is done in strips of UNIT floats, the last of which ends at n and may overlap the
// one before, of which it adds to none. Where n < UNIT, lanes from n on hold what follows in w and
// are dropped; the last rows of w, which nothing follows, are read from a copy.
#define FEW_ROWS(NAME, TARGET, BYTES, WIDE, TALL)                                                  \
  typedef float NAME##_vec __attribute__((vector_size(BYTES), aligned(4)));                        \
  enum { NAME##_unit = UNIT * 4 / BYTES, NAME##_high = TILE * WIDE / NAME##_unit };                \
  TARGET INLINE void NAME##_add(int rows, int vectors, int n_k, size_t x_row, size_t x_k,          \
                                const float *x, const float *w, size_t stride, NAME##_vec *sum) {  \
    for (int k = 0; k < n_k; k++, w += stride)                                                     \
      for (int r = 0; r < rows; r++)                                                               \
        for (int v = 0; v < vectors; v++)                                                          \
          sum[r * vectors + v] +=                                                                  \
              x[(size_t)r * x_row + (size_t)k * x_k] * ((const NAME##_vec *)w)[v];                 \
  }                                                                                                \
  TARGET INLINE void NAME##_tile(int rows, int vectors, int skip, const job *a, const float *x,    \
                                 const float *w, float *y) {                                       \
    NAME##_vec sum[TALL * WIDE] = {{0}};                                                           \
    NAME##_add(rows, vectors, a->in, a->x_row, a->x_k, x, w, a->n, sum);                           \
    for (int r = 0; r < rows; r++, y += a->n) {                                                    \
      if (skip > 0) {                                                                              \
        const float *from = (const float *)(sum + r * vectors);                                    \
        for (int l = skip; l < UNIT; l++) y[l] = (a->add ? y[l] : 0.0f) + from[l];                 \
        continue;                                                                                  \
      }                                                                                            \
      for (int v = 0; v < vectors; v++) {                                                          \
        NAME##_vec *out = (NAME##_vec *)y + v;                                                     \
        *out = a->add ? *out + sum[r * vectors + v] : sum[r * vectors + v];                        \
      }                                                                                            \
    }                                                                                              \
  }                                                                                                \
  TARGET INLINE void NAME##_strip(int rows, int vectors, int skip, const job *a, const float *x,   \
                                  const float *w, float *y) {                                      \
    for (; rows >= TALL; rows -= TALL, x += TALL * a->x_row, y += TALL * a->n)                     \
      NAME##_tile(TALL, vectors, skip, a, x, w, y);                                                \
    for (; rows >= TILE; rows -= TILE, x += TILE * a->x_row, y += TILE * a->n)                     \
      NAME##_tile(TILE, vectors, skip, a, x, w, y);                                                \
    if (rows == 3)                                                                                 \
      NAME##_tile(3, vectors, skip, a, x, w, y);                                                   \
    else if (rows == 2)                                                                            \
      NAME##_tile(2, vectors, skip, a, x, w, y);                                                   \
    else if (rows == 1)                                                                            \
      NAME##_tile(1, vectors, skip, a, x, w, y);                                                   \
  }                                                                                                \
  TARGET INLINE void NAME##_narrow_tile(int rows, int in, int n, int tail, bool add,               \
                                        const float *x, const float *w, const float *last,         \
                                        float *y) {                                                \
    NAME##_vec sum[TILE * WIDE] = {{0}};                                                           \
    NAME##_add(rows, NAME##_unit, in - tail, (size_t)in, 1, x, w, (size_t)n, sum);                 \
    NAME##_add(rows, NAME##_unit, tail, (size_t)in, 1, x + (in - tail), last, UNIT, sum);          \
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
  TARGET INLINE void NAME##_strips(int rows, const job *a, const float *x, const float *w,         \
                                   float *y) {                                                     \
    enum { STRIP = WIDE * BYTES / 4 };                                                             \
    const size_t n = a->n, left = n % UNIT;                                                        \
    size_t j = 0;                                                                                  \
    for (; j + STRIP <= n; j += STRIP) NAME##_strip(rows, WIDE, 0, a, x, w + j, y + j);            \
    for (; j + UNIT <= n; j += UNIT) NAME##_strip(rows, NAME##_unit, 0, a, x, w + j, y + j);       \
    if (left == 0) return;                                                                         \
    j = n - UNIT;                                                                                  \
    NAME##_strip(rows, NAME##_unit, UNIT - (int)left, a, x, w + j, y + j);                         \
  }                                                                                                \
  TARGET INLINE void NAME##_blocks(int rows, const job *a, const float *x, const float *w,         \
                                   float *y) {                                                     \
    for (; rows > 0; rows -= BLOCK, x += BLOCK * a->x_row, y += BLOCK * a->n)                      \
      NAME##_strips(rows < BLOCK ? rows : BLOCK, a, x, w, y);                                      \
  }                                                                                                \
  TARGET static void NAME##_wide(int rows, int in, int n, bool add, const float *x,                \
                                 const float *w, float *y) {                                       \
    const job a = {in, (size_t)n, (size_t)in, 1, add};                                             \
    NAME##_blocks(rows, &a, x, w, y);                                                              \
  }                                                                                                \
  TARGET static void NAME##_across(int rows, int in, int n, size_t stride, bool add,               \
                                   const float *x, const float *w, float *y) {                     \
    const job a = {in, (size_t)n, 1, stride, add};                                                 \
    NAME##_blocks(rows, &a, x, w, y);                                                              \
  }                                                                                                \
  static const kernels NAME = {TALL > TILE, NAME##_narrow, NAME##_wide, NAME##_across};

#ifdef __x86_64__
FEW_ROWS(few_rows_avx512, __attribute__((target("avx512f"))), 64, 2, 8)
FEW_ROWS(few_rows_avx2, __attribute__((target("avx2,fma"))), 32, 2, 4)

static const kernels *kernels_here(void) {
  if (__builtin_cpu_supports("avx512f")) return &few_rows_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &few_rows_avx2;
  return NULL;
}
#else
FEW_ROWS(few_rows_neon, , 16, 4, 4)

static const kernels *kernels_here(void) { return &few_rows_neon; }
#endif

// Of more weights, rows far apart miss the cache, and BLAS's copies pay.
static bool fits(int in, int n) {
  return in <= FLV_SMALL_TERMS && (size_t)in * (size_t)n <= FLV_SMALL_WEIGHTS;
}

bool flv_small_product(int rows, int in, int n, bool add, const float *x, const float *w,
                       float *y) {
  const kernels *k = kernels_here();
  if (!k || (n >= UNIT && rows > FLV_FEW_ROWS && !(k->any_rows && fits(in, n)))) return false;
  (n < UNIT ? k->narrow : k->wide)(rows, in, n, add, x, w, y);
  return true;
}

bool flv_small_gradient(int rows, int in, int n, bool add, const float *x, const float *dy,
                        float *dw) {
  const kernels *k = kernels_here();
  if (!k || !k->any_rows || n < UNIT || !fits(in, n)) return false;
  for (int r = 0; r < rows; r += TERMS) {
    const int terms = rows - r < TERMS ? rows - r : TERMS;
    k->across(in, terms, n, (size_t)in, add || r > 0, x + (size_t)r * (size_t)in,
              dy + (size_t)r * (size_t)n, dw);
  }
  return true;
}

#else

bool flv_small_product(int rows, int in, int n, bool add, const float *x, const float *w,
                       float *y) {
  (void)rows, (void)in, (void)n, (void)add, (void)x, (void)w, (void)y;
  return false;
}

bool flv_small_gradient(int rows, int in, int n, bool add, const float *x, const float *dy,
                        float *dw) {
  (void)rows, (void)in, (void)n, (void)add, (void)x, (void)dy, (void)dw;
  return false;
}

#endif
