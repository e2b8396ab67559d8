// Molecules joined from fragments, one block a step. [Bengio et al. 2021, arXiv:2106.04399; Malkin
// et al. 2023, arXiv:2210.00580, section 4.4]
//
// From nothing, the first action puts any block of the vocabulary; each later one joins a block, by
// the first atom of its list, to a free slot of a block that is there. Action (p S + j) K + k joins
// block k to slot j of position p (S: most slots of a block, K: blocks); the last action ends, from
// min_blocks blocks on, and is the only one when there are max_blocks or no slot is free.
//
// The slots of a block are the places in its list of attachment atoms, so an atom that is listed
// twice has two. The root's slot 0, its own first atom, is free; of every other block it is the one
// it is joined by. A state is the tree with its slots (fragments.h) and forgets the order in which
// it grew; a block joined to another slot makes another state, though the molecule may be the same:
// states are ways to write a molecule.
//
// Backward action p takes away position p. parents: tree takes leaves other than the root, so that
// a step back is a step undone. parents: molecule counts as the paper does: any block with one
// neighbour, so also a root with one child, which becomes the root. The step that leads forward
// again joins a copy of the old root, or of a block that is the same by symmetry, to the new root's
// slot 0, and arrives at another way to write the molecule.
#include "env/fragments.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "chem/fingerprint.h"
#include "chem/smiles.h"
#include "env/env_list.h"
#include "env/molecules.h"

#define ENV flv_fragments
#define STATE flv_fragments_state
#define ENV_OPS fragments_ops
#define ENV_COLUMNS
#define ENV_OBJECTS

static inline void env_reset(const flv_fragments *e, flv_fragments_state *s) { (void)e, (void)s; }

// Where a block joined to that slot stands.
static inline int place_of(const flv_fragments_state *s, int parent, int slot) {
  int p = s->n > 0;
  while (p < (int)s->n && (s->parent[p] < parent || (s->parent[p] == parent && s->slot[p] < slot)))
    p++;
  return p;
}

static inline void env_step(const flv_fragments *e, flv_fragments_state *s, int action) {
  const int join = action / e->vocabulary.n_blocks, parent = join / e->slots,
            slot = join % e->slots;
  const int at = place_of(s, parent, slot);
  for (int p = (int)s->n; p > at; p--) {
    s->block[p] = s->block[p - 1];
    s->parent[p] = (uint8_t)(s->parent[p - 1] + (s->parent[p - 1] >= at));
    s->slot[p] = s->slot[p - 1];
  }
  s->block[at] = (uint16_t)(action % e->vocabulary.n_blocks);
  s->parent[at] = (uint8_t)parent;
  s->slot[at] = (uint8_t)slot;
  s->n++;
}

// A leaf, or a root with one child, which then stands first.
static inline void env_unstep(const flv_fragments *e, flv_fragments_state *s, int back) {
  (void)e;
  const int last = (int)--s->n;
  for (int p = back; p < last; p++) {
    s->block[p] = s->block[p + 1];
    s->parent[p] = (uint8_t)(s->parent[p + 1] - (s->parent[p + 1] > back));
    s->slot[p] = s->slot[p + 1];
  }
  s->block[last] = 0;
  s->parent[last] = s->slot[last] = 0;
  s->parent[0] = s->slot[0] = 0;
}

static inline uint32_t slots_of(const flv_fragments *e, int block) {
  return UINT32_MAX >> (32 - e->vocabulary.block[block].n_attach);
}

static inline void env_mask(const flv_fragments *e, const flv_fragments_state *s, uint8_t *mask) {
  const int k = e->vocabulary.n_blocks, exit = (e->max_blocks - 1) * e->slots * k;
  bool open = false;
  if (s->n == 0) memset(mask, 1, (size_t)k);
  for (int p = 0; p < (int)s->n && (int)s->n < e->max_blocks; p++) {
    const uint32_t free = slots_of(e, s->block[p]) & ~flv_fragments_used(s, p);
    for (int j = 0; j < e->slots; j++)
      if (free >> j & 1) memset(mask + flv_fragments_action(e, p, j, 0), 1, (size_t)k);
    open |= free != 0;
  }
  mask[exit] = (int)s->n >= e->min_blocks || (s->n > 0 && !open);
}

