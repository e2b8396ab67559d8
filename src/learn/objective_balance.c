// Balance objectives: violations d of an identity that holds for every trajectory (or transition)
// at the optimum, penalised by g(d). Any behaviour policy will do, and none of them uses importance
// weights. g is d^2 unless `loss` says otherwise (learn/regression.h); g' is its slope.
//
// tb, trajectory balance [3], Malkin et al. 2022:
//   mean_i g(d_i),  d = log Z + log P_F(tau) - log P_B(tau|x) - log R(x) = log Z + c
//   cotangents: g'(d_i) / B on every log_pf of tau_i, -g'(d_i) / B on every log_pb, mean g'(d_i) on
//   log Z.
//
// db, detailed balance (paper eq 16; Bengio et al. 2021b), over the transitions s -> s':
//   d = log F(s) + log P_F(s'|s) - log F(s') - log P_B(s|s'),   F(s0) = Z
//   An exit ends at its object: d = log F(s_n) + log P_F(exit|s_n) - log R(x).
//   Without exit actions the object is a terminal state s_n, whose flow is F(s_n) = R(x).
//   F(s0) is read from log Z, not from log F, so that log Z means what it means everywhere else;
//   log F(s0) gets no cotangent.
//   mean: transitions   sum of g(d) over the batch / number of transitions (as torchgfn, gfnx)
//         trajectories  sum of g(d) over the batch / number of trajectories (or of fragments)
//
// modified_db (Deleu et al. 2022; [paper, App. D.3]), for environments where every state is an
// object. F(s) is eliminated by F(s) P_F(exit|s) = R(s), so no flow and no log Z are learned:
//   -d = log R(s') + log P_B(s|s') + log P_F(exit|s) - log R(s) - log P_F(s'|s) - log P_F(exit|s')
//   mean of g(d) over the steps of the batch, exits excluded; 0 if there are none. The released
//   code for graphs has loss: huber (with delta 1), and gradients through all of d.
//   detach_exit: no gradient through log P_F(exit|s')
//   target_exit: log P_F(exit|s') by the target network, a constant (Deleu et al.'s own code, and
//                gfnx)
//   A trajectory that exits at once has no step and adds nothing; log Z gets no cotangent.
//
// R(x) = 0 makes the loss infinite: balance needs positive rewards.
#include <stddef.h>

#include "learn/objective.h"
#include "learn/regression.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

// ---- tb ----

#define FLV_STRUCT flv_regression
static const flv_param tb_params[] = {FLV_REGRESSION_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static double tb_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  double loss = 0.0;
  for (int i = 0; i < t->n; i++) {
    double slope;
    loss += flv_regress(cfg, t->log_z + flv_trajectory_log_ratio(t, i), &slope) / t->n;
    slope /= t->n;
    flv_trajectory_spread_pf(t, i, slope, d->log_pf);
    flv_trajectory_spread_pb(t, i, -slope, d->log_pb);
    d->log_z += slope;
  }
  d->ess = t->n;
  return loss;
}

static const flv_objective tb = {.loss = tb_loss,
                                 .uses = FLV_USES_LOG_Z | FLV_TRAINS_LOG_Z,
                                 .formula = "mean of (log Z + c)^2",
                                 .source = "Malkin et al. 2022, arXiv 2201.13259"};
const flv_component flv_objective_tb = {
    .name = "tb",
    .help = "trajectory balance: mean (log Z + log P_F - log P_B - log R)^2, on- or off-policy",
    .params = tb_params,
    .n_params = COUNT(tb_params),
    .size = sizeof(flv_regression),
    .impl = &tb};

// ---- db ----

#define DB_KEYS(X)                                                                                 \
  X(CHOICE, mean, "transitions", 0, 0, "transitions|trajectories",                                 \
    "divide the sum of losses by the number of transitions, or of trajectories")                   \
  FLV_REGRESSION_KEYS(X)
typedef struct db_cfg {
  DB_KEYS(FLV_FIELD)
} db_cfg;
#define FLV_STRUCT db_cfg
static const flv_param db_params[] = {DB_KEYS(FLV_PARAM)};
#undef FLV_STRUCT
enum { MEAN_TRANSITIONS, MEAN_TRAJECTORIES };

// Transition at position p of trajectory i. Where no exit is taken the last state's flow is the
// reward, and its log_pf is 0; adding it there anyway makes d right for exits that were not
// declared as such.
typedef struct db_step {
  bool starts, ends, pair; // at s0; into the object; between two positions
  double residual;
} db_step;

static db_step db_step_at(const flv_trajectories *t, int i, int p) {
  const int first = t->offset[i], last = t->offset[i + 1] - 1;
  const unsigned open = flv_trajectory_open(t, i);
  db_step s = {.starts = p == first && !(open & FLV_OPEN_START),
               .pair = p < last,
               .ends = !(open & FLV_OPEN_END) && (t->exits ? p == last : p + 1 >= last)};
  s.residual = (s.starts ? t->log_z : t->log_f[p]) + t->log_pf[p];
  if (s.pair) s.residual -= t->log_pb[p + 1];
  if (s.pair && s.ends) s.residual += t->log_pf[last];
  s.residual -= s.ends ? t->log_r[i] : t->log_f[p + 1];
  return s;
}

