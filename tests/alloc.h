// Counts and fails allocations: this file replaces malloc and its kin in the program that includes
// it (glibc only). Under a sanitizer, which brings its own, it does nothing and alloc_hooked is 0.
#ifndef FLUVIAL_TESTS_ALLOC_H
#define FLUVIAL_TESTS_ALLOC_H

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define ALLOC_HOOKED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define ALLOC_HOOKED 0
#else
#define ALLOC_HOOKED 1
#endif
#else
#define ALLOC_HOOKED 1
#endif

static const int alloc_hooked = ALLOC_HOOKED;
static long alloc_count;        // calls so far
static long alloc_fail_at = -1; // the call with this number (from 0) fails, once; -1: none

#if ALLOC_HOOKED
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

// BLAS libraries may allocate for small products, and need not bear failure: that is their affair.
static int alloc_of_blas(const void *caller) {
  Dl_info where;
  return dladdr(caller, &where) && where.dli_fname && strstr(where.dli_fname, "blas") != NULL;
}

static int alloc_fails(const void *caller) {
  if (alloc_fail_at >= 0 && alloc_of_blas(caller)) return 0;
  const long now = __atomic_fetch_add(&alloc_count, 1, __ATOMIC_RELAXED);
  if (now != alloc_fail_at) return 0;
  errno = ENOMEM;
  return 1;
}
void *malloc(size_t size) {
  return alloc_fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}
void *calloc(size_t n, size_t size) {
  return alloc_fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}
void *realloc(void *p, size_t size) {
  return alloc_fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, size);
}
int posix_memalign(void **p, size_t alignment, size_t size) {
  if (alloc_fails(__builtin_return_address(0))) return ENOMEM;
  *p = __libc_memalign(alignment, size);
  return *p ? 0 : ENOMEM;
}
void *aligned_alloc(size_t alignment, size_t size) {
  return alloc_fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
}
#endif

// From here on, the k-th allocation (from 0) fails, once.
static inline void alloc_fail(long k) {
  alloc_count = 0;
  alloc_fail_at = k;
}

// None fails any more. True if there were no more than k, so that none has failed.
static inline bool alloc_none_failed(void) {
  const bool none = alloc_count <= alloc_fail_at;
  alloc_fail_at = -1;
  return none;
}

// At the head of a test that needs this.
#define ALLOC_OR_SKIP()                                                                            \
  do {                                                                                             \
    if (!alloc_hooked) {                                                                           \
      print_message("skipped: a sanitizer replaces malloc\n");                                     \
      skip();                                                                                      \
    }                                                                                              \
  } while (0)

#endif
