#include "run/run_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fluvial/seeds.h"
#include "io/file.h"
#include "io/safetensors.h"

enum { MAX_TENSORS = 192 };

#define METRIC_COLUMNS                                                                             \
  "iteration,trajectories,loss,log_z,log_z_true,jsd,tv,kl_pq,kl_qp,l1,modes_found,ess,mean_log_r," \
  "mean_length,states,distinct,lr_factor,grad_norm,accepted"
#define FOUND_COLUMNS ",objects,above,modes,best_log_r,reward_10,reward_50,reward_90"
#define TIMING_COLUMNS "iteration,seconds,trajectories_per_s\n"

flv_status flv_run_dir_path(char out[FLV_PATH_MAX], const char *dir, const char *name,
                            flv_error *err) {
  const int n = snprintf(out, FLV_PATH_MAX, "%s/%s", dir, name);
  return n > 0 && n < FLV_PATH_MAX ? FLV_OK
                                   : flv_fail(err, FLV_EINVAL, "%s: the path is too long", dir);
}

static flv_status io_error(flv_error *err, const char *what, const char *path) {
  return flv_fail(err, FLV_EIO, "%s: cannot %s: %s", path, what, strerror(errno));
}

static char *config_text(const flv_config *cfg, flv_error *err) {
  char *text = NULL;
  size_t size = 0;
  FILE *f = open_memstream(&text, &size);
  if (!f) {
    flv_fail(err, FLV_ENOMEM, "out of memory for the configuration's text");
    return NULL;
  }
  flv_status status = flv_config_write(cfg, f, err);
  // glibc's fclose reports success and leaves no text when it cannot trim the buffer.
  if ((fclose(f) != 0 || !text) && status == FLV_OK)
    status = flv_fail(err, FLV_ENOMEM, "out of memory for the configuration's text");
  if (status != FLV_OK) {
    free(text);
    return NULL;
  }
  return text;
}

static bool has_archive(const flv_trainer *trainer) {
  return flv_trainer_env(trainer)->text_name != NULL;
}

static int tensors(flv_trainer *trainer, flv_tally *tally, flv_tensor list[MAX_TENSORS]) {
  const flv_tensor more[] = {{"run.loss", FLV_F64, 1, {1}, &tally->loss},
                             {"run.n", FLV_I64, 1, {1}, &tally->n},
                             {"run.objects", FLV_I64, 1, {1}, &tally->objects},
                             {"run.log_r", FLV_F64, 1, {FLV_LATEST}, tally->log_r}};
  const int n = flv_trainer_tensors(trainer, list, MAX_TENSORS - 4);
  const int n_more = has_archive(trainer) ? 4 : 2;
  for (int i = 0; i < n_more; i++) list[n + i] = more[i];
  return n + n_more;
}

static flv_status write_checkpoint(flv_run_dir *dir, const char *folder, flv_trainer *trainer,
                                   flv_tally *tally, flv_error *err) {
  char path[FLV_PATH_MAX], metrics[32], timing[32], objects[32] = "";
  FLV_TRY(flv_run_dir_path(path, folder, "checkpoint.safetensors", err));
  snprintf(metrics, sizeof metrics, "%ld", ftell(dir->metrics));
  snprintf(timing, sizeof timing, "%ld", ftell(dir->timing));
  const flv_meta meta[] = {{"format", "fluvial"},
                           {"config", dir->config},
                           {"metrics_bytes", metrics},
                           {"timing_bytes", timing},
                           {"objects_bytes", objects}};
  const int n_meta = dir->objects ? 5 : 4;
  if (dir->objects) snprintf(objects, sizeof objects, "%ld", ftell(dir->objects));
  flv_tensor list[MAX_TENSORS];
  return flv_safetensors_write(path, tensors(trainer, tally, list), list, n_meta, meta, err);
}

static flv_status sync_table(FILE *f, const char *name, flv_error *err) {
  if (fflush(f) != 0 || fsync(fileno(f)) != 0) return io_error(err, "write", name);
  return FLV_OK;
}

flv_status flv_run_dir_checkpoint(flv_run_dir *dir, flv_trainer *trainer, flv_tally *tally,
                                  flv_error *err) {
  FLV_TRY(sync_table(dir->metrics, "metrics.csv", err));
  FLV_TRY(sync_table(dir->timing, "timing.csv", err));
  if (dir->objects) FLV_TRY(sync_table(dir->objects, "objects.csv", err));
  return write_checkpoint(dir, dir->path, trainer, tally, err);
}

