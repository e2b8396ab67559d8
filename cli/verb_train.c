// fluvial train: a configuration becomes a run directory; a stopped run goes on.
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fluvial/run.h"
#include "configure.h"
#include "keys.h"
#include "measures.h"
#include "options.h"
#include "pictures.h"
#include "progress.h"

enum { OPT_SET = CLI_SET_KEY, OPT_OUT = 'o', OPT_RESUME = 'r', OPT_THREADS = 't', OPT_QUIET = 'q' };
enum { PATH_LEN = 1024 };

static const cli_option options[] = {
    CLI_SET_OPTION,
    {OPT_OUT, "out", "DIR",
     "run directory to make (default: runs/ and the configuration's name, then -2, -3, ...)"},
    {OPT_RESUME, "resume", "DIR",
     "go on with this run from its checkpoint, with its own configuration"},
    CLI_THREADS_OPTION,
    {OPT_QUIET, "quiet", NULL, "print nothing but errors and warnings"},
    {0, NULL, NULL, NULL},
};

typedef struct request {
  const char *config, *resume;
  char out[PATH_LEN];
  const char *set[CLI_MAX_SET]; // "key=value"
  int n_set, threads;
  bool quiet;
} request;

// A signal handler can reach nothing else.
static volatile int stop;

static void on_signal(int number) {
  (void)number;
  stop = 1;
}

