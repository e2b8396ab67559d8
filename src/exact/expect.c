#include "exact/expect.h"

#include <math.h>
#include <string.h>

#include "base/logmath.h"
#include "base/memory.h"

flv_status flv_expect_init(flv_expect *expect, const flv_paths *paths, flv_error *err) {
  flv_expect e = {.paths = paths, .capacity = FLV_EXPECT_BATCH};
  if (paths->n > e.capacity && paths->n <= FLV_EXPECT_ALL) e.capacity = paths->n;
  const size_t states = (size_t)paths->graph->n_states, n = (size_t)e.capacity;
  const size_t size = (size_t)flv_layout_of(paths->graph).size + states;
  const size_t p = n * (size_t)paths->graph->length;
  const flv_slot slots[] = {FLV_SLOT(e.mean, size),
                            FLV_SLOT(e.one, size),
                            FLV_SLOT(e.path, n),
                            FLV_SLOT(e.offset, n + 1),
                            FLV_SLOT(e.log_r, n),
                            FLV_SLOT(e.log_pi, n),
                            FLV_SLOT(e.log_pf, p),
                            FLV_SLOT(e.log_pb, p),
                            FLV_SLOT(e.log_f, p),
                            FLV_SLOT(e.exit, p),
                            FLV_SLOT(e.r_state, p),
                            FLV_SLOT(e.log_inflow, p),
                            FLV_SLOT(e.log_pf_target, p),
                            FLV_SLOT(e.log_f_target, p),
                            FLV_SLOT(e.inflow, states),
                            FLV_SLOT(e.d.log_pf, p),
                            FLV_SLOT(e.d.log_pb, p),
                            FLV_SLOT(e.d.log_f, p),
                            FLV_SLOT(e.d.log_pf_exit, p),
                            FLV_SLOT(e.d.log_inflow, p),
                            FLV_SLOT(e.scratch, 6 * n + 2 * p)};
  e.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!e.block) return flv_fail(err, FLV_ENOMEM, "out of memory for %zu gradients", size);
  *expect = e;
  return FLV_OK;
}

void flv_expect_free(flv_expect *expect) {
  flv_free(expect->block);
  *expect = (flv_expect){0};
}

bool flv_expect_can(const flv_paths *paths, int batch) {
  return batch <= FLV_EXPECT_BATCH && pow(paths->n, batch) <= FLV_EXPECT_BATCHES;
}

static int move_at(const flv_expect *e, int path, int position) {
  return e->paths->move[e->paths->offset[path] + position];
}

static double log_edge_flow(const flv_graph *g, const flv_tables *t, int m) {
  return t->log_sum[g->dag.from[m]] + t->log_pf[m];
}

static void fill_inflow(flv_expect *e, const flv_tables *t) {
  const flv_graph *g = e->paths->graph;
  for (int s = 0; s < g->n_states; s++) {
    e->inflow[s] = -HUGE_VAL;
    for (int k = g->first_into[s]; k < g->first_into[s + 1]; k++)
      e->inflow[s] = flv_logaddexp(e->inflow[s], log_edge_flow(g, t, g->into[k]));
  }
}

// Fills trajectory i of the batch with path number `path`.
static void gather(flv_expect *e, const flv_tables *t, bool flows, int i, int path, double log_pi) {
  const flv_graph *g = e->paths->graph;
  const flv_tables *target = e->target ? e->target : t;
  const int length = e->paths->offset[path + 1] - e->paths->offset[path], at = e->offset[i];
  for (int k = 0; k < length; k++) {
    const int m = move_at(e, path, k), s = g->dag.from[m], last = g->dag.first[s + 1] - 1;
    e->log_pf[at + k] = t->log_pf[m];
    e->log_pb[at + k] = k == 0 ? 0.0 : t->log_pb[move_at(e, path, k - 1)];
    e->log_f[at + k] = flows ? t->log_sum[s] : t->log_f[s];
    e->exit[at + k] = flv_move_ends(g, last) ? t->log_pf[last] : -HUGE_VAL;
    e->r_state[at + k] = g->log_r_state[s];
    e->log_inflow[at + k] = e->inflow[s];
    e->log_pf_target[at + k] = target->log_pf[m];
    e->log_f_target[at + k] = target->log_sum[s];
  }
  e->path[i] = path;
  e->offset[i + 1] = at + length;
  e->log_r[i] = g->log_r[g->dag.from[move_at(e, path, length - 1)]];
  e->log_pi[i] = log_pi;
}

// Calls the objective on the batch that was gathered.
static double evaluate(flv_expect *e, const flv_chosen *chosen, const flv_tables *t, int batch) {
  const unsigned needs = chosen->objective->needs;
  const size_t bytes = (size_t)e->offset[batch] * sizeof(double);
  const bool f = needs & (FLV_NEEDS_LOG_F | FLV_NEEDS_FLOWS), exit = needs & FLV_NEEDS_EXIT;
  const bool inflow = needs & FLV_NEEDS_INFLOW, target = needs & FLV_NEEDS_TARGET;
  const flv_trajectories in = {.n = batch,
                               .offset = e->offset,
                               .log_pf = e->log_pf,
                               .log_pb = e->log_pb,
                               .log_f = f ? e->log_f : NULL,
                               .log_inflow = inflow ? e->log_inflow : NULL,
                               .log_pf_target = target ? e->log_pf_target : NULL,
                               .log_f_target = target && f ? e->log_f_target : NULL,
                               .log_pf_exit = exit ? e->exit : NULL,
                               .log_r_state = needs & FLV_NEEDS_STATE_REWARD ? e->r_state : NULL,
                               .log_r = e->log_r,
                               .log_pi = e->log_pi,
                               .log_z = t->log_z,
                               .exits = e->paths->graph->exits,
                               .scratch = e->scratch};
  memset(e->d.log_pf, 0, bytes);
  memset(e->d.log_pb, 0, bytes);
  memset(e->d.log_f, 0, bytes);
  memset(e->d.log_pf_exit, 0, bytes);
  memset(e->d.log_inflow, 0, bytes);
  flv_cotangents d = {.log_pf = e->d.log_pf,
                      .log_pb = e->d.log_pb,
                      .log_f = f ? e->d.log_f : NULL,
                      .log_inflow = inflow ? e->d.log_inflow : NULL,
                      .log_pf_exit = exit ? e->d.log_pf_exit : NULL,
                      .ess = batch};
  const double loss = chosen->objective->loss(chosen->cfg, &in, &d);
  e->d.log_z = d.log_z;
  e->ess = d.ess;
  return loss;
}

