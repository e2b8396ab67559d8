// A random linear-Gaussian model and its samples, as files.
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fluvial/synth.h"
#include "io/file.h"
#include "io/graphviz.h"
#include "synth/dag_data.h"

enum { PATH_LEN = 1024 };

static flv_status open_file(flv_atomic *file, const char *folder, const char *name,
                            flv_error *err) {
  char path[PATH_LEN];
  if (snprintf(path, PATH_LEN, "%s/%s", folder, name) >= PATH_LEN)
    return flv_fail(err, FLV_EINVAL, "%.80s...: the path is too long", folder);
  return flv_atomic_open(file, path, err);
}

static void put_names(FILE *f, int d, const char *before_first) {
  fputs(before_first, f);
  for (int j = 0; j < d; j++) {
    char name[FLV_SYNTH_NAME];
    flv_synth_name(j, name);
    fprintf(f, "%s%s", j ? "," : "", name);
  }
  fputc('\n', f);
}

static flv_status write_data(const flv_dag_model *m, int64_t n, const char *folder,
                             flv_error *err) {
  flv_atomic file;
  double x[FLV_SYNTH_MAX];
  FLV_TRY(open_file(&file, folder, "data.csv", err));
  put_names(file.f, m->d, "");
  for (int64_t row = 0; row < n && !ferror(file.f); row++) {
    flv_dag_model_sample(m, (uint32_t)row, x);
    for (int j = 0; j < m->d; j++) fprintf(file.f, "%s%.9g", j ? "," : "", x[j]);
    fputc('\n', file.f);
  }
  return flv_atomic_commit(&file, err);
}

// The adjacency matrix, or that of the weights.
static flv_status write_matrix(const flv_dag_model *m, bool weights, const char *folder,
                               flv_error *err) {
  flv_atomic file;
  FLV_TRY(open_file(&file, folder, weights ? "weights.csv" : "graph.csv", err));
  put_names(file.f, m->d, "from,");
  for (int i = 0; i < m->d; i++) {
    char name[FLV_SYNTH_NAME];
    flv_synth_name(i, name);
    fputs(name, file.f);
    for (int j = 0; j < m->d; j++)
      fprintf(file.f, ",%.9g",
              weights ? m->weight[i * m->d + j] : (double)(m->parents[j] >> i & 1));
    fputc('\n', file.f);
  }
  return flv_atomic_commit(&file, err);
}

static flv_status write_dot(const flv_dag_model *m, const char *folder, flv_error *err) {
  char path[PATH_LEN], name[FLV_SYNTH_MAX][FLV_SYNTH_NAME];
  const char *names[FLV_SYNTH_MAX];
  snprintf(path, PATH_LEN, "%s/graph.dot", folder); // shorter than those before
  for (int j = 0; j < m->d; j++) {
    flv_synth_name(j, name[j]);
    names[j] = name[j];
  }
  return flv_graphviz_write(path, NULL, m->d, names, m->parents, NULL, err);
}

flv_status flv_synth_dag_write(const flv_synth_dag *synth, const char *folder, flv_error *err) {
  flv_dag_model m;
  FLV_TRY(flv_dag_model_draw(&m, synth, err));
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    return flv_fail(err, FLV_EIO, "%s: cannot make the folder: %s", folder, strerror(errno));
  FLV_TRY(write_data(&m, synth->samples, folder, err));
  FLV_TRY(write_matrix(&m, false, folder, err));
  FLV_TRY(write_matrix(&m, true, folder, err));
  return write_dot(&m, folder, err);
}
