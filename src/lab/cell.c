#include "lab/cell.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/parallel.h"

// The pool: `repeats` large batches to measure on, and as many for what must not depend on them, an
// optimal scalar and a true gradient. True gradients on-policy come from a third part.
enum { PARTS = 3, CHUNK_BITS = 24 };

static flv_rng address(const flv_lab_cells *c, int chunk) {
  return (flv_rng){(uint64_t)c->trainer->train->seed, FLV_RNG_LAB,
                   (uint64_t)c->iteration << CHUNK_BITS | (uint64_t)chunk};
}

// ---- memory ----

static flv_status make_space(flv_lab_cells *c, flv_error *err) {
  const int chunks = (PARTS - 1) * c->o->repeats, large = c->o->large, threads = c->o->threads;
  if (c->problem)
    return flv_lab_space_logits(&c->space, c->problem, &c->trainer->policy, large, chunks, threads,
                                err);
  return flv_lab_space_parameters(&c->space, c->trainer, c->specs.needs, large, chunks, threads,
                                  err);
}

static flv_status make_workers(flv_lab_cells *c, flv_error *err) {
  c->worker = calloc((size_t)c->space.workers, sizeof *c->worker);
  if (!c->worker) return flv_fail(err, FLV_ENOMEM, "out of memory for the laboratory");
  for (int w = 0; w < c->space.workers; w++) {
    FLV_TRY(flv_lab_measure_init(&c->worker[w].measure, &c->space, w, c->o->large, err));
    if (c->problem) FLV_TRY(flv_lab_exact_init(&c->worker[w].exact, c->problem, err));
  }
  return FLV_OK;
}

static flv_status make_truth(flv_lab_cells *c, flv_error *err) {
  const size_t n = (size_t)c->specs.n_objectives;
  double *g = NULL;
  const flv_slot slots[] = {FLV_SLOT(c->truth, n), FLV_SLOT(g, n * c->space.size)};
  c->block = flv_bind(2, slots);
  if (!c->block) return flv_fail(err, FLV_ENOMEM, "out of memory for %zu true gradients", n);
  for (size_t k = 0; k < n; k++) c->truth[k].g = g + k * c->space.size;
  return FLV_OK;
}

flv_status flv_lab_cells_init(flv_lab_cells *cells, flv_trainer *trainer, flv_problem *problem,
                              const flv_estimators_options *o, flv_error *err) {
  flv_lab_cells *c = cells;
  *c = (flv_lab_cells){.trainer = trainer, .problem = problem, .o = o};
  c->sides = trainer->policy.pb >= 0 ? 2 : 1;
  FLV_TRY(flv_lab_specs_init(&c->specs, trainer->cfg, o, &trainer->policy, err));
  FLV_TRY(make_space(c, err));
  FLV_TRY(make_workers(c, err));
  return make_truth(c, err);
}

void flv_lab_cells_free(flv_lab_cells *cells) {
  flv_lab_cells *c = cells;
  for (int w = 0; c->worker && w < c->space.workers; w++) {
    flv_lab_measure_free(&c->worker[w].measure);
    flv_lab_exact_free(&c->worker[w].exact);
  }
  free(c->worker);
  if (c->space.self) c->space.free_self(c->space.self);
  flv_lab_specs_free(&c->specs);
  flv_problem_free(c->problem);
  flv_free(c->block);
  *c = (flv_lab_cells){0};
}

// ---- true gradients ----

static const flv_lab_spec *first_of(const flv_lab_cells *c, int objective) {
  const flv_lab_spec *s = c->specs.spec;
  while (s->objective != objective) s++;
  return s;
}

// Entries of a gradient that are of logits.
static size_t n_logits(const flv_lab_cells *c) {
  return (size_t)flv_layout_of(c->problem->graph).log_f;
}

static void keep(const flv_lab_cells *c, flv_lab_true *truth, const double *mean) {
  memcpy(truth->g, mean, n_logits(c) * sizeof *truth->g);
  truth->exact = true;
  truth->noise[0] = truth->noise[1] = 0.0;
}

