// Objects drawn from a trained sampler, as csv or npy. A csv is for people and other programs: it
// has objects' texts where there are such; an npy always has the numbers that are read back.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "env/columns.h"
#include "fluvial/run.h"
#include "fluvial/table.h"
#include "io/file.h"

enum { GROUP = 4096 };

typedef struct drawing {
  flv_trainer *trainer;
  uint64_t stream;
  int64_t n;
  int columns;
  void *cells; // [GROUP, columns], 4 bytes each
  unsigned char *states;
  double *log_r;
} drawing;

static flv_status write_texts(FILE *f, const drawing *d, int n, flv_error *err) {
  const flv_env *env = flv_trainer_env(d->trainer);
  for (int i = 0; i < n; i++) {
    char text[FLV_OBJECT_TEXT];
    FLV_TRY(env->ops->text(env, d->states + (size_t)i * env->state_size, text, sizeof text, err));
    fprintf(f, "%s,%.10g,%.6g\n", text, d->log_r[i],
            flv_reward_value(flv_trainer_reward(d->trainer), d->log_r[i]));
  }
  return FLV_OK;
}

static void write_numbers(FILE *f, const drawing *d, int n) {
  const bool whole = flv_columns_whole(flv_trainer_env(d->trainer));
  for (int i = 0; i < n; i++) {
    for (int k = i * d->columns; k < (i + 1) * d->columns; k++) {
      if (whole)
        fprintf(f, "%d,", (int)((const int32_t *)d->cells)[k]);
      else
        fprintf(f, "%.9g,", (double)((const float *)d->cells)[k]);
    }
    fprintf(f, "%.10g\n", d->log_r[i]);
  }
}

static void write_header(FILE *f, const drawing *d) {
  const char *text_name = flv_trainer_env(d->trainer)->text_name;
  if (text_name) {
    fprintf(f, "%s,log_r,reward\n", text_name);
    return;
  }
  for (int k = 0; k < d->columns; k++) fprintf(f, "x%d,", k);
  fputs("log_r\n", f);
}

static bool ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), k = strlen(end);
  return n >= k && strcmp(text + n - k, end) == 0;
}

static flv_status draw_group(drawing *d, int64_t done, int take, flv_error *err) {
  const uint64_t stream = (d->stream << 20) + (uint64_t)(done / GROUP) + 1;
  FLV_TRY(flv_trainer_sample(d->trainer, stream, take, d->states, d->log_r, err));
  flv_columns_fill(flv_trainer_env(d->trainer), take, d->states, d->cells);
  return FLV_OK;
}

static flv_status draw_csv(drawing *d, FILE *f, const char *path, flv_error *err) {
  const bool texts = flv_trainer_env(d->trainer)->text_name != NULL;
  write_header(f, d);
  for (int64_t done = 0; done < d->n; done += GROUP) {
    const int take = d->n - done < GROUP ? (int)(d->n - done) : GROUP;
    FLV_TRY(draw_group(d, done, take, err));
    if (texts)
      FLV_TRY(write_texts(f, d, take, err));
    else
      write_numbers(f, d, take);
    if (ferror(f)) return flv_fail(err, FLV_EIO, "%s: cannot write: %s", path, strerror(errno));
  }
  return FLV_OK;
}

static flv_status draw_npy(drawing *d, const char *path, flv_error *err) {
  const bool whole = flv_columns_whole(flv_trainer_env(d->trainer));
  const size_t width = (size_t)d->columns;
  int32_t *all = flv_alloc((size_t)d->n * width * sizeof *all); // or floats
  if (!all) return flv_fail(err, FLV_ENOMEM, "out of memory for %lld objects", (long long)d->n);
  flv_status status = FLV_OK;
  for (int64_t done = 0; done < d->n && status == FLV_OK; done += GROUP) {
    const int take = d->n - done < GROUP ? (int)(d->n - done) : GROUP;
    status = draw_group(d, done, take, err);
    memcpy(all + (size_t)done * width, d->cells, (size_t)take * width * sizeof *all);
  }
  const int64_t dim[2] = {d->n, d->columns};
  if (status == FLV_OK) status = flv_npy_write(path, whole ? "<i4" : "<f4", 2, dim, all, err);
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
  d.columns = flv_columns_count(env);
  const flv_slot slots[] = {{&d.cells, (size_t)GROUP * (size_t)d.columns * sizeof(int32_t)},
                            FLV_SLOT(d.states, GROUP * env->state_size),
                            FLV_SLOT(d.log_r, GROUP)};
  void *block = flv_bind(3, slots);
  const flv_status status = block
                                ? draw(&d, path, err)
                                : flv_fail(err, FLV_ENOMEM, "out of memory for %d objects", GROUP);
  flv_free(block);
  flv_trainer_free(d.trainer);
  return status;
}
