// Given molecules under a run's sampler, from a file and to a table.
#include <math.h>
#include <stdlib.h>

#include "fluvial/run.h"
#include "io/file.h"

static void write_number(FILE *f, double v) {
  if (isnan(v))
    fputc(',', f);
  else
    fprintf(f, ",%.17g", v);
}

static flv_status write_scores(const char *path, const flv_molecule_list *list,
                               const flv_molecule_score *score, flv_error *err) {
  flv_atomic file;
  FLV_TRY(flv_atomic_open(&file, path, err));
  fputs("line,blocks,writings,log_r,log_p,log_p_legacy\n", file.f);
  for (int64_t i = 0; i < flv_molecule_list_count(list); i++) {
    fprintf(file.f, "%d,%d,%d", flv_molecule_list_line(list, i), flv_molecule_list_blocks(list, i),
            score[i].writings);
    write_number(file.f, score[i].log_r);
    write_number(file.f, score[i].log_p);
    write_number(file.f, score[i].log_p_legacy);
    fputc('\n', file.f);
  }
  return flv_atomic_commit(&file, err);
}

static flv_molecule_list *read_list(const flv_env *env, const char *path, flv_error *err) {
  char *text;
  size_t size;
  if (flv_file_read(path, &text, &size, err) != FLV_OK) return NULL;
  flv_molecule_list *list = flv_molecule_list_parse(env, text, size, err);
  free(text);
  if (!list) flv_error_prefix(err, "%s", path);
  return list;
}

static flv_status evaluate(flv_trainer *trainer, const flv_run_molecules_options *o,
                           flv_molecule_evaluation *out, flv_error *err) {
  flv_molecule_list *list = read_list(flv_trainer_env(trainer), o->molecules, err);
  if (!list) return err->status;
  flv_molecule_score *score = calloc((size_t)flv_molecule_list_count(list), sizeof *score);
  flv_status status =
      score ? flv_trainer_molecules(trainer, list, o->progress, o->user, score, out, err)
            : flv_fail(err, FLV_ENOMEM, "out of memory for %lld molecules",
                       (long long)flv_molecule_list_count(list));
  if (status != FLV_OK) flv_error_prefix(err, "%s", o->molecules);
  if (status == FLV_OK && o->out) status = write_scores(o->out, list, score, err);
  free(score);
  flv_molecule_list_free(list);
  return status;
}

flv_status flv_run_molecules(const char *dir, const flv_run_molecules_options *options,
                             flv_molecule_evaluation *out, flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  flv_trainer *trainer = flv_run_open(dir, options->threads, err);
  if (!trainer) return err->status;
  const flv_status status = evaluate(trainer, options, out, err);
  flv_trainer_free(trainer);
  return status;
}
