// Pictures of runs, for `train` and `plot`.
#include "pictures.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fluvial/run.h"
#include "options.h"

static const int64_t most_states = INT64_C(1)
                                   << 24; // as flv_trainer_evaluate's limit for exactness

bool cli_run_has_marginals(const char *dir, int threads, flv_error *err) {
  flv_trainer *trainer = flv_run_open(dir, threads, err);
  if (!trainer) return false;
  const flv_env *env = flv_trainer_env(trainer);
  const bool drawable = env->shape.n > 0 && env->n_states > 0 && env->n_states <= most_states;
  flv_trainer_free(trainer);
  return drawable;
}

bool cli_picture_path(char *out, int size, const char *dir, const char *name) {
  int length = snprintf(out, (size_t)size, "%s/plots", dir);
  if (length < size && mkdir(out, 0777) != 0 && errno != EEXIST) {
    cli_fail("%s: cannot make the folder: %s", out, strerror(errno));
    return false;
  }
  length = snprintf(out, (size_t)size, "%s/plots/%s", dir, name);
  if (length >= size) cli_fail("%s: the path is too long", dir);
  return length < size;
}

// path is "" after a failure.
static void draw(char path[1024], const char *dir, const char *name, const char *metric,
                 int threads, flv_error *failed) {
  if (!cli_picture_path(path, 1024, dir, name)) {
    path[0] = '\0';
    return;
  }
  const flv_status status = metric ? flv_run_plot_curves(1, &dir, metric, path, failed)
                                   : flv_run_plot_heat(dir, threads, path, failed);
  if (status != FLV_OK) path[0] = '\0';
}

void cli_draw_run(cli_drawn *drawn, const char *dir, int threads,
                  const flv_evaluation *evaluation) {
  *drawn = (cli_drawn){0};
  draw(drawn->curves, dir, "curves.png", isnan(evaluation->jsd) ? "loss" : "jsd", threads,
       &drawn->failed[0]);
  flv_error err = {0};
  if (cli_run_has_marginals(dir, threads, &err))
    draw(drawn->learned, dir, "learned.png", NULL, threads, &drawn->failed[1]);
}
