// fluvial estimators: bias, variance and direction of gradient estimators along training.
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "configure.h"
#include "estimator_rows.h"
#include "fluvial/run.h"
#include "measures.h"
#include "options.h"

enum {
  OPT_SET = CLI_SET_KEY,
  OPT_OUT = 'o',
  OPT_CSV = 'c',
  OPT_AT = 'a',
  OPT_BATCH = 'b',
  OPT_LARGE = 'l',
  OPT_REPEATS = 'r',
  OPT_OBJECTIVES = 256,
  OPT_BASELINES,
  OPT_WEIGHTS,
  OPT_BEHAVIOURS,
  OPT_SPACE,
  OPT_THREADS = 't',
  OPT_QUIET = 'q'
};
enum { PATH_LEN = 1024, FOLDER_LEN = PATH_LEN - 64, MAX_AT = 64, MAX_BATCHES = 16 };

static const cli_option options[] = {
    CLI_SET_OPTION,
    {OPT_AT, "at", "LIST", "iterations to measure at (default: 0, n/10, n; n: 1000 or fewer)"},
    {OPT_BATCH, "batch", "LIST", "batch sizes (default: 16,64)"},
    {OPT_LARGE, "large", "N", "trajectories of a large batch (default: 1024)"},
    {OPT_REPEATS, "repeats", "N", "large batches to measure on (default: 4)"},
    {OPT_OBJECTIVES, "objectives", "LIST", "NAME or NAME:KEY=VALUE (see below)"},
    {OPT_BASELINES, "baselines", "LIST", "none,local,global,leave_one_out,optimal"},
    {OPT_WEIGHTS, "weights", "LIST", "none,plain,self_normalised,clipped"},
    {OPT_BEHAVIOURS, "behaviours", "LIST",
     "on_policy, epsilon=E, exit_bias=B, replay=K: the policy K iterations before"},
    {OPT_SPACE, "space", "NAME", "logits or parameters (default: logits where there is a choice)"},
    {OPT_OUT, "out", "DIR",
     "folder for csv and picture (default: estimators/ and the "
     "configuration's name, then -2, -3, ...)"},
    {OPT_CSV, "csv", "FILE", "the rows (default: DIR/estimators.csv)"},
    CLI_THREADS_OPTION,
    {OPT_QUIET, "quiet", NULL, "print nothing but errors and warnings"},
    {0, NULL, NULL, NULL},
};

typedef struct request {
  const char *config, *csv;
  char out[FOLDER_LEN];
  cli_settings set;
  int64_t at[MAX_AT];
  int batch[MAX_BATCHES];
  bool quiet;
  flv_estimators_options how;
} request;

// A signal handler can reach nothing else.
static volatile int stop;

static void on_signal(int number) {
  (void)number;
  stop = 1;
}

// ---- command line ----

// Whole numbers between commas; how many, or -1 after a message.
static int list(const cli_verb *verb, const char *name, const char *text, int64_t lo, int64_t hi,
                int max, int64_t *out) {
  int n = 0;
  for (const char *at = text; *at;) {
    char word[32];
    const int length = (int)strcspn(at, ",");
    snprintf(word, sizeof word, "%.*s", length, at);
    if (n == max) {
      cli_misused(verb, "%s: more than %d", name, max);
      return -1;
    }
    if (!cli_integer(verb, name, word, lo, hi, &out[n++])) return -1;
    at += length + (at[length] == ',');
  }
  if (n == 0) cli_misused(verb, "%s: expected whole numbers between commas", name);
  return n > 0 ? n : -1;
}

static bool parse_batches(const cli_verb *verb, const char *value, request *r) {
  int64_t size[MAX_BATCHES];
  r->how.n_batch = list(verb, "--batch", value, 1, 1 << 20, MAX_BATCHES, size);
  for (int i = 0; i < r->how.n_batch; i++) r->batch[i] = (int)size[i];
  r->how.batch = r->batch;
  return r->how.n_batch > 0;
}

