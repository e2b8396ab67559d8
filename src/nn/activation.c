#include "nn/activation.h"

#include <math.h>
#include <string.h>

#include "base/simd.h"

// One pair of kernels per row of FLV_ACTS. The comparison in relu lets NaN through.
#define ACT_KERNELS(ID, name, forward, backward)                                                   \
  FLV_SIMD static void act_forward_##name(int rows, int n, const float *restrict b,                \
                                          float *restrict y_rows) {                                \
    for (int r = 0; r < rows; r++, y_rows += n)                                                    \
      for (int j = 0; j < n; j++) {                                                                \
        const float v = y_rows[j] + b[j];                                                          \
        y_rows[j] = forward;                                                                       \
      }                                                                                            \
  }                                                                                                \
  FLV_SIMD static void act_backward_##name(int rows, int n, const float *restrict y_rows,          \
                                           float *restrict dy, float *restrict db) {               \
    for (int r = 0; r < rows; r++, y_rows += n, dy += n)                                           \
      for (int j = 0; j < n; j++) {                                                                \
        const float y = y_rows[j], d = dy[j], dv = backward;                                       \
        (void)y;                                                                                   \
        dy[j] = dv;                                                                                \
        db[j] += dv;                                                                               \
      }                                                                                            \
  }
FLV_ACTS(ACT_KERNELS)
#undef ACT_KERNELS

#define ACT_FORWARD(ID, name, forward, backward)                                                   \
  case FLV_ACT_##ID:                                                                               \
    act_forward_##name(rows, n, b, y);                                                             \
    break;
void flv_act_forward(flv_act act, int rows, int n, const float *b, float *y) {
  switch (act) {
    FLV_ACTS(ACT_FORWARD)
  case FLV_ACT_COUNT:
    break;
  }
}
#undef ACT_FORWARD

#define ACT_BACKWARD(ID, name, forward, backward)                                                  \
  case FLV_ACT_##ID:                                                                               \
    act_backward_##name(rows, n, y, dy, db);                                                       \
    break;
void flv_act_backward(flv_act act, int rows, int n, const float *y, float *dy, float *db,
                      bool add) {
  if (!add) memset(db, 0, (size_t)n * sizeof *db);
  switch (act) {
    FLV_ACTS(ACT_BACKWARD)
  case FLV_ACT_COUNT:
    break;
  }
}
#undef ACT_BACKWARD
