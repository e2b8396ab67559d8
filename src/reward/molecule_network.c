// A network's prediction p(x) for molecules joined from fragments (reward/mpnn.h):
//   log R = log(max(r_min, p) / norm)
// [Bengio et al. 2021, arXiv:2106.04399; Malkin et al. 2023, arXiv:2210.00580, section 4.4: R_min
// 0.1, norm 8, exponents 4 to 16].
//
// The network reads the molecule and which of its atoms have slots left, so p is a function of
// that. It is computed on the molecule in canonical order and by itself, and kept by its canonical
// key, so that its bits depend on nothing that was asked before.
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "env/molecules.h"
#include "fluvial/reward.h"
#include "reward/key_cache.h"
#include "reward/mpnn.h"
#include "reward/reward_list.h"

enum { ROOT_PLAIN, ROOT_TRANSPOSED };

#define MOLECULE_NETWORK_KEYS(X)                                                                   \
  X(TEXT, path, "", 0, 0, "", "weights of the network, safetensors; required")                     \
  X(REAL, r_min, "0.1", 1e-9, 1e9, "", "least prediction, to which smaller ones are raised")       \
  X(REAL, norm, "8", 1e-9, 1e9, "", "prediction at which R is 1")                                  \
  X(INT, steps, "12", 1, 64, "", "steps of message passing")                                       \
  X(CHOICE, root, "plain", 0, 0, "plain|transposed",                                               \
    "how the weights of a node's own state stand in the file: W h, or W' h (older files)")         \
  X(CHOICE, precision, "double", 0, 0, "double|single", "of the network's arithmetic")             \
  X(INT, cache_mb, "64", 0, 65536, "", "memory for predictions, MiB")                              \
  FLV_EXPONENT_KEY(X)
