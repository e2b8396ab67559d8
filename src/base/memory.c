#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

enum { ALIGN = 64, HUGE_PAGE = 2 << 20 };

static size_t padded(size_t bytes) { return (bytes + ALIGN - 1) / ALIGN * ALIGN; }

// Weights and activations are read in strides that miss in tables of small pages. A hint only: the
// pages are as zero and as untouched as before.
static void hint_huge(unsigned char *raw, size_t bytes) {
#if defined(MADV_HUGEPAGE)
  const uintptr_t mask = HUGE_PAGE - 1, first = ((uintptr_t)raw + mask) & ~mask;
  const uintptr_t end = ((uintptr_t)raw + bytes) & ~mask;
  if (bytes >= 2 * (size_t)HUGE_PAGE)
    (void)madvise(raw + (first - (uintptr_t)raw), end - first, MADV_HUGEPAGE);
#else
  (void)raw, (void)bytes;
#endif
}

// calloc leaves large blocks as untouched zero pages, but aligns to 16 only; flv_alloc therefore
// takes 64 bytes more, aligns upwards, and keeps calloc's pointer just below the block for
// flv_free.
void *flv_alloc(size_t bytes) {
  if (bytes > SIZE_MAX - 2 * ALIGN) return NULL;
  unsigned char *raw = calloc(1, bytes + ALIGN + sizeof(void *));
  if (!raw) return NULL;
  hint_huge(raw, bytes);
  const uintptr_t first = (uintptr_t)(raw + sizeof(void *));
  unsigned char *block = raw + ((first + ALIGN - 1) / ALIGN * ALIGN - (uintptr_t)raw);
  ((void **)block)[-1] = raw;
  return block;
}

void flv_free(void *block) {
  if (block) free(((void **)block)[-1]);
}

void *flv_bind(int n, const flv_slot *slots) {
  size_t total = 0;
  for (int i = 0; i < n; i++) {
    if (slots[i].bytes > SIZE_MAX / 4 - total) return NULL;
    total += padded(slots[i].bytes);
  }
  unsigned char *block = flv_alloc(total);
  if (!block) return NULL;
  size_t at = 0;
  for (int i = 0; i < n; i++) {
    *slots[i].array = block + at;
    at += padded(slots[i].bytes);
  }
  return block;
}
