// Another program, run to its end: gnuplot, Graphviz. (One that is kept alive: io/coprocess.h.)
#ifndef FLUVIAL_IO_PROGRAM_H
#define FLUVIAL_IO_PROGRAM_H

enum { FLV_PROGRAM_SAID = 400 }; // bytes of messages that are kept

typedef struct flv_program_end {
  int fault; // errno where it could not be started (ENOENT: it is not installed), else 0
  int code;  // its exit code; -1 if a signal ended it
  int signal;
  char said[FLV_PROGRAM_SAID]; // the last line of its messages
} flv_program_end;

// Runs argv[0], looked up in PATH, in `folder`, with nothing to read and its output thrown away.
// argv ends with NULL.
void flv_program_run(flv_program_end *end, const char *folder, char *const argv[]);

// Fills code and signal from what waitpid said.
void flv_program_ended(flv_program_end *end, int state);
// Leaves of a text its last line that is not empty: messages end with the one that counts.
void flv_program_last_line(char *text);

#endif
