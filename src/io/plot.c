// What goes into pictures: curves, heat maps, profiles. Script and data are written here; picture.c
// keeps the files and runs gnuplot. The script names its files relative to its own folder, and
// gnuplot runs there, so that a folder can be moved and drawn again.
#include "io/plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/picture.h"

// ---- axes ----

typedef struct range {
  double lo, hi;
} range;

static range range_empty(void) { return (range){HUGE_VAL, -HUGE_VAL}; }

static void range_add(range *r, double v) {
  if (v < r->lo) r->lo = v;
  if (v > r->hi) r->hi = v;
}

// 1, 2 or 5 times a power of ten, for about `count` ticks over the range.
static double nice_step(range r, int count) {
  const double raw = (r.hi - r.lo) / count, power = pow(10.0, floor(log10(raw)));
  const double lead = raw / power;
  return (lead < 1.5 ? 1.0 : lead < 3.5 ? 2.0 : lead < 7.5 ? 5.0 : 10.0) * power;
}

// Power of ten that is left out of the labels of an axis, for numbers that would be long: 0 or its
// exponent.
static int label_power(double top) {
  const double size = fabs(top);
  return size >= 1e9 || size < 0.01 ? (int)floor(log10(size) + 1e-9) : 0;
}

// 0.05, 250, 200k, 1.5M; with a power, 2×10^{-5} or, where the axis names the power itself, 2
static void put_tick_label(FILE *f, double v, double top, bool named) {
  const int power = label_power(top);
  const double size = fabs(v), unit = fabs(top) < 2e4 || power ? 1.0
                                      : size >= 1e6            ? 1e6
                                      : size >= 1e3            ? 1e3
                                                               : 1.0;
  if (v == 0.0)
    fprintf(f, "'0'");
  else if (power && !named)
    fprintf(f, "'%.6g×10^{%d}'", v * pow(10.0, -power), power);
  else if (power)
    fprintf(f, "'%.6g'", v * pow(10.0, -power));
  else
    fprintf(f, "'%.6g%s'", v / unit, unit >= 1e6 ? "M" : unit >= 1e3 ? "k" : "");
}

// Ticks at round values; value v stands at ((v - from)/span)^gamma of the axis, or at v itself for
// span 0.
static void put_ticks(FILE *f, const char *axis, range r, int count, double span, double gamma) {
  const double step = nice_step(r, count), top = fmax(fabs(r.lo), fabs(r.hi));
  const char *separator = "";
  fprintf(f, "set %stics (", axis);
  for (double k = ceil(r.lo / step - 1e-9); k * step <= r.hi + 1e-9 * step; k++) {
    const double v = k * step + 0.0; // + 0.0: no "-0"
    fputs(separator, f);
    put_tick_label(f, v, top, span > 0.0);
    fprintf(f, " %.12g", span > 0.0 ? pow(fmax(v - r.lo, 0.0) / span, gamma) : v);
    separator = ", ";
  }
  fputs(")\n", f);
}

// ---- curves ----

enum {
  CURVES_WIDTH = 960,
  CURVES_HEIGHT = 600,
  DRAWN_MAX = 2000,
  MARKED_MAX = 40,
  LEGEND_ROWS = 12
};

// Okabe and Ito (2008), distinguishable with every kind of colour vision; yellow is left out (too
// faint on white).
static const char *const line_colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                           "#E69F00", "#56B4E9", "#000000"};
enum { N_COLOURS = sizeof line_colours / sizeof *line_colours };

static bool drawable(double x, double y, bool log_y) {
  return isfinite(x) && isfinite(y) && (!log_y || y > 0.0);
}

