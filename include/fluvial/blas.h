// The matrix products' library, before anything is computed.
#ifndef FLUVIAL_BLAS_H
#define FLUVIAL_BLAS_H

#ifdef __cplusplus
extern "C" {
#endif

// OpenBLAS chooses its kernels by the processor's model when it is loaded, and for models newer
// than itself takes generic ones, some five times slower than what the processor can do. Where that
// has happened, this starts the program again from its own file, with the same arguments and with
// OPENBLAS_CORETYPE set to the best kernels that the processor's instructions allow. Returns
// otherwise: no OpenBLAS, fitting kernels, OPENBLAS_CORETYPE already set, not Linux on x86-64, or
// no way to start. For the first line of main(argc, argv); argv as there, ended by NULL.
void flv_blas_restart(char **argv);

#ifdef __cplusplus
}
#endif
#endif
