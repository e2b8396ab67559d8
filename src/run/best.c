// The best objects of objects.csv, and a diverse set: from the best downwards, each that is less
// similar than a threshold to all that were taken before it. Those of them with a reward above
// another threshold are what is called modes. [Bengio et al. 2021, arXiv:2106.04399]
#include "run/best.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/key_table.h"
#include "base/memory.h"
#include "io/file.h"
#include "learn/sections.h"
#include "metrics/diverse.h"
#include "run/archive.h"

typedef struct selection {
  const flv_env *env;
  const flv_reward *reward;
  const flv_best_options *options;
  int64_t n;
  flv_found_line *line; // [n]
  flv_key_table seen;
  flv_diverse set;
  flv_atomic best, diverse;
  flv_best *out;
} selection;

// ---- reading ----

// Lines of the file, the last of them maybe unfinished: the run may be at it.
static flv_status cut_lines(selection *s, char *text, const char *path, flv_error *err) {
  size_t room = 0;
  for (const char *c = text; (c = strchr(c, '\n')); c++) room++;
  s->line = calloc(room + 1, sizeof *s->line);
  if (!s->line) return flv_fail(err, FLV_ENOMEM, "out of memory for %zu objects", room);
  char *end = flv_line_end(text); // the header's
  for (int64_t number = 2; end && end[1]; number++) {
    char *line = end + 1;
    end = flv_line_end(line);
    if (!end) break;
    if (!flv_found_line_cut(&s->line[s->n++], line))
      return flv_fail(err, FLV_EINVAL, "%s: line %lld is not as it was written", path,
                      (long long)number);
  }
  return FLV_OK;
}

// The largest reward first, then what was found first. Texts lie in the file's order.
static int by_reward(const void *a, const void *b) {
  const flv_found_line *x = a, *y = b;
  if (x->log_r < y->log_r || x->log_r > y->log_r) return x->log_r < y->log_r ? 1 : -1;
  return (x->text > y->text) - (x->text < y->text);
}

// Sorts them and leaves of each object its best line.
static flv_status rank(selection *s, flv_error *err) {
  int64_t kept = 0;
  qsort(s->line, (size_t)s->n, sizeof *s->line, by_reward);
  for (int64_t i = 0; i < s->n; i++) {
    if (flv_key_table_find(&s->seen, s->line[i].key)) continue;
    if (!flv_key_table_add(&s->seen, s->line[i].key, s->line[i].log_r))
      return flv_fail(err, FLV_ENOMEM, "out of memory for %lld objects", (long long)s->n);
    s->line[kept++] = s->line[i];
  }
  s->n = kept;
  return FLV_OK;
}

// ---- writing ----

static void write_row(FILE *f, const selection *s, const flv_found_line *l, double nearest) {
  fprintf(f, "%s,%.17g,%.6g,%lld", l->text, l->log_r, flv_reward_value(s->reward, l->log_r),
          (long long)l->iteration);
  if (!isnan(nearest)) fprintf(f, ",%.4g", nearest);
  fputc('\n', f);
}

static flv_status select_lines(selection *s, flv_error *err) {
  flv_best *out = s->out;
  const double log_modes = flv_reward_log_of(s->reward, s->options->modes_above);
  for (int64_t i = 0; i < s->n; i++) {
    const flv_found_line *l = &s->line[i];
    const bool high = l->log_r >= log_modes;
    uint64_t bits[FLV_FINGERPRINT_MAX];
    bool kept = false;
    double nearest = 0.0;
    if (out->n_best < s->options->n) {
      write_row(s->best.f, s, l, (double)NAN);
      out->n_best++;
    }
    if (!high && out->n_best == s->options->n && out->n_diverse == s->options->n) break;
    if (high || out->n_diverse < s->options->n) {
      FLV_TRY(s->env->ops->fingerprint(s->env, l->text, bits, err));
      FLV_TRY(flv_diverse_add(&s->set, bits, &kept, &nearest, err));
    }
    out->above += high;
    out->modes += high && kept;
    if (kept && out->n_diverse < s->options->n) {
      write_row(s->diverse.f, s, l, nearest);
      out->n_diverse++;
    }
  }
  return FLV_OK;
}

