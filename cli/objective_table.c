// What objectives are, need and come from: lines of `fluvial list objectives`, and the table that
// tools/objectives_page.sh takes into docs/objectives.md.
#include "objective_table.h"

#include <string.h>

#include "fluvial/objective.h"
#include "keys.h"
#include "options.h"

static const struct {
  unsigned bit;
  const char *text;
} needs[] = {
    {FLV_NEEDS_LOG_F, "log F, learned"},          {FLV_NEEDS_EXIT, "an exit from every state"},
    {FLV_NEEDS_STATE_REWARD, "R of every state"}, {FLV_NEEDS_FLOWS, "P_F's logits to be flows"},
    {FLV_NEEDS_INFLOW, "flows of all parents"},   {FLV_NEEDS_TARGET, "a target network"},
};

bool cli_is_objectives(const flv_section *section) {
  return strcmp(section->name, "objective") == 0;
}

static const char *log_z_text(const flv_objective *o) {
  if (o->uses & FLV_USES_LOG_Z) return "needed";
  return o->uses & FLV_TRAINS_LOG_Z ? "learned beside" : "none";
}

// What trajectories it may be trained on. Balance holds for every trajectory, so that any will do.
static const char *trajectories_text(const flv_objective *o) {
  if (o->needs & FLV_NEEDS_OBJECTS) return "drawn back from objects";
  return o->uses & FLV_USES_LOG_PI ? "any, weighted by importance" : "any";
}

static void needs_text(char *out, size_t size, const flv_objective *o) {
  size_t used = 0;
  out[0] = '\0';
  for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
    if (o->needs & needs[i].bit && used < size)
      used +=
          (size_t)snprintf(out + used, size - used, "%s%s", used > 0 ? ", " : "", needs[i].text);
}

static void fact(FILE *out, const char *label, const char *text) {
  if (!text || !*text) return;
  const int at = fprintf(out, "  %s: ", label);
  cli_wrap(out, at, 6, cli_text_width(out), text);
}

void cli_objective_facts(FILE *out, const flv_component *objective) {
  const flv_objective *o = objective->impl;
  char also[256];
  needs_text(also, sizeof also, o);
  fact(out, o->formula_pb ? "P_F follows" : "P_F and P_B follow", o->formula);
  fact(out, "P_B follows", o->formula_pb);
  fact(out, "log Z", log_z_text(o));
  fact(out, "trajectories", trajectories_text(o));
  fact(out, "also needs", also);
  fact(out, "source", o->source);
}

// ---- Markdown ----

static void put_options(FILE *out, const flv_component *c) {
  for (int k = 0; k < c->n_params; k++)
    fprintf(out, "%s`%s`", k > 0 ? ", " : "", c->params[k].name);
}

static void cell(FILE *out, const char *text) {
  cli_put_cell(out, text ? text : "");
  fputs(" | ", out);
}

void cli_objective_table(FILE *out, const flv_section *objectives) {
  fputs("| objective | the loss, or what P_F follows | what P_B follows | log Z | trajectories | "
        "also needs | source | options |\n|---|---|---|---|---|---|---|---|\n",
        out);
  for (int i = 0; objectives->list[i]; i++) {
    const flv_component *c = objectives->list[i];
    const flv_objective *o = c->impl;
    char also[256];
    needs_text(also, sizeof also, o);
    fprintf(out, "| `%s` | ", c->name);
    cell(out, o->formula);
    cell(out, o->formula_pb ? o->formula_pb : "the same");
    cell(out, log_z_text(o));
    cell(out, trajectories_text(o));
    cell(out, *also ? also : "–");
    cell(out, o->source);
    put_options(out, c);
    fputs(" |\n", out);
  }
}
