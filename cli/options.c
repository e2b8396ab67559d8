// What the verbs share: option tables, numbers, messages, text that fits the terminal.
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { MAX_OPTIONS = 24, MAX_WORD = 48 };

// ---- messages ----

// Always one line, whatever a file name or a YAML value contained.
static void say(const char *before, const char *format, va_list args, const char *after) {
  char text[1024];
  vsnprintf(text, sizeof text, format, args);
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < ' ') *c = ' ';
  fprintf(stderr, "fluvial: %s%s%s\n", before, text, after);
}

int cli_fail(const char *format, ...) {
  va_list args;
  va_start(args, format);
  say("", format, args, "");
  va_end(args);
  return CLI_FAILED;
}

int cli_misused(const cli_verb *verb, const char *format, ...) {
  char before[64], after[64];
  snprintf(before, sizeof before, "%s: ", verb->name);
  snprintf(after, sizeof after, " (see fluvial %s --help)", verb->name);
  va_list args;
  va_start(args, format);
  say(before, format, args, after);
  va_end(args);
  return CLI_USAGE;
}

void cli_warn(const char *format, ...) {
  va_list args;
  va_start(args, format);
  say("warning: ", format, args, "");
  va_end(args);
}

// ---- nearest name ----

// Levenshtein's distance, one row of the table at a time.
static int distance(const char *a, const char *b) {
  int row[MAX_WORD + 1];
  const int m = (int)strlen(b);
  if (m > MAX_WORD) return MAX_WORD;
  for (int j = 0; j <= m; j++) row[j] = j;
  for (int i = 1; a[i - 1]; i++) {
    int diagonal = row[0];
    row[0] = i;
    for (int j = 1; j <= m; j++) {
      const int replace = diagonal + (a[i - 1] != b[j - 1]);
      const int other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
      diagonal = row[j];
      row[j] = replace < other ? replace : other;
    }
  }
  return row[m];
}

const char *cli_nearest(const char *word, const char *const *names) {
  const char *best = NULL;
  const size_t length = strlen(word);
  int least = length < 4 ? 2 : length < 9 ? 3 : 4; // nearer than this
  for (; *names; names++) {
    if (length > 0 && strncmp(word, *names, length) == 0) return *names;
    const int d = distance(word, *names);
    if (d < least) {
      least = d;
      best = *names;
    }
  }
  return best;
}

// ---- options ----

static int bad_option(const cli_verb *verb, const char *word, int letter) {
  if (strncmp(word, "--", 2) != 0) return cli_misused(verb, "unknown option -%c", letter), CLI_BAD;
  char name[MAX_WORD];
  snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
  const char *names[MAX_OPTIONS + 2] = {"help"};
  int n = 1;
  for (const cli_option *o = verb->options; o->name; o++) {
    if (strcmp(o->name, name) == 0) return cli_misused(verb, "--%s takes no value", name), CLI_BAD;
    names[n++] = o->name;
  }
  const char *near = cli_nearest(name, names);
  if (near)
    cli_misused(verb, "unknown option --%s; did you mean --%s?", name, near);
  else
    cli_misused(verb, "unknown option --%s", name);
  return CLI_BAD;
}

int cli_next(const cli_verb *verb, int argc, char **argv, const char **value) {
  struct option longs[MAX_OPTIONS + 2] = {{"help", no_argument, NULL, 'h'}};
  char letters[2 * MAX_OPTIONS + 4] =
      ":h"; // ':' first: a missing value is told from an unknown option
  int n = 1;
  for (const cli_option *o = verb->options; o->name && n <= MAX_OPTIONS; o++) {
    longs[n++] = (struct option){o->name, o->arg ? required_argument : no_argument, NULL, o->key};
    const char letter[3] = {(char)o->key, o->arg ? ':' : '\0', '\0'};
    if (o->key < 256) strcat(letters, letter);
  }
  opterr = 0;
  const int word =
      optind; // getopt_long may move operands behind the option it finds: only for messages
  const int key = getopt_long(argc, argv, letters, longs, NULL);
  const char *seen = optind > word ? argv[optind - 1] : argv[word < argc ? word : argc - 1];
  *value = optarg;
  if (key == '?') return bad_option(verb, seen, optopt);
  if (key == ':') {
    cli_misused(verb, "%s needs a value", seen);
    return CLI_BAD;
  }
  if (key == 'h') {
    cli_verb_help(verb, stdout);
    return CLI_HELPED;
  }
  return key; // -1 at the end
}

void cli_verb_help(const cli_verb *verb, FILE *out) {
  const int width = cli_text_width(out);
  fprintf(out, "usage: fluvial %s %s\n\n", verb->name, verb->operands);
  cli_wrap(out, 0, 0, width, verb->help);
  if (*verb->details) fputc('\n', out);
  for (const char *line = verb->details; *line;) {
    const int length = (int)strcspn(line, "\n");
    char text[1024];
    snprintf(text, sizeof text, "%.*s", length, line);
    cli_wrap(out, 0, 0, width, text);
    line += length + (line[length] == '\n');
  }
  fprintf(out, "\noptions:\n");
  const cli_option help = {'h', "help", NULL, "show this text"};
  for (const cli_option *o = verb->options;; o++) {
    const cli_option *row = o->name ? o : &help;
    char left[64] = "      ";
    if (row->key < 256) snprintf(left, sizeof left, "  -%c, ", row->key);
    const size_t used = strlen(left);
    snprintf(left + used, sizeof left - used, "--%s%s%s", row->name, row->arg ? " " : "",
             row->arg ? row->arg : "");
    const int at = fprintf(out, "%-24s  ", left);
    cli_wrap(out, at, 26, width, row->help);
    if (!o->name) break;
  }
  if (verb->more) verb->more(out);
}

