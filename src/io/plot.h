// Pictures by gnuplot: each picture keeps its data (.dat) and its script (.gp) beside it, so that
// `gnuplot X.gp` in its folder draws it again.
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
  int rows, cols;      // value[r*cols + c]
  const double *value;
} flv_heat;

// Curves in one PNG; log_y puts y on a logarithmic axis (non-positive points are left out).
flv_status flv_plot_curves(const char *png, const char *title, const char *x_label, const char *y_label,
                           bool log_y, int n, const flv_curve *curves, flv_error *err);

// Heat maps side by side with one colour scale. The scale is the values' power `gamma` (1: linear, 0.5 shows
// faint parts).
flv_status flv_plot_heat(const char *png, const char *title, double gamma, int n, const flv_heat *maps,
                         flv_error *err);
#endif
