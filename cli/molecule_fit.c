// How well log p of given molecules follows log R, as a table for people and as JSON.
#include "molecule_fit.h"

#include <math.h>

#include "measures.h"

static void print_fit(FILE *out, const char *label, const flv_molecule_fit *f) {
  char pearson[32] = "unknown", spearman[32] = "unknown";
  if (!isnan(f->pearson)) snprintf(pearson, sizeof pearson, "%.4f", f->pearson);
  if (!isnan(f->spearman)) snprintf(spearman, sizeof spearman, "%.4f", f->spearman);
  cli_measures_row(out, label, "Pearson %s, Spearman %s, of %lld", pearson, spearman,
                   (long long)f->n);
}

void cli_molecules_print(FILE *out, const flv_molecule_evaluation *e, const char *file) {
  cli_measures_row(out, "molecules", "%lld, of %s", (long long)e->n, file);
  print_fit(out, "log p and log R", &e->exact);
  if (e->has_legacy)
    print_fit(out, "as the released code", &e->legacy);
  else
    cli_measures_row(out, "as the released code",
                     "unknown: only for policy fragment_network with exit: joint");
}

static void json_fit(FILE *out, const char *name, const flv_molecule_fit *f) {
  fprintf(out, ", \"%s\": {\"n\": %lld", name, (long long)f->n);
  cli_json_number(out, ", \"pearson\": ", f->pearson);
  cli_json_number(out, ", \"spearman\": ", f->spearman);
  fputc('}', out);
}

void cli_molecules_json(FILE *out, const flv_molecule_evaluation *e) {
  fprintf(out, "{\"n\": %lld", (long long)e->n);
  json_fit(out, "exact", &e->exact);
  if (e->has_legacy) json_fit(out, "legacy", &e->legacy);
  fputs("}\n", out);
}
