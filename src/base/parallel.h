// Parallel loops over a fixed list of tasks. The tasks, and so the results, never depend on how
// many threads there are: callers cut work by its size alone, and reduce in task order.
#ifndef FLUVIAL_BASE_PARALLEL_H
#define FLUVIAL_BASE_PARALLEL_H

typedef void (*flv_task)(void *context, int task);

// Runs task 0 .. n-1 on up to `threads` threads (OpenMP) and waits for all.
void flv_parallel(int threads, int n, flv_task run, void *context);

// Cores this process may use.
int flv_cores(void);

// Cuts n rows into balanced chunks of about `want` rows: how many there are, and where chunk i
// begins (chunk n_chunks begins at n). Starts are multiples of 16.
int flv_chunk_count(int n, int want);
int flv_chunk_begin(int n, int want, int i);

#endif
