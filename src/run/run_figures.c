// Pictures of runs: curves of a metric over trajectories, and the learned marginal beside the
// target's.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fluvial/run.h"
#include "io/file.h"
#include "run/curve.h"
#include "run/run_dir.h"

static int column_of(const char *header, const char *name, char *all, size_t all_size) {
  int found = -1;
  char line[1024];
  snprintf(line, sizeof line, "%.*s", (int)strcspn(header, "\r\n"), header);
  all[0] = '\0';
  int i = 0;
  for (char *save = NULL, *word = strtok_r(line, ",", &save); word;
       word = strtok_r(NULL, ",", &save), i++) {
    if (strcmp(word, name) == 0) found = i;
    const size_t used = strlen(all);
    snprintf(all + used, all_size - used, "%s%s", i ? ", " : "", word);
  }
  return found;
}

static double field(const char *line, int column) {
  for (; column > 0 && line; column--) {
    line = strchr(line, ',');
    if (line) line++;
  }
  return line ? strtod(line, NULL) : (double)NAN;
}

flv_status flv_run_curve(const char *dir, const char *metric, flv_curve *curve, double **xy,
                         flv_error *err) {
  char path[FLV_PATH_MAX], names[600];
  FLV_TRY(flv_run_dir_path(path, dir, "metrics.csv", err));
  char *text;
  size_t size;
  FLV_TRY(flv_file_read(path, &text, &size, err));
  const int x = column_of(text, "trajectories", names, sizeof names);
  const int y = column_of(text, metric, names, sizeof names);
  size_t rows = 0;
  for (const char *p = text; (p = strchr(p, '\n')); p++) rows++;
  double *data = x >= 0 && y >= 0 ? calloc(2 * rows + 2, sizeof *data) : NULL;
  if (!data) {
    free(text);
    return x < 0 || y < 0 ? flv_fail(err, FLV_EINVAL, "%s: no column '%s' (there are: %s)", path,
                                     metric, names)
                          : flv_fail(err, FLV_ENOMEM, "out of memory for the curve of %s", dir);
  }
  int n = 0;
  const char *line = strchr(text, '\n');
  for (; line && line[1]; line = strchr(line + 1, '\n'), n++) {
    data[n] = field(line + 1, x);
    data[rows + (size_t)n] = field(line + 1, y);
  }
  free(text);
  *xy = data;
  *curve = (flv_curve){.label = dir, .n = n, .x = data, .y = data + rows};
  return FLV_OK;
}

const char *flv_metric_title(const char *metric) {
  static const char *const titles[][2] = {
      {"jsd", "Jensen-Shannon divergence to the target (nats)"},
      {"tv", "total variation"},
      {"kl_pq", "KL(target || sampler) (nats)"},
      {"kl_qp", "KL(sampler || target) (nats)"},
      {"modes_found", "modes found"},
      {"log_z", "log Z"},
      {"objects", "distinct objects found"},
      {"modes", "modes found, as they come"},
      {"best_log_r", "largest log R found"},
      {"reward_50", "median reward of the latest objects"},
      {"log_z_error", "|log Z learned - log Z true|"},
  };
  for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
    if (strcmp(metric, titles[i][0]) == 0) return titles[i][1];
  return metric;
}

bool flv_metric_is_logarithmic(const char *metric) {
  return strcmp(metric, "jsd") == 0 || strcmp(metric, "tv") == 0 ||
         strncmp(metric, "kl_", 3) == 0 || strcmp(metric, "l1") == 0 ||
         strcmp(metric, "log_z_error") == 0;
}

