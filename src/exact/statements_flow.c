// Statements about objectives on flows of edges: flow matching, soft Q-learning; and about those
// that are sums over steps.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "exact/statements.h"

static double *spare(flv_check *c, int k) { return c->p->vector[FLV_CHECK_VECTOR + k]; }

static bool can_enumerate(flv_check *c) {
  if (c->p->enumerated) return true;
  flv_check_skip(c, "%.4g trajectories cannot be enumerated", c->p->n_paths);
  return false;
}

// The gradient of the expected loss, and of log Z's own, which is a mean over the batch.
static bool compare_loss(flv_check *c, const flv_spec *spec, flv_functional f, const flv_fixed *q,
                         int parts) {
  if (!flv_check_loss(c, spec, f, q, parts)) return false;
  flv_check_derive(c, 1, flv_flow_log_z, q, FLV_PART_LOG_Z);
  flv_check_slopes(c, spare(c, 0), 1.0, 1);
  flv_spec pair = *spec;
  pair.batch = 2;
  if (!flv_expect_can(&c->p->paths, 2)) return true;
  if (!flv_check_expect(c, spare(c, 0), NULL, &pair)) return false;
  flv_check_slopes(c, spare(c, 0), 1.0, 1);
  return true;
}

void flv_state_flow_matching(flv_check *check, const char *objective) {
  if (!can_enumerate(check)) return;
  for (int b = FLV_FROM_PF; b <= FLV_FROM_OTHER; b++) {
    const flv_spec spec = {objective, "", (flv_behaviour)b, 1};
    const flv_fixed q = flv_check_fixed(check, (flv_behaviour)b);
    const int parts = FLV_PART_POLICY | FLV_PART_LOG_F;
    if (!compare_loss(check, &spec, flv_flow_matching_loss, &q, parts)) return;
  }
}

// P_B's parameters get nothing: rewards are constants.
void flv_state_soft_dqn(flv_check *check, const char *objective) {
  static const struct {
    const char *options;
    flv_fixed fixed;
  } rows[] = {
      {"munchausen=0", {.clip = -100.0}},
      {"", {.munchausen = 0.15, .clip = -100.0}},
      {"munchausen=0.4 clip=-1", {.munchausen = 0.4, .clip = -1.0}},
      {"loss=linex alpha=1",
       {.munchausen = 0.15, .clip = -100.0, .penalty = FLV_PENALTY_LINEX, .knob = 1.0}},
  };
  if (!can_enumerate(check)) return;
  check->p->expect.target = &check->p->target;
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
    for (int b = FLV_FROM_PF; b <= FLV_FROM_OTHER; b++) {
      const flv_spec spec = {objective, rows[k].options, (flv_behaviour)b, 1};
      const flv_fixed from = flv_check_fixed(check, (flv_behaviour)b);
      flv_fixed q = rows[k].fixed;
      q.paths = from.paths;
      q.log_path = from.log_path;
      q.target = &check->p->target;
      const int parts = FLV_PART_POLICY | FLV_PART_LOG_F;
      if (!compare_loss(check, &spec, flv_soft_dqn_loss, &q, parts)) return;
    }
  }
}

// ---- soft Q-learning and detailed balance ----

static const double shares[] = {0.0, 0.15, 0.6}; // munchausen

static flv_spec spec_of(const char *objective, double share, char *options, size_t size) {
  snprintf(options, size, "munchausen=%g", share);
  return (flv_spec){objective, options, FLV_FROM_OTHER, 1};
}

// Takes from the gradient of every softmax of P_F what moves all its logits alike.
static void centre(const flv_problem *p, double *grad) {
  const flv_graph *g = p->graph;
  for (int s = 0; s < g->n_states; s++) {
    double sum = 0.0;
    for (int m = g->dag.first[s]; m < g->dag.first[s + 1]; m++) sum += grad[m];
    for (int m = g->dag.first[s]; m < g->dag.first[s + 1]; m++) grad[m] -= p->tables.pf[m] * sum;
  }
}

