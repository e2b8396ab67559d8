// Statements about trajectory balance and the other balance objectives.
#include <math.h>
#include <string.h>

#include "exact/statements.h"

static double *spare(flv_check *c, int k) { return c->p->vector[FLV_CHECK_VECTOR + k]; }

static const double log_z_shift[] = {-2.0, 0.5, 3.0};

// (8): E_PF[grad_theta L_TB] = 2 grad_theta D(P_F||P_B), whatever log Z is.
void flv_state_tb_for_pf(flv_check *check, const char *objective) {
  const flv_spec spec = {objective, "", FLV_FROM_PF, 1};
  flv_check_derive(check, 0, flv_reverse_kl, NULL, FLV_PART_PF);
  for (int k = 0; k < 3; k++) {
    flv_check_set_log_z(check, check->p->graph->log_z + log_z_shift[k]);
    if (!flv_check_expect(check, spare(check, 0), NULL, &spec)) return;
    flv_check_slopes(check, spare(check, 0), 2.0, 0);
  }
}

// (7): E_PB[grad_phi L_TB] = 2 grad_phi D(P_B||P_F), whatever log Z is.
void flv_state_tb_for_pb(flv_check *check, const char *objective) {
  const flv_spec spec = {objective, "", FLV_FROM_POSTERIOR, 1};
  flv_check_derive(check, 0, flv_forward_kl, NULL, FLV_PART_PB);
  for (int k = 0; k < 3; k++) {
    flv_check_set_log_z(check, check->p->graph->log_z + log_z_shift[k]);
    if (!flv_check_expect(check, spare(check, 0), NULL, &spec)) return;
    flv_check_slopes(check, spare(check, 0), 2.0, 0);
  }
}

void flv_state_tb_equation_9(flv_check *check, const char *objective) {
  const flv_spec spec = {objective, "", FLV_FROM_PF, 1};
  for (int k = 0; k < 3; k++) {
    flv_check_set_log_z(check, check->p->graph->log_z + log_z_shift[k]);
    const flv_fixed q = flv_check_fixed(check, FLV_FROM_PF);
    flv_check_derive(check, 0, flv_equation_9, &q, FLV_PART_PB);
    if (!flv_check_expect(check, spare(check, 0), NULL, &spec)) return;
    flv_check_slopes(check, spare(check, 0), 1.0, 0);
  }
}

void flv_state_tb_any_log_z(flv_check *check, const char *objective) {
  const flv_spec spec = {objective, "", FLV_FROM_PF, 1};
  for (int k = 0; k < 2; k++) {
    flv_check_set_log_z(check, check->p->graph->log_z + (k == 0 ? -3.0 : 5.0));
    if (!flv_check_expect(check, spare(check, k), NULL, &spec)) return;
  }
  flv_check_vectors(check, spare(check, 0), 1.0, spare(check, 1), FLV_PART_PF);
}

// Of every batch, since both are linear in its log-ratios: TB's cotangents of log P_F are twice
// reverse KL's, and a step of log Z by either, at half the rate eta, is (12) with b = -log Z:
//   b <- (1 - eta) b + eta (1/B) sum c,   that is   d loss / d log Z = 2 (log Z + (1/B) sum c).
// Then the expected gradients, and their covariances, for batches of 1 and 2.
void flv_state_tb_by_reverse_kl(flv_check *check, const char *objective) {
  flv_problem *p = check->p;
  for (int batch = 1; batch <= 3; batch++) {
    flv_choice kl, tb;
    flv_linear a, b;
    if (!flv_check_choose(check, &kl, objective, "baseline=global")) return;
    if (!flv_check_choose(check, &tb, "tb", "")) return;
    const double log_z = p->tables.log_z;
    const bool exits = p->graph->exits;
    if (!flv_linear_probe(&a, &kl.chosen, batch, log_z, exits, true) ||
        !flv_linear_probe(&b, &tb.chosen, batch, log_z, exits, true)) {
      flv_check_add(check, HUGE_VAL);
      return;
    }
    flv_check_numbers(check, 2.0 * a.side[0].alpha, b.side[0].alpha);
    flv_check_numbers(check, 2.0 * a.side[0].beta, b.side[0].beta);
    flv_check_numbers(check, 2.0 * a.side[0].gamma, b.side[0].gamma);
    for (int k = 0; k < 2; k++) {
      const flv_linear *l = k == 0 ? &a : &b;
      if (!l->learns_log_z) flv_check_add(check, HUGE_VAL);
      flv_check_numbers(check, l->log_z[0], 2.0 * log_z);
      flv_check_numbers(check, l->log_z[1], 2.0 / batch);
    }
    const flv_spec spec_a = {objective, "baseline=global", FLV_FROM_PF, batch};
    const flv_spec spec_b = {"tb", "", FLV_FROM_PF, batch};
    if (!flv_check_expect(check, spare(check, 0), NULL, &spec_a)) return;
    if (!flv_check_expect(check, spare(check, 1), NULL, &spec_b)) return;
    flv_check_vectors(check, spare(check, 1), 2.0, spare(check, 0), FLV_PART_PF);
    flv_check_vectors(check, spare(check, 1), 1.0, spare(check, 0), FLV_PART_LOG_Z);
  }
}

