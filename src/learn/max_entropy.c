#include "learn/max_entropy.h"

#include <math.h>
#include <string.h>

#include "base/logmath.h"
#include "base/memory.h"

enum { CHUNK = 1024, MAX_STATES = 1 << 24 };

typedef struct work { // a chunk of states, in index order
  int n;
  int64_t begin;
  int64_t *index, *parent;         // [CHUNK]
  unsigned char *states, *parents; // [CHUNK * state_size]
  uint8_t *mask;                   // [CHUNK, n_back]
  int32_t *from, *back;            // [CHUNK]
} work;

static void load(work *w, const flv_env *env, int64_t begin) {
  const int64_t left = env->n_states - begin;
  w->begin = begin;
  w->n = left < CHUNK ? (int)left : CHUNK;
  for (int i = 0; i < w->n; i++) w->index[i] = begin + i;
  env->ops->at(env, w->n, w->index, w->states);
  env->ops->mask_back(env, w->n, w->states, w->mask);
}

// Index of the parent of the chunk's states along one backward action; -1: none.
static void parents_along(work *w, const flv_env *env, int back, int64_t *parent_of) {
  const size_t size = env->state_size, width = (size_t)env->n_back;
  int n = 0;
  for (int i = 0; i < w->n; i++) {
    parent_of[(size_t)i * width + (size_t)back] = -1;
    if (!w->mask[(size_t)i * width + (size_t)back]) continue;
    memcpy(w->parents + (size_t)n * size, w->states + (size_t)i * size, size);
    w->from[n] = i;
    w->back[n++] = back;
  }
  if (n == 0) return;
  env->ops->unstep(env, n, w->parents, w->back);
  env->ops->index(env, n, w->parents, w->parent);
  for (int k = 0; k < n; k++) parent_of[(size_t)w->from[k] * width + (size_t)back] = w->parent[k];
}

static void fill(work *w, const flv_env *env, int64_t *parent_of, double *log_n, double *log_pb) {
  const size_t width = (size_t)env->n_back;
  for (int64_t begin = 0; begin < env->n_states; begin += CHUNK) {
    load(w, env, begin);
    for (int back = 0; back < env->n_back; back++) parents_along(w, env, back, parent_of);
    for (int i = 0; i < w->n; i++) {
      const int64_t s = begin + i;
      const int64_t *parent = parent_of + (size_t)i * width;
      double *row = log_pb + (size_t)s * width;
      for (size_t b = 0; b < width; b++) row[b] = parent[b] < 0 ? -HUGE_VAL : log_n[parent[b]];
      log_n[s] = s == 0 ? 0.0 : flv_logsumexp(env->n_back, row);
      for (size_t b = 0; b < width; b++)
        if (parent[b] >= 0) row[b] -= log_n[s];
    }
  }
}

double *flv_max_entropy(const flv_env *env, flv_error *err) {
  if (env->n_states <= 0 || env->n_states > MAX_STATES || !env->ops->at) {
    flv_fail(err, FLV_EINVAL,
             "policy.p_b: max_entropy counts the ways to every state, and '%s' has no list of at "
             "most 2^24 of them; backward: max_entropy learns them",
             env->name);
    return NULL;
  }
  const size_t states = (size_t)env->n_states, width = (size_t)env->n_back;
  work w = {0};
  int64_t *parent_of = NULL;
  double *log_n = NULL, *log_pb = flv_alloc(states * width * sizeof *log_pb);
  const flv_slot slots[] = {FLV_SLOT(w.index, CHUNK),
                            FLV_SLOT(w.parent, CHUNK),
                            FLV_SLOT(w.states, CHUNK * env->state_size),
                            FLV_SLOT(w.parents, CHUNK * env->state_size),
                            FLV_SLOT(w.mask, CHUNK * width),
                            FLV_SLOT(w.from, CHUNK),
                            FLV_SLOT(w.back, CHUNK),
                            FLV_SLOT(parent_of, CHUNK * width),
                            FLV_SLOT(log_n, states)};
  void *block = log_pb ? flv_bind(sizeof slots / sizeof *slots, slots) : NULL;
  if (!block) {
    flv_free(log_pb);
    flv_fail(err, FLV_ENOMEM, "out of memory for the ways to %lld states", (long long)states);
    return NULL;
  }
  fill(&w, env, parent_of, log_n, log_pb);
  flv_free(block);
  return log_pb;
}
