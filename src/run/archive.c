#include "run/archive.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/sort.h"
#include "io/file.h"
#include "learn/sections.h"

static flv_status out_of_memory(flv_error *err) {
  return flv_fail(err, FLV_ENOMEM, "out of memory for the archive of objects");
}

flv_status flv_archive_init(flv_archive *archive, const flv_trainer *trainer, flv_error *err) {
  const flv_env *env = flv_trainer_env(trainer);
  const flv_reward *reward = flv_trainer_reward(trainer);
  const flv_archive_cfg *cfg = flv_config_values(flv_trainer_config(trainer), "archive");
  const flv_train_cfg *train = flv_config_values(flv_trainer_config(trainer), "");
  const size_t batch = (size_t)train->batch;
  *archive = (flv_archive){0};
  if (!env->text_name) return FLV_OK;
  flv_archive a = {.env = env,
                   .reward = reward,
                   .log_above = flv_reward_log_of(reward, cfg->above),
                   .log_modes = flv_reward_log_of(reward, cfg->modes_above),
                   .best = (double)NAN};
  const flv_slot slots[] = {FLV_SLOT(a.states, batch * env->state_size), FLV_SLOT(a.log_r, batch),
                            FLV_SLOT(a.key, 2 * batch), FLV_SLOT(a.sorted, FLV_LATEST)};
  a.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!a.block) return out_of_memory(err);
  flv_diverse_init(&a.modes, env->n_fingerprint, cfg->similarity);
  *archive = a;
  return FLV_OK;
}

void flv_archive_free(flv_archive *archive) {
  flv_key_table_free(&archive->known);
  flv_diverse_free(&archive->modes);
  flv_free(archive->block);
  *archive = (flv_archive){0};
}

// ---- what is new ----

// s0, where it is an object, is nothing to write of.
static bool improves(const flv_archive *a, const uint64_t key[2], double log_r) {
  if ((key[0] | key[1]) == 0) return false;
  const double *known = flv_key_table_find(&a->known, key);
  return log_r >= a->log_above && (!known || log_r > *known);
}

static flv_status put(flv_archive *a, const uint64_t key[2], double log_r, const char *text,
                      flv_error *err) {
  double *known = flv_key_table_find(&a->known, key);
  if (log_r >= a->log_modes && !(known && *known >= a->log_modes)) {
    uint64_t bits[FLV_FINGERPRINT_MAX];
    bool kept;
    FLV_TRY(a->env->ops->fingerprint(a->env, text, bits, err));
    FLV_TRY(flv_diverse_add(&a->modes, bits, &kept, NULL, err));
    a->above++;
  }
  if (known)
    *known = log_r;
  else if (!flv_key_table_add(&a->known, key, log_r))
    return out_of_memory(err);
  if (!(log_r <= a->best)) a->best = log_r;
  return FLV_OK;
}

static flv_status take(flv_archive *a, int i, int64_t iteration, FILE *objects, flv_error *err) {
  char text[FLV_OBJECT_TEXT];
  const uint64_t *key = a->key + 2 * (size_t)i;
  FLV_TRY(a->env->ops->text(a->env, a->states + (size_t)i * a->env->state_size, text, sizeof text,
                            err));
  FLV_TRY(put(a, key, a->log_r[i], text, err));
  // 17 digits read back to the same double, which decides what is larger
  if (fprintf(objects, "%lld,%s,%.17g,%.6g,%016" PRIx64 "%016" PRIx64 "\n", (long long)iteration,
              text, a->log_r[i], flv_reward_value(a->reward, a->log_r[i]), key[1], key[0]) < 0)
    return flv_fail(err, FLV_EIO, "objects.csv: cannot write: %s", strerror(errno));
  return FLV_OK;
}

