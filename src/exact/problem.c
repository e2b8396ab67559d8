#include "exact/problem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/logmath.h"
#include "base/memory.h"
#include "base/rng.h"
#include "fluvial/objective.h"
#include "learn/logits.h"

enum { DRAW_PARAMETERS = 1, DRAW_OTHER, DRAW_LOG_Z }; // addresses of random numbers

// ---- making one ----

static flv_status make_parts(flv_problem *p, const flv_config *cfg, flv_error *err) {
  p->reward = flv_reward_new(cfg, err);
  if (!p->reward) return err->status;
  p->env = flv_env_new(cfg, &p->reward->shape, err);
  if (!p->env) return err->status;
  if (p->reward->bind) FLV_TRY(p->reward->bind(p->reward, p->env, err));
  p->graph = flv_graph_new(p->env, p->reward, err);
  if (!p->graph) return err->status;
  for (int m = 0; m < p->graph->n_moves; m++) {
    const int s = p->graph->dag.from[m];
    if (flv_move_ends(p->graph, m) && p->graph->log_r[s] == -HUGE_VAL)
      return flv_fail(err, FLV_EINVAL,
                      "R is 0 at state %d of %s: log-ratios are infinite there (a table has "
                      "reward.floor)",
                      s, p->env->name);
  }
  return flv_policy_init(&p->policy, p->env, flv_config_component(cfg, "policy"),
                         flv_config_values(cfg, "policy"), FLV_NEEDS_LOG_F, 0, err);
}

static flv_status make_paths(flv_problem *p, flv_error *err) {
  p->n_paths = flv_graph_trajectories(p->graph);
  p->enumerated = p->n_paths <= FLV_PROBLEM_PATHS;
  if (!p->enumerated) return FLV_OK;
  FLV_TRY(flv_paths_init(&p->paths, p->graph, FLV_PROBLEM_PATHS, err));
  return flv_expect_init(&p->expect, &p->paths, err);
}

static flv_status make_layers(flv_problem *p, flv_error *err) {
  flv_error why = {0};
  const flv_status status = flv_layers_init(&p->layers, p->graph, &why);
  if (status == FLV_ENOMEM) return flv_fail(err, status, "%s", why.text);
  memcpy(p->no_layers, why.text, sizeof p->no_layers - 1);
  p->layered = status == FLV_OK;
  if (!p->layered) return FLV_OK;
  const flv_dag *dag = &p->layers.dag;
  const flv_slot slots[] = {FLV_SLOT(p->layer_w, dag->n_moves),
                            FLV_SLOT(p->layer_g, dag->n_moves + 2 * dag->n_nodes),
                            FLV_SLOT(p->layer_f, dag->n_nodes)};
  p->layer_block = flv_bind(3, slots);
  return p->layer_block ? FLV_OK : flv_fail(err, FLV_ENOMEM, "out of memory for layers");
}

static flv_status make_memory(flv_problem *p, flv_error *err) {
  const flv_graph *g = p->graph;
  const int size = flv_layout_of(g).size, m = g->n_moves, n = p->paths.n;
  const size_t params = p->policy.n_params;
  flv_tables *t = &p->tables;
  const flv_slot slots[] = {FLV_SLOT(p->x, size),
                            FLV_SLOT(p->drawn, size),
                            FLV_SLOT(t->log_pf, m),
                            FLV_SLOT(t->log_pb, m),
                            FLV_SLOT(t->pf, m),
                            FLV_SLOT(t->pb, m),
                            FLV_SLOT(t->log_sum, g->n_states),
                            FLV_SLOT(p->target.log_sum, g->n_states),
                            FLV_SLOT(p->log_flow, g->n_states),
                            FLV_SLOT(p->log_move[0], m),
                            FLV_SLOT(p->log_move[1], m),
                            FLV_SLOT(p->log_move[2], m),
                            FLV_SLOT(p->log_path[0], n),
                            FLV_SLOT(p->log_path[1], n),
                            FLV_SLOT(p->log_path[2], n),
                            FLV_SLOT(p->vector[0], size),
                            FLV_SLOT(p->vector[1], size),
                            FLV_SLOT(p->vector[2], size),
                            FLV_SLOT(p->vector[3], size),
                            FLV_SLOT(p->vector[4], size),
                            FLV_SLOT(p->vector[5], size),
                            FLV_SLOT(p->vector[6], size),
                            FLV_SLOT(p->vector[7], size),
                            FLV_SLOT(p->index, FLV_PROBLEM_ROWS),
                            FLV_SLOT(p->mask, FLV_PROBLEM_ROWS * p->env->n_actions),
                            FLV_SLOT(p->row, p->env->n_actions),
                            FLV_SLOT(p->grad, params),
                            FLV_SLOT(p->parameter[0], params),
                            FLV_SLOT(p->parameter[1], params)};
  p->block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!p->block) return flv_fail(err, FLV_ENOMEM, "out of memory for %d gradients", size);
  int nodes = g->dag.n_nodes;
  if (p->layered && p->layers.dag.n_nodes > nodes) nodes = p->layers.dag.n_nodes;
  FLV_TRY(flv_moments_init(&p->moments, g, err));
  FLV_TRY(flv_model_init(&p->model, g, 3 * nodes, err));
  if (flv_acts_init(&p->acts, p->policy.net, FLV_PROBLEM_ROWS, true, false) != FLV_OK)
    return flv_fail(err, FLV_ENOMEM, "out of memory for the network");
  return FLV_OK;
}

