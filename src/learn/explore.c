#include "learn/explore.h"

#include <math.h>

#include "base/logmath.h"

enum { CONSTANT, LINEAR, COSINE };
enum { MIXTURE, COMPONENT };

#define EXPLORE_KEYS(X)                                                                            \
  X(REAL, epsilon, "0", 0, 1, "", "probability of a uniformly random legal action, at the start")  \
  X(REAL, epsilon_end, "0", 0, 1, "", "and at the end of the schedule")                            \
  X(REAL, stop_gamma, "0", 0, 0.999999, "",                                                        \
    "probability of the exit where the action is uniform; 0: as of any other legal action")        \
  X(CHOICE, record, "mixture", 0, 0, "mixture|component",                                          \
    "log pi: of the mixture with the uniform policy, or of the part of it that acted")             \
  X(REAL, early_stop, "0", 0, 1, "",                                                               \
    "probability that a trajectory is made to end after a number of actions drawn uniformly")      \
  X(INT, early_from, "1", 1, 1000000, "", "least of these numbers")                                \
  X(REAL, temperature, "1", 1e-3, 1e3, "", "divides the logits, at the start")                     \
  X(REAL, temperature_end, "1", 1e-3, 1e3, "", "and at the end")                                   \
  X(REAL, exit_bias, "0", -100, 100, "", "subtracted from the exit action's logit, at the start")  \
  X(REAL, exit_bias_end, "0", -100, 100, "", "and at the end (released code: equal to exit_bias)") \
  X(CHOICE, schedule, "cosine", 0, 0, "constant|linear|cosine", "how start goes to end")           \
  X(REAL, until, "0.5", 1e-6, 1, "", "share of the iterations after which the end is reached")     \
  X(INT, heads, "0", 0, 1024, "",                                                                  \
    "Thompson sampling: further heads of P_F, one of which samples each trajectory; 0: none")      \
  X(REAL, head_share, "0.5", 1e-3, 1, "", "probability that a head learns from a trajectory")
typedef struct explore_cfg {
  EXPLORE_KEYS(FLV_FIELD)
} explore_cfg;
#define FLV_STRUCT explore_cfg
static const flv_param params[] = {EXPLORE_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static const flv_component component = {
    "behaviour",
    "epsilon-uniform, temperature, exit bias and Thompson sampling, combined; off by default",
    params,
    sizeof params / sizeof *params,
    sizeof(explore_cfg),
    NULL};
const flv_component *const flv_explore_list[] = {&component, NULL};

int flv_explore_heads(const void *cfg, double *share) {
  *share = ((const explore_cfg *)cfg)->head_share;
  return ((const explore_cfg *)cfg)->heads;
}

flv_explore flv_explore_at(const void *cfg, int64_t iteration, int64_t iterations) {
  const explore_cfg *c = cfg;
  double done = (double)iteration / (c->until * (double)iterations); // 0 .. 1
  if (done > 1.0) done = 1.0;
  double weight = 1.0; // of the start value
  if (c->schedule == LINEAR) weight = 1.0 - done;
  if (c->schedule == COSINE)
    weight = done >= 1.0 ? 0.0 : 0.5 * (1.0 + cos(3.14159265358979323846 * done));
  flv_explore e = {
      .epsilon = c->epsilon_end + weight * (c->epsilon - c->epsilon_end),
      .temperature = c->temperature_end + weight * (c->temperature - c->temperature_end),
      .exit_bias = c->exit_bias_end + weight * (c->exit_bias - c->exit_bias_end),
      .stop_gamma = c->stop_gamma,
      .early_stop = c->early_stop,
      .early_from = c->early_from,
      .component = c->record == COMPONENT,
      .heads = c->heads,
  };
  e.active = e.epsilon > 0.0 || e.temperature < 1.0 || e.temperature > 1.0 || e.exit_bias < 0.0 ||
             e.exit_bias > 0.0;
  return e;
}

flv_status flv_explore_check(const void *cfg, const flv_env *env, flv_error *err) {
  const explore_cfg *c = cfg;
  if (c->stop_gamma > 0.0 && env->exit_action < 0)
    return flv_fail(err, FLV_EINVAL,
                    "exploration.stop_gamma: it is of the exit action, and '%s' has none",
                    env->name);
  if (c->early_stop > 0.0 && env->exit_action < 0)
    return flv_fail(err, FLV_EINVAL,
                    "exploration.early_stop: it takes the exit action, and '%s' has none",
                    env->name);
  if (c->early_stop > 0.0 && c->early_from > env->max_length - 1)
    return flv_fail(err, FLV_EINVAL,
                    "exploration.early_from is %d, but '%s' has at most %d actions before the exit",
                    c->early_from, env->name, env->max_length - 1);
  return FLV_OK;
}

flv_explore flv_explore_uniformly(const void *cfg) {
  return (flv_explore){.epsilon = 1.0,
                       .temperature = 1.0,
                       .stop_gamma = ((const explore_cfg *)cfg)->stop_gamma,
                       .active = true};
}

// Probability, of `mass` in all, of the exit and of each other legal action.
typedef struct shares {
  double exit, other;
} shares;

static shares share_uniformly(const flv_explore *explore, const flv_env *env, const uint8_t *mask,
                              double mass) {
  const int exit = env->exit_action;
  int legal = 0;
  for (int a = 0; a < env->n_actions; a++) legal += mask[a];
  if (!(explore->stop_gamma > 0.0) || exit < 0 || !mask[exit] || legal == 1)
    return (shares){mass / legal, mass / legal};
  return (shares){mass * explore->stop_gamma, mass * (1.0 - explore->stop_gamma) / (legal - 1)};
}

void flv_explore_uniform(const flv_explore *explore, const flv_env *env, const uint8_t *mask,
                         double *pi) {
  const shares p = share_uniformly(explore, env, mask, 1.0);
  for (int a = 0; a < env->n_actions; a++)
    pi[a] = !mask[a] ? 0.0 : a == env->exit_action ? p.exit : p.other;
}

// Tempered: softmax over legal a of (log P_F(a) - [a = exit] bias) / temperature, since log P_F is
// u less a constant.
static void temper(const flv_explore *explore, const flv_env *env, const double *log_pf,
                   double *pi) {
  const int n = env->n_actions, exit = env->exit_action;
  for (int a = 0; a < n; a++) pi[a] = log_pf[a] / explore->temperature;
  if (exit >= 0) pi[exit] = (log_pf[exit] - explore->exit_bias) / explore->temperature;
  flv_softmax(n, pi, pi);
}

void flv_explore_pi(const flv_explore *explore, const flv_env *env, const double *log_pf,
                    const uint8_t *mask, double *pi) {
  const int n = env->n_actions, exit = env->exit_action;
  if (explore->temperature < 1.0 || explore->temperature > 1.0 || explore->exit_bias < 0.0 ||
      explore->exit_bias > 0.0)
    temper(explore, env, log_pf, pi);
  else
    flv_exp_row(n, log_pf, pi);
  const double epsilon = explore->component ? 0.0 : explore->epsilon;
  if (!(epsilon > 0.0)) return;
  const shares uniform = share_uniformly(explore, env, mask, epsilon);
  for (int a = 0; a < n; a++) {
    const double mixed = (1.0 - epsilon) * pi[a] + (a == exit ? uniform.exit : uniform.other);
    pi[a] = mask[a] ? mixed : 0.0;
  }
}
