// Columns of a run's metrics.csv.
#ifndef FLUVIAL_RUN_CURVE_H
#define FLUVIAL_RUN_CURVE_H

#include "io/plot.h"

// Trajectories and one metric from dir's metrics.csv; xy [2, rows] is freed by the caller, the
// label is dir.
flv_status flv_run_curve(const char *dir, const char *metric, flv_curve *curve, double **xy,
                         flv_error *err);

// How a metric is called on an axis, and whether that is logarithmic.
const char *flv_metric_title(const char *metric);
bool flv_metric_is_logarithmic(const char *metric);

#endif