// ---- the gradient of the expected loss, with the behaviour policy held fixed ----

void flv_state_tb_loss(flv_check *check, const char *objective) {
  for (int b = 0; b < 2; b++) {
    const flv_spec spec = {objective, "", b == 0 ? FLV_FROM_PF : FLV_FROM_OTHER, 1 + b};
    flv_fixed q = flv_check_fixed(check, spec.behaviour);
    q.paths = NULL;
    if (!flv_check_loss(check, &spec, flv_tb_loss, &q, FLV_PART_POLICY | FLV_PART_LOG_Z)) return;
  }
}

void flv_state_db_loss(flv_check *check, const char *objective) {
  for (int b = 0; b < 2; b++) {
    const flv_behaviour behaviour = b == 0 ? FLV_FROM_PF : FLV_FROM_OTHER;
    const flv_spec sum = {objective, "mean=trajectories", behaviour, 1 + b};
    const flv_spec mean = {objective, "mean=transitions", behaviour, 1};
    flv_fixed q = flv_check_fixed(check, behaviour);
    q.lambda = 1.0;
    if (!flv_check_loss(check, &mean, flv_db_mean, &q, FLV_PART_ALL)) return;
    q.paths = NULL;
    if (!flv_check_loss(check, &sum, flv_db_sum, &q, FLV_PART_ALL)) return;
  }
}

// Rows of one objective, for trajectories from P_F and from another policy.
typedef struct loss_row {
  const char *name, *options;
  flv_functional f;
  int parts;
  flv_fixed fixed; // what is not of the behaviour policy
} loss_row;

// Of a mean over trajectories the expectation is the same for every batch.
static bool is_mean(flv_functional f) {
  return f == flv_subtb_loss || f == flv_fl_subtb_loss || f == flv_fl_db_sum;
}

static void check_rows(flv_check *c, const loss_row *row, size_t n, const char *objective) {
  for (size_t k = 0; k < n; k++) {
    if (strcmp(row[k].name, objective) != 0) continue;
    for (int b = FLV_FROM_PF; b <= FLV_FROM_OTHER; b++) {
      const bool pairs = b == FLV_FROM_OTHER && is_mean(row[k].f) && flv_check_enumerates(c, 2);
      const flv_spec spec = {objective, row[k].options, (flv_behaviour)b, pairs ? 2 : 1};
      const flv_fixed from = flv_check_fixed(c, spec.behaviour);
      flv_fixed q = row[k].fixed;
      q.log_q = from.log_q;
      q.paths = from.paths;
      q.log_path = from.log_path;
      if (!flv_check_loss(c, &spec, row[k].f, &q, row[k].parts)) return;
    }
  }
}

void flv_state_path_loss(flv_check *check, const char *objective) {
  static const loss_row rows[] = {
      {"modified_db", "", flv_modified_db_loss, FLV_PART_ALL, {0}},
      {"modified_db", "detach_exit=true", flv_modified_db_loss, FLV_PART_ALL, {.detach = true}},
      {"subtb", "lambda=0.9", flv_subtb_loss, FLV_PART_ALL, {.lambda = 0.9}},
      {"subtb", "lambda=2", flv_subtb_loss, FLV_PART_ALL, {.lambda = 2.0}},
      {"subtb", "lambda=0", flv_subtb_loss, FLV_PART_ALL, {.lambda = 0.0}},
      {"subtb", "lambda=inf", flv_subtb_loss, FLV_PART_ALL, {.lambda = HUGE_VAL}},
      {"fl_db", "", flv_fl_db_mean, FLV_PART_ALL, {.lambda = 1.0}},
      {"fl_db", "mean=trajectories", flv_fl_db_sum, FLV_PART_ALL, {0}},
      {"fl_subtb", "lambda=0.9", flv_fl_subtb_loss, FLV_PART_ALL, {.lambda = 0.9}},
  };
  check_rows(check, rows, sizeof rows / sizeof *rows, objective);
}

// ---- regression losses ----

#define HALF .penalty = FLV_PENALTY_HALF_SQUARED
#define HUBER .penalty = FLV_PENALTY_HUBER
#define COSH .penalty = FLV_PENALTY_SHIFTED_COSH
#define LINEX .penalty = FLV_PENALTY_LINEX

// The losses on tb, where log Z moves residuals to either side of Huber's delta and, when it is far
// off, to where exponentials go on along their tangents.
static void tb_regression(flv_check *check) {
  static const loss_row rows[] = {
      {"tb", "loss=half_squared", flv_tb_paths, FLV_PART_ALL, {HALF}},
      {"tb", "loss=huber delta=0.7", flv_tb_paths, FLV_PART_ALL, {HUBER, .knob = 0.7}},
      {"tb", "loss=shifted_cosh", flv_tb_paths, FLV_PART_ALL, {COSH}},
      {"tb", "loss=linex alpha=1", flv_tb_paths, FLV_PART_ALL, {LINEX, .knob = 1.0}},
      {"tb", "loss=linex alpha=-0.5", flv_tb_paths, FLV_PART_ALL, {LINEX, .knob = -0.5}},
      {"tb", "loss=linex alpha=1e-4", flv_tb_paths, FLV_PART_ALL, {LINEX, .knob = 1e-4}},
      {"tb", "loss=linex alpha=0", flv_tb_paths, FLV_PART_ALL, {LINEX, .knob = 0.0}},
  };
  static const double shift[] = {-0.4, 60.0, -60.0};
  for (int k = 0; k < 3; k++) {
    flv_check_set_log_z(check, check->p->graph->log_z + shift[k]);
    check_rows(check, rows, sizeof rows / sizeof *rows, "tb");
  }
}

