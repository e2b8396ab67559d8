// fluvial list: what there is to choose from, straight from the configuration's tables.
#include <getopt.h>
#include <string.h>

#include "keys.h"
#include "objective_table.h"
#include "options.h"

enum { OPT_MARKDOWN = 'm', OPT_TABLE = 256, MAX_NAMES = 64 };

static const cli_option options[] = {
    {OPT_MARKDOWN, "markdown", NULL, "everything, as docs/configuration.md"},
    {OPT_TABLE, "table", NULL,
     "objectives as a Markdown table: formula, what it needs, source (docs/objectives.md)"},
    {0, NULL, NULL, NULL},
};

// Other words a user may have for a section.
static const struct {
  const char *word, *section;
} synonyms[] = {{"environment", "env"}, {"target", "reward"},  {"network", "policy"},
                {"policies", "policy"}, {"loss", "objective"}, {"optimizer", "optimiser"},
                {"buffer", "replay"},   {"top", "train"}};

// Sections answer to their name, and to longer forms of it or of a synonym ("rewards").
static const flv_section *find_section(const char *word) {
  for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
    if (strncmp(word, synonyms[i].word, strlen(synonyms[i].word)) == 0) word = synonyms[i].section;
  for (const flv_section *s = flv_config_sections(); s->name; s++) {
    const char *name = cli_section_name(s);
    const size_t length = strlen(name);
    if (strncmp(word, name, length) == 0 && strlen(word) <= length + 1) return s;
  }
  return NULL;
}

static const flv_component *find_component(const flv_section *s, const char *word) {
  for (int i = 0; s->list[i]; i++)
    if (strcmp(s->list[i]->name, word) == 0) return s->list[i];
  return NULL;
}

static int unknown(const cli_verb *verb, const char *what, const char *word,
                   const char *const *names) {
  const char *near = cli_nearest(word, names);
  if (near) return cli_misused(verb, "unknown %s '%s'; did you mean '%s'?", what, word, near);
  return cli_misused(verb, "unknown %s '%s'", what, word);
}

static int list_section(const cli_verb *verb, int n, char **words) {
  const char *names[MAX_NAMES + 1] = {NULL};
  int count = 0;
  const flv_section *s = find_section(words[0]);
  if (!s) {
    for (s = flv_config_sections(); count < MAX_NAMES && s->name; s++)
      names[count++] = cli_section_name(s);
    return unknown(verb, "section", words[0], names);
  }
  const flv_component *c = n > 1 ? find_component(s, words[1]) : NULL;
  if (n > 1 && !c) {
    for (; count < MAX_NAMES && s->list[count]; count++) names[count] = s->list[count]->name;
    return unknown(verb, cli_section_name(s), words[1], names);
  }
  if (c) {
    cli_keys_component(stdout, s, c);
    return CLI_OK;
  }
  if (*s->name) cli_wrap(stdout, 0, 0, cli_text_width(stdout), s->help);
  for (int i = 0; s->list[i]; i++) {
    if (*s->name || i > 0) putchar('\n');
    cli_keys_component(stdout, s, s->list[i]);
  }
  return CLI_OK;
}

static int list_table(const cli_verb *verb, int n, char **words) {
  const flv_section *s = n == 1 ? find_section(words[0]) : NULL;
  if (!s || !cli_is_objectives(s)) return cli_misused(verb, "--table is for objectives alone");
  cli_objective_table(stdout, s);
  return CLI_OK;
}

static int run(const cli_verb *verb, int argc, char **argv) {
  bool markdown = false, table = false;
  const char *value;
  int key;
  while ((key = cli_next(verb, argc, argv, &value)) != CLI_END) {
    switch (key) {
    case CLI_HELPED:
      return CLI_OK;
    case OPT_MARKDOWN:
      markdown = true;
      break;
    case OPT_TABLE:
      table = true;
      break;
    default:
      return CLI_USAGE;
    }
  }
  const int n = argc - optind;
  if (n > 2 || (markdown && n > 0))
    return cli_misused(verb, "unexpected '%s'", argv[markdown ? optind : optind + 2]);
  if (table) return list_table(verb, n, argv + optind);
  if (n > 0) return list_section(verb, n, argv + optind);
  if (markdown)
    cli_keys_markdown(stdout);
  else
    cli_keys_overview(stdout);
  return CLI_OK;
}

const cli_verb cli_list = {
    .name = "list",
    .operands = "[SECTION [NAME]] [options]",
    .help = "Lists environments, rewards, networks, objectives, exploration, replay, optimisers "
            "and schedules; with a SECTION, and a NAME in it, every parameter with its default, "
            "bounds and meaning.",
    .details = "",
    .options = options,
    .run = run,
};