static inline int children_of(const flv_fragments_state *s, int p) {
  int n = 0;
  for (int k = p + 1; k < (int)s->n; k++) n += s->parent[k] == p;
  return n;
}

static inline void env_mask_back(const flv_fragments *e, const flv_fragments_state *s,
                                 uint8_t *mask) {
  for (int p = 1; p < (int)s->n; p++) mask[p] = children_of(s, p) == 0;
  if (s->n > 0) mask[0] = s->n == 1 || (e->root_leaves && children_of(s, 0) == 1);
}

static inline int env_back_of(const flv_fragments *e, const flv_fragments_state *parent,
                              int action) {
  const int join = action / e->vocabulary.n_blocks;
  return place_of(parent, join / e->slots, join % e->slots);
}

static inline int env_action_of(const flv_fragments *e, const flv_fragments_state *child,
                                int back) {
  if (back > 0 || child->n == 1)
    return flv_fragments_action(e, child->parent[back], child->slot[back], child->block[back]);
  const flv_block *root = &e->vocabulary.block[child->block[0]];
  return flv_fragments_action(
      e, 0, 0, flv_block_joining(&e->vocabulary, child->block[0], root->attach[child->slot[1]]));
}

// Of position p the block, feature p K + block, and, after those of all M positions, what it is
// joined to: M K + p (M S + 1) + parent S + slot, the last of the M S + 1 for the root. Two entries
// a position, in the order of positions.
static inline void env_observe(const flv_fragments *e, const flv_fragments_state *s, int32_t *hot,
                               float *x) {
  (void)x;
  const int m = e->max_blocks, k = e->vocabulary.n_blocks, links = m * e->slots + 1;
  for (int p = 0; p < (int)s->n; p++) {
    const int link = p > 0 ? s->parent[p] * e->slots + s->slot[p] : links - 1;
    hot[2 * p] = p * k + s->block[p];
    hot[2 * p + 1] = m * k + p * links + link;
  }
  for (int p = 2 * (int)s->n; p < 2 * m; p++) hot[p] = -1;
}

// ---- files ----

// Of each position its block, parent and slot, 0 and 0 for the root; -1 behind the last.
static inline void env_columns(const flv_fragments *e, const flv_fragments_state *s,
                               int32_t *cell) {
  for (int p = 0; p < e->max_blocks; p++, cell += 3) {
    const bool there = p < (int)s->n;
    cell[0] = there ? s->block[p] : -1;
    cell[1] = there ? s->parent[p] : -1;
    cell[2] = there ? s->slot[p] : -1;
  }
}

// May this be the next position? Slots in order, so that no slot is used twice; slot 0 is free of
// the root alone.
static inline bool may_follow(const flv_fragments *e, const flv_fragments_state *s,
                              const int32_t *cell) {
  const int p = (int)s->n, block = cell[0], parent = cell[1], slot = cell[2];
  if (block < 0 || block >= e->vocabulary.n_blocks) return false;
  if (p == 0) return parent == 0 && slot == 0;
  if (parent < 0 || parent >= p || slot < (parent > 0)) return false;
  if (slot >= e->vocabulary.block[s->block[parent]].n_attach) return false;
  if (p == 1) return true;
  return parent > s->parent[p - 1] || (parent == s->parent[p - 1] && slot > s->slot[p - 1]);
}

static inline bool env_from_columns(const flv_fragments *e, const int32_t *cell,
                                    flv_fragments_state *s) {
  for (; (int)s->n < e->max_blocks && may_follow(e, s, cell); s->n++, cell += 3) {
    s->block[s->n] = (uint16_t)cell[0];
    s->parent[s->n] = (uint8_t)cell[1];
    s->slot[s->n] = (uint8_t)cell[2];
  }
  for (int k = 0; k < 3 * (e->max_blocks - (int)s->n); k++)
    if (cell[k] != -1) return false;
  return true;
}

// ---- molecules: one for all threads, who take turns ----

typedef struct fragments_scratch {
  pthread_mutex_t lock;
  flv_molecules molecules;
} fragments_scratch;

static inline void env_identify(const flv_fragments *e, const flv_fragments_state *s,
                                uint64_t key[2]) {
  key[0] = key[1] = 0;
  if (s->n == 0) return;
  pthread_mutex_lock(&e->scratch->lock);
  flv_molecules_assemble(&e->scratch->molecules, s);
  flv_molecules_key(&e->scratch->molecules, 0, key);
  pthread_mutex_unlock(&e->scratch->lock);
}

