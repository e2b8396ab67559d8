// What the scores of continuous data share: moments of the columns, and what in them a Gaussian
// score cannot be computed from.
#ifndef FLUVIAL_REWARD_GAUSSIAN_H
#define FLUVIAL_REWARD_GAUSSIAN_H

#include <stdbool.h>
#include <stdint.h>

#include "fluvial/status.h"
#include "io/dataset.h"

enum { FLV_GAUSS_MAX = FLV_DATA_MAX_COLUMNS };

typedef struct flv_gauss {
  int n, d; // rows, columns
  double mean[FLV_GAUSS_MAX];
  double m[]; // [d][d] first S = sum (x - mean)(x - mean)', then what the score makes of it
} flv_gauss;

// The moments of the columns; standardise: of columns with mean 0 and mean square 1 instead.
// FLV_EINVAL: a column whose numbers differ by no more than their rounding, or are beyond 1e100 or
// within 1e-100 of one another (squares leave the range of doubles); a column that is another one
// up to scale and shift. *gauss is the caller's to free().
flv_status flv_gauss_new(flv_gauss **gauss, const flv_dataset *data, bool standardise,
                         flv_error *err);

// Refuses a matrix m that is singular to rounding: where the part of a column that the others do
// not explain, 1 / ((m^-1)_jj m_jj), is below 1e-9. Every principal submatrix of one that passes is
// better conditioned than that in the same sense.
flv_status flv_gauss_check(const flv_gauss *gauss, const flv_dataset *data, flv_error *err);

// Columns in `set`, in order, into at. Returns how many.
int flv_gauss_members(uint64_t set, int at[FLV_GAUSS_MAX]);

// log det m[P,P] and log of m_jj - m[j,P] m[P,P]^-1 m[P,j], whose sum is log det m[P+j,P+j]. False
// if the submatrix is not positive definite in floating point.
bool flv_gauss_logdets(const flv_gauss *gauss, int j, uint64_t parents, double *log_det,
                       double *log_rest);

// For matrices made here: 64 columns of at most 64 entries, aligned, so that equal numbers give
// equal bits.
typedef struct flv_gauss_work {
  _Alignas(64) double a[FLV_GAUSS_MAX * FLV_GAUSS_MAX];
} flv_gauss_work;

#endif