static void db_back(const flv_trajectories *t, int i, int p, const db_step *s, double slope,
                    flv_cotangents *d) {
  const int last = t->offset[i + 1] - 1;
  if (s->starts)
    d->log_z += slope;
  else
    d->log_f[p] += slope;
  d->log_pf[p] += slope;
  if (s->pair) d->log_pb[p + 1] -= slope;
  if (s->pair && s->ends) d->log_pf[last] += slope;
  if (!s->ends) d->log_f[p + 1] -= slope;
}

static double db_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  const db_cfg *o = cfg;
  const flv_regression g = FLV_REGRESSION_OF(o);
  double count = 0.0, loss = 0.0;
  for (int i = 0; i < t->n; i++) count += flv_trajectory_steps(t, i);
  if (o->mean == MEAN_TRAJECTORIES) count = t->n;
  for (int i = 0; i < t->n; i++) {
    const int begin = t->offset[i], end = begin + flv_trajectory_steps(t, i);
    for (int p = begin; p < end; p++) {
      double slope;
      const db_step s = db_step_at(t, i, p);
      loss += flv_regress(&g, s.residual, &slope) / count;
      db_back(t, i, p, &s, slope / count, d);
    }
  }
  d->ess = t->n;
  return loss;
}

static const flv_objective db = {.needs = FLV_NEEDS_LOG_F | FLV_TAKES_FRAGMENTS,
                                 .loss = db_loss,
                                 .uses = FLV_USES_LOG_Z | FLV_TRAINS_LOG_Z,
                                 .formula = "mean over steps s -> s' of (log F(s) + log P_F - "
                                            "log F(s') - log P_B)^2, F(s0) = Z, F(x) = R(x)",
                                 .source = "Bengio et al. 2023, arXiv 2111.09266"};
const flv_component flv_objective_db = {
    .name = "db",
    .help = "detailed balance: mean (log F(s) + log P_F - log F(s') - log P_B)^2, F(s0) = Z",
    .params = db_params,
    .n_params = COUNT(db_params),
    .size = sizeof(db_cfg),
    .impl = &db};

// ---- modified_db ----

#define MODIFIED_DB_KEYS(X)                                                                        \
  FLV_REGRESSION_KEYS(X)                                                                           \
  X(BOOL, detach_exit, "false", 0, 0, "", "no gradient through log P_F(exit|s')")                  \
  X(BOOL, target_exit, "false", 0, 0, "", "log P_F(exit|s') by the target network, held fixed")
typedef struct modified_db_cfg {
  MODIFIED_DB_KEYS(FLV_FIELD)
} modified_db_cfg;
#define FLV_STRUCT modified_db_cfg
static const flv_param modified_db_params[] = {MODIFIED_DB_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static double modified_db_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  const modified_db_cfg *o = cfg;
  const flv_regression g = FLV_REGRESSION_OF(o);
  const double *log_exit_next = o->target_exit ? t->log_pf_exit_target : t->log_pf_exit;
  const double steps = t->offset[t->n] - t->offset[0] - t->n;
  double loss = 0.0;
  for (int i = 0; i < t->n; i++) {
    for (int p = t->offset[i]; p + 1 < t->offset[i + 1]; p++) {
      double slope;
      const double minus_d = t->log_r_state[p + 1] + t->log_pb[p + 1] + t->log_pf_exit[p] -
                             t->log_r_state[p] - t->log_pf[p] - log_exit_next[p + 1];
      loss += flv_regress(&g, -minus_d, &slope) / steps;
      slope /= steps;
      d->log_pb[p + 1] -= slope;
      d->log_pf[p] += slope;
      d->log_pf_exit[p] -= slope;
      if (!o->detach_exit && !o->target_exit) d->log_pf_exit[p + 1] += slope;
    }
  }
  d->ess = t->n;
  return loss;
}

static unsigned modified_db_needs(const void *cfg) {
  return ((const modified_db_cfg *)cfg)->target_exit ? FLV_NEEDS_TARGET : 0;
}

static const flv_objective modified_db = {
    .needs = FLV_NEEDS_EXIT | FLV_NEEDS_STATE_REWARD | FLV_TAKES_FRAGMENTS | FLV_SKIPS_EXITS,
    .loss = modified_db_loss,
    .needs_also = modified_db_needs,
    .formula = "mean over steps s -> s' of (log R(s') + log P_B + log P_F(exit|s) - log R(s) - "
               "log P_F - log P_F(exit|s'))^2",
    .source = "Deleu et al. 2022, arXiv 2202.13903"};
const flv_component flv_objective_modified_db = {
    .name = "modified_db",
    .help = "detailed balance without flows where every state is an object; learns no log Z",
    .params = modified_db_params,
    .n_params = COUNT(modified_db_params),
    .size = sizeof(modified_db_cfg),
    .impl = &modified_db};
