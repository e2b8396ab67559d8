// Pictures by gnuplot: each picture keeps its data (.dat) and its script (.gp) beside it, so that
// `gnuplot X.gp` in its folder draws it again. Paths end in .png; their folder must exist. Without
// gnuplot the call fails (FLV_EIO, the message names the package) and the data and script are kept;
// a picture drawn earlier stays until a new one is complete.
#ifndef FLUVIAL_IO_PLOT_H
#define FLUVIAL_IO_PLOT_H

#include <stdbool.h>

#include "fluvial/status.h"

typedef struct flv_curve {
  const char *label;
  int n;
  const double *x, *y;
} flv_curve;

typedef struct flv_heat {
  const char *title;
  int rows, cols; // value[r*cols + c]: c to the right, r upwards
  const double *value;
} flv_heat;

// Curves in one PNG; log_y puts y on a logarithmic axis (non-positive points are left out). Points
// that are not finite are skipped; a curve without any point is an error. Long curves are thinned
// in the picture, not in the data.
flv_status flv_plot_curves(const char *png, const char *title, const char *x_label,
                           const char *y_label, bool log_y, int n, const flv_curve *curves,
                           flv_error *err);

// The same kind of picture of n curves that are repetitions of one: thin and faint, and over them
// their middle; between low and high, [middle->n] over its x, the band is filled.
flv_status flv_plot_spread(const char *png, const char *title, const char *x_label,
                           const char *y_label, bool log_y, int n, const flv_curve *curves,
                           const flv_curve *middle, const double *low, const double *high,
                           flv_error *err);

// Heat maps side by side with one colour scale, from 0 to the largest value. The scale is the
// values' power `gamma` (1: linear, 0.5 shows faint parts); values that are not finite stay white.
// Maps that all have one row or one column are drawn as profiles instead, the first filled, without
// gamma.
flv_status flv_plot_heat(const char *png, const char *title, double gamma, int n,
                         const flv_heat *maps, flv_error *err);

// A matrix of probabilities, value [d*d], row i downwards and column j to the right, on one scale
// from 0 to 1, with names [d] on both axes; up to 14 by 14 the numbers stand in the cells, but none
// on the diagonal.
flv_status flv_plot_matrix(const char *png, const char *title, const char *row_label,
                           const char *column_label, int d, const char *const *names,
                           const double *value, flv_error *err);

// Panels of the same lines over the same kind of x, two in a row, one legend below all. Line k is
// curves[k] of every panel (whose own label is not used); one without points is left out there.
typedef struct flv_line {
  const char *label;
  int colour, dash; // numbers from 0: lines that belong together share one of them
} flv_line;

typedef struct flv_panel {
  const char *title, *y_label;
  bool log_y;
  double floor; // with log_y: smaller values are left out
  const flv_curve *curves;
} flv_panel;

// curves of each panel, and lines, [n].
flv_status flv_plot_panels(const char *png, const char *title, const char *x_label, int n_panels,
                           const flv_panel *panels, int n, const flv_line *lines, flv_error *err);
#endif
