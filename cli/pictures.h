// Pictures of runs, for `train` and `plot`.
#ifndef FLUVIAL_CLI_PICTURES_H
#define FLUVIAL_CLI_PICTURES_H

#include <stdbool.h>

#include "fluvial/status.h"

// Whether the marginals can be drawn: the objects are points of a grid that can be enumerated.
// False with err set if the run cannot be read.
bool cli_run_has_marginals(const char *dir, int threads, flv_error *err);

// DIR/plots/NAME, its folder made. False after a message.
bool cli_picture_path(char *out, int size, const char *dir, const char *name);

#endif
