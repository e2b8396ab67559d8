// Objects drawn from a trained sampler, as csv or npy.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fluvial/run.h"
#include "fluvial/table.h"
#include "io/file.h"

enum { GROUP = 4096 };

typedef struct columns {
  int n;      // per object
  int32_t *x; // [GROUP, n]
  float *dense;
} columns;

// One object as numbers: the coordinates of a grid (hot index minus the sides before it), else the
// indices that are hot, else the dense observation.
static int n_columns(const flv_env *env) { return env->n_hot > 0 ? env->n_hot : env->n_features; }

static void fill(const flv_env *env, int n, const void *states, columns *c) {
  if (env->n_hot == 0) {
    env->ops->observe(env, n, states, NULL, c->dense);
    return;
  }
  env->ops->observe(env, n, states, c->x, NULL);
  if (env->shape.n != env->n_hot) return;
  for (int i = 0; i < n; i++)
    for (int d = 0, before = 0; d < env->n_hot; before += env->shape.side[d++])
      c->x[i * env->n_hot + d] -= before;
}

static int write_csv(FILE *f, const flv_env *env, int n, const columns *c, const double *log_r) {
  for (int i = 0; i < n; i++) {
    for (int d = 0; d < c->n; d++) {
      if (env->n_hot > 0)
        fprintf(f, "%d,", (int)c->x[i * c->n + d]);
      else
        fprintf(f, "%.9g,", (double)c->dense[i * c->n + d]);
    }
    fprintf(f, "%.10g\n", log_r[i]);
  }
  return ferror(f) ? -1 : 0;
}

static void write_header(FILE *f, int n) {
  for (int d = 0; d < n; d++) fprintf(f, "x%d,", d);
  fputs("log_r\n", f);
}

static bool ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), k = strlen(end);
  return n >= k && strcmp(text + n - k, end) == 0;
}

typedef struct drawing {
  flv_trainer *trainer;
  uint64_t stream;
  int64_t n;
  columns c;
  unsigned char *states;
  double *log_r;
} drawing;

static flv_status draw_group(drawing *d, int64_t done, int take, flv_error *err) {
  const uint64_t stream = (d->stream << 20) + (uint64_t)(done / GROUP) + 1;
  FLV_TRY(flv_trainer_sample(d->trainer, stream, take, d->states, d->log_r, err));
  fill(flv_trainer_env(d->trainer), take, d->states, &d->c);
  return FLV_OK;
}

static flv_status draw_csv(drawing *d, FILE *f, const char *path, flv_error *err) {
  write_header(f, d->c.n);
  for (int64_t done = 0; done < d->n; done += GROUP) {
    const int take = d->n - done < GROUP ? (int)(d->n - done) : GROUP;
    FLV_TRY(draw_group(d, done, take, err));
    if (write_csv(f, flv_trainer_env(d->trainer), take, &d->c, d->log_r) != 0)
      return flv_fail(err, FLV_EIO, "%s: cannot write: %s", path, strerror(errno));
  }
  return FLV_OK;
}

static flv_status draw_npy(drawing *d, const char *path, flv_error *err) {
  const flv_env *env = flv_trainer_env(d->trainer);
  const size_t width = (size_t)d->c.n;
  int32_t *all = flv_alloc((size_t)d->n * width * sizeof *all);
  if (!all) return flv_fail(err, FLV_ENOMEM, "out of memory for %lld objects", (long long)d->n);
  flv_status status = FLV_OK;
  for (int64_t done = 0; done < d->n && status == FLV_OK; done += GROUP) {
    const int take = d->n - done < GROUP ? (int)(d->n - done) : GROUP;
    status = draw_group(d, done, take, err);
    const void *from =
        env->n_hot > 0 ? (const void *)d->c.x : (const void *)d->c.dense; // both 4 bytes
    memcpy(all + (size_t)done * width, from, (size_t)take * width * sizeof *all);
  }
  const int64_t dim[2] = {d->n, d->c.n};
  if (status == FLV_OK)
    status = flv_npy_write(path, env->n_hot > 0 ? "<i4" : "<f4", 2, dim, all, err);
  flv_free(all);
  return status;
}

static flv_status draw(drawing *d, const char *path, flv_error *err) {
  if (strcmp(path, "-") == 0) {
    FLV_TRY(draw_csv(d, stdout, "standard output", err));
    return fflush(stdout) == 0 ? FLV_OK
                               : flv_fail(err, FLV_EIO, "standard output: %s", strerror(errno));
  }
  if (ends_with(path, ".npy")) return draw_npy(d, path, err);
  if (!ends_with(path, ".csv"))
    return flv_fail(err, FLV_EINVAL,
                    "%s: samples are written as .csv or .npy (or - for csv on standard output)",
                    path);
  flv_atomic file;
  FLV_TRY(flv_atomic_open(&file, path, err));
  const flv_status status = draw_csv(d, file.f, path, err);
  if (status != FLV_OK) {
    flv_atomic_abandon(&file);
    return status;
  }
  return flv_atomic_commit(&file, err);
}

flv_status flv_run_sample(const char *dir, int threads, uint64_t stream, int64_t n,
                          const char *path, flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  drawing d = {.stream = stream, .n = n, .trainer = flv_run_open(dir, threads, err)};
  if (!d.trainer) return err->status;
  const flv_env *env = flv_trainer_env(d.trainer);
  d.c.n = n_columns(env);
  const size_t cells = (size_t)GROUP * (size_t)d.c.n;
  const flv_slot slots[] = {FLV_SLOT(d.c.x, cells), FLV_SLOT(d.c.dense, env->n_hot > 0 ? 0 : cells),
                            FLV_SLOT(d.states, GROUP * env->state_size), FLV_SLOT(d.log_r, GROUP)};
  void *block = flv_bind(4, slots);
  const flv_status status = block
                                ? draw(&d, path, err)
                                : flv_fail(err, FLV_ENOMEM, "out of memory for %d objects", GROUP);
  flv_free(block);
  flv_trainer_free(d.trainer);
  return status;
}