// With plain weights, the true Z and trajectories of P_F a divergence's gradient is unbiased.
static bool exact_divergence(flv_lab_cells *c, const flv_lab_spec *s, flv_lab_true *truth) {
  if (!c->problem) return false;
  flv_lab_exact *x = &c->worker[0].exact;
  const flv_lab_values cfg = flv_lab_unbiased(s, true);
  const flv_chosen chosen = flv_lab_chosen(s, &cfg);
  const flv_lab_source source = flv_lab_source_of(&c->space);
  flv_tables tables = c->problem->tables;
  tables.log_z = c->problem->graph->log_z;
  // Of batches of two, so that no ratio of sums (renyi) is taken for a mean over trajectories.
  const flv_lab_way way = flv_lab_exact_run(x, &chosen, &tables, &source, 2, false);
  if (way != FLV_LAB_LINEAR && way != FLV_LAB_SINGLE) return false;
  keep(c, truth, x->mean);
  return true;
}

// The limit of large batches under the behaviour. Where cotangents are linear, expectations are of
// the form g + (a number) / B from B = 2 on, so that 2 E_4 - E_2 is g.
static bool exact_balance(flv_lab_cells *c, const flv_lab_spec *s, flv_lab_true *truth) {
  if (!c->problem) return false;
  flv_lab_exact *x = &c->worker[0].exact;
  const flv_chosen chosen = flv_lab_chosen(s, &s->cfg);
  const flv_lab_source source = flv_lab_source_of(&c->space);
  const flv_tables *tables = &c->problem->tables;
  const flv_lab_way way = flv_lab_exact_run(x, &chosen, tables, &source, 4, false);
  if (way != FLV_LAB_LINEAR && way != FLV_LAB_SINGLE) return false;
  keep(c, truth, x->mean);
  if (way == FLV_LAB_SINGLE) return true;
  flv_lab_exact_run(x, &chosen, tables, &source, 2, false);
  for (size_t k = 0; k < n_logits(c); k++) truth->g[k] = 2.0 * truth->g[k] - x->mean[k];
  return true;
}

// What the space failed with, if it did.
static flv_status space_status(const flv_lab_cells *c, flv_error *err) {
  const flv_error *failure = &c->space.failure;
  return failure->status == FLV_OK ? FLV_OK : flv_fail(err, failure->status, "%s", failure->text);
}

flv_status flv_lab_cells_at(flv_lab_cells *cells, int64_t iteration, const float *now,
                            flv_error *err) {
  flv_lab_cells *c = cells;
  static const flv_lab_behaviour on_policy = {.kind = FLV_LAB_ON_POLICY};
  bool drawn = false;
  c->iteration = iteration;
  c->now = now;
  c->space.place(c->space.self, now, now, &on_policy);
  for (int k = 0; k < c->specs.n_objectives; k++) {
    const flv_lab_spec *s = first_of(c, k);
    if (!s->weights || exact_divergence(c, s, &c->truth[k])) continue;
    if (!drawn) c->space.draw(c->space.self, address(c, 2 * c->o->repeats), c->o->repeats);
    drawn = true;
    const flv_lab_values cfg = flv_lab_unbiased(s, false);
    const flv_chosen chosen = flv_lab_chosen(s, &cfg);
    flv_lab_measure_large(&c->worker[0].measure, &chosen, 0, c->o->repeats, &c->truth[k]);
  }
  return space_status(c, err);
}

static void balance_truths(flv_lab_cells *c) {
  for (int k = 0; k < c->specs.n_objectives; k++) {
    const flv_lab_spec *s = first_of(c, k);
    if (s->weights || exact_balance(c, s, &c->truth[k])) continue;
    const flv_chosen chosen = flv_lab_chosen(s, &s->cfg);
    flv_lab_measure_large(&c->worker[0].measure, &chosen, c->o->repeats, c->o->repeats,
                          &c->truth[k]);
  }
}

// ---- one estimator ----

typedef struct job {
  flv_lab_cells *c;
  const flv_lab_behaviour *behaviour;
  flv_lab_source source; // of logits
  flv_estimator *row;    // where the rows of the first estimator begin
  int *begin;            // [specs.n] place of each estimator's rows behind it
} job;

