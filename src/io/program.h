// Another program, run to its end: gnuplot, Graphviz.
#ifndef FLUVIAL_IO_PROGRAM_H
#define FLUVIAL_IO_PROGRAM_H

#include <stddef.h>

typedef struct flv_program_end {
  int fault; // errno where it could not be started (ENOENT: it is not installed), else 0
  int code;  // its exit code; -1 if a signal ended it
  int signal;
  char said[400]; // the last line of its messages
} flv_program_end;

// Runs argv[0], looked up in PATH, in `folder`, with nothing to read and its output thrown away.
// argv ends with NULL.
void flv_program_run(flv_program_end *end, const char *folder, char *const argv[]);

#endif
