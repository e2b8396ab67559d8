#include "exact/linear.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

// ---- reading the numbers off an objective ----

enum { POSITIONS = 3, MAX_P = FLV_LINEAR_BATCH * POSITIONS };

typedef struct made_up { // a batch with given c, otherwise random
  int n;
  double c[FLV_LINEAR_BATCH], log_u[FLV_LINEAR_BATCH][3]; // of each ratio
  double a[FLV_LINEAR_BATCH][2], log_z;                   // what the objective answered
} made_up;

static double draw(int item, int step) {
  const flv_rng rng = {.seed = 1, .purpose = FLV_RNG_TEST, .iteration = 1};
  return flv_rng_uniform(rng, (uint32_t)item, (uint32_t)step);
}

// From this trial on weights and residuals are large enough to reach what clips them or bends g.
enum { WIDE = 4 };
static const double wide_pi = 24.0, wide_c = 300.0;

// c_i of a trial: 0, e_0, and random ones.
static double made_up_c(int trial, int i) {
  if (trial < 2) return trial == 1 && i == 0;
  const double c = 4.0 * draw(200 + trial, i) - 2.0;
  if (trial < WIDE) return c;
  return i % 2 ? c + wide_c : c - wide_c;
}

// The cotangent that all of x[begin .. end-1] have, or NaN.
static double common(const double *x, int begin, int end) {
  for (int p = begin + 1; p < end; p++)
    if (!(fabs(x[p] - x[begin]) <= 1e-12 * (1.0 + fabs(x[begin])))) return (double)NAN;
  return x[begin];
}

static void ask(made_up *b, const flv_chosen *chosen, double log_z, bool exits, bool on_policy,
                int item) {
  int32_t offset[FLV_LINEAR_BATCH + 1] = {0};
  double pf[MAX_P] = {0}, pb[MAX_P] = {0}, d_pf[MAX_P] = {0}, d_pb[MAX_P] = {0};
  double log_r[FLV_LINEAR_BATCH], log_pi[FLV_LINEAR_BATCH],
      scratch[6 * FLV_LINEAR_BATCH + 2 * MAX_P];
  for (int i = 0; i < b->n; i++) {
    double log_pf = 0.0, log_pb = 0.0;
    const int end = offset[i] + 2 + i % 2;
    for (int p = offset[i]; p < end; p++) {
      if (exits || p + 1 < end) pf[p] = -0.2 - draw(item, 2 * p);
      if (p > offset[i]) pb[p] = -0.2 - draw(item, 2 * p + 1);
      log_pf += pf[p];
      log_pb += pb[p];
    }
    offset[i + 1] = end;
    log_r[i] = log_pf - log_pb - b->c[i];
    log_pi[i] = on_policy ? log_pf : log_pf + draw(item, 100 + i) - 0.4;
    if (!on_policy && item >= WIDE) log_pi[i] += (item + i) % 2 ? wide_pi : -wide_pi;
    b->log_u[i][FLV_RATIO_ONE] = 0.0;
    b->log_u[i][FLV_RATIO_PF] = log_pf - log_pi[i];
    b->log_u[i][FLV_RATIO_PB] = log_pf - log_pi[i] - b->c[i] - log_z;
  }
  const flv_trajectories t = {.n = b->n,
                              .offset = offset,
                              .log_pf = pf,
                              .log_pb = pb,
                              .log_r = log_r,
                              .log_pi = log_pi,
                              .log_z = log_z,
                              .exits = exits,
                              .scratch = scratch};
  flv_cotangents d = {.log_pf = d_pf, .log_pb = d_pb, .ess = b->n};
  chosen->objective->loss(chosen->cfg, &t, &d);
  for (int i = 0; i < b->n; i++) {
    b->a[i][0] = common(d_pf, offset[i], offset[i + 1]);
    b->a[i][1] = common(d_pb, offset[i] + 1, offset[i + 1]);
  }
  b->log_z = d.log_z;
}

static bool agrees(double a, double b) { return fabs(a - b) <= 1e-10 * (1.0 + fabs(b)); }

enum { TRIALS = 6 };

