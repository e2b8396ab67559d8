// Graphs in Graphviz's language, and drawn by its program dot.
#include "io/graphviz.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/file.h"
#include "io/program.h"
#include "io/quote.h"

enum { PATH_LEN = 1024 };

static void put_graph(FILE *f, const char *title, int d, const char *const *names,
                      const uint64_t *parents, const double *weight) {
  fprintf(f, "digraph {\n");
  if (title) {
    fprintf(f, "  label=");
    flv_quote_dot(f, title);
    fprintf(f, "; labelloc=t\n");
  }
  fprintf(f, "  bgcolor=white; pad=0.2; fontname=\"Sans\"; fontsize=13\n"
             "  node [shape=box style=\"rounded,filled\" fillcolor=\"#f2f6fa\" color=\"#404040\" "
             "fontname=\"Sans\" fontsize=13]\n"
             "  edge [color=\"#0072B2\" fontname=\"Sans\" fontsize=11]\n");
  for (int j = 0; j < d; j++) {
    fprintf(f, "  v%d [label=", j);
    flv_quote_dot(f, names[j]);
    fprintf(f, "]\n");
  }
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++) {
      if (!(parents[j] >> i & 1)) continue;
      fprintf(f, "  v%d -> v%d", i, j);
      if (weight) {
        const double p = weight[i * d + j];
        fprintf(f, " [label=\"%.2f\" penwidth=%.2f]", p, 0.5 + 2.5 * p);
      }
      fprintf(f, "\n");
    }
  fprintf(f, "}\n");
}

flv_status flv_graphviz_write(const char *path, const char *title, int d, const char *const *names,
                              const uint64_t *parents, const double *weight, flv_error *err) {
  flv_atomic file;
  FLV_TRY(flv_atomic_open(&file, path, err));
  put_graph(file.f, title, d, names, parents, weight);
  return flv_atomic_commit(&file, err);
}

flv_status flv_graphviz_draw(const char *folder, const char *dot, const char *png, flv_error *err) {
  char from[PATH_LEN], part[PATH_LEN], temporary[PATH_LEN], final[PATH_LEN];
  const int n = snprintf(temporary, PATH_LEN, "%s/%s.part", folder, png);
  if (n >= PATH_LEN) return flv_fail(err, FLV_EINVAL, "%.80s...: path is too long", folder);
  snprintf(final, PATH_LEN, "%.*s", n - 5, temporary);
  snprintf(from, PATH_LEN, "./%s", dot); // no name is an option
  snprintf(part, PATH_LEN, "-o./%s.part", png);
  char name[] = "dot", format[] = "-Tpng", dpi[] = "-Gdpi=120";
  char *argv[] = {name, format, dpi, part, from, NULL};
  flv_program_end end;
  flv_program_run(&end, folder, argv);
  if (end.fault == ENOENT)
    return flv_fail(err, FLV_EIO,
                    "Graphviz is not installed, so %s was not drawn (Debian, Ubuntu: apt install "
                    "graphviz); %s/%s is kept",
                    final, folder, dot);
  flv_status status = FLV_OK;
  if (end.fault)
    status = flv_fail(err, FLV_EIO, "%s: cannot start dot: %s", final, strerror(end.fault));
  else if (end.signal || end.code != 0)
    status = flv_fail(err, FLV_EIO, "%s: Graphviz failed: %s", final,
                      *end.said ? end.said : "it says nothing");
  else if (rename(temporary, final) != 0)
    status = flv_fail(err, FLV_EIO, "%s: %s", final, strerror(errno));
  if (status != FLV_OK) unlink(temporary);
  return status;
}
