// The configuration's tables as text: for `fluvial list`, `fluvial train --help` and the docs.
#ifndef FLUVIAL_CLI_KEYS_H
#define FLUVIAL_CLI_KEYS_H

#include <stdio.h>

#include "fluvial/config.h"

// What the user calls a section: its name, "train" for the top level.
const char *cli_section_name(const flv_section *section);

void cli_keys_summary(FILE *out);  // every key with its default
void cli_keys_overview(FILE *out); // sections and components
void cli_keys_component(FILE *out, const flv_section *section,
                        const flv_component *component); // in full
void cli_keys_markdown(FILE *out);                       // docs/configuration.md
void cli_put_cell(FILE *out, const char *text);          // of a Markdown table, escaped

#endif