// A flat range gets room around it; a logarithmic one is widened to whole decades.
static void widen(range *r, bool log_axis) {
  if (log_axis) {
    r->lo = floor(log10(r->lo) + 1e-9);
    r->hi = ceil(log10(r->hi) - 1e-9);
    if (r->hi <= r->lo) r->hi = r->lo + 1.0;
    r->lo = pow(10.0, r->lo);
    r->hi = pow(10.0, r->hi);
    return;
  }
  const double size = fmax(fabs(r->lo), fabs(r->hi)), span = r->hi - r->lo;
  if (span > 1e-9 * size) return;
  const double room = size > 0.0 ? 0.05 * size : 1.0;
  r->lo -= room;
  r->hi += room;
}

static flv_status curve_ranges(range *x, range *y, bool log_y, int n, const flv_curve *curves,
                               flv_error *err) {
  *x = *y = range_empty();
  for (int i = 0; i < n; i++) {
    bool any = false;
    for (int k = 0; k < curves[i].n; k++) {
      if (!drawable(curves[i].x[k], curves[i].y[k], log_y)) continue;
      any = true;
      range_add(x, curves[i].x[k]);
      range_add(y, curves[i].y[k]);
    }
    if (!any)
      return flv_fail(err, FLV_EINVAL, "curve '%s' has no point to draw%s",
                      curves[i].label ? curves[i].label : "",
                      log_y ? " on a logarithmic axis" : "");
  }
  widen(x, false);
  widen(y, log_y);
  if (x->lo > 0.0 && x->lo < 0.25 * x->hi) x->lo = 0.0;
  if (!log_y) {
    const double room = 0.04 * (y->hi - y->lo);
    *y = (range){y->lo >= 0.0 && y->lo < room ? 0.0 : y->lo - room, y->hi + room};
  }
  return FLV_OK;
}

// The legend's place: the first free corner, else outside. A corner is as wide as the longest
// label.
static const char *legend_place(range x, range y, bool log_y, int n, const flv_curve *curves) {
  static const char *const places[] = {"top right", "bottom left", "top left", "bottom right"};
  bool taken[4] = {false};
  size_t longest = 0;
  for (int i = 0; i < n; i++)
    if (curves[i].label && strlen(curves[i].label) > longest) longest = strlen(curves[i].label);
  const double wide = (80.0 + 8.5 * (double)longest) / (CURVES_WIDTH - 120),
               high = (22.0 * n + 20) / (CURVES_HEIGHT - 130);
  if (wide > 0.7 || n > LEGEND_ROWS) return "outside below";
  for (int i = 0; i < n; i++)
    for (int k = 0; k < curves[i].n; k++) {
      if (!drawable(curves[i].x[k], curves[i].y[k], log_y)) continue;
      const double u = (curves[i].x[k] - x.lo) / (x.hi - x.lo);
      const double v = log_y ? log(curves[i].y[k] / y.lo) / log(y.hi / y.lo)
                             : (curves[i].y[k] - y.lo) / (y.hi - y.lo);
      if (u > 1.0 - wide && v > 1.0 - high) taken[0] = true;
      if (u < wide && v < high) taken[1] = true;
      if (u < wide && v > 1.0 - high) taken[2] = true;
      if (u > 1.0 - wide && v < high) taken[3] = true;
    }
  for (int i = 0; i < 4; i++)
    if (!taken[i]) return places[i];
  return "outside below";
}

// One block per curve. Returns how many points it wrote: those that are finite.
static int put_curve(FILE *f, const flv_curve *curve) {
  int written = 0;
  fprintf(f, "# ");
  for (const char *c = curve->label ? curve->label : ""; *c; c++)
    fputc((unsigned char)*c < ' ' ? ' ' : *c, f);
  fputc('\n', f);
  for (int k = 0; k < curve->n; k++) {
    if (!drawable(curve->x[k], curve->y[k], false)) continue;
    fprintf(f, "%.17g %.17g\n", curve->x[k], curve->y[k]);
    written++;
  }
  fprintf(f, "\n\n");
  return written;
}

