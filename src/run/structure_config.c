// The configuration that suits a table: what the user says, and defaults by the number of variables
// (docs/structure.md says how they were measured).
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/config_values.h"
#include "base/memory.h"
#include "env/dag.h"
#include "fluvial/structure.h"
#include "io/adjacency.h"
#include "reward/dag_score.h"

// ---- names ----

static int find_name(const flv_dataset *data, const char *name, size_t length) {
  for (int j = 0; j < data->columns; j++)
    if (strlen(data->name[j]) == length && memcmp(data->name[j], name, length) == 0) return j;
  return -1;
}

static flv_status unknown_name(const flv_dataset *data, const char *edge, const char *name,
                               size_t length, flv_error *err) {
  char word[FLV_DATA_MAX_NAME + 1];
  snprintf(word, sizeof word, "%.*s", (int)length, name);
  const int near = flv_nearest_name(word, data->columns, (const char *const *)data->name);
  if (near >= 0)
    return flv_fail(err, FLV_EINVAL, "edge '%s': there is no variable '%s'; did you mean '%s'?",
                    edge, word, data->name[near]);
  return flv_fail(err, FLV_EINVAL, "edge '%s': there is no variable '%s'", edge, word);
}

static void trim(const char **begin, size_t *length) {
  while (*length > 0 && **begin == ' ') ++*begin, --*length;
  while (*length > 0 && (*begin)[*length - 1] == ' ') --*length;
}

// "FROM>TO", also "FROM -> TO". A name may itself hold '>': the first place is taken where both
// sides are names.
static flv_status find_edge(const flv_dataset *data, const char *edge, int *from, int *to,
                            flv_error *err) {
  const char *wrong = NULL;
  size_t wrong_length = 0;
  for (const char *arrow = strchr(edge, '>'); arrow; arrow = strchr(arrow + 1, '>')) {
    const char *left = edge, *right = arrow + 1;
    size_t n = (size_t)(arrow - edge), m = strlen(right);
    trim(&left, &n);
    trim(&right, &m);
    *from = find_name(data, left, n);
    *to = find_name(data, right, m);
    if (*from < 0 && n > 0 && left[n - 1] == '-') {
      n--;
      trim(&left, &n);
      *from = find_name(data, left, n);
    }
    if (*from >= 0 && *to >= 0) return FLV_OK;
    if (wrong) continue;
    wrong = *from < 0 ? left : right;
    wrong_length = *from < 0 ? n : m;
  }
  if (!wrong) return flv_fail(err, FLV_EINVAL, "edge '%s': expected FROM>TO", edge);
  return unknown_name(data, edge, wrong, wrong_length, err);
}

static flv_status set_edges(flv_config *cfg, const char *key, const flv_dataset *data, int n,
                            const char *const *edges, flv_error *err) {
  char text[FLV_VALUE_TEXT] = "[";
  size_t used = 1;
  if (2 * n > FLV_LIST_MAX)
    return flv_fail(err, FLV_EINVAL, "%d edges; expected at most %d", n, (int)FLV_LIST_MAX / 2);
  for (int k = 0; k < n; k++) {
    int from = 0, to = 0;
    FLV_TRY(find_edge(data, edges[k], &from, &to, err));
    if (from == to)
      return flv_fail(err, FLV_EINVAL, "edge '%s': leads from a variable to itself", edges[k]);
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%d, %d", k ? ", " : "", from, to);
  }
  snprintf(text + used, sizeof text - used, "]");
  return flv_config_set(cfg, key, text, err);
}

// ---- values ----

typedef struct setting {
  const char *key, *value;
} setting;

static flv_status set_all(flv_config *cfg, int n, const setting *settings, flv_error *err) {
  for (int i = 0; i < n; i++)
    if (settings[i].value) FLV_TRY(flv_config_set(cfg, settings[i].key, settings[i].value, err));
  return FLV_OK;
}

