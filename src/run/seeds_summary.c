// Over the seeds: median, lowest and highest of each metric at each evaluation, as a table and a
// picture. Evaluations are at the same iterations in all runs, so row r is row r everywhere; a run
// that has not come so far does not count in it.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/sort.h"
#include "base/memory.h"
#include "io/file.h"
#include "run/curve.h"
#include "run/seeds_dir.h"

static const char *const metrics[] = {"loss", "log_z", "log_z_error", "jsd", "tv", "kl_pq", "kl_qp",
                                      "l1", "modes_found",
                                      // of runs with an archive
                                      "objects", "above", "modes", "best_log_r", "reward_50"};
enum {
  METRICS = sizeof metrics / sizeof *metrics,
  WITHOUT_ARCHIVE = METRICS - 5,
  LOSS = 0,
  LOG_Z = 1,
  LOG_Z_ERROR = 2,
  JSD = 3
};

typedef struct summary {
  int n, rows;
  int metrics;                      // METRICS or WITHOUT_ARCHIVE
  double *iteration, *trajectories; // [rows]
  int *reached;                     // [rows] runs that have the row
  double *value[METRICS];           // [n, rows], NaN where unknown
  double *median, *low, *high;      // [METRICS, rows]
  void *block;
} summary;

// ---- reading ----

typedef struct column {
  flv_curve curve; // x: trajectories
  double *xy;
} column;

static flv_status count_rows(summary *s, char (*dir)[FLV_SEEDS_PATH], flv_error *err) {
  for (int k = 0; k < s->n; k++) {
    column c;
    FLV_TRY(flv_run_curve(dir[k], "iteration", &c.curve, &c.xy, err));
    if (c.curve.n > s->rows) s->rows = c.curve.n;
    free(c.xy);
  }
  column modes;
  flv_error none = {0};
  const flv_status archive = flv_run_curve(dir[0], "modes", &modes.curve, &modes.xy, &none);
  if (archive != FLV_OK && archive != FLV_EINVAL) return flv_fail(err, archive, "%s", none.text);
  if (archive == FLV_OK) free(modes.xy);
  s->metrics = archive == FLV_OK ? METRICS : WITHOUT_ARCHIVE;
  return s->rows > 0 ? FLV_OK : flv_fail(err, FLV_EINVAL, "no run has been evaluated yet");
}

static flv_status reserve(summary *s, flv_error *err) {
  const size_t rows = (size_t)s->rows, cells = rows * (size_t)s->n;
  flv_slot slot[METRICS + 6] = {
      FLV_SLOT(s->iteration, rows),     FLV_SLOT(s->trajectories, rows),
      FLV_SLOT(s->reached, rows),       FLV_SLOT(s->median, METRICS * rows),
      FLV_SLOT(s->low, METRICS * rows), FLV_SLOT(s->high, METRICS * rows)};
  for (int m = 0; m < METRICS; m++) slot[6 + m] = (flv_slot)FLV_SLOT(s->value[m], cells);
  s->block = flv_bind(METRICS + 6, slot);
  if (!s->block) return flv_fail(err, FLV_ENOMEM, "out of memory for the summary of %d runs", s->n);
  for (int m = 0; m < METRICS; m++)
    for (size_t i = 0; i < cells; i++) s->value[m][i] = (double)NAN;
  return FLV_OK;
}

static flv_status read_run(summary *s, int k, const char *dir, flv_error *err) {
  const size_t at = (size_t)k * (size_t)s->rows;
  column c;
  FLV_TRY(flv_run_curve(dir, "iteration", &c.curve, &c.xy, err));
  for (int r = 0; r < c.curve.n && r < s->rows; r++) {
    s->iteration[r] = c.curve.y[r];
    s->trajectories[r] = c.curve.x[r];
    s->reached[r]++;
  }
  free(c.xy);
  for (int m = 0; m < s->metrics; m++) {
    FLV_TRY(flv_run_curve(dir, m == LOG_Z_ERROR ? "log_z_true" : metrics[m], &c.curve, &c.xy, err));
    for (int r = 0; r < c.curve.n && r < s->rows; r++)
      s->value[m][at + (size_t)r] =
          m == LOG_Z_ERROR ? fabs(s->value[LOG_Z][at + (size_t)r] - c.curve.y[r]) : c.curve.y[r];
    free(c.xy);
  }
  return FLV_OK;
}

// ---- statistics ----

