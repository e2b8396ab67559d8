// dpotrf by its Fortran name, which OpenBLAS itself and every LAPACK library have. LAPACKE would be
// one more library to install for one call, which it would hand on to this one.
#include "base/lapack.h"

#include <stddef.h>

// Weak: other BLAS libraries do not have it.
extern void openblas_set_num_threads(int threads) __attribute__((weak));

// The last argument is the length of `uplo`, which Fortran compilers pass after the others.
extern void dpotrf_(const char *uplo, const int *n, double *a, const int *lda, int *info,
                    size_t uplo_length);

void flv_blas_single(void) {
  if (openblas_set_num_threads) openblas_set_num_threads(1);
}

bool flv_cholesky(double *a, int n, int lda) {
  int info = 0;
  if (n > 0) dpotrf_("L", &n, a, &lda, &info, 1);
  return info == 0;
}
