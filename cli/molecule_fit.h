// How well log p of given molecules follows log R, as a table for people and as JSON.
#ifndef FLUVIAL_CLI_MOLECULE_FIT_H
#define FLUVIAL_CLI_MOLECULE_FIT_H

#include <stdio.h>

#include "fluvial/molecule_eval.h"

// "label   value", one a line. file: where the molecules came from.
void cli_molecules_print(FILE *out, const flv_molecule_evaluation *evaluation, const char *file);
void cli_molecules_json(FILE *out, const flv_molecule_evaluation *evaluation); // on one line

#endif
