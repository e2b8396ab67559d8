#include "reward/molecule_scores.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "chem/smiles.h"
#include "reward/key_cache.h"
#include "reward/mpnn.h"

// A molecule that is not in the cache, and the states that wait for it.
typedef struct wanted {
  uint64_t key[2];
  int last; // of these states; before[] has the others
} wanted;

// What one thread needs.
typedef struct scorer {
  struct scorer *next; // of those nobody uses
  flv_molecules molecules;
  void *scratch;
  int n;         // molecules to ask for
  flv_scored *x; // [batch]
  wanted *want;  // [batch]
  double *p;     // [batch]
  int32_t *before;
  int n_before;
  flv_molecule_counts counts; // since it was taken
} scorer;

typedef struct molecule_scores { // flv_reward.self
  flv_scoring rule;
  flv_key_cache *cache;
  const flv_fragments *env; // that the scorers are for
  pthread_mutex_t lock;     // of the list
  pthread_cond_t returned;
  scorer *idle;
  flv_molecule_counts counts; // of scorers that were given back
} molecule_scores;

// ---- scorers ----

static void scorer_free(const flv_scoring *rule, scorer *s) {
  if (!s) return;
  for (int k = 0; s->x && k < rule->batch; k++) {
    flv_molecule_free(&s->x[k].molecule);
    free(s->x[k].open);
  }
  free(s->x);
  free(s->want);
  free(s->p);
  free(s->before);
  if (s->scratch) rule->scratch_free(s->scratch);
  flv_molecules_free(&s->molecules);
  free(s);
}

static flv_status scorer_fill(scorer *s, const flv_scoring *rule, const flv_fragments *env,
                              flv_error *err) {
  const int atoms = flv_molecules_max_atoms(env), bonds = flv_molecules_max_bonds(env);
  const size_t n = (size_t)rule->batch;
  FLV_TRY(flv_molecules_init(&s->molecules, env, err));
  s->scratch = rule->scratch_new(rule->self, rule->batch, atoms, bonds);
  s->x = calloc(n, sizeof *s->x);
  s->want = calloc(n, sizeof *s->want);
  s->p = calloc(n, sizeof *s->p);
  if (!s->scratch || !s->x || !s->want || !s->p)
    return flv_fail(err, FLV_ENOMEM, "out of memory for reward '%s'", rule->name);
  for (int k = 0; k < rule->batch; k++) {
    FLV_TRY(flv_molecule_init(&s->x[k].molecule, atoms, bonds, err));
    if (!(s->x[k].open = calloc((size_t)atoms, 1)))
      return flv_fail(err, FLV_ENOMEM, "out of memory for reward '%s'", rule->name);
  }
  return FLV_OK;
}

static scorer *scorer_new(const flv_scoring *rule, const flv_fragments *env, flv_error *err) {
  scorer *s = calloc(1, sizeof *s);
  if (!s) flv_fail(err, FLV_ENOMEM, "out of memory for reward '%s'", rule->name);
  if (!s || scorer_fill(s, rule, env, err) == FLV_OK) return s;
  scorer_free(rule, s);
  return NULL;
}

// An idle one, or a new one, or, where there is no memory for that, the next that is given back.
static scorer *take(molecule_scores *self) {
  pthread_mutex_lock(&self->lock);
  scorer *s = self->idle;
  if (!s) s = scorer_new(&self->rule, self->env, NULL);
  while (!s) {
    pthread_cond_wait(&self->returned, &self->lock);
    s = self->idle;
  }
  if (s == self->idle) self->idle = s->next;
  pthread_mutex_unlock(&self->lock);
  return s;
}

static void give_back(molecule_scores *self, scorer *s) {
  pthread_mutex_lock(&self->lock);
  self->counts.asked += s->counts.asked;
  self->counts.scored += s->counts.scored;
  s->counts = (flv_molecule_counts){0, 0};
  s->next = self->idle;
  self->idle = s;
  pthread_cond_signal(&self->returned);
  pthread_mutex_unlock(&self->lock);
}

