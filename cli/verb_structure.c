// fluvial structure: from a table of data to the posterior over causal graphs.
#include <getopt.h>
#include <string.h>

#include "fluvial/run.h"
#include "fluvial/structure.h"
#include "configure.h"
#include "options.h"
#include "training.h"

enum {
  OPT_OUT = 'o',
  OPT_SCORE = 256,
  OPT_PRIOR,
  OPT_MAX_PARENTS,
  OPT_REQUIRE,
  OPT_FORBID,
  OPT_OBJECTIVE,
  OPT_TRUTH,
  OPT_ITERATIONS,
  OPT_SEED,
  OPT_THRESHOLD,
  OPT_SET = CLI_SET_KEY,
  OPT_N = 'n',
  OPT_RESUME = 'r',
  OPT_THREADS = 't',
  OPT_QUIET = 'q'
};
enum { PATH_LEN = 1024, MOST_EDGES = 64 };

static const cli_option options[] = {
    {OPT_OUT, "out", "DIR",
     "run directory to make (default: runs/ and the table's name, then -2, -3, ...)"},
    {OPT_SCORE, "score", "NAME",
     "bge (numbers, the default), linear_gaussian (numbers) or bdeu (categories)"},
    {OPT_PRIOR, "prior", "NAME", "uniform (the default), edge, erdos_renyi or fair"},
    {OPT_MAX_PARENTS, "max-parents", "K", "most parents of a variable (default: any number)"},
    {OPT_REQUIRE, "require", "A>B", "every graph has this edge; may be given many times"},
    {OPT_FORBID, "forbid", "A>B", "no graph has this edge; may be given many times"},
    {OPT_OBJECTIVE, "objective", "NAME", "what to train with (default: tb)"},
    {OPT_TRUTH, "truth", "FILE",
     "the true graph, as of `fluvial synth dag`: adds expected SHD, AUROC and AUPRC"},
    {OPT_ITERATIONS, "iterations", "N", "updates (default: by the number of variables)"},
    {OPT_SEED, "seed", "K", "seed of everything random (default: 1)"},
    {OPT_THRESHOLD, "threshold", "P", "least probability of an edge in graph.png (default: 0.5)"},
    CLI_SET_OPTION,
    {OPT_N, "number", "N", "graphs to sample for the report (default: 1000)"},
    {OPT_RESUME, "resume", "DIR",
     "go on with this run to its end; of a finished one, write the report anew"},
    CLI_THREADS_OPTION,
    {OPT_QUIET, "quiet", NULL, "print nothing but errors and warnings"},
    {0, NULL, NULL, NULL},
};

typedef struct request {
  flv_structure_problem problem;
  flv_structure_options report;
  const char *required[MOST_EDGES], *forbidden[MOST_EDGES];
  const char *resume, *objective;
  char out[PATH_LEN];
  cli_settings set;
  int64_t iterations, seed; // 0, -1: not given
  bool fixed;               // something was said that a resumed run has already
  bool quiet;
} request;

static bool take_edge(const cli_verb *verb, const char *name, const char *value, const char **edges,
                      int *n) {
  if (*n == MOST_EDGES) {
    cli_misused(verb, "more than %d %s", (int)MOST_EDGES, name);
    return false;
  }
  edges[(*n)++] = value;
  return true;
}

// Options that a resumed run takes too. 0: not one of them.
static int take_reporting(const cli_verb *verb, request *r, int key, const char *value) {
  switch (key) {
  case OPT_TRUTH:
    r->report.truth = value;
    return 1;
  case OPT_THRESHOLD:
    return cli_number(verb, "--threshold", value, 1e-6, 1, &r->report.threshold) ? 1 : -1;
  case OPT_N:
    return cli_integer(verb, "-n", value, 1, 10000000, &r->report.samples) ? 1 : -1;
  case OPT_THREADS:
    return cli_threads(verb, value, &r->report.threads) ? 1 : -1;
  case OPT_RESUME:
    r->resume = value;
    return 1;
  case OPT_QUIET:
    r->quiet = true;
    return 1;
  default:
    return 0;
  }
}

static bool take_problem(const cli_verb *verb, request *r, int key, const char *value) {
  r->fixed = true;
  switch (key) {
  case OPT_OUT:
    return cli_out(verb, value, r->out, PATH_LEN);
  case OPT_SCORE:
    r->problem.score = value;
    return true;
  case OPT_PRIOR:
    r->problem.prior = value;
    return true;
  case OPT_OBJECTIVE:
    r->objective = value;
    return true;
  case OPT_MAX_PARENTS:
    return cli_int(verb, "--max-parents", value, 1, 63, &r->problem.max_parents);
  case OPT_REQUIRE:
    return take_edge(verb, "--require", value, r->required, &r->problem.n_required);
  case OPT_FORBID:
    return take_edge(verb, "--forbid", value, r->forbidden, &r->problem.n_forbidden);
  case OPT_ITERATIONS:
    return cli_integer(verb, "--iterations", value, 1, INT64_C(1000000000000), &r->iterations);
  case OPT_SEED:
    return cli_integer(verb, "--seed", value, 0, INT64_C(9000000000000000000), &r->seed);
  case OPT_SET:
    return cli_take_set(verb, value, &r->set);
  default:
    return false;
  }
}

