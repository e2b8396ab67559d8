#include "lab/measure.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

flv_status flv_lab_measure_init(flv_lab_measure *measure, const flv_lab_space *space, int worker,
                                int large, flv_error *err) {
  flv_lab_measure m = {.space = space, .worker = worker, .large = large};
  const flv_slot slots[] = {FLV_SLOT(m.sum, space->size), FLV_SLOT(m.now, space->size),
                            FLV_SLOT(m.before, space->size), FLV_SLOT(m.whole, space->size)};
  m.block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!m.block) return flv_fail(err, FLV_ENOMEM, "out of memory for %zu gradients", space->size);
  *measure = m;
  return FLV_OK;
}

void flv_lab_measure_free(flv_lab_measure *measure) {
  flv_free(measure->block);
  *measure = (flv_lab_measure){0};
}

// ---- vectors: the tensors of one side ----

static double dot(const double *a, const double *b, const flv_lab_tensor *t) {
  double sum = 0.0;
  for (size_t k = t->begin; k < t->end; k++) sum += a[k] * b[k];
  return sum;
}

static double square(const flv_lab_space *s, const double *g, int side) {
  double sum = 0.0;
  for (int i = 0; i < s->n_tensors; i++)
    if (s->tensor[i].side == side) sum += dot(g, g, &s->tensor[i]);
  return sum;
}

double flv_lab_norm(const flv_lab_space *space, const double *g, int side) {
  return sqrt(square(space, g, side));
}

static double square_gap(const flv_lab_space *s, const double *a, double scale, const double *b,
                         int side) {
  double sum = 0.0;
  for (int i = 0; i < s->n_tensors; i++)
    for (size_t k = s->tensor[i].begin; s->tensor[i].side == side && k < s->tensor[i].end; k++) {
      const double gap = scale * a[k] - b[k];
      sum += gap * gap;
    }
  return sum;
}

double flv_lab_distance(const flv_lab_space *space, const double *a, const double *b, int side) {
  return sqrt(square_gap(space, a, 1.0, b, side));
}

// Mean over tensors of the cosine; a tensor without gradient is left out, NaN if all are.
static double cosine(const flv_lab_space *s, const double *a, const double *b, int side) {
  double sum = 0.0;
  int n = 0;
  for (int i = 0; i < s->n_tensors; i++) {
    if (s->tensor[i].side != side) continue;
    const double aa = dot(a, a, &s->tensor[i]), bb = dot(b, b, &s->tensor[i]);
    if (!(aa > 0.0 && bb > 0.0)) continue;
    sum += dot(a, b, &s->tensor[i]) / (sqrt(aa) * sqrt(bb));
    n++;
  }
  return n > 0 ? sum / n : (double)NAN;
}

// ---- running sums of numbers ----

typedef struct tally {
  double n, mean, squares; // Welford's; NaN is left out
} tally;

static void count(tally *t, double x) {
  if (isnan(x)) return;
  const double gap = x - t->mean;
  t->mean += gap / ++t->n;
  t->squares += gap * (x - t->mean);
}

static double mean_of(const tally *t) { return t->n > 0.0 ? t->mean : (double)NAN; }

static double error_of(const tally *t) {
  return t->n > 1.0 ? sqrt(t->squares / (t->n - 1.0) / t->n) : (double)NAN;
}

typedef struct sums {                       // of one side
  double squares;                           // sum ||G||^2
  tally pairs, cosine, within, cosine_true; // within: one large batch
} sums;

// ---- running over batches ----

static void add_batch(flv_lab_measure *m, sums *all, int k, const flv_lab_true *g) {
  const flv_lab_space *s = m->space;
  for (size_t i = 0; i < s->size; i++) m->sum[i] += m->now[i];
  for (int side = 0; side < 2; side++) {
    sums *x = &all[side];
    x->squares += square(s, m->now, side);
    if (k % 2 == 1) count(&x->pairs, 0.5 * square_gap(s, m->now, 1.0, m->before, side));
    if (!g) continue;
    count(&x->within, cosine(s, m->now, m->whole, side));
    count(&x->cosine_true, cosine(s, m->now, g->g, side));
  }
  double *const swap = m->before;
  m->before = m->now;
  m->now = swap;
}

static void finish(flv_lab_measure *m, const sums *all, double n, const flv_lab_true *g) {
  const flv_lab_space *s = m->space;
  for (int side = 0; side < 2; side++) {
    const sums *x = &all[side];
    flv_lab_numbers *out = &m->side[side];
    const double mean2 = square(s, m->sum, side) / (n * n);
    *out = (flv_lab_numbers){.trace = fmax(0.0, (x->squares - n * mean2) / (n - 1.0)),
                             .trace_error = error_of(&x->pairs)};
    const double noise = out->trace / n;
    out->snr_error = 1.0 / sqrt(n);
    out->mean_norm = sqrt(fmax(0.0, mean2 - noise));
    if (!g) continue;
    out->bias =
        sqrt(fmax(0.0, square_gap(s, m->sum, 1.0 / n, g->g, side) - noise - g->noise[side]));
    out->bias_error = sqrt(noise + g->noise[side]);
    out->cosine = mean_of(&x->cosine);
    out->cosine_error = error_of(&x->cosine);
    out->cosine_true = mean_of(&x->cosine_true);
    out->cosine_true_error = error_of(&x->cosine_true);
  }
}

void flv_lab_measure_run(flv_lab_measure *measure, const flv_chosen *chosen, int first, int n,
                         int batch, const flv_lab_true *g) {
  flv_lab_measure *m = measure;
  const flv_lab_space *s = m->space;
  const int each = m->large / batch;
  sums all[2] = {0};
  tally ess = {0};
  memset(m->sum, 0, s->size * sizeof *m->sum);
  for (int r = 0, k = 0; r < n; r++) {
    const int begin = (first + r) * m->large;
    if (g) s->gradient(s->self, m->worker, chosen, begin, m->large, m->whole);
    for (int i = 0; i < each; i++, k++) {
      const double size = s->gradient(s->self, m->worker, chosen, begin + i * batch, batch, m->now);
      count(&ess, size / batch);
      add_batch(m, all, k, g);
    }
    for (int side = 0; side < 2; side++) {
      count(&all[side].cosine, mean_of(&all[side].within));
      all[side].within = (tally){0};
    }
  }
  finish(m, all, (double)n * each, g);
  m->ess = mean_of(&ess);
  m->ess_error = error_of(&ess);
}

void flv_lab_measure_large(flv_lab_measure *measure, const flv_chosen *chosen, int first, int n,
                           flv_lab_true *out) {
  flv_lab_measure_run(measure, chosen, first, n, measure->large, NULL);
  for (size_t k = 0; k < measure->space->size; k++) out->g[k] = measure->sum[k] / n;
  for (int side = 0; side < 2; side++) out->noise[side] = measure->side[side].trace / n;
  out->exact = false;
}
