// Sub-trajectory balance and forward-looking flows: balance between any two nodes of a trajectory.
//
// Nodes 0 .. n of a trajectory are its states and, last, its object. With exit actions the object
// follows the last state; without, it is the last state. Flows: F_0 = F(s0) = Z, read from log Z as
// in db (log F(s0) gets no cotangent); F_n = R(x); in between
//   subtb               F_k = F(s_k)
//   fl_db, fl_subtb     F_k = F~(s_k) R(s_k), F~(x) = 1: what is learned as log F is log F~, what
//                       R(s_k) does not say (Pan et al. 2023, "Better training of GFlowNets with
//                       local credit and incomplete trajectories", arXiv 2302.01687)
// For fl_* too, F_0 is Z itself and not F~(s0) R(s0): R(s0) is a constant, so nothing is lost, and
// log Z means what it means everywhere else. R has to be positive at every state, object or not.
//
// The residual of the sub-trajectory from node i to node j > i is
//   d_ij = log F_i + sum_{i <= k < j} (log P_F(k) - log P_B(k)) - log F_j = v_i - v_j,
//   v_k  = log F_k - sum_{l < k} (log P_F(l) - log P_B(l)),
// over the steps k -> k+1; an exit has log P_B = 0. d_0n is the residual of tb, d_{k,k+1} of db.
//
// subtb, fl_subtb, SubTB(lambda) (Madan et al. 2023, "Learning GFlowNets from partial episodes for
// improved convergence and stability", arXiv 2209.12782):
//   mean over trajectories of  sum_{i<j} lambda^(j-i) g(d_ij) / sum_{i<j} lambda^(j-i)
//   lambda -> 0 leaves the transitions (mean over each trajectory's, then over trajectories),
//   lambda -> infinity the whole trajectories, which is tb; 0 and inf are taken as these limits.
//   Time is quadratic in the length of trajectories.
// fl_db: mean of g(d_{k,k+1}) over transitions, or summed over them and divided by the number of
// trajectories (mean: as for db).
// g: learn/regression.h. Fragments (fl_db): an open end has the learned flow, as any node between.
//
// Cotangents: h_k on v_k collects + w g'(d_kj) from every j > k and - w g'(d_ik) from every i < k,
// where w is the weight of the sub-trajectory; they sum to 0. Hence h_k on log F_k,
// sum_{l <= k} h_l on log P_F(k), and minus that on log P_B(k).
#include <math.h>
#include <stddef.h>

#include "learn/objective.h"
#include "learn/regression.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

#define SUBTB_KEYS(X)                                                                              \
  X(REAL, lambda, "0.9", 0, HUGE_VAL, "",                                                          \
    "weight lambda^length of a sub-trajectory; 0: transitions only, inf: whole trajectories only") \
  FLV_REGRESSION_KEYS(X)
