// Balance objectives: squared violations of an identity that holds for every trajectory (or
// transition) at the optimum. Any behaviour policy will do, and none of them uses importance
// weights.
//
// tb, trajectory balance [3], Malkin et al. 2022:
//   mean_i d_i^2,  d = log Z + log P_F(tau) - log P_B(tau|x) - log R(x) = log Z + c
//   cotangents: 2 d_i / B on every log_pf of tau_i, -2 d_i / B on every log_pb, 2 mean d on log Z.
//
// db, detailed balance (paper eq 16; Bengio et al. 2021b), over the transitions s -> s':
//   d = log F(s) + log P_F(s'|s) - log F(s') - log P_B(s|s'),   F(s0) = Z
//   An exit ends at its object: d = log F(s_n) + log P_F(exit|s_n) - log R(x).
//   Without exit actions the object is a terminal state s_n, whose flow is F(s_n) = R(x).
//   F(s0) is read from log Z, not from log F, so that log Z means what it means everywhere else;
//   log F(s0) gets no cotangent.
//   mean: transitions   sum of d^2 over the batch / number of transitions (torchgfn, gfnx; default)
//         trajectories  sum of d^2 over the batch / number of trajectories
//
// modified_db (Deleu et al. 2022; [paper, App. D.3]), for environments where every state is an
// object. F(s) is eliminated by F(s) P_F(exit|s) = R(s), so no flow and no log Z are learned:
//   d = log R(s') + log P_B(s|s') + log P_F(exit|s) - log R(s) - log P_F(s'|s) - log P_F(exit|s')
//   mean of l(d) over the steps of the batch, exits excluded.
//   loss: squared  l = d^2 (default)
//         huber    l = d^2/2 for |d| <= 1, |d| - 1/2 beyond (released code for graphs)
//   detach_exit: no gradient through log P_F(exit|s') (released code)
//   A trajectory that exits at once has no step and adds nothing; log Z gets no cotangent.
//
// R(x) = 0 makes the loss infinite: balance needs positive rewards.
#include <math.h>
#include <stddef.h>

#include "learn/objective.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

// ---- tb ----

static double tb_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  (void)cfg;
  double loss = 0.0;
  for (int i = 0; i < t->n; i++) {
    const double residual = t->log_z + flv_trajectory_log_ratio(t, i);
    const double slope = 2.0 * residual / t->n;
    flv_trajectory_spread_pf(t, i, slope, d->log_pf);
    flv_trajectory_spread_pb(t, i, -slope, d->log_pb);
    d->log_z += slope;
    loss += residual * residual / t->n;
  }
  d->ess = t->n;
  return loss;
}

static const flv_objective tb = {.needs = 0, .loss = tb_loss};
const flv_component flv_objective_tb = {
    .name = "tb",
    .help = "trajectory balance: mean (log Z + log P_F - log P_B - log R)^2, on- or off-policy",
    .size = 1,
    .impl = &tb};

// ---- db ----

#define DB_KEYS(X)                                                                                 \
  X(CHOICE, mean, "transitions", 0, 0, "transitions|trajectories",                                 \
    "divide the sum of squares by the number of transitions, or of trajectories")
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
  bool ends, pair; // into the object; between two positions
  double residual;
} db_step;

static int db_count(const flv_trajectories *t, int i) {
  const int positions = t->offset[i + 1] - t->offset[i];
  return t->exits || positions == 1 ? positions : positions - 1;
}

static db_step db_step_at(const flv_trajectories *t, int i, int p) {
  const int first = t->offset[i], last = t->offset[i + 1] - 1;
  db_step s = {.pair = p < last, .ends = t->exits ? p == last : p + 1 >= last};
  s.residual = (p == first ? t->log_z : t->log_f[p]) + t->log_pf[p];
  if (s.pair) s.residual -= t->log_pb[p + 1];
  if (s.pair && s.ends) s.residual += t->log_pf[last];
  s.residual -= s.ends ? t->log_r[i] : t->log_f[p + 1];
  return s;
}

