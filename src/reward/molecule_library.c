// A reward for molecules from a shared library that the user wrote (fluvial/molecule_reward.h), and
// what becomes of its numbers (reward/molecule_scores.h).
//
// It is told the molecule, not which atoms have slots left. Calls come one at a time: it may keep
// what it likes in variables of its own.
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "chem/perceive.h"
#include "fluvial/molecule_reward.h"
#include "reward/molecule_scores.h"
#include "reward/reward_list.h"

#define MOLECULE_LIBRARY_KEYS(X)                                                                   \
  X(TEXT, path, "", 0, 0, "", "shared library, made with fluvial/molecule_reward.h; required")     \
  X(TEXT, symbol, "reward", 0, 0, "", "its function")                                              \
  X(TEXT, config, "", 0, 0, "", "a text that the function is given")                               \
  X(INT, batch, "256", 1, 4096, "", "most molecules in one call")                                  \
  FLV_MOLECULE_SCORE_KEYS(X)                                                                       \
  FLV_EXPONENT_KEY(X)
typedef struct molecule_library_cfg {
  MOLECULE_LIBRARY_KEYS(FLV_FIELD)
} molecule_library_cfg;
#define FLV_STRUCT molecule_library_cfg
static const flv_param molecule_library_params[] = {MOLECULE_LIBRARY_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

typedef struct molecule_library {
  void *handle;
  flv_molecule_reward_fn reward;
  flv_text path, symbol, config;
  pthread_mutex_t lock; // around calls
} molecule_library;

// ---- calling ----

typedef struct scratch { // of one thread
  flv_perception perception;
  flv_smiles_list list;
  size_t *text;                  // [batch] where each SMILES begins
  flv_reward_molecule *molecule; // [batch]
  flv_reward_atom *atom;         // [batch, atoms]
  flv_reward_bond *bond;         // [batch, bonds]
  int atoms, bonds;
  void *block;
} scratch;

static void scratch_free(void *data) {
  scratch *s = data;
  flv_perception_free(&s->perception);
  flv_smiles_list_free(&s->list);
  flv_free(s->block);
  free(s);
}

static void *scratch_new(void *self, int batch, int atoms, int bonds) {
  (void)self;
  scratch *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->atoms = atoms;
  s->bonds = bonds;
  const flv_slot slots[] = {FLV_SLOT(s->text, batch), FLV_SLOT(s->molecule, batch),
                            FLV_SLOT(s->atom, (size_t)batch * (size_t)atoms),
                            FLV_SLOT(s->bond, (size_t)batch * (size_t)bonds)};
  s->block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (s->block && flv_perception_init(&s->perception, atoms, bonds, NULL) == FLV_OK) return s;
  scratch_free(s);
  return NULL;
}

static flv_status describe(scratch *s, int k, const flv_molecule *m, flv_error *err) {
  flv_reward_atom *atom = s->atom + (size_t)k * (size_t)s->atoms;
  flv_reward_bond *bond = s->bond + (size_t)k * (size_t)s->bonds;
  flv_perceive(&s->perception, m);
  for (int i = 0; i < m->n_atoms; i++)
    atom[i] = (flv_reward_atom){.z = m->atom[i].z,
                                .charge = m->atom[i].q,
                                .hydrogens = (uint8_t)s->perception.hydrogens[i],
                                .aromatic = m->atom[i].aromatic};
  for (int j = 0; j < m->n_bonds; j++) {
    const flv_bond *b = &m->bond[j];
    bond[j] = (flv_reward_bond){b->a < b->b ? b->a : b->b, b->a < b->b ? b->b : b->a, b->order};
  }
  s->text[k] = s->list.used;
  s->molecule[k] = (flv_reward_molecule){
      .n_atoms = m->n_atoms, .n_bonds = m->n_bonds, .atom = atom, .bond = bond};
  return flv_smiles_list_add(&s->list, m, '\0', err);
}

static void one_line(char *text) {
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < ' ') *c = ' ';
  for (size_t n = strlen(text); n > 0 && text[n - 1] == ' '; n--) text[n - 1] = '\0';
}

