// From measurements to a target: points in a CSV file become a smooth density on a grid, an array
// that `reward: {name: table, path: OUT.npy}` takes.
//
//   density [POINTS.csv OUT.npy [SIDE [MARGIN [BANDWIDTH]]]]
//
// Rows of 1 to 4 columns. Gaussian product kernel with Scott's bandwidths, times BANDWIDTH (1):
//   p(x) = 1/n sum_j prod_d phi((x_d - x_jd) / h_d) / h_d,   h_d = BANDWIDTH sd_d n^(-1/(D+4))
// [Scott 1992, Multivariate Density Estimation, section 6.3], at the centres of SIDE (64) cells per
// column that reach MARGIN (2) bandwidths beyond the outermost points. Without arguments: the
// eruptions of Old Faithful, examples/old_faithful.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fluvial/fluvial.h"

enum { MAX_COLUMNS = 4, MAX_SIDE = 4096, MAX_CELLS = 1 << 26 };

typedef struct axis {
  double low, step, h;     // cell i is centred at low + (i + 1/2) step; h: bandwidth
  double kernel[MAX_SIDE]; // of one point, at each centre
} axis;

static int fail(const char *path, const char *what) {
  fprintf(stderr, "%s: %s\n", path, what);
  return 1;
}

// Mean and spread of one column decide its cells. 0 if it has no spread.
static int lay_out(axis *a, const double *x, int n, int columns, int side, double margin,
                   double factor) {
  double mean = 0.0, square = 0.0, low = x[0], high = x[0];
  for (int j = 0; j < n; j++) mean += x[j * columns] / n;
  for (int j = 0; j < n; j++) {
    square += (x[j * columns] - mean) * (x[j * columns] - mean);
    low = fmin(low, x[j * columns]);
    high = fmax(high, x[j * columns]);
  }
  a->h = factor * sqrt(square / (n - 1)) * pow(n, -1.0 / (columns + 4));
  a->low = low - margin * a->h;
  a->step = (high - low + 2.0 * margin * a->h) / side;
  return a->h > 0.0 && isfinite(a->h) && isfinite(a->step);
}

static void measure(axis *a, double x, int side) {
  for (int i = 0; i < side; i++) {
    const double z = (a->low + (i + 0.5) * a->step - x) / a->h;
    a->kernel[i] = exp(-0.5 * z * z) / (a->h * 2.5066282746310002); // sqrt(2 pi)
  }
}

// Adds weight times the outer product of the kernels, the last axis fastest; returns the end of it.
static double *spread(const axis *a, int axes, int side, double weight, double *out) {
  if (axes == 0) {
    *out += weight;
    return out + 1;
  }
  for (int i = 0; i < side; i++) out = spread(a + 1, axes - 1, side, weight * a->kernel[i], out);
  return out;
}

// Six digits, so that the file is the same whatever the last bits of this machine's exp.
static double six_digits(double x) {
  char text[32];
  snprintf(text, sizeof text, "%.5e", x);
  return strtod(text, NULL);
}

static int write_density(const char *points, const char *out, int n, int columns, const double *x,
                         int side, double margin, double factor) {
  axis axes[MAX_COLUMNS];
  int64_t dim[MAX_COLUMNS];
  size_t cells = 1;
  for (int d = 0; d < columns; d++) {
    if (!lay_out(&axes[d], x + d, n, columns, side, margin, factor))
      return fail(points, "a column has no spread, or a number that is not finite");
    dim[d] = side;
    cells *= (size_t)side;
  }
  double *density = cells <= MAX_CELLS ? calloc(cells, sizeof *density) : NULL;
  if (!density) return fail(out, "too many cells; ask for a smaller side");
  for (int j = 0; j < n; j++) {
    for (int d = 0; d < columns; d++) measure(&axes[d], x[j * columns + d], side);
    spread(axes, columns, side, 1.0 / n, density);
  }
  for (size_t i = 0; i < cells; i++) density[i] = six_digits(density[i]);
  flv_error err = {0};
  const flv_status status = flv_npy_write(out, "<f8", columns, dim, density, &err);
  free(density);
  if (status != FLV_OK) return fail("density", err.text);
  printf("%s: %d points, %d cells a side\n", out, n, side);
  for (int d = 0; d < columns; d++)
    printf("  column %d: cell i is centred at %.6g + %.6g i, bandwidth %.4g\n", d + 1,
           axes[d].low + 0.5 * axes[d].step, axes[d].step, axes[d].h);
  return 0;
}

// Argument k as a number in [low, high]; missing: otherwise. NaN if it is not one.
static double argument(int argc, char **argv, int k, double otherwise, double low, double high) {
  if (k >= argc) return otherwise;
  char *end = NULL;
  const double value = strtod(argv[k], &end);
  return end != argv[k] && !*end && value >= low && value <= high ? value : (double)NAN;
}

int main(int argc, char **argv) {
  const char *points = argc > 2 ? argv[1] : "examples/old_faithful/eruptions.csv";
  const char *out = argc > 2 ? argv[2] : "examples/old_faithful/density.npy";
  const double side = argument(argc, argv, 3, 64, 2, MAX_SIDE);
  const double margin = argument(argc, argv, 4, 2, 0, 100);
  const double factor = argument(argc, argv, 5, 1, 1e-3, 1e3);
  if (argc == 2 || argc > 6 || isnan(side + margin + factor) || floor(side) < side) {
    fprintf(stderr, "usage: density [POINTS.csv OUT.npy [SIDE [MARGIN [BANDWIDTH]]]]\n");
    return 2;
  }
  flv_error err = {0};
  flv_shape shape = {0};
  double *x = NULL;
  if (flv_table_read(points, &shape, &x, &err) != FLV_OK) return fail("density", err.text);
  const int columns = shape.n == 1 ? 1 : shape.side[1];
  int failed = shape.n > 2 || columns > MAX_COLUMNS || shape.side[0] < 2;
  if (failed)
    fail(points, "expected at least 2 rows of 1 to 4 numbers");
  else
    failed = write_density(points, out, shape.side[0], columns, x, (int)side, margin, factor);
  free(x);
  return failed;
}
