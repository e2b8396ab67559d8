// Statements about all objectives alike: the optimum, the two ways to take expectations, and the
// trainer's own way from a batch to a gradient.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "exact/statements.h"
#include "learn/sampler.h"
#include "learn/score.h"

static double *spare(flv_check *c, int k) { return c->p->vector[FLV_CHECK_VECTOR + k]; }

// Where P_F is the flow of P_B, F its flow and Z the true one, every residual is 0, every weight
// the same, and every expected gradient 0. P_F's logits are F(s) P_F, so that they are flows.
void flv_state_optimum(flv_check *check, const char *objective) {
  (void)objective;
  flv_problem *p = check->p;
  const flv_layout at = flv_layout_of(p->graph);
  for (int m = 0; m < p->graph->n_moves; m++)
    p->x[at.pf + m] = p->log_move[FLV_FROM_POSTERIOR][m] + p->log_flow[p->graph->dag.from[m]];
  p->x[at.log_z] = p->graph->log_z;
  memset(spare(check, 1), 0, (size_t)at.size * sizeof(double));
  for (int k = 0; check->objectives[k]; k++) {
    // Forward-looking objectives learn F~(s) = F(s) / R(s).
    const flv_objective *impl = check->objectives[k]->impl;
    const bool forward = impl->needs & FLV_NEEDS_LOG_F && impl->needs & FLV_NEEDS_STATE_REWARD;
    for (int s = 0; s < p->graph->n_states; s++)
      p->x[at.log_f + s] = p->log_flow[s] - (forward ? p->graph->log_r_state[s] : 0.0);
    flv_problem_refresh(p);
    for (int batch = 1; batch <= 2; batch++) {
      const char *options = impl->needs & FLV_NEEDS_TARGET ? "munchausen=0" : "";
      const flv_spec spec = {check->objectives[k]->name, options, FLV_FROM_PF, batch};
      if (!flv_check_expect(check, spare(check, 0), NULL, &spec)) continue;
      flv_check_vectors(check, spare(check, 0), 1.0, spare(check, 1), FLV_PART_ALL);
    }
  }
}

// Expected gradients and the traces of their covariances, of what dynamic programming can do.
void flv_state_two_ways(flv_check *check, const char *objective) {
  (void)objective;
  static const flv_spec specs[] = {
      {"tb", "", FLV_FROM_OTHER, 1},
      {"tb", "", FLV_FROM_PF, 2},
      {"reverse_kl", "baseline=none", FLV_FROM_PF, 2},
      {"reverse_kl", "baseline=local", FLV_FROM_PF, 2},
      {"reverse_kl", "baseline=leave_one_out", FLV_FROM_PF, 2},
      {"reverse_kl", "baseline=leave_one_out", FLV_FROM_PF, 3},
      {"reverse_kl", "weights=plain", FLV_FROM_OTHER, 2},
      {"forward_kl", "weights=plain", FLV_FROM_OTHER, 1},
      {"forward_kl", "weights=plain", FLV_FROM_PF, 2},
      {"wake_sleep", "weights=plain", FLV_FROM_PF, 2},
      {"reverse_wake_sleep", "weights=plain", FLV_FROM_POSTERIOR, 1},
      {"log_variance", "", FLV_FROM_OTHER, 2},
  };
  flv_problem *p = check->p;
  if (!p->enumerated) {
    flv_check_skip(check, "%.4g trajectories cannot be enumerated", p->n_paths);
    return;
  }
  for (size_t k = 0; k < sizeof specs / sizeof *specs; k++) {
    const flv_spec *s = &specs[k];
    flv_choice choice;
    flv_linear linear;
    if (!flv_expect_can(&p->paths, s->batch)) continue;
    if (!flv_check_choose(check, &choice, s->objective, s->options)) continue;
    if (!flv_linear_probe(&linear, &choice.chosen, s->batch, p->tables.log_z, p->graph->exits,
                          s->behaviour == FLV_FROM_PF)) {
      flv_check_add(check, HUGE_VAL);
      continue;
    }
    flv_expect_run(&p->expect, &choice.chosen, &p->tables, p->log_path[s->behaviour], s->batch,
                   true);
    flv_moments_run(&p->moments, &linear, &p->tables, p->log_move[s->behaviour], s->batch, true);
    const int parts = FLV_PART_POLICY | (linear.learns_log_z ? FLV_PART_LOG_Z : 0);
    flv_check_vectors(check, p->moments.mean, 1.0, p->expect.mean, parts);
    for (int side = 0; side < 2; side++)
      flv_check_numbers(check, p->moments.trace[side], p->expect.trace[side]);
  }
}

