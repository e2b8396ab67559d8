#define XXH_INLINE_ALL
#include "exact/legacy_paths.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/intern.h"
#include "base/logmath.h"
#include "base/memory.h"

enum { CHUNK = FLV_PATHS_CHUNK };

typedef struct vertex { // a state of one molecule's graph
  flv_grown grown;
  int32_t row; // in the table of states
  double lp;
} vertex;

typedef struct edge {
  int32_t child, parent; // vertices of the same graph
  int32_t block, stem;   // that is joined to this one of the parent's
  int32_t row, action;   // the parent's state, and where the logit stands
  double log_p;
} edge;

typedef struct graph { // where one begins; it ends where the next does
  int64_t vertex, edge;
  bool kept;
} graph;

typedef struct pair {
  int32_t child, parent;
} pair;

typedef struct code { // of a tree up to isomorphism: hashes, equal by chance once in 2^64
  uint64_t half[2];
} code;

struct flv_legacy {
  const flv_env *env;
  const flv_fragments *e;
  flv_intern states;
  vertex *vertex;
  edge *edge;
  graph *graph;
  int64_t n_vertices, n_edges, n_graphs;
  int64_t vertex_room, edge_room, graph_room, waiting_room;
  // the graph under way
  flv_intern codes;     // of its vertices but the first
  flv_intern pairs;     // of its edges
  struct away *waiting; // blocks to take away, latest last
};

typedef struct away { // block `block` of vertex `child`
  int32_t child, block;
} away;

static flv_status no_memory(flv_error *err) {
  return flv_fail(err, FLV_ENOMEM, "out of memory for the ancestors of molecules");
}

flv_status flv_legacy_new(flv_legacy **legacy, const flv_env *env, flv_error *err) {
  flv_legacy *l = calloc(1, sizeof *l);
  if (!l) return no_memory(err);
  l->env = env;
  l->e = flv_fragments_of(env);
  if (flv_intern_init(&l->states, sizeof(flv_fragments_state), 1 << 10) != 0 ||
      flv_intern_init(&l->codes, sizeof(code), 1 << 7) != 0 ||
      flv_intern_init(&l->pairs, sizeof(pair), 1 << 8) != 0) {
    flv_legacy_free(l);
    return no_memory(err);
  }
  *legacy = l;
  return FLV_OK;
}

void flv_legacy_free(flv_legacy *legacy) {
  if (!legacy) return;
  flv_intern_free(&legacy->states);
  flv_intern_free(&legacy->codes);
  flv_intern_free(&legacy->pairs);
  free(legacy->vertex);
  free(legacy->edge);
  free(legacy->graph);
  free(legacy->waiting);
  free(legacy);
}

void flv_legacy_clear(flv_legacy *legacy) {
  flv_intern_clear(&legacy->states);
  legacy->n_vertices = legacy->n_edges = legacy->n_graphs = 0;
}

// Room for n entries in a list that has *room.
static flv_status reserve(void **list, int64_t *room, int64_t n, size_t size, flv_error *err) {
  if (n <= *room) return FLV_OK;
  const int64_t more = 2 * n > 256 ? 2 * n : 256;
  void *larger = realloc(*list, (size_t)more * size);
  if (!larger) return no_memory(err);
  *list = larger;
  *room = more;
  return FLV_OK;
}

// ---- trees ----

typedef struct bond { // of a node, seen from it
  int to;             // -1: there is no other
  int atom, other;    // at this end, at the other
} bond;

// The k-th bond of a node: first, from all but the root, that to an earlier one.
static bond bond_of(const flv_grown *g, int v, int k) {
  // cppcheck-suppress arrayIndexOutOfBoundsCond; v is a block of g
  if (v > 0 && k-- == 0) return (bond){g->to[v], g->by[v], g->at[v]};
  for (int c = v + 1; c < g->n; c++)
    if (g->to[c] == v && k-- == 0) return (bond){c, g->at[c], g->by[c]};
  return (bond){-1, 0, 0};
}

