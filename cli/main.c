// fluvial: the command. Each verb has its file.
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "fluvial/blas.h"
#include "fluvial/version.h"
#include "options.h"

static const cli_verb *const verbs[] = {
    &cli_train,      &cli_eval,      &cli_sample, &cli_best, &cli_plot, &cli_gradients,
    &cli_estimators, &cli_structure, &cli_synth,  &cli_list, NULL};
enum { MAX_NAMES = 32 };

static void help(FILE *out) {
  const int width = cli_text_width(out);
  fputs("usage: fluvial VERB ...\n\n", out);
  cli_wrap(out, 0, 0, width,
           "Trains samplers for unnormalised distributions over things that are built step by "
           "step: generative flow networks and hierarchical variational inference.");
  fputs("\nverbs:\n", out);
  for (int i = 0; verbs[i]; i++) {
    const int at = fprintf(out, "  %-10s  ", verbs[i]->name);
    cli_wrap(out, at, 14, width, verbs[i]->help);
  }
  fputs(
      "\n  fluvial VERB --help shows a verb's options; fluvial --version the version.\n"
      "\nexit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by a signal after a checkpoint\n",
      out);
}

static const cli_verb *find(const char *name) {
  for (int i = 0; verbs[i]; i++)
    if (strcmp(verbs[i]->name, name) == 0) return verbs[i];
  return NULL;
}

static int unknown(const char *word) {
  const char *names[MAX_NAMES] = {"--help", "--version"};
  for (int i = 0; verbs[i]; i++) names[2 + i] = verbs[i]->name;
  const char *near = cli_nearest(word, names);
  const char *what = word[0] == '-' ? "option" : "verb";
  if (near)
    cli_fail("unknown %s '%s'; did you mean '%s'?", what, word, near);
  else
    cli_fail("unknown %s '%s' (see fluvial --help)", what, word);
  return CLI_USAGE;
}

static int dispatch(int argc, char **argv) {
  if (argc < 2) {
    help(stderr);
    return CLI_USAGE;
  }
  const char *word = argv[1];
  if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
    puts("fluvial " FLV_VERSION);
    return CLI_OK;
  }
  const bool asked =
      strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
  if (asked && argc > 2) {
    const cli_verb *verb = find(argv[2]);
    if (!verb) return unknown(argv[2]);
    cli_verb_help(verb, stdout);
    return CLI_OK;
  }
  if (asked) {
    help(stdout);
    return CLI_OK;
  }
  const cli_verb *verb = find(word);
  return verb ? verb->run(verb, argc - 1, argv + 1) : unknown(word);
}

int main(int argc, char **argv) {
  flv_blas_restart(argv);
  setlocale(LC_CTYPE, ""); // only characters: numbers keep their decimal point
  const int code = dispatch(argc, argv);
  if (fflush(stdout) != 0 || ferror(stdout)) {
    const int failed = cli_fail("cannot write to standard output: %s", strerror(errno));
    return code == CLI_OK ? failed : code;
  }
  return code;
}
