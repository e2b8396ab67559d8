// The one place where LAPACK enters: a factorisation in double.
#ifndef FLUVIAL_BASE_LAPACK_H
#define FLUVIAL_BASE_LAPACK_H

#include <stdbool.h>

// Sets the BLAS to one thread where it says how (OpenBLAS): threads are ours, around the calls.
void flv_blas_single(void);

// A = L L' of a symmetric positive definite matrix, n by n: entry (i, k), i >= k, is a[k*lda + i];
// only these are read, and L takes their place. False, and a without meaning, if it is not positive
// definite in floating point. Allocates nothing and may be called from several threads, after
// flv_blas_single. Equal matrices at addresses equally aligned give equal bits.
bool flv_cholesky(double *a, int n, int lda);

#endif
