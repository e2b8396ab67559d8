// What a run found, in words.
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/posterior.h"

enum { LABEL = 24, SHOWN_EDGES = 12, WIDEST = 44, WIDE_GAP = 5 }; // nats, the last

static void row(FILE *f, const char *label, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void row(FILE *f, const char *label, const char *format, ...) {
  fprintf(f, "%-*s", LABEL, label);
  va_list args;
  va_start(args, format);
  vfprintf(f, format, args);
  va_end(args);
  fputc('\n', f);
}

static const char *setting(const flv_posterior *p, const char *key, char text[4096]) {
  if (flv_config_get(flv_trainer_config(p->trainer), key, text, 4096, NULL) != FLV_OK)
    strcpy(text, "");
  return text;
}

static void put_problem(FILE *f, const flv_posterior *p) {
  char text[4096], prior[4096], scaled[4096];
  row(f, "table", "%s: %d rows, %d variables", setting(p, "reward.path", text), p->score->data.rows,
      p->d);
  const bool standardised = strcmp(setting(p, "reward.standardise", scaled), "true") == 0;
  row(f, "score", "%s%s, prior %s", flv_trainer_reward(p->trainer)->name,
      standardised ? " of standardised columns" : "", setting(p, "reward.prior", prior));
  const int parents = flv_dag_max_parents(p->dag);
  if (parents < p->d - 1) row(f, "parents", "at most %d", parents);
}

static void put_exact(FILE *f, const flv_posterior *p) {
  row(f, "graphs", "%lld, all enumerated: the probabilities are exact", (long long)p->n_graphs);
  row(f, "sampler", "JSD to the posterior %.2e nats, total variation %.2e, both exact", p->jsd,
      p->tv);
  row(f, "", "its probabilities of edges are off by %.1e (root mean square)", p->rmse[FLV_EDGES]);
}

// What is known where the graphs cannot be counted up.
static void put_sampled(FILE *f, const flv_posterior *p) {
  const flv_assessment *a = &p->assessment;
  row(f, "graphs", "too many to enumerate: the probabilities are those of %lld sampled graphs,",
      (long long)p->n_samples);
  row(f, "", "%lld of them different; not exact, and as good as the sampler is:",
      (long long)p->n_distinct);
  row(f, "effective sample size", "%.2g %% of trajectories (100 %%: a perfect sampler)",
      100.0 * a->ess);
  row(f, "log evidence", "at least %.2f +- %.2f (ELBO), about %.2f +- %.2f (importance-weighted),",
      a->elbo.value, a->elbo.error, a->log_z.value, a->log_z.error);
  row(f, "", "relative to the graph without edges unless reward.relative is off");
  row(f, "correlation", "%.3f of log p(graph) and log R over %lld sampled graphs (1: perfect)",
      a->pearson.value, (long long)a->objects);
  if (!(a->log_z.value - a->elbo.value < WIDE_GAP))
    row(f, "", "the two estimates of the evidence are far apart: train longer (--iterations)");
}

// ---- edges ----

typedef struct pair { // the likelier direction
  int from, to;
  double p, either;
} pair;

static int by_probability(const void *a, const void *b) {
  const pair *x = a, *y = b;
  if (x->either < y->either || x->either > y->either) return x->either < y->either ? 1 : -1;
  if (x->p < y->p || x->p > y->p) return x->p < y->p ? 1 : -1;
  return x->from != y->from ? x->from - y->from : x->to - y->to;
}

static int columns_of(const char *text) {
  int n = 0;
  for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
  return n;
}

static void put_edges(FILE *f, const flv_posterior *p) {
  const double *edge = p->best[FLV_EDGES];
  pair pairs[FLV_DAG_MAX_VARIABLES * FLV_DAG_MAX_VARIABLES / 2];
  int n = 0, width = 0, shown = 0;
  for (int i = 0; i < p->d; i++)
    for (int j = i + 1; j < p->d; j++) {
      const double forth = edge[i * p->d + j], back = edge[j * p->d + i];
      pairs[n++] =
          forth >= back ? (pair){i, j, forth, forth + back} : (pair){j, i, back, forth + back};
    }
  if (n > 1) qsort(pairs, (size_t)n, sizeof *pairs, by_probability);
  while (shown < n && shown < SHOWN_EDGES && pairs[shown].either >= 0.01) shown++;
  for (int k = 0; k < shown; k++) {
    const int w = columns_of(p->names[pairs[k].from]) + 4 + columns_of(p->names[pairs[k].to]);
    if (w > width) width = w < WIDEST ? w : WIDEST;
  }
  fprintf(f, "\nmost probable edges%s\n", shown ? "" : ": none reaches 0.01");
  for (int k = 0; k < shown; k++) {
    const char *from = p->names[pairs[k].from], *to = p->names[pairs[k].to];
    const int w = columns_of(from) + 4 + columns_of(to);
    fprintf(f, "  %s -> %s:%*s %.2f; either direction %.2f\n", from, to, w < width ? width - w : 0,
            "", pairs[k].p, fmin(pairs[k].either, 1.0));
  }
  if (shown == SHOWN_EDGES && n > shown && pairs[shown].either >= 0.01)
    fprintf(f, "  ... (all in edges.csv)\n");
}

static double expected_edges(const flv_posterior *p) {
  double sum = 0.0;
  for (int k = 0; k < p->d * p->d; k++) sum += p->best[FLV_EDGES][k];
  return sum;
}

static void put_graph(FILE *f, const flv_posterior *p) {
  if (p->n_top == 0) return;
  const flv_ranked_graph *g = &p->top[0];
  const char *between = "";
  fprintf(f,
          p->exact ? "most probable graph (probability %.3g%s)\n  "
                   : "most probable graph among the samples (%.3g of them%s)\n  ",
          g->probability,
          p->exact && p->n_top > 1 && p->top[1].probability > 0.999 * g->probability
              ? ", one of several"
              : "");
  for (int i = 0; i < p->d; i++)
    for (int j = 0; j < p->d; j++)
      if (g->parents[j] >> i & 1) {
        fprintf(f, "%s%s -> %s", between, p->names[i], p->names[j]);
        between = "; ";
      }
  fprintf(f, *between ? "\n" : "no edges\n");
}

static void put_truth(FILE *f, const flv_posterior *p) {
  const flv_dag_truth *t = &p->to_truth;
  int edges = 0;
  for (int j = 0; j < p->d; j++) edges += __builtin_popcountll(p->truth[j]);
  fprintf(f, "\n");
  row(f, "true graph", "%d edges", edges);
  row(f, "expected SHD", "%.2f", t->expected_shd);
  row(f, "AUROC", "%.4f", t->auroc);
  row(f, "AUPRC", "%.4f (average precision %.4f)", t->auprc, t->average_precision);
}

void flv_posterior_summary(FILE *f, const flv_posterior *p, double threshold) {
  put_problem(f, p);
  if (p->exact)
    put_exact(f, p);
  else
    put_sampled(f, p);
  put_edges(f, p);
  int above = 0;
  for (int k = 0; k < p->d * p->d; k++) above += p->best[FLV_EDGES][k] >= threshold;
  fprintf(f, "\n");
  row(f, "expected edges", "%.2f; %d have probability %g or more (graph.png)", expected_edges(p),
      above, threshold);
  put_graph(f, p);
  if (strcmp(flv_trainer_reward(p->trainer)->name, "linear_gaussian") != 0)
    fprintf(f, "Graphs that imply the same independencies score the same, so the data may settle "
               "that\ntwo variables are joined but not which causes which.\n");
  if (p->has_truth) put_truth(f, p);
}
