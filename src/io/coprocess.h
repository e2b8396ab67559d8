// Another program, kept alive and asked in lines: it answers each line with one line, in order.
#ifndef FLUVIAL_IO_COPROCESS_H
#define FLUVIAL_IO_COPROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "io/program.h"

enum { FLV_COPROCESS_ROOM = 1 << 16 }; // most bytes of a line

typedef struct flv_coprocess { // zeroed: not running
  pid_t pid;
  pid_t guard;                     // of its group: kills that if we are gone; 0: there is none
  int lifeline;                    // what the guard waits for the end of
  int to, from, messages;          // our ends of its standard streams; -1: closed
  char answer[FLV_COPROCESS_ROOM]; // what it wrote and nobody took: from begin to end
  size_t begin, end;
  char said[FLV_PROGRAM_SAID]; // the tail of its messages
  size_t n_said;
  bool known;               // it has answered one line with one
  const volatile int *stop; // set to 1: asking is given up; may be NULL
  double give_up;           // when, by the clock; 0: not yet
} flv_coprocess;

// What came of asking.
typedef enum flv_talk {
  FLV_TALK_DONE,
  FLV_TALK_ENDED,   // it closed its input or its output, as a program does that ends
  FLV_TALK_SILENT,  // it took too long
  FLV_TALK_EARLY,   // it wrote more than it was asked for
  FLV_TALK_STOPPED, // *stop was set, and it had two seconds more
  FLV_TALK_REFUSED, // `hear` did not take a line
} flv_talk;

// Is told line k of the answers, without its end. false: that is no answer.
typedef bool flv_hear_fn(void *user, int k, const char *line);

bool flv_coprocess_running(const flv_coprocess *p);

// Starts a command of the shell, in a process group of its own, so that the terminal's Ctrl-C is
// for us to hear first. Returns an errno, 0 if it runs: the shell does, that is; what it cannot
// find ends it. A second process of the group, the guard, ends the group when this one is gone,
// however it went: a program that hangs does not notice that its input has ended.
int flv_coprocess_start(flv_coprocess *p, const char *command);

// Sends `size` bytes of text, n lines, and hears n lines, at the same time, since it may answer
// before it has read all. patience: most seconds without an answer. answered: lines taken. No
// signal is raised by a program that closes its input. The first line after a start is asked alone,
// so that a program that answers it with two, which would shift all answers behind, is found out.
flv_talk flv_coprocess_ask(flv_coprocess *p, size_t size, const char *text, int n, double patience,
                           flv_hear_fn *hear, void *user, int *answered);

// Closes its input, which tells it to end, and waits for that up to `grace` seconds; then kills it
// and all of its group. false: it was killed. end may be NULL. Does nothing if it is not running.
bool flv_coprocess_stop(flv_coprocess *p, double grace, flv_program_end *end);

#endif
