// fluvial eval: how far a trained sampler is from its target.
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "assessment.h"
#include "fluvial/run.h"
#include "measures.h"
#include "molecule_fit.h"
#include "options.h"

enum {
  OPT_SAMPLES = 'n',
  OPT_BACKWARD = 'b',
  OPT_OBJECTS = 'o',
  OPT_THREADS = 't',
  OPT_JSON = 'j',
  OPT_CSV = 'c',
  OPT_TOP = 256,
  OPT_BANDWIDTH,
  OPT_MOLECULES,
  OPT_OUT
};

static const cli_option options[] = {
    {OPT_SAMPLES, "samples", "N", "trajectories to draw from the sampler (default: 100000)"},
    {OPT_OBJECTS, "objects", "FROM",
     "objects for EUBO, log p(x), correlations and MMD: how many to draw from the target or, where "
     "it has too many states for that, from the sampler (default: 1000); or a .csv or .npy of "
     "objects that follow the target; or the word sampler, or replay"},
    {OPT_BACKWARD, "backward", "K",
     "trajectories back from each object, for its log p(x) (default: 50)"},
    {OPT_TOP, "top", "K", "how many of the best objects to look for (default: 100)"},
    {OPT_BANDWIDTH, "bandwidth", "H",
     "of the MMD's kernel, in units of coordinates (default: the median distance)"},
    {OPT_MOLECULES, "molecules", "FILE",
     "instead, of molecules in a table (docs/molecules.md): log p(x) without sampling, and how "
     "well it "
     "follows log R"},
    {OPT_OUT, "out", "FILE.csv", "with --molecules: write log R and log p of each"},
    {OPT_CSV, "csv", "FILE", "write name,value,error,exact for each measure, too"},
    {OPT_JSON, "json", NULL, "print one JSON object instead of a table"},
    CLI_THREADS_OPTION,
    {0, NULL, NULL, NULL},
};

typedef struct request {
  flv_assess_options how;
  const char *file; // of objects; NULL: none
  const char *csv;
  const char *molecules, *out; // NULL: none
  int threads;
  bool json;
  const char *other; // the latest option that --molecules does not go with
} request;

static bool ends_with(const char *text, const char *end) {
  const size_t n = strlen(text), k = strlen(end);
  return n > k && strcmp(text + n - k, end) == 0;
}

static bool parse_objects(const cli_verb *verb, const char *value, request *r) {
  static const char *const endings[] = {".csv", ".npy", ".tsv", ".txt"};
  if (strcmp(value, "sampler") == 0) return r->how.source = FLV_SOURCE_SAMPLER, true;
  if (strcmp(value, "replay") == 0) return r->how.source = FLV_SOURCE_REPLAY, true;
  for (int i = 0; i < 4; i++)
    if (ends_with(value, endings[i])) return r->file = value, true;
  char *end;
  strtod(value, &end);
  if (end != value && !*end)
    return cli_integer(verb, "--objects", value, 2, 100000000, &r->how.objects);
  cli_misused(verb, "--objects %s: expected a number, a .csv or .npy file, sampler or replay",
              value);
  return false;
}

static const char *name_of(int key) {
  const cli_option *o = options;
  while (o->name && o->key != key) o++;
  return o->name;
}

static bool with_molecules(int key) {
  return key == OPT_MOLECULES || key == OPT_OUT || key == OPT_THREADS || key == OPT_JSON;
}

static int check(const cli_verb *verb, int argc, const request *r) {
  if (r->molecules && r->other)
    return cli_misused(verb, "--%s does not go with --molecules", r->other);
  if (r->out && !r->molecules)
    return cli_misused(verb, "--out is for --molecules; or is it --csv?");
  if (!cli_one_operand(verb, argc, "RUN", " directory")) return CLI_USAGE;
  return CLI_OK;
}

