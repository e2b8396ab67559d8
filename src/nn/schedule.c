// Learning-rate schedules: a factor on all rates. With t the iteration (from 0) and T how many
// there are:
//
//   constant    1
//   cosine      end + (1 - end) (1 + cos(pi t / T)) / 2                 [Loshchilov & Hutter 2017]
//   multistep   factor ^ (number of milestones s with t >= s T)
//   plateau     factor ^ (number of times the metric went `patience` iterations without an
//               improvement of its best by more than a share `threshold`), not below min_factor
#include <math.h>

#include "nn/optim.h"

#define COSINE_KEYS(X) X(REAL, end, "0", 0, 1, "", "factor at the end of the run")
typedef struct cosine_cfg {
  COSINE_KEYS(FLV_FIELD)
} cosine_cfg;
#define FLV_STRUCT cosine_cfg
static const flv_param cosine_params[] = {COSINE_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

#define MULTISTEP_KEYS(X)                                                                          \
  X(REALS, milestones, "[0.5, 0.75]", 0, 1, "", "shares of the run after which the factor falls")  \
  X(REAL, factor, "0.1", 0, 1, "", "by which it falls each time")
typedef struct multistep_cfg {
  MULTISTEP_KEYS(FLV_FIELD)
} multistep_cfg;
#define FLV_STRUCT multistep_cfg
static const flv_param multistep_params[] = {MULTISTEP_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

#define PLATEAU_KEYS(X)                                                                            \
  X(TEXT, metric, "jsd", 0, 0, "",                                                                 \
    "jsd, tv, kl_pq, kl_qp, l1, log_z_error, loss or grad_norm; smaller is better")                \
  X(REAL, factor, "0.9", 0, 1, "", "by which the factor falls each time")                          \
  X(LONG, patience, "500", 1, 1e15, "", "iterations without an improvement before it falls")       \
  X(REAL, threshold, "1e-3", 0, 1, "", "smallest improvement that counts, as a share of the best") \
  X(REAL, min_factor, "0", 0, 1, "", "never below this")
typedef struct plateau_cfg {
  PLATEAU_KEYS(FLV_FIELD)
} plateau_cfg;
#define FLV_STRUCT plateau_cfg
static const flv_param plateau_params[] = {PLATEAU_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static const flv_component constant = {"constant", "the rates as given", NULL, 0, 1, NULL};
static const flv_component cosine = {
    "cosine",           "half a cosine wave over the whole run",
    cosine_params,      sizeof cosine_params / sizeof *cosine_params,
    sizeof(cosine_cfg), NULL};
static const flv_component multistep = {
    "multistep",           "falls at given shares of the run",
    multistep_params,      sizeof multistep_params / sizeof *multistep_params,
    sizeof(multistep_cfg), NULL};
static const flv_component plateau = {
    "plateau",           "falls when a metric stops improving",
    plateau_params,      sizeof plateau_params / sizeof *plateau_params,
    sizeof(plateau_cfg), NULL};
const flv_component *const flv_schedule_list[] = {&constant, &cosine, &multistep, &plateau, NULL};

void flv_schedule_init(flv_schedule *schedule, const flv_component *component, const void *cfg) {
  *schedule = (flv_schedule){.component = component,
                             .cfg = cfg,
                             .factor = 1.0,
                             .best = (double)INFINITY,
                             .metric = (double)NAN};
}

static double multistep_at(const multistep_cfg *cfg, double done) {
  double factor = 1.0;
  for (int i = 0; i < cfg->milestones.n; i++)
    if (done >= cfg->milestones.v[i]) factor *= cfg->factor;
  return factor;
}

static void plateau_look(flv_schedule *s, const plateau_cfg *cfg, int64_t iteration) {
  if (isnan(s->metric)) return;
  const bool better =
      isinf(s->best) ? s->metric < s->best : s->metric < s->best - cfg->threshold * fabs(s->best);
  if (better) {
    s->best = s->metric;
    s->best_at = iteration;
  } else if (iteration - s->best_at >= cfg->patience) {
    s->factor = fmax(s->factor * cfg->factor, cfg->min_factor);
    s->best_at = iteration;
  }
  s->metric = (double)NAN;
}

double flv_schedule_at(flv_schedule *schedule, int64_t iteration, int64_t iterations) {
  const double done = iterations > 0 ? (double)iteration / (double)iterations : 0.0;
  if (schedule->component == &cosine) {
    const double end = ((const cosine_cfg *)schedule->cfg)->end;
    schedule->factor =
        end + (1.0 - end) * 0.5 * (1.0 + cos(3.14159265358979323846 * fmin(done, 1.0)));
  }
  if (schedule->component == &multistep) schedule->factor = multistep_at(schedule->cfg, done);
  if (schedule->component == &plateau) plateau_look(schedule, schedule->cfg, iteration);
  return schedule->factor;
}

void flv_schedule_report(flv_schedule *schedule, double metric) {
  if (!isnan(metric)) schedule->metric = metric;
}

const char *flv_schedule_metric(const flv_schedule *schedule) {
  return schedule->component == &plateau ? ((const plateau_cfg *)schedule->cfg)->metric : NULL;
}
