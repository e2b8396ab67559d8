#include "exact/tables.h"

#include <math.h>

#include "base/logmath.h"

int flv_layout_part(const flv_layout *at, int k) {
  if (k < at->pb) return FLV_PART_PF;
  if (k < at->log_f) return FLV_PART_PB;
  return k < at->log_z ? FLV_PART_LOG_F : FLV_PART_LOG_Z;
}

void flv_softmax_out(double *log_p, const flv_graph *graph, const double *logits) {
  const int32_t *first = graph->dag.first;
  for (int s = 0; s < graph->n_states; s++) {
    const double norm = flv_logsumexp(first[s + 1] - first[s], logits + first[s]);
    for (int m = first[s]; m < first[s + 1]; m++) log_p[m] = logits[m] - norm;
  }
}

static void softmax_into(double *log_p, const flv_graph *g, const double *logits) {
  for (int m = 0; m < g->n_moves; m++) log_p[m] = 0.0;
  for (int s = 0; s < g->n_states; s++) {
    double norm = -HUGE_VAL;
    for (int k = g->first_into[s]; k < g->first_into[s + 1]; k++)
      norm = flv_logaddexp(norm, logits[g->into[k]]);
    for (int k = g->first_into[s]; k < g->first_into[s + 1]; k++)
      log_p[g->into[k]] = logits[g->into[k]] - norm;
  }
}

void flv_tables_fill(flv_tables *tables, const flv_graph *graph, const double *x) {
  const flv_layout at = flv_layout_of(graph);
  const int32_t *first = graph->dag.first;
  flv_softmax_out(tables->log_pf, graph, x + at.pf);
  for (int s = 0; s < graph->n_states; s++)
    tables->log_sum[s] = flv_logsumexp(first[s + 1] - first[s], x + at.pf + first[s]);
  softmax_into(tables->log_pb, graph, x + at.pb);
  for (int m = 0; m < graph->n_moves; m++) {
    tables->pf[m] = exp(tables->log_pf[m]);
    tables->pb[m] = exp(tables->log_pb[m]);
  }
  tables->log_f = x + at.log_f;
  tables->log_z = x[at.log_z];
}

void flv_pull_back(double *d, const flv_graph *graph, const flv_tables *tables) {
  const flv_layout at = flv_layout_of(graph);
  const int32_t *first = graph->dag.first;
  double *const pf = d + at.pf, *const pb = d + at.pb;
  for (int s = 0; s < graph->n_states; s++) {
    double out = 0.0, in = 0.0;
    for (int m = first[s]; m < first[s + 1]; m++) out += pf[m];
    for (int m = first[s]; m < first[s + 1]; m++) pf[m] -= out * tables->pf[m];
    for (int k = graph->first_into[s]; k < graph->first_into[s + 1]; k++) in += pb[graph->into[k]];
    for (int k = graph->first_into[s]; k < graph->first_into[s + 1]; k++)
      pb[graph->into[k]] -= in * tables->pb[graph->into[k]];
  }
  for (int m = 0; m < graph->n_moves; m++)
    if (flv_move_ends(graph, m)) pb[m] = 0.0;
}

void flv_flows(double *log_f, double *log_post, const flv_graph *graph, const double *log_pb) {
  const int32_t *first = graph->dag.first;
  for (int s = graph->n_states - 1; s >= 0; s--) {
    log_f[s] = -HUGE_VAL;
    for (int m = first[s]; m < first[s + 1]; m++) {
      log_post[m] = flv_move_ends(graph, m) ? graph->log_r[s] : log_f[graph->dag.to[m]] + log_pb[m];
      log_f[s] = flv_logaddexp(log_f[s], log_post[m]);
    }
    for (int m = first[s]; m < first[s + 1]; m++) log_post[m] -= log_f[s];
  }
}

double flv_residual(const flv_graph *graph, const double *a, double scale_b, const double *b,
                    int parts) {
  const flv_layout at = flv_layout_of(graph);
  double worst = 0.0, largest = FLV_SMALL_GRADIENT;
  for (int k = 0; k < at.size; k++) {
    if (!(flv_layout_part(&at, k) & parts)) continue;
    const double gap = fabs(a[k] - scale_b * b[k]);
    if (isnan(gap)) return gap;
    worst = fmax(worst, gap);
    largest = fmax(largest, fabs(scale_b * b[k]));
  }
  return worst / largest;
}