// Of the tree that hangs on v, seen from `from`: a hash of v's label and, sorted, of bonds and the
// codes behind them. The same for all orders.
static code code_at(const flv_legacy *l, const flv_grown *g, int v, int from, bool by_fragment) {
  uint64_t word[3 * FLV_FRAGMENTS_MAX + 1];
  const int block = g->block[v];
  int n = 0;
  word[0] = (uint64_t)(by_fragment ? l->e->vocabulary.block[block].fragment : block);
  for (int k = 0;; k++) {
    const bond b = bond_of(g, v, k);
    if (b.to < 0) break;
    if (b.to == from) continue;
    const code behind = code_at(l, g, b.to, v, by_fragment);
    const uint64_t entry[3] = {(uint64_t)b.atom << 16 | (uint64_t)b.other, behind.half[0],
                               behind.half[1]};
    int i = n++;
    for (; i > 0 && memcmp(entry, word + 3 * i - 2, sizeof entry) < 0; i--)
      memmove(word + 3 * i + 1, word + 3 * i - 2, sizeof entry);
    memcpy(word + 3 * i + 1, entry, sizeof entry);
  }
  const XXH128_hash_t hash = XXH3_128bits(word, sizeof *word * (size_t)(3 * n + 1));
  return (code){{hash.low64, hash.high64}};
}

// The least over all nodes as the root: one code for all isomorphic trees.
static code code_of(const flv_legacy *l, const flv_grown *g, bool by_fragment) {
  code least = {{0, 0}};
  for (int v = 0; v < g->n; v++) {
    const code c = code_at(l, g, v, -1, by_fragment);
    if (v == 0 || memcmp(&c, &least, sizeof c) < 0) least = c;
  }
  return least;
}

static bool same_code(code a, code b) { return a.half[0] == b.half[0] && a.half[1] == b.half[1]; }

static int neighbours(const flv_grown *g, int b) {
  int n = 0;
  while (bond_of(g, b, n).to >= 0) n++;
  return n;
}

// Without block b, which has at most one neighbour; a root's is block 1, and becomes the root. The
// stem that this frees is the last.
static flv_grown without(const flv_grown *g, int b) {
  const bond freed = bond_of(g, b, 0);
  flv_grown out = {.n = g->n - 1};
  for (int i = 0, k = 0; i < g->n; i++) {
    if (i == b) continue;
    out.block[k] = g->block[i];
    if (k > 0) {
      out.to[k] = (int16_t)(g->to[i] - (g->to[i] > b));
      out.at[k] = g->at[i];
      out.by[k] = g->by[i];
    }
    k++;
  }
  for (int i = 0; i < g->n_stems; i++) {
    if (g->stem[i] == b) continue;
    out.stem[out.n_stems] = (uint8_t)(g->stem[i] - (g->stem[i] > b));
    out.stem_atom[out.n_stems++] = g->stem_atom[i];
  }
  if (freed.to < 0) return out;
  out.stem[out.n_stems] = (uint8_t)(freed.to - (freed.to > b));
  out.stem_atom[out.n_stems++] = (uint8_t)freed.other;
  return out;
}

// Up to its stems.
static flv_grown with(const flv_legacy *l, const flv_grown *g, int block, int stem) {
  flv_grown out = *g;
  out.block[out.n] = (int16_t)block;
  out.to[out.n] = g->stem[stem];
  out.at[out.n] = g->stem_atom[stem];
  out.by[out.n] = l->e->vocabulary.block[block].attach[0];
  out.n++;
  return out;
}

// ---- the graph ----

