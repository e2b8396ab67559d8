// fluvial gradients: theory about expected gradients, checked exactly.
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "configure.h"
#include "fluvial/gradients.h"
#include "options.h"

enum { OPT_SET = CLI_SET_KEY, OPT_SEEDS = 'n', OPT_CSV = 'c' };

static const cli_option options[] = {
    CLI_SET_OPTION,
    {OPT_SEEDS, "seeds", "N", "random parameters to try on each problem (default: 3)"},
    {OPT_CSV, "csv", "FILE", "also write every statement on every problem and seed as a row"},
    {0, NULL, NULL, NULL},
};

typedef struct request {
  const char *config, *csv;
  cli_settings set;
  int seeds;
} request;

// ---- collecting ----

typedef struct total { // of one statement, over problems and seeds
  const char *statement, *source;
  int checked;
  double logits, parameters; // largest; negative: none
  char worst[160];           // where
  char note[200];            // the first reason for leaving something out
} total;

typedef struct table {
  total *row;
  int n;
  FILE *csv;
} table;

static bool fits(double residual, double bound) { return residual <= bound; } // NaN does not

static bool row_fits(double logits, double parameters) {
  return fits(logits, FLV_GRADIENTS_LOGITS) && fits(parameters, FLV_GRADIENTS_PARAMETERS);
}

static void csv_text(FILE *f, const char *text, const char *after) {
  fputc('"', f);
  for (; *text; text++) {
    if (*text == '"') fputc('"', f);
    fputc(*text, f);
  }
  fprintf(f, "\"%s", after);
}

static void csv_number(FILE *f, double v, double bound) {
  if (v < 0.0)
    fputs(",,", f);
  else
    fprintf(f, "%.3e,%.0e,", v, bound);
}

static void csv_row(FILE *f, const flv_gradients_row *r) {
  csv_text(f, r->statement, ",");
  csv_text(f, r->source, ",");
  csv_text(f, r->problem, ",");
  fprintf(f, "%d,", r->seed);
  csv_number(f, r->logits, FLV_GRADIENTS_LOGITS);
  csv_number(f, r->parameters, FLV_GRADIENTS_PARAMETERS);
  fputs(!r->checked ? "skipped," : row_fits(r->logits, r->parameters) ? "ok," : "FAILED,", f);
  csv_text(f, r->note, "\n");
}

static bool larger(double a, double b) { return isnan(a) ? !isnan(b) : a > b; }

static void collect(void *user, const flv_gradients_row *r) {
  table *t = user;
  total *x = &t->row[r->number];
  x->statement = r->statement;
  x->source = r->source;
  if (t->csv) csv_row(t->csv, r);
  if (*r->note && !*x->note) snprintf(x->note, sizeof x->note, "%s", r->note);
  if (!r->checked) return;
  const bool worse = larger(r->logits, x->logits) ||
                     (row_fits(x->logits, 0.0) && larger(r->parameters, x->parameters));
  if (worse) snprintf(x->worst, sizeof x->worst, "%s, seed %d", r->problem, r->seed);
  if (larger(r->logits, x->logits)) x->logits = r->logits;
  if (larger(r->parameters, x->parameters)) x->parameters = r->parameters;
  x->checked++;
}

// ---- printing ----

enum { STATEMENT_AT = 59 };

static void number_text(char *text, size_t size, double v) {
  if (v < 0.0)
    snprintf(text, size, "-");
  else
    snprintf(text, size, "%.1e", v);
}

static void print_row(const total *x) {
  char logits[16], parameters[16];
  number_text(logits, sizeof logits, x->logits);
  number_text(parameters, sizeof parameters, x->parameters);
  const char *verdict = x->checked == 0                      ? "skipped"
                        : row_fits(x->logits, x->parameters) ? "ok"
                                                             : "FAILED";
  const int at =
      printf("%-8s %-8s %-8s %8d  %-22s ", verdict, logits, parameters, x->checked, x->source);
  cli_wrap(stdout, at, STATEMENT_AT, cli_text_width(stdout), x->statement);
}

static void print_table(const table *t, bool reasons) {
  printf("%-8s %-8s %-8s %8s  %-22s %s\n", "", "logits", "network", "", "", "");
  printf("%-8s %-8.0e %-8.0e %8s  %-22s %s\n", "bound", FLV_GRADIENTS_LOGITS,
         FLV_GRADIENTS_PARAMETERS, "problems", "source", "statement");
  for (int k = 0; k < t->n; k++) print_row(&t->row[k]);
  for (int k = 0; k < t->n; k++) {
    const total *x = &t->row[k];
    if (!*x->note || (x->checked > 0 && !reasons)) continue;
    const int at = printf("%s: ", x->checked > 0 ? "in part" : "skipped");
    char text[400];
    snprintf(text, sizeof text, "%s: %s", x->statement, x->note);
    cli_wrap(stdout, at, 2, cli_text_width(stdout), text);
  }
}

