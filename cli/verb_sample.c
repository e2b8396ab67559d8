// fluvial sample: objects drawn from a trained sampler.
#include <getopt.h>

#include "fluvial/run.h"
#include "options.h"

enum { OPT_N = 'n', OPT_OUT = 'o', OPT_STREAM = 256, OPT_THREADS = 't' };

static const cli_option options[] = {
    {OPT_N, "number", "N", "how many (default: 1000)"},
    {OPT_OUT, "out", "FILE",
     ".csv (with each object's log-reward) or .npy; - is csv on standard output, the default"},
    {OPT_STREAM, "stream", "K", "which draws: the same number gives the same objects (default: 0)"},
    CLI_THREADS_OPTION,
    {0, NULL, NULL, NULL},
};

static int run(const cli_verb *verb, int argc, char **argv) {
  int64_t n = 1000, stream = 0;
  int threads = 0;
  const char *out = "-", *value;
  int key;
  while ((key = cli_next(verb, argc, argv, &value)) != CLI_END) {
    switch (key) {
    case CLI_HELPED:
      return CLI_OK;
    case OPT_N:
      if (!cli_integer(verb, "-n", value, 1, INT64_C(1000000000000), &n)) return CLI_USAGE;
      break;
    case OPT_STREAM: // the library keeps 20 bits to count within a stream
      if (!cli_integer(verb, "--stream", value, 0, (INT64_C(1) << 43) - 1, &stream))
        return CLI_USAGE;
      break;
    case OPT_THREADS:
      if (!cli_threads(verb, value, &threads)) return CLI_USAGE;
      break;
    case OPT_OUT:
      out = value;
      break;
    default:
      return CLI_USAGE;
    }
  }
  if (!cli_one_operand(verb, argc, "RUN", " directory")) return CLI_USAGE;
  flv_error err = {0};
  if (flv_run_sample(argv[optind], threads, (uint64_t)stream, n, out, &err) != FLV_OK)
    return cli_fail("%s", err.text);
  return CLI_OK;
}

const cli_verb cli_sample = {
    .name = "sample",
    .operands = "RUN [options]",
    .help = "Draws objects from a run's sampler, without exploration.",
    .details = "",
    .options = options,
    .run = run,
};
