// The one place where matrix products enter: single-precision CBLAS, one thread inside each call.
#ifndef FLUVIAL_NN_BLAS_H
#define FLUVIAL_NN_BLAS_H

#include <cblas.h>

#include "base/lapack.h"
#include "fluvial/status.h"

// C = A B, A' B and A B' of one odd shape against plain loops: some BLAS builds compute wrong
// results on processors newer than they are. FLV_EINVAL with advice if so.
flv_status flv_blas_check(flv_error *err);

#endif