typedef struct molecule_network_cfg {
  MOLECULE_NETWORK_KEYS(FLV_FIELD)
} molecule_network_cfg;
#define FLV_STRUCT molecule_network_cfg
static const flv_param molecule_network_params[] = {MOLECULE_NETWORK_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

// What one thread needs to score a molecule.
typedef struct scorer {
  struct scorer *next; // of those nobody uses
  flv_molecules molecules;
  flv_perception perception;
  flv_mpnn_work *work;
  double *x;
  flv_edge *edge;
} scorer;

typedef struct molecule_network {
  flv_mpnn *net;
  double r_min, norm;
  flv_key_cache *cache;
  const flv_fragments *env; // that the scorers are for
  pthread_mutex_t lock;     // of the list
  pthread_cond_t returned;
  scorer *idle;
} molecule_network;

// ---- scorers ----

static void scorer_free(scorer *s) {
  if (!s) return;
  flv_molecules_free(&s->molecules);
  flv_perception_free(&s->perception);
  flv_mpnn_work_free(s->work);
  free(s->x);
  free(s->edge);
  free(s);
}

static scorer *scorer_new(const molecule_network *self, const flv_fragments *env, flv_error *err) {
  const int atoms = flv_molecules_max_atoms(env), bonds = flv_molecules_max_bonds(env);
  scorer *s = calloc(1, sizeof *s);
  if (!s || flv_molecules_init(&s->molecules, env, err) != FLV_OK ||
      flv_perception_init(&s->perception, atoms, bonds, err) != FLV_OK ||
      !(s->work = flv_mpnn_work_new(self->net, 1, atoms, 2 * bonds + 1)) ||
      !(s->x = calloc((size_t)atoms * FLV_ATOM_FEATURES, sizeof *s->x)) ||
      !(s->edge = calloc(2 * (size_t)bonds + 1, sizeof *s->edge))) {
    scorer_free(s);
    flv_fail(err, FLV_ENOMEM, "out of memory for reward 'molecule_network'");
    return NULL;
  }
  return s;
}

// An idle one, or a new one, or, where there is no memory for that, the next that is given back.
static scorer *take(molecule_network *self) {
  pthread_mutex_lock(&self->lock);
  scorer *s = self->idle;
  if (!s) s = scorer_new(self, self->env, NULL);
  while (!s) {
    pthread_cond_wait(&self->returned, &self->lock);
    s = self->idle;
  }
  if (s == self->idle) self->idle = s->next;
  pthread_mutex_unlock(&self->lock);
  return s;
}

static void give_back(molecule_network *self, scorer *s) {
  pthread_mutex_lock(&self->lock);
  s->next = self->idle;
  self->idle = s;
  pthread_cond_signal(&self->returned);
  pthread_mutex_unlock(&self->lock);
}

// ---- the reward ----

static double predict(const molecule_network *self, scorer *s) {
  flv_molecules *m = &s->molecules;
  flv_molecules_order(m);
  flv_perceive(&s->perception, &m->ordered);
  flv_atom_features(s->x, &m->ordered, &s->perception, m->open);
  const int first_atom[2] = {0, m->ordered.n_atoms};
  const int first_edge[2] = {0, flv_atom_edges(s->edge, &m->ordered)};
  const flv_atom_graphs graph = {1, first_atom, first_edge, s->x, s->edge};
  double p;
  flv_mpnn_eval(self->net, s->work, &graph, &p);
  return p;
}

static void molecule_network_log_reward(const flv_reward *reward, const flv_env *env, int n,
                                        const void *states, double *log_r) {
  molecule_network *self = reward->self;
  (void)env;
  scorer *s = take(self);
  for (int i = 0; i < n; i++) {
    const flv_fragments_state *state = flv_fragments_at(states, i);
    double p = 0.0; // of nothing
    if (state->n > 0) {
      uint64_t key[2];
      flv_molecules_assemble(&s->molecules, state);
      flv_molecules_key(&s->molecules, FLV_TELL_STEMS, key);
      if (!flv_key_cache_get(self->cache, key, &p)) {
        p = predict(self, s);
        flv_key_cache_put(self->cache, key, p);
      }
    }
    log_r[i] = flv_mpnn_log_reward(p, self->r_min, self->norm);
  }
  give_back(self, s);
}

// ---- making one ----

static flv_status molecule_network_bind(const flv_reward *reward, const flv_env *env,
                                        flv_error *err) {
  molecule_network *self = reward->self;
  const flv_fragments *fragments = flv_fragments_of(env);
  if (!fragments)
    return flv_fail(err, FLV_EINVAL, "reward '%s' needs environment 'fragments', not '%s'",
                    reward->name, env->name);
  if (self->env == fragments) return FLV_OK;
  scorer *s = scorer_new(self, fragments, err);
  if (!s) return FLV_ENOMEM;
  pthread_mutex_lock(&self->lock);
  while (self->idle) {
    scorer *old = self->idle;
    self->idle = old->next;
    scorer_free(old);
  }
  self->env = fragments;
  self->idle = s;
  pthread_mutex_unlock(&self->lock);
  return FLV_OK;
}

static void molecule_network_free(void *data) {
  molecule_network *self = data;
  while (self->idle) {
    scorer *s = self->idle;
    self->idle = s->next;
    scorer_free(s);
  }
  pthread_cond_destroy(&self->returned);
  pthread_mutex_destroy(&self->lock);
  flv_key_cache_free(self->cache);
  flv_mpnn_free(self->net);
  free(self);
}

static flv_status load(molecule_network *self, const molecule_network_cfg *cfg, flv_error *err) {
  const flv_mpnn_options options = {.steps = cfg->steps,
                                    .readout_steps = 3,
                                    .root_transposed = cfg->root == ROOT_TRANSPOSED,
                                    .precision = cfg->precision == 0 ? FLV_F64 : FLV_F32};
  if (!cfg->path[0])
    return flv_fail(err, FLV_EINVAL, "reward.path: the weights of a network are needed");
  FLV_TRY(flv_mpnn_load(&self->net, cfg->path, &options, err));
  if (flv_mpnn_columns(self->net) != FLV_ATOM_FEATURES ||
      flv_mpnn_kinds(self->net) != FLV_BOND_FEATURES + 1)
    return flv_fail(err, FLV_EINVAL,
                    "%s: the network reads %d features of atoms and %d of bonds; expected %d "
                    "and %d",
                    cfg->path, flv_mpnn_columns(self->net), flv_mpnn_kinds(self->net) - 1,
                    (int)FLV_ATOM_FEATURES, (int)FLV_BOND_FEATURES);
  self->cache = flv_key_cache_new((size_t)cfg->cache_mb << 20);
  return self->cache
             ? FLV_OK
             : flv_fail(err, FLV_ENOMEM, "out of memory for reward.cache_mb: %d", cfg->cache_mb);
}

static flv_status molecule_network_create(flv_reward *reward, const void *values, flv_error *err) {
  const molecule_network_cfg *cfg = values;
  molecule_network *self = calloc(1, sizeof *self);
  if (!self) return flv_fail(err, FLV_ENOMEM, "out of memory for reward 'molecule_network'");
  self->r_min = cfg->r_min;
  self->norm = cfg->norm;
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->returned, NULL);
  const flv_status status = load(self, cfg, err);
  if (status != FLV_OK) {
    molecule_network_free(self);
    return status;
  }
  *reward = (flv_reward){.name = "molecule_network",
                         .self = self,
                         .exponent = cfg->exponent,
                         .log_reward = molecule_network_log_reward,
                         .bind = molecule_network_bind,
                         .free_self = molecule_network_free};
  return FLV_OK;
}

static const flv_reward_impl molecule_network_impl = {molecule_network_create};
const flv_component flv_reward_molecule_network = {
    "molecule_network",           "fragments: what a network of message passing predicts",
    molecule_network_params,      sizeof molecule_network_params / sizeof *molecule_network_params,
    sizeof(molecule_network_cfg), &molecule_network_impl};
