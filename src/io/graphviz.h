// Directed graphs of named variables for Graphviz.
#ifndef FLUVIAL_IO_GRAPHVIZ_H
#define FLUVIAL_IO_GRAPHVIZ_H

#include <stdint.h>

#include "fluvial/status.h"

// Writes the graph parents [d] (bit i of parents[j]: the edge i -> j), d <= 64, to path,
// atomically. weight [d*d], or NULL: probabilities of the edges (row i, column j), which become
// their labels and the width of their lines. title may be NULL.
flv_status flv_graphviz_write(const char *path, const char *title, int d, const char *const *names,
                              const uint64_t *parents, const double *weight, flv_error *err);

// Draws a .dot file to a .png beside it, both in `folder`. FLV_EIO if Graphviz is missing (the
// message names the package) or fails.
flv_status flv_graphviz_draw(const char *folder, const char *dot, const char *png, flv_error *err);

#endif