// Adds the batch's cotangents of log-probabilities, times p, to sum.
static void spread(const flv_expect *e, int batch, double p, double *sum) {
  const flv_graph *g = e->paths->graph;
  const flv_layout at = flv_layout_of(g);
  for (int i = 0; i < batch; i++) {
    for (int q = e->offset[i]; q < e->offset[i + 1]; q++) {
      const int m = move_at(e, e->path[i], q - e->offset[i]), s = g->dag.from[m];
      sum[at.pf + m] += p * e->d.log_pf[q];
      if (q > e->offset[i])
        sum[at.pb + move_at(e, e->path[i], q - 1 - e->offset[i])] += p * e->d.log_pb[q];
      sum[at.log_f + s] += p * e->d.log_f[q];
      sum[at.pf + g->dag.first[s + 1] - 1] += p * e->d.log_pf_exit[q];
      sum[at.size + s] += p * e->d.log_inflow[q];
    }
  }
  sum[at.log_z] += p * e->d.log_z;
}

// From cotangents to the gradient. Of edge flows L: log F(s) = logsumexp of L over the moves from
// s, log inflow(s) of L over the moves into s.
static void pull_back(const flv_expect *e, const flv_tables *t, bool flows, double *d) {
  const flv_graph *g = e->paths->graph;
  const flv_layout at = flv_layout_of(g);
  flv_pull_back(d, g, t);
  for (int m = 0; m < g->n_moves && flows; m++) {
    d[at.pf + m] += t->pf[m] * d[at.log_f + g->dag.from[m]];
    if (flv_move_ends(g, m)) continue;
    const int s = g->dag.to[m];
    d[at.pf + m] += exp(log_edge_flow(g, t, m) - e->inflow[s]) * d[at.size + s];
  }
  for (int s = 0; s < g->n_states && flows; s++) d[at.log_f + s] = 0.0;
}

static void clear(const flv_expect *e, double *d) {
  const flv_graph *g = e->paths->graph;
  memset(d, 0, (size_t)(flv_layout_of(g).size + g->n_states) * sizeof *d);
}

static double square(const double *x, int n) {
  double sum = 0.0;
  for (int k = 0; k < n; k++) sum += x[k] * x[k];
  return sum;
}

static void add_squares(flv_expect *e, const flv_tables *t, bool flows, int batch, double p) {
  const flv_graph *g = e->paths->graph;
  const flv_layout at = flv_layout_of(g);
  clear(e, e->one);
  spread(e, batch, 1.0, e->one);
  pull_back(e, t, flows, e->one);
  e->trace[0] += p * square(e->one + at.pf, g->n_moves);
  e->trace[1] += p * square(e->one + at.pb, g->n_moves);
}

void flv_expect_run(flv_expect *expect, const flv_chosen *chosen, const flv_tables *tables,
                    const double *log_q, int batch, bool with_trace) {
  flv_expect *e = expect;
  const flv_graph *g = e->paths->graph;
  const flv_layout at = flv_layout_of(g);
  const bool flows = chosen->objective->needs & FLV_NEEDS_FLOWS;
  const int n = e->paths->n;
  int batches = 1;
  for (int i = 0; i < batch; i++) batches *= n;
  clear(e, e->mean);
  fill_inflow(e, tables);
  e->loss = e->trace[0] = e->trace[1] = 0.0;
  for (int b = 0; b < batches; b++) {
    double log_p = 0.0;
    for (int i = 0, rest = b; i < batch; i++, rest /= n) {
      gather(e, tables, flows, i, rest % n, log_q[rest % n]);
      log_p += log_q[rest % n];
    }
    const double p = exp(log_p);
    e->loss += p * evaluate(e, chosen, tables, batch);
    spread(e, batch, p, e->mean);
    if (with_trace) add_squares(e, tables, flows, batch, p);
  }
  pull_back(e, tables, flows, e->mean);
  if (!with_trace) return;
  e->trace[0] -= square(e->mean + at.pf, g->n_moves);
  e->trace[1] -= square(e->mean + at.pb, g->n_moves);
}

bool flv_expect_all(flv_expect *expect, const flv_chosen *chosen, const flv_tables *tables,
                    const double *log_pi) {
  flv_expect *e = expect;
  const bool flows = chosen->objective->needs & FLV_NEEDS_FLOWS;
  const int n = e->paths->n;
  if (n > e->capacity) return false;
  clear(e, e->mean);
  fill_inflow(e, tables);
  for (int i = 0; i < n; i++) gather(e, tables, flows, i, i, log_pi[i]);
  e->loss = evaluate(e, chosen, tables, n);
  spread(e, n, 1.0, e->mean);
  pull_back(e, tables, flows, e->mean);
  e->trace[0] = e->trace[1] = 0.0;
  return true;
}
