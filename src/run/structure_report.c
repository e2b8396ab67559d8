// The report of a run on causal graphs: tables, pictures, samples, a summary.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "fluvial/structure.h"
#include "fluvial/table.h"
#include "io/file.h"
#include "io/graphviz.h"
#include "io/plot.h"
#include "io/quote.h"
#include "run/posterior.h"
#include "run/run_dir.h"

typedef flv_status (*writer)(FILE *f, const flv_posterior *p, const void *how, flv_error *err);

static flv_status write_file(const char *folder, const char *name, writer write,
                             const flv_posterior *p, const void *how, flv_error *err) {
  char path[FLV_PATH_MAX];
  flv_atomic file;
  FLV_TRY(flv_run_dir_path(path, folder, name, err));
  FLV_TRY(flv_atomic_open(&file, path, err));
  const flv_status status = write(file.f, p, how, err);
  if (status == FLV_OK) return flv_atomic_commit(&file, err);
  flv_atomic_abandon(&file);
  return status;
}

// ---- features ----

static flv_status put_feature(FILE *f, const flv_posterior *p, const void *how, flv_error *err) {
  (void)err;
  const flv_feature feature = *(const flv_feature *)how;
  const bool pairs = feature == FLV_BLANKETS; // unordered
  fputs(pairs ? "first,second,probability,error,sampler\n" : "from,to,probability,error,sampler\n",
        f);
  for (int i = 0; i < p->d; i++)
    for (int j = pairs ? i + 1 : 0; j < p->d; j++) {
      if (i == j) continue;
      const double best = p->best[feature][i * p->d + j];
      flv_quote_csv(f, p->names[i]);
      fputc(',', f);
      flv_quote_csv(f, p->names[j]);
      fprintf(f, ",%.9g,%.3g,%.9g\n", best,
              p->exact ? 0.0 : sqrt(best * (1.0 - best) / (double)p->n_samples),
              p->sampler[feature][i * p->d + j]);
    }
  return FLV_OK;
}

// ---- graphs ----

static char *edge_list(const flv_posterior *p, const uint64_t *parents, size_t *size) {
  char *text = NULL;
  FILE *f = open_memstream(&text, size);
  if (!f) return NULL;
  const char *between = "";
  for (int i = 0; i < p->d; i++)
    for (int j = 0; j < p->d; j++)
      if (parents[j] >> i & 1) {
        fprintf(f, "%s%s -> %s", between, p->names[i], p->names[j]);
        between = "; ";
      }
  return fclose(f) == 0 ? text : NULL;
}

static flv_status put_graphs(FILE *f, const flv_posterior *p, const void *how, flv_error *err) {
  (void)how;
  fputs("rank,probability,log_r,edges,graph\n", f);
  for (int k = 0; k < p->n_top; k++) {
    const flv_ranked_graph *g = &p->top[k];
    int edges = 0;
    for (int j = 0; j < p->d; j++) edges += __builtin_popcountll(g->parents[j]);
    size_t size = 0;
    char *text = edge_list(p, g->parents, &size);
    if (!text) return flv_fail(err, FLV_ENOMEM, "out of memory for a graph of %d edges", edges);
    fprintf(f, "%d,%.9g,%.10g,%d,", k + 1, g->probability, g->log_r, edges);
    flv_quote_csv(f, text);
    fputc('\n', f);
    free(text);
  }
  return FLV_OK;
}

// ---- samples ----

static void put_pair(FILE *f, const char *from, const char *to) {
  char text[2 * FLV_DATA_MAX_NAME + 8];
  snprintf(text, sizeof text, "%s->%s", from, to);
  flv_quote_csv(f, text);
  fputc(',', f);
}

static flv_status put_samples(FILE *f, const flv_posterior *p, const void *how, flv_error *err) {
  (void)how, (void)err;
  for (int i = 0; i < p->d; i++)
    for (int j = 0; j < p->d; j++) put_pair(f, p->names[i], p->names[j]);
  fputs("log_r\n", f);
  for (int64_t s = 0; s < p->n_samples; s++) {
    const uint64_t *parents = p->sample + s * p->d;
    for (int i = 0; i < p->d; i++)
      for (int j = 0; j < p->d; j++) fputs(parents[j] >> i & 1 ? "1," : "0,", f);
    fprintf(f, "%.10g\n", p->log_r[s]);
  }
  return FLV_OK;
}

