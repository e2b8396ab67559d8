// Statements about the divergences' estimators themselves: on a batch of trajectories that another
// policy made, for every kind of weights and baseline, what an objective returns is what
// docs/objectives.md says, written out.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "exact/statements.h"

static double *spare(flv_check *c, int k) { return c->p->vector[FLV_CHECK_VECTOR + k]; }

enum { MAX_PATHS = 300 }; // the others' mean is taken by going through all others
static const double cap = 1.5;

typedef enum kind { SELF_NORMALISED, PLAIN, NONE, CLIPPED, RELEASED, RELEASED_NONE, KINDS } kind;
static const char *const kind_words[] = {"weights=self_normalised",
                                         "weights=plain",
                                         "weights=none",
                                         "weights=clipped cap=1.5",
                                         "weights=plain released=true",
                                         "weights=none released=true"};
typedef enum baseline { BASE_NONE, BASE_LOCAL, BASE_GLOBAL, BASE_OTHERS, BASES } baseline;
static const char *const base_words[] = {"baseline=none", "baseline=local", "baseline=global",
                                         "baseline=leave_one_out"};

// Shares of D(P_F||P_B) and D(P_B||P_F), for P_F and for P_B; or an order.
typedef struct family {
  const char *name, *options;
  double pf[2], pb[2];
  double order; // 0: none
} family;
static const family families[] = {{"reverse_kl", "", {1.0, 0.0}, {1.0, 0.0}, 0.0},
                                  {"forward_kl", "", {0.0, 1.0}, {0.0, 1.0}, 0.0},
                                  {"wake_sleep", "", {0.0, 1.0}, {1.0, 0.0}, 0.0},
                                  {"reverse_wake_sleep", "", {1.0, 0.0}, {0.0, 1.0}, 0.0},
                                  {"mixed_kl", "forward=0.3", {0.7, 0.3}, {0.7, 0.3}, 0.0},
                                  {"symmetric_cycles", "", {1.0, 1.0}, {1.0, 1.0}, 0.0},
                                  {"renyi", "alpha=0.25", {0.0, 0.0}, {0.0, 0.0}, 0.25},
                                  {"renyi", "alpha=1", {0.0, 0.0}, {0.0, 0.0}, 1.0},
                                  {"tsallis", "alpha=2", {0.0, 0.0}, {0.0, 0.0}, 2.0},
                                  {"tsallis", "alpha=1", {0.0, 0.0}, {0.0, 0.0}, 1.0}};

typedef struct estimate { // of one batch; arrays [n]
  int n;
  double *log_pi;
  double *c, *u;         // log-ratios, P_F / pi
  double *wf, *wb;       // weights of E_PF, of E_PB
  double *f, *score;     // an integrand; w_i (f_i - b_i)
  double *to_pf, *to_pb; // what grad log P_F(tau_i), grad log P_B(tau_i) are multiplied with
  double log_z;          // learned
  kind kind;
  baseline baseline;
  double to_log_z, loss, ess;
  void *block;
} estimate;

// The behaviour policy makes the first trajectory so often that its weights are 0.
static bool open_estimate(estimate *x, const flv_problem *p) {
  *x = (estimate){.n = p->paths.n, .log_z = p->tables.log_z};
  const flv_slot slots[] = {
      FLV_SLOT(x->c, x->n),     FLV_SLOT(x->u, x->n),     FLV_SLOT(x->wf, x->n),
      FLV_SLOT(x->wb, x->n),    FLV_SLOT(x->f, x->n),     FLV_SLOT(x->score, x->n),
      FLV_SLOT(x->to_pf, x->n), FLV_SLOT(x->to_pb, x->n), FLV_SLOT(x->log_pi, x->n)};
  x->block = flv_bind(sizeof slots / sizeof *slots, slots);
  for (int i = 0; x->block && i < x->n; i++) {
    x->log_pi[i] = i == 0 ? 2000.0 : p->log_path[FLV_FROM_OTHER][i];
    x->u[i] = exp(p->log_path[FLV_FROM_PF][i] - x->log_pi[i]);
    x->c[i] = p->log_path[FLV_FROM_PF][i] - p->log_path[FLV_FROM_POSTERIOR][i] - p->graph->log_z;
  }
  return x->block;
}

// ---- weights and baselines ----

static void divide(double *w, int n, double by) {
  for (int i = 0; i < n; i++) w[i] /= by;
}

static double sum_of(const double *w, int n) {
  double sum = 0.0;
  for (int i = 0; i < n; i++) sum += w[i];
  return sum;
}

