#include "run/seeds_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char prefix[] = "seed-";

flv_status flv_seeds_path(char out[FLV_SEEDS_PATH], const char *dir, int64_t seed, flv_error *err) {
  char name[32];
  snprintf(name, sizeof name, "%s%lld", prefix, (long long)seed);
  return flv_run_dir_path(out, dir, name, err);
}

// ---- which are there ----

// The seed of a folder's name, -1 if it is none: "seed-007" is not ours.
static int64_t seed_of(const char *name) {
  char again[32];
  if (strncmp(name, prefix, sizeof prefix - 1) != 0) return -1;
  const int64_t seed = strtoll(name + sizeof prefix - 1, NULL, 10);
  snprintf(again, sizeof again, "%s%lld", prefix, (long long)seed);
  return seed >= 0 && strcmp(name, again) == 0 ? seed : -1;
}

static bool is_run(const char *dir) {
  char path[FLV_PATH_MAX];
  return flv_run_dir_path(path, dir, "config.yaml", NULL) == FLV_OK && access(path, F_OK) == 0;
}

static int by_size(const void *a, const void *b) {
  const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

flv_status flv_seeds_list(const char *dir, int *n, int64_t **seeds, flv_error *err) {
  int64_t *found = calloc(FLV_SEEDS_MAX, sizeof *found);
  if (!found) return flv_fail(err, FLV_ENOMEM, "out of memory for a list of seeds");
  DIR *folder = opendir(dir);
  int count = 0;
  for (const struct dirent *e; folder && count < FLV_SEEDS_MAX && (e = readdir(folder));) {
    const int64_t seed = seed_of(e->d_name);
    char path[FLV_SEEDS_PATH];
    if (seed >= 0 && flv_seeds_path(path, dir, seed, NULL) == FLV_OK && is_run(path))
      found[count++] = seed;
  }
  if (folder) closedir(folder);
  if (count == 0) {
    free(found);
    return flv_fail(err, FLV_EIO, "%s: no runs of several seeds (there is no seed-K in it)", dir);
  }
  qsort(found, (size_t)count, sizeof *found, by_size);
  *n = count;
  *seeds = found;
  return FLV_OK;
}

bool flv_seeds_found(const char *dir) {
  int n;
  int64_t *seeds;
  if (is_run(dir) || flv_seeds_list(dir, &n, &seeds, NULL) != FLV_OK) return false;
  free(seeds);
  return true;
}

// ---- making all at once ----

static void remove_all(const char *folder, int n, const int64_t *seeds, flv_session *session) {
  for (int k = 0; k < n; k++) {
    char path[FLV_SEEDS_PATH];
    flv_run_dir_close(&session[k].dir);
    if (flv_seeds_path(path, folder, seeds[k], NULL) == FLV_OK) flv_run_dir_remove(path);
  }
  rmdir(folder);
}

static flv_status put_in_place(const char *folder, const char *path, flv_error *err) {
  if (rename(folder, path) == 0) return FLV_OK;
  if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
    return flv_fail(err, FLV_EBUSY, "%s: exists and is not an empty folder; choose another --out",
                    path);
  return flv_fail(err, FLV_EIO, "%s: cannot make the runs: %s", path, strerror(errno));
}

flv_status flv_seeds_create(const char *path, int n, const int64_t *seeds, flv_session *session,
                            flv_error *err) {
  char folder[FLV_SEEDS_PATH], run[FLV_SEEDS_PATH];
  const size_t length = strlen(path);
  if (length == 0 || length > FLV_SEEDS_PATH - 128)
    return flv_fail(err, FLV_EINVAL, "--out: the path is too long");
  if (is_run(path) || flv_seeds_found(path))
    return flv_fail(err, FLV_EBUSY,
                    "%s: holds a run already; go on with --resume, or choose another --out", path);
  snprintf(folder, sizeof folder, "%.*s.new-%ld", FLV_SEEDS_PATH - 128, path, (long)getpid());
  flv_status status = FLV_OK;
  for (int k = 0; k < n && status == FLV_OK; k++) {
    status = flv_seeds_path(run, folder, seeds[k], err);
    if (status == FLV_OK)
      status = flv_run_dir_create(&session[k].dir, run, flv_trainer_config(session[k].trainer),
                                  session[k].trainer, err);
  }
  if (status == FLV_OK) status = put_in_place(folder, path, err);
  for (int k = 0; k < n && status == FLV_OK; k++)
    status = flv_seeds_path(session[k].dir.path, path, seeds[k], err);
  if (status != FLV_OK) remove_all(folder, n, seeds, session);
  return status;
}
