#include "env/writings.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "chem/canonical.h"

enum { JOINTS = FLV_FRAGMENTS_MAX - 1 };

typedef struct node { // a block of the molecule, by its position in the given state
  int n;              // joints
  uint8_t to[JOINTS]; // the blocks they lead to
  uint8_t slot[JOINTS];
  int first, n_choices;
} node;

typedef struct choice { // of a block for a node, and of slots for its joints
  uint16_t block;
  uint8_t slot[JOINTS];
} choice;

typedef struct mark { // what an atom of a fragment is used for
  uint32_t joints;    // bit i: joint i
  int listed;         // places in the list of attachments
} mark;

struct flv_writings {
  const flv_fragments *env;
  int n, tried;
  node node[FLV_FRAGMENTS_MAX];
  choice *choice;
  int n_choices, room;
  // The node under way: the given marks of its fragment's atoms, and their key.
  mark given[FLV_FRAGMENT_MAX_ATOMS];
  bool has_key;
  flv_canon *canon;
  uint8_t *key, *other;
  void *block;
};

flv_status flv_writings_new(flv_writings **writings, const flv_fragments *env, flv_error *err) {
  const flv_vocabulary *v = &env->vocabulary;
  const size_t size = flv_canonical_size(v->max_atoms, v->max_bonds);
  flv_writings *w = NULL;
  uint8_t *key, *other;
  const flv_slot slots[] = {FLV_SLOT(w, 1), FLV_SLOT(key, size), FLV_SLOT(other, size)};
  void *block = flv_bind(3, slots);
  if (!block) return flv_fail(err, FLV_ENOMEM, "out of memory for the writings of molecules");
  w->env = env;
  w->key = key;
  w->other = other;
  w->block = block;
  const flv_status status = flv_canon_new(&w->canon, v->max_atoms, v->max_bonds, err);
  if (status != FLV_OK) {
    flv_writings_free(w);
    return status;
  }
  *writings = w;
  return FLV_OK;
}

void flv_writings_free(flv_writings *writings) {
  if (!writings) return;
  flv_canon_free(writings->canon);
  free(writings->choice);
  flv_free(writings->block);
}

// ---- the tree ----

static void add_joint(node *v, int to, int slot) {
  v->to[v->n] = (uint8_t)to;
  v->slot[v->n++] = (uint8_t)slot;
}

static void read_tree(flv_writings *w, const flv_fragments_state *s) {
  w->n = (int)s->n;
  w->n_choices = w->tried = 0;
  for (int p = 0; p < w->n; p++) {
    w->node[p].n = 0;
    if (p == 0) continue;
    add_joint(&w->node[p], s->parent[p], 0);
    add_joint(&w->node[s->parent[p]], p, s->slot[p]);
  }
}

// ---- choices of one node ----

static const flv_fragment *fragment_of(const flv_writings *w, int block) {
  return &w->env->vocabulary.fragment[w->env->vocabulary.block[block].fragment];
}

static void mark_atoms(const flv_writings *w, int block, int joints, const uint8_t *slot,
                       mark *atom) {
  const flv_block *b = &w->env->vocabulary.block[block];
  memset(atom, 0, sizeof *atom * (size_t)fragment_of(w, block)->molecule.n_atoms);
  for (int j = 0; j < b->n_attach; j++) atom[b->attach[j]].listed++;
  for (int i = 0; i < joints; i++) atom[b->attach[slot[i]]].joints |= UINT32_C(1) << i;
}

static bool same_mark(mark a, mark b) { return a.joints == b.joints && a.listed == b.listed; }

static bool rigid(const flv_fragment *f) {
  int x = 0;
  while (x < f->molecule.n_atoms && f->same[x] == x) x++;
  return x == f->molecule.n_atoms;
}

// The key of a fragment whose atoms are labelled by their marks: by the first atom that was given
// the same. False if an atom has a mark that no atom was given.
static bool labelled_key(flv_writings *w, const flv_fragment *f, const mark *atom, uint8_t *key) {
  const int n = f->molecule.n_atoms;
  uint8_t label[FLV_FRAGMENT_MAX_ATOMS];
  for (int x = 0; x < n; x++) {
    int y = 0;
    while (y < n && !same_mark(atom[x], w->given[y])) y++;
    if (y == n) return false;
    label[x] = (uint8_t)y;
  }
  flv_canonical_key(w->canon, key, &f->molecule, &(flv_labels){label, NULL});
  return true;
}

// Does a symmetry of the fragment carry these marks to the given ones?
static bool alike(flv_writings *w, const flv_fragment *f, const mark *atom) {
  const flv_molecule *m = &f->molecule;
  int x = 0;
  while (x < m->n_atoms && same_mark(atom[x], w->given[x])) x++;
  if (x == m->n_atoms) return true;
  if (rigid(f)) return false;
  if (!w->has_key) labelled_key(w, f, w->given, w->key);
  w->has_key = true;
  return labelled_key(w, f, atom, w->other) &&
         memcmp(w->key, w->other, flv_canonical_size(m->n_atoms, m->n_bonds)) == 0;
}

static flv_status keep(flv_writings *w, const choice *c, flv_error *err) {
  if (w->n_choices == w->room) {
    const int room = w->room ? 2 * w->room : 64;
    choice *larger = realloc(w->choice, (size_t)room * sizeof *larger);
    if (!larger) return flv_fail(err, FLV_ENOMEM, "out of memory for the writings of molecules");
    w->choice = larger;
    w->room = room;
  }
  w->choice[w->n_choices++] = *c;
  return FLV_OK;
}

