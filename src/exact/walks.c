#include "exact/walks.h"

#include <math.h>
#include <string.h>

#include "base/logmath.h"
#include "base/memory.h"

flv_status flv_walks_init(flv_walks *walks, const flv_graph *graph, int max_n, flv_error *err) {
  flv_walks w = {.graph = graph, .max_n = max_n};
  const size_t n = (size_t)max_n, p = n * (size_t)graph->length;
  const flv_slot slots[] = {FLV_SLOT(w.offset, n + 1),
                            FLV_SLOT(w.move, p),
                            FLV_SLOT(w.log_pf, p),
                            FLV_SLOT(w.log_pb, p),
                            FLV_SLOT(w.log_f, p),
                            FLV_SLOT(w.exit, p),
                            FLV_SLOT(w.r_state, p),
                            FLV_SLOT(w.log_inflow, p),
                            FLV_SLOT(w.log_pf_target, p),
                            FLV_SLOT(w.log_f_target, p),
                            FLV_SLOT(w.exit_target, p),
                            FLV_SLOT(w.log_r, n),
                            FLV_SLOT(w.log_pi, n),
                            FLV_SLOT(w.open, n),
                            FLV_SLOT(w.inflow, graph->n_states),
                            FLV_SLOT(w.d.log_pf, p),
                            FLV_SLOT(w.d.log_pb, p),
                            FLV_SLOT(w.d.log_f, p),
                            FLV_SLOT(w.d.log_pf_exit, p),
                            FLV_SLOT(w.d.log_inflow, p),
                            FLV_SLOT(w.scratch, 6 * n + 2 * p)};
  w.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!w.block) return flv_fail(err, FLV_ENOMEM, "out of memory for %d trajectories", max_n);
  *walks = w;
  return FLV_OK;
}

void flv_walks_free(flv_walks *walks) {
  flv_free(walks->block);
  *walks = (flv_walks){0};
}

// ---- the batch ----

static double log_edge_flow(const flv_graph *g, const flv_tables *t, int m) {
  return t->log_sum[g->dag.from[m]] + t->log_pf[m];
}

void flv_walks_fill_inflow(flv_walks *walks, const flv_tables *tables) {
  const flv_graph *g = walks->graph;
  for (int s = 0; s < g->n_states; s++) {
    walks->inflow[s] = -HUGE_VAL;
    for (int k = g->first_into[s]; k < g->first_into[s + 1]; k++)
      walks->inflow[s] = flv_logaddexp(walks->inflow[s], log_edge_flow(g, tables, g->into[k]));
  }
}

void flv_walks_add_part(flv_walks *walks, const flv_tables *tables, const int32_t *move, int begin,
                        int end, bool open_end) {
  flv_walks *w = walks;
  const flv_tables *t = tables, *target = w->target ? w->target : t;
  const flv_graph *g = w->graph;
  const int at = w->offset[w->n] - begin;
  for (int k = begin; k <= end; k++) {
    const int m = w->move[at + k] = move[k];
    const int s = g->dag.from[m], last = g->dag.first[s + 1] - 1;
    const bool idle = open_end && k == end; // a state where no action is taken
    w->log_pf[at + k] = idle ? 0.0 : t->log_pf[m];
    w->log_pb[at + k] = k == begin ? 0.0 : t->log_pb[move[k - 1]];
    w->exit[at + k] = flv_move_ends(g, last) ? t->log_pf[last] : -HUGE_VAL;
    w->r_state[at + k] = g->log_r_state[s];
    w->log_inflow[at + k] = w->inflow[s];
    w->log_pf_target[at + k] = idle ? 0.0 : target->log_pf[m];
    w->log_f_target[at + k] = target->log_sum[s];
    w->exit_target[at + k] = flv_move_ends(g, last) ? target->log_pf[last] : -HUGE_VAL;
  }
  w->log_r[w->n] = open_end ? (double)NAN : g->log_r[g->dag.from[move[end]]];
  w->log_pi[w->n] = 0.0;
  w->open[w->n] = (uint8_t)((begin > 0 ? FLV_OPEN_START : 0) | (open_end ? FLV_OPEN_END : 0));
  w->offset[++w->n] = at + end + 1;
}

void flv_walks_add(flv_walks *walks, const flv_tables *tables, int length, const int32_t *move,
                   double log_pi) {
  flv_walks_add_part(walks, tables, move, 0, length - 1, false);
  walks->log_pi[walks->n - 1] = log_pi;
}

