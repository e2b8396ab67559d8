// Vector kernels in plain C: FLV_SIMD before a static function compiles it once per instruction set
// (AVX-512, AVX2, baseline) and picks one when the program is loaded. On other targets, and under
// sanitizers (which are not ready yet when the loader asks), it is empty and the function is
// compiled once for the baseline.
//
//   FLV_SIMD static void scale_rows(int n, float a, float *restrict y) { for (...) y[i] *= a; }
//
// Rules: the function is static and has no separate declaration (clang takes one for an overload),
// its name is unique in the whole project (clang makes its resolver a global symbol), and small
// helpers that it calls are `static inline`, so that they are compiled into each version;
// FLV_INLINE where the compiler must not decide otherwise (a call stops a loop from being
// vectorised). Kernels spell out the order of their reductions, as lanes; compilers then vectorise
// them without -ffast-math.
#ifndef FLUVIAL_BASE_SIMD_H
#define FLUVIAL_BASE_SIMD_H

#include <stddef.h> // defines __GLIBC__ where the C library is glibc, through its features.h
#include <stdint.h>

#ifndef __has_attribute
#define __has_attribute(x) 0
#endif
#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__) &&                             \
    __has_attribute(target_clones) && !defined(__SANITIZE_ADDRESS__) &&                            \
    !defined(__SANITIZE_THREAD__) && !__has_feature(address_sanitizer) &&                          \
    !__has_feature(thread_sanitizer) && !__has_feature(memory_sanitizer)
#define FLV_SIMD __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FLV_SIMD
#endif

#define FLV_INLINE __attribute__((always_inline)) static inline

#endif
