// fluvial plot: learning curves of runs; for one run, also what it learned beside the target.
#include <getopt.h>
#include <string.h>

#include "fluvial/run.h"
#include "options.h"
#include "pictures.h"

enum { OPT_METRIC = 'm', OPT_OUT = 'o', OPT_THREADS = 't', PATH_LEN = 1024 };

static const cli_option options[] = {
    {OPT_METRIC, "metric", "NAME",
     "column of metrics.csv to draw over trajectories (default: jsd)"},
    {OPT_OUT, "out", "FILE.png",
     "picture of the curves (default: RUN/plots/METRIC.png, or METRIC.png for several runs)"},
    CLI_THREADS_OPTION,
    {0, NULL, NULL, NULL},
};

static int draw_curves(int n, const char *const *runs, const char *metric, const char *out) {
  flv_error err = {0};
  char path[PATH_LEN];
  if (!out && n == 1) {
    char name[128];
    snprintf(name, sizeof name, "%.100s.png", strcmp(metric, "jsd") == 0 ? "curves" : metric);
    if (!cli_picture_path(path, PATH_LEN, runs[0], name)) return CLI_FAILED;
  } else {
    snprintf(path, sizeof path, "%s%s", out ? out : metric, out ? "" : ".png");
  }
  if (flv_run_plot_curves(n, runs, metric, path, &err) != FLV_OK) return cli_fail("%s", err.text);
  printf("%s\n", path);
  return CLI_OK;
}

static int draw_heat(const char *run, int threads) {
  flv_error err = {0};
  char path[PATH_LEN];
  if (!cli_run_has_marginals(run, threads, &err))
    return err.status == FLV_OK ? CLI_OK : cli_fail("%s", err.text);
  if (!cli_picture_path(path, PATH_LEN, run, "learned.png")) return CLI_FAILED;
  if (flv_run_plot_heat(run, threads, path, &err) != FLV_OK) return cli_fail("%s", err.text);
  printf("%s\n", path);
  return CLI_OK;
}

static int run(const cli_verb *verb, int argc, char **argv) {
  int threads = 0;
  const char *metric = NULL, *out = NULL, *value;
  int key;
  while ((key = cli_next(verb, argc, argv, &value)) != CLI_END) {
    switch (key) {
    case CLI_HELPED:
      return CLI_OK;
    case OPT_METRIC:
      metric = value;
      break;
    case OPT_OUT:
      out = value;
      break;
    case OPT_THREADS:
      if (!cli_threads(verb, value, &threads)) return CLI_USAGE;
      break;
    default:
      return CLI_USAGE;
    }
  }
  const int n = argc - optind;
  if (n == 0) return cli_misused(verb, "which RUN directories?");
  if (metric && strchr(metric, '/'))
    return cli_misused(verb, "--metric %s: not a column's name", metric);
  const char *const *runs = (const char *const *)(argv + optind);
  const int code = draw_curves(n, runs, metric ? metric : "jsd", out);
  return code == CLI_OK && n == 1 && !metric ? draw_heat(runs[0], threads) : code;
}

const cli_verb cli_plot = {
    .name = "plot",
    .operands = "RUN... [options]",
    .help = "Draws a metric over trajectories, all runs in one picture; for one run and no "
            "--metric also the learned distribution beside the target (RUN/plots/learned.png). "
            "Prints the pictures' paths.",
    .details = "Each picture keeps its numbers (.dat) and its gnuplot script (.gp) beside it.\n",
    .options = options,
    .run = run,
};
