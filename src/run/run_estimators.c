// The picture of gradient estimators against off-policyness.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "fluvial/run.h"
#include "io/plot.h"

enum { PANELS = 4, LABEL = 128 };

typedef struct figure {
  const flv_estimators *e;
  int64_t iteration;
  int batch;
  const char *kind; // "epsilon" ...; NULL: over D(pi || P_F)
  int n_lines, n_points;
  const flv_estimator **first; // [n_lines] a row of the line
  char (*label)[LABEL];        // [n_lines]
  flv_line *line;              // [n_lines]
  flv_curve *curve;            // [PANELS, n_lines]
  double *x, *y;               // [n_lines, n_points], [PANELS, n_lines, n_points]
  void *block;
} figure;

// The number of a behaviour of this kind, 0 on-policy; NaN of another kind.
static double value_of(const flv_estimator *r, const char *kind) {
  const size_t length = strlen(kind);
  if (strcmp(r->behaviour, "on_policy") == 0) return 0.0;
  if (strncmp(r->behaviour, kind, length) != 0 || r->behaviour[length] != '=') return (double)NAN;
  return strtod(r->behaviour + length + 1, NULL);
}

static bool same_line(const flv_estimator *a, const flv_estimator *b) {
  return strcmp(a->objective, b->objective) == 0 && strcmp(a->weights, b->weights) == 0;
}

// Rows that are drawn: the latest point, the largest batch, P_F, weights that correct for pi.
static bool in_figure(const figure *g, const flv_estimator *r) {
  if (r->iteration != g->iteration || r->batch != g->batch || strcmp(r->policy, "P_F") != 0)
    return false;
  if (strcmp(r->weights, "none") == 0) return false;
  return !g->kind || !isnan(value_of(r, g->kind));
}

static bool is_global(const flv_estimator *r) { return strcmp(r->baseline, "global") == 0; }

static void find_lines(figure *g) {
  for (int i = 0; i < g->e->n; i++) {
    const flv_estimator *r = &g->e->row[i];
    int k = 0;
    if (!in_figure(g, r)) continue;
    while (k < g->n_lines && !same_line(g->first[k], r)) k++;
    if (k == g->n_lines) g->n_lines++;
    if (!g->first[k] || (is_global(r) && !is_global(g->first[k]))) g->first[k] = r;
  }
}

static bool on_line(const figure *g, int k, const flv_estimator *r) {
  return in_figure(g, r) && same_line(g->first[k], r) &&
         strcmp(g->first[k]->baseline, r->baseline) == 0;
}

// Appends a point, in order of x.
static void add_point(figure *g, int k, const flv_estimator *r) {
  const double x = g->kind ? value_of(r, g->kind) : r->off_policy;
  // What noise alone would show is left out.
  const double bias = r->exact || r->bias > 2.0 * r->bias_error ? r->bias : (double)NAN;
  const double snr = r->exact || r->snr > 2.0 * r->snr_error ? r->snr : (double)NAN;
  const double y[PANELS] = {r->trace, bias / r->true_norm, snr, r->cosine_true};
  const size_t base = (size_t)k * (size_t)g->n_points;
  const size_t plane = (size_t)g->n_lines * (size_t)g->n_points;
  int at = g->curve[k].n;
  for (; at > 0 && g->x[base + (size_t)at - 1] > x; at--) {
    g->x[base + (size_t)at] = g->x[base + (size_t)at - 1];
    for (size_t p = 0; p < PANELS; p++)
      g->y[p * plane + base + (size_t)at] = g->y[p * plane + base + (size_t)at - 1];
  }
  g->x[base + (size_t)at] = x;
  for (size_t p = 0; p < PANELS; p++) {
    g->y[p * plane + base + (size_t)at] = y[p];
    g->curve[p * (size_t)g->n_lines + (size_t)k].n++;
  }
}