// The latest vertex: its row, and its blocks in line.
static flv_status add_vertex(flv_legacy *l, const flv_grown *g, int64_t first, flv_error *err) {
  FLV_TRY(reserve((void **)&l->vertex, &l->vertex_room, l->n_vertices + 1, sizeof *l->vertex, err));
  FLV_TRY(reserve((void **)&l->waiting, &l->waiting_room,
                  (l->n_vertices + 1 - first) * FLV_FRAGMENTS_MAX, sizeof *l->waiting, err));
  l->vertex[l->n_vertices++] = (vertex){.grown = *g};
  return FLV_OK;
}

static int wait_for(const flv_legacy *l, int child, int waiting) {
  const flv_grown *g = &l->vertex[l->graph[l->n_graphs].vertex + child].grown;
  for (int b = 0; b < g->n; b++)
    if (g->n == 1 || neighbours(g, b) == 1) l->waiting[waiting++] = (away){child, b};
  return waiting;
}

// The edge of a pair, which takes the place of one that is there.
static flv_status add_edge(flv_legacy *l, edge e, int *overwritten, flv_error *err) {
  const pair key = {e.child, e.parent};
  if (flv_intern_reserve(&l->pairs, l->pairs.n + 1) != 0) return no_memory(err);
  const int known = l->pairs.n, at = flv_intern_row(&l->pairs, &key);
  const int64_t k = l->graph[l->n_graphs].edge + at;
  FLV_TRY(reserve((void **)&l->edge, &l->edge_room, k + 1, sizeof *l->edge, err));
  *overwritten += at < known && (l->edge[k].block != e.block || l->edge[k].stem != e.stem);
  l->edge[k] = e;
  l->n_edges += at == known;
  return FLV_OK;
}

// The block that leads back.
static int block_back(const flv_legacy *l, const flv_grown *child, int b) {
  const bond bonded = bond_of(child, b, 0);
  return bonded.to < 0 ? child->block[b]
                       : flv_block_joining(&l->e->vocabulary, child->block[b], bonded.atom);
}

static flv_status grow_graph(flv_legacy *l, int *overwritten, flv_error *err) {
  const int64_t first = l->graph[l->n_graphs].vertex;
  flv_intern_clear(&l->codes);
  flv_intern_clear(&l->pairs);
  for (int waiting = wait_for(l, 0, 0); waiting > 0;) {
    const away from = l->waiting[--waiting];
    const flv_grown *child = &l->vertex[first + from.child].grown;
    const int block = block_back(l, child, from.block);
    const flv_grown parent = without(child, from.block);
    const code label = code_of(l, &parent, false);
    if (flv_intern_reserve(&l->codes, l->codes.n + 1) != 0) return no_memory(err);
    const int known = l->codes.n, at = 1 + flv_intern_row(&l->codes, &label);
    const edge e = {from.child, at, block, parent.n_stems - 1, 0, 0, 0.0};
    FLV_TRY(add_edge(l, e, overwritten, err));
    if (at <= known) continue;
    FLV_TRY(add_vertex(l, &parent, first, err));
    waiting = wait_for(l, at, waiting);
  }
  return FLV_OK;
}

// Finds the stem by which the edge's block makes the child out of the parent.
static bool find_stem(const flv_legacy *l, edge *e) {
  const int64_t first = l->graph[l->n_graphs].vertex;
  const flv_grown *parent = &l->vertex[first + e->parent].grown;
  const code wanted = code_of(l, &l->vertex[first + e->child].grown, true);
  if (parent->n == 0) return true;
  for (int i = -1; i < parent->n_stems; i++) {
    const int stem = i < 0 ? e->stem : i;
    if (stem >= parent->n_stems) continue;
    const flv_grown made = with(l, parent, e->block, stem);
    if (!same_code(code_of(l, &made, true), wanted)) continue;
    e->stem = stem;
    return true;
  }
  return false;
}