static flv_status open_file(flv_atomic *file, const char *dir, const char *name, const flv_env *env,
                            const char *more, flv_error *err) {
  char path[FLV_PATH_MAX];
  FLV_TRY(flv_run_dir_path(path, dir, name, err));
  FLV_TRY(flv_atomic_open(file, path, err));
  fprintf(file->f, "%s,log_r,reward,iteration%s\n", env->text_name, more);
  return FLV_OK;
}

static flv_status write_files(selection *s, const char *dir, flv_error *err) {
  FLV_TRY(open_file(&s->best, dir, "best.csv", s->env, "", err));
  flv_status status = open_file(&s->diverse, dir, "diverse.csv", s->env, ",nearest", err);
  if (status == FLV_OK) {
    status = select_lines(s, err);
    if (status == FLV_OK) status = flv_atomic_commit(&s->diverse, err);
    flv_atomic_abandon(&s->diverse);
  }
  if (status == FLV_OK) status = flv_atomic_commit(&s->best, err);
  flv_atomic_abandon(&s->best);
  return status;
}

flv_status flv_best_write(const char *dir, const flv_env *env, const flv_reward *reward,
                          const flv_best_options *options, flv_best *out, flv_error *err) {
  selection s = {.env = env, .reward = reward, .options = options};
  flv_best found = {
      .modes_above = options->modes_above, .similarity = options->similarity, .best = (double)NAN};
  char path[FLV_PATH_MAX], *text;
  size_t size;
  FLV_TRY(flv_run_dir_path(path, dir, "objects.csv", err));
  FLV_TRY(flv_file_read(path, &text, &size, err));
  s.out = &found;
  flv_diverse_init(&s.set, env->n_fingerprint, options->similarity);
  flv_status status = cut_lines(&s, text, path, err);
  if (status == FLV_OK) status = rank(&s, err);
  if (status == FLV_OK) {
    found.objects = s.n;
    if (s.n > 0) found.best = flv_reward_value(reward, s.line[0].log_r);
    status = write_files(&s, dir, err);
  }
  if (status == FLV_OK) *out = found;
  flv_diverse_free(&s.set);
  flv_key_table_free(&s.seen);
  free(s.line);
  free(text);
  return status;
}

// ---- a run's ----

flv_best_options flv_best_configured(const flv_config *cfg) {
  const flv_archive_cfg *a = flv_config_values(cfg, "archive");
  return (flv_best_options){
      .n = a->best, .modes_above = a->modes_above, .similarity = a->similarity};
}

static flv_status choose(const char *dir, const flv_config *cfg, const flv_best_options *options,
                         flv_best *out, flv_error *err) {
  flv_best_options o = flv_best_configured(cfg);
  if (options && options->n > 0) o.n = options->n;
  if (options && options->modes_above >= 0.0) o.modes_above = options->modes_above;
  if (options && options->similarity >= 0.0) o.similarity = options->similarity;
  flv_reward *reward = flv_reward_new(cfg, err);
  flv_env *env = reward ? flv_env_new(cfg, &reward->shape, err) : NULL;
  flv_status status = env ? FLV_OK : err->status;
  if (env && !env->text_name)
    status = flv_fail(err, FLV_EINVAL,
                      "%s: objects of environment '%s' have no texts; there is no archive of them",
                      dir, env->name);
  if (status == FLV_OK) status = flv_best_write(dir, env, reward, &o, out, err);
  flv_env_free(env);
  flv_reward_free(reward);
  return status;
}

flv_status flv_run_best(const char *dir, const flv_best_options *options, flv_best *out,
                        flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  flv_config *cfg = flv_run_dir_config(dir, err);
  if (!cfg) return err->status;
  const flv_status status = choose(dir, cfg, options, out, err);
  flv_config_free(cfg);
  return status;
}