// u_i is P_F/pi under E_PF, R P_B/pi under E_PB, whose sum is Z^ times as large.
static void fill_weights(const estimate *x, double *w, bool pb) {
  double shares = 0.0; // of softmax(-c)
  for (int i = 0; i < x->n; i++) {
    w[i] =
        (x->kind == NONE || x->kind == RELEASED_NONE ? 1.0 : x->u[i]) * (pb ? exp(-x->c[i]) : 1.0);
    shares += exp(-x->c[i]);
  }
  if (x->kind == SELF_NORMALISED || x->kind == NONE) {
    divide(w, x->n, sum_of(w, x->n));
    return;
  }
  divide(w, x->n, !pb ? 1.0 : x->kind >= RELEASED ? shares : exp(x->log_z));
  for (int i = 0; i < x->n && x->kind == CLIPPED; i++) w[i] = fmin(w[i], cap);
  divide(w, x->n, x->n);
}

static double mean_of_others(const estimate *x, const double *w, int i) {
  double sum = 0.0, weight = 0.0;
  for (int j = 0; j < x->n; j++) {
    if (j == i) continue;
    sum += w[j] * x->f[j];
    weight += w[j];
  }
  return sum / weight;
}

// score_i = w_i (f_i - b_i); optimum: the value of f where P_F and P_B agree.
static void fill_score(estimate *x, const double *w, double optimum) {
  const double mean = sum_of(x->f, x->n) / x->n;
  for (int i = 0; i < x->n; i++) {
    const double b = x->baseline == BASE_NONE     ? 0.0
                     : x->baseline == BASE_LOCAL  ? mean
                     : x->baseline == BASE_GLOBAL ? optimum
                                                  : mean_of_others(x, w, i);
    x->score[i] = w[i] * (x->f[i] - b);
  }
}

static void add(double *to, const double *from, int n, double scale) {
  for (int i = 0; i < n; i++) to[i] += scale * from[i];
}

// 1 / sum of squared shares.
static double size_of(const double *w, int n) {
  double squares = 0.0;
  for (int i = 0; i < n; i++) squares += w[i] * w[i];
  return sum_of(w, n) * sum_of(w, n) / squares;
}

// ---- Kullback and Leibler's divergences ----

static double mean_residual(const estimate *x, const double *w) {
  double sum = 0.0;
  for (int i = 0; i < x->n; i++) sum += w[i] * (x->c[i] + x->log_z);
  return sum / sum_of(w, x->n);
}

static void by_kl(estimate *x, const family *k) {
  memcpy(x->f, x->c, (size_t)x->n * sizeof *x->f);
  fill_score(x, x->wf, -x->log_z);
  add(x->to_pf, x->score, x->n, k->pf[0]);
  add(x->to_pb, x->wf, x->n, -k->pb[0]);
  fill_score(x, x->wb, -x->log_z);
  add(x->to_pf, x->wb, x->n, -k->pf[1]);
  add(x->to_pb, x->score, x->n, -k->pb[1]);
  x->loss = k->pf[0] * mean_residual(x, x->wf) - k->pf[1] * mean_residual(x, x->wb);
  if (k->pf[0] > 0.0 || k->pb[0] > 0.0) x->ess = fmin(x->ess, size_of(x->wf, x->n));
  if (k->pf[1] > 0.0 || k->pb[1] > 0.0) x->ess = fmin(x->ess, size_of(x->wb, x->n));
}

// ---- divergences of an order ----

// log of (sum_i w_i w^e(tau_i))^(1/e) with weights w_i, scaled to sum 1.
static double log_power_mean(const estimate *x, const double *w, double e) {
  double sum = 0.0;
  for (int i = 0; i < x->n; i++) sum += w[i] * (e == 0.0 ? -x->c[i] : exp(-e * x->c[i]));
  sum /= sum_of(w, x->n);
  return e == 0.0 ? sum : log(sum) / e;
}

// f_e = ((w/Y)^e - 1) / e, log(w/Y) at e = 0; without the constant where there is no baseline.
static void fill_power(estimate *x, double e, double log_y) {
  const bool bare = x->baseline == BASE_NONE;
  for (int i = 0; i < x->n; i++) {
    if (e == 0.0)
      x->f[i] = -x->c[i] - (bare ? 0.0 : log_y);
    else
      x->f[i] = (exp(e * (-x->c[i] - log_y)) - (bare ? 0.0 : 1.0)) / e;
  }
}

