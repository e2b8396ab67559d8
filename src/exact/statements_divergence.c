// Statements about divergences: the estimators of Table 1, mixtures of them, baselines, the
// log-variance, the data-processing bound.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "exact/statements.h"
#include "exact/terminating.h"

static double *spare(flv_check *c, int k) { return c->p->vector[FLV_CHECK_VECTOR + k]; }

enum { REVERSE, FORWARD }; // slots
static void derive_both(flv_check *c) {
  flv_check_derive(c, REVERSE, flv_reverse_kl, NULL, FLV_PART_POLICY);
  flv_check_derive(c, FORWARD, flv_forward_kl, NULL, FLV_PART_POLICY);
}

// Compares one part of grad with the slopes of D(P_F||P_B) or D(P_B||P_F).
static void compare(flv_check *c, const double *grad, double scale, int slot, int part) {
  c->slopes[slot].parts = part;
  flv_check_slopes(c, grad, scale, slot);
}

static const struct row { // Table 1: which divergence P_F and P_B follow
  const char *name;
  int pf, pb;
} table_1[] = {{"reverse_kl", REVERSE, REVERSE},
               {"forward_kl", FORWARD, FORWARD},
               {"wake_sleep", FORWARD, REVERSE},
               {"reverse_wake_sleep", REVERSE, FORWARD}};

static const struct row *row_of(const char *name) {
  for (size_t k = 0; k < sizeof table_1 / sizeof *table_1; k++)
    if (strcmp(table_1[k].name, name) == 0) return &table_1[k];
  return NULL;
}

// With plain weights and the true Z every estimator of Table 1 is unbiased, for every behaviour
// policy, batch, and baseline that does not depend on the trajectory it is subtracted for. With the
// default weights E_PF's are, on-policy.
void flv_state_divergence(flv_check *check, const char *objective) {
  static const char *const options[] = {
      "weights=plain baseline=none", "weights=plain baseline=global",
      "weights=plain baseline=leave_one_out", "baseline=global", "baseline=leave_one_out"};
  const struct row *row = row_of(objective);
  const bool scores = row->pf == REVERSE || row->pb == FORWARD; // else it has no baseline
  flv_check_set_log_z(check, check->p->graph->log_z);
  derive_both(check);
  for (int o = 0; o < 5; o++) {
    const bool plain = o < 3;
    for (int b = FLV_FROM_PF; b <= (plain ? FLV_FROM_POSTERIOR : FLV_FROM_PF); b++) {
      for (int batch = 1; batch <= 2; batch++) {
        const char *words = scores ? options[o] : plain ? "weights=plain" : "";
        const flv_spec spec = {objective, words, (flv_behaviour)b, batch};
        if (batch == 2 && !check->p->enumerated) continue; // weighted means of others
        if (!flv_check_expect(check, spare(check, 0), NULL, &spec)) return;
        if (plain || row->pf == REVERSE) compare(check, spare(check, 0), 1.0, row->pf, FLV_PART_PF);
        if (plain || row->pb == REVERSE) compare(check, spare(check, 0), 1.0, row->pb, FLV_PART_PB);
      }
    }
  }
}

// Of a mixture of both divergences likewise: unbiased with plain weights and the true Z.
// symmetric_cycles is twice the even mixture.
void flv_state_mixture(flv_check *check, const char *objective) {
  static const struct {
    const char *name, *options;
    double share, scale;
  } rows[] = {{"mixed_kl", "forward=0.3", 0.3, 1.0},
              {"mixed_kl", "forward=0", 0.0, 1.0},
              {"mixed_kl", "forward=1", 1.0, 1.0},
              {"symmetric_cycles", "", 0.5, 2.0}};
  static const char *const baselines[] = {"none", "global", "leave_one_out"};
  flv_check_set_log_z(check, check->p->graph->log_z);
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
    if (strcmp(rows[k].name, objective) != 0) continue;
    flv_check_derive(check, 2, flv_mixed_kl, &rows[k].share, FLV_PART_POLICY);
    for (int b = 0; b < 3; b++) {
      for (int run = 0; run < 6; run++) { // behaviours, batches of 1 and 2
        char options[80];
        const flv_spec spec = {objective, options, (flv_behaviour)(run % 3), 1 + run / 3};
        snprintf(options, sizeof options, "weights=plain baseline=%s %s", baselines[b],
                 rows[k].options);
        if (spec.batch == 2 && !flv_check_enumerates(check, 2)) continue;
        if (!flv_check_expect(check, spare(check, 0), NULL, &spec)) return;
        flv_check_slopes(check, spare(check, 0), rows[k].scale, 2);
      }
    }
  }
}