// ---- the trainer's own way ----

typedef struct engine {
  flv_policy policy; // as the objective wants it, with the problem's network
  flv_batch batch;
  flv_sampler sampler;
  flv_score score;
  int32_t *action;
} engine;

static void engine_free(engine *e) {
  flv_score_free(&e->score);
  flv_sampler_free(&e->sampler);
  flv_batch_free(&e->batch);
  free(e->action);
}

static flv_status engine_init(engine *e, const flv_problem *p, unsigned needs, flv_error *err) {
  flv_policy policy = p->policy;
  policy.needs = needs;
  if (needs & FLV_NEEDS_FLOWS) policy.log_f = -1; // flows are P_F's logits
  *e = (engine){.policy = policy, .action = calloc((size_t)p->graph->length, sizeof *e->action)};
  if (!e->action) return flv_fail(err, FLV_ENOMEM, "out of memory for a trajectory");
  FLV_TRY(flv_batch_init(&e->batch, &e->policy, 1, true, true, err));
  FLV_TRY(flv_sampler_init(&e->sampler, &e->batch, err));
  // a policy with a log F needs its cotangents
  if (!(needs & FLV_NEEDS_FLOWS)) needs |= FLV_NEEDS_LOG_F;
  return flv_score_init(&e->score, &e->batch, needs, err);
}

// The gradient of the network's parameters that one trajectory makes, as in training; times weight,
// into sum.
static flv_status engine_add(engine *e, flv_problem *p, const flv_choice *choice, int path,
                             double weight, double *sum, flv_error *err) {
  const int begin = p->paths.offset[path], length = p->paths.offset[path + 1] - begin;
  int actions = 0;
  for (int k = 0; k < length; k++)
    if (p->graph->action[p->paths.move[begin + k]] >= 0)
      e->action[actions++] = p->graph->action[p->paths.move[begin + k]];
  flv_batch *b = &e->batch;
  flv_batch_clear(b);
  flv_sampler_append(&e->sampler, b, actions, e->action, p->log_path[FLV_FROM_PF][path]);
  flv_score_expand(&e->score, b);
  flv_batch_evaluate_pf(b, &e->policy, 1);
  flv_batch_evaluate_rest(b, &e->policy, 1);
  FLV_TRY(flv_score_rewards(&e->score, b, p->reward, err));
  flv_score_gather(&e->score, b, &e->policy, b->n, b, false); // its own target
  choice->chosen.objective->loss(choice->chosen.cfg, &e->score.in, &e->score.out);
  flv_score_scatter(&e->score, b, &e->policy, 1);
  if (e->policy.log_f < 0)
    memset(b->acts.grad[p->policy.log_f], 0, (size_t)b->rows.n * sizeof(float));
  flv_net_backward(p->policy.net, p->policy.params, &b->acts, b->rows.n, p->grad, 1);
  const size_t n = p->policy.net->n_params;
  for (size_t k = 0; k < n; k++) sum[k] += weight * (double)p->grad[k];
  sum[n] += weight * e->score.out.log_z;
  return FLV_OK;
}

// In single precision and over all trajectories, against the gradient of the logits in double that
// enumeration gives, through the network once.
static flv_status compare_engine(flv_check *c, engine *e, const flv_choice *choice,
                                 flv_error *err) {
  flv_problem *p = c->p;
  double *const sum = p->parameter[0], worst = 0.0, largest = FLV_SMALL_GRADIENT;
  for (size_t k = 0; k < p->policy.n_params; k++) sum[k] = 0.0;
  for (int i = 0; i < p->paths.n; i++)
    FLV_TRY(engine_add(e, p, choice, i, exp(p->log_path[FLV_FROM_PF][i]), sum, err));
  flv_expect_run(&p->expect, &choice->chosen, &p->tables, p->log_path[FLV_FROM_PF], 1, false);
  flv_problem_parameters(p, p->expect.mean, p->parameter[1]);
  for (size_t k = 0; k < p->policy.n_params; k++) {
    const double gap = fabs(sum[k] - p->parameter[1][k]);
    worst = isnan(gap) || gap > worst ? gap : worst;
    largest = fmax(largest, fabs(p->parameter[1][k]));
  }
  if (!(worst / largest <= c->parameters)) c->parameters = worst / largest;
  return FLV_OK;
}

