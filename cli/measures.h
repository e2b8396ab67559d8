// An evaluation as a table for people, as JSON and as csv.
#ifndef FLUVIAL_CLI_MEASURES_H
#define FLUVIAL_CLI_MEASURES_H

#include <stdio.h>

#include "fluvial/run.h"

// "label   value", one a line; the first says whether the numbers are exact.
void cli_measures_print(FILE *out, const flv_evaluation *evaluation);
// The same over n runs (up to 256) of one problem: median, lowest and highest of each measure.
void cli_measures_spread(FILE *out, int n, const flv_evaluation *const *evaluations);
// What training found, if the run has an archive. The same over n runs (up to 256).
void cli_found_print(FILE *out, const char *dir, const flv_best *best);
void cli_found_spread(FILE *out, int n, const flv_best *const *best);
// "name": value, ...: the inside of a JSON object
void cli_measures_json(FILE *out, const flv_evaluation *evaluation);
// name,value,error,exact: one a line, what is not known left empty
void cli_measures_csv(FILE *out, const flv_evaluation *evaluation);

// A number after `before`, null if it is not finite; a number after a comma, nothing if it is NaN.
void cli_json_number(FILE *out, const char *before, double v);
void cli_csv_number(FILE *out, double v);

// One more row of the same table.
void cli_measures_row(FILE *out, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