// Of objects x ~ q = R/Z^ with tau ~ P_B(. | x), E[log P_B(tau | x) - log P_F] is D(P_B||P_F) less
// E_q[log q], which no parameter moves. A baseline that is the batch's own mean takes 1/B of P_B's
// gradient; log Z has none.
void flv_state_maximum_likelihood(flv_check *check, const char *objective) {
  static const char *const baselines[] = {"none", "local", "leave_one_out"};
  const flv_graph *g = check->p->graph;
  double entropy = 0.0;
  for (int s = 0; s < g->n_states; s++)
    if (g->log_r[s] > -HUGE_VAL) entropy -= exp(g->log_r[s] - g->log_z) * (g->log_r[s] - g->log_z);
  flv_check_derive(check, FORWARD, flv_forward_kl, NULL, FLV_PART_POLICY);
  const double kl = flv_model_value(&check->p->model, flv_forward_kl, NULL);
  for (int run = 0; run < 6; run++) { // baselines, batches of 1 and 2
    char options[40];
    double loss;
    const int batch = 1 + run / 3;
    const flv_spec spec = {objective, options, FLV_FROM_POSTERIOR, batch};
    snprintf(options, sizeof options, "baseline=%s", baselines[run % 3]);
    if (!flv_check_enumerates(check, batch)) {
      if (run == 0) flv_check_skip(check, "%.4g trajectories are too many", check->p->n_paths);
      return;
    }
    if (!flv_check_expect(check, spare(check, 0), &loss, &spec)) return;
    compare(check, spare(check, 0), 1.0, FORWARD, FLV_PART_PF);
    compare(check, spare(check, 0), run % 3 == 1 ? (batch - 1.0) / batch : 1.0, FORWARD,
            FLV_PART_PB);
    flv_check_numbers(check, loss, kl + entropy);
    flv_check_numbers(check, spare(check, 0)[flv_layout_of(g).log_z], 0.0);
  }
}

// log Z follows the gradient of E_pi[(log Z + c)^2]. The loss reported is the divergence that P_F
// follows, with the learned Z in place of Z^: for D(P_F||P_B) exactly so on-policy; for D(P_B||P_F)
// where trajectories come from P_B one at a time, since its weights are then 1.
void flv_state_divergence_log_z(flv_check *check, const char *objective) {
  const bool forward = row_of(objective)->pf == FORWARD;
  for (int b = FLV_FROM_PF; b <= FLV_FROM_POSTERIOR; b++) {
    double loss;
    const flv_fixed q = flv_check_fixed(check, (flv_behaviour)b);
    const flv_spec spec = {objective, "", (flv_behaviour)b, 1};
    if (!flv_check_expect(check, spare(check, 0), &loss, &spec)) return;
    flv_check_derive(check, 0, flv_tb_loss, &q, FLV_PART_LOG_Z);
    flv_check_slopes(check, spare(check, 0), 1.0, 0);
    if (!flv_check_enumerates(check, 1) || b != (forward ? FLV_FROM_POSTERIOR : FLV_FROM_PF))
      continue;
    const double gap = check->p->tables.log_z - check->p->graph->log_z;
    const double value =
        flv_model_value(&check->p->model, forward ? flv_forward_kl : flv_reverse_kl, NULL);
    flv_check_numbers(check, loss, value + (forward ? -gap : gap));
  }
}

