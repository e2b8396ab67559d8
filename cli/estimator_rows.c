// Gradient estimators as csv and as a table for people.
#include "estimator_rows.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "measures.h"
#include "options.h"

// ---- csv ----

static const char header[] =
    "iteration,objective,baseline,weights,behaviour,policy,batch,method,off_policy,true_norm,"
    "mean_norm,bias,bias_error,trace,trace_error,snr,snr_error,ess,ess_error,ess_limit,cosine,"
    "cosine_error,"
    "cosine_true,cosine_true_error,scalar\n";

void cli_estimators_csv(FILE *out, const flv_estimators *estimators) {
  fputs(header, out);
  for (int i = 0; i < estimators->n; i++) {
    const flv_estimator *r = &estimators->row[i];
    const double number[] = {r->off_policy, r->true_norm,    r->mean_norm,   r->bias,
                             r->bias_error, r->trace,        r->trace_error, r->snr,
                             r->snr_error,  r->ess,          r->ess_error,   r->ess_limit,
                             r->cosine,     r->cosine_error, r->cosine_true, r->cosine_true_error,
                             r->scalar};
    fprintf(out, "%lld,%s,%s,%s,%s,%s,%d,%s", (long long)r->iteration, r->objective, r->baseline,
            r->weights, r->behaviour, r->policy, r->batch, r->exact ? "exact" : "estimated");
    for (size_t k = 0; k < sizeof number / sizeof *number; k++) cli_csv_number(out, number[k]);
    fputc('\n', out);
  }
}

// ---- the table ----

enum { COLUMNS = 6, LABEL = 36, WIDTH = 11 };

typedef struct table {
  const flv_estimators *e;
  int64_t iteration;
  int batch, n;
  const char *behaviour[COLUMNS];
} table;

static bool in_table(const table *t, const flv_estimator *r) {
  return r->iteration == t->iteration && r->batch == t->batch && strcmp(r->policy, "P_F") == 0;
}

// Some of the behaviours, evenly out of their list, the first and the last among them.
static void choose_columns(table *t) {
  enum { MOST = 256 };
  const char *all[MOST];
  int n = 0;
  for (int i = 0; i < t->e->n; i++) {
    const flv_estimator *r = &t->e->row[i];
    if (in_table(t, r) && n < MOST && (n == 0 || strcmp(all[n - 1], r->behaviour) != 0))
      all[n++] = r->behaviour;
  }
  t->n = n < COLUMNS ? n : COLUMNS;
  for (int k = 0; k < t->n; k++)
    t->behaviour[k] = all[t->n > 1 ? (k * (n - 1) + (t->n - 1) / 2) / (t->n - 1) : 0];
}

static bool same_estimator(const flv_estimator *a, const flv_estimator *b) {
  return strcmp(a->objective, b->objective) == 0 && strcmp(a->weights, b->weights) == 0 &&
         strcmp(a->baseline, b->baseline) == 0;
}

static void print_row(FILE *out, const table *t, const flv_estimator *first) {
  char label[160];
  const bool weights = strcmp(first->weights, "-") != 0, baseline = strcmp(first->baseline, "-");
  snprintf(label, sizeof label, "  %s%s%s", weights ? first->weights : "",
           weights && baseline ? ", " : "", baseline ? first->baseline : "");
  fprintf(out, "%-*s", LABEL, label);
  for (int k = 0; k < t->n; k++) {
    for (int i = 0; i < t->e->n; i++) {
      const flv_estimator *r = &t->e->row[i];
      if (!in_table(t, r) || !same_estimator(first, r) ||
          strcmp(r->behaviour, t->behaviour[k]) != 0)
        continue;
      char text[24];
      const bool shows = r->exact || r->snr > 2.0 * r->snr_error;
      snprintf(text, sizeof text, "%s%.3g%s", shows ? "" : "<", shows ? r->snr : 2.0 * r->snr_error,
               r->exact ? " " : "~");
      fprintf(out, " %*s", WIDTH - 1, text);
    }
  }
  fputc('\n', out);
}

void cli_estimators_print(FILE *out, const flv_estimators *estimators) {
  table t = {.e = estimators};
  const char *objective = "";
  for (int i = 0; i < estimators->n; i++) {
    if (estimators->row[i].iteration > t.iteration) t.iteration = estimators->row[i].iteration;
    if (estimators->row[i].batch > t.batch) t.batch = estimators->row[i].batch;
  }
  choose_columns(&t);
  fprintf(out,
          "signal to noise of P_F's gradient, batch %d, iteration %lld, with respect to %s\n"
          "(~ estimated from %d trajectories; true gradients %s)\n",
          t.batch, (long long)t.iteration, estimators->logits ? "logits" : "network parameters",
          estimators->large * estimators->repeats,
          estimators->true_exact ? "exact" : "from large batches");
  fprintf(out, "%-*s", LABEL, "weights, baseline");
  for (int k = 0; k < t.n; k++) fprintf(out, " %*s", WIDTH - 1, t.behaviour[k]);
  fputc('\n', out);
  for (int i = 0; i < estimators->n; i++) {
    const flv_estimator *r = &estimators->row[i];
    if (!in_table(&t, r) || strcmp(r->behaviour, t.behaviour[0]) != 0) continue;
    if (strcmp(objective, r->objective) != 0) fprintf(out, "%s\n", r->objective);
    objective = r->objective;
    print_row(out, &t, r);
  }
}
