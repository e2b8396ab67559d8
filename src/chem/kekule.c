// Alternating double bonds are a perfect matching by aromatic bonds of the atoms that need one:
// Edmonds' algorithm (Paths, trees, and flowers, 1965), a breadth-first search for an augmenting
// path from every atom that is left over, in which odd cycles shrink to their base.

#include "chem/kekule.h"

#include <string.h>

#include "base/memory.h"
#include "chem/element.h"

typedef struct matching {
  const flv_molecule *m;
  const flv_perception *p;
  uint8_t *needs;          // [n] 1: needs a double bond
  int *mate, *from, *base; // [n] -1: none
  int *queue;              // [n]
  uint8_t *used, *cycle, *seen;
  void *block;
} matching;

static int common_base(matching *g, int a, int b) {
  memset(g->seen, 0, (size_t)g->m->n_atoms);
  for (;; a = g->from[g->mate[a]]) {
    a = g->base[a];
    g->seen[a] = 1;
    if (g->mate[a] < 0) break;
  }
  for (;; b = g->from[g->mate[b]]) {
    b = g->base[b];
    if (g->seen[b]) return b;
  }
}

static void mark_cycle(matching *g, int v, int base, int child) {
  for (; g->base[v] != base; v = g->from[g->mate[v]]) {
    g->cycle[g->base[v]] = g->cycle[g->base[g->mate[v]]] = 1;
    g->from[v] = child;
    child = g->mate[v];
  }
}

static int shrink(matching *g, int v, int u, int tail) {
  const int base = common_base(g, v, u), n = g->m->n_atoms;
  memset(g->cycle, 0, (size_t)n);
  mark_cycle(g, v, base, u);
  mark_cycle(g, u, base, v);
  for (int i = 0; i < n; i++) {
    if (!g->cycle[g->base[i]]) continue;
    g->base[i] = base;
    if (!g->used[i]) g->used[i] = 1, g->queue[tail++] = i;
  }
  return tail;
}

// The free end of an augmenting path from root, -1 if there is none.
static int find_path(matching *g, int root) {
  const int n = g->m->n_atoms;
  memset(g->used, 0, (size_t)n);
  for (int i = 0; i < n; i++) g->from[i] = -1, g->base[i] = i;
  int head = 0, tail = 0;
  g->used[root] = 1;
  g->queue[tail++] = root;
  while (head < tail) {
    const int v = g->queue[head++];
    for (int k = g->p->at[v]; k < g->p->at[v + 1]; k++) {
      const flv_bond *bond = &g->m->bond[g->p->of[k]];
      const int u = flv_bond_other(bond, v);
      if (bond->order != FLV_BOND_AROMATIC || !g->needs[u]) continue;
      if (g->base[v] == g->base[u] || g->mate[v] == u) continue;
      if (u == root || (g->mate[u] >= 0 && g->from[g->mate[u]] >= 0)) {
        tail = shrink(g, v, u, tail);
      } else if (g->from[u] < 0) {
        g->from[u] = v;
        if (g->mate[u] < 0) return u;
        g->used[g->mate[u]] = 1;
        g->queue[tail++] = g->mate[u];
      }
    }
  }
  return -1;
}

static void augment(matching *g, int end) {
  while (end >= 0) {
    const int before = g->from[end], next = g->mate[before];
    g->mate[end] = before;
    g->mate[before] = end;
    end = next;
  }
}

static int bonds_without_pi(const flv_molecule *m, const flv_perception *p, int i) {
  int sum = p->hydrogens[i];
  for (int k = p->at[i]; k < p->at[i + 1]; k++) {
    const int order = m->bond[p->of[k]].order;
    sum += order == FLV_BOND_AROMATIC ? 1 : order;
  }
  return sum;
}

flv_status flv_kekule(int *fault, const flv_molecule *m, const flv_perception *p, flv_error *err) {
  matching g = {.m = m, .p = p};
  const int n = m->n_atoms;
  const flv_slot slots[] = {FLV_SLOT(g.needs, n), FLV_SLOT(g.mate, n),  FLV_SLOT(g.from, n),
                            FLV_SLOT(g.base, n),  FLV_SLOT(g.queue, n), FLV_SLOT(g.used, n),
                            FLV_SLOT(g.cycle, n), FLV_SLOT(g.seen, n)};
  void *block = flv_bind((int)(sizeof slots / sizeof slots[0]), slots);
  if (!block) return flv_fail(err, FLV_ENOMEM, "out of memory for a molecule");
  for (int i = 0; i < n; i++) {
    g.mate[i] = -1;
    g.needs[i] =
        m->atom[i].aromatic && !flv_valence_allowed(&m->atom[i], bonds_without_pi(m, p, i));
  }
  *fault = -1;
  for (int i = 0; i < n && *fault < 0; i++) {
    if (!g.needs[i] || g.mate[i] >= 0) continue;
    const int end = find_path(&g, i);
    if (end < 0) *fault = i;
    augment(&g, end);
  }
  flv_free(block);
  return FLV_OK;
}