static bool has_row(const flv_lab_spec *s, int side) { return s->scores[side] || s->first; }

static flv_lab_way run_exact(const job *j, flv_lab_worker *w, const flv_chosen *chosen, int batch) {
  if (!j->c->problem) return FLV_LAB_SAMPLED;
  return flv_lab_exact_run(&w->exact, chosen, &j->c->problem->tables, &j->source, batch, true);
}

// G(b) is linear in the baseline b and tr Cov G(b) quadratic, so that three of its values give the
// smallest. Where G is a mean over trajectories with E[w h] = 0 this is E[f ||w h||^2] /
// E ||w h||^2 (Zimmermann et al. 2023), with f the integrand and w h the weighted grad log P.
// Estimated traces are of trajectories that nothing else is measured on.
static double best_scalar(const job *j, flv_lab_worker *w, const flv_lab_spec *s, int side,
                          int batch) {
  double trace[3];
  for (int k = 0; k < 3; k++) {
    const flv_lab_values cfg = flv_lab_with_constant(s, k - 1.0);
    const flv_chosen chosen = flv_lab_chosen(s, &cfg);
    if (run_exact(j, w, &chosen, batch) != FLV_LAB_SAMPLED) {
      trace[k] = w->exact.trace[side];
      continue;
    }
    const int n = j->c->o->repeats;
    flv_lab_measure_run(&w->measure, &chosen, n, n, batch, NULL);
    trace[k] = w->measure.side[side].trace;
  }
  const double bend = trace[2] + trace[0] - 2.0 * trace[1];
  return bend > 0.0 ? -0.5 * (trace[2] - trace[0]) / bend : 0.0;
}

static double ess_limit(const job *j, flv_lab_worker *w, const flv_lab_spec *s, int side) {
  if (!s->weights) return 1.0;
  if (!j->c->problem || strcmp(s->weights_word, "clipped") == 0) return (double)NAN;
  const flv_lab_values cfg = flv_lab_unbiased(s, true);
  const flv_chosen chosen = flv_lab_chosen(s, &cfg);
  const flv_tables *t = &j->c->problem->tables;
  const bool none = strcmp(s->weights_word, "none") == 0;
  flv_linear linear;
  if (!flv_linear_probe(&linear, &chosen, 1, t->log_z, j->c->problem->graph->exits, false))
    return (double)NAN;
  const flv_ratio ratio = linear.side[side].ratio;
  if (ratio == FLV_RATIO_ONE || (ratio == FLV_RATIO_PF && none)) return 1.0;
  if (ratio == FLV_RATIO_PF) return flv_lab_ess_limit(&w->exact, t, &j->source, 1.0, 1.0, 0.0);
  return flv_lab_ess_limit(&w->exact, t, &j->source, none ? -1.0 : 0.0, none ? 0.0 : 1.0, 1.0);
}

static void fill_names(const job *j, const flv_lab_spec *s, int side, int batch,
                       flv_estimator *row) {
  *row = (flv_estimator){.iteration = j->c->iteration,
                         .batch = batch,
                         .off_policy = j->c->space.off_policy,
                         .scalar = (double)NAN};
  strcpy(row->objective, s->name);
  strcpy(row->weights, s->weights_word);
  strcpy(row->baseline, s->scores[side] ? s->baseline_word : "-");
  strcpy(row->behaviour, j->behaviour->name);
  strcpy(row->policy, side == 0 ? "P_F" : "P_B");
}