// By the number of variables; about a minute on one core. Up to 6 an evaluation enumerates all
// graphs, 3.8 million of 6: then only at the end.
//
// Up to 6 variables trajectory balance, off-policy, comes nearest to the posterior; up to 24 the
// variance over on-policy batches, which needs no log Z; beyond, a minute is too short for it to
// climb, and learning from every step gets further. From 7 on the exit is a gate in front of the
// edges so that the first trajectories are short (with a softmax over 400 actions they would fill
// the graph).
typedef struct training {
  int most; // variables
  const char *objective, *loss, *exit, *hidden, *epsilon, *epsilon_end, *lr, *batch;
  const char *iterations, *eval_every, *eval_samples, *checkpoint_every;
} training;
static const training trainings[] = {
    {5, "tb", "huber", "joint", "[128, 128]", "0.3", "0.02", "3e-3", "128", "16000", "1000", "1000",
     "500"},
    {6, "tb", "huber", "joint", "[256, 256]", "0.3", "0.02", "3e-3", "128", "8000", "8000", "1000",
     "500"},
    {12, "log_variance", "squared", "gated", "[256, 256]", "0", "0", "3e-3", "64", "2000", "250",
     "500", "250"},
    {24, "log_variance", "squared", "gated", "[256, 256]", "0", "0", "3e-3", "64", "1000", "250",
     "500", "100"},
    {FLV_DATA_MAX_COLUMNS, "modified_db", "huber", "gated", "[256, 256]", "0.05", "0", "1e-3", "32",
     "400", "100", "200", "50"},
};

static flv_status set_training(flv_config *cfg, int d, flv_error *err) {
  const training *t = trainings;
  while (d > t->most) t++;
  const setting settings[] = {
      {"env", "dag"},
      {"policy", "mlp"},
      {"policy.hidden", t->hidden},
      {"policy.p_b", "uniform"},
      {"policy.exit", t->exit},
      {"objective", t->objective},
      {"objective.loss", t->loss},
      {"exploration.epsilon", t->epsilon},
      {"exploration.epsilon_end", t->epsilon_end},
      {"exploration.schedule", "cosine"},
      {"exploration.until", "0.5"},
      {"optimiser", "adam"},
      {"optimiser.lr", t->lr},
      {"optimiser.lr_log_z", "0.1"},
      {"schedule", "cosine"},
      {"schedule.end", "0.01"},
      {"batch", t->batch},
      {"iterations", t->iterations},
      {"eval_every", t->eval_every},
      {"eval_samples", t->eval_samples},
      {"checkpoint_every", t->checkpoint_every},
  };
  return set_all(cfg, sizeof settings / sizeof *settings, settings, err);
}

// The path in full, so that the run can go on from any folder; as it is where it would be too long.
static flv_status set_table(flv_config *cfg, const char *path, flv_error *err) {
  char *full = realpath(path, NULL);
  const bool fits = full && strlen(full) < FLV_TEXT_MAX;
  const flv_status status = flv_config_set(cfg, "reward.path", fits ? full : path, err);
  free(full);
  return status;
}

static flv_status set_problem(flv_config *cfg, const flv_structure_problem *p, const char *score,
                              const flv_dataset *data, flv_error *err) {
  char parents[16];
  snprintf(parents, sizeof parents, "%d", p->max_parents);
  FLV_TRY(set_training(cfg, data->columns, err));
  const setting settings[] = {{"reward", score},
                              {"reward.prior", p->prior},
                              {"reward.standardise", data->x ? "true" : NULL},
                              {"env.max_parents", parents}};
  FLV_TRY(set_all(cfg, sizeof settings / sizeof *settings, settings, err));
  FLV_TRY(set_table(cfg, p->table, err));
  FLV_TRY(set_edges(cfg, "env.required", data, p->n_required, p->required, err));
  return set_edges(cfg, "env.forbidden", data, p->n_forbidden, p->forbidden, err);
}

static flv_status read_table(flv_dataset *data, const flv_structure_problem *p, const char *score,
                             flv_error *err) {
  const bool categories = strcmp(score, "bdeu") == 0;
  const flv_status status =
      flv_dataset_read(data, p->table, categories ? FLV_DATA_CATEGORIES : FLV_DATA_NUMBERS, err);
  if (status == FLV_OK || categories || p->score) return status;
  flv_error unused = {0};
  flv_dataset other = {0};
  if (flv_dataset_read(&other, p->table, FLV_DATA_CATEGORIES, &unused) != FLV_OK) return status;
  flv_dataset_free(&other);
  if (err && strstr(err->text, "a number")) { // a table of categories
    const size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used,
             "; if its columns are categories, take --score bdeu");
  }
  return status;
}

flv_status flv_structure_configure(flv_config *cfg, const flv_structure_problem *p,
                                   flv_error *err) {
  const char *score = p->score ? p->score : "bge";
  flv_config *next = flv_config_clone(cfg, err);
  if (!next) return err ? err->status : FLV_ENOMEM;
  flv_dataset data = {0};
  flv_status status = flv_config_set(next, "reward", score, err);
  if (status == FLV_OK) status = read_table(&data, p, score, err);
  if (status == FLV_OK) status = set_problem(next, p, score, &data, err);
  if (status == FLV_OK) flv_config_swap(cfg, next);
  flv_dataset_free(&data);
  flv_config_free(next);
  return status;
}

