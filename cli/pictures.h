// Pictures of runs, for `train` and `plot`.
#ifndef FLUVIAL_CLI_PICTURES_H
#define FLUVIAL_CLI_PICTURES_H

#include <stdbool.h>

#include "fluvial/trainer.h"

// Whether the marginals can be drawn: the objects are points of a grid that can be enumerated.
// False with err set if the run cannot be read.
bool cli_run_has_marginals(const char *dir, int threads, flv_error *err);

// DIR/plots/NAME, its folder made. False after a message.
bool cli_picture_path(char *out, int size, const char *dir, const char *name);

// The pictures that a trained run leaves in its plots/: curves of the JSD where the evaluation
// knows it, else of the loss; what it learned beside the target, where that can be drawn. What is
// not drawn has an empty path; failed says why, if it should have been.
typedef struct cli_drawn {
  char curves[1024], learned[1024];
  flv_error failed[2];
} cli_drawn;
void cli_draw_run(cli_drawn *drawn, const char *dir, int threads, const flv_evaluation *evaluation);

#endif