static void put_curve_axes(FILE *f, const char *title, const char *x_label, const char *y_label,
                           range x, range y, bool log_y) {
  const char *text[3] = {title, x_label, y_label}, *what[3] = {"title", "xlabel", "ylabel"};
  for (int i = 0; i < 3; i++) {
    if (!text[i] || !*text[i]) continue;
    fprintf(f, "set %s ", what[i]);
    flv_picture_quote(f, "", text[i], "");
    fprintf(f, " noenhanced%s\n", i == 0 ? " font ',15'" : "");
  }
  fprintf(f,
          "set border 3\nset tics nomirror out scale 0.6\nset rmargin 4\n"
          "set xrange [%.17g:%.17g]\nset yrange [%.17g:%.17g]\n",
          x.lo, x.hi, y.lo, y.hi);
  put_ticks(f, "x", x, 7, 0.0, 1.0);
  if (!log_y) {
    put_ticks(f, "y", y, 6, 0.0, 1.0);
    fprintf(f, "set grid x y back lt 1 lc rgb '#dcdcdc' lw 1\n");
    return;
  }
  fprintf(f,
          "set logscale y 10\nset format y '10^{%%T}'\nset mytics 10\n"
          "set grid x y %s back lt 1 lc rgb '#d4d4d4' lw 1, lt 1 lc rgb '#eeeeee' lw 1\n",
          log10(y.hi / y.lo) < 5.5 ? "mytics" : "");
}

// Opens the picture and writes what comes before the curves.
static flv_status begin_curves(flv_picture *p, range *x, range *y, const char *png,
                               const char *title, const char *x_label, const char *y_label,
                               bool log_y, int n, const flv_curve *curves, flv_error *err) {
  *x = *y = range_empty();
  if (n < 1) return flv_fail(err, FLV_EINVAL, "there are no curves to plot");
  FLV_TRY(curve_ranges(x, y, log_y, n, curves, err));
  FLV_TRY(flv_picture_open(p, png, err));
  flv_picture_head(p, CURVES_WIDTH, CURVES_HEIGHT);
  put_curve_axes(p->gp.f, title, x_label, y_label, *x, *y, log_y);
  return FLV_OK;
}

flv_status flv_plot_curves(const char *png, const char *title, const char *x_label,
                           const char *y_label, bool log_y, int n, const flv_curve *curves,
                           flv_error *err) {
  range x, y;
  flv_picture p = {0};
  FLV_TRY(begin_curves(&p, &x, &y, png, title, x_label, y_label, log_y, n, curves, err));
  FILE *f = p.gp.f;
  if (n == 1)
    fprintf(f, "unset key\n");
  else
    fprintf(f, "set key %s Left reverse noenhanced samplen 2 spacing 1.15\n",
            legend_place(x, y, log_y, n, curves));
  for (int i = 0; i < n; i++) {
    const int written = put_curve(p.dat.f, &curves[i]);
    // Every `stride`-th point is drawn, the last one among them.
    const int stride = (written + DRAWN_MAX - 1) / DRAWN_MAX;
    fputs(i == 0 ? "plot \\\n  " : ", \\\n  ", f);
    flv_picture_file(f, &p, ".dat");
    fprintf(f, " index %d", i);
    if (stride > 1) fprintf(f, " every %d::%d", stride, (written - 1) % stride);
    fprintf(f, " using 1:2 with %s lw 1.6 lc rgb '%s' dt %d title ",
            written <= MARKED_MAX ? "linespoints pt 7 ps 0.7" : "lines",
            line_colours[i % N_COLOURS], 1 + i / N_COLOURS % 5);
    flv_picture_quote(f, "", curves[i].label ? curves[i].label : "", "");
  }
  fprintf(f, "\n");
  return flv_picture_finish(&p, err);
}

// The first block: x, low, high.
static void put_band(FILE *f, const flv_curve *middle, const double *low, const double *high,
                     bool log_y) {
  fprintf(f, "# range\n");
  for (int k = 0; k < middle->n; k++)
    if (drawable(middle->x[k], low[k], log_y) && drawable(middle->x[k], high[k], log_y))
      fprintf(f, "%.17g %.17g %.17g\n", middle->x[k], low[k], high[k]);
  fprintf(f, "\n\n");
}

