// Sorting numbers.
#ifndef FLUVIAL_BASE_SORT_H
#define FLUVIAL_BASE_SORT_H

#include <stddef.h>
#include <stdlib.h>

static inline int flv_ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// v [n], from the smallest up; no NaN among them.
static inline void flv_sort(size_t n, double *v) { qsort(v, n, sizeof *v, flv_ascending); }

#endif