typedef struct subtb_cfg {
  SUBTB_KEYS(FLV_FIELD)
} subtb_cfg;
#define FLV_STRUCT subtb_cfg
static const flv_param subtb_params[] = {SUBTB_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

#define FL_DB_KEYS(X)                                                                              \
  X(CHOICE, mean, "transitions", 0, 0, "transitions|trajectories",                                 \
    "divide the sum of losses by the number of transitions, or of trajectories")                   \
  FLV_REGRESSION_KEYS(X)
typedef struct fl_db_cfg {
  FL_DB_KEYS(FLV_FIELD)
} fl_db_cfg;
#define FLV_STRUCT fl_db_cfg
static const flv_param fl_db_params[] = {FL_DB_KEYS(FLV_PARAM)};
#undef FLV_STRUCT
enum { MEAN_TRANSITIONS, MEAN_TRAJECTORIES };

// One trajectory: n steps, v and h [n+1]. The scratch suffices: nodes are at most one more than
// positions.
typedef struct chain {
  int first, last, n; // positions, steps
  bool starts, ends;  // at s0, in the object: not a fragment's
  double *v, *h;
} chain;

// log P_F of step k. Where no exit is taken log_pf[last] is 0; adding it to the last step anyway
// makes d right for exits that were not declared as such.
static double step_pf(const flv_trajectories *t, const chain *c, int k) {
  const int p = c->first + k;
  return t->log_pf[p] + (k + 1 == c->n && p + 1 == c->last ? t->log_pf[c->last] : 0.0);
}

// log_r_state NULL: flows are as learned, not forward-looking.
static double node_flow(const flv_trajectories *t, int p, const double *log_r_state) {
  return t->log_f[p] + (log_r_state ? log_r_state[p] : 0.0);
}

static chain chain_open(const flv_trajectories *t, int i, const double *log_r_state) {
  const int n = flv_trajectory_steps(t, i);
  const unsigned open = flv_trajectory_open(t, i);
  const chain c = {.first = t->offset[i],
                   .last = t->offset[i + 1] - 1,
                   .n = n,
                   .starts = !(open & FLV_OPEN_START),
                   .ends = !(open & FLV_OPEN_END),
                   .v = t->scratch,
                   .h = t->scratch + n + 1};
  double sum = 0.0;
  for (int k = 0; k < n; k++) {
    const int p = c.first + k;
    c.v[k] = (k == 0 && c.starts ? t->log_z : node_flow(t, p, log_r_state)) - sum;
    sum += step_pf(t, &c, k) - (p < c.last ? t->log_pb[p + 1] : 0.0);
  }
  c.v[n] = (c.ends ? t->log_r[i] : node_flow(t, c.last, log_r_state)) - sum;
  for (int k = 0; k <= n; k++) c.h[k] = 0.0;
  return c;
}

static void chain_back(const chain *c, flv_cotangents *d) {
  double sum = 0.0;
  for (int k = 0; k < c->n; k++) {
    const int p = c->first + k;
    if (k == 0 && c->starts)
      d->log_z += c->h[k];
    else
      d->log_f[p] += c->h[k];
    sum += c->h[k];
    d->log_pf[p] += sum;
    if (p < c->last) d->log_pb[p + 1] -= sum;
  }
  if (!c->ends)
    d->log_f[c->last] += c->h[c->n];
  else if (c->first + c->n == c->last)
    d->log_pf[c->last] += sum;
}

// Loss of all sub-trajectories of `length` steps, each with this weight.
static double balance(const chain *c, const flv_regression *g, int length, double weight) {
  double loss = 0.0;
  for (int k = 0; k + length <= c->n; k++) {
    double slope;
    loss += weight * flv_regress(g, c->v[k] - c->v[k + length], &slope);
    slope *= weight;
    c->h[k] += slope;
    c->h[k + length] -= slope;
  }
  return loss;
}

// ---- subtb, fl_subtb ----

// Weights relative to the largest, so that none overflows: from the shortest length on for
// lambda <= 1, from the longest for lambda > 1.
static double weighted_balance(const chain *c, const subtb_cfg *o, double scale) {
  const flv_regression g = FLV_REGRESSION_OF(o);
  const bool longest_first = o->lambda > 1.0;
  const double ratio = longest_first ? 1.0 / o->lambda : o->lambda;
  double norm = 0.0, w = 1.0, loss = 0.0;
  for (int m = 0; m < c->n && w > 0.0; m++, w *= ratio)
    norm += w * (longest_first ? m + 1 : c->n - m);
  w = 1.0;
  for (int m = 0; m < c->n && w > 0.0; m++, w *= ratio)
    loss += balance(c, &g, longest_first ? c->n - m : m + 1, scale * (w / norm));
  return loss;
}

static double subtb(const subtb_cfg *o, const flv_trajectories *t, const double *log_r_state,
                    flv_cotangents *d) {
  double loss = 0.0;
  for (int i = 0; i < t->n; i++) {
    const chain c = chain_open(t, i, log_r_state);
    loss += weighted_balance(&c, o, 1.0 / t->n);
    chain_back(&c, d);
  }
  d->ess = t->n;
  return loss;
}

static double subtb_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  return subtb(cfg, t, NULL, d);
}
static double fl_subtb_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  return subtb(cfg, t, t->log_r_state, d);
}

// ---- fl_db ----

static double fl_db_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  const fl_db_cfg *o = cfg;
  const flv_regression g = FLV_REGRESSION_OF(o);
  double count = 0.0, loss = 0.0;
  for (int i = 0; i < t->n; i++) count += flv_trajectory_steps(t, i);
  if (o->mean == MEAN_TRAJECTORIES) count = t->n;
  for (int i = 0; i < t->n; i++) {
    const chain c = chain_open(t, i, t->log_r_state);
    loss += balance(&c, &g, 1, 1.0 / count);
    chain_back(&c, d);
  }
  d->ess = t->n;
  return loss;
}

#define COMPONENT(name_, needs_, cfg_, params_, help_, formula_, source_)                          \
  static const flv_objective name_##_objective = {.needs = needs_,                                 \
                                                  .loss = name_##_loss,                            \
                                                  .uses = FLV_USES_LOG_Z | FLV_TRAINS_LOG_Z,       \
                                                  .formula = formula_,                             \
                                                  .source = source_};                              \
  const flv_component flv_objective_##name_ = {.name = #name_,                                     \
                                               .help = help_,                                      \
                                               .params = params_,                                  \
                                               .n_params = COUNT(params_),                         \
                                               .size = sizeof(cfg_),                               \
                                               .impl = &name_##_objective}

COMPONENT(subtb, FLV_NEEDS_LOG_F, subtb_cfg, subtb_params,
          "sub-trajectory balance, SubTB(lambda): all parts of a trajectory, F(s0) = Z",
          "mean over trajectories of the mean of d_ij^2 over their parts from state i to state j, "
          "weighted by lambda^(j-i); d_ij as in db, summed over the steps between",
          "Madan et al. 2023, arXiv 2209.12782");
COMPONENT(fl_db, FLV_NEEDS_LOG_F | FLV_NEEDS_STATE_REWARD | FLV_TAKES_FRAGMENTS, fl_db_cfg,
          fl_db_params, "forward-looking detailed balance: log F = log F~ + log R at every state",
          "db with log F(s) = log F~(s) + log R(s), F~(x) = 1",
          "Pan et al. 2023, arXiv 2302.01687");
COMPONENT(fl_subtb, FLV_NEEDS_LOG_F | FLV_NEEDS_STATE_REWARD, subtb_cfg, subtb_params,
          "forward-looking sub-trajectory balance: log F = log F~ + log R at every state",
          "subtb with log F(s) = log F~(s) + log R(s), F~(x) = 1",
          "Pan et al. 2023, arXiv 2302.01687");