static flv_status make_parents(const char *path, flv_error *err) {
  char p[FLV_PATH_MAX];
  snprintf(p, sizeof p, "%s", path);
  for (char *slash = strchr(p + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    if (mkdir(p, 0777) != 0 && errno != EEXIST) return io_error(err, "make the folder", p);
    *slash = '/';
  }
  return FLV_OK;
}

static FILE *open_table(const char *folder, const char *name, const char *columns, flv_error *err) {
  char path[FLV_PATH_MAX];
  if (flv_run_dir_path(path, folder, name, err) != FLV_OK) return NULL;
  FILE *f = fopen(path, columns ? "w" : "r+");
  if (!f || (columns && (fputs(columns, f) < 0 || fflush(f) != 0))) {
    io_error(err, "write", path);
    if (f) fclose(f);
    return NULL;
  }
  return f;
}

// config.yaml, opened and locked: whoever holds it trains here. The lock follows the file through
// renames.
static flv_status lock_run(flv_run_dir *dir, const char *folder, flv_error *err) {
  char path[FLV_PATH_MAX];
  FLV_TRY(flv_run_dir_path(path, folder, "config.yaml", err));
  dir->lock = open(path, O_RDONLY | O_CLOEXEC);
  if (dir->lock < 0)
    return errno == ENOENT
               ? flv_fail(err, FLV_EIO, "%s: not a run directory (it has no config.yaml)", folder)
               : io_error(err, "open", path);
  if (flock(dir->lock, LOCK_EX | LOCK_NB) != 0)
    return flv_fail(err, FLV_EBUSY, "%s: already in use by another process", folder);
  return FLV_OK;
}

static flv_status fill_folder(flv_run_dir *dir, const char *folder, flv_trainer *trainer,
                              flv_error *err) {
  char path[FLV_PATH_MAX];
  FLV_TRY(flv_run_dir_path(path, folder, "config.yaml", err));
  flv_atomic file;
  FLV_TRY(flv_atomic_open(&file, path, err));
  if (fputs(dir->config, file.f) < 0) {
    flv_atomic_abandon(&file);
    return io_error(err, "write", path);
  }
  FLV_TRY(flv_atomic_commit(&file, err));
  FLV_TRY(lock_run(dir, folder, err));
  const bool archive = has_archive(trainer);
  const char *metrics = archive ? METRIC_COLUMNS FOUND_COLUMNS "\n" : METRIC_COLUMNS "\n";
  if (!(dir->metrics = open_table(folder, "metrics.csv", metrics, err))) return FLV_EIO;
  if (!(dir->timing = open_table(folder, "timing.csv", TIMING_COLUMNS, err))) return FLV_EIO;
  if (archive) {
    char columns[128];
    snprintf(columns, sizeof columns, "iteration,%s,log_r,reward,key\n",
             flv_trainer_env(trainer)->text_name);
    if (!(dir->objects = open_table(folder, "objects.csv", columns, err))) return FLV_EIO;
  }
  flv_tally tally = {0};
  return write_checkpoint(dir, folder, trainer, &tally, err);
}

void flv_run_dir_remove(const char *folder) {
  static const char *const names[] = {"config.yaml", "metrics.csv", "timing.csv", "objects.csv",
                                      "checkpoint.safetensors"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[FLV_PATH_MAX];
    if (flv_run_dir_path(path, folder, names[i], NULL) == FLV_OK) unlink(path);
  }
  rmdir(folder);
}

flv_status flv_run_dir_create(flv_run_dir *dir, const char *path, const flv_config *cfg,
                              flv_trainer *trainer, flv_error *err) {
  *dir = (flv_run_dir){.lock = -1};
  char folder[FLV_PATH_MAX];
  const size_t length = strlen(path);
  if (length == 0 || length > FLV_PATH_MAX - 64)
    return flv_fail(err, FLV_EINVAL, "--out: the path is too long");
  snprintf(dir->path, sizeof dir->path, "%s", path);
  for (size_t n = length; n > 1 && dir->path[n - 1] == '/'; n--) dir->path[n - 1] = '\0';
  char probe[FLV_PATH_MAX];
  FLV_TRY(flv_run_dir_path(probe, dir->path, "config.yaml", err));
  if (access(probe, F_OK) == 0)
    return flv_fail(err, FLV_EBUSY,
                    "%s: holds a run already; go on with --resume, or choose another --out", path);
  FLV_TRY(make_parents(dir->path, err));
  snprintf(folder, sizeof folder, "%.*s.new-%ld", FLV_PATH_MAX - 64, dir->path, (long)getpid());
  if (mkdir(folder, 0777) != 0) return io_error(err, "make the folder", folder);
  dir->config = config_text(cfg, err);
  flv_status status = dir->config ? fill_folder(dir, folder, trainer, err) : FLV_ENOMEM;
  if (status == FLV_OK && rename(folder, dir->path) != 0)
    status = errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR
                 ? flv_fail(err, FLV_EBUSY,
                            "%s: exists and is not an empty folder; choose another --out", path)
                 : io_error(err, "make the run", path);
  if (status != FLV_OK) {
    flv_run_dir_remove(folder);
    flv_run_dir_close(dir);
  }
  return status;
}

static flv_status cut_table(FILE **f, const char *folder, const char *name, const char *key,
                            const char *checkpoint, flv_error *err) {
  char *text = flv_safetensors_meta(checkpoint, key, err);
  if (!text) return err ? err->status : FLV_EIO;
  const long bytes = strtol(text, NULL, 10);
  free(text);
  *f = open_table(folder, name, NULL, err);
  if (!*f) return FLV_EIO;
  if (fseek(*f, 0, SEEK_END) != 0 || ftell(*f) < bytes)
    return flv_fail(err, FLV_EIO, "%s/%s: shorter than its checkpoint says (%ld bytes)", folder,
                    name, bytes);
  if (ftruncate(fileno(*f), bytes) != 0 || fseek(*f, bytes, SEEK_SET) != 0)
    return io_error(err, "cut", name);
  return FLV_OK;
}

flv_status flv_run_dir_load(const char *path, flv_trainer *trainer, flv_tally *tally,
                            flv_error *err) {
  char file[FLV_PATH_MAX];
  FLV_TRY(flv_run_dir_path(file, path, "checkpoint.safetensors", err));
  char *saved = flv_safetensors_meta(file, "config", err);
  if (!saved) return err ? err->status : FLV_EIO;
  char *now = config_text(flv_trainer_config(trainer), err);
  const bool same = now && strcmp(saved, now) == 0;
  free(saved);
  if (!now) return FLV_ENOMEM;
  free(now);
  if (!same)
    return flv_fail(err, FLV_EINVAL,
                    "%s: made with another configuration than config.yaml beside it", file);
  flv_tensor list[MAX_TENSORS];
  return flv_safetensors_read(file, tensors(trainer, tally, list), list, err);
}

flv_status flv_run_dir_resume(flv_run_dir *dir, const char *path, flv_trainer *trainer,
                              flv_tally *tally, flv_error *err) {
  *dir = (flv_run_dir){.lock = -1};
  snprintf(dir->path, sizeof dir->path, "%s", path);
  char checkpoint[FLV_PATH_MAX];
  flv_status status = flv_run_dir_path(checkpoint, path, "checkpoint.safetensors", err);
  if (status == FLV_OK) status = lock_run(dir, path, err);
  if (status == FLV_OK) status = flv_run_dir_load(path, trainer, tally, err);
  if (status == FLV_OK)
    status = cut_table(&dir->metrics, path, "metrics.csv", "metrics_bytes", checkpoint, err);
  if (status == FLV_OK)
    status = cut_table(&dir->timing, path, "timing.csv", "timing_bytes", checkpoint, err);
  if (status == FLV_OK && has_archive(trainer))
    status = cut_table(&dir->objects, path, "objects.csv", "objects_bytes", checkpoint, err);
  if (status == FLV_OK && !(dir->config = config_text(flv_trainer_config(trainer), err)))
    status = FLV_ENOMEM;
  if (status != FLV_OK) flv_run_dir_close(dir);
  return status;
}

void flv_run_dir_close(flv_run_dir *dir) {
  if (dir->metrics) fclose(dir->metrics);
  if (dir->timing) fclose(dir->timing);
  if (dir->objects) fclose(dir->objects);
  if (dir->lock >= 0) close(dir->lock);
  free(dir->config);
  *dir = (flv_run_dir){.lock = -1};
}

flv_status flv_run_dir_row(flv_run_dir *dir, const flv_stats *s, const flv_evaluation *e,
                           const flv_found *f, double mean_loss, double seconds,
                           double trajectories_per_s, flv_error *err) {
  fprintf(dir->metrics,
          "%lld,%lld,%.10g,%.10g,%.10g,%.10g,%.10g,%.10g,%.10g,%.10g,%.10g,%.10g,%.10g,%.10g,%d,%d,"
          "%.10g,%.10g,%.10g",
          (long long)s->iteration, (long long)s->trajectories, mean_loss, s->log_z, e->log_z_true,
          e->jsd, e->tv, e->kl_pq, e->kl_qp, e->l1, e->modes_found, s->ess, s->mean_log_r,
          s->mean_length, s->states, s->distinct, s->lr_factor, s->grad_norm, s->accepted);
  if (dir->objects)
    fprintf(dir->metrics, ",%lld,%lld,%lld,%.10g,%.10g,%.10g,%.10g", (long long)f->objects,
            (long long)f->above, (long long)f->modes, f->best_log_r, f->low, f->median, f->high);
  fputc('\n', dir->metrics);
  fprintf(dir->timing, "%lld,%.3f,%.1f\n", (long long)s->iteration, seconds, trajectories_per_s);
  if (fflush(dir->metrics) != 0 || fflush(dir->timing) != 0)
    return io_error(err, "write metrics in", dir->path);
  return FLV_OK;
}

flv_config *flv_run_dir_config(const char *path, flv_error *err) {
  char file[FLV_PATH_MAX];
  if (flv_run_dir_path(file, path, "config.yaml", err) != FLV_OK) return NULL;
  if (access(file, F_OK) != 0) {
    flv_fail(err, FLV_EIO,
             flv_seeds_found(path) ? "%s: holds the runs of several seeds; choose one, seed-K in it"
                                   : "%s: not a run directory (it has no config.yaml)",
             path);
    return NULL;
  }
  flv_config *cfg = flv_config_new(err);
  if (cfg && flv_config_load(cfg, file, err) != FLV_OK) {
    flv_config_free(cfg);
    cfg = NULL;
  }
  return cfg;
}