flv_status flv_run_plot_curves(int n, const char *const *dirs, const char *metric, const char *png,
                               flv_error *err) {
  if (!metric) metric = "jsd";
  flv_curve *curves = calloc((size_t)n + 1, sizeof *curves);
  double **xy = calloc((size_t)n + 1, sizeof *xy);
  flv_status status =
      curves && xy ? FLV_OK : flv_fail(err, FLV_ENOMEM, "out of memory for %d curves", n);
  for (int i = 0; i < n && status == FLV_OK; i++) {
    status = flv_run_curve(dirs[i], metric, &curves[i], &xy[i], err);
    const char *slash = status == FLV_OK ? strrchr(dirs[i], '/') : NULL;
    if (slash && slash[1]) curves[i].label = slash + 1;
  }
  const bool log_y = flv_metric_is_logarithmic(metric);
  if (status == FLV_OK)
    status =
        flv_plot_curves(png, "", "trajectories", flv_metric_title(metric), log_y, n, curves, err);
  for (int i = 0; xy && i < n; i++) free(xy[i]);
  free(xy);
  free(curves);
  return status;
}

// Sums p over all dimensions but the first two: out [side0, side1] (side1 = 1 for one dimension).
static void marginal(const flv_shape *shape, const double *p, double *out) {
  const int cols = shape->n > 1 ? shape->side[1] : 1;
  size_t rest = 1;
  for (int d = 2; d < shape->n; d++) rest *= (size_t)shape->side[d];
  for (size_t cell = 0; cell < (size_t)shape->side[0] * (size_t)cols; cell++) {
    out[cell] = 0.0;
    for (size_t k = 0; k < rest; k++) out[cell] += p[cell * rest + k];
  }
}

static flv_status draw_marginals(const flv_shape *shape, const double *target,
                                 const double *learned, const char *png, flv_error *err) {
  if (shape->n == 1) {
    double *x = calloc((size_t)shape->side[0], sizeof *x);
    if (!x) return flv_fail(err, FLV_ENOMEM, "out of memory for the picture");
    for (int i = 0; i < shape->side[0]; i++) x[i] = i;
    const flv_curve curves[] = {{"target", shape->side[0], x, target},
                                {"learned", shape->side[0], x, learned}};
    const flv_status status =
        flv_plot_curves(png, "distribution", "x0", "probability", false, 2, curves, err);
    free(x);
    return status;
  }
  const flv_heat maps[] = {{"target", shape->side[0], shape->side[1], target},
                           {"learned", shape->side[0], shape->side[1], learned}};
  const char *title = shape->n == 2 ? "" : "marginal of the first two dimensions";
  return flv_plot_heat(png, title, 0.5, 2, maps, err);
}

static flv_status draw_heat(flv_trainer *trainer, const char *png, flv_error *err) {
  const flv_env *env = flv_trainer_env(trainer);
  if (env->shape.n == 0)
    return flv_fail(err, FLV_EINVAL, "a heat map needs a grid, and '%s' is none", env->name);
  flv_error too_many = {0}; // asked before memory for all states is
  if (flv_trainer_distribution(trainer, NULL, NULL, &too_many) != FLV_OK)
    return flv_fail(err, too_many.status, "a heat map is drawn exactly: %s", too_many.text);
  const size_t n = (size_t)env->n_states;
  const size_t cells =
      (size_t)env->shape.side[0] * (env->shape.n > 1 ? (size_t)env->shape.side[1] : 1);
  double *p, *q, *target, *learned;
  const flv_slot slots[] = {FLV_SLOT(p, n), FLV_SLOT(q, n), FLV_SLOT(target, cells),
                            FLV_SLOT(learned, cells)};
  void *block = flv_bind(4, slots);
  if (!block) return flv_fail(err, FLV_ENOMEM, "out of memory for %zu states", n);
  flv_status status = flv_trainer_distribution(trainer, p, q, err);
  if (status == FLV_OK) {
    marginal(&env->shape, p, learned);
    marginal(&env->shape, q, target);
    status = draw_marginals(&env->shape, target, learned, png, err);
  }
  flv_free(block);
  return status;
}

flv_status flv_run_plot_heat(const char *dir, int threads, const char *png, flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  flv_trainer *trainer = flv_run_open(dir, threads, err);
  if (!trainer) return err->status;
  const flv_status status = draw_heat(trainer, png, err);
  flv_trainer_free(trainer);
  return status;
}
