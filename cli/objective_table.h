// What objectives are, need and come from, as the code says it (flv_objective).
#ifndef FLUVIAL_CLI_OBJECTIVE_TABLE_H
#define FLUVIAL_CLI_OBJECTIVE_TABLE_H

#include <stdio.h>

#include "fluvial/config.h"

// Is this the section of objectives?
bool cli_is_objectives(const flv_section *section);

void cli_objective_facts(FILE *out, const flv_component *objective); // indented lines of text
void cli_objective_table(FILE *out, const flv_section *objectives);  // Markdown, a row for each

#endif
