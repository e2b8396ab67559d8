// Statements about divergences of order alpha, and about estimators that are exact only where a
// batch holds every trajectory once.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "exact/statements.h"

static double *spare(flv_check *c, int k) { return c->p->vector[FLV_CHECK_VECTOR + k]; }

// ---- E_PF[w^a] ----

static const double orders[] = {-0.5, 0.25, 0.5, 2.0};

// grad E_PF[w^a] = (1-a) E_PF[w^a grad log P_F] + a E_PF[w^a grad log P_B], the expectations by
// dynamic programming: w^a P_F is a product over moves.
static void alpha_by_chain(flv_check *c, double a, double *grad) {
  flv_problem *p = c->p;
  const flv_graph *g = p->graph;
  const flv_layout at = flv_layout_of(g);
  for (int m = 0; m < g->n_moves; m++) {
    const double log_end = flv_move_ends(g, m) ? g->log_r[g->dag.from[m]] - g->log_z : 0.0;
    p->moments.log_w[m] = (1.0 - a) * p->tables.log_pf[m] + a * (p->tables.log_pb[m] + log_end);
  }
  flv_chain_run(&p->moments.chain, p->moments.log_w, NULL);
  memset(grad, 0, (size_t)at.size * sizeof *grad);
  for (int m = 0; m < g->n_moves; m++) {
    const double visit = exp(p->moments.chain.log_total + p->moments.chain.log_visit[m]);
    grad[at.pf + m] = (1.0 - a) * visit;
    grad[at.pb + m] = a * visit;
  }
  flv_pull_back(grad, g, &p->tables);
}

void flv_state_alpha(flv_check *check, const char *objective) {
  (void)objective;
  for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
    flv_check_derive(check, 0, flv_power_sum, &orders[k], FLV_PART_POLICY);
    alpha_by_chain(check, orders[k], spare(check, 0));
    flv_check_slopes(check, spare(check, 0), 1.0, 0);
    const double sum = flv_model_value(&check->p->model, flv_power_sum, &orders[k]);
    flv_check_numbers(check, exp(check->p->moments.chain.log_total), sum);
  }
}

// ---- Tsallis' divergence ----

static const double objective_orders[] = {0.001, 0.25, 0.5, 1.0, 2.0};
enum { ORDERS = sizeof objective_orders / sizeof *objective_orders };

// Unbiased with plain weights for every behaviour policy and batch, with the mean of a batch as a
// baseline (B-1)/B of it; a learned Z that is wrong scales it by (Z^ / Z)^a.
void flv_state_tsallis(flv_check *check, const char *objective) {
  static const struct {
    const char *baseline;
    int batch;
    double shift, scale; // of log Z
  } rows[] = {{"none", 1, 0.0, 1.0},          {"global", 1, 0.0, 1.0},
              {"leave_one_out", 1, 0.0, 1.0}, {"global", 1, 0.7, 1.0},
              {"none", 2, 0.0, 1.0},          {"global", 2, -0.4, 1.0},
              {"leave_one_out", 2, 0.0, 1.0}, {"local", 2, 0.0, 0.5}};
  flv_problem *p = check->p;
  for (int k = 0; k < ORDERS; k++) {
    const double a = objective_orders[k];
    flv_check_derive(check, 0, flv_tsallis, &objective_orders[k], FLV_PART_POLICY);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
      if (rows[r].batch > 1 && !flv_check_enumerates(check, 2)) continue;
      flv_check_set_log_z(check, p->graph->log_z + rows[r].shift);
      for (int b = FLV_FROM_PF; b <= FLV_FROM_POSTERIOR; b++) {
        char options[80];
        const flv_spec spec = {objective, options, (flv_behaviour)b, rows[r].batch};
        snprintf(options, sizeof options, "alpha=%g weights=plain baseline=%s", a,
                 rows[r].baseline);
        if (!flv_check_expect(check, spare(check, 0), NULL, &spec)) return;
        flv_check_slopes(check, spare(check, 0), rows[r].scale * exp(-a * rows[r].shift), 0);
      }
    }
  }
}

// ---- Renyi's divergence ----

typedef struct numerator { // an objective of order a, times (1/B) sum of w^a P_F / pi
  flv_chosen chosen;
  double order;
} numerator;

static double ratio_of(const flv_trajectories *t, int i, double *log_pf) {
  double log_pb = 0.0;
  *log_pf = 0.0;
  for (int p = t->offset[i]; p < t->offset[i + 1]; p++) {
    *log_pf += t->log_pf[p];
    log_pb += t->log_pb[p];
  }
  return *log_pf - log_pb - t->log_r[i];
}

static double numerator_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  const numerator *x = cfg;
  const double loss = x->chosen.objective->loss(x->chosen.cfg, t, d);
  double power = 0.0, log_pf;
  for (int i = 0; i < t->n; i++) {
    const double c = ratio_of(t, i, &log_pf);
    power += exp(log_pf - t->log_pi[i] - x->order * c) / t->n;
  }
  for (int p = t->offset[0]; p < t->offset[t->n]; p++) {
    d->log_pf[p] *= power;
    d->log_pb[p] *= power;
  }
  return loss;
}