bool cli_integer(const cli_verb *verb, const char *name, const char *text, int64_t lo, int64_t hi,
                 int64_t *out) {
  char *end;
  errno = 0;
  long long whole = strtoll(text, &end, 10);
  bool fine = end != text && *end == '\0' && errno == 0;
  if (!fine) { // 1e6
    const double v = strtod(text, &end);
    fine = end != text && *end == '\0' && fabs(v) < 0x1p53 && floor(v) == v;
    if (fine) whole = (long long)v;
  }
  if (!fine || whole < lo || whole > hi) {
    if (hi == INT64_MAX)
      cli_misused(verb, "%s %s: expected a whole number from %lld up", name, text, (long long)lo);
    else
      cli_misused(verb, "%s %s: expected a whole number from %lld to %lld", name, text,
                  (long long)lo, (long long)hi);
    return false;
  }
  *out = whole;
  return true;
}

bool cli_int(const cli_verb *verb, const char *name, const char *text, int lo, int hi, int *out) {
  int64_t n;
  if (!cli_integer(verb, name, text, lo, hi, &n)) return false;
  *out = (int)n;
  return true;
}

bool cli_threads(const cli_verb *verb, const char *text, int *out) {
  return cli_int(verb, "--threads", text, 0, 1024, out);
}

bool cli_out(const cli_verb *verb, const char *text, char *out, size_t size) {
  const size_t length = strlen(text);
  if (length == 0 || length >= size) {
    cli_misused(verb, "--out: not a usable path");
    return false;
  }
  memcpy(out, text, length + 1);
  return true;
}

bool cli_number(const cli_verb *verb, const char *name, const char *text, double lo, double hi,
                double *out) {
  char *end;
  const double value = strtod(text, &end);
  if (end == text || *end || !(value >= lo && value <= hi)) {
    cli_misused(verb, "%s %s: expected a number from %g to %g", name, text, lo, hi);
    return false;
  }
  *out = value;
  return true;
}

// ---- text ----

int cli_columns(FILE *f) {
  struct winsize size;
  const int fd = fileno(f);
  if (!isatty(fd)) return 0;
  if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char *columns = getenv("COLUMNS");
  const int n = columns ? atoi(columns) : 0;
  return n > 0 ? n : 80;
}

int cli_text_width(FILE *f) {
  const int columns = cli_columns(f);
  if (columns == 0) return 100;
  return columns < 60 ? 60 : columns > 110 ? 110 : columns;
}

// Characters, not bytes: UTF-8 continuation bytes take no column.
static int columns_of(const char *text, size_t bytes) {
  int n = 0;
  for (size_t i = 0; i < bytes; i++) n += ((unsigned char)text[i] & 0xC0) != 0x80;
  return n;
}

void cli_wrap(FILE *f, int at, int indent, int width, const char *text) {
  bool first = true;
  while (*(text += strspn(text, " "))) {
    const size_t bytes = strcspn(text, " ");
    const int columns = columns_of(text, bytes);
    if (!first && at + 1 + columns > width) {
      fprintf(f, "\n%*s", indent, "");
      at = indent;
      first = true;
    }
    fprintf(f, "%s%.*s", first ? "" : " ", (int)bytes, text);
    at += columns + !first;
    first = false;
    text += bytes;
  }
  fputc('\n', f);
}

bool cli_one_operand(const cli_verb *verb, int argc, const char *what, const char *more) {
  if (argc == optind) cli_misused(verb, "which %s%s?", what, more);
  if (argc > optind + 1) cli_misused(verb, "one %s at a time", what);
  return argc == optind + 1;
}

double cli_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cli_clock(double seconds, char *text, size_t size) {
  if (!(seconds >= 0.0) || seconds > 3.6e6) {
    snprintf(text, size, "--:--");
    return;
  }
  const int s = (int)(seconds + 0.5), h = s / 3600;
  if (h > 0)
    snprintf(text, size, "%d:%02d:%02d", h, s / 60 % 60, s % 60);
  else
    snprintf(text, size, "%d:%02d", s / 60, s % 60);
}

void cli_thousands(int64_t n, char *text, size_t size) {
  char plain[32];
  const int length = snprintf(plain, sizeof plain, "%lld", (long long)n);
  size_t used = 0;
  for (int i = 0; i < length && used + 2 < size; i++) {
    if (i > 0 && plain[i - 1] != '-' && (length - i) % 3 == 0) text[used++] = ',';
    text[used++] = plain[i];
  }
  text[used] = '\0';
}
