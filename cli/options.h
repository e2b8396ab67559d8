// What the verbs share: option tables, numbers, messages, text that fits the terminal.
#ifndef FLUVIAL_CLI_OPTIONS_H
#define FLUVIAL_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "fluvial/status.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 }; // exit codes

typedef struct cli_option {
  int key;          // its letter; 256 and above: a long name only
  const char *name; // "threads"; NULL ends a table
  const char *arg;  // "N"; NULL: takes no value
  const char *help;
} cli_option;

typedef struct cli_verb {
  const char *name;
  const char *operands; // "CONFIG.yaml [options]"
  const char *help;     // one line
  const char *details;  // paragraphs for --help, each ended by a newline; may be ""
  const cli_option *options;
  int (*run)(const struct cli_verb *verb, int argc, char **argv); // returns an exit code
  void (*more)(FILE *out);                                        // rest of --help; may be NULL
} cli_verb;

extern const cli_verb cli_train, cli_eval, cli_sample, cli_best, cli_plot, cli_gradients,
    cli_estimators, cli_synth, cli_structure, cli_list;

// The same in every verb that computes.
#define CLI_THREADS_OPTION                                                                         \
  { 't', "threads", "N", "threads to use (0: one per core, the default)" }

enum { CLI_END = -1, CLI_BAD = -2, CLI_HELPED = -3 };
// Next option: its key (with *value), CLI_END (argv[optind] is the first operand), CLI_BAD after a
// message, CLI_HELPED after printing the verb's help. Options and operands may be mixed.
int cli_next(const cli_verb *verb, int argc, char **argv, const char **value);
void cli_verb_help(const cli_verb *verb, FILE *out);

// A whole number in [lo, hi]; "1e6" is one. False after a message.
bool cli_integer(const cli_verb *verb, const char *name, const char *text, int64_t lo, int64_t hi,
                 int64_t *out);
bool cli_int(const cli_verb *verb, const char *name, const char *text, int lo, int hi, int *out);

// The value of CLI_THREADS_OPTION. False after a message.
bool cli_threads(const cli_verb *verb, const char *text, int *out);

// The value of --out, of fewer than size bytes, copied to out. False after a message.
bool cli_out(const cli_verb *verb, const char *text, char *out, size_t size);

// A number in [lo, hi]. False after a message.
bool cli_number(const cli_verb *verb, const char *name, const char *text, double lo, double hi,
                double *out);

// "fluvial: message" on standard error, one line. Returns CLI_FAILED.
int cli_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
// The same, pointing to the verb's help. Returns CLI_USAGE.
int cli_misused(const cli_verb *verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

// The name nearest to word, or NULL if none is near. names ends with NULL.
const char *cli_nearest(const char *word, const char *const *names);

// Columns of the terminal behind f; 0 if it is none.
int cli_columns(FILE *f);

// Prints words (what blanks separate) from column `at`, breaking lines before column `width` and
// beginning new ones at column `indent`; ends the line.
void cli_wrap(FILE *f, int at, int indent, int width, const char *text);
// Width to wrap text to: the terminal's, between 60 and 110, else 100.
int cli_text_width(FILE *f);

// "1:02:03", "4:05"
void cli_clock(double seconds, char *text, size_t size);
// Seconds of a clock that only goes forward.
double cli_now(void);
// Is there one operand, behind the options? If not, says so: "which RUN directory?", of what "RUN"
// and more " directory".
bool cli_one_operand(const cli_verb *verb, int argc, const char *what, const char *more);
// 1,234,567
void cli_thousands(int64_t n, char *text, size_t size);

#endif