// P_B's part of reverse KL has no baseline.
void flv_state_baseline_local(flv_check *check, const char *objective) {
  flv_check_derive(check, REVERSE, flv_reverse_kl, NULL, FLV_PART_POLICY);
  for (int batch = 2; batch <= 3; batch++) {
    const flv_spec spec = {objective, "baseline=local", FLV_FROM_PF, batch};
    if (!flv_check_expect(check, spare(check, 0), NULL, &spec)) return;
    compare(check, spare(check, 0), (batch - 1.0) / batch, REVERSE, FLV_PART_PF);
    compare(check, spare(check, 0), 1.0, REVERSE, FLV_PART_PB);
  }
}

// A trajectory that is alone in its batch has no others: leave_one_out's baseline is then global's,
// which shows in the variance.
void flv_state_baseline_alone(flv_check *check, const char *objective) {
  flv_problem *p = check->p;
  double trace[2][2];
  if (!p->enumerated) {
    flv_check_skip(check, "%.4g trajectories cannot be enumerated", p->n_paths);
    return;
  }
  for (int k = 0; k < 2; k++) {
    flv_choice choice;
    const char *options = k == 0 ? "baseline=leave_one_out" : "baseline=global";
    if (!flv_check_choose(check, &choice, objective, options)) return;
    flv_expect_run(&p->expect, &choice.chosen, &p->tables, p->log_path[FLV_FROM_OTHER], 1, true);
    memcpy(trace[k], p->expect.trace, sizeof trace[k]);
  }
  for (int side = 0; side < 2; side++) flv_check_numbers(check, trace[0][side], trace[1][side]);
}

// E[(1/B) sum (c_i - mean c)^2] = (B-1)/B Var_q[c] with q held fixed, and the gradient of the
// variance for P_F is that of 2 D(P_F||P_B) when q is P_F. scale: what the objective makes of
// (B-1)/B Var.
static void variance_gradient(flv_check *c, const char *objective, bool pairs) {
  const flv_fixed q = flv_check_fixed(c, FLV_FROM_PF);
  flv_check_derive(c, REVERSE, flv_reverse_kl, NULL, FLV_PART_PF);
  flv_check_derive(c, 2, flv_variance_ratio, &q, FLV_PART_POLICY);
  flv_check_derive(c, 3, flv_tb_loss, &q, FLV_PART_LOG_Z);
  for (int batch = 2; batch <= 3; batch++) {
    const double scale = pairs ? 2.0 : (batch - 1.0) / batch;
    const flv_spec spec = {objective, "", FLV_FROM_PF, batch};
    if (!flv_check_expect(c, spare(c, 0), NULL, &spec)) return;
    compare(c, spare(c, 0), 2.0 * scale, REVERSE, FLV_PART_PF);
    compare(c, spare(c, 0), scale, 2, FLV_PART_POLICY);
    flv_check_slopes(c, spare(c, 0), 1.0, 3);
  }
}

void flv_state_log_variance(flv_check *check, const char *objective) {
  variance_gradient(check, objective, false);
}

// The mean over pairs of (c_i - c_j)^2 is twice the unbiased variance.
void flv_state_contrastive(flv_check *check, const char *objective) {
  variance_gradient(check, objective, true);
}

// ---- the data-processing bound ----

// f(t) of D_f(P || Q) = E_Q[f(P/Q)], from log t.
typedef double (*generator)(double log_t);
static double f_forward(double l) { return l > -HUGE_VAL ? exp(l) * l : 0.0; }
static double f_reverse(double l) { return -l; }
static double f_chi2(double l) { return (exp(l) - 1.0) * (exp(l) - 1.0); }
static double f_hellinger(double l) { return 1.0 - exp(0.5 * l); }
static double f_tv(double l) { return 0.5 * fabs(exp(l) - 1.0); }
static double f_jsd(double l) {
  const double t = exp(l), log_mean = log(0.5 * (1.0 + t));
  return 0.5 * (t * (l - log_mean) - log_mean);
}
static const generator generators[] = {f_forward, f_reverse, f_chi2, f_hellinger, f_tv, f_jsd};
enum { GENERATORS = 6, BY_RECURSION = 4 }; // the first few have recursions over trajectories