static bool fits(const flv_linear *l, int side, const made_up *trial) {
  for (int k = 0; k < TRIALS; k++) {
    double sum = 0.0;
    for (int i = 0; i < trial[k].n; i++) sum += trial[k].c[i];
    for (int i = 0; i < trial[k].n; i++) {
      const double u = exp(trial[k].log_u[i][l->side[side].ratio]), c = trial[k].c[i];
      const double a =
          l->side[side].alpha + l->side[side].beta * c + l->side[side].gamma * (sum - c);
      if (!agrees(trial[k].a[i][side], u * a)) return false;
    }
  }
  return true;
}

static bool probe_side(flv_linear *l, int side, const made_up *trial) {
  for (int r = FLV_RATIO_ONE; r <= FLV_RATIO_PB; r++) {
    const double alpha = trial[0].a[0][side] * exp(-trial[0].log_u[0][r]);
    l->side[side].ratio = (flv_ratio)r;
    l->side[side].alpha = alpha;
    l->side[side].beta = trial[1].a[0][side] * exp(-trial[1].log_u[0][r]) - alpha;
    l->side[side].gamma =
        trial[0].n > 1 ? trial[1].a[1][side] * exp(-trial[1].log_u[1][r]) - alpha : 0.0;
    if (fits(l, side, trial)) return true;
  }
  return false;
}

bool flv_linear_probe(flv_linear *linear, const flv_chosen *chosen, int batch, double log_z,
                      bool exits, bool on_policy) {
  if (chosen->objective->needs != 0 || batch > FLV_LINEAR_BATCH) return false;
  made_up trial[TRIALS] = {0};
  for (int k = 0; k < TRIALS; k++) {
    trial[k].n = batch;
    for (int i = 0; i < batch; i++) trial[k].c[i] = made_up_c(k, i);
    ask(&trial[k], chosen, log_z, exits, on_policy, k);
  }
  flv_linear l = {.log_z = {trial[0].log_z, trial[1].log_z - trial[0].log_z}, .learns_log_z = true};
  for (int k = 0; k < TRIALS; k++) {
    double sum = 0.0;
    for (int i = 0; i < batch; i++) sum += trial[k].c[i];
    l.learns_log_z &= agrees(trial[k].log_z, l.log_z[0] + l.log_z[1] * sum);
  }
  if (!probe_side(&l, 0, trial) || !probe_side(&l, 1, trial)) return false;
  *linear = l;
  return true;
}

// ---- expectations ----

flv_status flv_moments_init(flv_moments *moments, const flv_graph *graph, flv_error *err) {
  flv_moments x = {.graph = graph};
  const int size = flv_layout_of(graph).size;
  FLV_TRY(flv_chain_init(&x.chain, &graph->dag, err));
  const flv_slot slots[] = {FLV_SLOT(x.c, graph->n_moves), FLV_SLOT(x.log_w, graph->n_moves),
                            FLV_SLOT(x.h[0], size),        FLV_SLOT(x.h[1], size),
                            FLV_SLOT(x.h[2], size),        FLV_SLOT(x.mean, size)};
  x.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!x.block) {
    flv_chain_free(&x.chain);
    return flv_fail(err, FLV_ENOMEM, "out of memory for %d gradients", size);
  }
  *moments = x;
  return FLV_OK;
}

void flv_moments_free(flv_moments *moments) {
  flv_chain_free(&moments->chain);
  flv_free(moments->block);
  *moments = (flv_moments){0};
}

static double log_r_at(const flv_graph *g, int m) {
  return flv_move_ends(g, m) ? g->log_r[g->dag.from[m]] : 0.0;
}

// Runs the chain with weights q u^power; returns the factor that is left over, with u's 1/Z.
static double run_chain(flv_moments *x, flv_ratio ratio, int power, const flv_tables *t,
                        const double *log_q) {
  const flv_graph *g = x->graph;
  for (int m = 0; m < g->n_moves; m++) {
    const double log_u = ratio == FLV_RATIO_ONE  ? 0.0
                         : ratio == FLV_RATIO_PF ? t->log_pf[m] - log_q[m]
                                                 : t->log_pb[m] + log_r_at(g, m) - log_q[m];
    x->log_w[m] = log_q[m] + power * log_u;
  }
  flv_chain_run(&x->chain, x->log_w, x->c);
  return x->chain.log_total - (ratio == FLV_RATIO_PB ? power * t->log_z : 0.0);
}