// ---- log Z ----

typedef struct climb {
  const flv_env *env;
  const flv_reward *reward;
  const flv_dag_score *score;
  int d;
  unsigned char *state;
  uint8_t *mask;
  double *gain; // [d*d] of adding the edge
  void *block;
} climb;

static double term(const climb *c, int j, uint64_t parents) {
  return flv_dag_local_score(c->reward, j, parents) +
         c->score->log_prior[__builtin_popcountll(parents)];
}

static void gains_into(const climb *c, int j, uint64_t parents) {
  const double now = term(c, j, parents);
  for (int i = 0; i < c->d; i++)
    if (i != j && !(parents >> i & 1))
      c->gain[i * c->d + j] = term(c, j, parents | UINT64_C(1) << i) - now;
}

// Adds the best edge while one raises log R.
static flv_status climb_graphs(const climb *c, double *log_r, flv_error *err) {
  const flv_dag_env *dag = flv_dag_env_of(c->env);
  const size_t size = (size_t)c->env->n_actions;
  c->env->ops->reset(c->env, 1, c->state);
  for (int j = 0; j < c->d; j++) gains_into(c, j, flv_dag_parents(dag, c->state, j));
  for (;;) {
    int32_t best = -1;
    memset(c->mask, 0, size);
    c->env->ops->mask(c->env, 1, c->state, c->mask);
    for (int a = 0; a < c->d * c->d; a++)
      if (c->mask[a] && c->gain[a] > (best < 0 ? 0.0 : c->gain[best])) best = a;
    if (best < 0) break;
    c->env->ops->step(c->env, 1, c->state, &best);
    gains_into(c, best % c->d, flv_dag_parents(dag, c->state, best % c->d));
  }
  return flv_reward_log(c->reward, c->env, 1, c->state, log_r, err);
}

static flv_status set_log_z(flv_config *cfg, const flv_env *env, const flv_reward *reward,
                            flv_error *err) {
  char text[FLV_REAL_TEXT];
  if (flv_config_get(cfg, "policy.log_z", text, sizeof text, NULL) != FLV_OK ||
      strtod(text, NULL) != 0.0)
    return FLV_OK; // no such value, or the user's own
  climb c = {.env = env, .reward = reward, .score = flv_dag_score_of(reward)};
  if (!c.score || !flv_dag_env_of(env)) return FLV_OK;
  c.d = c.score->d;
  const flv_slot slots[] = {FLV_SLOT(c.state, env->state_size), FLV_SLOT(c.mask, env->n_actions),
                            FLV_SLOT(c.gain, (size_t)c.d * (size_t)c.d)};
  c.block = flv_bind(3, slots);
  if (!c.block) return flv_fail(err, FLV_ENOMEM, "out of memory for %d variables", c.d);
  double log_z = 0.0;
  const flv_status status = climb_graphs(&c, &log_z, err);
  flv_free(c.block);
  if (status != FLV_OK) return status;
  log_z = floor(log_z * 100.0 + 0.5) / 100.0;
  if (!(fabs(log_z) <= 1e6)) return FLV_OK; // beyond what policy.log_z takes
  flv_real_format(log_z, text);
  return flv_config_set(cfg, "policy.log_z", text, err);
}

static flv_status check_truth(const flv_reward *reward, const char *truth, flv_error *err) {
  const flv_dag_score *score = flv_dag_score_of(reward);
  uint64_t parents[FLV_DAG_MAX_VARIABLES];
  if (!score) return flv_fail(err, FLV_EINVAL, "'%s' is no score of graphs", reward->name);
  return flv_adjacency_read(parents, truth, score->d, (const char *const *)score->data.name, err);
}

flv_status flv_structure_prepare(flv_config *cfg, const char *truth, flv_error *err) {
  flv_error local = {0};
  if (!err) err = &local;
  flv_reward *reward = flv_reward_new(cfg, err);
  if (!reward) return err->status;
  flv_env *env = flv_env_new(cfg, &reward->shape, err);
  flv_status status = env ? FLV_OK : err->status;
  if (status == FLV_OK && reward->bind) status = reward->bind(reward, env, err);
  if (status == FLV_OK && truth) status = check_truth(reward, truth, err);
  if (status == FLV_OK) status = set_log_z(cfg, env, reward, err);
  flv_env_free(env);
  flv_reward_free(reward);
  return status;
}