static double trajectory_divergence(flv_check *c, int f) {
  const flv_problem *p = c->p;
  const flv_model *model = &c->p->model;
  static const double two = 2.0, half = 0.5;
  double sum = 0.0;
  if (p->enumerated) {
    for (int i = 0; i < p->paths.n; i++)
      sum += exp(p->log_path[FLV_FROM_PF][i]) *
             generators[f](p->log_path[FLV_FROM_POSTERIOR][i] - p->log_path[FLV_FROM_PF][i]);
    return sum;
  }
  switch (f) {
  case 0:
    return flv_model_value(model, flv_forward_kl, NULL);
  case 1:
    return flv_model_value(model, flv_reverse_kl, NULL);
  case 2:
    return flv_model_value(model, flv_power_sum, &two) - 1.0;
  default:
    return 1.0 - flv_model_value(model, flv_power_sum, &half);
  }
}

static void log_pf_rows(void *user, int n, const void *states, double *log_pf) {
  const flv_problem *p = user;
  const flv_graph *g = p->graph;
  const int width = p->env->n_actions;
  for (int i = 0; i < n; i++) {
    int64_t s;
    p->env->ops->index(p->env, 1, (const unsigned char *)states + (size_t)i * p->env->state_size,
                       &s);
    for (int a = 0; a < width; a++) log_pf[(size_t)i * (size_t)width + (size_t)a] = -HUGE_VAL;
    for (int m = g->dag.first[s]; m < g->dag.first[s + 1]; m++)
      if (g->action[m] >= 0)
        log_pf[(size_t)i * (size_t)width + (size_t)g->action[m]] = p->tables.log_pf[m];
  }
}

// D_f between the target and the terminating distribution, which the evaluation's own code makes.
static double terminating_divergence(const flv_problem *p, int f, const double *p_t) {
  double sum = 0.0;
  for (int s = 0; s < p->graph->n_states; s++)
    if (p_t[s] > 0.0 && p->graph->log_r[s] > -HUGE_VAL)
      sum += p_t[s] * generators[f](p->graph->log_r[s] - p->graph->log_z - log(p_t[s]));
  return sum;
}

void flv_state_data_processing(flv_check *check, const char *objective) {
  (void)objective;
  flv_problem *p = check->p;
  const flv_graph *g = p->graph;
  const flv_layout at = flv_layout_of(g);
  double *const p_t = spare(check, 0);
  flv_error err = {0};
  const int n = p->enumerated ? GENERATORS : BY_RECURSION;
  for (int equal = 0; equal < 2; equal++) {
    if (flv_terminating(p->env, log_pf_rows, p, p_t, &err) != FLV_OK) {
      flv_check_skip(check, "%s", err.text);
      return;
    }
    for (int f = 0; f < n; f++) {
      const double low = terminating_divergence(p, f, p_t), high = trajectory_divergence(check, f);
      if (equal)
        flv_check_numbers(check, low, high);
      else
        flv_check_add(check, fmax(0.0, low - high) / fmax(high, FLV_SMALL_GRADIENT));
    }
    // P_F's own posterior: of the ways into a state, each with P_F's share of its visits
    flv_chain_run(&p->moments.chain, p->tables.log_pf, NULL);
    for (int m = 0; m < g->n_moves; m++)
      p->x[at.pb + m] = flv_move_ends(g, m) ? 0.0 : p->moments.chain.log_visit[m];
    flv_problem_refresh(p);
  }
}
