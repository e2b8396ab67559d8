// The configuration's tables as text.
#include "keys.h"

#include <math.h>
#include <string.h>

#include "objective_table.h"
#include "options.h"

const char *cli_section_name(const flv_section *s) { return *s->name ? s->name : s->list[0]->name; }

static const char *kind_text(const flv_param *p) {
  switch (p->kind) {
  case FLV_INT:
  case FLV_LONG:
    return "integer";
  case FLV_REAL:
    return "number";
  case FLV_BOOL:
    return "true or false";
  case FLV_TEXT:
    return "text";
  case FLV_CHOICE:
    return "one of";
  case FLV_INTS:
    return "list of integers";
  case FLV_REALS:
    return "list of numbers";
  }
  return "";
}

static void bound_text(char *out, size_t size, double v) {
  if (floor(v) == v && fabs(v) < 1e7)
    snprintf(out, size, "%.0f", v);
  else
    snprintf(out, size, "%g", v);
}

// "0 to 1", "none, local, global", or nothing
static void range_text(char *out, size_t size, const flv_param *p) {
  char lo[32], hi[32];
  size_t used = 0;
  out[0] = '\0';
  if (p->kind == FLV_CHOICE) {
    for (const char *c = p->choices; *c && used + 3 < size; c++) {
      if (*c == '|') out[used++] = ',';
      out[used++] = *c == '|' ? ' ' : *c;
    }
    out[used] = '\0';
  } else if (p->kind != FLV_BOOL && p->kind != FLV_TEXT) {
    bound_text(lo, sizeof lo, p->lo);
    bound_text(hi, sizeof hi, p->hi);
    snprintf(out, size, "%s to %s", lo, hi);
  }
}

static const char *default_text(const flv_param *p) { return *p->def ? p->def : "\"\""; }

void cli_keys_summary(FILE *out) {
  const int width = cli_text_width(out);
  fputs(
      "\nconfiguration keys and their defaults (`fluvial list SECTION` explains them; in YAML as\n"
      "`SECTION: {name: NAME, KEY: VALUE}`, here as --set SECTION.KEY=VALUE):\n",
      out);
  for (const flv_section *s = flv_config_sections(); s->name; s++) {
    for (int i = 0; s->list[i]; i++) {
      char text[2048];
      size_t used = 0;
      text[0] = '\0';
      if (*s->name)
        used += (size_t)snprintf(text, sizeof text, "%s%s", s->list[i]->name,
                                 s->list[i]->n_params > 0 ? ":" : "");
      for (int k = 0; k < s->list[i]->n_params && used < sizeof text; k++) {
        const flv_param *p = &s->list[i]->params[k];
        used +=
            (size_t)snprintf(text + used, sizeof text - used, " %s=%s", p->name, default_text(p));
      }
      const int at = fprintf(out, "  %-12s ", i > 0 ? "" : *s->name ? s->name : "(top level)");
      cli_wrap(out, at, *s->name ? 17 : 15, width, text);
    }
  }
}

void cli_keys_overview(FILE *out) {
  const int width = cli_text_width(out);
  for (const flv_section *s = flv_config_sections(); s->name; s++) {
    const int at = fprintf(out, "%-12s  ", cli_section_name(s));
    cli_wrap(out, at, 14, width, *s->name ? s->help : "top-level keys: the run as a whole");
    for (int i = 0; *s->name && s->list[i]; i++) {
      const int column = fprintf(out, "  %-20s  ", s->list[i]->name);
      cli_wrap(out, column, 24, width, s->list[i]->help);
    }
  }
  fputs(
      "\nThe first of each section is its default. fluvial list SECTION [NAME] shows parameters.\n",
      out);
}

void cli_keys_component(FILE *out, const flv_section *s, const flv_component *c) {
  const int width = cli_text_width(out);
  const int at = fprintf(out, "%s%s%s: ", s->name, *s->name ? " " : "", c->name);
  cli_wrap(out, at, 2, width, c->help);
  for (int k = 0; k < c->n_params; k++) {
    const flv_param *p = &c->params[k];
    char range[512];
    range_text(range, sizeof range, p);
    fprintf(out, "  %s%s%s = %s\n      ", s->name, *s->name ? "." : "", p->name, default_text(p));
    cli_wrap(out, 6, 6, width, p->help);
    fprintf(out, "      %s%s%s\n", kind_text(p), *range ? (p->kind == FLV_CHOICE ? " " : ", ") : "",
            range);
  }
  if (c->n_params == 0) fputs("  (no parameters)\n", out);
  if (cli_is_objectives(s)) cli_objective_facts(out, c);
}

// ---- markdown ----

void cli_put_cell(FILE *out, const char *text) { // a '|' would end the cell
  for (; *text; text++) {
    if (*text == '|' || *text == '<') fputc('\\', out);
    fputc(*text, out);
  }
}

static void put_component(FILE *out, const flv_section *s, const flv_component *c) {
  if (*s->name) {
    fprintf(out, "\n### %s: `%s`\n\n", s->name, c->name);
    cli_put_cell(out, c->help);
    fputs("\n", out);
  }
  if (c->n_params == 0) return;
  fputs("\n| key | default | values | meaning |\n|---|---|---|---|\n", out);
  for (int k = 0; k < c->n_params; k++) {
    const flv_param *p = &c->params[k];
    char range[512];
    range_text(range, sizeof range, p);
    fprintf(out, "| `%s%s%s` | `%s` | %s%s", s->name, *s->name ? "." : "", p->name, default_text(p),
            kind_text(p), *range ? (p->kind == FLV_CHOICE ? " " : ", ") : "");
    cli_put_cell(out, range);
    fputs(" | ", out);
    cli_put_cell(out, p->help);
    fputs(" |\n", out);
  }
}

void cli_keys_markdown(FILE *out) {
  fputs("# Configuration\n\n"
        "Made by `fluvial list --markdown`; do not edit.\n\n"
        "A configuration is a YAML file. Top-level keys stand alone; a section names one component "
        "and its\n"
        "parameters, `env: {name: hypergrid, side: 64}`, or only the component, `objective: tb`. "
        "On the command\n"
        "line the same is `--set env.side=64 --set objective=tb`. What is not given has its "
        "default; the first\n"
        "component of a section is its default. Unknown keys and values out of range are errors.\n",
        out);
  for (const flv_section *s = flv_config_sections(); s->name; s++) {
    fprintf(out, "\n## %s\n\n", *s->name ? s->name : "Top level");
    cli_put_cell(out, s->help);
    fputs("\n", out);
    for (int i = 0; s->list[i]; i++) put_component(out, s, s->list[i]);
  }
}