flv_status flv_plot_spread(const char *png, const char *title, const char *x_label,
                           const char *y_label, bool log_y, int n, const flv_curve *curves,
                           const flv_curve *middle, const double *low, const double *high,
                           flv_error *err) {
  range x, y;
  flv_picture p = {0};
  FLV_TRY(begin_curves(&p, &x, &y, png, title, x_label, y_label, log_y, n, curves, err));
  FILE *f = p.gp.f;
  fprintf(f, "set key %s Left reverse noenhanced samplen 2 spacing 1.15\nplot \\\n  ",
          legend_place(x, y, log_y, n < LEGEND_ROWS ? n : LEGEND_ROWS, curves));
  put_band(p.dat.f, middle, low, high, log_y);
  flv_picture_file(f, &p, ".dat");
  fprintf(f, " index 0 using 1:2:3 with filledcurves fc rgb '#d5e5f2' title 'range'");
  for (int i = 0; i <= n; i++) { // the middle last, on top
    const int written = put_curve(p.dat.f, i < n ? &curves[i] : middle);
    const int stride = (written + DRAWN_MAX - 1) / DRAWN_MAX;
    fputs(", \\\n  ", f);
    flv_picture_file(f, &p, ".dat");
    fprintf(f, " index %d", i + 1);
    if (stride > 1) fprintf(f, " every %d::%d", stride, (written - 1) % stride);
    fprintf(f, " using 1:2 with lines lw %s lc rgb '%s' ", i < n ? "0.8" : "2.4",
            i < n ? "#8fb8d6" : line_colours[0]);
    if (i > 0 && i < n)
      fprintf(f, "notitle");
    else
      fprintf(f, "title '%s'", i < n ? "each seed" : "median");
  }
  fprintf(f, "\n");
  return flv_picture_finish(&p, err);
}

// ---- heat maps ----

// viridis (van der Walt and Smith, 2015) at eleven equal steps: perceptually even, safe for
// colour-blind eyes.
static const char viridis[] =
    "set palette defined (0 '#440154', 1 '#482475', 2 '#414487', 3 '#355f8d', "
    "4 '#2a788e', 5 '#21918c', 6 '#22a884', 7 '#44bf70', 8 '#7ad151', "
    "9 '#bddf26', 10 '#fde725')\n";

// Pixels. A map's longer side is PANEL; cells of the page are as large as the largest map.
enum {
  PANEL = 400,
  LEFT = 60,
  GAP = 60,
  RIGHT = 110,
  BOTTOM = 50,
  ABOVE = 40,
  TITLE = 40,
  PER_ROW = 4
};

typedef struct page {
  int columns, lines, cell_w, cell_h, width, height;
} page;

static void map_size(const flv_heat *map, int *w, int *h) {
  const int longest = map->rows > map->cols ? map->rows : map->cols;
  *w = (int)fmax(60.0, (double)PANEL * map->cols / longest);
  *h = (int)fmax(60.0, (double)PANEL * map->rows / longest);
}

static page page_plan(int n, const flv_heat *maps, bool titled) {
  page g = {.columns = n < PER_ROW ? n : PER_ROW};
  g.lines = (n + g.columns - 1) / g.columns;
  for (int i = 0; i < n; i++) {
    int w, h;
    map_size(&maps[i], &w, &h);
    if (w > g.cell_w) g.cell_w = w;
    if (h > g.cell_h) g.cell_h = h;
  }
  g.width = LEFT + g.columns * g.cell_w + (g.columns - 1) * GAP + RIGHT;
  g.height = g.lines * (g.cell_h + BOTTOM + ABOVE) + (titled ? TITLE : 0);
  return g;
}

