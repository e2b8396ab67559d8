// Products that BLAS libraries are slow at: those of a few rows, and those into a few columns. They
// copy the weights into their own order before every product, which for up to some tens of rows
// costs several times the product itself (OpenBLAS 0.3.21, 256 x 256 weights, AVX-512: 20 us
// against 4 us at 6 rows), and pad columns. Sampling makes nothing but such products. OpenBLAS's
// kernels for small products also allocate memory, and crash where there is none.
#ifndef FLUVIAL_NN_FEW_ROWS_H
#define FLUVIAL_NN_FEW_ROWS_H

#include <stdbool.h>

enum { FLV_FEW_ROWS = 48 };

// y[rows, n] = x[rows, in] w[in, n], or += where `add`. Every entry is one sum over k = 0 .. in-1
// in order, so that it does not depend on how the product is cut. False, and nothing done, if this
// machine has no kernel or, of 16 columns or more, there are more than FLV_FEW_ROWS rows, or it
// should add to columns that are no multiple of 16.
bool flv_few_rows(int rows, int in, int n, bool add, const float *x, const float *w, float *y);

#endif
