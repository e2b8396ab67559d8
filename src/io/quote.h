// Texts of people, such as names of columns, in files that other programs read.
#ifndef FLUVIAL_IO_QUOTE_H
#define FLUVIAL_IO_QUOTE_H

#include <stdio.h>

// A field of a csv file: in quotes, with doubled ones inside, where it needs them.
void flv_quote_csv(FILE *f, const char *text);

// A quoted string of Graphviz's language whose label shows the text as it is: escapes and HTML
// entities have no meaning in it, control characters become spaces.
void flv_quote_dot(FILE *f, const char *text);

#endif
