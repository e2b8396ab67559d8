#include "exact/expect.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

flv_status flv_expect_init(flv_expect *expect, const flv_paths *paths, flv_error *err) {
  flv_expect e = {.paths = paths};
  const int pieces = paths->graph->length + 1; // of a trajectory in single steps, and room to spare
  int most = paths->n <= FLV_EXPECT_ALL ? paths->n : 0;
  if (most < FLV_EXPECT_BATCH) most = FLV_EXPECT_BATCH;
  if (most < pieces) most = pieces;
  const size_t size = flv_walks_size(paths->graph);
  const flv_slot slots[] = {FLV_SLOT(e.mean, size), FLV_SLOT(e.one, size)};
  FLV_TRY(flv_walks_init(&e.walks, paths->graph, most, err));
  e.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!e.block) {
    flv_walks_free(&e.walks);
    return flv_fail(err, FLV_ENOMEM, "out of memory for %zu gradients", size);
  }
  *expect = e;
  return FLV_OK;
}

void flv_expect_free(flv_expect *expect) {
  flv_walks_free(&expect->walks);
  flv_free(expect->block);
  *expect = (flv_expect){0};
}

bool flv_expect_can(const flv_paths *paths, int batch) {
  return batch <= FLV_EXPECT_BATCH && pow(paths->n, batch) <= FLV_EXPECT_BATCHES;
}

static void add_path(flv_expect *e, const flv_tables *t, int path, double log_pi) {
  const int32_t *offset = e->paths->offset;
  flv_walks_add(&e->walks, t, offset[path + 1] - offset[path], e->paths->move + offset[path],
                log_pi);
}

static void start(flv_expect *e, const flv_tables *t) {
  memset(e->mean, 0, flv_walks_size(e->paths->graph) * sizeof *e->mean);
  e->loss = e->trace[0] = e->trace[1] = 0.0;
  e->walks.target = e->target;
  flv_walks_fill_inflow(&e->walks, t);
}

static double square(const double *x, int n) {
  double sum = 0.0;
  for (int k = 0; k < n; k++) sum += x[k] * x[k];
  return sum;
}

static void add_squares(flv_expect *e, const flv_chosen *chosen, const flv_tables *t, double p) {
  const flv_graph *g = e->paths->graph;
  const flv_layout at = flv_layout_of(g);
  memset(e->one, 0, flv_walks_size(g) * sizeof *e->one);
  flv_walks_spread(&e->walks, 1.0, e->one);
  flv_walks_pull_back(&e->walks, chosen, t, e->one);
  e->trace[0] += p * square(e->one + at.pf, g->n_moves);
  e->trace[1] += p * square(e->one + at.pb, g->n_moves);
}

void flv_expect_run(flv_expect *expect, const flv_chosen *chosen, const flv_tables *tables,
                    const double *log_q, int batch, bool with_trace) {
  flv_expect *e = expect;
  const flv_graph *g = e->paths->graph;
  const flv_layout at = flv_layout_of(g);
  const int n = e->paths->n;
  int batches = 1;
  for (int i = 0; i < batch; i++) batches *= n;
  start(e, tables);
  for (int b = 0; b < batches; b++) {
    double log_p = 0.0;
    flv_walks_clear(&e->walks);
    for (int i = 0, rest = b; i < batch; i++, rest /= n) {
      add_path(e, tables, rest % n, log_q[rest % n]);
      log_p += log_q[rest % n];
    }
    const double p = exp(log_p);
    e->loss += p * flv_walks_loss(&e->walks, chosen, tables);
    flv_walks_spread(&e->walks, p, e->mean);
    if (with_trace) add_squares(e, chosen, tables, p);
  }
  e->ess = e->walks.d.ess;
  flv_walks_pull_back(&e->walks, chosen, tables, e->mean);
  if (!with_trace) return;
  e->trace[0] -= square(e->mean + at.pf, g->n_moves);
  e->trace[1] -= square(e->mean + at.pb, g->n_moves);
}

bool flv_expect_all(flv_expect *expect, const flv_chosen *chosen, const flv_tables *tables,
                    const double *log_pi) {
  flv_expect *e = expect;
  if (e->paths->n > e->walks.max_n) return false;
  start(e, tables);
  flv_walks_clear(&e->walks);
  for (int i = 0; i < e->paths->n; i++) add_path(e, tables, i, log_pi[i]);
  e->loss = flv_walks_loss(&e->walks, chosen, tables);
  e->ess = e->walks.d.ess;
  flv_walks_spread(&e->walks, 1.0, e->mean);
  flv_walks_pull_back(&e->walks, chosen, tables, e->mean);
  return true;
}
