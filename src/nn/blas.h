// The one place where matrix products enter: single-precision CBLAS, one thread inside each call.
#ifndef FLUVIAL_NN_BLAS_H
#define FLUVIAL_NN_BLAS_H

#include <cblas.h>

#include "fluvial/status.h"

// Sets the BLAS to one thread where it says how (OpenBLAS): threads are ours, around the calls.
void flv_blas_single(void);

// C = A B, A' B and A B' of one odd shape against plain loops: some BLAS builds compute wrong
// results on processors newer than they are. FLV_EINVAL with advice if so.
flv_status flv_blas_check(flv_error *err);

#endif