// The first signal asks for a checkpoint and an end; the second finds the default action: it kills.
static void catch_signals(bool on) {
  struct sigaction action = {.sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
  action.sa_handler = on ? on_signal : SIG_DFL;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

// ---- command line ----

static int parse(const cli_verb *verb, int argc, char **argv, request *r) {
  const char *value;
  int64_t n;
  int key;
  while ((key = cli_next(verb, argc, argv, &value)) != CLI_END) {
    switch (key) {
    case CLI_HELPED:
      return CLI_HELPED;
    case CLI_BAD:
      return CLI_USAGE;
    case OPT_SET:
      if (r->n_set == CLI_MAX_SET) return cli_misused(verb, "more than %d --set", (int)CLI_MAX_SET);
      r->set[r->n_set++] = value;
      break;
    case OPT_RESUME:
      r->resume = value;
      break;
    case OPT_QUIET:
      r->quiet = true;
      break;
    case OPT_OUT:
      if (!*value || strlen(value) >= PATH_LEN)
        return cli_misused(verb, "--out: not a usable path");
      strcpy(r->out, value);
      break;
    case OPT_THREADS:
      if (!cli_integer(verb, "--threads", value, 0, 1024, &n)) return CLI_USAGE;
      r->threads = (int)n;
      break;
    default:
      return CLI_USAGE;
    }
  }
  const int operands = argc - optind;
  if (r->resume && (operands > 0 || r->n_set > 0 || *r->out))
    return cli_misused(
        verb, "--resume goes on with the run's own configuration and directory: it takes no "
              "CONFIG.yaml, --set or --out");
  if (!r->resume && operands != 1)
    return cli_misused(verb, operands == 0 ? "which CONFIG.yaml?" : "one CONFIG.yaml at a time");
  if (!r->resume) r->config = argv[optind];
  return CLI_OK;
}

// ---- the end of a run ----

// Draws one picture of a run; path is "" after a warning.
static void draw(const char *dir, int threads, bool heat, const char *metric, char path[PATH_LEN]) {
  flv_error err = {0};
  if (!cli_picture_path(path, PATH_LEN, dir, heat ? "learned.png" : "curves.png")) {
    path[0] = '\0';
    return;
  }
  const flv_status status = heat ? flv_run_plot_heat(dir, threads, path, &err)
                                 : flv_run_plot_curves(1, &dir, metric, path, &err);
  if (status == FLV_OK) return;
  cli_warn("%s", err.text);
  path[0] = '\0';
}

static void print_speed(const cli_progress *p, bool resumed) {
  char time[32], trajectories[32], rate[32], states[32];
  const flv_progress *now = &p->last;
  cli_clock(now->seconds, time, sizeof time);
  cli_thousands(now->stats.trajectories, trajectories, sizeof trajectories);
  cli_measures_row(stdout, "trajectories", "%s", trajectories);
  cli_measures_row(stdout, resumed ? "time since resuming" : "training time", "%s (%.1f s)", time,
                   now->seconds);
  const double states_per_s = cli_progress_states_per_s(p);
  if (states_per_s <= 0.0) return;
  cli_thousands((int64_t)states_per_s, states, sizeof states);
  cli_thousands((int64_t)(states_per_s / fmax(now->stats.mean_length, 1.0)), rate, sizeof rate);
  cli_measures_row(stdout, "speed", "%s states/s, %s trajectories/s", states, rate);
}

static int report(const request *r, const char *dir, const cli_progress *p) {
  flv_error err = {0};
  flv_evaluation e = p->last.evaluation;
  if (e.n == 0 && flv_run_evaluate(dir, r->threads, 20000, &e, &err) != FLV_OK)
    return cli_fail("%s", err.text);
  char curves[PATH_LEN], learned[PATH_LEN] = "";
  draw(dir, r->threads, false, isnan(e.jsd) ? "loss" : "jsd", curves);
  if (cli_run_has_marginals(dir, r->threads, &err)) draw(dir, r->threads, true, NULL, learned);
  if (r->quiet) return CLI_OK;
  putchar('\n');
  cli_measures_row(stdout, "run", "%s", dir);
  cli_measures_print(stdout, &e);
  if (!cli_progress_nothing(p)) print_speed(p, r->resume != NULL);
  if (*curves) cli_measures_row(stdout, "curves", "%s", curves);
  if (*learned) cli_measures_row(stdout, "learned and target", "%s", learned);
  return CLI_OK;
}

static int train(const cli_verb *verb, request *r) {
  flv_config *cfg = NULL;
  int code = CLI_OK;
  if (r->config && !(cfg = cli_configure(verb, r->config, r->n_set, r->set, &code))) return code;
  if (r->config && !*r->out && !cli_free_folder(r->out, PATH_LEN, "runs", r->config)) {
    flv_config_free(cfg);
    return CLI_FAILED;
  }
  const char *dir = r->resume ? r->resume : r->out;
  if (!r->quiet) fprintf(stderr, r->resume ? "going on with %s\n" : "training in %s\n", dir);
  cli_progress progress;
  cli_progress_begin(&progress, r->quiet);
  const flv_run_options how = {.out = r->resume ? NULL : r->out,
                               .resume = r->resume,
                               .threads = r->threads,
                               .progress = cli_progress_show,
                               .user = &progress,
                               .stop = &stop};
  flv_error err = {0};
  catch_signals(true);
  const flv_status status = flv_run_train(cfg, &how, &err);
  catch_signals(false);
  cli_progress_end(&progress);
  flv_config_free(cfg);
  if (status == FLV_OK && !r->quiet && cli_progress_nothing(&progress))
    fprintf(stderr, "already trained to its end\n");
  if (status == FLV_OK) return report(r, dir, &progress);
  cli_fail("%s", err.text);
  return status == FLV_ESTOPPED ? CLI_INTERRUPTED : CLI_FAILED;
}

static int run(const cli_verb *verb, int argc, char **argv) {
  request r = {0};
  int code = parse(verb, argc, argv, &r);
  if (code == CLI_OK) code = train(verb, &r);
  return code == CLI_HELPED ? CLI_OK : code;
}

const cli_verb cli_train = {
    .name = "train",
    .operands = "CONFIG.yaml [options]\n       fluvial train --resume DIR [options]",
    .help = "Trains a sampler as CONFIG.yaml says and leaves a run directory: the resolved "
            "configuration, metrics.csv, a checkpoint, pictures.",
    .details = "Ctrl-C (or SIGTERM) stops after writing a checkpoint, with exit code 130; "
               "--resume then goes on as if nothing had happened. A second one kills. The seed "
               "decides every bit of the result, the number of threads none.\n",
    .options = options,
    .run = run,
    .more = cli_keys_summary,
};