static void drop_idle(molecule_scores *self) {
  while (self->idle) {
    scorer *s = self->idle;
    self->idle = s->next;
    scorer_free(&self->rule, s);
  }
}

// ---- asking ----

static flv_status check(const flv_scoring *rule, const flv_scored *x, double p, flv_error *err) {
  if (isfinite(p) && (p >= 0.0 || rule->signed_numbers)) return FLV_OK;
  flv_smiles_list name = {0};
  const bool named = flv_smiles_list_add(&name, &x->molecule, '\0', NULL) == FLV_OK;
  const flv_status status = flv_fail(err, isnan(p) ? FLV_ENAN : FLV_EINVAL,
                                     "reward '%s': %g for %s, expected a %s number", rule->name, p,
                                     named ? name.text : "a molecule",
                                     rule->signed_numbers ? "finite" : "finite, not negative");
  flv_smiles_list_free(&name);
  return status;
}

// The log-rewards of all states that wait, in log_r, where p stood for those that were known.
static flv_status ask(molecule_scores *self, scorer *s, double *log_r, flv_error *err) {
  const flv_scoring *rule = &self->rule;
  for (int k = 0; k < s->n; k++) s->p[k] = (double)NAN; // what is not written is found out
  if (s->n > 0) FLV_TRY(rule->score(rule->self, s->scratch, s->n, s->x, s->p, err));
  s->counts.scored += s->n;
  for (int k = 0; k < s->n; k++) FLV_TRY(check(rule, &s->x[k], s->p[k], err));
  for (int k = 0; k < s->n; k++) {
    flv_key_cache_put(self->cache, s->want[k].key, s->p[k]);
    for (int i = s->want[k].last; i >= 0; i = s->before[i]) log_r[i] = s->p[k];
  }
  s->n = 0;
  return FLV_OK;
}

// The place among those to ask for of the molecule with that key, which is the assembled one.
static wanted *find(scorer *s, const uint64_t key[2]) {
  for (int k = 0; k < s->n; k++)
    if (s->want[k].key[0] == key[0] && s->want[k].key[1] == key[1]) return &s->want[k];
  flv_molecules *m = &s->molecules;
  flv_scored *x = &s->x[s->n];
  flv_molecules_order(m);
  flv_molecule_clear(&x->molecule);
  flv_molecule_append(&x->molecule, &m->ordered);
  memcpy(x->open, m->open, (size_t)m->ordered.n_atoms);
  s->want[s->n] = (wanted){{key[0], key[1]}, -1};
  return &s->want[s->n++];
}

// p of every state into log_r.
static flv_status score_all(molecule_scores *self, scorer *s, int n, const void *states,
                            double *log_r, flv_error *err) {
  s->n = 0;
  if (n > s->n_before) {
    int32_t *room = realloc(s->before, (size_t)n * sizeof *room);
    if (!room) return flv_fail(err, FLV_ENOMEM, "out of memory for reward '%s'", self->rule.name);
    s->before = room;
    s->n_before = n;
  }
  for (int i = 0; i < n; i++) {
    const flv_fragments_state *state = flv_fragments_at(states, i);
    uint64_t key[2];
    log_r[i] = 0.0; // of nothing
    if (state->n == 0) continue;
    s->counts.asked++;
    flv_molecules_assemble(&s->molecules, state);
    flv_molecules_key(&s->molecules, self->rule.tell, key);
    if (flv_key_cache_get(self->cache, key, &log_r[i])) continue;
    wanted *w = find(s, key);
    s->before[i] = w->last;
    w->last = i;
    if (s->n == self->rule.batch) FLV_TRY(ask(self, s, log_r, err));
  }
  return ask(self, s, log_r, err);
}

