// fluvial synth: problems whose truth is known.
#include <getopt.h>
#include <string.h>

#include "fluvial/synth.h"
#include "options.h"

enum {
  OPT_VARIABLES = 'd',
  OPT_EDGES = 'e',
  OPT_N = 'n',
  OPT_NOISE = 256,
  OPT_SEED = 257,
  OPT_OUT = 'o'
};

static const cli_option options[] = {
    {OPT_VARIABLES, "variables", "D", "how many variables (default: 5)"},
    {OPT_EDGES, "edges", "E", "expected number of edges (default: as many as variables)"},
    {OPT_N, "number", "N", "how many samples (default: 100)"},
    {OPT_NOISE, "noise", "S", "standard deviation of the noise (default: 0.1)"},
    {OPT_SEED, "seed", "K", "which problem (default: 1)"},
    {OPT_OUT, "out", "DIR", "folder to write into (default: dag)"},
    {0, NULL, NULL, NULL},
};

static int write_dag(const flv_synth_dag *synth, const char *folder) {
  flv_error err = {0};
  if (flv_synth_dag_write(synth, folder, &err) != FLV_OK) return cli_fail("%s", err.text);
  static const char *const files[] = {"data.csv", "graph.csv", "weights.csv", "graph.dot"};
  for (int i = 0; i < 4; i++) printf("%s/%s\n", folder, files[i]);
  return CLI_OK;
}

static int run(const cli_verb *verb, int argc, char **argv) {
  int variables = 5;
  int64_t n = 100, seed = 1;
  double edges = -1.0, noise = 0.1;
  const char *out = "dag", *value;
  int key;
  while ((key = cli_next(verb, argc, argv, &value)) != CLI_END) {
    switch (key) {
    case CLI_HELPED:
      return CLI_OK;
    case OPT_VARIABLES:
      if (!cli_int(verb, "-d", value, 2, 64, &variables)) return CLI_USAGE;
      break;
    case OPT_EDGES:
      if (!cli_number(verb, "--edges", value, 0, 2016, &edges)) return CLI_USAGE;
      break;
    case OPT_N:
      if (!cli_integer(verb, "-n", value, 1, INT32_MAX, &n)) return CLI_USAGE;
      break;
    case OPT_NOISE:
      if (!cli_number(verb, "--noise", value, 0, 1e100, &noise)) return CLI_USAGE;
      break;
    case OPT_SEED:
      if (!cli_integer(verb, "--seed", value, 0, INT64_MAX, &seed)) return CLI_USAGE;
      break;
    case OPT_OUT:
      out = value;
      break;
    default:
      return CLI_USAGE;
    }
  }
  const int operands = argc - optind;
  if (operands != 1)
    return cli_misused(verb, operands == 0 ? "which KIND? (there is: dag)" : "one KIND at a time");
  if (strcmp(argv[optind], "dag") != 0)
    return cli_misused(verb, "there is no '%s' (there is: dag)", argv[optind]);
  const int most = variables * (variables - 1) / 2;
  if (edges < 0.0) edges = (double)(variables < most ? variables : most);
  const flv_synth_dag synth = {
      .variables = variables, .edges = edges, .samples = n, .noise = noise, .seed = (uint64_t)seed};
  return write_dag(&synth, out);
}

const cli_verb cli_synth = {
    .name = "synth",
    .operands = "dag [options]",
    .help = "Makes a problem whose truth is known: linear-Gaussian data of a random causal graph "
            "(Erdos-Renyi), for `fluvial structure --truth`.",
    .details = "Writes data.csv, the true graph as graph.csv (row i, column j is 1 where i causes "
               "j) and graph.dot, and the edges' weights, N(0, 1), as weights.csv; earlier files "
               "of these names are replaced. One seed gives the same bytes.\n",
    .options = options,
    .run = run,
};