static void fill_line(figure *g, int k) {
  const flv_estimator *r = g->first[k];
  int colour = -1, dash = 0;
  for (int i = 0; i <= k; i++) { // a colour for each objective, a dash for each of its weights
    const bool known = i > 0 && strcmp(g->first[i]->objective, g->first[i - 1]->objective) == 0;
    colour += !known;
    dash = known ? dash + 1 : 0;
  }
  const bool plain = strcmp(r->weights, "-") == 0;
  snprintf(g->label[k], LABEL, "%s%s%s", r->objective, plain ? "" : ", weights ",
           plain ? "" : r->weights);
  g->line[k] = (flv_line){g->label[k], colour, dash};
  for (int p = 0; p < PANELS; p++) {
    const size_t at = (size_t)p * (size_t)g->n_lines + (size_t)k;
    g->curve[at] = (flv_curve){.label = g->label[k],
                               .x = g->x + (size_t)k * (size_t)g->n_points,
                               .y = g->y + at * (size_t)g->n_points};
  }
  for (int i = 0; i < g->e->n; i++)
    if (on_line(g, k, &g->e->row[i])) add_point(g, k, &g->e->row[i]);
}

static flv_status draw(const figure *g, const char *png, flv_error *err) {
  char title[160];
  snprintf(title, sizeof title, "gradient estimators of P_F, batch %d, iteration %lld", g->batch,
           (long long)g->iteration);
  const flv_panel panels[PANELS] = {
      {"variance", "trace of the covariance", true, 0.0, g->curve},
      {"bias", "bias / true gradient", true, 1e-4, g->curve + g->n_lines},
      {"signal to noise", "mean / standard deviation", true, 0.0, g->curve + 2 * g->n_lines},
      {"direction", "cosine to the true gradient", false, 0.0, g->curve + 3 * g->n_lines}};
  char x_label[96] = "D(behaviour || P_F), nats";
  if (g->kind && strcmp(g->kind, "replay") == 0)
    snprintf(x_label, sizeof x_label, "age of the behaviour policy, iterations");
  else if (g->kind)
    snprintf(x_label, sizeof x_label, "%.40s of the behaviour policy", g->kind);
  return flv_plot_panels(png, title, x_label, PANELS, panels, g->n_lines, g->line, err);
}

int flv_run_count_behaviours(const flv_estimators *estimators, const char *kind) {
  const int64_t last = estimators->n > 0 ? estimators->row[estimators->n - 1].iteration : 0;
  const char *before = "";
  int n = 0;
  for (int i = 0; i < estimators->n; i++) {
    const flv_estimator *r = &estimators->row[i];
    if (r->iteration != last || strcmp(r->behaviour, before) == 0) continue;
    before = r->behaviour;
    n += !isnan(value_of(r, kind));
  }
  return n;
}

flv_status flv_run_plot_estimators(const flv_estimators *estimators, const char *kind,
                                   const char *png, flv_error *err) {
  const size_t n = (size_t)estimators->n;
  figure g = {.e = estimators, .kind = kind, .n_points = estimators->n};
  for (int i = 0; i < estimators->n; i++) { // rows are in order of iterations
    g.iteration = estimators->row[i].iteration;
    if (estimators->row[i].batch > g.batch) g.batch = estimators->row[i].batch;
  }
  const flv_slot heads[] = {FLV_SLOT(g.first, n)};
  void *head = flv_bind(1, heads);
  if (!head) return flv_fail(err, FLV_ENOMEM, "out of memory for the picture");
  find_lines(&g);
  if (g.n_lines == 0) {
    flv_free(head);
    return flv_fail(err, FLV_EINVAL, "%s: there are no estimators to draw", png);
  }
  const size_t lines = (size_t)g.n_lines;
  const flv_slot slots[] = {FLV_SLOT(g.label, lines), FLV_SLOT(g.line, lines),
                            FLV_SLOT(g.curve, PANELS * lines), FLV_SLOT(g.x, lines * n),
                            FLV_SLOT(g.y, PANELS * lines * n)};
  g.block = flv_bind(sizeof slots / sizeof *slots, slots);
  flv_status status = FLV_OK;
  if (!g.block) status = flv_fail(err, FLV_ENOMEM, "out of memory for the picture");
  for (int k = 0; status == FLV_OK && k < g.n_lines; k++) fill_line(&g, k);
  if (status == FLV_OK) status = draw(&g, png, err);
  flv_free(g.block);
  flv_free(head);
  return status;
}
