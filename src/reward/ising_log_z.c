// Transfer matrix. [Kramers & Wannier 1941; e.g. Baxter 1982, "Exactly solved models", section 7.2]
//
// With rows of L spins as the 2^L values of r, and
//   T(r, q) = exp(k sum_i r_i r_(i+1)) prod_i exp(k r_i q_i),
// Z = trace T^L. A column of T^L is L products with a vector; the product over i takes them site by
// site, 2 x 2 at a time, so a row costs L 2^L operations and not 4^L. Rotating, mirroring and
// turning over all spins of a row leave T as it is, so of rows that these lead to each other only
// the smallest begins a column, and counts as often as there are of them.
//
// Scale: exp(|k|) is taken out of every bond, so factors are 1 and exp(-2|k|), and the vector is
// divided by its largest entry after each row. Whatever came before, entries of T v differ by at
// most exp(4 L |k|), because rows of T do: nothing that counts is lost while that is a double.
#include "reward/ising_log_z.h"

#include <math.h>
#include <stdbool.h>

#include "base/logmath.h"

enum { ROWS = 1 << FLV_ISING_LOG_Z_SIDE };
static const double widest = 150.0; // side * |k|

static unsigned rotate(unsigned row, int side) { return row >> 1 | (row & 1) << (side - 1); }

static unsigned mirror(unsigned row, int side) {
  unsigned out = 0;
  for (int i = 0; i < side; i++) out |= (row >> i & 1) << (side - 1 - i);
  return out;
}

// How many rows there are like this one; 0 unless it is the smallest of them.
static int count_alike(unsigned row, int side) {
  const unsigned all = (1u << side) - 1;
  int same = 0;
  for (int form = 0; form < 4; form++) {
    unsigned r = form & 1 ? mirror(row, side) : row;
    if (form & 2) r ^= all;
    for (int turn = 0; turn < side; turn++, r = rotate(r, side)) {
      if (r < row) return 0;
      same += r == row;
    }
  }
  return same > 0 ? 4 * side / same : 0; // orbit and stabiliser; same counts the row itself
}

// exp(k sum_i r_i r_(i+1) - side |k|) of every row
static void fill_along(int side, double k, double *along) {
  for (unsigned r = 0; r < 1u << side; r++) {
    int sum = side;
    for (unsigned unlike = r ^ rotate(r, side); unlike; unlike &= unlike - 1) sum -= 2;
    along[r] = exp(k * sum - fabs(k) * side);
  }
}

// v := T v, up to a factor, of which the logarithm is returned.
static double apply(int side, double like, double unlike, const double *along, double *v) {
  const unsigned n = 1u << side;
  double top = 0.0;
  for (unsigned bit = 1; bit < n; bit *= 2)
    for (unsigned r = 0; r < n; r++) {
      if (r & bit) continue;
      const double down = v[r], up = v[r | bit];
      v[r] = like * down + unlike * up;
      v[r | bit] = unlike * down + like * up;
    }
  for (unsigned r = 0; r < n; r++) top = fmax(top, v[r] *= along[r]);
  for (unsigned r = 0; r < n; r++) v[r] /= top;
  return log(top);
}

double flv_ising_log_z(int side, double k) {
  if (side < 2 || side > FLV_ISING_LOG_Z_SIDE || !(side * fabs(k) <= widest)) return (double)NAN;
  double along[ROWS], v[ROWS], total = -HUGE_VAL;
  const double like = exp(k - fabs(k)), unlike = exp(-k - fabs(k));
  fill_along(side, k, along);
  for (unsigned begin = 0; begin < 1u << side; begin++) {
    const int alike = count_alike(begin, side);
    if (alike == 0) continue;
    for (unsigned r = 0; r < 1u << side; r++) v[r] = r == begin;
    double scale = 0.0;
    for (int row = 0; row < side; row++) scale += apply(side, like, unlike, along, v);
    total = flv_logaddexp(total, scale + log(alike * v[begin]));
  }
  return total + 2.0 * side * side * fabs(k);
}