static inline flv_status env_text(const flv_fragments *e, const flv_fragments_state *s, char *text,
                                  size_t room, flv_error *err) {
  if (room > 0) text[0] = '\0';
  if (s->n == 0) return FLV_OK;
  pthread_mutex_lock(&e->scratch->lock);
  flv_molecules_assemble(&e->scratch->molecules, s);
  const flv_status status = flv_molecules_smiles(&e->scratch->molecules, text, room, err);
  pthread_mutex_unlock(&e->scratch->lock);
  return status;
}

static inline flv_status env_fingerprint(const flv_fragments *e, const char *text, uint64_t *bits,
                                         flv_error *err) {
  (void)e;
  flv_molecule molecule;
  FLV_TRY(flv_smiles_read(&molecule, text, strlen(text), err));
  const flv_status status = flv_fingerprint(bits, &molecule, err);
  flv_molecule_free(&molecule);
  return status;
}

#include "fluvial/env_template.h"

static flv_status make_scratch(flv_fragments *e, flv_error *err) {
  fragments_scratch *scratch = calloc(1, sizeof *scratch);
  if (!scratch) return flv_fail(err, FLV_ENOMEM, "out of memory for environment 'fragments'");
  const flv_status status = flv_molecules_init(&scratch->molecules, e, err);
  if (status != FLV_OK) {
    free(scratch);
    return status;
  }
  pthread_mutex_init(&scratch->lock, NULL);
  e->scratch = scratch;
  return FLV_OK;
}

static void free_scratch(fragments_scratch *scratch) {
  if (!scratch) return;
  pthread_mutex_destroy(&scratch->lock);
  flv_molecules_free(&scratch->molecules);
  free(scratch);
}

// ---- configuration ----

enum { PARENTS_MOLECULE, PARENTS_TREE, STEMS_DISTINCT = 0, STEMS_PUBLISHED };

#define FRAGMENTS_KEYS(X)                                                                          \
  X(TEXT, path, "", 0, 0, "", "vocabulary of fragments, JSON; required")                           \
  X(INT, max_blocks, "8", 2, FLV_FRAGMENTS_MAX, "", "most blocks of a molecule")                   \
  X(INT, min_blocks, "2", 0, FLV_FRAGMENTS_MAX, "", "fewest blocks of a molecule that may end")    \
  X(CHOICE, parents, "molecule", 0, 0, "molecule|tree",                                            \
    "what P_B may take away: any block with one neighbour, or leaves but the root")                \
  X(CHOICE, stem_types, "distinct", 0, 0, "distinct|published",                                    \
    "numbering of attachment atoms: each its own, or the published rule, by which some coincide")
typedef struct fragments_cfg {
  FRAGMENTS_KEYS(FLV_FIELD)
} fragments_cfg;
#define FLV_STRUCT fragments_cfg
static const flv_param fragments_params[] = {FRAGMENTS_KEYS(FLV_PARAM)};
#undef FLV_STRUCT

static void fragments_free(void *self) {
  flv_fragments *e = self;
  free_scratch(e->scratch);
  flv_vocabulary_free(&e->vocabulary);
  free(e->fragment);
  free(e);
}

// A tree that can neither grow nor end: all its slots used with fewer blocks than min_blocks. Two
// blocks of one attachment each make one of two.
static flv_status check_ends(const flv_fragments *e, const char *path, flv_error *err) {
  const flv_vocabulary *v = &e->vocabulary;
  for (int k = 0; k < v->n_blocks && e->min_blocks > 2; k++)
    if (v->block[k].n_attach == 1)
      return flv_fail(
          err, FLV_EINVAL,
          "env.min_blocks is %d, but '%s' has blocks with a single attachment (block %d, "
          "%s), which leave no way to go on from two; expected at most 2",
          e->min_blocks, path, k, v->fragment[v->block[k].fragment].smiles);
  if (e->min_blocks > e->max_blocks)
    return flv_fail(err, FLV_EINVAL, "env.min_blocks is %d; expected at most env.max_blocks, %d",
                    e->min_blocks, e->max_blocks);
  const int64_t actions = (int64_t)(e->max_blocks - 1) * e->slots * v->n_blocks;
  if (actions >= FLV_FRAGMENTS_ACTIONS)
    return flv_fail(err, FLV_EINVAL,
                    "fragments: %d blocks with up to %d attachments make %lld actions; expected "
                    "fewer than %d: lower env.max_blocks",
                    v->n_blocks, e->slots, (long long)actions, (int)FLV_FRAGMENTS_ACTIONS);
  return FLV_OK;
}

