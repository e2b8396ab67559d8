// fluvial eval: how far a trained sampler is from its target.
#include <getopt.h>

#include "fluvial/run.h"
#include "measures.h"
#include "options.h"

enum { OPT_SAMPLES = 'n', OPT_THREADS = 't', OPT_JSON = 'j' };

static const cli_option options[] = {
    {OPT_SAMPLES, "samples", "N",
     "samples to take where the space is too large to enumerate (default: 100000)"},
    {OPT_JSON, "json", NULL, "print one JSON object instead of a table"},
    CLI_THREADS_OPTION,
    {0, NULL, NULL, NULL},
};

static int run(const cli_verb *verb, int argc, char **argv) {
  int64_t samples = 100000, threads = 0;
  bool json = false;
  const char *value;
  int key;
  while ((key = cli_next(verb, argc, argv, &value)) != CLI_END) {
    switch (key) {
    case CLI_HELPED:
      return CLI_OK;
    case OPT_SAMPLES:
      if (!cli_integer(verb, "--samples", value, 1, INT64_C(1000000000), &samples))
        return CLI_USAGE;
      break;
    case OPT_THREADS:
      if (!cli_integer(verb, "--threads", value, 0, 1024, &threads)) return CLI_USAGE;
      break;
    case OPT_JSON:
      json = true;
      break;
    default:
      return CLI_USAGE;
    }
  }
  if (argc - optind != 1)
    return cli_misused(verb, argc == optind ? "which RUN directory?" : "one RUN at a time");
  flv_error err = {0};
  flv_evaluation e;
  if (flv_run_evaluate(argv[optind], (int)threads, samples, &e, &err) != FLV_OK)
    return cli_fail("%s", err.text);
  if (json) {
    cli_measures_json(stdout, &e);
    return CLI_OK;
  }
  cli_measures_row(stdout, "run", "%s", argv[optind]);
  cli_measures_print(stdout, &e);
  return CLI_OK;
}

const cli_verb cli_eval = {
    .name = "eval",
    .operands = "RUN [options]",
    .help = "Compares a run's sampler with its target: exactly where the space can be "
            "enumerated, else from samples; the table says which.",
    .details = "",
    .options = options,
    .run = run,
};