static flv_status call(void *data, void *own, int n, const flv_scored *x, double *p,
                       flv_error *err) {
  molecule_library *self = data;
  scratch *s = own;
  char why[256] = "";
  s->list.used = 0;
  for (int k = 0; k < n; k++) FLV_TRY(describe(s, k, &x[k].molecule, err));
  for (int k = 0; k < n; k++) s->molecule[k].smiles = s->list.text + s->text[k];
  pthread_mutex_lock(&self->lock);
  const int code = self->reward(self->config, n, s->molecule, p, why, sizeof why);
  pthread_mutex_unlock(&self->lock);
  if (code == 0) return FLV_OK;
  why[sizeof why - 1] = '\0';
  one_line(why);
  return flv_fail(err, FLV_EIO, "%s: '%s' failed (%d): %s", self->path, self->symbol, code,
                  why[0] ? why : "it did not say why");
}

// ---- making one ----

static void molecule_library_free(void *data) {
  molecule_library *self = data;
  if (self->handle) dlclose(self->handle);
  pthread_mutex_destroy(&self->lock);
  free(self);
}

// A path is a path: only with a slash is it not looked up among the system's libraries.
static flv_status open_library(molecule_library *self, flv_error *err) {
  char path[sizeof self->path + 2];
  snprintf(path, sizeof path, "%s%s", strchr(self->path, '/') ? "" : "./", self->path);
  self->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!self->handle) {
    char why[400];
    snprintf(why, sizeof why, "%s", dlerror());
    one_line(why);
    return flv_fail(err, FLV_EIO, "reward.path: no shared library: %s", why);
  }
  const int32_t *version = dlsym(self->handle, "flv_molecule_reward_version");
  if (!version)
    return flv_fail(err, FLV_EINVAL,
                    "%s: not made with fluvial/molecule_reward.h (it has no "
                    "FLV_MOLECULE_REWARD_LIBRARY)",
                    self->path);
  if (*version != FLV_MOLECULE_REWARD_VERSION)
    return flv_fail(err, FLV_EINVAL,
                    "%s: made with version %d of fluvial/molecule_reward.h, expected %d",
                    self->path, (int)*version, (int)FLV_MOLECULE_REWARD_VERSION);
  void *const symbol = dlsym(self->handle, self->symbol);
  if (!symbol)
    return flv_fail(err, FLV_EINVAL, "%s: has no function '%s' (reward.symbol)", self->path,
                    self->symbol);
  memcpy(&self->reward, &symbol, sizeof self->reward);
  return FLV_OK;
}

static flv_status load(molecule_library *self, const molecule_library_cfg *cfg, flv_error *err) {
  memcpy(self->path, cfg->path, sizeof self->path);
  memcpy(self->symbol, cfg->symbol, sizeof self->symbol);
  memcpy(self->config, cfg->config, sizeof self->config);
  if (!self->path[0])
    return flv_fail(err, FLV_EINVAL, "reward.path: a shared library with a reward is needed");
  FLV_TRY(open_library(self, err));
  return FLV_OK;
}

static flv_status molecule_library_create(flv_reward *reward, const void *values, flv_error *err) {
  const molecule_library_cfg *cfg = values;
  molecule_library *self = calloc(1, sizeof *self);
  if (!self) return flv_fail(err, FLV_ENOMEM, "out of memory for reward 'molecule_library'");
  pthread_mutex_init(&self->lock, NULL);
  const flv_status status = load(self, cfg, err);
  if (status != FLV_OK) {
    molecule_library_free(self);
    return status;
  }
  const flv_scoring rule = {.name = "molecule_library",
                            .self = self,
                            .free_self = molecule_library_free,
                            .batch = cfg->batch,
                            .cache_mb = cfg->cache_mb,
                            .r_min = cfg->r_min,
                            .norm = cfg->norm,
                            .scratch_new = scratch_new,
                            .scratch_free = scratch_free,
                            .score = call};
  return flv_molecule_scores_reward(reward, &rule, cfg->exponent, err);
}

static const flv_reward_impl molecule_library_impl = {molecule_library_create};
const flv_component flv_reward_molecule_library = {
    "molecule_library",           "fragments: what a shared library of your own says",
    molecule_library_params,      sizeof molecule_library_params / sizeof *molecule_library_params,
    sizeof(molecule_library_cfg), &molecule_library_impl};