static int parse(const cli_verb *verb, int argc, char **argv, request *r) {
  const char *value;
  int key;
  while ((key = cli_next(verb, argc, argv, &value)) != CLI_END) {
    if (key >= 0 && !with_molecules(key)) r->other = name_of(key);
    switch (key) {
    case CLI_HELPED:
      return CLI_HELPED;
    case OPT_SAMPLES:
      if (!cli_integer(verb, "--samples", value, 1, 1 << 28, &r->how.samples)) return CLI_USAGE;
      break;
    case OPT_OBJECTS:
      if (!parse_objects(verb, value, r)) return CLI_USAGE;
      break;
    case OPT_BACKWARD:
      if (!cli_int(verb, "--backward", value, 1, 1000000, &r->how.backward)) return CLI_USAGE;
      break;
    case OPT_TOP:
      if (!cli_integer(verb, "--top", value, 1, 1 << 28, &r->how.top_k)) return CLI_USAGE;
      break;
    case OPT_BANDWIDTH:
      if (!cli_number(verb, "--bandwidth", value, 1e-9, 1e9, &r->how.bandwidth)) return CLI_USAGE;
      break;
    case OPT_THREADS:
      if (!cli_threads(verb, value, &r->threads)) return CLI_USAGE;
      break;
    case OPT_CSV:
      r->csv = value;
      break;
    case OPT_MOLECULES:
      r->molecules = value;
      break;
    case OPT_OUT:
      r->out = value;
      break;
    case OPT_JSON:
      r->json = true;
      break;
    default:
      return CLI_USAGE;
    }
  }
  return check(verb, argc, r);
}

// ---- progress: after a second, a line that is written over on a terminal, else one in ten seconds

typedef struct waiting {
  double begun, shown; // seconds
  bool live, open;
} waiting;

static void show(void *user, double done) {
  waiting *w = user;
  const double t = cli_now();
  if (t - w->begun < 1.0 || t - w->shown < (w->live ? 0.1 : 10.0)) return;
  char left[32];
  cli_clock((t - w->begun) * (1.0 - done) / done, left, sizeof left);
  fprintf(stderr, w->live ? "\r%3.0f %%  %s left\033[K" : "%3.0f %%  %s left\n", 100.0 * done,
          left);
  fflush(stderr);
  w->shown = t;
  w->open = w->live;
}

// ---- output ----

static int write_csv(const char *path, const flv_assessment *a) {
  FILE *f = fopen(path, "w");
  if (f) cli_assessment_csv(f, a);
  const bool written = f && !ferror(f);
  if ((f && fclose(f) != 0) || !written)
    return cli_fail("%s: cannot be written: %s", path, strerror(errno));
  return CLI_OK;
}

static int run_molecules(const char *dir, const request *r, waiting *w) {
  flv_error err = {0};
  flv_molecule_evaluation e;
  const flv_run_molecules_options o = {
      .molecules = r->molecules, .out = r->out, .threads = r->threads, .progress = show, .user = w};
  const flv_status status = flv_run_molecules(dir, &o, &e, &err);
  if (w->open) fputs("\r\033[K", stderr);
  if (status != FLV_OK) return cli_fail("%s", err.text);
  if (r->json) {
    cli_molecules_json(stdout, &e);
  } else {
    cli_measures_row(stdout, "run", "%s", dir);
    cli_molecules_print(stdout, &e, r->molecules);
  }
  return CLI_OK;
}

static int run(const cli_verb *verb, int argc, char **argv) {
  request r = {0};
  const int parsed = parse(verb, argc, argv, &r);
  if (parsed != CLI_OK) return parsed == CLI_HELPED ? CLI_OK : parsed;
  const char *dir = argv[optind];
  waiting w = {.begun = cli_now(), .live = cli_columns(stderr) > 0};
  w.shown = w.begun;
  if (r.molecules) return run_molecules(dir, &r, &w);
  r.how.progress = show;
  r.how.user = &w;
  flv_error err = {0};
  flv_assessment a;
  const flv_status status = flv_run_assess(dir, r.threads, r.file, &r.how, &a, &err);
  if (w.open) fputs("\r\033[K", stderr);
  if (status != FLV_OK) return cli_fail("%s", err.text);
  if (r.json) {
    cli_assessment_json(stdout, &a);
  } else {
    cli_measures_row(stdout, "run", "%s", dir);
    cli_assessment_print(stdout, &a, r.file);
  }
  return r.csv ? write_csv(r.csv, &a) : CLI_OK;
}

const cli_verb cli_eval = {
    .name = "eval",
    .operands = "RUN [options]",
    .help = "Compares a run's sampler with its target: exactly where the space can be "
            "enumerated, and from samples; the table says which. docs/evaluation.md explains each "
            "number. With --molecules, of given molecules only.",
    .details = "",
    .options = options,
    .run = run,
};
