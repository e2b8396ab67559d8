// Rows of numbers as kernels: exponentials a vector at a time (base/exp_double.h), sums and maxima
// in 8 lanes, so that their order is the same on every machine. Sums of more than CHUNK terms are
// sums of such sums.
#include "base/logmath.h"

#include <math.h>
#include <string.h>

#include "base/exp_double.h"
#include "base/simd.h"

enum { LANES = 8, CHUNK = 256 };

FLV_INLINE double larger(double a, double b) { return a > b ? a : b; }

// max_i x_i, NaN left out; -INFINITY of none.
FLV_INLINE double top_of(int n, const double *restrict x) {
  double lane[LANES];
  int i = 0;
  for (int k = 0; k < LANES; k++) lane[k] = -HUGE_VAL;
  for (; i + LANES <= n; i += LANES)
    for (int k = 0; k < LANES; k++) lane[k] = larger(x[i + k], lane[k]);
  for (int k = 0; i < n; i++, k++) lane[k] = larger(x[i], lane[k]);
  double top = lane[0];
  for (int k = 1; k < LANES; k++) top = larger(lane[k], top);
  return top;
}

// y_i = exp(x_i - shift); returns their sum.
FLV_INLINE double chunk_exp(int n, const double *restrict x, double shift, double *restrict y) {
  double lane[LANES] = {0};
  int i = 0;
  for (int k = 0; k < n; k++) y[k] = flv_exp_double(x[k] - shift);
  for (; i + LANES <= n; i += LANES)
    for (int k = 0; k < LANES; k++) lane[k] += y[i + k];
  for (int k = 0; i < n; i++, k++) lane[k] += y[i];
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

// What to take from each x before exp: the largest. Where nothing is above log 0 it is 0, and the
// sum is 0, unless it finds a NaN.
FLV_INLINE double shift_of(int n, const double *x) {
  const double top = top_of(n, x);
  return top > -HUGE_VAL ? top : 0.0;
}

FLV_INLINE double row_logsumexp(int n, const double *x) {
  double e[CHUNK], sum = 0.0;
  const double shift = shift_of(n, x);
  if (shift == HUGE_VAL) return shift;
  for (int i = 0; i < n; i += CHUNK)
    sum += chunk_exp(n - i < CHUNK ? n - i : CHUNK, x + i, shift, e);
  return shift + log(sum);
}

FLV_INLINE void row_mask(int n, const float *restrict x, const uint8_t *restrict mask,
                         double *restrict y) {
  for (int i = 0; i < n; i++) {
    const double legal = (double)x[i];
    y[i] = mask[i] ? legal : -HUGE_VAL;
  }
}

FLV_SIMD static double logsumexp_row(int n, const double *x) { return row_logsumexp(n, x); }

FLV_SIMD static void mask_row(int n, const float *x, const uint8_t *mask, double *y) {
  row_mask(n, x, mask, y);
}

FLV_SIMD static double log_softmax_row(int n, const float *restrict x, const uint8_t *restrict mask,
                                       double *restrict log_p) {
  row_mask(n, x, mask, log_p);
  const double norm = row_logsumexp(n, log_p);
  for (int i = 0; i < n; i++) {
    const double legal = log_p[i] - norm;
    log_p[i] = mask[i] ? legal : -HUGE_VAL;
  }
  return norm;
}

FLV_SIMD static double exp_row(int n, const double *restrict x, double *restrict y) {
  double sum = 0.0;
  for (int i = 0; i < n; i += CHUNK)
    sum += chunk_exp(n - i < CHUNK ? n - i : CHUNK, x + i, 0.0, y + i);
  return sum;
}

FLV_SIMD static void softmax_row(int n, const double *x, double *p) {
  double e[CHUNK], sum = 0.0;
  const double shift = shift_of(n, x);
  for (int i = 0; i < n; i += CHUNK) {
    const int m = n - i < CHUNK ? n - i : CHUNK;
    sum += chunk_exp(m, x + i, shift, e);
    memcpy(p + i, e, (size_t)m * sizeof *p);
  }
  const double scale = sum > 0.0 ? 1.0 / sum : sum; // of nothing, nothing; NaN of NaN
  for (int i = 0; i < n; i++) p[i] *= scale;
}

double flv_logsumexp(int n, const double *x) { return logsumexp_row(n, x); }

void flv_mask_logits(int n, const float *x, const uint8_t *mask, double *y) {
  mask_row(n, x, mask, y);
}

double flv_log_softmax(int n, const float *x, const uint8_t *mask, double *log_p) {
  return log_softmax_row(n, x, mask, log_p);
}

double flv_exp_row(int n, const double *x, double *y) { return exp_row(n, x, y); }

void flv_softmax(int n, const double *x, double *p) { softmax_row(n, x, p); }

void flv_log_uniform(int n, const uint8_t *mask, double *log_p) {
  int legal = 0;
  for (int i = 0; i < n; i++) legal += mask[i];
  const double log_each = -log((double)legal);
  for (int i = 0; i < n; i++) log_p[i] = mask[i] ? log_each : -HUGE_VAL;
}

double flv_logaddexp(double a, double b) {
  const double hi = a > b ? a : b, lo = a > b ? b : a;
  return lo == -HUGE_VAL ? hi : hi + log1p(exp(lo - hi));
}
