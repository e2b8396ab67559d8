#include "reward/gaussian.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/lapack.h"

static const double largest = 1e100, smallest = 1e-100;
static const double singular = 1e-9;
static const double same = 1e-12; // 1 - r^2 of columns that are one another's copies, to rounding

// ---- moments ----

static flv_status refuse(const flv_dataset *data, int c, const char *what, flv_error *err) {
  return flv_fail(err, FLV_EINVAL, "column %d ('%s'): expected %s", c + 1, data->name[c], what);
}

static flv_status take_mean(flv_gauss *g, const flv_dataset *data, int c, flv_error *err) {
  const double *x = data->x + (size_t)c * (size_t)g->n;
  double sum = 0.0, most = 0.0, off = 0.0;
  for (int r = 0; r < g->n; r++) most = fmax(most, fabs(x[r]));
  if (most > largest) return refuse(data, c, "numbers of at most 1e100; rescale it", err);
  for (int r = 0; r < g->n; r++) sum += x[r];
  g->mean[c] = sum / g->n;
  for (int r = 0; r < g->n; r++) off = fmax(off, fabs(x[r] - g->mean[c]));
  if (off <= 16.0 * DBL_EPSILON * most)
    return refuse(data, c, "values that differ by more than their rounding: it is nearly constant",
                  err);
  if (off < smallest) return refuse(data, c, "differences of at least 1e-100; rescale it", err);
  return FLV_OK;
}

static void take_scatter(flv_gauss *g, const flv_dataset *data) {
  for (int i = 0; i < g->d; i++)
    for (int k = 0; k <= i; k++) {
      const double *x = data->x + (size_t)i * (size_t)g->n, *y = data->x + (size_t)k * (size_t)g->n;
      double sum = 0.0;
      for (int r = 0; r < g->n; r++) sum += (x[r] - g->mean[i]) * (y[r] - g->mean[k]);
      g->m[i * g->d + k] = g->m[k * g->d + i] = sum;
    }
}

// 1 - r^2 as a product, in which nothing leaves the range of doubles.
static flv_status check_copies(const flv_gauss *g, const flv_dataset *data, flv_error *err) {
  for (int i = 0; i < g->d; i++)
    for (int k = 0; k < i; k++) {
      const double scale = sqrt(g->m[i * g->d + i]) * sqrt(g->m[k * g->d + k]);
      const double r = fabs(g->m[i * g->d + k] / scale);
      if (!((1.0 - r) * (1.0 + r) <= same)) continue;
      return flv_fail(err, FLV_EINVAL,
                      "column %d ('%s'): expected another variable, found column %d ('%s') up to "
                      "scale and shift",
                      i + 1, data->name[i], k + 1, data->name[k]);
    }
  return FLV_OK;
}

static void standardise_all(flv_gauss *g) {
  double scale[FLV_GAUSS_MAX];
  for (int i = 0; i < g->d; i++) scale[i] = sqrt(g->m[i * g->d + i] / g->n);
  for (int i = 0; i < g->d; i++) {
    g->mean[i] = 0.0;
    for (int k = 0; k < g->d; k++)
      g->m[i * g->d + k] = i == k ? g->n : g->m[i * g->d + k] / scale[i] / scale[k];
  }
}

static flv_status fill(flv_gauss *g, const flv_dataset *data, bool standardise, flv_error *err) {
  for (int c = 0; c < g->d; c++) FLV_TRY(take_mean(g, data, c, err));
  take_scatter(g, data);
  FLV_TRY(check_copies(g, data, err));
  if (standardise) standardise_all(g);
  return FLV_OK;
}

flv_status flv_gauss_new(flv_gauss **gauss, const flv_dataset *data, bool standardise,
                         flv_error *err) {
  flv_blas_single();
  const size_t d = (size_t)data->columns;
  flv_gauss *g = calloc(1, sizeof *g + d * d * sizeof *g->m);
  if (!g) return flv_fail(err, FLV_ENOMEM, "out of memory for the moments of %zu columns", d);
  g->n = data->rows;
  g->d = data->columns;
  const flv_status status = fill(g, data, standardise, err);
  if (status == FLV_OK)
    *gauss = g;
  else
    free(g);
  return status;
}

// ---- determinants ----

int flv_gauss_members(uint64_t set, int at[FLV_GAUSS_MAX]) {
  int n = 0;
  for (; set; set &= set - 1) at[n++] = __builtin_ctzll((unsigned long long)set);
  return n;
}

bool flv_gauss_logdets(const flv_gauss *g, int j, uint64_t parents, double *log_det,
                       double *log_rest) {
  flv_gauss_work work;
  int at[FLV_GAUSS_MAX];
  const int l = flv_gauss_members(parents, at), n = l + 1, lda = (n + 7) / 8 * 8;
  at[l] = j;
  for (int k = 0; k < n; k++)
    for (int i = k; i < n; i++) work.a[k * lda + i] = g->m[at[i] * g->d + at[k]];
  if (!flv_cholesky(work.a, n, lda)) return false;
  *log_det = 0.0;
  for (int k = 0; k < l; k++) *log_det += 2.0 * log(work.a[k * lda + k]);
  *log_rest = 2.0 * log(work.a[l * lda + l]);
  return true;
}

flv_status flv_gauss_check(const flv_gauss *g, const flv_dataset *data, flv_error *err) {
  const uint64_t all = g->d == 64 ? UINT64_MAX : (UINT64_C(1) << g->d) - 1;
  for (int j = 0; j < g->d; j++) {
    double log_det = 0.0, log_rest = 0.0;
    const bool definite = isfinite(g->m[j * g->d + j]) &&
                          flv_gauss_logdets(g, j, all & ~(UINT64_C(1) << j), &log_det, &log_rest);
    if (definite && log_rest - log(g->m[j * g->d + j]) >= log(singular)) continue;
    return refuse(data, j,
                  "a variable that the others do not determine to rounding: leave one out, or try "
                  "reward.standardise",
                  err);
  }
  return FLV_OK;
}
