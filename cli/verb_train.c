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
#include "seeds.h"
#include "training.h"

enum {
  OPT_SET = CLI_SET_KEY,
  OPT_OUT = 'o',
  OPT_RESUME = 'r',
  OPT_THREADS = 't',
  OPT_QUIET = 'q',
  OPT_SEEDS = 256
};
enum { PATH_LEN = 1024 };

static const cli_option options[] = {
    CLI_SET_OPTION,
    {OPT_OUT, "out", "DIR",
     "run directory to make (default: runs/ and the configuration's name, then -2, -3, ...)"},
    {OPT_RESUME, "resume", "DIR",
     "go on with this run from its checkpoint, with its own configuration"},
    {OPT_SEEDS, "seeds", "N|LIST",
     "train N runs side by side that differ in their seed, from the configuration's on, or the "
     "seeds in a list like 1,2,5; run K is DIR/seed-K"},
    CLI_THREADS_OPTION,
    {OPT_QUIET, "quiet", NULL, "print nothing but errors and warnings"},
    {0, NULL, NULL, NULL},
};

typedef struct request {
  const char *config, *resume;
  char out[PATH_LEN];
  cli_settings set;
  cli_seed_list seeds; // n = 0: one run
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
    case OPT_SEEDS:
      if (!cli_take_seeds(verb, value, &r->seeds)) return CLI_USAGE;
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
  if (r->resume && (operands > 0 || r->set.n > 0 || r->seeds.n > 0 || *r->out))
    return cli_misused(
        verb, "--resume goes on with the run's own configuration and directory: it takes no "
              "CONFIG.yaml, --set, --seeds or --out");
  if (!r->resume && operands != 1)
    return cli_misused(verb, operands == 0 ? "which CONFIG.yaml?" : "one CONFIG.yaml at a time");
  if (!r->resume) r->config = argv[optind];
  return CLI_OK;
}

// ---- the end of a run ----

static int report(const request *r, const char *dir, const cli_training *t) {
  flv_error err = {0};
  flv_evaluation e = t->progress.last.evaluation;
  if (e.n == 0 && flv_run_evaluate(dir, r->threads, 20000, &e, &err) != FLV_OK)
    return cli_fail("%s", err.text);
  cli_drawn drawn;
  cli_draw_run(&drawn, dir, r->threads, &e);
  for (int i = 0; i < 2; i++)
    if (drawn.failed[i].text[0]) cli_warn("%s", drawn.failed[i].text);
  if (r->quiet) return CLI_OK;
  putchar('\n');
  cli_measures_row(stdout, "run", "%s", dir);
  cli_measures_print(stdout, &e);
  cli_found_print(stdout, dir, &t->progress.last.best);
  if (!cli_progress_nothing(&t->progress)) cli_train_speed(t);
  if (*drawn.curves) cli_measures_row(stdout, "curves", "%s", drawn.curves);
  if (*drawn.learned) cli_measures_row(stdout, "learned and target", "%s", drawn.learned);
  return CLI_OK;
}

static int train_one(const request *r, const flv_config *cfg) {
  cli_training training = {
      .cfg = cfg, .out = r->out, .resume = r->resume, .threads = r->threads, .quiet = r->quiet};
  const int code = cli_train_run(&training);
  return code == CLI_OK ? report(r, r->resume ? r->resume : r->out, &training) : code;
}

static int train(const cli_verb *verb, request *r) {
  flv_config *cfg = NULL;
  int code = CLI_OK;
  if (r->config && !(cfg = cli_configure(verb, r->config, &r->set, &code))) return code;
  if (r->config && !*r->out && !cli_free_folder(r->out, PATH_LEN, "runs", r->config)) {
    flv_config_free(cfg);
    return CLI_FAILED;
  }
  code =
      r->seeds.n > 0 || (r->resume && flv_seeds_found(r->resume))
          ? cli_train_seeds(&(cli_seeds){cfg, r->out, r->resume, &r->seeds, r->threads, r->quiet})
          : train_one(r, cfg);
  flv_config_free(cfg);
  return code;
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
               "decides every bit of the result, the number of threads none.\n"
               "With --seeds all runs share the threads, each run on one where there are enough "
               "runs, and environment, reward and exact target are made once; every run is what "
               "--set seed=K alone would leave. A run that fails keeps its checkpoint, and the "
               "others go on. DIR/summary.csv and DIR/seeds.png show median and range; --resume "
               "DIR goes on with all.\n",
    .options = options,
    .run = run,
    .more = cli_keys_summary,
};