static int bar_left(const page *g) { return LEFT + g->columns * (g->cell_w + GAP) - GAP + 24; }
static int bar_bottom(const page *g) {
  return BOTTOM + (g->lines - 1) * (g->cell_h + BOTTOM + ABOVE);
}

// One block per map: its matrix, row 0 first.
static void put_matrix(FILE *f, const flv_heat *map) {
  for (int r = 0; r < map->rows; r++)
    for (int c = 0; c < map->cols; c++)
      fprintf(f, "%.17g%c", map->value[(size_t)r * (size_t)map->cols + (size_t)c],
              c + 1 < map->cols ? ' ' : '\n');
  fprintf(f, "\n\n");
}

static void put_panel(const flv_picture *p, const page *g, int i, const flv_heat *map) {
  FILE *f = p->gp.f;
  int w, h;
  map_size(map, &w, &h);
  const int line = i / g->columns, column = i % g->columns;
  const int left = LEFT + column * (g->cell_w + GAP);
  const int bottom =
      (g->lines - 1 - line) * (g->cell_h + BOTTOM + ABOVE) + BOTTOM + (g->cell_h - h) / 2;
  const double px = 1.0 / g->width, py = 1.0 / g->height;
  fprintf(f,
          "\nset lmargin at screen %.6f\nset rmargin at screen %.6f\n"
          "set bmargin at screen %.6f\nset tmargin at screen %.6f\n",
          left * px, (left + w) * px, bottom * py, (bottom + h) * py);
  if (i == 0) { // the colour bar, once, right of all maps
    fprintf(f, "set colorbox vertical user origin screen %.6f,%.6f size screen %.6f,%.6f\n",
            bar_left(g) * px, bar_bottom(g) * py, 18 * px, g->cell_h * py);
  } else {
    fprintf(f, "unset colorbox\n");
  }
  fprintf(f, "set xrange [-0.5:%d.5]\nset yrange [-0.5:%d.5]\nset title ", map->cols - 1,
          map->rows - 1);
  flv_picture_quote(f, "", map->title ? map->title : "", "");
  fprintf(f, " noenhanced offset 0,-0.3\n");
  put_ticks(f, "x", (range){0, map->cols - 1}, 1 + w / 90, 0.0, 1.0);
  put_ticks(f, "y", (range){0, map->rows - 1}, 1 + h / 90, 0.0, 1.0);
  fputs("plot ", f);
  flv_picture_file(f, p, ".dat");
  fprintf(f, " index %d matrix using 1:2:(shade($3)) with image notitle\n", i);
}

static void put_maps(const flv_picture *p, const char *title, const page *g, range values,
                     double gamma, int n, const flv_heat *maps) {
  FILE *f = p->gp.f;
  const double span = values.hi - values.lo;
  fputs(viridis, f);
  fprintf(f,
          "# Colour of a value: its place in the common range, to the power gamma.\n"
          "shade(v) = ((v - (%.17g)) / %.17g) ** %.17g\nset cbrange [0:1]\n",
          values.lo, span, gamma);
  put_ticks(f, "cb", values, 5, span, gamma);
  const int power = label_power(fmax(fabs(values.lo), fabs(values.hi)));
  if (power) // above the colour bar
    fprintf(f, "set label 2 '×10^{%d}' at screen %.6f,%.6f left\n", power,
            bar_left(g) / (double)g->width, (bar_bottom(g) + g->cell_h + 18) / (double)g->height);
  fprintf(
      f,
      "set cbtics nomirror scale 0.5\nset tics out nomirror scale 0.5\nunset key\nset multiplot\n");
  if (title && *title) {
    fputs("set label 1 ", f);
    flv_picture_quote(f, "", title, "");
    fprintf(f, " at screen 0.5,%.6f center noenhanced font ',15'\n", 1.0 - 22.0 / g->height);
  }
  for (int i = 0; i < n; i++) {
    put_panel(p, g, i, &maps[i]);
    if (i == 0) fprintf(f, "unset label\n");
    put_matrix(p->dat.f, &maps[i]);
  }
  fprintf(f, "unset multiplot\n");
}