static flv_status molecule_scores_log_reward(const flv_reward *reward, const flv_env *env, int n,
                                             const void *states, double *log_r, flv_error *err) {
  molecule_scores *self = reward->self;
  (void)env;
  scorer *s = take(self);
  const flv_status status = score_all(self, s, n, states, log_r, err);
  give_back(self, s);
  if (status != FLV_OK) return status;
  const double r_min = self->rule.r_min, norm = self->rule.norm;
  for (int i = 0; i < n; i++) log_r[i] = flv_mpnn_log_reward(log_r[i], r_min, norm);
  return FLV_OK;
}

// ---- making ----

static flv_status molecule_scores_bind(const flv_reward *reward, const flv_env *env,
                                       flv_error *err) {
  molecule_scores *self = reward->self;
  const flv_fragments *fragments = flv_fragments_of(env);
  if (!fragments)
    return flv_fail(err, FLV_EINVAL, "reward '%s' needs environment 'fragments', not '%s'",
                    self->rule.name, env->name);
  if (self->env == fragments) return FLV_OK;
  scorer *s = scorer_new(&self->rule, fragments, err);
  if (!s) return FLV_ENOMEM;
  pthread_mutex_lock(&self->lock);
  drop_idle(self);
  self->env = fragments;
  self->idle = s;
  pthread_mutex_unlock(&self->lock);
  return FLV_OK;
}

static void molecule_scores_watch(const flv_reward *reward, const volatile int *stop) {
  const molecule_scores *self = reward->self;
  self->rule.watch(self->rule.self, stop);
}

static void molecule_scores_free(void *data) {
  molecule_scores *self = data;
  drop_idle(self);
  pthread_cond_destroy(&self->returned);
  pthread_mutex_destroy(&self->lock);
  flv_key_cache_free(self->cache);
  self->rule.free_self(self->rule.self);
  free(self);
}

flv_status flv_molecule_scores_reward(flv_reward *reward, const flv_scoring *rule, double exponent,
                                      flv_error *err) {
  molecule_scores *self = calloc(1, sizeof *self);
  flv_key_cache *cache = self ? flv_key_cache_new((size_t)rule->cache_mb << 20) : NULL;
  if (!cache) {
    const flv_status status =
        self ? flv_fail(err, FLV_ENOMEM, "out of memory for reward.cache_mb: %d", rule->cache_mb)
             : flv_fail(err, FLV_ENOMEM, "out of memory for reward '%s'", rule->name);
    free(self);
    rule->free_self(rule->self);
    return status;
  }
  self->rule = *rule;
  self->cache = cache;
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->returned, NULL);
  *reward = (flv_reward){.name = rule->name,
                         .self = self,
                         .exponent = exponent,
                         .scale = rule->norm,
                         .log_reward = molecule_scores_log_reward,
                         .bind = molecule_scores_bind,
                         .watch = rule->watch ? molecule_scores_watch : NULL,
                         .free_self = molecule_scores_free};
  return FLV_OK;
}

flv_molecule_counts flv_molecule_scores_counts(const flv_reward *reward) {
  return ((const molecule_scores *)reward->self)->counts;
}

// ---- texts ----

flv_status flv_smiles_list_add(flv_smiles_list *list, const flv_molecule *m, char end,
                               flv_error *err) {
  flv_smiles_list *l = list;
  size_t length = 0;
  for (;;) {
    // The length is that of the whole text; what does not fit is cut.
    FLV_TRY(
        flv_smiles_write(l->text ? l->text + l->used : NULL, l->room - l->used, &length, m, err));
    if (length + 1 < l->room - l->used) break;
    const size_t room = 2 * l->room + length + 256;
    char *text = realloc(l->text, room);
    if (!text) return flv_fail(err, FLV_ENOMEM, "out of memory for the SMILES of molecules");
    l->text = text;
    l->room = room;
  }
  l->used += length;
  l->text[l->used++] = end;
  return FLV_OK;
}

void flv_smiles_list_free(flv_smiles_list *list) {
  free(list->text);
  *list = (flv_smiles_list){0};
}