void flv_state_pipeline(flv_check *check, const char *objective) {
  (void)objective;
  enum { MAX_PATHS = 100 }; // each of them goes backwards through the network
  flv_problem *p = check->p;
  if (!p->enumerated || p->paths.n > MAX_PATHS) {
    flv_check_skip(check, "%.4g trajectories are too many to train on one by one", p->n_paths);
    return;
  }
  for (int k = 0; check->objectives[k]; k++) {
    flv_choice choice;
    flv_error err = {0};
    engine e;
    if (!flv_check_choose(check, &choice, check->objectives[k]->name, "")) continue;
    flv_status status =
        engine_init(&e, p, flv_objective_needs(choice.chosen.objective, choice.chosen.cfg), &err);
    if (status == FLV_OK) status = compare_engine(check, &e, &choice, &err);
    engine_free(&e);
    if (status != FLV_OK) flv_check_skip(check, "%s", err.text);
  }
}

// ---- the network's own slope ----

// f at parameters + step v, [net->n_params].
static double value_along(flv_problem *p, const float *start, const float *v, float step,
                          flv_functional f) {
  for (size_t k = 0; k < p->policy.net->n_params; k++) p->policy.params[k] = start[k] + step * v[k];
  flv_problem_read(p);
  return flv_model_value(&p->model, f, NULL);
}

// A step along v that moves no logit by more than about 0.06: in single precision logits are right
// to 1e-7 or 1e-6, so a slope comes out right to 1e-5, and what differences of the fourth order
// neglect is far below.
static float step_along(flv_problem *p, const float *start, const float *v) {
  const float tiny = 1.0f / 256.0f;
  double most = 0.0;
  value_along(p, start, v, tiny, flv_reverse_kl);
  for (int k = 0; k < flv_layout_of(p->graph).log_f; k++)
    most = fmax(most, fabs(p->x[k] - p->drawn[k]));
  return (float)(0.06 * (double)tiny / fmax(most, 1e-3 * (double)tiny));
}

static double slope_along(flv_problem *p, const float *start, const float *v, flv_functional f) {
  const float h = step_along(p, start, v);
  const double near = value_along(p, start, v, h, f) - value_along(p, start, v, -h, f);
  const double far = value_along(p, start, v, 2.0f * h, f) - value_along(p, start, v, -2.0f * h, f);
  return (8.0 * near - far) / (12.0 * (double)h);
}

// Kinks within the step would leave more.
static bool is_smooth(const flv_net *net) {
  for (int i = 0; i < net->n_ops; i++)
    if (net->op[i].act == FLV_ACT_RELU || net->op[i].act == FLV_ACT_LEAKY_RELU) return false;
  return true;
}

// Expected gradients of the parameters, by the backward pass, against the slopes of the exact
// divergences along random directions, by the forward pass alone.
static void compare_slopes(flv_check *c, const char *objective, flv_functional f, float *start) {
  enum { DIRECTIONS = 4, DRAW_DIRECTION = 19 };
  flv_problem *p = c->p;
  const size_t n = p->policy.net->n_params;
  float *const v = start + n;
  double worst = 0.0, largest = FLV_SMALL_GRADIENT;
  const flv_spec spec = {objective, "weights=plain", FLV_FROM_PF, 1};
  flv_check_set_log_z(c, p->graph->log_z);
  if (!flv_check_expect(c, spare(c, 0), NULL, &spec)) return;
  flv_problem_parameters(p, spare(c, 0), p->parameter[0]);
  memcpy(start, p->policy.params, n * sizeof *start);
  for (int d = 0; d < DIRECTIONS; d++) {
    double along = 0.0;
    for (size_t k = 0; k < n; k++) {
      v[k] = (float)flv_problem_random(p, DRAW_DIRECTION, d, (int)k);
      along += p->parameter[0][k] * (double)v[k];
    }
    const double slope = slope_along(p, start, v, f), gap = fabs(along - slope);
    worst = isnan(gap) || gap > worst ? gap : worst;
    largest = fmax(largest, fabs(slope));
  }
  memcpy(p->policy.params, start, n * sizeof *start);
  flv_problem_reset(p);
  if (!(worst / largest <= c->parameters)) c->parameters = worst / largest;
}

void flv_state_network(flv_check *check, const char *objective) {
  flv_problem *p = check->p;
  if (!is_smooth(p->policy.net)) {
    flv_check_skip(check, "finite differences need a smooth network: activation tanh or none");
    return;
  }
  float *const work = flv_alloc(2 * p->policy.net->n_params * sizeof *work);
  if (!work) {
    flv_check_skip(check, "out of memory for %zu parameters", p->policy.net->n_params);
    return;
  }
  const bool forward = strcmp(objective, "forward_kl") == 0;
  compare_slopes(check, objective, forward ? flv_forward_kl : flv_reverse_kl, work);
  flv_free(work);
}