static void fill_numbers(const job *j, const flv_lab_worker *w, const flv_lab_spec *s, int side,
                         bool exact, flv_estimator *row) {
  const flv_lab_space *space = &j->c->space;
  const flv_lab_true *truth = &j->c->truth[s->objective];
  const flv_lab_numbers *x = &w->measure.side[side];
  row->exact = exact;
  row->true_norm = flv_lab_norm(space, truth->g, side);
  row->mean_norm = exact ? flv_lab_norm(space, w->exact.mean, side) : x->mean_norm;
  row->bias = exact ? flv_lab_distance(space, w->exact.mean, truth->g, side) : x->bias;
  row->bias_error = exact ? sqrt(truth->noise[side]) : x->bias_error;
  row->trace = exact ? w->exact.trace[side] : x->trace;
  row->trace_error = exact ? 0.0 : x->trace_error;
  row->snr = row->mean_norm / sqrt(row->trace);
  row->snr_error = exact ? 0.0 : x->snr_error;
  row->ess = w->measure.ess;
  row->ess_error = w->measure.ess_error;
  row->cosine = x->cosine;
  row->cosine_error = x->cosine_error;
  row->cosine_true = x->cosine_true;
  row->cosine_true_error = x->cosine_true_error;
}

static flv_estimator *run_batch(const job *j, flv_lab_worker *w, const flv_lab_spec *s, int batch,
                                flv_estimator *row) {
  bool done = false, exact = false;
  for (int side = 0; side < j->c->sides; side++) {
    if (!has_row(s, side)) continue;
    fill_names(j, s, side, batch, row);
    flv_lab_values cfg = s->cfg;
    if (s->optimal && s->baseline) {
      if (s->scores[side]) row->scalar = best_scalar(j, w, s, side, batch);
      cfg = flv_lab_with_constant(s, s->scores[side] ? row->scalar : 0.0);
    }
    if (!done || s->optimal) { // else both policies' gradients are there
      const flv_chosen chosen = flv_lab_chosen(s, &cfg);
      exact = run_exact(j, w, &chosen, batch) != FLV_LAB_SAMPLED;
      flv_lab_measure_run(&w->measure, &chosen, 0, j->c->o->repeats, batch,
                          &j->c->truth[s->objective]);
    }
    done = true;
    fill_numbers(j, w, s, side, exact, row);
    row++;
  }
  return row;
}

// Estimators worker, worker + workers, ...: whoever does one, the numbers are the same.
static void run_worker(void *context, int worker) {
  const job *j = context;
  flv_lab_worker *w = &j->c->worker[worker];
  for (int k = worker; k < j->c->specs.n; k += j->c->space.workers) {
    const flv_lab_spec *s = &j->c->specs.spec[k];
    flv_estimator *const begin = j->row + j->begin[k], *end = begin;
    for (int b = 0; b < j->c->o->n_batch; b++) end = run_batch(j, w, s, j->c->o->batch[b], end);
    for (flv_estimator *row = begin; row < end; row++)
      row->ess_limit = ess_limit(j, w, s, row->policy[2] == 'B');
  }
}

flv_status flv_lab_cells_run(flv_lab_cells *cells, const float *past,
                             const flv_lab_behaviour *behaviour, flv_estimators *out,
                             flv_error *err) {
  flv_lab_cells *c = cells;
  job j = {.c = c, .behaviour = behaviour};
  int n = 0;
  j.begin = calloc((size_t)c->specs.n, sizeof *j.begin);
  for (int k = 0; j.begin && k < c->specs.n; k++) {
    j.begin[k] = n;
    for (int side = 0; side < c->sides; side++)
      if (has_row(&c->specs.spec[k], side)) n += c->o->n_batch;
  }
  flv_estimator *rows =
      j.begin ? realloc(out->row, ((size_t)out->n + (size_t)n) * sizeof *rows) : NULL;
  if (!rows) {
    free(j.begin);
    return flv_fail(err, FLV_ENOMEM, "out of memory for %d estimators", n);
  }
  out->row = rows;
  j.row = rows + out->n;
  c->space.place(c->space.self, c->now, past, behaviour);
  c->space.draw(c->space.self, address(c, 0), (PARTS - 1) * c->o->repeats);
  if (c->problem) j.source = flv_lab_source_of(&c->space);
  balance_truths(c);
  for (int k = 0; k < c->specs.n_objectives; k++) out->true_exact &= c->truth[k].exact;
  if (c->space.workers == 1)
    run_worker(&j, 0);
  else
    flv_parallel(c->o->threads, c->space.workers, run_worker, &j);
  free(j.begin);
  FLV_TRY(space_status(c, err));
  out->n += n;
  return FLV_OK;
}