static bool parse_space(const cli_verb *verb, const char *value, request *r) {
  if (strcmp(value, "logits") == 0)
    r->how.space = FLV_SPACE_LOGITS;
  else if (strcmp(value, "parameters") == 0)
    r->how.space = FLV_SPACE_PARAMETERS;
  else
    cli_misused(verb, "--space %s: expected logits or parameters", value);
  return r->how.space != FLV_SPACE_AUTO;
}

// False after a message.
static bool take(const cli_verb *verb, int key, const char *value, request *r) {
  switch (key) {
  case OPT_SET:
    return cli_take_set(verb, value, &r->set);
  case OPT_AT:
    r->how.at = r->at;
    r->how.n_at = list(verb, "--at", value, 0, INT64_C(1000000000000), MAX_AT, r->at);
    return r->how.n_at > 0;
  case OPT_BATCH:
    return parse_batches(verb, value, r);
  case OPT_LARGE:
    return cli_int(verb, "--large", value, 2, 1 << 20, &r->how.large);
  case OPT_REPEATS:
    return cli_int(verb, "--repeats", value, 2, 10000, &r->how.repeats);
  case OPT_OBJECTIVES:
    r->how.objectives = value;
    return true;
  case OPT_BASELINES:
    r->how.baselines = value;
    return true;
  case OPT_WEIGHTS:
    r->how.weights = value;
    return true;
  case OPT_BEHAVIOURS:
    r->how.behaviours = value;
    return true;
  case OPT_SPACE:
    return parse_space(verb, value, r);
  case OPT_CSV:
    r->csv = value;
    return true;
  case OPT_THREADS:
    return cli_threads(verb, value, &r->how.threads);
  case OPT_QUIET:
    r->quiet = true;
    return true;
  case OPT_OUT:
    return cli_out(verb, value, r->out, FOLDER_LEN);
  default:
    return false;
  }
}

static int parse(const cli_verb *verb, int argc, char **argv, request *r) {
  const char *value;
  int key;
  while ((key = cli_next(verb, argc, argv, &value)) != CLI_END) {
    if (key == CLI_HELPED) return CLI_HELPED;
    if (!take(verb, key, value, r)) return CLI_USAGE;
  }
  if (!cli_one_operand(verb, argc, "CONFIG.yaml", "")) return CLI_USAGE;
  r->config = argv[optind];
  return CLI_OK;
}

// ---- progress: as in eval, one line that is written over on a terminal, else one in ten seconds

typedef struct waiting {
  double begun, shown; // seconds; begun: what is being done now
  const char *what;
  bool live, open, quiet;
} waiting;

static void show(void *user, const char *what, int64_t done, int64_t of) {
  waiting *w = user;
  const double t = cli_now();
  if (!w->what || strcmp(w->what, what) != 0) w->begun = t;
  w->what = what;
  if (w->quiet || done == 0 || t - w->shown < (w->live ? 0.1 : 10.0)) return;
  char left[32];
  cli_clock((t - w->begun) * (double)(of - done) / (double)done, left, sizeof left);
  fprintf(stderr, w->live ? "\r%s %lld/%lld  %s left\033[K" : "%s %lld/%lld  %s left\n", what,
          (long long)done, (long long)of, left);
  fflush(stderr);
  w->shown = t;
  w->open = w->live;
}

// ---- output ----

// Makes a folder and those above it. False after a message.
static bool make_folder(const char *path) {
  char part[PATH_LEN];
  for (size_t i = 1;; i++) {
    if (path[i] != '/' && path[i] != '\0') continue;
    snprintf(part, sizeof part, "%.*s", (int)i, path);
    if (mkdir(part, 0777) != 0 && errno != EEXIST) {
      cli_fail("%s: cannot make the folder: %s", part, strerror(errno));
      return false;
    }
    if (!path[i]) return true;
  }
}