static flv_status count_try(flv_writings *w, flv_error *err) {
  if (w->tried++ < FLV_WRITINGS_MAX) return FLV_OK;
  return flv_fail(err, FLV_EINVAL, "a molecule of %d blocks can be written in more than %d ways",
                  w->n, (int)FLV_WRITINGS_MAX);
}

// Slots for joints i, i + 1, .. of node v, those before having theirs.
static flv_status choose_slots(flv_writings *w, const flv_fragments_state *s, int v, choice *c,
                               int i, uint32_t used, flv_error *err) {
  const flv_block *b = &w->env->vocabulary.block[c->block];
  const flv_block *given = &w->env->vocabulary.block[s->block[v]];
  const flv_fragment *f = fragment_of(w, c->block);
  if (i == w->node[v].n) {
    mark atom[FLV_FRAGMENT_MAX_ATOMS];
    FLV_TRY(count_try(w, err));
    mark_atoms(w, c->block, i, c->slot, atom);
    return alike(w, f, atom) ? keep(w, c, err) : FLV_OK;
  }
  const int orbit = f->same[given->attach[w->node[v].slot[i]]];
  for (int j = 0; j < b->n_attach; j++) {
    if (used >> j & 1 || f->same[b->attach[j]] != orbit) continue;
    c->slot[i] = (uint8_t)j;
    FLV_TRY(choose_slots(w, s, v, c, i + 1, used | UINT32_C(1) << j, err));
  }
  return FLV_OK;
}

static flv_status choose(flv_writings *w, const flv_fragments_state *s, int v, flv_error *err) {
  const flv_vocabulary *vocabulary = &w->env->vocabulary;
  const flv_block *given = &vocabulary->block[s->block[v]];
  w->node[v].first = w->n_choices;
  w->has_key = false;
  mark_atoms(w, s->block[v], w->node[v].n, w->node[v].slot, w->given);
  for (int k = 0; k < vocabulary->n_blocks; k++) {
    const flv_block *b = &vocabulary->block[k];
    choice c = {.block = (uint16_t)k};
    if (b->fragment == given->fragment && b->n_attach == given->n_attach)
      FLV_TRY(choose_slots(w, s, v, &c, 0, 0, err));
  }
  w->node[v].n_choices = w->n_choices - w->node[v].first;
  return FLV_OK;
}

// ---- all of them ----

typedef struct rooted {         // the tree seen from one of its nodes
  int order[FLV_FRAGMENTS_MAX]; // of nodes, parents first
  int up[FLV_FRAGMENTS_MAX];    // of a node: its joint towards the root, -1: it is the root
  int pick[FLV_FRAGMENTS_MAX];  // of a node: its choice
} rooted;

static void root_at(const flv_writings *w, int root, rooted *t) {
  int n = 0;
  t->order[n++] = root;
  t->up[root] = -1;
  for (int k = 0; k < n; k++) {
    const int v = t->order[k];
    for (int i = 0; i < w->node[v].n; i++) {
      if (i == t->up[v]) continue;
      const int u = w->node[v].to[i];
      int up = 0;
      while (w->node[u].to[up] != v) up++;
      t->up[u] = up;
      t->order[n++] = u;
    }
  }
}

// The first choice from `from` on with which v stands where it does, -1: there is none.
static int next_choice(const flv_writings *w, const rooted *t, int v, int from) {
  const node *at = &w->node[v];
  for (int c = from; c < at->n_choices; c++)
    if (t->up[v] < 0 || w->choice[at->first + c].slot[t->up[v]] == 0) return c;
  return -1;
}

static void write_state(const flv_writings *w, const rooted *t, flv_fragments_state *s) {
  int at[FLV_FRAGMENTS_MAX] = {t->order[0]}, n = 1;
  *s = (flv_fragments_state){.n = (uint64_t)w->n};
  for (int p = 0; p < n; p++) {
    const node *v = &w->node[at[p]];
    const choice *c = &w->choice[v->first + t->pick[at[p]]];
    s->block[p] = c->block;
    for (int j = 0; j < w->env->slots; j++) // children in the order of slots
      for (int i = 0; i < v->n; i++) {
        if (i == t->up[at[p]] || c->slot[i] != j) continue;
        s->parent[n] = (uint8_t)p;
        s->slot[n] = (uint8_t)j;
        at[n++] = v->to[i];
      }
  }
}

static flv_status visit_root(flv_writings *w, int root, flv_writing_fn *visit, void *user,
                             flv_error *err) {
  rooted t;
  root_at(w, root, &t);
  for (int v = 0; v < w->n; v++)
    if ((t.pick[v] = next_choice(w, &t, v, 0)) < 0) return FLV_OK; // no block is joined so
  for (int k = w->n; k >= 0;) {
    flv_fragments_state s;
    FLV_TRY(count_try(w, err));
    write_state(w, &t, &s);
    FLV_TRY(visit(user, &s, err));
    for (k = w->n - 1; k >= 0; k--) {
      int *pick = &t.pick[t.order[k]];
      if ((*pick = next_choice(w, &t, t.order[k], *pick + 1)) >= 0) break;
      *pick = next_choice(w, &t, t.order[k], 0);
    }
  }
  return FLV_OK;
}

flv_status flv_writings_visit(flv_writings *writings, const flv_fragments_state *s,
                              flv_writing_fn *visit, void *user, flv_error *err) {
  flv_writings *w = writings;
  if (s->n == 0) return visit(user, s, err);
  read_tree(w, s);
  for (int v = 0; v < w->n; v++) FLV_TRY(choose(w, s, v, err));
  for (int v = 0; v < w->n; v++) FLV_TRY(visit_root(w, v, visit, user, err));
  return FLV_OK;
}