flv_status flv_archive_step(flv_archive *archive, const flv_trainer *trainer, FILE *objects,
                            flv_tally *tally, flv_error *err) {
  flv_archive *a = archive;
  if (!a->env) return FLV_OK;
  const int n = flv_trainer_objects(trainer, a->states, a->log_r);
  for (int i = 0; i < n; i++) tally->log_r[tally->objects++ % FLV_LATEST] = a->log_r[i];
  a->env->ops->identify(a->env, n, a->states, a->key);
  for (int i = 0; i < n; i++)
    if (improves(a, a->key + 2 * (size_t)i, a->log_r[i]))
      FLV_TRY(take(a, i, flv_trainer_iteration(trainer), objects, err));
  return FLV_OK;
}

// ---- reading again ----

char *flv_line_end(char *line) {
  char *end = strchr(line, '\n');
  if (end) *end = '\0';
  return end;
}

static bool cut_hex(uint64_t *out, const char *text) {
  char digits[17], *end;
  memcpy(digits, text, 16);
  digits[16] = '\0';
  *out = strtoull(digits, &end, 16);
  return *end == '\0';
}

bool flv_found_line_cut(flv_found_line *out, char *line) {
  char *field[5] = {line}, *end;
  int n = 1;
  for (char *c = line; *c; c++) {
    if (*c != ',') continue;
    if (n == 5) return false;
    *c = '\0';
    field[n++] = c + 1;
  }
  if (n != 5 || strlen(field[4]) != 32) return false;
  *out = (flv_found_line){.iteration = strtoll(field[0], &end, 10), .text = field[1]};
  if (*end || end == field[0]) return false;
  out->log_r = strtod(field[2], &end);
  if (*end || end == field[2] || isnan(out->log_r)) return false;
  return cut_hex(&out->key[1], field[4]) && cut_hex(&out->key[0], field[4] + 16) &&
         (out->key[0] | out->key[1]) != 0;
}

static flv_status put_lines(flv_archive *a, char *text, const char *path, flv_error *err) {
  char *end = flv_line_end(text); // the header's
  for (int64_t number = 2; end && end[1]; number++) {
    char *line = end + 1;
    flv_found_line l;
    end = flv_line_end(line);
    if (!end || !flv_found_line_cut(&l, line))
      return flv_fail(err, FLV_EINVAL, "%s: line %lld is not as it was written", path,
                      (long long)number);
    FLV_TRY(put(a, l.key, l.log_r, l.text, err));
  }
  return FLV_OK;
}

flv_status flv_archive_read(flv_archive *archive, const char *dir, flv_error *err) {
  char path[FLV_PATH_MAX], *text;
  size_t size;
  if (!archive->env) return FLV_OK;
  FLV_TRY(flv_run_dir_path(path, dir, "objects.csv", err));
  FLV_TRY(flv_file_read(path, &text, &size, err));
  const flv_status status = put_lines(archive, text, path, err);
  free(text);
  return status;
}

// ---- summary ----

// The order statistic nearest to share q of n sorted values.
static double quantile(const flv_archive *a, int n, double q) {
  return n > 0 ? flv_reward_value(a->reward, a->sorted[(int)(q * (n - 1) + 0.5)]) : (double)NAN;
}

flv_found flv_archive_found(const flv_archive *archive, const flv_tally *tally) {
  const flv_archive *a = archive;
  if (!a->env) return (flv_found){0};
  const int n = tally->objects < FLV_LATEST ? (int)tally->objects : FLV_LATEST;
  memcpy(a->sorted, tally->log_r, (size_t)n * sizeof *a->sorted);
  flv_sort((size_t)n, a->sorted);
  return (flv_found){.archived = true,
                     .objects = (int64_t)a->known.n,
                     .above = a->above,
                     .modes = a->modes.n,
                     .best_log_r = a->best,
                     .best = flv_reward_value(a->reward, a->best),
                     .low = quantile(a, n, 0.1),
                     .median = quantile(a, n, 0.5),
                     .high = quantile(a, n, 0.9)};
}
