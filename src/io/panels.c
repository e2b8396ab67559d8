// Several panels in one picture, with one legend below them.
#include <math.h>
#include <stdio.h>

#include "io/picture.h"
#include "io/plot.h"

// Pixels, and the colours of plot.c: Okabe and Ito (2008).
enum { PANEL_W = 540, PANEL_H = 350, LEGEND_ROW = 22, TITLE_H = 34, LEGEND_COLUMNS = 3 };
static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                      "#E69F00", "#56B4E9", "#000000"};
enum { N_COLOURS = sizeof colours / sizeof *colours };

static bool drawn(const flv_panel *p, const flv_curve *c, int k) {
  return isfinite(c->x[k]) && isfinite(c->y[k]) && (!p->log_y || c->y[k] >= p->floor) &&
         (!p->log_y || c->y[k] > 0.0);
}

// One block per curve; an empty one keeps its number with a line that is not drawn.
static void put_data(FILE *f, const flv_panel *p, int i, const flv_line *line) {
  const flv_curve *c = &p->curves[i];
  fprintf(f, "# %s: %s\n", p->y_label, line->label);
  int written = 0;
  for (int k = 0; k < c->n; k++) {
    if (!drawn(p, c, k)) continue;
    fprintf(f, "%.17g %.17g\n", c->x[k], c->y[k]);
    written++;
  }
  if (!written) fputs("NaN NaN\n", f);
  fputs("\n\n", f);
}

// One range of x for all panels; one of y where a panel has no point.
static void put_ranges(FILE *f, const flv_panel *p, int n) {
  double lo = HUGE_VAL, hi = -HUGE_VAL;
  bool any = false;
  for (int i = 0; i < n; i++)
    for (int k = 0; k < p->curves[i].n; k++) {
      lo = fmin(lo, p->curves[i].x[k]);
      hi = fmax(hi, p->curves[i].x[k]);
      any |= drawn(p, &p->curves[i], k);
    }
  if (!(lo < hi)) {
    lo = isfinite(lo) ? lo - 1.0 : 0.0;
    hi = lo + 2.0;
  }
  fprintf(f, "set xrange [%.17g:%.17g]\nset yrange %s\n", lo, hi, any ? "[*:*]" : "[0.1:1]");
}

static void put_style(FILE *f, const flv_line *line) {
  fprintf(f, "with linespoints lw 1.8 pt %d ps 0.8 lc rgb '%s' dt %d", 4 + 2 * (line->dash % 5),
          colours[line->colour % N_COLOURS], 1 + line->dash % 5);
}

static void put_panel(flv_picture *picture, const flv_panel *p, int block, const char *x_label,
                      int n, const flv_line *lines) {
  FILE *f = picture->gp.f;
  fputs("set title ", f);
  flv_picture_quote(f, "", p->title, "");
  fputs(" noenhanced offset 0,-0.4\nset xlabel ", f);
  flv_picture_quote(f, "", x_label, "");
  fputs(" noenhanced offset 0,0.4\nset ylabel ", f);
  flv_picture_quote(f, "", p->y_label, "");
  fputs(" noenhanced\n", f);
  if (p->log_y)
    fputs("set logscale y 10\nset format y '10^{%T}'\nset mytics 10\n", f);
  else
    fputs("unset logscale y\nset format y '%g'\nset mytics default\n", f);
  put_ranges(f, p, n);
  for (int i = 0; i < n; i++) put_data(picture->dat.f, p, i, &lines[i]);
  for (int i = n - 1; i >= 0; i--) { // the first lies on top
    fputs(i == n - 1 ? "plot \\\n  " : ", \\\n  ", f);
    flv_picture_file(f, picture, ".dat");
    fprintf(f, " index %d using 1:2 ", block + i);
    put_style(f, &lines[i]);
    fputs(" notitle", f);
  }
  fputs("\n\n", f);
}

static void put_legend(flv_picture *picture, int n, const flv_line *lines, double height) {
  FILE *f = picture->gp.f;
  fprintf(f,
          "# the legend: lines that are not drawn\nunset title\nunset xlabel\nunset ylabel\n"
          "unset tics\nunset border\nunset grid\nunset logscale\n"
          "set lmargin at screen 0.02\nset rmargin at screen 0.98\n"
          "set bmargin at screen 0\nset tmargin at screen %.6f\n"
          "set key center center horizontal maxcols %d Left reverse noenhanced samplen 3\n"
          "set xrange [0:1]\nset yrange [0:1]\n",
          height, LEGEND_COLUMNS);
  for (int i = 0; i < n; i++) {
    fputs(i == 0 ? "plot \\\n  " : ", \\\n  ", f);
    fputs("NaN ", f);
    put_style(f, &lines[i]);
    fputs(" title ", f);
    flv_picture_quote(f, "", lines[i].label, "");
  }
  fputs("\nunset multiplot\n", f);
}

flv_status flv_plot_panels(const char *png, const char *title, const char *x_label, int n_panels,
                           const flv_panel *panels, int n, const flv_line *lines, flv_error *err) {
  if (n_panels < 1 || n < 1) return flv_fail(err, FLV_EINVAL, "there are no curves to plot");
  const int columns = n_panels > 1 ? 2 : 1, rows = (n_panels + columns - 1) / columns;
  const int legend = 16 + LEGEND_ROW * ((n + LEGEND_COLUMNS - 1) / LEGEND_COLUMNS);
  const int width = columns * PANEL_W, height = TITLE_H + rows * PANEL_H + legend;
  flv_picture p = {0};
  FLV_TRY(flv_picture_open(&p, png, err));
  FILE *f = p.gp.f;
  flv_picture_head(&p, width, height);
  fputs("set multiplot\nset label 1 ", f);
  flv_picture_quote(f, "", title, "");
  fprintf(f,
          " at screen 0.5,%.6f center noenhanced font ',15'\nset border 3\n"
          "set tics nomirror out scale 0.6\nset grid x y back lt 1 lc rgb '#dcdcdc' lw 1\n\n",
          1.0 - 18.0 / height);
  for (int i = 0; i < n_panels; i++) {
    const int left = i % columns * PANEL_W, top = TITLE_H + i / columns * PANEL_H;
    fprintf(f,
            "set lmargin at screen %.6f\nset rmargin at screen %.6f\n"
            "set tmargin at screen %.6f\nset bmargin at screen %.6f\n",
            (left + 96.0) / width, (left + PANEL_W - 20.0) / width, 1.0 - (top + 34.0) / height,
            1.0 - (top + PANEL_H - 62.0) / height);
    put_panel(&p, &panels[i], i * n, x_label, n, lines);
    if (i == 0) fputs("unset label\n", f);
  }
  put_legend(&p, n, lines, (double)legend / height);
  return flv_picture_finish(&p, err);
}
