#include "base/parallel.h"

#ifdef _OPENMP
#include <omp.h>
#endif

void flv_parallel(int threads, int n, flv_task run, void *context) {
#ifdef _OPENMP
  if (threads > n) threads = n;
  if (threads > 1) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
    for (int i = 0; i < n; i++) run(context, i);
    return;
  }
#endif
  (void)threads;
  for (int i = 0; i < n; i++) run(context, i);
}

int flv_cores(void) {
#ifdef _OPENMP
  return omp_get_num_procs();
#else
  return 1;
#endif
}

int flv_chunk_count(int n, int want) {
  return n <= 0 ? 0 : (n + want / 2) / want > 0 ? (n + want / 2) / want : 1;
}

int flv_chunk_begin(int n, int want, int i) {
  const int chunks = flv_chunk_count(n, want);
  if (i >= chunks) return n;
  const int begin = (int)((long long)n * i / chunks);
  return begin / 16 * 16;
}