void flv_state_regression(flv_check *check, const char *objective) {
  (void)objective;
  static const loss_row rows[] = {
      {"db", "loss=linex alpha=1", flv_db_mean, FLV_PART_ALL, {LINEX, .knob = 1.0, .lambda = 1.0}},
      {"modified_db",
       "loss=linex alpha=1",
       flv_modified_db_loss,
       FLV_PART_ALL,
       {LINEX, .knob = 1.0}},
      {"subtb",
       "loss=linex alpha=1",
       flv_subtb_loss,
       FLV_PART_ALL,
       {LINEX, .knob = 1.0, .lambda = 0.9}},
      {"fl_db",
       "loss=linex alpha=1",
       flv_fl_db_mean,
       FLV_PART_ALL,
       {LINEX, .knob = 1.0, .lambda = 1.0}},
      {"fl_subtb",
       "loss=linex alpha=1",
       flv_fl_subtb_loss,
       FLV_PART_ALL,
       {LINEX, .knob = 1.0, .lambda = 0.9}},
      {"flow_matching",
       "loss=linex alpha=1",
       flv_flow_matching_loss,
       FLV_PART_POLICY,
       {LINEX, .knob = 1.0}},
  };
  enum { MAX_PATHS = 1000 }; // many rows, of functions that are the same everywhere
  if (!check->p->enumerated || check->p->paths.n > MAX_PATHS) {
    flv_check_skip(check, "%.4g trajectories are too many for every loss", check->p->n_paths);
    return;
  }
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
    check_rows(check, &rows[k], 1, rows[k].name);
  tb_regression(check);
}

// In a batch of all trajectories.
static void compare_halves(flv_check *c, const char *objective) {
  flv_problem *p = c->p;
  flv_choice choice;
  flv_fixed q = flv_check_fixed(c, FLV_FROM_OTHER);
  if (!flv_check_choose(c, &choice, objective, "pairs=halves")) return;
  if (!flv_expect_all(&p->expect, &choice.chosen, &p->tables, q.log_path)) return;
  flv_check_derive_paths(c, 0, flv_contrastive_halves, &q, FLV_PART_POLICY);
  flv_check_slopes(c, p->expect.mean, 1.0, 0);
  flv_check_numbers(c, p->expect.loss, flv_model_value(&p->model, flv_contrastive_halves, &q));
}

// Losses of pairs of trajectories. log_variance's for a batch of two; contrastive_balance's for
// batches of two and, by every pair or by the one that halves leave, of three.
void flv_state_pairs(flv_check *check, const char *objective) {
  static const struct {
    const char *name, *options;
    flv_functional f;
    int most; // trajectories of a batch
    flv_fixed fixed;
  } rows[] = {
      {"log_variance", "loss=linex alpha=1", flv_variance_pairs, 2, {LINEX, .knob = 1.0}},
      {"log_variance",
       "loss=linex alpha=1 detach_mean=true",
       flv_variance_pairs,
       2,
       {LINEX, .knob = 1.0, .detach = true}},
      {"contrastive_balance", "", flv_contrastive_pairs, 3, {0}},
      {"contrastive_balance", "loss=half_squared", flv_contrastive_pairs, 3, {HALF}},
      {"contrastive_balance",
       "loss=huber delta=0.7",
       flv_contrastive_pairs,
       3,
       {HUBER, .knob = 0.7}},
      {"contrastive_balance",
       "pairs=halves loss=linex alpha=1",
       flv_contrastive_pairs,
       3,
       {LINEX, .knob = 1.0}},
  };
  enum { MAX_PATHS = 40 };
  flv_problem *p = check->p;
  if (!p->enumerated || p->paths.n > MAX_PATHS) {
    flv_check_skip(check, "%.4g trajectories are too many to take in pairs", p->n_paths);
    return;
  }
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
    if (strcmp(rows[k].name, objective) != 0) continue;
    for (int batch = 2; batch <= rows[k].most; batch++) {
      const flv_spec spec = {objective, rows[k].options, FLV_FROM_OTHER, batch};
      const flv_fixed from = flv_check_fixed(check, FLV_FROM_OTHER);
      flv_fixed q = rows[k].fixed;
      q.paths = from.paths;
      q.log_path = from.log_path;
      if (!flv_expect_can(&p->paths, batch)) continue;
      if (!flv_check_loss(check, &spec, rows[k].f, &q, FLV_PART_POLICY)) return;
    }
  }
  if (strcmp(objective, "contrastive_balance") == 0) compare_halves(check, objective);
}