// Where the target is the policy itself, the residual is that of DB with the flow l log F(s), since
// l (1 - munchausen) = 1:  l L - munchausen l log P_F = l log F(s) + log P_F. So is the loss, and
// P_F's update is l times DB's, but for what moves log F(s).
void flv_state_soft_dqn_db(flv_check *check, const char *objective) {
  flv_problem *p = check->p;
  const flv_layout at = flv_layout_of(p->graph);
  if (!can_enumerate(check)) return;
  for (int k = 0; k < 3; k++) {
    char options[40];
    double soft, balance;
    const double l = 1.0 / (1.0 - shares[k]);
    const flv_spec spec = spec_of(objective, shares[k], options, sizeof options);
    const flv_spec db = {"db", "", FLV_FROM_OTHER, 1};
    for (int s = 0; s < p->graph->n_states; s++) p->x[at.log_f + s] = l * p->tables.log_sum[s];
    flv_check_set_log_z(check, l * p->tables.log_sum[0]);
    if (!flv_check_expect(check, spare(check, 0), &soft, &spec)) return;
    if (!flv_check_expect(check, spare(check, 1), &balance, &db)) return;
    centre(p, spare(check, 0));
    flv_check_vectors(check, spare(check, 0), l, spare(check, 1), FLV_PART_PF);
    flv_check_numbers(check, soft, balance);
  }
}

// The soft Bellman equations are solved by L = log F(s) / l + log P_F, with the flow F and the
// policy P_F of P_B: no gradient, of log Z = log Z^ neither, and no loss.
void flv_state_soft_dqn_optimum(flv_check *check, const char *objective) {
  flv_problem *p = check->p;
  const flv_graph *g = p->graph;
  const flv_layout at = flv_layout_of(g);
  if (!can_enumerate(check)) return;
  memset(spare(check, 1), 0, (size_t)at.size * sizeof(double));
  for (int k = 0; k < 3; k++) {
    char options[40];
    double loss;
    const flv_spec spec = spec_of(objective, shares[k], options, sizeof options);
    for (int m = 0; m < g->n_moves; m++)
      p->x[at.pf + m] =
          p->log_move[FLV_FROM_POSTERIOR][m] + (1.0 - shares[k]) * p->log_flow[g->dag.from[m]];
    flv_check_set_log_z(check, g->log_z);
    if (!flv_check_expect(check, spare(check, 0), &loss, &spec)) return;
    flv_check_vectors(check, spare(check, 0), 1.0, spare(check, 1), FLV_PART_ALL);
    flv_check_numbers(check, loss, 0.0);
  }
}

// ---- fragments ----

// The trajectory in pieces of `steps` steps; its last move is a step only where it is an exit.
static void add_pieces(const flv_problem *p, flv_walks *walks, int length, const int32_t *move,
                       int steps) {
  const int last = length - 1, all = last + (p->graph->exits ? 1 : 0);
  for (int begin = 0; begin < all; begin += steps) {
    const bool open_end = begin + steps < all;
    flv_walks_add_part(walks, &p->tables, move, begin, open_end ? begin + steps : last, open_end);
  }
}

static double gradient_of(const flv_problem *p, flv_walks *walks, const flv_chosen *chosen,
                          double *grad) {
  memset(grad, 0, flv_walks_size(p->graph) * sizeof *grad);
  const double loss = flv_walks_loss(walks, chosen, &p->tables);
  flv_walks_spread(walks, 1.0, grad);
  flv_walks_pull_back(walks, chosen, &p->tables, grad);
  return loss;
}

// Losses that are means over steps do not care how trajectories are cut.
static void compare_pieces(flv_check *check, const flv_choice *choice, int steps) {
  flv_problem *p = check->p;
  flv_walks *const w = &p->expect.walks;
  for (int i = 0; i < p->paths.n; i++) {
    const int32_t *move = p->paths.move + p->paths.offset[i];
    const int length = p->paths.offset[i + 1] - p->paths.offset[i];
    flv_walks_clear(w);
    flv_walks_add(w, &p->tables, length, move, 0.0);
    const double whole = gradient_of(p, w, &choice->chosen, p->expect.mean);
    flv_walks_clear(w);
    add_pieces(p, w, length, move, steps);
    const double cut = gradient_of(p, w, &choice->chosen, p->expect.one);
    flv_check_vectors(check, p->expect.one, 1.0, p->expect.mean, FLV_PART_ALL);
    flv_check_numbers(check, cut, whole);
  }
}

void flv_state_fragments(flv_check *check, const char *objective) {
  flv_problem *p = check->p;
  (void)objective;
  if (!can_enumerate(check)) return;
  p->expect.target = p->expect.walks.target = &p->target;
  flv_walks_fill_inflow(&p->expect.walks, &p->tables);
  for (int k = 0; check->objectives[k]; k++) {
    const unsigned needs = ((const flv_objective *)check->objectives[k]->impl)->needs;
    flv_choice choice;
    if (!(needs & FLV_TAKES_FRAGMENTS) ||
        (needs & FLV_NEEDS_EXIT && !flv_env_exits_anywhere(p->env)))
      continue;
    if (!flv_check_choose(check, &choice, check->objectives[k]->name, "")) return;
    for (int steps = 1; steps <= 2; steps++) compare_pieces(check, &choice, steps);
  }
}