// Maps of one row or column are profiles over one axis: the first filled, the others as outlines.
static void put_profiles(const flv_picture *p, const char *title, range values, int n,
                         const flv_heat *maps) {
  FILE *f = p->gp.f;
  int longest = 1;
  for (int i = 0; i < n; i++)
    if (maps[i].rows * maps[i].cols > longest) longest = maps[i].rows * maps[i].cols;
  values.hi += 0.15 * (values.hi - values.lo);
  put_curve_axes(f, title, NULL, NULL, (range){-0.5, longest - 0.5}, values, false);
  fprintf(f, "set key top right horizontal noenhanced\nset boxwidth 1\nset style fill solid border "
             "lc rgb '#c4d4e0'\n");
  for (int i = 0; i < n; i++) {
    const int size = maps[i].rows * maps[i].cols;
    for (int k = 0; k < size; k++)
      if (isfinite(maps[i].value[k])) fprintf(p->dat.f, "%d %.17g\n", k, maps[i].value[k]);
    fprintf(p->dat.f, "\n\n");
    fputs(i == 0 ? "plot \\\n  " : ", \\\n  ", f);
    flv_picture_file(f, p, ".dat");
    fprintf(f, " index %d using 1:2 with ", i);
    if (i == 0 && n > 1)
      fprintf(f, "boxes lc rgb '#c4d4e0' title ");
    else
      fprintf(f, "histeps lw 2 lc rgb '%s' title ", line_colours[i % N_COLOURS]);
    flv_picture_quote(f, "", maps[i].title ? maps[i].title : "", "");
  }
  fprintf(f, "\n");
}

static flv_status check_maps(range *values, bool *profiles, int n, const flv_heat *maps,
                             flv_error *err) {
  if (n < 1) return flv_fail(err, FLV_EINVAL, "there are no heat maps to plot");
  int thin = 0;
  *values = (range){0.0, -HUGE_VAL}; // zero belongs to every scale
  for (int i = 0; i < n; i++) {
    if (maps[i].rows < 1 || maps[i].cols < 1 || maps[i].rows > (1 << 20) / maps[i].cols * 64)
      return flv_fail(err, FLV_EINVAL, "a heat map of %d x %d values cannot be drawn", maps[i].rows,
                      maps[i].cols);
    thin += maps[i].rows == 1 || maps[i].cols == 1;
    for (int k = 0; k < maps[i].rows * maps[i].cols; k++)
      if (isfinite(maps[i].value[k])) range_add(values, maps[i].value[k]);
  }
  if (thin > 0 && thin < n)
    return flv_fail(err, FLV_EINVAL, "heat maps of 1 and 2 dimensions do not go in one picture");
  if (values->hi < values->lo)
    return flv_fail(err, FLV_EINVAL, "the heat maps hold no finite value");
  if (values->hi <= values->lo) values->hi = values->lo + 1.0;
  *profiles = thin > 0;
  return FLV_OK;
}

flv_status flv_plot_heat(const char *png, const char *title, double gamma, int n,
                         const flv_heat *maps, flv_error *err) {
  range values = range_empty();
  bool profiles = false;
  if (!(gamma > 0.0) || !isfinite(gamma))
    return flv_fail(err, FLV_EINVAL, "gamma %g: expected a number above 0", gamma);
  FLV_TRY(check_maps(&values, &profiles, n, maps, err));
  flv_picture p = {0};
  FLV_TRY(flv_picture_open(&p, png, err));
  if (profiles) {
    flv_picture_head(&p, CURVES_WIDTH, CURVES_HEIGHT * 2 / 3);
    put_profiles(&p, title, values, n, maps);
  } else {
    const page g = page_plan(n, maps, title && *title);
    flv_picture_head(&p, g.width, g.height);
    put_maps(&p, title, &g, values, gamma, n, maps);
  }
  return flv_picture_finish(&p, err);
}
