// Gradient estimators as csv and as a table for people.
#ifndef FLUVIAL_CLI_ESTIMATOR_ROWS_H
#define FLUVIAL_CLI_ESTIMATOR_ROWS_H

#include <stdio.h>

#include "fluvial/estimators.h"

void cli_estimators_csv(FILE *out, const flv_estimators *estimators);

// Signal to noise of P_F's gradient at the latest point with the largest batch: a line for each
// estimator, a column for each of a few behaviours.
void cli_estimators_print(FILE *out, const flv_estimators *estimators);

#endif