static int parse(const cli_verb *verb, int argc, char **argv, request *r) {
  const char *value;
  int key;
  while ((key = cli_next(verb, argc, argv, &value)) != CLI_END) {
    if (key == CLI_HELPED) return CLI_HELPED;
    if (key == CLI_BAD) return CLI_USAGE;
    const int taken = take_reporting(verb, r, key, value);
    if (taken < 0 || (taken == 0 && !take_problem(verb, r, key, value))) return CLI_USAGE;
  }
  const int operands = argc - optind;
  if (r->resume && (operands > 0 || r->fixed))
    return cli_misused(verb, "--resume goes on with the run's own table and configuration: besides "
                             "it only --truth, --threshold, -n, --threads and --quiet are taken");
  if (!r->resume && operands != 1)
    return cli_misused(verb, operands == 0 ? "which DATA.csv?" : "one DATA.csv at a time");
  if (!r->resume) r->problem.table = argv[optind];
  r->problem.required = r->required;
  r->problem.forbidden = r->forbidden;
  return CLI_OK;
}

// ---- a new run ----

static flv_status set_number(flv_config *cfg, const char *key, int64_t value, flv_error *err) {
  char text[32];
  snprintf(text, sizeof text, "%lld", (long long)value);
  return flv_config_set(cfg, key, text, err);
}

// A shorter run is evaluated at its end at the latest.
static flv_status set_own(flv_config *cfg, const request *r, flv_error *err) {
  if (r->objective) FLV_TRY(flv_config_set(cfg, "objective", r->objective, err));
  if (r->seed >= 0) FLV_TRY(set_number(cfg, "seed", r->seed, err));
  return r->iterations > 0 ? set_number(cfg, "iterations", r->iterations, err) : FLV_OK;
}

static flv_config *configure(const cli_verb *verb, const request *r, int *code) {
  flv_error err = {0};
  flv_config *cfg = flv_config_new(&err);
  flv_status status = cfg ? flv_structure_configure(cfg, &r->problem, &err) : err.status;
  if (status == FLV_OK) status = set_own(cfg, r, &err);
  *code = CLI_FAILED;
  if (status == FLV_OK) {
    if (cli_set_values(verb, cfg, &r->set, code)) {
      *code = CLI_FAILED;
      status = flv_structure_prepare(cfg, r->report.truth, &err);
      if (status == FLV_OK) return cfg;
      cli_fail("%s", err.text);
    }
  } else {
    cli_fail("%s", err.text);
  }
  flv_config_free(cfg);
  return NULL;
}

static bool print_file(const char *dir, const char *name) {
  char path[PATH_LEN + 32], text[4096];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE *f = fopen(path, "r");
  if (!f) return false;
  for (size_t n; (n = fread(text, 1, sizeof text, f)) > 0;) fwrite(text, 1, n, stdout);
  fclose(f);
  return true;
}

static int report(const request *r, const char *dir) {
  flv_error err = {0};
  flv_structure_pictures pictures;
  if (!r->quiet) fprintf(stderr, "writing %s/report\n", dir);
  if (flv_structure_report(dir, &r->report, &pictures, &err) != FLV_OK)
    return cli_fail("%s", err.text);
  if (*pictures.heat) cli_warn("%s", pictures.heat);
  if (*pictures.graph) cli_warn("%s", pictures.graph);
  if (r->quiet) return CLI_OK;
  putchar('\n');
  if (!print_file(dir, "report/summary.txt")) return cli_fail("%s/report: cannot be read", dir);
  printf("\nreport                  %s/report\n", dir);
  return CLI_OK;
}

static int train(const cli_verb *verb, request *r) {
  int code = CLI_OK;
  flv_config *cfg = r->resume ? NULL : configure(verb, r, &code);
  if (!r->resume && !cfg) return code;
  if (cfg && !*r->out && !cli_free_folder(r->out, PATH_LEN, "runs", r->problem.table)) {
    flv_config_free(cfg);
    return CLI_FAILED;
  }
  cli_training training = {.cfg = cfg,
                           .out = r->out,
                           .resume = r->resume,
                           .threads = r->report.threads,
                           .quiet = r->quiet};
  code = cli_train_run(&training);
  flv_config_free(cfg);
  return code == CLI_OK ? report(r, r->resume ? r->resume : r->out) : code;
}

static int run(const cli_verb *verb, int argc, char **argv) {
  request r = {.seed = -1};
  int code = parse(verb, argc, argv, &r);
  if (code == CLI_OK) code = train(verb, &r);
  return code == CLI_HELPED ? CLI_OK : code;
}

const cli_verb cli_structure = {
    .name = "structure",
    .operands = "DATA.csv [options]\n       fluvial structure --resume DIR [options]",
    .help = "Learns causal graphs from a table of data: trains a sampler of the posterior and "
            "reports the probabilities of edges, paths and Markov blankets, with pictures.",
    .details =
        "DATA.csv has a row for each observation and named columns, 2 to 64 of them. The run "
        "directory is one that `fluvial train` would make from the same configuration, and "
        "its folder report/ holds the tables and pictures. Up to 6 variables every graph is "
        "counted and the probabilities are exact.\n"
        "Ctrl-C (or SIGTERM) stops after writing a checkpoint; --resume goes on.\n",
    .options = options,
    .run = run,
};