// Rows of the graph's states, and where the logits of its edges stand.
static flv_status intern_states(flv_legacy *l, flv_error *err) {
  const graph *g = &l->graph[l->n_graphs];
  uint8_t place[FLV_FRAGMENTS_MAX];
  flv_fragments_state s;
  for (int64_t i = g->vertex; i < l->n_vertices; i++) {
    flv_grown_state(l->env, &l->vertex[i].grown, &s, place);
    if (flv_intern_reserve(&l->states, l->states.n + 1) != 0) return no_memory(err);
    l->vertex[i].row = flv_intern_row(&l->states, &s);
  }
  for (int64_t k = g->edge; k < l->n_edges; k++) {
    edge *e = &l->edge[k];
    const vertex *parent = &l->vertex[g->vertex + e->parent];
    flv_grown_state(l->env, &parent->grown, &s, place);
    const int p = s.n > 0 ? place[parent->grown.stem[e->stem]] : 0;
    const int slot =
        s.n > 0 ? flv_fragments_free_slot(l->e, &s, p, parent->grown.stem_atom[e->stem]) : 0;
    e->row = parent->row;
    e->action = flv_legacy_action(l->e, p, slot, e->block);
  }
  return FLV_OK;
}

flv_status flv_legacy_add(flv_legacy *legacy, const flv_grown *molecule, flv_legacy_graph *about,
                          flv_error *err) {
  flv_legacy *l = legacy;
  int overwritten = 0;
  FLV_TRY(reserve((void **)&l->graph, &l->graph_room, l->n_graphs + 1, sizeof *l->graph, err));
  graph *g = &l->graph[l->n_graphs];
  *g = (graph){l->n_vertices, l->n_edges, true};
  FLV_TRY(add_vertex(l, molecule, g->vertex, err));
  FLV_TRY(grow_graph(l, &overwritten, err));
  for (int64_t k = g->edge; k < l->n_edges && g->kept; k++) g->kept = find_stem(l, &l->edge[k]);
  const int states = (int)(l->n_vertices - g->vertex);
  if (g->kept) {
    FLV_TRY(intern_states(l, err));
  } else {
    l->n_vertices = g->vertex;
    l->n_edges = g->edge;
  }
  l->n_graphs++;
  if (about) *about = (flv_legacy_graph){g->kept, states, overwritten};
  return FLV_OK;
}

// ---- probabilities ----

typedef struct pass {
  int32_t *order;             // [states]
  int64_t *first;             // [states + 2] of the edges out of a state,
  int32_t *out;               // [edges] their numbers
  double *log_end;            // [states] log p(end | s)
  float *logits;              // [CHUNK, width]
  flv_fragments_state *chunk; // [CHUNK]
  void *block;
} pass;

static flv_status pass_init(pass *q, const flv_legacy *l, flv_error *err) {
  const size_t n = (size_t)l->states.n;
  *q = (pass){.block = NULL};
  const flv_slot slots[] = {
      FLV_SLOT(q->order, n),        FLV_SLOT(q->first, n + 2),
      FLV_SLOT(q->out, l->n_edges), FLV_SLOT(q->log_end, n),
      FLV_SLOT(q->chunk, CHUNK),    FLV_SLOT(q->logits, CHUNK * (size_t)flv_legacy_width(l->e))};
  q->block = flv_bind(sizeof slots / sizeof *slots, slots);
  if (!q->block) return no_memory(err);
  for (int64_t k = 0; k < l->n_edges; k++) q->first[l->edge[k].row + 2]++;
  for (size_t i = 0; i < n; i++) q->first[i + 2] += q->first[i + 1];
  for (int64_t k = 0; k < l->n_edges; k++) q->out[q->first[l->edge[k].row + 1]++] = (int32_t)k;
  flv_fragments_order(l->states.n, flv_fragments_at(l->states.states, 0), q->order);
  return FLV_OK;
}

static double row_sum(const flv_fragments *e, const float *logits, int p, int slot) {
  double row[FLV_VOCABULARY_MAX_BLOCKS];
  const int k = e->vocabulary.n_blocks;
  for (int b = 0; b < k; b++) row[b] = (double)logits[flv_legacy_action(e, p, slot, b)];
  return flv_logsumexp(k, row);
}