// Draws one picture; path is "" after a warning.
static void draw(const flv_estimators *e, const char *dir, const char *kind, char path[PATH_LEN]) {
  flv_error err = {0};
  snprintf(path, PATH_LEN, "%s/%s.png", dir, kind ? kind : "estimators");
  if (flv_run_plot_estimators(e, kind, path, &err) == FLV_OK) return;
  cli_warn("%s", err.text);
  *path = '\0';
}

// One for each kind of behaviour of which there are several; of all together if there is none.
static void draw_all(const flv_estimators *e, const char *dir, char path[3][PATH_LEN]) {
  static const char *const kinds[] = {"epsilon", "exit_bias", "replay"};
  int n = 0;
  for (int k = 0; k < 3; k++)
    if (flv_run_count_behaviours(e, kinds[k]) > 1) draw(e, dir, kinds[k], path[n++]);
  if (n == 0) draw(e, dir, NULL, path[0]);
}

static int write_out(const request *r, const flv_estimators *e) {
  char csv[PATH_LEN], pictures[3][PATH_LEN] = {"", "", ""};
  if (!make_folder(r->out)) return CLI_FAILED;
  snprintf(csv, sizeof csv, "%s/estimators.csv", r->out);
  const char *path = r->csv ? r->csv : csv;
  FILE *f = fopen(path, "w");
  if (f) cli_estimators_csv(f, e);
  const bool written = f && !ferror(f);
  if ((f && fclose(f) != 0) || !written)
    return cli_fail("%s: cannot be written: %s", path, strerror(errno));
  draw_all(e, r->out, pictures);
  if (r->quiet) return CLI_OK;
  cli_estimators_print(stdout, e);
  putchar('\n');
  cli_measures_row(stdout, "rows", "%s (%d)", path, e->n);
  for (int k = 0; k < 3; k++)
    if (*pictures[k]) cli_measures_row(stdout, "picture", "%s", pictures[k]);
  return CLI_OK;
}

static int measure(const cli_verb *verb, request *r) {
  int code;
  flv_error err = {0};
  flv_config *cfg = cli_configure(verb, r->config, &r->set, &code);
  if (!cfg) return code;
  if (!*r->out && !cli_free_folder(r->out, FOLDER_LEN, "estimators", r->config)) {
    flv_config_free(cfg);
    return CLI_FAILED;
  }
  waiting w = {.live = cli_columns(stderr) > 0, .quiet = r->quiet, .shown = cli_now()};
  struct sigaction action = {.sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  r->how.progress = show;
  r->how.user = &w;
  r->how.stop = &stop;
  flv_estimators *e = flv_estimators_new(cfg, &r->how, &err);
  flv_config_free(cfg);
  if (w.open) fputs("\r\033[K", stderr);
  if (!e) {
    cli_fail("%s: %s", r->config, err.text);
    return err.status == FLV_ESTOPPED ? CLI_INTERRUPTED : CLI_FAILED;
  }
  code = write_out(r, e);
  flv_estimators_free(e);
  return code;
}

static int run(const cli_verb *verb, int argc, char **argv) {
  request r = {0};
  const int code = parse(verb, argc, argv, &r);
  if (code == CLI_HELPED) return CLI_OK;
  return code == CLI_OK ? measure(verb, &r) : code;
}

const cli_verb cli_estimators = {
    .name = "estimators",
    .operands = "CONFIG.yaml [options]",
    .help = "Measures gradient estimators at points along training: bias, variance, signal to "
            "noise, effective sample size and direction, by objective, baseline, importance "
            "weights, behaviour policy and batch size.",
    .details =
        "Trains the configuration and applies every estimator to the same trajectories; exactly "
        "where that is possible, else with standard errors. docs/theory.md explains what is "
        "measured and shows it.\n"
        "Lists are words between commas. Without --objectives: "
        "tb:loss=half_squared,log_variance:loss=half_squared,reverse_kl,forward_kl. Halved, the "
        "two balance objectives have D(P_F||P_B)'s gradient on-policy, not twice it. An objective "
        "that the configuration names keeps the options it has there.\n",
    .options = options,
    .run = run,
};