static int verdict(const table *t) {
  int failed = 0;
  const total *worst = NULL;
  for (int k = 0; k < t->n; k++) {
    const total *x = &t->row[k];
    if (x->checked == 0 || row_fits(x->logits, x->parameters)) continue;
    if (!worst) worst = x;
    failed++;
  }
  if (failed == 0) return CLI_OK;
  return cli_fail("%d of %d statements do not hold, the first of them on %s: %s", failed, t->n,
                  worst->worst, worst->statement);
}

// Mean and standard deviation of the configuration's own estimator, for one trajectory and for its
// batch.
static void print_estimator(const flv_config *cfg) {
  char text[64];
  flv_error err = {0};
  if (flv_config_get(cfg, "batch", text, sizeof text, &err) != FLV_OK) return;
  const int sizes[2] = {1, atoi(text)};
  const char *name = flv_config_component(cfg, "objective")->name;
  printf("\ngradient estimator of '%s', on-policy, with respect to logits (seed 1):\n", name);
  for (int k = 0; k < 2 && (k == 0 || sizes[1] != 1); k++) {
    flv_gradients_estimate e;
    if (flv_gradients_estimator(cfg, 1, sizes[k], &e, &err) != FLV_OK) {
      printf("  batch %-5d %s\n", sizes[k], err.text);
      continue;
    }
    printf("  batch %-5d P_F: mean %.3e, deviation %.3e   P_B: mean %.3e, deviation %.3e\n",
           sizes[k], e.mean[0], e.deviation[0], e.mean[1], e.deviation[1]);
  }
}

// ---- the verb ----

static int parse(const cli_verb *verb, int argc, char **argv, request *r) {
  const char *value;
  int key;
  while ((key = cli_next(verb, argc, argv, &value)) != CLI_END) {
    switch (key) {
    case CLI_HELPED:
      return CLI_HELPED;
    case OPT_SET:
      if (!cli_take_set(verb, value, &r->set)) return CLI_USAGE;
      break;
    case OPT_SEEDS:
      if (!cli_int(verb, "--seeds", value, 1, 1000, &r->seeds)) return CLI_USAGE;
      break;
    case OPT_CSV:
      r->csv = value;
      break;
    default:
      return CLI_USAGE;
    }
  }
  if (argc - optind > 1) return cli_misused(verb, "one CONFIG.yaml at a time");
  r->config = argc > optind ? argv[optind] : NULL;
  if (!r->config && r->set.n > 0) return cli_misused(verb, "--set changes a CONFIG.yaml: which?");
  return CLI_OK;
}

static int check(const request *r, const flv_config *cfg, table *t) {
  flv_error err = {0};
  const flv_status status = cfg ? flv_gradients_problem(cfg, r->config, r->seeds, collect, t, &err)
                                : flv_gradients_suite(r->seeds, collect, t, &err);
  if (status != FLV_OK) return cli_fail("%s%s%s", cfg ? r->config : "", cfg ? ": " : "", err.text);
  print_table(t, cfg != NULL);
  if (cfg) print_estimator(cfg);
  return verdict(t);
}

static int run(const cli_verb *verb, int argc, char **argv) {
  request r = {.seeds = 3};
  int code = parse(verb, argc, argv, &r);
  if (code == CLI_HELPED) return CLI_OK;
  if (code != CLI_OK) return code;
  flv_config *cfg = NULL;
  if (r.config && !(cfg = cli_configure(verb, r.config, &r.set, &code))) return code;
  table t = {.n = flv_gradients_count()};
  t.row = calloc((size_t)t.n, sizeof *t.row);
  for (int k = 0; t.row && k < t.n; k++) t.row[k].logits = t.row[k].parameters = -1.0;
  if (!t.row)
    code = cli_fail("out of memory");
  else if (r.csv && !(t.csv = fopen(r.csv, "w")))
    code = cli_fail("%s: %s", r.csv, strerror(errno));
  if (t.csv)
    fputs("statement,source,problem,seed,logits,logits_bound,network,network_bound,verdict,note\n",
          t.csv);
  if (code == CLI_OK) code = check(&r, cfg, &t);
  if (t.csv) {
    const bool broken = ferror(t.csv);
    if ((fclose(t.csv) != 0 || broken) && code == CLI_OK)
      code = cli_fail("%s: cannot write: %s", r.csv, strerror(errno));
  }
  free(t.row);
  flv_config_free(cfg);
  return code;
}

const cli_verb cli_gradients = {
    .name = "gradients",
    .operands = "[CONFIG.yaml] [options]",
    .help = "Checks what theory says of the objectives' expected gradients, exactly and without "
            "sampling; fails when a statement does not hold.",
    .details =
        "Each line is one statement: the largest relative difference between its two sides, for "
        "gradients with respect to the policy's logits, in double, and to network parameters, in "
        "single precision; on how many problems and seeds it was checked; its source ((n), Prop., "
        "App., Table: Malkin et al. 2023, arXiv 2210.00580).\n"
        "Without a configuration: on fluvial's own problems. With one: on its environment, reward "
        "and policy network, with random parameters, by enumeration of all trajectories where "
        "these are at most 20000, else what dynamic programming can do, and what is left out is "
        "said. Then also the mean and standard deviation of its objective's gradient estimator.\n",
    .options = options,
    .run = run,
};
