// Products that BLAS libraries are slow at: those of a few rows, those into a few columns, and
// those with weights that fit in the cache. BLAS copies weights (and rows) into its own order
// before every product, which for up to some tens of rows costs several times the product itself
// (OpenBLAS 0.3.21, 256 x 256 weights, AVX-512: 20 us against 4 us at 6 rows) and for hundreds a
// tenth, and pads columns. Sampling makes nothing but such products. OpenBLAS's kernels for small
// products also allocate memory, and crash where there is none.
#ifndef FLUVIAL_NN_SMALL_PRODUCTS_H
#define FLUVIAL_NN_SMALL_PRODUCTS_H

#include <stdbool.h>

// Above FLV_FEW_ROWS rows, or for gradients, only for weights of FLV_SMALL_TERMS inputs and
// FLV_SMALL_WEIGHTS in all at most, and AVX-512.
enum { FLV_FEW_ROWS = 48, FLV_SMALL_TERMS = 512, FLV_SMALL_WEIGHTS = 1 << 17 };

// y[rows, n] = x[rows, in] w[in, n], or += where `add`. Every entry is one sum over k = 0 .. in-1
// in order, so that it does not depend on how the product is cut. False, and nothing done, if this
// machine has no kernel or, of 16 columns or more, these are not few rows.
bool flv_small_product(int rows, int in, int n, bool add, const float *x, const float *w, float *y);

// The gradient of those weights, dw[in, n] = x[rows, in]' dy[rows, n], or += where `add`, of 16
// columns or more. False, and nothing done, if this machine has no kernel or the weights are many.
bool flv_small_gradient(int rows, int in, int n, bool add, const float *x, const float *dy,
                        float *dw);

#endif