flv_problem *flv_problem_new(const flv_config *cfg, const char *name, flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  flv_problem *p = calloc(1, sizeof *p);
  if (!p) {
    flv_fail(err, FLV_ENOMEM, "out of memory for a problem");
    return NULL;
  }
  p->name = name;
  if (make_parts(p, cfg, err) == FLV_OK && make_paths(p, err) == FLV_OK &&
      make_layers(p, err) == FLV_OK && make_memory(p, err) == FLV_OK) {
    flv_problem_draw(p, 1);
    return p;
  }
  flv_problem_free(p);
  return NULL;
}

void flv_problem_free(flv_problem *problem) {
  flv_problem *p = problem;
  if (!p) return;
  flv_acts_free(&p->acts);
  flv_model_free(&p->model);
  flv_moments_free(&p->moments);
  flv_free(p->block);
  flv_free(p->layer_block);
  flv_layers_free(&p->layers);
  flv_expect_free(&p->expect);
  flv_paths_free(&p->paths);
  flv_policy_free(&p->policy);
  flv_graph_free(p->graph);
  flv_env_free(p->env);
  flv_reward_free(p->reward);
  free(p);
}

// ---- parameters ----

double flv_problem_random(const flv_problem *problem, uint64_t purpose, int item, int step) {
  const flv_rng rng = {problem->seed, FLV_RNG_INIT, purpose};
  return 2.0 * flv_rng_uniform(rng, (uint32_t)item, (uint32_t)step) - 1.0;
}

// Uniform in +-2/sqrt(fan in), so that logits spread by about 1 whatever the width; biases and
// gains in +-1/2.
static void draw_parameters(flv_problem *p) {
  const flv_net *net = p->policy.net;
  for (int tensor = 0; tensor < net->n_weights; tensor++) {
    const flv_weight *w = &net->weight[tensor];
    double fan = w->rows;
    for (int i = 0; i < net->n_ops; i++)
      if (net->op[i].id == FLV_OP_EMBED && net->op[i].w == tensor)
        fan = p->policy.tabular ? 1 : p->env->n_hot;
    const double scale = w->rows == 1 ? 0.5 : 2.0 / sqrt(fan);
    for (int j = 0; j < w->rows * w->cols; j++)
      p->policy.params[w->offset + (size_t)j] =
          (float)(scale * flv_problem_random(p, DRAW_PARAMETERS, tensor, j));
  }
  *flv_policy_log_z(&p->policy) =
      (float)(p->graph->log_z + flv_problem_random(p, DRAW_LOG_Z, 0, 0));
}

// ---- the network over all states ----

static int rows_from(const flv_problem *p, int begin) {
  const int left = p->graph->n_states - begin;
  return left < FLV_PROBLEM_ROWS ? left : FLV_PROBLEM_ROWS;
}

static void forward(flv_problem *p, int begin, int n) {
  const unsigned char *states = p->graph->states + (size_t)begin * p->env->state_size;
  p->env->ops->mask(p->env, n, states, p->mask);
  flv_policy_observe(&p->policy, &p->acts, 0, n, states, p->index);
  flv_net_forward(p->policy.net, p->policy.params, &p->acts, 0, p->policy.net->n_ops, 0, n, 1);
}

static size_t cell(int row, int width, int column) {
  return (size_t)row * (size_t)width + (size_t)column;
}

// The logit of a backward move. P_B without a network is fixed: by a table, or uniform.
static double pb_logit(const flv_problem *p, int row, int state, int back) {
  const flv_policy *policy = &p->policy;
  if (policy->pb >= 0) return (double)p->acts.value[policy->pb][cell(row, p->env->n_back, back)];
  return policy->fixed_log_pb ? policy->fixed_log_pb[cell(state, p->env->n_back, back)] : 0.0;
}

