// An evaluation as a table for people, and as JSON.
#ifndef FLUVIAL_CLI_MEASURES_H
#define FLUVIAL_CLI_MEASURES_H

#include <stdio.h>

#include "fluvial/trainer.h"

// "label   value", one a line; the first says whether the numbers are exact.
void cli_measures_print(FILE *out, const flv_evaluation *evaluation);
void cli_measures_json(FILE *out, const flv_evaluation *evaluation);

// One more row of the same table.
void cli_measures_row(FILE *out, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
