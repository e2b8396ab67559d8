// fluvial train: a configuration becomes a run directory; a stopped run goes on.
#include <getopt.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fluvial/run.h"
#include "configure.h"
#include "keys.h"
#include "measures.h"
#include "options.h"
#include "pictures.h"
#include "training.h"

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
  cli_settings set;
  int threads;
  bool quiet;
} request;

// ---- command line ----

static int parse(const cli_verb *verb, int argc, char **argv, request *r) {
  const char *value;
  int key;
  while ((key = cli_next(verb, argc, argv, &value)) != CLI_END) {
    switch (key) {
    case CLI_HELPED:
      return CLI_HELPED;
    case CLI_BAD:
      return CLI_USAGE;
    case OPT_SET:
      if (!cli_take_set(verb, value, &r->set)) return CLI_USAGE;
      break;
    case OPT_RESUME:
      r->resume = value;
      break;
    case OPT_QUIET:
      r->quiet = true;
      break;
    case OPT_OUT:
      if (!cli_out(verb, value, r->out, PATH_LEN)) return CLI_USAGE;
      break;
    case OPT_THREADS:
      if (!cli_threads(verb, value, &r->threads)) return CLI_USAGE;
      break;
    default:
      return CLI_USAGE;
    }
  }
  const int operands = argc - optind;
  if (r->resume && (operands > 0 || r->set.n > 0 || *r->out))
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

static int report(const request *r, const char *dir, const cli_training *t) {
  flv_error err = {0};
  flv_evaluation e = t->progress.last.evaluation;
  if (e.n == 0 && flv_run_evaluate(dir, r->threads, 20000, &e, &err) != FLV_OK)
    return cli_fail("%s", err.text);
  char curves[PATH_LEN], learned[PATH_LEN] = "";
  draw(dir, r->threads, false, isnan(e.jsd) ? "loss" : "jsd", curves);
  if (cli_run_has_marginals(dir, r->threads, &err)) draw(dir, r->threads, true, NULL, learned);
  if (r->quiet) return CLI_OK;
  putchar('\n');
  cli_measures_row(stdout, "run", "%s", dir);
  cli_measures_print(stdout, &e);
  if (!cli_progress_nothing(&t->progress)) cli_train_speed(t);
  if (*curves) cli_measures_row(stdout, "curves", "%s", curves);
  if (*learned) cli_measures_row(stdout, "learned and target", "%s", learned);
  return CLI_OK;
}

static int train(const cli_verb *verb, request *r) {
  flv_config *cfg = NULL;
  int code = CLI_OK;
  if (r->config && !(cfg = cli_configure(verb, r->config, &r->set, &code))) return code;
  if (r->config && !*r->out && !cli_free_folder(r->out, PATH_LEN, "runs", r->config)) {
    flv_config_free(cfg);
    return CLI_FAILED;
  }
  cli_training training = {
      .cfg = cfg, .out = r->out, .resume = r->resume, .threads = r->threads, .quiet = r->quiet};
  code = cli_train_run(&training);
  flv_config_free(cfg);
  return code == CLI_OK ? report(r, r->resume ? r->resume : r->out, &training) : code;
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