// ---- the objective ----

static void clear_cotangents(flv_walks *w) {
  double *const all[] = {w->d.log_pf, w->d.log_pb, w->d.log_f, w->d.log_pf_exit, w->d.log_inflow};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++)
    memset(all[k], 0, (size_t)w->offset[w->n] * sizeof(double));
}

double flv_walks_loss(flv_walks *walks, const flv_chosen *chosen, const flv_tables *tables) {
  flv_walks *w = walks;
  const unsigned needs = flv_objective_needs(chosen->objective, chosen->cfg);
  const bool flows = needs & FLV_NEEDS_FLOWS, f = flows || needs & FLV_NEEDS_LOG_F;
  const bool inflow = needs & FLV_NEEDS_INFLOW, target = needs & FLV_NEEDS_TARGET;
  const bool exit = needs & FLV_NEEDS_EXIT;
  const double *log_f = flows ? tables->log_sum : tables->log_f;
  for (int q = 0; q < w->offset[w->n] && f; q++)
    w->log_f[q] = log_f[w->graph->dag.from[w->move[q]]];
  const flv_trajectories in = {.n = w->n,
                               .offset = w->offset,
                               .log_pf = w->log_pf,
                               .log_pb = w->log_pb,
                               .log_f = f ? w->log_f : NULL,
                               .log_inflow = inflow ? w->log_inflow : NULL,
                               .log_pf_target = target ? w->log_pf_target : NULL,
                               .log_f_target = target && f ? w->log_f_target : NULL,
                               .log_pf_exit_target = target && exit ? w->exit_target : NULL,
                               .log_pf_exit = exit ? w->exit : NULL,
                               .log_r_state = needs & FLV_NEEDS_STATE_REWARD ? w->r_state : NULL,
                               .log_r = w->log_r,
                               .log_pi = w->log_pi,
                               .open = w->open,
                               .log_z = tables->log_z,
                               .exits = w->graph->exits,
                               .scratch = w->scratch};
  clear_cotangents(w);
  flv_cotangents d = {.log_pf = w->d.log_pf,
                      .log_pb = w->d.log_pb,
                      .log_f = f ? w->d.log_f : NULL,
                      .log_inflow = inflow ? w->d.log_inflow : NULL,
                      .log_pf_exit = exit ? w->d.log_pf_exit : NULL,
                      .ess = w->n};
  const double loss = chosen->objective->loss(chosen->cfg, &in, &d);
  w->d.log_z = d.log_z;
  w->d.ess = d.ess;
  return loss;
}

void flv_walks_spread(const flv_walks *walks, double p, double *sum) {
  const flv_walks *w = walks;
  const flv_graph *g = w->graph;
  const flv_layout at = flv_layout_of(g);
  for (int i = 0; i < w->n; i++) {
    for (int q = w->offset[i]; q < w->offset[i + 1]; q++) {
      const int m = w->move[q], s = g->dag.from[m];
      const bool idle = q + 1 == w->offset[i + 1] && w->open[i] & FLV_OPEN_END;
      if (!idle) sum[at.pf + m] += p * w->d.log_pf[q];
      if (q > w->offset[i]) sum[at.pb + w->move[q - 1]] += p * w->d.log_pb[q];
      sum[at.log_f + s] += p * w->d.log_f[q];
      sum[at.pf + g->dag.first[s + 1] - 1] += p * w->d.log_pf_exit[q];
      sum[at.size + s] += p * w->d.log_inflow[q];
    }
  }
  sum[at.log_z] += p * w->d.log_z;
}

void flv_walks_pull_back(const flv_walks *walks, const flv_chosen *chosen, const flv_tables *tables,
                         double *d) {
  const flv_graph *g = walks->graph;
  const flv_layout at = flv_layout_of(g);
  flv_pull_back(d, g, tables);
  if (!(chosen->objective->needs & FLV_NEEDS_FLOWS)) return;
  for (int m = 0; m < g->n_moves; m++) {
    d[at.pf + m] += tables->pf[m] * d[at.log_f + g->dag.from[m]];
    if (flv_move_ends(g, m)) continue;
    const int s = g->dag.to[m];
    d[at.pf + m] += exp(log_edge_flow(g, tables, m) - walks->inflow[s]) * d[at.size + s];
  }
  for (int s = 0; s < g->n_states; s++) d[at.log_f + s] = 0.0;
}