static flv_status number_kinds(flv_fragments *e, flv_error *err) {
  const flv_vocabulary *v = &e->vocabulary;
  const size_t kinds = (size_t)v->n_blocks + 1;
  e->fragment = calloc(kinds * (2 + (size_t)e->slots), sizeof *e->fragment);
  if (!e->fragment) return flv_fail(err, FLV_ENOMEM, "out of memory for %d blocks", v->n_blocks);
  e->n_slots = e->fragment + kinds;
  e->stem_type = e->n_slots + kinds;
  for (int k = 0; k < v->n_blocks; k++) {
    e->fragment[k] = v->block[k].fragment;
    e->n_slots[k] = v->block[k].n_attach;
    for (int j = 0; j < e->n_slots[k]; j++)
      e->stem_type[k * e->slots + j] = flv_stem_type(v, k, v->block[k].attach[j]);
  }
  e->fragment[v->n_blocks] = v->n_fragments;
  e->n_slots[v->n_blocks] = 1;
  e->stem_type[v->n_blocks * e->slots] = v->n_stem_types;
  return FLV_OK;
}

static void describe(flv_env *env, flv_fragments *e) {
  const int m = e->max_blocks, k = e->vocabulary.n_blocks, exit = (m - 1) * e->slots * k;
  *env = (flv_env){.name = "fragments",
                   .ops = &fragments_ops,
                   .self = e,
                   .state_size = sizeof(flv_fragments_state),
                   .n_actions = exit + 1,
                   .n_back = m,
                   .exit_action = exit,
                   .restricted_exit = e->min_blocks > 0,
                   .max_length = m + 1,
                   .n_hot = 2 * m,
                   .n_features = m * (k + m * e->slots + 1),
                   .n_columns = 3 * m,
                   .text_name = "smiles",
                   .n_fingerprint = FLV_FINGERPRINT_WORDS,
                   .free_self = fragments_free};
}

static flv_status fragments_create(flv_env *env, const void *values, const flv_shape *shape,
                                   flv_error *err) {
  (void)shape; // a reward that has one says so itself if it is not this one
  const fragments_cfg *cfg = values;
  if (!cfg->path[0])
    return flv_fail(err, FLV_EINVAL, "env.path: a vocabulary of fragments is needed (a JSON file)");
  flv_fragments *e = calloc(1, sizeof *e);
  if (!e) return flv_fail(err, FLV_ENOMEM, "out of memory for environment 'fragments'");
  const flv_stem_rule rule =
      cfg->stem_types == STEMS_PUBLISHED ? FLV_STEMS_PUBLISHED : FLV_STEMS_DISTINCT;
  flv_status status = flv_vocabulary_read(&e->vocabulary, cfg->path, rule, err);
  if (status == FLV_OK) {
    e->max_blocks = cfg->max_blocks;
    e->min_blocks = cfg->min_blocks;
    e->root_leaves = cfg->parents == PARENTS_MOLECULE;
    for (int k = 0; k < e->vocabulary.n_blocks; k++)
      if (e->vocabulary.block[k].n_attach > e->slots) e->slots = e->vocabulary.block[k].n_attach;
    status = check_ends(e, cfg->path, err);
    if (status == FLV_OK) status = number_kinds(e, err);
    if (status == FLV_OK) status = make_scratch(e, err);
  }
  if (status != FLV_OK) {
    fragments_free(e);
    return status;
  }
  describe(env, e);
  return FLV_OK;
}

const flv_fragments *flv_fragments_of(const flv_env *env) {
  return env->ops == &fragments_ops ? env->self : NULL;
}

static const flv_env_impl fragments_impl = {fragments_create};
const flv_component flv_env_fragments = {
    "fragments",           "molecules joined from fragments, one block at a time",
    fragments_params,      sizeof fragments_params / sizeof *fragments_params,
    sizeof(fragments_cfg), &fragments_impl};
