// Distances between two distributions over the same states.
#include "metrics/distance.h"

#include <math.h>
#include <string.h>

// Values this close to a threshold are equal to it.
static const double flat = 1.0 - 1e-9;

// p log(p/q)
static double relative(double p, double q) { return p == 0.0 ? 0.0 : p * log(p / q); }

double flv_kl(int64_t n, const double *p, const double *q) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += relative(p[i], q[i]);
  return sum;
}

double flv_jsd(int64_t n, const double *p, const double *q) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) {
    // p / ((p+q)/2) is formed as p/(p+q) * 2: (p+q)/2 can round to 0 where p is the smallest
    // double.
    const double both = p[i] + q[i];
    if (p[i] != 0.0) sum += p[i] * log(2.0 * (p[i] / both));
    if (q[i] != 0.0) sum += q[i] * log(2.0 * (q[i] / both));
  }
  sum *= 0.5;
  return sum < 0.0 ? 0.0 : sum; // rounding; NaN passes
}

double flv_tv(int64_t n, const double *p, const double *q) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; i++) sum += fabs(p[i] - q[i]);
  return 0.5 * sum;
}

double flv_l1_mean(int64_t n, const double *p, const double *q) {
  return 2.0 * flv_tv(n, p, q) / (double)n;
}

// Bits of a double that is not negative; they order as the values do. -0.0 counts as 0.
static uint64_t order(double x) {
  uint64_t bits;
  x += 0.0;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

// Radix selection from the top byte down: among the values that agree with `prefix` so far, count
// the next byte, and walk from its largest value until k are passed.
double flv_kth_largest(int64_t n, const double *x, int64_t k) {
  uint64_t prefix = 0;
  for (int shift = 56; shift >= 0; shift -= 8) {
    int64_t count[256] = {0};
    for (int64_t i = 0; i < n; i++) {
      const uint64_t bits = order(x[i]);
      if (shift == 56 || bits >> (shift + 8) == prefix) count[(bits >> shift) & 255]++;
    }
    uint64_t byte = 255;
    while (byte > 0 && k > count[byte]) k -= count[byte--];
    prefix = prefix << 8 | byte;
  }
  double value;
  memcpy(&value, &prefix, sizeof value);
  return value;
}

int64_t flv_modes_found(int64_t n, const double *p, const double *target, int64_t k) {
  if (k < 1) return 0;
  const double edge = flv_kth_largest(n, p, k), in_target = flv_kth_largest(n, target, k) * flat;
  int64_t reach = 0, above = 0, at_edge = 0;
  for (int64_t i = 0; i < n; i++) {
    reach += p[i] >= edge;
    if (target[i] < in_target) continue;
    above += p[i] > edge;
    at_edge += p[i] == edge;
  }
  return reach <= k ? above + at_edge : above;
}

int64_t flv_mode_cells(int64_t n, const double *target) {
  double top = 0.0;
  for (int64_t i = 0; i < n; i++)
    if (target[i] > top) top = target[i];
  int64_t cells = 0;
  for (int64_t i = 0; i < n; i++) cells += target[i] >= top * flat;
  return cells;
}

double flv_modes_covered(int64_t n, const double *p, const double *target) {
  const int64_t cells = flv_mode_cells(n, target);
  return cells ? (double)flv_modes_found(n, p, target, cells) / (double)cells : 0.0;
}
