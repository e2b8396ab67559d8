// fluvial best: the best objects that a run's training found, and a diverse set of them.
#include <getopt.h>

#include "fluvial/run.h"
#include "measures.h"
#include "options.h"

enum { OPT_N = 'n', OPT_ABOVE = 'a', OPT_SIMILARITY = 's' };

static const cli_option options[] = {
    {OPT_N, "number", "N", "most rows of each file (default: the run's archive.best)"},
    {OPT_ABOVE, "above", "R",
     "least reward of what counts as a mode (default: the run's archive.modes_above)"},
    {OPT_SIMILARITY, "similarity", "S",
     "Tanimoto similarity from which on two objects are the same mode (default: the run's "
     "archive.similarity)"},
    {0, NULL, NULL, NULL},
};

static int run(const cli_verb *verb, int argc, char **argv) {
  flv_best_options o = {.n = 0, .modes_above = -1.0, .similarity = -1.0};
  const char *value;
  int key;
  while ((key = cli_next(verb, argc, argv, &value)) != CLI_END) {
    switch (key) {
    case CLI_HELPED:
      return CLI_OK;
    case OPT_N:
      if (!cli_int(verb, "-n", value, 1, 1000000, &o.n)) return CLI_USAGE;
      break;
    case OPT_ABOVE:
      if (!cli_number(verb, "--above", value, 0.0, 1e300, &o.modes_above)) return CLI_USAGE;
      break;
    case OPT_SIMILARITY:
      if (!cli_number(verb, "--similarity", value, 0.0, 1.0, &o.similarity)) return CLI_USAGE;
      break;
    default:
      return CLI_USAGE;
    }
  }
  if (!cli_one_operand(verb, argc, "RUN", " directory")) return CLI_USAGE;
  flv_error err = {0};
  flv_best best;
  if (flv_run_best(argv[optind], &o, &best, &err) != FLV_OK) return cli_fail("%s", err.text);
  cli_measures_row(stdout, "run", "%s", argv[optind]);
  if (best.objects == 0) cli_measures_row(stdout, "distinct objects found", "none yet");
  cli_found_print(stdout, argv[optind], &best);
  return CLI_OK;
}

const cli_verb cli_best = {
    .name = "best",
    .operands = "RUN [options]",
    .help =
        "Selects the best molecules that training found, and the best that are unlike each other: "
        "RUN/best.csv and RUN/diverse.csv.",
    .details =
        "For runs whose objects have texts, which is said of molecules, as SMILES. The run may "
        "still be in training. diverse.csv goes from the best object downwards and takes each "
        "whose similarity (Tanimoto, circular fingerprints) to all taken before it is below "
        "the threshold; those above a reward are counted as modes. Files of an earlier call "
        "are replaced.\n",
    .options = options,
    .run = run,
};