// log of the sum over the blocks that stems may take; without stems, over those of the one that is
// made up.
static double stem_sum(const flv_fragments *e, const flv_fragments_state *s, const float *logits) {
  double sum = -HUGE_VAL;
  bool open = false;
  for (int p = 0; p < (int)s->n; p++) {
    const uint32_t used = flv_fragments_used(s, p);
    for (int j = 0; j < e->vocabulary.block[s->block[p]].n_attach; j++) {
      if (used >> j & 1) continue;
      sum = flv_logaddexp(sum, row_sum(e, logits, p, j));
      open = true;
    }
  }
  if (open) return sum;
  return row_sum(e, logits, 0, s->n > 0 ? e->vocabulary.block[s->block[0]].n_attach : 0);
}

// What the logits of states order[begin .. begin + n - 1] are used for.
static flv_status use_logits(flv_legacy *l, pass *q, int begin, int n, flv_error *err) {
  const size_t width = (size_t)flv_legacy_width(l->e);
  for (int i = 0; i < n; i++) {
    const int32_t row = q->order[begin + i];
    const float *logits = q->logits + (size_t)i * width;
    const bool ends = (int)q->chunk[i].n >= l->e->min_blocks;
    const double end = ends ? (double)logits[width - 1] : -1000.0;
    const double sum = flv_logaddexp(stem_sum(l->e, &q->chunk[i], logits), end);
    if (isnan(sum)) return flv_fail(err, FLV_ENAN, "the policy's probabilities are not numbers");
    q->log_end[row] = end - sum;
    for (int64_t k = q->first[row]; k < q->first[row + 1]; k++) {
      edge *e = &l->edge[q->out[k]];
      e->log_p = (double)logits[e->action] - sum;
    }
  }
  return FLV_OK;
}

static double log_p_of(const flv_legacy *l, const pass *q, int64_t i) {
  const graph *g = &l->graph[i];
  const int64_t vertex_end = i + 1 < l->n_graphs ? l->graph[i + 1].vertex : l->n_vertices;
  const int64_t edge_end = i + 1 < l->n_graphs ? l->graph[i + 1].edge : l->n_edges;
  vertex *v = l->vertex + g->vertex;
  if (!g->kept) return (double)NAN;
  for (int64_t k = 0; k < vertex_end - g->vertex; k++) v[k].lp = v[k].grown.n == 0 ? 0.0 : -1000.0;
  for (int size = 1; size <= v->grown.n; size++)
    for (int64_t k = g->edge; k < edge_end; k++) {
      const edge *e = &l->edge[k];
      vertex *child = v + e->child;
      if (child->grown.n == size) child->lp = flv_logaddexp(child->lp, v[e->parent].lp + e->log_p);
    }
  return v->lp + (v->grown.n < l->e->max_blocks ? q->log_end[v->row] : 0.0);
}

flv_status flv_legacy_log_p(flv_legacy *legacy, flv_slot_logits_fn logits, void *user,
                            const flv_share *share, double *log_p, flv_error *err) {
  flv_legacy *l = legacy;
  const int states = l->states.n;
  pass q;
  FLV_TRY(pass_init(&q, l, err));
  flv_status status = FLV_OK;
  for (int begin = 0; begin < states && status == FLV_OK; begin += CHUNK) {
    const int n = states - begin < CHUNK ? states - begin : CHUNK;
    for (int i = 0; i < n; i++)
      q.chunk[i] = *flv_fragments_at(l->states.states, q.order[begin + i]);
    logits(user, n, q.chunk, q.logits);
    status = use_logits(l, &q, begin, n, err);
    flv_share_tell(share, (double)(begin + n) / states);
  }
  for (int64_t i = 0; i < l->n_graphs && status == FLV_OK; i++) log_p[i] = log_p_of(l, &q, i);
  flv_free(q.block);
  return status;
}