static void db_back(const flv_trajectories *t, int i, int p, const db_step *s, double slope,
                    flv_cotangents *d) {
  const int first = t->offset[i], last = t->offset[i + 1] - 1;
  if (p == first)
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
  double count = 0.0, loss = 0.0;
  for (int i = 0; i < t->n; i++) count += db_count(t, i);
  if (o->mean == MEAN_TRAJECTORIES) count = t->n;
  for (int i = 0; i < t->n; i++) {
    const int begin = t->offset[i], end = begin + db_count(t, i);
    for (int p = begin; p < end; p++) {
      const db_step s = db_step_at(t, i, p);
      loss += s.residual * s.residual / count;
      db_back(t, i, p, &s, 2.0 * s.residual / count, d);
    }
  }
  d->ess = t->n;
  return loss;
}

static const flv_objective db = {.needs = FLV_NEEDS_LOG_F, .loss = db_loss};
const flv_component flv_objective_db = {
    .name = "db",
    .help = "detailed balance: mean (log F(s) + log P_F - log F(s') - log P_B)^2, F(s0) = Z",
    .params = db_params,
    .n_params = COUNT(db_params),
    .size = sizeof(db_cfg),
    .impl = &db};

// ---- modified_db ----

#define MODIFIED_DB_KEYS(X)                                                                        \
  X(CHOICE, loss, "squared", 0, 0, "squared|huber",                                                \
    "d^2, or Huber with delta 1 (d^2/2 near 0, |d| - 1/2 beyond; released code for graphs)")       \
  X(BOOL, detach_exit, "false", 0, 0, "",                                                          \
    "no gradient through log P_F(exit|s'), as in the released code")
typedef struct modified_db_cfg {
  MODIFIED_DB_KEYS(FLV_FIELD)
} modified_db_cfg;
#define FLV_STRUCT modified_db_cfg
static const flv_param modified_db_params[] = {MODIFIED_DB_KEYS(FLV_PARAM)};
#undef FLV_STRUCT
enum { LOSS_SQUARED, LOSS_HUBER };

static double penalty(int kind, double d, double *slope) {
  if (kind == LOSS_SQUARED) {
    *slope = 2.0 * d;
    return d * d;
  }
  *slope = d > 1.0 ? 1.0 : d < -1.0 ? -1.0 : d; // NaN stays
  return fabs(d) <= 1.0 ? 0.5 * d * d : fabs(d) - 0.5;
}

static double modified_db_loss(const void *cfg, const flv_trajectories *t, flv_cotangents *d) {
  const modified_db_cfg *o = cfg;
  const double steps = t->offset[t->n] - t->offset[0] - t->n;
  double loss = 0.0;
  for (int i = 0; i < t->n; i++) {
    for (int p = t->offset[i]; p + 1 < t->offset[i + 1]; p++) {
      double slope;
      const double residual = t->log_r_state[p + 1] + t->log_pb[p + 1] + t->log_pf_exit[p] -
                              t->log_r_state[p] - t->log_pf[p] - t->log_pf_exit[p + 1];
      loss += penalty(o->loss, residual, &slope) / steps;
      slope /= steps;
      d->log_pb[p + 1] += slope;
      d->log_pf[p] -= slope;
      d->log_pf_exit[p] += slope;
      if (!o->detach_exit) d->log_pf_exit[p + 1] -= slope;
    }
  }
  d->ess = t->n;
  return loss;
}

static const flv_objective modified_db = {.needs = FLV_NEEDS_EXIT | FLV_NEEDS_STATE_REWARD,
                                          .loss = modified_db_loss};
const flv_component flv_objective_modified_db = {
    .name = "modified_db",
    .help = "detailed balance without flows where every state is an object; learns no log Z",
    .params = modified_db_params,
    .n_params = COUNT(modified_db_params),
    .size = sizeof(modified_db_cfg),
    .impl = &modified_db};