static void sort_out(summary *s, int m, int r) {
  double v[FLV_SEEDS_MAX] = {0};
  int n = 0;
  for (int k = 0; k < s->n; k++) {
    const double x = s->value[m][(size_t)k * (size_t)s->rows + (size_t)r];
    if (!isnan(x)) v[n++] = x;
  }
  flv_sort((size_t)n, v);
  const size_t at = (size_t)m * (size_t)s->rows + (size_t)r;
  s->low[at] = n > 0 ? v[0] : (double)NAN;
  s->high[at] = n > 0 ? v[n - 1] : (double)NAN;
  s->median[at] = n == 0 ? (double)NAN : n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

// ---- writing ----

static void put_number(FILE *f, double v) {
  if (isnan(v)) // never "-nan"
    fputs(",nan", f);
  else
    fprintf(f, ",%.10g", v);
}

static flv_status write_table(const summary *s, const char *dir, flv_error *err) {
  char path[FLV_PATH_MAX];
  flv_atomic file;
  FLV_TRY(flv_run_dir_path(path, dir, "summary.csv", err));
  FLV_TRY(flv_atomic_open(&file, path, err));
  fputs("iteration,trajectories,runs", file.f);
  for (int m = 0; m < s->metrics; m++)
    fprintf(file.f, ",%s_median,%s_low,%s_high", metrics[m], metrics[m], metrics[m]);
  for (int r = 0; r < s->rows; r++) {
    fprintf(file.f, "\n%.0f,%.0f,%d", s->iteration[r], s->trajectories[r], s->reached[r]);
    for (int m = 0; m < s->metrics; m++) {
      const size_t at = (size_t)m * (size_t)s->rows + (size_t)r;
      put_number(file.f, s->median[at]);
      put_number(file.f, s->low[at]);
      put_number(file.f, s->high[at]);
    }
  }
  fputc('\n', file.f);
  return flv_atomic_commit(&file, err);
}

// The first that is known of JSD, error of log Z, loss.
static int choose(const summary *s) {
  static const int order[] = {JSD, LOG_Z_ERROR, LOSS};
  for (int i = 0; i < 2; i++)
    for (int r = 0; r < s->rows; r++)
      if (isfinite(s->median[(size_t)order[i] * (size_t)s->rows + (size_t)r])) return order[i];
  return LOSS;
}

static flv_status draw(const summary *s, const char *dir, flv_error *err) {
  char path[FLV_PATH_MAX];
  FLV_TRY(flv_run_dir_path(path, dir, "seeds.png", err));
  flv_curve curves[FLV_SEEDS_MAX];
  const int m = choose(s);
  const bool log_y = flv_metric_is_logarithmic(metrics[m]);
  const size_t at = (size_t)m * (size_t)s->rows;
  int n = 0;
  for (int k = 0; k < s->n; k++) {
    const double *y = s->value[m] + (size_t)k * (size_t)s->rows;
    bool any = false;
    for (int r = 0; r < s->rows; r++) any |= isfinite(y[r]) && (!log_y || y[r] > 0.0);
    if (any) curves[n++] = (flv_curve){"seed", s->rows, s->trajectories, y};
  }
  const flv_curve middle = {"median", s->rows, s->trajectories, s->median + at};
  return flv_plot_spread(path, "", "trajectories", flv_metric_title(metrics[m]), log_y, n, curves,
                         &middle, s->low + at, s->high + at, err);
}

static flv_status summarise(summary *s, const char *dir, char (*run)[FLV_SEEDS_PATH],
                            flv_error *err) {
  FLV_TRY(count_rows(s, run, err));
  FLV_TRY(reserve(s, err));
  for (int k = 0; k < s->n; k++) FLV_TRY(read_run(s, k, run[k], err));
  for (int m = 0; m < s->metrics; m++)
    for (int r = 0; r < s->rows; r++) sort_out(s, m, r);
  FLV_TRY(write_table(s, dir, err));
  return draw(s, dir, err);
}

flv_status flv_seeds_summarise(const char *dir, flv_error *err) {
  summary s = {0};
  int64_t *seeds = NULL;
  FLV_TRY(flv_seeds_list(dir, &s.n, &seeds, err));
  char(*run)[FLV_SEEDS_PATH] = calloc((size_t)s.n, sizeof *run);
  flv_status status = run ? FLV_OK : flv_fail(err, FLV_ENOMEM, "out of memory for %d runs", s.n);
  for (int k = 0; k < s.n && status == FLV_OK; k++)
    status = flv_seeds_path(run[k], dir, seeds[k], err);
  if (status == FLV_OK) status = summarise(&s, dir, run, err);
  flv_free(s.block);
  free(run);
  free(seeds);
  return status;
}