// H_0, H_1, H_2 of one side, in that side's part of h.
static void fill_h(flv_moments *x, int side, flv_ratio ratio, const flv_tables *t,
                   const double *log_q) {
  const flv_graph *g = x->graph;
  const double log_total = run_chain(x, ratio, 1, t, log_q);
  for (int m = 0; m < g->n_moves; m++) {
    const int at = side * g->n_moves + m;
    const double visit = exp(x->chain.log_visit[m] + log_total);
    x->h[0][at] = visit;
    x->h[1][at] = visit * flv_chain_mean_at(&x->chain, m);
    x->h[2][at] = visit * flv_chain_square_at(&x->chain, m, 0.0);
  }
}

static double dot(const double *a, const double *b, int n) {
  double sum = 0.0;
  for (int k = 0; k < n; k++) sum += a[k] * b[k];
  return sum;
}

// ||e_m - p||^2, p the softmax that move m is in, from the sum of p^2 of each.
static double norm_of(const flv_graph *g, const flv_tables *t, int side, int m) {
  if (side == 1 && flv_move_ends(g, m)) return 0.0;
  const double *p = side == 0 ? t->pf : t->pb;
  double squares = 0.0;
  const int s = side == 0 ? g->dag.from[m] : g->dag.to[m];
  const int32_t *first = side == 0 ? g->dag.first : g->first_into;
  for (int k = first[s]; k < first[s + 1]; k++) {
    const double q = p[side == 0 ? k : g->into[k]];
    squares += q * q;
  }
  return 1.0 - 2.0 * p[m] + squares;
}

static double trace_of(flv_moments *x, int side, const flv_linear *l, const flv_tables *t,
                       const double *log_q, int batch, double mean, double var) {
  const flv_graph *g = x->graph;
  const int at = side * g->n_moves, n = g->n_moves;
  const double others = batch - 1.0, beta = l->side[side].beta, gamma = l->side[side].gamma;
  const double kappa = l->side[side].alpha + others * gamma * mean;
  const double spread = others * gamma * gamma * var;
  const double log_total = run_chain(x, l->side[side].ratio, 2, t, log_q);
  double own = 0.0;
  for (int m = 0; m < n; m++) {
    const double first = flv_chain_mean_at(&x->chain, m);
    const double second = flv_chain_square_at(&x->chain, m, 0.0);
    own += exp(x->chain.log_visit[m] + log_total) * norm_of(g, t, side, m) *
           (beta * beta * second + 2.0 * kappa * beta * first + kappa * kappa + spread);
  }
  const double k1 = l->side[side].alpha + gamma * (batch - 2.0) * mean;
  const double k2 = k1 * k1 + gamma * gamma * (batch - 2.0) * var;
  const double *const h0 = x->h[0] + at, *const h1 = x->h[1] + at, *const h2 = x->h[2] + at;
  const double cross = k2 * dot(h0, h0, n) + 2.0 * k1 * (beta + gamma) * dot(h0, h1, n) +
                       (beta * beta + gamma * gamma) * dot(h1, h1, n) +
                       2.0 * beta * gamma * dot(h0, h2, n);
  return batch * own + batch * others * cross - dot(x->mean + at, x->mean + at, n);
}

void flv_moments_run(flv_moments *moments, const flv_linear *linear, const flv_tables *tables,
                     const double *log_q, int batch, bool with_trace) {
  flv_moments *x = moments;
  const flv_graph *g = x->graph;
  const flv_layout at = flv_layout_of(g);
  for (int m = 0; m < g->n_moves; m++)
    x->c[m] = tables->log_pf[m] - tables->log_pb[m] - log_r_at(g, m);
  run_chain(x, FLV_RATIO_ONE, 1, tables, log_q);
  const double mean = x->chain.mean, var = x->chain.variance;
  for (int side = 0; side < 2; side++) fill_h(x, side, linear->side[side].ratio, tables, log_q);
  for (int k = 0; k < 3; k++) flv_pull_back(x->h[k], g, tables);
  for (int k = 0; k < at.size; k++) {
    const int side = k >= at.pb;
    const double kappa = linear->side[side].alpha + (batch - 1) * linear->side[side].gamma * mean;
    x->mean[k] =
        k < at.log_f ? batch * (kappa * x->h[0][k] + linear->side[side].beta * x->h[1][k]) : 0.0;
  }
  x->mean[at.log_z] = linear->log_z[0] + linear->log_z[1] * batch * mean;
  for (int side = 0; side < 2; side++)
    x->trace[side] = with_trace ? trace_of(x, side, linear, tables, log_q, batch, mean, var) : 0.0;
}
