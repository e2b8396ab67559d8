// An evaluation as a table for people, as JSON and as csv.
#include "measures.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include "options.h"

// name in JSON and in metrics.csv, label, digits, unit
#define MEASURES(X)                                                                                \
  X(jsd, "JSD", "%.3e", " nats")                                                                   \
  X(tv, "total variation", "%.3e", "")                                                             \
  X(kl_pq, "KL(target || sampler)", "%.3e", " nats")                                               \
  X(kl_qp, "KL(sampler || target)", "%.3e", " nats")                                               \
  X(l1, "mean |P - Q|", "%.3e", "")

void cli_measures_row(FILE *out, const char *label, const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(out, "%-22s  ", label);
  vfprintf(out, format, args);
  fputc('\n', out);
  va_end(args);
}

static void print_number(FILE *out, const char *label, const char *format, double v,
                         const char *unit) {
  char text[48];
  if (isnan(v)) return cli_measures_row(out, label, "unknown");
  if (isinf(v)) return cli_measures_row(out, label, v > 0 ? "infinite" : "-infinite");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  snprintf(text, sizeof text, format, v);
#pragma GCC diagnostic pop
  cli_measures_row(out, label, "%s%s", text, unit);
}

static void print_way(FILE *out, const flv_evaluation *e) {
  char n[32];
  cli_thousands(e->n, n, sizeof n);
  if (e->exact)
    cli_measures_row(out, "measured", "exactly, over all %s objects", n);
  else
    cli_measures_row(out, "measured", "by sampling: estimates from %s samples", n);
}

void cli_measures_print(FILE *out, const flv_evaluation *e) {
  print_way(out, e);
  cli_measures_row(out, "log Z learned", "%.6f", e->log_z);
  if (isfinite(e->log_z_true))
    cli_measures_row(out, e->log_z_exact ? "log Z true" : "log Z true, estimated",
                     "%.6f (learned - true = %+.2e)", e->log_z_true, e->log_z - e->log_z_true);
  else
    cli_measures_row(out, "log Z true", "unknown");
#define PRINT(name, label, format, unit) print_number(out, label, format, e->name, unit);
  MEASURES(PRINT)
#undef PRINT
  if (e->modes > 0) cli_measures_row(out, "modes found", "%.3g of %d", e->modes_found, e->modes);
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// Sorts v. NaN where anything is unknown.
static void print_spread(FILE *out, const char *label, const char *format, int n, double *v,
                         const char *unit) {
  char text[3][48];
  for (int i = 0; i < n; i++)
    if (isnan(v[i])) return cli_measures_row(out, label, "unknown");
  qsort(v, (size_t)n, sizeof *v, by_size);
  const double three[3] = {n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]), v[0], v[n - 1]};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  for (int i = 0; i < 3; i++) snprintf(text[i], sizeof text[i], format, three[i]);
#pragma GCC diagnostic pop
  cli_measures_row(out, label, "median %s%s, from %s to %s", text[0], unit, text[1], text[2]);
}

void cli_measures_spread(FILE *out, int n, const flv_evaluation *const *e) {
  double v[256];
  print_way(out, e[0]);
#define SPREAD(expression, label, format, unit)                                                    \
  for (int i = 0; i < n; i++) v[i] = (expression);                                                 \
  print_spread(out, label, format, n, v, unit);
  SPREAD(e[i]->log_z, "log Z learned", "%.6f", "")
  SPREAD(e[i]->log_z - e[i]->log_z_true, "learned - true", "%+.2e", "")
#define PRINT(name, label, format, unit) SPREAD(e[i]->name, label, format, unit)
  MEASURES(PRINT)
#undef PRINT
  if (e[0]->modes > 0) {
    SPREAD(e[i]->modes_found, "modes found", "%.3g", "")
  }
#undef SPREAD
}

void cli_found_print(FILE *out, const char *dir, const flv_best *b) {
  char objects[32], above[32], modes[32];
  if (b->objects == 0) return;
  cli_thousands(b->objects, objects, sizeof objects);
  cli_thousands(b->above, above, sizeof above);
  cli_thousands(b->modes, modes, sizeof modes);
  cli_measures_row(out, "distinct objects found", "%s", objects);
  cli_measures_row(out, "best reward", "%.4g", b->best);
  cli_measures_row(out, "reward of at least", "%.4g: %s objects, %s modes (similarity below %.4g)",
                   b->modes_above, above, modes, b->similarity);
  cli_measures_row(out, "best", "%s/best.csv (%d)", dir, b->n_best);
  cli_measures_row(out, "diverse", "%s/diverse.csv (%d)", dir, b->n_diverse);
}

void cli_found_spread(FILE *out, int n, const flv_best *const *b) {
  double v[256];
  char label[48];
  if (b[0]->objects == 0) return;
#define SPREAD(expression, label, format)                                                          \
  for (int i = 0; i < n; i++) v[i] = (double)(expression);                                         \
  print_spread(out, label, format, n, v, "");
  SPREAD(b[i]->objects, "distinct objects found", "%.0f")
  SPREAD(b[i]->best, "best reward", "%.4g")
  snprintf(label, sizeof label, "reward >= %.4g", b[0]->modes_above);
  SPREAD(b[i]->above, label, "%.0f")
  SPREAD(b[i]->modes, "modes of these", "%.0f")
#undef SPREAD
}

// JSON has no NaN and no infinity.
void cli_json_number(FILE *out, const char *before, double v) {
  if (isfinite(v))
    fprintf(out, "%s%.17g", before, v);
  else
    fprintf(out, "%snull", before);
}

void cli_measures_json(FILE *out, const flv_evaluation *e) {
  fprintf(out, "\"exact\": %s, \"n\": %lld", e->exact ? "true" : "false", (long long)e->n);
  cli_json_number(out, ", \"log_z\": ", e->log_z);
  cli_json_number(out, ", \"log_z_true\": ", e->log_z_true);
  fprintf(out, ", \"log_z_exact\": %s", e->log_z_exact ? "true" : "false");
#define PRINT(name, label, format, unit) cli_json_number(out, ", \"" #name "\": ", e->name);
  MEASURES(PRINT)
#undef PRINT
  fprintf(out, ", \"modes\": %d", e->modes);
  cli_json_number(out, ", \"modes_found\": ", e->modes_found);
}

void cli_csv_number(FILE *out, double v) {
  if (isnan(v))
    fputc(',', out);
  else
    fprintf(out, ",%.10g", v);
}

void cli_measures_csv(FILE *out, const flv_evaluation *e) {
  const double unknown = (double)NAN;
#define ROW(name, known)                                                                           \
  fputs(#name, out);                                                                               \
  cli_csv_number(out, e->name);                                                                    \
  cli_csv_number(out, unknown);                                                                    \
  cli_csv_number(out, (known) ? e->name : unknown);                                                \
  fputc('\n', out);
#define PRINT(name, label, format, unit) ROW(name, e->exact)
  ROW(log_z, e->exact)
  ROW(log_z_true, e->log_z_exact)
  MEASURES(PRINT)
  ROW(modes_found, e->exact)
#undef PRINT
#undef ROW
}