static flv_status write_npy(const char *folder, const flv_posterior *p, flv_error *err) {
  char path[FLV_PATH_MAX];
  FLV_TRY(flv_run_dir_path(path, folder, "samples.npy", err));
  const size_t d = (size_t)p->d, n = (size_t)p->n_samples;
  int32_t *cells = flv_alloc(n * d * d * sizeof *cells);
  if (!cells) return flv_fail(err, FLV_ENOMEM, "out of memory for %zu graphs", n);
  for (size_t s = 0; s < n; s++)
    for (size_t i = 0; i < d; i++)
      for (size_t j = 0; j < d; j++)
        cells[(s * d + i) * d + j] = (int32_t)(p->sample[s * d + j] >> i & 1);
  const int64_t dim[3] = {p->n_samples, p->d, p->d};
  const flv_status status = flv_npy_write(path, "<i4", 3, dim, cells, err);
  flv_free(cells);
  return status;
}

// ---- pictures ----

// A program that is missing or fails is told of, not failed at; anything before it is.
static flv_status draw_heat(const char *folder, const flv_posterior *p, char note[600],
                            flv_error *err) {
  char path[FLV_PATH_MAX];
  flv_error local = {0};
  FLV_TRY(flv_run_dir_path(path, folder, "edges.png", err));
  const char *title =
      p->exact ? "probability of an edge (exact)" : "probability of an edge (sampled)";
  if (flv_plot_matrix(path, title, "from", "to", p->d, p->names, p->best[FLV_EDGES], &local) !=
      FLV_OK)
    snprintf(note, sizeof local.text, "%s", local.text);
  return FLV_OK;
}

static flv_status draw_graph(const char *folder, const flv_posterior *p, double threshold,
                             char note[600], flv_error *err) {
  char path[FLV_PATH_MAX], title[64];
  uint64_t parents[FLV_DAG_MAX_VARIABLES] = {0};
  flv_error local = {0};
  for (int i = 0; i < p->d; i++)
    for (int j = 0; j < p->d; j++)
      if (i != j && p->best[FLV_EDGES][i * p->d + j] >= threshold) parents[j] |= UINT64_C(1) << i;
  snprintf(title, sizeof title, "edges of probability %g and above", threshold);
  FLV_TRY(flv_run_dir_path(path, folder, "graph.dot", err));
  FLV_TRY(flv_graphviz_write(path, title, p->d, p->names, parents, p->best[FLV_EDGES], err));
  if (flv_graphviz_draw(folder, "graph.dot", "graph.png", &local) != FLV_OK)
    snprintf(note, sizeof local.text, "%s", local.text);
  return FLV_OK;
}

// ---- all ----

static flv_status put_summary(FILE *f, const flv_posterior *p, const void *how, flv_error *err) {
  (void)err;
  flv_posterior_summary(f, p, *(const double *)how);
  return FLV_OK;
}

static flv_status write_all(const char *dir, const flv_posterior *p, double threshold,
                            flv_structure_pictures *pictures, flv_error *err) {
  static const struct {
    flv_feature feature;
    const char *name;
  } features[] = {
      {FLV_EDGES, "edges.csv"}, {FLV_PATHS, "paths.csv"}, {FLV_BLANKETS, "markov_blankets.csv"}};
  char folder[FLV_PATH_MAX];
  FLV_TRY(flv_run_dir_path(folder, dir, "report", err));
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    return flv_fail(err, FLV_EIO, "%s: cannot make the folder: %s", folder, strerror(errno));
  for (int k = 0; k < 3; k++)
    FLV_TRY(write_file(folder, features[k].name, put_feature, p, &features[k].feature, err));
  FLV_TRY(write_file(folder, "graphs.csv", put_graphs, p, NULL, err));
  FLV_TRY(write_file(folder, "samples.csv", put_samples, p, NULL, err));
  FLV_TRY(write_npy(folder, p, err));
  FLV_TRY(write_file(folder, "summary.txt", put_summary, p, &threshold, err));
  FLV_TRY(draw_heat(folder, p, pictures->heat, err));
  return draw_graph(folder, p, threshold, pictures->graph, err);
}

flv_status flv_structure_report(const char *dir, const flv_structure_options *options,
                                flv_structure_pictures *pictures, flv_error *err) {
  flv_error local = {0};
  flv_structure_pictures unused;
  const flv_structure_options o = options ? *options : (flv_structure_options){0};
  if (!err) err = &local;
  if (!pictures) pictures = &unused;
  *pictures = (flv_structure_pictures){0};
  if (!(o.threshold >= 0.0 && o.threshold <= 1.0))
    return flv_fail(err, FLV_EINVAL, "threshold %g: expected 0 to 1", o.threshold);
  if (o.samples < 0 || o.samples > INT64_C(10000000))
    return flv_fail(err, FLV_EINVAL, "%lld samples: expected at most 1e7", (long long)o.samples);
  flv_posterior p;
  FLV_TRY(flv_posterior_open(&p, dir, &o, err));
  const double threshold = o.threshold > 0.0 ? o.threshold : 0.5;
  const flv_status status = write_all(dir, &p, threshold, pictures, err);
  flv_posterior_close(&p);
  return status;
}