static void by_order(estimate *x, const family *k) {
  const bool renyi = strcmp(k->name, "renyi") == 0;
  const double a = k->order;
  for (int pb = 0; pb < 2; pb++) {
    double *const w = pb ? x->wb : x->wf;
    const double e = pb ? a - 1.0 : a;
    fill_power(x, e, renyi ? log_power_mean(x, w, e) : x->log_z);
    fill_score(x, w, 0.0);
    add(pb ? x->to_pb : x->to_pf, x->score, x->n, (pb ? a : -a) / (renyi ? sum_of(w, x->n) : 1.0));
    x->ess = fmin(x->ess, size_of(w, x->n));
  }
  const double value = log_power_mean(x, x->wb, a - 1.0) - x->log_z;
  x->loss = renyi || a == 1.0 ? value : (exp((a - 1.0) * value) - 1.0) / (a - 1.0);
}

// ---- against the objective ----

// log Z by (1/B) sum (log Z + c)^2, or with E_PF's weights.
static void fill_estimate(estimate *x, const family *k, bool weighted) {
  memset(x->to_pf, 0, (size_t)x->n * sizeof *x->to_pf);
  memset(x->to_pb, 0, (size_t)x->n * sizeof *x->to_pb);
  fill_weights(x, x->wf, false);
  fill_weights(x, x->wb, true);
  x->to_log_z = 0.0;
  x->ess = x->n;
  for (int i = 0; i < x->n; i++)
    x->to_log_z += 2.0 * (weighted ? x->wf[i] : 1.0 / x->n) * (x->log_z + x->c[i]);
  if (k->order > 0.0)
    by_order(x, k);
  else
    by_kl(x, k);
}

static void compare(flv_check *c, const estimate *x) {
  const flv_problem *p = c->p;
  const flv_layout at = flv_layout_of(p->graph);
  double *const want = spare(c, 0);
  memset(want, 0, (size_t)at.size * sizeof *want);
  for (int i = 0; i < x->n; i++) {
    for (int q = p->paths.offset[i]; q < p->paths.offset[i + 1]; q++) {
      want[at.pf + p->paths.move[q]] += x->to_pf[i];
      want[at.pb + p->paths.move[q]] += x->to_pb[i];
    }
  }
  flv_pull_back(want, p->graph, &p->tables);
  want[at.log_z] = x->to_log_z;
  flv_check_vectors(c, p->expect.mean, 1.0, want, FLV_PART_POLICY);
  flv_check_vectors(c, p->expect.mean, 1.0, want, FLV_PART_LOG_F | FLV_PART_LOG_Z);
  flv_check_numbers(c, p->expect.loss, x->loss);
  flv_check_numbers(c, p->expect.ess, x->ess);
}

static bool compare_family(flv_check *c, estimate *x, const family *k) {
  const bool scores = strcmp(k->name, "wake_sleep") != 0, alpha = k->order > 0.0;
  for (int run = 0; run < KINDS * BASES * 2; run++) {
    char options[120];
    flv_choice choice;
    const bool weighted = run % 2;
    x->kind = (kind)(run / 2 % KINDS);
    x->baseline = (baseline)(run / 2 / KINDS);
    if ((x->kind >= RELEASED && (alpha || weighted)) || (!scores && x->baseline != BASE_NONE))
      continue;
    snprintf(options, sizeof options, "%s %s %s weighted_log_z=%s", k->options, kind_words[x->kind],
             scores ? base_words[x->baseline] : "", weighted ? "true" : "false");
    if (!flv_check_choose(c, &choice, k->name, options)) return false;
    fill_estimate(x, k, weighted);
    if (!flv_expect_all(&c->p->expect, &choice.chosen, &c->p->tables, x->log_pi)) return false;
    compare(c, x);
  }
  return true;
}

void flv_state_estimator(flv_check *check, const char *objective) {
  flv_problem *p = check->p;
  estimate x;
  if (!p->enumerated || p->paths.n > MAX_PATHS) {
    flv_check_skip(check, "%.4g trajectories do not fit into a batch", p->n_paths);
    return;
  }
  if (!open_estimate(&x, p)) {
    flv_check_skip(check, "out of memory for %d trajectories", p->paths.n);
    return;
  }
  for (size_t k = 0; k < sizeof families / sizeof *families; k++)
    if (strcmp(families[k].name, objective) == 0 && !compare_family(check, &x, &families[k])) break;
  flv_free(x.block);
}