// Logits of moves (learn/logits.h: u) and log F from the network's outputs.
static void read_logits(flv_problem *p) {
  const flv_graph *g = p->graph;
  const flv_layout at = flv_layout_of(g);
  const flv_policy *policy = &p->policy;
  for (int begin = 0; begin < g->n_states; begin += FLV_PROBLEM_ROWS) {
    const int n = rows_from(p, begin);
    forward(p, begin, n);
    for (int r = 0; r < n; r++) {
      const int s = begin + r;
      const size_t row = cell(r, p->env->n_actions, 0);
      flv_policy_logits(policy, p->acts.value[policy->pf] + row, p->mask + row, p->row);
      for (int m = g->dag.first[s]; m < g->dag.first[s + 1]; m++)
        p->x[at.pf + m] = g->action[m] >= 0 ? p->row[g->action[m]] : 0.0;
      for (int k = g->first_into[s]; k < g->first_into[s + 1]; k++)
        p->x[at.pb + g->into[k]] = pb_logit(p, r, s, g->back[g->into[k]]);
      p->x[at.log_f + s] = (double)p->acts.value[policy->log_f][r];
    }
  }
  p->x[at.log_z] = (double)*flv_policy_log_z(policy);
}

void flv_problem_parameters(flv_problem *problem, const double *grad, double *out) {
  flv_problem *p = problem;
  const flv_graph *g = p->graph;
  const flv_layout at = flv_layout_of(g);
  const flv_policy *policy = &p->policy;
  const size_t n_params = policy->net->n_params;
  for (size_t k = 0; k < policy->n_params; k++) out[k] = 0.0;
  for (int begin = 0; begin < g->n_states; begin += FLV_PROBLEM_ROWS) {
    const int n = rows_from(p, begin);
    forward(p, begin, n);
    float *const pf = p->acts.grad[policy->pf], *const log_f = p->acts.grad[policy->log_f];
    float *const pb = policy->pb >= 0 ? p->acts.grad[policy->pb] : NULL;
    memset(pf, 0, cell(n, p->env->n_actions, 0) * sizeof *pf);
    if (pb) memset(pb, 0, cell(n, p->env->n_back, 0) * sizeof *pb);
    for (int r = 0; r < n; r++) {
      const int s = begin + r;
      for (int m = g->dag.first[s]; m < g->dag.first[s + 1]; m++)
        if (g->action[m] >= 0)
          pf[cell(r, p->env->n_actions, g->action[m])] = (float)grad[at.pf + m];
      const size_t row = cell(r, p->env->n_actions, 0);
      flv_policy_log_pf(policy, p->acts.value[policy->pf] + row, p->mask + row, p->row);
      flv_policy_logits_back(policy, p->row, p->mask + row, pf + row);
      for (int k = g->first_into[s]; pb && k < g->first_into[s + 1]; k++)
        pb[cell(r, p->env->n_back, g->back[g->into[k]])] = (float)grad[at.pb + g->into[k]];
      log_f[r] = (float)grad[at.log_f + s];
    }
    flv_net_backward(policy->net, policy->params, &p->acts, n, p->grad, 1);
    for (size_t k = 0; k < n_params; k++) out[k] += (double)p->grad[k];
  }
  out[n_params] = grad[at.log_z];
}

// ---- what follows ----

void flv_problem_refresh(flv_problem *problem) {
  flv_problem *p = problem;
  flv_tables_fill(&p->tables, p->graph, p->x);
  flv_model_set(&p->model, p->x);
  flv_flows(p->log_flow, p->log_move[FLV_FROM_POSTERIOR], p->graph, p->tables.log_pb);
  memcpy(p->log_move[FLV_FROM_PF], p->tables.log_pf, (size_t)p->graph->n_moves * sizeof(double));
  for (int k = 0; k < 3 && p->enumerated; k++)
    flv_paths_sum(p->log_path[k], &p->paths, p->log_move[k]);
}

void flv_problem_reset(flv_problem *problem) {
  memcpy(problem->x, problem->drawn, (size_t)flv_layout_of(problem->graph).size * sizeof(double));
  problem->expect.target = NULL;
  flv_problem_refresh(problem);
}

void flv_problem_read(flv_problem *problem) {
  read_logits(problem);
  flv_problem_refresh(problem);
}

static void draw_other(flv_problem *p) {
  const int32_t *first = p->graph->dag.first;
  double *const logits = p->vector[0];
  for (int m = 0; m < p->graph->n_moves; m++)
    logits[m] = 1.5 * flv_problem_random(p, DRAW_OTHER, 0, m);
  flv_softmax_out(p->log_move[FLV_FROM_OTHER], p->graph, logits);
  p->target.log_pf = p->log_move[FLV_FROM_OTHER];
  for (int s = 0; s < p->graph->n_states; s++)
    p->target.log_sum[s] = flv_logsumexp(first[s + 1] - first[s], logits + first[s]);
}

void flv_problem_draw(flv_problem *problem, uint64_t seed) {
  flv_problem *p = problem;
  p->seed = seed;
  draw_parameters(p);
  read_logits(p);
  draw_other(p);
  memcpy(p->drawn, p->x, (size_t)flv_layout_of(p->graph).size * sizeof(double));
  flv_problem_refresh(p);
}