// A ratio, and biased. Times its denominator, an estimate of E_PF[w^a], it is unbiased for
// grad E_PF[w^a] / (a-1), w = R P_B / P_F, for every behaviour policy.
void flv_state_renyi(flv_check *check, const char *objective) {
  flv_problem *p = check->p;
  if (!flv_check_enumerates(check, 2)) {
    flv_check_skip(check, "pairs of %.4g trajectories are too many", p->n_paths);
    return;
  }
  for (int k = 0; k < ORDERS; k++) {
    const double a = objective_orders[k];
    if (a == 1.0) continue;
    flv_check_derive(check, 0, flv_power_sum, &objective_orders[k], FLV_PART_POLICY);
    for (int run = 0; run < 6; run++) { // behaviours, baselines
      char options[80];
      flv_choice choice;
      snprintf(options, sizeof options, "alpha=%g weights=plain baseline=%s", a,
               run < 3 ? "none" : "leave_one_out");
      if (!flv_check_choose(check, &choice, objective, options)) return;
      const numerator x = {choice.chosen, a};
      const flv_objective times = {.loss = numerator_loss};
      const flv_chosen chosen = {&times, &x};
      flv_expect_run(&p->expect, &chosen, &p->tables, p->log_path[run % 3], 2, false);
      flv_check_slopes(check, p->expect.mean, exp(a * p->graph->log_z) / (a - 1.0), 0);
    }
  }
}

// ---- every trajectory once ----

// In a batch of all trajectories, with the same pi for each, normalised weights are P_F and P_B
// themselves: estimators with any constant baseline, and what they report, are exact. False where
// there are too many.
static bool all_once(flv_check *c, const char *objective, const char *options) {
  flv_problem *p = c->p;
  flv_choice choice;
  if (!flv_check_choose(c, &choice, objective, options)) return false;
  double *const log_pi = p->expect.walks.log_pi; // kept as it is
  const bool fits = p->enumerated && p->paths.n <= p->expect.walks.max_n;
  for (int i = 0; fits && i < p->paths.n; i++) log_pi[i] = -log(p->paths.n);
  if (fits) return flv_expect_all(&p->expect, &choice.chosen, &p->tables, log_pi);
  flv_check_skip(c, "%.4g trajectories do not fit into a batch", p->n_paths);
  return false;
}

// Effective sample size of a batch of all: the smaller of 1 / sum P_F^2 and 1 / sum P_B^2.
static double all_size(const flv_problem *p) {
  double pf = 0.0, pb = 0.0;
  for (int i = 0; i < p->paths.n; i++) {
    pf += exp(2.0 * p->log_path[FLV_FROM_PF][i]);
    pb += exp(2.0 * p->log_path[FLV_FROM_POSTERIOR][i]);
  }
  return 1.0 / fmax(pf, pb);
}

// The loss reported is with the learned Z: renyi's less log Z - log Z^.
void flv_state_order(flv_check *check, const char *objective) {
  flv_problem *p = check->p;
  const bool renyi = strcmp(objective, "renyi") == 0;
  static const char *const words[] = {"baseline=none", "baseline=global",
                                      "weights=plain baseline=global", "baseline=local"};
  for (int k = 0; k < ORDERS; k++) {
    const double a = objective_orders[k];
    flv_check_derive(check, 0, renyi ? flv_renyi : flv_tsallis, &objective_orders[k],
                     FLV_PART_POLICY);
    const double exact = flv_model_value(&p->model, flv_renyi, &objective_orders[k]);
    for (int w = 0; w < 4; w++) {
      char options[80];
      const double gap = w == 0 && renyi ? 0.3 : 0.0; // else Z stands in the gradient
      snprintf(options, sizeof options, "alpha=%g %s", a, words[w]);
      flv_check_set_log_z(check, p->graph->log_z + gap);
      if (!all_once(check, objective, options)) return;
      flv_check_slopes(check, p->expect.mean, 1.0, 0);
      const double value = renyi || a == 1.0 ? exact - gap : expm1((a - 1.0) * exact) / (a - 1.0);
      flv_check_numbers(check, p->expect.loss, value);
      flv_check_numbers(check, p->expect.ess, all_size(p));
    }
  }
}

// Towards a = 1, from both sides: D(P_B||P_F), to the second order in |a - 1| = 1e-6.
void flv_state_order_one(flv_check *check, const char *objective) {
  flv_problem *p = check->p;
  const int size = flv_layout_of(p->graph).size;
  flv_check_set_log_z(check, p->graph->log_z);
  flv_check_derive(check, 0, flv_forward_kl, NULL, FLV_PART_POLICY);
  if (!all_once(check, objective, "alpha=0.999999")) return;
  memcpy(spare(check, 0), p->expect.mean, (size_t)size * sizeof(double));
  if (!all_once(check, objective, "alpha=1.000001")) return;
  for (int k = 0; k < size; k++)
    spare(check, 0)[k] = 0.5 * (spare(check, 0)[k] + p->expect.mean[k]);
  flv_check_slopes(check, spare(check, 0), 1.0, 0);
}
